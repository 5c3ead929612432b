//! Pushes to documents: two calls of Clio and an upload for each content, finished where an earlier attempt broke off.

use std::time::Duration;

use databridge_bridge::{ContentError, Shown};
use databridge_http::{CallError, ErrorClass};
use databridge_model::{ContentObject, Failure, FailureClass, Fields, Key, PushRequest, Source, Value};
use reqwest::Method;
use serde_json::{Map, Value as Json, json};

use super::ticket::Ticket;
use super::upload::Unsent;
use super::{CONTENT, CONTENT_TYPE, Documents, Handle, NAME};
use crate::api::{self, filter};
use crate::client::Write;
use crate::clio::Clio;
use crate::content_source::FetchedContent;
use crate::errand::Errand;
use crate::found::Found;
use crate::kind::{Kind, Pushed, Work, id_of};
use crate::pages::{ListBody, RecordBody, read_body};
use crate::property_change::PropertyChange;
use crate::push::{Change, ChangeWrite, Settled, Stop, parent_of, target_of};
use crate::whose::OurMatters;

/// A push that waits for a bridge to come back waits so long each time.
const BRIDGE_AWAY: Duration = Duration::from_secs(30);

/// A document that waits for bytes.
struct Waiting {
    id: u64,
    ticket: Ticket,
}

/// What an upload is for.
struct Upload<'a> {
    clio: &'a Clio,
    errand: &'a Errand,
    found: &'a Found,
    /// The matter on which the document hangs.
    ours: OurMatters,
    push: &'a PushRequest,
    source: &'a Source,
}

impl Documents {
    /// Makes a document with its content.
    pub(super) async fn make(&self, work: Work<'_>) -> Pushed {
        let Work { clio, errand, task } = work;
        let push = &task.push;
        let matter = parent_of(self, push)?;
        let source = source_of(push)?;
        let key = push.set.get(api::KEY_PROPERTY).and_then(|value| Key::parse(&value.to_plain()));
        let Some(key) = key else {
            let message = format!("a new document needs \"{}\", its key", api::KEY_PROPERTY);
            return Settled::refused(message, Some(api::KEY_PROPERTY)).stop();
        };
        let settable = [api::KEY_PROPERTY, NAME, CONTENT, CONTENT_TYPE];
        let mut change = PropertyChange::of(&self.declared, &push.set, &settable);
        for needed in [api::KEY_PROPERTY, NAME, CONTENT] {
            if let Some(reason) = change.parked().get(needed) {
                return Settled::refused(reason, Some(needed)).stop();
            }
            if push.set.get(needed).is_none_or(Value::is_null) {
                let message = format!("Clio takes no document without \"{needed}\"");
                return Settled::refused(message, Some(needed)).stop();
            }
        }
        change.take(api::KEY_PROPERTY);
        change.take(CONTENT);
        let found = clio.catalogue.current(errand).await?;
        let half_made = if task.doubtful || push.absent_in.is_none() {
            self.must_be_new(clio, errand, &found, &key).await?
        } else {
            None
        };
        let content = self.fetch(clio, push, source).await?;
        let ours = match &half_made {
            Some((_, handle)) => clio.must_hang_on_ours(errand, self, handle, &found).await?,
            None => clio.must_be_ours(errand, matter, &found).await?,
        };
        let upload = Upload { clio, errand, found: &found, ours, push, source };
        if let Some((id, _)) = half_made {
            return self.finish(&upload, id, content, change).await;
        }
        if change_lacks(&push.set, CONTENT_TYPE)
            && let Some(kind) = &content.object.content_type
        {
            change.put(CONTENT_TYPE, CONTENT_TYPE, json!(kind));
        }
        let to = ChangeWrite {
            method: Method::POST,
            url: clio.client.url(&self.resource().list(), &[(api::FIELDS, api::UPLOAD_FIELDS)]),
            if_match: None,
            beside: Map::from_iter([
                ("parent".to_owned(), json!({"id": matter, "type": "Matter"})),
                (
                    "external_properties".to_owned(),
                    json!([{"name": api::KEY_PROPERTY, "value": key.as_str()}]),
                ),
            ]),
            needed: &[NAME],
        };
        let answer = clio.write_change(errand, &mut change, &to).await?;
        let waiting = Waiting::of(&answer)?;
        let parked = change.parked().clone();
        let settled = self.fill(&upload, &waiting, content, None).await?;
        Ok(settled.with_parked(parked))
    }

