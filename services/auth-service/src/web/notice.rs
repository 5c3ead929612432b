//! The page that says what happened and what to do.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::page::page;

pub(crate) const CONNECT: &str = "databridge connect";

/// One thing to do.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    text: String,
    command: Option<&'static str>,
}

impl Step {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), command: None }
    }

    /// With a command to be typed.
    pub(crate) fn command(text: impl Into<String>, command: &'static str) -> Self {
        Self { text: text.into(), command: Some(command) }
    }

    pub(crate) fn new_link() -> Self {
        Self::command("Make a new link where Data Bridge runs, and open it in this browser:", CONNECT)
    }
}

/// What happened and what to do.
#[derive(Clone, Debug, Template)]
#[template(path = "notice.html")]
pub(crate) struct Notice {
    status: StatusCode,
    title: String,
    happened: Vec<String>,
    steps: Vec<Step>,
}

impl Notice {
    pub(crate) fn new(status: StatusCode, title: impl Into<String>, happened: impl Into<String>) -> Self {
        Self { status, title: title.into(), happened: vec![happened.into()], steps: Vec::new() }
    }

    /// With one more paragraph.
    #[must_use]
    pub(crate) fn and(mut self, happened: impl Into<String>) -> Self {
        self.happened.push(happened.into());
        self
    }

    /// With one more thing to do.
    #[must_use]
    pub(crate) fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    fn is_good(&self) -> bool {
        self.status.is_success()
    }
}

impl IntoResponse for Notice {
    fn into_response(self) -> Response {
        page(self.status, &self)
    }
}

pub(crate) fn not_found() -> Notice {
    let said = "Data Bridge has no page at this address.";
    Notice::new(StatusCode::NOT_FOUND, "There is no such page", said)
        .step(Step::new("Follow the link below to the status page."))
}

pub(crate) fn broker_away() -> Notice {
    let said = "Data Bridge cannot reach its message broker (NATS) at the moment, so it cannot tell or store anything.";
    Notice::new(StatusCode::SERVICE_UNAVAILABLE, "The message broker does not answer", said)
        .and("Nothing is lost: what is stored there is still there.")
        .step(Step::new(
            "Check that nats-server runs and that NATS_URL leads to it, then load this page again.",
        ))
}

pub(crate) fn own_fault() -> Notice {
    let said = "Something went wrong inside Data Bridge. The log of the auth-service says what.";
    Notice::new(StatusCode::INTERNAL_SERVER_ERROR, "This did not work", said).step(Step::new_link())
}
