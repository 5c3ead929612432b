//! A content on its way into a document: a version that waits for it, the upload, the mark that it is whole. Broken off
//! anywhere, it is taken up again.

use databridge_http::{Answer, CallError, ErrorClass};
use databridge_model::{ContentObject, OutcomeResult, PushRequest, Source, Value};
use reqwest::Method;
use serde_json::{Map, Value as Json, json};

use super::ticket::Ticket;
use super::upload::Unsent;
use super::{CONTENT, CONTENT_TYPE, Documents, Handle, NAME};
use crate::api;
use crate::client::Write;
use crate::clio::Clio;
use crate::content_source::FetchedContent;
use crate::errand::Errand;
use crate::found::Found;
use crate::kind::{Kind, Pushed, id_of};
use crate::pages::{RecordBody, read_body};
use crate::push::{Settled, Stop};
use crate::whose::OurMatters;

/// A document that waits for bytes.
pub(crate) struct Waiting {
    id: u64,
    pub(crate) ticket: Ticket,
    /// What it shows meanwhile.
    shows: Handle,
}

/// Where a content goes, and for what push.
pub(super) struct Delivery<'a> {
    pub(super) documents: &'a Documents,
    pub(super) clio: &'a Clio,
    pub(super) errand: &'a Errand,
    pub(super) found: &'a Found,
    /// The matter on which the document hangs.
    pub(super) ours: OurMatters,
    pub(super) push: &'a PushRequest,
    pub(super) source: &'a Source,
}

