use std::cell::Cell;
use std::time::{Duration, Instant};

use databridge_http::{Answer, CallError, ErrorClass, Paid, RetryPolicy, client, with_retries};

use crate::server::{Server, answer};

fn policy(attempts: u32) -> RetryPolicy {
    RetryPolicy { attempts, first_wait: Duration::from_millis(1), longest_wait: Duration::from_millis(4) }
}

fn error(class: ErrorClass) -> CallError {
    CallError { class, call: "GET matters".to_owned(), message: "no".to_owned() }
}

/// How often a call is made that always fails so.
async fn calls(class: ErrorClass, attempts: u32) -> u32 {
    let calls = Cell::new(0);
    let result = with_retries(policy(attempts), async || {
        calls.set(calls.get() + 1);
        Err::<(), _>(error(class))
    })
    .await;
    assert_eq!(result.unwrap_err().class, class);
    calls.get()
}

#[tokio::test]
async fn a_fault_of_the_moment_is_tried_as_often_as_the_policy_says() {
    assert_eq!(calls(ErrorClass::Transient, 4).await, 4);
    assert_eq!(calls(ErrorClass::Transient, 1).await, 1);
}

#[tokio::test]
async fn what_another_try_cannot_mend_is_not_tried_again() {
    for class in [
        ErrorClass::Unauthorised,
        ErrorClass::Conflict,
        ErrorClass::Invalid,
        ErrorClass::Gone,
        ErrorClass::Unknown,
    ] {
        assert_eq!(calls(class, 4).await, 1, "{class:?}");
    }
}

#[tokio::test]
async fn waiting_for_a_limit_is_no_attempt_and_has_an_end_all_the_same() {
    let made = Cell::new(0);
    let result = with_retries(policy(3), async || {
        made.set(made.get() + 1);
        match made.get() {
            1..=3 => Err(error(ErrorClass::Limited(None))),
            4 | 5 => Err(error(ErrorClass::Transient)),
            _ => Ok(made.get()),
        }
    })
    .await;
    assert_eq!(result.unwrap(), 6);
    assert_eq!(calls(ErrorClass::Limited(None), 3).await, 4);
}

#[tokio::test]
async fn the_second_attempt_comes_after_the_first_wait_and_the_waits_double() {
    let policy = RetryPolicy {
        attempts: 3,
        first_wait: Duration::from_millis(300),
        longest_wait: Duration::from_secs(2),
    };
    let start = Instant::now();
    let begun = std::cell::RefCell::new(Vec::new());
    let result = with_retries(policy, async || {
        begun.borrow_mut().push(start.elapsed());
        Err::<(), _>(error(ErrorClass::Transient))
    })
    .await;
    assert!(result.is_err());
    let begun = begun.into_inner();
    let waits: Vec<_> = begun.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
    // Each is longer or shorter by up to a fifth.
    assert!(waits[0] >= Duration::from_millis(240) && waits[0] < Duration::from_millis(470), "{waits:?}");
    assert!(waits[1] >= Duration::from_millis(480), "{waits:?}");
}

#[tokio::test]
async fn a_server_that_recovers_is_answered_in_the_end() {
    let server = Server::answering(&["", "HTTP/1.1 200 OK\r\n", &answer("200 OK", "", "{\"a\":1}")]).await;
    let client = client("test").unwrap();
    let answer = with_retries(policy(4), async || {
        Answer::to(Paid::by_nobody(), client.get(server.url("/")), "GET /".to_owned(), false).await
    })
    .await
    .unwrap();
    assert_eq!(&answer.body[..], b"{\"a\":1}");
    assert_eq!(server.calls(), 3);
}