    /// Stops if there is a whole document of this key among ours; gives id and handle of the one that an
    /// earlier attempt left half made.
    async fn must_be_new(
        &self,
        clio: &Clio,
        errand: &Errand,
        found: &Found,
        key: &Key,
    ) -> Result<Option<(u64, Json)>, Stop> {
        let url = clio.ours_url(self, found, &[(filter::PROPERTY_VALUE, key.as_str())], api::PAGE)?;
        let (body, _) = clio.client.get::<ListBody>(errand, &url).await?;
        let reading = self.understand(clio, errand, &body.data, found).await?;
        let same: Vec<Shown> =
            reading.records.into_iter().filter(|shown| shown.key.as_ref() == Some(key)).collect();
        if let [only] = same.as_slice()
            && only.fields.get(CONTENT) == Some(&Value::Null)
            && let Ok(id) = only.id.parse()
        {
            return Ok(Some((id, only.handle.clone())));
        }
        let what = format!("\"{}\" is `{key}`", api::KEY_PROPERTY);
        self.declared.only_one(same, &what, Some(api::KEY_PROPERTY))?;
        Ok(None)
    }

    /// Sets the name of a document, or gives it a new content.
    pub(super) async fn set(&self, work: Work<'_>) -> Pushed {
        let Work { clio, errand, task } = work;
        let push = &task.push;
        let (id, target) = target_of(self, push)?;
        let mut change = PropertyChange::of(&self.declared, &push.set, &[NAME, CONTENT, CONTENT_TYPE]);
        let has_content = change.has(CONTENT);
        let content_is_empty = push.set.get(CONTENT).is_some_and(Value::is_null);
        change.take(CONTENT);
        if content_is_empty {
            change.park(CONTENT, "a document cannot be without content; delete it instead");
        } else if !has_content && change.has(CONTENT_TYPE) {
            change.park(CONTENT_TYPE, "Clio takes a content type with a new content only");
        }
        let found = clio.catalogue.current(errand).await?;
        let replaces = has_content && !content_is_empty;
        // A new version cannot be made conditional: so the document is looked at before.
        let now = if replaces {
            Some(clio.read_one(errand, self, id, &found).await?)
        } else {
            clio.look_before(errand, self, task, &found).await?
        };
        let handle = now.as_ref().map_or(&target.handle, |shown| &shown.handle).clone();
        let is_half_made = now.as_ref().is_some_and(|now| now.fields.get(CONTENT) == Some(&Value::Null));
        if let Some(shown) = now {
            let mut expect: Fields = push.expect.clone();
            if is_half_made {
                // What broke off was our own.
                expect.remove(CONTENT);
            }
            self.declared.must_still_be(shown, &push.set, &expect, change.parked())?;
        }
        if !replaces {
            return clio.patch(errand, self, (id, &handle), change, &found).await;
        }
        let source = source_of(push)?;
        let content = self.fetch(clio, push, source).await?;
        let ours = clio.must_hang_on_ours(errand, self, &handle, &found).await?;
        let upload = Upload { clio, errand, found: &found, ours, push, source };
        if is_half_made {
            return self.finish(&upload, id, content, change).await;
        }
        let parked = change.parked().clone();
        let handle: Handle = serde_json::from_value(handle).unwrap_or_default();
        let waiting = self.new_version(&upload, id, handle.name.as_deref(), &content.object).await?;
        let settled = self.fill(&upload, &waiting, content, name_of(&change)).await?;
        Ok(settled.with_parked(parked))
    }

    /// Brings a document to its end that an earlier attempt left without its bytes. Where the storage takes them no more
    /// under the old address, a new version gets them.
    async fn finish(
        &self,
        upload: &Upload<'_>,
        id: u64,
        content: FetchedContent,
        change: PropertyChange,
    ) -> Result<Settled, Stop> {
        let Upload { clio, errand, .. } = upload;
        let (resource, parked) = (self.resource(), change.parked().clone());
        let url = clio.client.url(&resource.record(id), &[(api::FIELDS, api::UPLOAD_FIELDS)]);
        let (RecordBody::<Json> { data }, _) = clio.client.get(errand, &url).await?;
        let mut content = content;
        let object = content.object.clone();
        if let Some(ticket) = Ticket::of(&data) {
            let waiting = Waiting { id, ticket };
            match self.storage.put(&waiting.ticket, content).await {
                Ok(()) => {
                    let settled = self.complete(upload, &waiting, &object, name_of(&change)).await?;
                    return Ok(settled.with_parked(parked));
                }
                Err(Unsent::Refused(why)) => {
                    tracing::info!(why, "A document's upload cannot go on; a new version gets the content.");
                }
                Err(unsent @ Unsent::Failed(_)) => return Err(CallError::from(unsent).into()),
            }
            content = self.fetch(clio, upload.push, upload.source).await?;
        }
        let name = data.get(NAME).and_then(Json::as_str);
        let waiting = self.new_version(upload, id, name, &content.object).await?;
        let settled = self.fill(upload, &waiting, content, name_of(&change)).await?;
        Ok(settled.with_parked(parked))
    }

