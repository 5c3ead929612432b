//! An upload is three calls: the document, its bytes, the mark that it is whole. Between them a token may end, or Clio ask
//! for an hour's patience.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use clio_bridge::{ClioClient, ClioSystem, ContentSource, Token, TokenError, TokenSource};
use databridge_bridge::{Effect, Wait};
use databridge_http::Budget;
use databridge_model::{FailureClass, OutcomeResult, PushRequest};
use futures::FutureExt;
use futures::future::BoxFuture;
use sandbox::Admin;
use sandbox::calls::System;
use sandbox::faults::{Action, Fault};
use serde_json::json;
use tokio::sync::Mutex;
use url::Url;

use crate::attachments::{Attachments, DOCUMENTS, attempt, picture, push, see};
use crate::office::{Office, access_token, create, effect};

/// Tokens that are asked for anew when Clio refuses one, as the auth-service does it.
struct Renewing {
    admin: Admin,
    clio: Url,
    held: Mutex<Option<Token>>,
    renewals: AtomicU32,
    /// Nobody is there to sign in.
    is_shut: AtomicBool,
}

impl Renewing {
    fn at(office: &Office) -> Arc<Self> {
        Arc::new(Self {
            admin: office.admin.clone(),
            clio: office.sandbox.url(),
            held: Mutex::default(),
            renewals: AtomicU32::new(0),
            is_shut: AtomicBool::new(false),
        })
    }

    async fn renewed(&self, held: &mut Option<Token>) -> Result<Token, TokenError> {
        if self.is_shut.load(Ordering::SeqCst) {
            *held = None;
            return Err(TokenError::None("run `databridge connect`".to_owned()));
        }
        self.renewals.fetch_add(1, Ordering::SeqCst);
        Ok(held.insert(Token::new(access_token(&self.admin, &self.clio).await)).clone())
    }
}

impl TokenSource for Renewing {
    fn token(&self) -> BoxFuture<'_, Result<Token, TokenError>> {
        async {
            let mut held = self.held.lock().await;
            match held.clone() {
                Some(token) => Ok(token),
                None => self.renewed(&mut held).await,
            }
        }
        .boxed()
    }

    fn refused<'a>(&'a self, _token: &'a Token) -> BoxFuture<'a, Result<Token, TokenError>> {
        async { self.renewed(&mut *self.held.lock().await).await }.boxed()
    }
}

/// An office with a matter, and a bridge that renews its tokens.
struct Desk {
    office: Office,
    tokens: Arc<Renewing>,
    system: ClioSystem,
    matter: i64,
}

impl Desk {
    async fn open() -> Self {
        let office = Office::ready().await;
        let matter = office.add("E-1", &[]).await.id;
        let tokens = Renewing::at(&office);
        let source = Arc::clone(&tokens) as Arc<dyn TokenSource>;
        let client =
            ClioClient::new(&office.sandbox.url(), source, Budget::none(), office.clock.clone()).unwrap();
        let contents = Attachments::of(b"roof") as Arc<dyn ContentSource>;
        let catalogue = Arc::clone(&office.catalogue);
        let system = ClioSystem::new(office.file.clone(), client, catalogue, contents).unwrap();
        see(&system, matter).await;
        Self { office, tokens, system, matter }
    }

    fn picture(&self) -> PushRequest {
        picture(self.matter, 4)
    }

    /// One attempt at the push, in the midst of which all tokens end.
    async fn attempt_while_tokens_end(&self, at: Option<&Fault>) -> Effect {
        let Some(at) = at else {
            self.office.admin.revoke_tokens().await.unwrap();
            return effect(&self.system, DOCUMENTS, self.picture(), None).await;
        };
        let id = self.office.admin.fault(at).await.unwrap();
        let end_tokens = async {
            let reached = async || self.office.admin.fault_status(id).await.unwrap().unwrap().waiting > 0;
            while !reached().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            self.office.admin.revoke_tokens().await.unwrap();
            self.office.admin.release(id).await.unwrap();
        };
        tokio::join!(effect(&self.system, DOCUMENTS, self.picture(), None), end_tokens).0
    }

    async fn one_document_is_whole(&self, case: &str) {
        let all = self.office.admin.documents().await.unwrap();
        let documents: Vec<_> = all.into_iter().filter(|it| it.matter == Some(self.matter)).collect();
        let [document] = &documents[..] else { panic!("{case}: {documents:?}") };
        let bytes = self.office.admin.document_bytes(document.id).await.unwrap();
        assert_eq!(bytes, b"roof"[..], "{case}");
        assert_eq!(document.versions.len(), 1, "{case}: {document:?}");
    }
}

