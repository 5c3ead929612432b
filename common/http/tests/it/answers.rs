use std::time::Duration;

use databridge_http::{Answer, CallError, ErrorClass, Paid, client};
use serde_json::Value as Json;

use crate::server::{Server, answer};

async fn called(answer: &str, writes: bool) -> Result<Answer, CallError> {
    let server = Server::answering(&[answer]).await;
    let request = client("test").unwrap().get(server.url("/matters"));
    Answer::to(Paid::by_nobody(), request, "GET matters".to_owned(), writes).await
}

/// An address at which nobody listens.
async fn nobody() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}/", listener.local_addr().unwrap())
}

#[tokio::test]
async fn an_answer_is_read_whole_with_the_servers_clock_and_its_wish_to_wait() {
    let headers = "Date: Sat, 21 Nov 2026 02:05:27 GMT\r\nRetry-After: 7\r\n";
    let answer = called(&answer("429 Too Many Requests", headers, r#"{"a":1}"#), false).await.unwrap();
    assert_eq!(answer.status, 429);
    assert_eq!(answer.json::<Json>(false).unwrap(), serde_json::json!({"a": 1}));
    assert_eq!(answer.server_time().unwrap().to_rfc3339(), "2026-11-21T02:05:27+00:00");
    assert_eq!(answer.retry_after(), Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn a_server_that_tells_no_time_is_not_guessed_at() {
    let answer =
        called(&answer("200 OK", "Date: soon\r\nRetry-After: later\r\n", "{}"), false).await.unwrap();
    assert_eq!((answer.server_time(), answer.retry_after()), (None, None));
}

#[tokio::test]
async fn an_error_is_short_whatever_the_answer_is() {
    let body = format!("[\"{}\"]", "x".repeat(100_000));
    let answer = called(&answer("200 OK", "", &body), false).await.unwrap();
    let error = answer.json::<Vec<u64>>(false).unwrap_err().to_string();
    assert!(error.contains("xxx") && error.len() < 1200, "{} bytes", error.len());
}

#[tokio::test]
async fn a_wish_to_wait_may_be_a_moment_and_is_of_a_day_at_most() {
    let date = "Date: Sat, 21 Nov 2026 02:05:27 GMT\r\n";
    for (wish, seconds) in [
        ("3600", 3600),
        ("Sat, 21 Nov 2026 03:05:27 GMT", 3600),
        ("Sat, 21 Nov 2026 01:05:27 GMT", 0),
        ("Sun, 22 Nov 2099 01:05:27 GMT", 86_400),
        ("18446744073709551615", 86_400),
        ("99999999999999999999999999", 86_400),
    ] {
        let headers = format!("{date}Retry-After: {wish}\r\n");
        let answer = called(&answer("429 Too Many Requests", &headers, ""), false).await.unwrap();
        assert_eq!(answer.retry_after(), Some(Duration::from_secs(seconds)), "{wish}");
    }
    for wish in ["", "-5", "soon"] {
        let headers = format!("{date}Retry-After: {wish}\r\n");
        let answer = called(&answer("429 Too Many Requests", &headers, ""), false).await.unwrap();
        assert_eq!(answer.retry_after(), None, "{wish}");
    }
}

#[tokio::test]
async fn html_for_json_is_told_by_its_beginning_and_may_be_tried_again() {
    let page = "<html>\n<title>Down for maintenance</title>";
    let answer = called(&answer("200 OK", "", page), false).await.unwrap();
    let error = answer.json::<Json>(false).unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient);
    assert!(error.message.contains("`<html> <title>Down for maintenance"), "{error}");
    assert!(error.to_string().starts_with("GET matters: "), "{error}");
}

#[tokio::test]
async fn half_a_json_after_a_write_leaves_the_effect_unknown() {
    let answer = called(&answer("200 OK", "", r#"{"data":{"id":1"#), true).await.unwrap();
    assert_eq!(answer.json::<Json>(true).unwrap_err().class, ErrorClass::Unknown);
    assert_eq!(answer.json::<Json>(false).unwrap_err().class, ErrorClass::Transient);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_transient_for_a_read_and_unknown_for_a_write() {
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"data\":";
    for (text, what) in [(half, "in its body"), ("HTTP/1.1 20", "in its head"), ("", "before it began")] {
        assert_eq!(called(text, false).await.unwrap_err().class, ErrorClass::Transient, "{what}");
        assert_eq!(called(text, true).await.unwrap_err().class, ErrorClass::Unknown, "{what}");
    }
}

#[tokio::test]
async fn a_write_that_was_never_sent_is_not_in_doubt() {
    let request = client("test").unwrap().post(nobody().await);
    let error = Answer::to(Paid::by_nobody(), request, "POST matters".to_owned(), true).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient);
    assert!(error.message.contains("no connection"), "{error}");
}

#[tokio::test]
async fn a_server_that_keeps_silent_is_given_up_in_time() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    for (writes, class) in [(false, ErrorClass::Transient), (true, ErrorClass::Unknown)] {
        let request = client("test").unwrap().get(&url).timeout(Duration::from_millis(100));
        let error =
            Answer::to(Paid::by_nobody(), request, "GET matters".to_owned(), writes).await.unwrap_err();
        assert_eq!(error.class, class);
        assert!(error.message.contains("no answer in time"), "{error}");
    }
}

#[tokio::test]
async fn the_beginning_is_one_line_of_at_most_120_characters() {
    let answer = called(&answer("200 OK", "", &"ä\r\n\t".repeat(100)), false).await.unwrap();
    assert_eq!(answer.beginning().chars().count(), 120);
    assert!(!answer.beginning().contains(char::is_control));
}
