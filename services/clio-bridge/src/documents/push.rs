//! Pushes to documents: two calls of Clio and an upload for each content.

use std::time::Duration;

use databridge_bridge::{ContentError, PushTask, Shown};
use databridge_http::{CallError, ErrorClass};
use databridge_model::{Failure, FailureClass, Fields, Key, PushRequest, Source, Value};
use reqwest::Method;
use serde_json::{Map, Value as Json, json};

use super::delivery::{Delivery, Guard, Waiting};
use super::{CONTENT, CONTENT_TYPE, Documents, Handle, NAME, key_of};
use crate::api::{self, filter};
use crate::clio::Clio;
use crate::content_source::FetchedContent;
use crate::errand::Errand;
use crate::found::Found;
use crate::kind::{Kind, Pushed, Work};
use crate::property_change::PropertyChange;
use crate::push::{Change, ChangeWrite, Settled, Stop, parent_of, target_of};

/// Where Clio keeps what others note of a record ("External properties").
const EXTERNAL_PROPERTIES: &str = "external_properties";

/// A push that waits for a bridge to come back waits so long each time.
const BRIDGE_AWAY: Duration = Duration::from_secs(30);
/// The same where the bridge fell silent: another, or the same one anew, may be there already.
const BRIDGE_SILENT: Duration = Duration::from_secs(2);

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
        let delivery = Delivery { documents: self, clio, errand, found: &found, ours, push, source };
        if let Some((id, handle)) = half_made {
            let parked = change.parked().clone();
            let settled =
                delivery.finish(id, &Handle::read(&handle), content, beside_content(&change)).await?;
            return Ok(settled.with_parked(parked));
        }
        if push.set.get(CONTENT_TYPE).is_none_or(Value::is_null)
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
                (EXTERNAL_PROPERTIES.to_owned(), json!([{"name": api::KEY_PROPERTY, "value": key.as_str()}])),
            ]),
            needed: &[NAME],
        };
        let answer = clio.write_change(errand, &mut change, &to).await?;
        let waiting = Waiting::of(&answer)?;
        let settled = delivery.fill(&waiting, content, Map::new(), Guard::New).await?;
        Ok(settled.with_parked(change.parked().clone()))
    }

    /// Stops if there is a whole document of this key among ours; gives id and handle of the one that an earlier attempt
    /// left half made.
    async fn must_be_new(
        &self,
        clio: &Clio,
        errand: &Errand,
        found: &Found,
        key: &Key,
    ) -> Result<Option<(u64, Json)>, Stop> {
        let all = clio.all_of_ours(errand, self, found, &[(filter::PROPERTY_VALUE, key.as_str())]).await?;
        // What else Clio shows is not looked at more closely.
        let same: Vec<_> = all
            .into_iter()
            .filter(|json| key_of(json).as_deref().map(str::trim) == Some(key.as_str()))
            .collect();
        let reading = self.understand(clio, errand, &same, found).await?;
        let same: Vec<Shown> =
            reading.records.into_iter().filter(|shown| shown.key.as_ref() == Some(key)).collect();
        if let [only] = same.as_slice()
            && is_stub(only)
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
        let settable = [api::KEY_PROPERTY, NAME, CONTENT, CONTENT_TYPE];
        let mut change = PropertyChange::of(&self.declared, &push.set, &settable);
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
        let known = Handle::read(&target.handle);
        let is_unknown = (replaces && !known.tells_its_version())
            || (change.has(api::KEY_PROPERTY) && known.property.is_none());
        let now = if is_unknown {
            Some(clio.read_one(errand, self, id, &found).await?)
        } else {
            clio.look_before(errand, self, task, &found).await?
        };
        let handle = now.as_ref().map_or(&target.handle, |shown| &shown.handle).clone();
        if let Some(shown) = now {
            self.must_be_as_expected(shown, task, &change)?;
        }
        if change.has(api::KEY_PROPERTY) {
            rename_source(&mut change, push, &Handle::read(&handle));
        }
        if !replaces {
            return clio.patch(errand, self, (id, &handle), change, &found).await;
        }
        let source = source_of(push)?;
        let content = self.fetch(clio, push, source).await?;
        let ours = clio.must_hang_on_ours(errand, self, &handle, &found).await?;
        let delivery = Delivery { documents: self, clio, errand, found: &found, ours, push, source };
        let (handle, beside) = (Handle::read(&handle), beside_content(&change));
        let settled = if handle.unfinished {
            delivery.finish(id, &handle, content, beside).await?
        } else {
            delivery.replace(id, &handle, content, beside).await?
        };
        Ok(settled.with_parked(change.parked().clone()))
    }

    fn must_be_as_expected(
        &self,
        shown: Shown,
        task: &PushTask,
        change: &PropertyChange,
    ) -> Result<(), Stop> {
        let mut expect: Fields = task.push.expect.clone();
        if is_stub(&shown) {
            // What broke off was our own.
            expect.remove(CONTENT);
        }
        self.declared.must_still_be(shown, &task.push.set, &expect, change.parked())
    }

    /// The content that is to be written.
    pub(super) async fn fetch(
        &self,
        clio: &Clio,
        push: &PushRequest,
        source: &Source,
    ) -> Result<FetchedContent, Stop> {
        clio.client.must_be_signed_in().await?;
        let error = match self.contents.fetch(source, push.run).await {
            Ok(content) => return Ok(content),
            Err(error) => error,
        };
        match &error {
            // Nothing is at fault but the moment: it waits, which is no attempt.
            ContentError::NobodyThere(_) | ContentError::Silent(_) => {
                let is_silent = matches!(error, ContentError::Silent(_));
                let wait = if is_silent { BRIDGE_SILENT } else { BRIDGE_AWAY };
                Err(CallError { class: ErrorClass::Limited(Some(wait)), ..CallError::from(error) }.into())
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

/// The document is a copy of another record now: the property that says so is changed, not another one added.
fn rename_source(change: &mut PropertyChange, push: &PushRequest, handle: &Handle) {
    let key = push.set.get(api::KEY_PROPERTY).and_then(|value| Key::parse(&value.to_plain()));
    change.take(api::KEY_PROPERTY);
    match (key, handle.property) {
        (Some(key), Some(id)) => {
            let renamed = json!([{"id": id, "value": key.as_str()}]);
            change.put(api::KEY_PROPERTY, EXTERNAL_PROPERTIES, renamed);
        }
        (None, _) => change.park(api::KEY_PROPERTY, "a document needs its key: whose copy it is"),
        (_, None) => change.park(api::KEY_PROPERTY, "Clio does not show the property that holds it"),
    }
}

/// Whether a document has no content: its first upload was begun and not marked as done.
fn is_stub(shown: &Shown) -> bool {
    shown.fields.get(CONTENT) == Some(&Value::Null)
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

/// What is written with the mark that a content is whole: the name, and whose copy it is.
fn beside_content(change: &PropertyChange) -> Map<String, Json> {
    let mut data = change.data();
    data.retain(|name, _| name == NAME || name == EXTERNAL_PROPERTIES);
    data
}