/// Before the first call, after the document is made, and after its bytes are there.
fn steps() -> [(&'static str, Option<Fault>); 3] {
    [
        ("before", None),
        ("made", Some(Fault::new(System::Clio, Action::HoldAfter).method("POST").path("/documents.json"))),
        ("put", Some(Fault::new(System::Storage, Action::HoldAfter).method("PUT"))),
    ]
}

#[tokio::test]
async fn a_token_that_dies_between_the_steps_of_an_upload_is_renewed_and_one_document_is_whole() {
    for (case, step) in steps() {
        let desk = Desk::open().await;
        let done = desk.attempt_while_tokens_end(step.as_ref()).await;
        let Effect::Settled { result: OutcomeResult::Written, .. } = done else { panic!("{case}: {done:?}") };
        assert_eq!(desk.tokens.renewals.load(Ordering::SeqCst), 2, "{case}: the first, and one for it");
        desk.one_document_is_whole(case).await;
    }
}

fn waits(effect: Effect, case: &str) -> (Wait, bool) {
    match effect {
        Effect::NotNow(wait) => (wait, false),
        Effect::Halfway(wait) => (wait, true),
        other => panic!("{case}: {other:?}"),
    }
}

#[tokio::test]
async fn where_nobody_signs_in_an_upload_waits_halfway_and_is_finished_afterwards() {
    for (case, step) in steps() {
        let desk = Desk::open().await;
        desk.tokens.is_shut.store(true, Ordering::SeqCst);
        let (wait, is_halfway) = waits(desk.attempt_while_tokens_end(step.as_ref()).await, case);
        assert_eq!(is_halfway, step.is_some(), "{case}: what was begun must be looked up");
        assert_eq!(wait.why.unwrap().class, FailureClass::Unauthorised, "{case}");
        let earlier = attempt(&desk.office);
        for _ in 0..7 {
            let again = effect(&desk.system, DOCUMENTS, desk.picture(), Some(earlier.clone())).await;
            assert!(!waits(again, case).1, "{case}: nothing more is begun");
        }
        desk.tokens.is_shut.store(false, Ordering::SeqCst);
        let done = push(&desk.system, desk.picture(), Some(earlier)).await;
        assert_eq!(done.result, OutcomeResult::Written, "{case}: {}", done.error);
        desk.one_document_is_whole(case).await;
    }
}

#[tokio::test]
async fn a_limit_of_an_hour_between_the_steps_of_an_upload_loses_and_doubles_nothing() {
    let desk = Desk::open().await;
    let an_hour = Action::RateLimited { retry_after: 3600 };
    desk.office.admin.fault(&Fault::new(System::Clio, an_hour).method("PATCH")).await.unwrap();
    let (wait, is_halfway) = waits(effect(&desk.system, DOCUMENTS, desk.picture(), None).await, "first");
    assert!(is_halfway && wait.time == Duration::from_secs(3600), "{wait:?}");
    let earlier = attempt(&desk.office);
    desk.office.admin.reset_calls().await.unwrap();
    let (wait, _) =
        waits(effect(&desk.system, DOCUMENTS, desk.picture(), Some(earlier.clone())).await, "again");
    assert!(wait.time > Duration::from_secs(3500), "{wait:?}");
    assert_eq!(desk.office.calls().await.reads, 0, "it is not asked again meanwhile");
    desk.office.clock.advance(TimeDelta::seconds(3601));
    let done = push(&desk.system, desk.picture(), Some(earlier)).await;
    assert_eq!(done.result, OutcomeResult::Written, "{}", done.error);
    desk.one_document_is_whole("after an hour").await;
}

#[tokio::test]
async fn a_refused_token_is_replaced_in_whichever_of_its_two_shapes_clio_says_so() {
    let flat = json!({"error": "invalid_token", "error_description": "The access token is expired."});
    let nested = json!({"error": {"type": "Unauthorized", "message": "The access token is expired."}});
    for body in [flat, nested] {
        let desk = Desk::open().await;
        let refusal = Action::Status { status: 401, body: body.to_string(), headers: [].into() };
        desk.office.admin.fault(&Fault::new(System::Clio, refusal.clone()).path("/api/")).await.unwrap();
        let done =
            crate::office::Settled::of(effect(&desk.system, "matters", create("E-2", &[]), None).await);
        assert_eq!(done.result, OutcomeResult::Written, "{body}: {}", done.error);
        assert_eq!(desk.tokens.renewals.load(Ordering::SeqCst), 2, "{body}");
        // One that is refused all the same says what to do, and is not asked for over and over.
        desk.office.admin.fault(&Fault::new(System::Clio, refusal).path("/api/").forever()).await.unwrap();
        let (wait, _) = waits(effect(&desk.system, "matters", create("E-3", &[]), None).await, "refused");
        let why = wait.why.unwrap().message;
        assert!(why.contains("The access token is expired.") && why.contains("databridge connect"), "{why}");
        assert_eq!(desk.tokens.renewals.load(Ordering::SeqCst), 3, "{body}");
    }
}