    /// A new version of a document, which waits for its bytes.
    async fn new_version(
        &self,
        upload: &Upload<'_>,
        id: u64,
        name: Option<&str>,
        object: &ContentObject,
    ) -> Result<Waiting, Stop> {
        let set = &upload.push.set;
        let text = |field: &str| set.get(field).and_then(Value::as_text);
        let mut data = json!({ "parent": {"id": id, "type": "Document"} });
        let put = |data: &mut Json, name: &str, value: Option<&str>| {
            if let (Some(data), Some(value)) = (data.as_object_mut(), value) {
                data.insert(name.to_owned(), json!(value));
            }
        };
        put(&mut data, NAME, name.or(text(NAME)));
        put(&mut data, CONTENT_TYPE, text(CONTENT_TYPE).or(object.content_type.as_deref()));
        let client = &upload.clio.client;
        let url = client.url(&self.resource().list(), &[(api::FIELDS, api::UPLOAD_FIELDS)]);
        let write = Write { method: Method::POST, url, if_match: None, data: Some(data) };
        let waiting = Waiting::of(&client.write(upload.errand, &write).await?)?;
        Ok(waiting)
    }

    /// Puts the bytes into a version that waits for them, and marks it as uploaded.
    async fn fill(
        &self,
        upload: &Upload<'_>,
        waiting: &Waiting,
        content: FetchedContent,
        name: Option<Json>,
    ) -> Result<Settled, Stop> {
        let object = content.object.clone();
        fail::fail_point!("clio.before-upload");
        self.storage.put(&waiting.ticket, content).await.map_err(CallError::from)?;
        fail::fail_point!("clio.after-upload");
        self.complete(upload, waiting, &object, name).await
    }

    /// Marks a version as uploaded. The bytes are not needed any more once Clio shows them whole: an attempt after this
    /// one finds the document as it should be.
    async fn complete(
        &self,
        upload: &Upload<'_>,
        waiting: &Waiting,
        object: &ContentObject,
        name: Option<Json>,
    ) -> Result<Settled, Stop> {
        let Upload { clio, errand, found, ours, .. } = upload;
        let mut data = Map::from_iter([
            ("uuid".to_owned(), json!(waiting.ticket.uuid)),
            ("fully_uploaded".to_owned(), json!(true)),
        ]);
        data.extend(name.map(|name| (NAME.to_owned(), name)));
        let write = Write {
            method: Method::PATCH,
            url: clio.record_url(self, Some(waiting.id)),
            if_match: None,
            data: Some(Json::Object(data)),
        };
        let answer = clio.client.write(errand, &write).await?;
        let settled = clio.written(errand, self, &answer, found, ours).await?;
        let size = object.size.to_string();
        let shown = settled.shown.as_ref().and_then(|shown| shown.fields.get(CONTENT));
        if shown.is_some_and(|shown| shown.to_plain() != size) {
            let message = format!("Clio shows a content of another size than the {size} bytes sent");
            return Err(answer.error(ErrorClass::Unknown, message).into());
        }
        self.contents.drop_content(object).await;
        Ok(settled)
    }
}

impl Documents {
    /// The content that is to be written.
    async fn fetch(&self, clio: &Clio, push: &PushRequest, source: &Source) -> Result<FetchedContent, Stop> {
        clio.client.must_be_signed_in().await?;
        let error = match self.contents.fetch(source, push.run).await {
            Ok(content) => return Ok(content),
            Err(error) => error,
        };
        match &error {
            // Nothing is at fault but the moment: it waits, which is no attempt.
            ContentError::NobodyThere(_) | ContentError::Silent(_) => {
                Err(CallError { class: ErrorClass::Limited(Some(BRIDGE_AWAY)), ..CallError::from(error) }
                    .into())
            }
            _ if error.class() == ErrorClass::Invalid => {
                Settled::refused(error.to_string(), Some(CONTENT)).stop()
            }
            _ if error.class() == ErrorClass::Transient => Err(Stop::Failed(Failure {
                class: FailureClass::Transient,
                message: error.to_string(),
                field: Some(CONTENT.to_owned()),
            })),
            _ => Err(CallError::from(error).into()),
        }
    }
}

impl Waiting {
    /// The version in the answer to a POST.
    fn of(answer: &databridge_http::Answer) -> Result<Self, CallError> {
        let RecordBody::<Json> { data } = read_body(answer, true)?;
        match (id_of(&data), Ticket::of(&data)) {
            (Some(id), Some(ticket)) => Ok(Self { id, ticket }),
            _ => Err(answer.error(ErrorClass::Unknown, "the answer does not say where the bytes go")),
        }
    }
}

/// The record whose content is to be written.
fn source_of(push: &PushRequest) -> Result<&Source, Stop> {
    match &push.source {
        Some(source) => Ok(source),
        None => {
            let message = "it does not say whose content it is: `source` is missing";
            Settled::refused(message, Some(CONTENT)).stop()
        }
    }
}

/// The new name, where there is one.
fn name_of(change: &PropertyChange) -> Option<Json> {
    change.data().remove(NAME)
}

fn change_lacks(set: &Fields, name: &str) -> bool {
    set.get(name).is_none_or(Value::is_null)
}