impl Delivery<'_> {
    /// Gives a document a new version, if it is as it was when it showed this.
    pub(super) async fn replace(
        &self,
        id: u64,
        before: &Handle,
        content: FetchedContent,
        beside: Map<String, Json>,
    ) -> Pushed {
        let waiting = self.new_version(id, before, &content.object).await?;
        self.must_follow(&waiting, before).await?;
        self.fill(&waiting, content, beside, Guard::Etag).await
    }

    /// Brings a version to its end that was left without its bytes. Where the storage takes them no more under the old
    /// address, a new version gets them.
    pub(super) async fn finish(
        &self,
        id: u64,
        before: &Handle,
        content: FetchedContent,
        beside: Map<String, Json>,
    ) -> Pushed {
        let (shows, ticket) = self.look(id).await?;
        if !shows.unfinished || shows.version != before.version || !self.has_expected_name(&shows) {
            return self.stale(id).await;
        }
        let mut content = content;
        if let Some(ticket) = ticket {
            let waiting = Waiting { id, ticket, shows: shows.clone() };
            let object = content.object.clone();
            match self.documents.storage.put(&waiting.ticket, content).await {
                Ok(()) => return self.complete(&waiting, &object, beside, Guard::Etag).await,
                Err(Unsent::Refused(why)) => {
                    tracing::info!(why, "A document's upload cannot go on; a new version gets the content.");
                }
                Err(unsent @ Unsent::Failed(_)) => return Err(CallError::from(unsent).into()),
            }
            content = self.documents.fetch(self.clio, self.push, self.source).await?;
        }
        self.replace(id, &shows, content, beside).await
    }

    /// Puts the bytes into a version that waits for them, and marks it as whole.
    pub(super) async fn fill(
        &self,
        waiting: &Waiting,
        content: FetchedContent,
        beside: Map<String, Json>,
        guard: Guard,
    ) -> Pushed {
        let object = content.object.clone();
        fail::fail_point!("clio.before-upload");
        self.documents.storage.put(&waiting.ticket, content).await.map_err(CallError::from)?;
        fail::fail_point!("clio.after-upload");
        self.complete(waiting, &object, beside, guard).await
    }

    /// A new version, which waits for its bytes. Until it is marked as whole, nobody sees it.
    async fn new_version(&self, id: u64, before: &Handle, object: &ContentObject) -> Result<Waiting, Stop> {
        let set = &self.push.set;
        let text = |field: &str| set.get(field).and_then(Value::as_text);
        let mut data = Map::from_iter([("parent".to_owned(), json!({"id": id, "type": "Document"}))]);
        let mut put = |name: &str, value: Option<&str>| {
            data.extend(value.map(|value| (name.to_owned(), json!(value))));
        };
        put(NAME, before.name.as_deref().or(text(NAME)));
        put(CONTENT_TYPE, text(CONTENT_TYPE).or(object.content_type.as_deref()));
        let list = self.documents.resource().list();
        let url = self.clio.client.url(&list, &[(api::FIELDS, api::UPLOAD_FIELDS)]);
        let write = Write { method: Method::POST, url, if_match: None, data: Some(Json::Object(data)) };
        match self.clio.client.write(self.errand, &write).await {
            Ok(answer) => Ok(Waiting::of(&answer)?),
            Err(error) if error.class == ErrorClass::Invalid => {
                // It may be gone, which the refusal does not tell.
                self.clio.read_one(self.errand, self.documents, id, self.found).await?;
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Stops if something else than this version came since the document showed that. A version that a person uploaded
    /// has a number.
    async fn must_follow(&self, waiting: &Waiting, before: &Handle) -> Result<(), Stop> {
        let after = &waiting.shows;
        let is_next = match (before.version, after.version) {
            (Some(before), Some(after)) => after == before + 1,
            _ => self.has_expected_content(waiting.id).await?,
        };
        if is_next && after.matter == before.matter && self.has_expected_name(after) {
            return Ok(());
        }
        self.stale(waiting.id).await.map(drop)
    }

    async fn has_expected_content(&self, id: u64) -> Result<bool, CallError> {
        let Some(expected) = self.push.expect.get(CONTENT) else { return Ok(true) };
        let whole = self.documents.last_whole(self.clio, self.errand, id).await?;
        let shown = whole.and_then(|version| version.size).map(|size| size.to_string());
        Ok(shown.unwrap_or_default() == expected.to_plain())
    }

    fn has_expected_name(&self, shows: &Handle) -> bool {
        let is = |value: Option<&Value>| value.is_some_and(|it| it.as_text() == shows.name.as_deref());
        self.push.expect.get(NAME).is_none_or(|expected| is(Some(expected)) || is(self.push.set.get(NAME)))
    }

    /// Marks a version as whole.
    async fn complete(
        &self,
        waiting: &Waiting,
        object: &ContentObject,
        beside: Map<String, Json>,
        guard: Guard,
    ) -> Pushed {
        let mut data = Map::from_iter([
            ("uuid".to_owned(), json!(waiting.ticket.uuid)),
            ("fully_uploaded".to_owned(), json!(true)),
        ]);
        data.extend(beside);
        let answer = match self.mark(waiting, data.clone(), waiting.shows.etag.as_deref(), guard).await {
            Err(error) if error.class == ErrorClass::Conflict => {
                // Clio may have touched the document by itself when the bytes came.
                let (shows, ticket) = self.look(waiting.id).await?;
                let is_as_it_was = ticket.is_some_and(|ticket| ticket.uuid == waiting.ticket.uuid)
                    && (&shows.name, shows.matter) == (&waiting.shows.name, waiting.shows.matter);
                if !is_as_it_was {
                    return self.stale(waiting.id).await;
                }
                match self.mark(waiting, data, shows.etag.as_deref(), guard).await {
                    Err(error) if error.class == ErrorClass::Conflict => return self.stale(waiting.id).await,
                    other => other?,
                }
            }
            other => other?,
        };
        let ours = self.still_ours(waiting, &answer, guard).await?;
        let settled = self.clio.written(self.errand, self.documents, &answer, self.found, &ours).await?;
        let size = object.size.to_string();
        let shown = settled.shown.as_ref().and_then(|shown| shown.fields.get(CONTENT));
        if shown.is_some_and(|shown| shown.to_plain() != size) {
            let message = format!("Clio shows a content of another size than the {size} bytes sent");
            return Err(answer.error(ErrorClass::Unknown, message).into());
        }
        Ok(settled)
    }

    async fn mark(
        &self,
        waiting: &Waiting,
        data: Map<String, Json>,
        etag: Option<&str>,
        guard: Guard,
    ) -> Result<Answer, CallError> {
        let write = Write {
            method: Method::PATCH,
            url: self.clio.record_url(self.documents, Some(waiting.id)),
            if_match: etag.filter(|_| guard == Guard::Etag),
            data: Some(Json::Object(data)),
        };
        self.clio.client.write(self.errand, &write).await
    }

    /// Whose the document is that an answer shows. Without the etag's guard the answer may show what others have written
    /// since the matter was looked at.
    async fn still_ours(
        &self,
        waiting: &Waiting,
        answer: &Answer,
        guard: Guard,
    ) -> Result<OurMatters, CallError> {
        let RecordBody::<Json> { data } = read_body(answer, true)?;
        if guard == Guard::Etag || Handle::of(&data).name == waiting.shows.name {
            return Ok(self.ours.clone());
        }
        self.clio.ours_among(self.errand, waiting.shows.matter, self.found).await
    }

    /// The document as it is now, for its upload.
    async fn look(&self, id: u64) -> Result<(Handle, Option<Ticket>), CallError> {
        let path = self.documents.resource().record(id);
        let url = self.clio.client.url(&path, &[(api::FIELDS, api::UPLOAD_FIELDS)]);
        let (RecordBody::<Json> { data }, _) = self.clio.client.get(self.errand, &url).await?;
        Ok((Handle::of(&data), Ticket::of(&data)))
    }

    /// Somebody was faster: what the document shows now comes with the answer.
    async fn stale(&self, id: u64) -> Pushed {
        let shown = self.clio.read_one(self.errand, self.documents, id, self.found).await?;
        Settled::showing(OutcomeResult::Stale, shown).stop()
    }
}

/// What keeps the mark of a version from going over what somebody did meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guard {
    /// The document's etag, from when the version was made.
    Etag,
    /// Nothing: the document was made just now, and has no other version.
    New,
}

impl Waiting {
    /// The version in the answer to a POST.
    pub(crate) fn of(answer: &Answer) -> Result<Self, CallError> {
        let RecordBody::<Json> { data } = read_body(answer, true)?;
        match (id_of(&data), Ticket::of(&data)) {
            (Some(id), Some(ticket)) => Ok(Self { id, ticket, shows: Handle::of(&data) }),
            _ => Err(answer.error(ErrorClass::Unknown, "the answer does not say where the bytes go")),
        }
    }
}
