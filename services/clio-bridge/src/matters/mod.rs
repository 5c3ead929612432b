//! Matters of our group and practice area ("Matters").

mod change;
mod push;
mod read;

use std::collections::{BTreeMap, BTreeSet};

use databridge_bridge::Shown;
use databridge_http::{CallError, ErrorClass};
use databridge_model::{FieldType, Parked};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value as Json;

use crate::api::{self, Resource, filter};
use crate::clio::Clio;
use crate::declared::Declared;
use crate::errand::Errand;
use crate::found::Found;
use crate::kind::{Filters, Kind, Pushed, Reading, Work};
use crate::settings::{BridgeSettings, CustomFieldSettings, CustomFieldType};
use crate::whose::OurMatters;

/// The name of the one field of a matter that is no custom field.
pub(crate) const DESCRIPTION: &str = "description";

/// The collection `matters`.
#[derive(Clone, Debug)]
pub(crate) struct Matters {
    pub(crate) declared: Declared,
    custom_fields: BTreeMap<String, CustomFieldSettings>,
}

impl Matters {
    /// The collection's name.
    pub(crate) const NAME: &str = "matters";

    /// As the system file has them; what is wrong there is told.
    pub(crate) fn new(declared: Declared, settings: &BridgeSettings, wrong: &mut Vec<String>) -> Self {
        wrong.extend(problems(&declared, settings));
        Self { declared, custom_fields: settings.custom_fields.clone() }
    }

    /// The name of the key field, which is a custom field.
    pub(crate) fn key(&self) -> &str {
        &self.declared.collection.key
    }

    /// The type of one of our custom fields.
    pub(crate) fn custom_field_type(&self, name: &str) -> Option<CustomFieldType> {
        self.custom_fields.get(name).map(|field| field.kind)
    }

    /// The names of the fields that are custom fields.
    pub(crate) fn custom_fields(&self) -> impl Iterator<Item = &str> {
        self.declared.collection.fields.keys().map(String::as_str).filter(|name| *name != DESCRIPTION)
    }

    /// Why a custom field of ours is not to be used.
    pub(crate) fn gone(&self, name: &str) -> String {
        let kind = self.custom_field_type(name).map_or("any", CustomFieldType::as_str);
        format!(
            "Clio has no custom field \"{name}\" of type {kind} for matters (any more): it was deleted or renamed there; \
             name it so again, or run `databridge bootstrap` to make it"
        )
    }
}

impl Kind for Matters {
    fn declared(&self) -> &Declared {
        &self.declared
    }

    fn resource(&self) -> &'static Resource {
        &api::MATTERS
    }

    fn ours(&self, found: &Found) -> Result<Filters, CallError> {
        if !found.custom_fields.contains_key(self.key()) {
            return Err(CallError {
                class: ErrorClass::Invalid,
                call: "GET matters".to_owned(),
                message: self.gone(self.key()),
            });
        }
        Ok(vec![
            (filter::GROUP, found.group_id.to_string()),
            (filter::PRACTICE_AREA, found.practice_area_id.to_string()),
        ])
    }

    fn hangs_on_matters(&self) -> bool {
        false
    }

    fn matter_of(&self, _found: &Found, _json: &Json) -> Option<u64> {
        None
    }

    fn read(&self, found: &Found, _ours: &OurMatters, page: &[Json]) -> Reading {
        self.read_all(found, page).reading
    }

    fn notices(&self, found: &Found) -> Vec<Parked> {
        let gone = self.custom_fields().filter(|name| !found.custom_fields.contains_key(*name));
        gone.map(|name| self.declared.notice(Some(name), self.gone(name))).collect()
    }

    fn depends_on_custom_fields(&self) -> bool {
        true
    }

    fn understand<'a>(
        &'a self,
        clio: &'a Clio,
        errand: &'a Errand,
        page: &'a [Json],
        found: &'a Found,
    ) -> BoxFuture<'a, Result<Reading, CallError>> {
        async move {
            let read = self.read_all(found, page);
            clio.note_ours(&read.reading.records);
            if !read.unknown.is_empty() {
                if let Some(fresh) = clio.catalogue.explain(&read.unknown, errand).await? {
                    return Ok(self.read_all(&fresh, page).reading);
                }
            } else if read.may_lack_a_field(found) {
                let fresh = clio.catalogue.of_last_minute(errand).await?;
                if fresh.custom_fields != found.custom_fields {
                    return Ok(self.read_all(&fresh, page).reading);
                }
            }
            Ok(read.reading)
        }
        .boxed()
    }

    fn read_written<'a>(
        &'a self,
        clio: &'a Clio,
        errand: &'a Errand,
        record: &'a Json,
        found: &'a Found,
        _ours: &'a OurMatters,
    ) -> BoxFuture<'a, Option<Shown>> {
        async move {
            let page = std::slice::from_ref(record);
            let mut read = self.read_all(found, page);
            clio.note_ours(&read.reading.records);
            if !read.unknown.is_empty() {
                // The write is done: a failure to understand all of the answer is none of the write.
                if let Ok(again) = self.understand(clio, errand, page, found).await {
                    read.reading = again;
                }
            }
            read.reading.records.pop()
        }
        .boxed()
    }

    fn create<'a>(&'a self, work: Work<'a>) -> BoxFuture<'a, Pushed> {
        self.make(work).boxed()
    }

    fn update<'a>(&'a self, work: Work<'a>) -> BoxFuture<'a, Pushed> {
        self.set(work).boxed()
    }
}

fn problems(declared: &Declared, settings: &BridgeSettings) -> Vec<String> {
    let mut wrong = Vec::new();
    let collection = &declared.collection;
    for (name, decl) in &collection.fields {
        match settings.custom_fields.get(name) {
            _ if name == DESCRIPTION => {
                if decl.kind != FieldType::Text {
                    wrong.push("`description` is text".to_owned());
                }
            }
            None => wrong.push(format!(
                "field \"{name}\" is neither `description` nor a custom field; add [bridge.custom_fields.\"{name}\"]"
            )),
            Some(field) if !field.kind.holds(&decl.kind) => wrong.push(format!(
                "field \"{name}\" is declared {}, which a custom field of type {} does not hold",
                decl.kind, field.kind
            )),
            Some(_) => {}
        }
    }
    if collection.key == DESCRIPTION || collection.field(&collection.key).is_none() {
        wrong.push(format!(
            "the key \"{}\" must be a custom field that is declared in `fields`",
            collection.key
        ));
    }
    for (name, field) in &settings.custom_fields {
        let different: BTreeSet<_> = field.options.iter().collect();
        if different.len() != field.options.len() {
            wrong.push(format!("custom field \"{name}\" names an option twice"));
        }
        if field.kind != CustomFieldType::Picklist && !field.options.is_empty() {
            wrong.push(format!("custom field \"{name}\" has options and is no picklist"));
        }
    }
    wrong
}
