//! Finding what the bridge needs in Clio, and making what is not there.
//!
//! Everything goes by its exact name over all pages: a name that is only alike is somebody else's. What is found is
//! checked whole before anything is made, so a second run after a failure finds what the first one made.

use std::collections::BTreeMap;

use databridge_http::CallError;
use databridge_runtime::Clock;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::api::{self, Resource, filter};
use crate::client::{ClioClient, Write};
use crate::definitions::{self, Definition};
use crate::errand::Errand;
use crate::found::{Found, FoundField};
use crate::pages::RecordBody;
use crate::settings::{BridgeSettings, CustomFieldSettings};

/// What a bootstrap came to, in a person's words: `group "NP Clinic" (17)`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What was there.
    pub found: Vec<String>,
    /// What was made.
    pub made: Vec<String>,
}

/// Clio could not be made ready.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BootstrapError {
    /// A call failed.
    #[error("{0}; what was made so far stays, and `databridge bootstrap` goes on from there")]
    Call(#[from] CallError),
    /// Clio has what a person must put in order first. Nothing was made.
    #[error("{}", .0.join("\n"))]
    Disorder(Vec<String>),
    /// What was made does not show as it should.
    #[error("{0}")]
    NotMade(String),
}

/// A group, practice area, contact or calendar.
#[derive(Clone, Debug, Deserialize)]
struct Named {
    id: u64,
    name: String,
    /// What we may do with it, for a calendar.
    #[serde(default)]
    permission: Option<String>,
}

/// What Clio has, by what is wanted.
struct Stock {
    group: Option<u64>,
    practice_area: Option<u64>,
    client: Option<u64>,
    calendar: Option<u64>,
    custom_fields: BTreeMap<String, Definition>,
}

/// Finds group, practice area, client, calendar and custom fields with their options, and makes those that are not there.
///
/// It may be run any number of times. With a limit of 50 calls a minute it may take a minute.
pub async fn bootstrap(
    client: &ClioClient,
    settings: &BridgeSettings,
    clock: &Clock,
) -> Result<(Found, Report), BootstrapError> {
    let bootstrap = Bootstrap { client, settings, errand: Errand::patient() };
    let stock = bootstrap.take_stock().await?;
    let mut report = Report::default();
    let matters = &settings.matters;
    let group_id = bootstrap.group(stock.group, &mut report).await?;
    let practice_area_id = bootstrap.practice_area(stock.practice_area, &mut report).await?;
    let client_id = bootstrap.contact(stock.client, &mut report).await?;
    let calendar_id = match &settings.calendar {
        Some(calendar) => {
            let data = json!({ "name": calendar.name });
            let made =
                bootstrap.find_or_make(stock.calendar, &api::CALENDARS, &calendar.name, data, &mut report);
            Some(made.await?)
        }
        None => None,
    };
    let mut custom_fields = BTreeMap::new();
    for (name, field) in &settings.custom_fields {
        let found = bootstrap.custom_field(name, field, stock.custom_fields.get(name), &mut report).await?;
        custom_fields.insert(name.clone(), found);
    }
    tracing::info!(
        group = matters.group,
        made = report.made.len(),
        found = report.found.len(),
        "Clio is ready."
    );
    Ok((
        Found { group_id, practice_area_id, client_id, calendar_id, custom_fields, read_at: clock.now() },
        report,
    ))
}

struct Bootstrap<'a> {
    client: &'a ClioClient,
    settings: &'a BridgeSettings,
    errand: Errand,
}

impl Bootstrap<'_> {
    async fn take_stock(&self) -> Result<Stock, BootstrapError> {
        let matters = &self.settings.matters;
        let mut disorder = Vec::new();
        let groups = self.named(&api::GROUPS, &[]).await?;
        let areas = self.named(&api::PRACTICE_AREAS, &[]).await?;
        let contacts = self.contacts().await?;
        let stock = Stock {
            group: only("groups", &matters.group, &groups, &mut disorder),
            practice_area: only("practice areas", &matters.practice_area, &areas, &mut disorder),
            client: only("contacts", &matters.client.name, &contacts, &mut disorder),
            calendar: match &self.settings.calendar {
                Some(calendar) => self.calendar(&calendar.name, &mut disorder).await?,
                None => None,
            },
            custom_fields: self.custom_fields(&mut disorder).await?,
        };
        if disorder.is_empty() { Ok(stock) } else { Err(BootstrapError::Disorder(disorder)) }
    }

    async fn named(&self, of: &Resource, filters: &[(&str, &str)]) -> Result<Vec<Named>, CallError> {
        let all = self.client.all(&self.errand, of, filters).await?;
        Ok(all.into_iter().filter_map(|json| serde_json::from_value(json).ok()).collect())
    }

    /// Our calendar, which we must be able to write to.
    async fn calendar(&self, name: &str, disorder: &mut Vec<String>) -> Result<Option<u64>, CallError> {
        let calendars = self.named(&api::CALENDARS, &[]).await?;
        let found = only("calendars", name, &calendars, disorder);
        let ours = calendars.iter().find(|calendar| Some(calendar.id) == found);
        let permission = ours.and_then(|calendar| calendar.permission.as_deref());
        if let (Some(id), Some(permission)) = (found, permission)
            && !api::WRITING_PERMISSIONS.contains(&permission)
        {
            disorder.push(format!(
                "the calendar \"{name}\" ({id}) is shared with us as {permission}; share it as editor in Clio"
            ));
        }
        Ok(found)
    }

    /// Contacts of the client's type and name. The search spares the reading of an office's whole address book; where it
    /// finds nothing, all are read, because an index may lag behind.
    async fn contacts(&self) -> Result<Vec<Named>, CallError> {
        let client = &self.settings.matters.client;
        let kind = (filter::CONTACT_TYPE, client.kind.as_str());
        let searched = self.named(&api::CONTACTS, &[kind, (filter::SEARCH, &client.name)]).await?;
        if searched.iter().any(|contact| contact.name == client.name) {
            return Ok(searched);
        }
        self.named(&api::CONTACTS, &[kind]).await
    }

    async fn custom_fields(
        &self,
        disorder: &mut Vec<String>,
    ) -> Result<BTreeMap<String, Definition>, CallError> {
        let all = definitions::read(self.client, &self.errand).await?;
        let mut ours = BTreeMap::new();
        for (name, settings) in &self.settings.custom_fields {
            let mut named = all.iter().filter(|field| field.name == *name);
            match (named.next(), named.next()) {
                (Some(one), Some(other)) => disorder.push(format!(
                    "Clio has two custom fields \"{name}\" for matters, {} and {}; rename or delete one of them",
                    one.id, other.id
                )),
                (Some(field), None) if field.field_type != settings.kind.as_str() => disorder.push(format!(
                    "Clio's custom field \"{name}\" ({}) is of type {} and should be {}; rename it in Clio, or change \
                     its type in config/systems/clio.toml",
                    field.id, field.field_type, settings.kind
                )),
                (Some(field), None) => {
                    ours.insert(name.clone(), field.clone());
                }
                (None, _) => {}
            }
        }
        Ok(ours)
    }

    async fn group(&self, found: Option<u64>, report: &mut Report) -> Result<u64, BootstrapError> {
        let name = &self.settings.matters.group;
        self.find_or_make(found, &api::GROUPS, name, json!({ "name": name }), report).await
    }

    async fn practice_area(&self, found: Option<u64>, report: &mut Report) -> Result<u64, BootstrapError> {
        let name = &self.settings.matters.practice_area;
        self.find_or_make(found, &api::PRACTICE_AREAS, name, json!({ "name": name }), report).await
    }

    async fn contact(&self, found: Option<u64>, report: &mut Report) -> Result<u64, BootstrapError> {
        let client = &self.settings.matters.client;
        let data = json!({ "name": client.name, "type": client.kind.as_str() });
        self.find_or_make(found, &api::CONTACTS, &client.name, data, report).await
    }

    async fn find_or_make(
        &self,
        found: Option<u64>,
        of: &Resource,
        name: &str,
        data: Json,
        report: &mut Report,
    ) -> Result<u64, BootstrapError> {
        let what = format!("{} \"{name}\"", of.singular);
        if let Some(id) = found {
            report.found.push(format!("{what} ({id})"));
            return Ok(id);
        }
        let made: Named = self.write(Method::POST, of, &of.list(), data).await?;
        report.made.push(format!("{what} ({})", made.id));
        Ok(made.id)
    }

    async fn custom_field(
        &self,
        name: &str,
        settings: &CustomFieldSettings,
        found: Option<&Definition>,
        report: &mut Report,
    ) -> Result<FoundField, BootstrapError> {
        let options =
            |missing: &[&String]| missing.iter().map(|label| json!({ "option": label })).collect::<Json>();
        let definition = if let Some(field) = found {
            report.found.push(format!("custom field \"{name}\" ({})", field.id));
            let there = field.options();
            let missing: Vec<_> =
                settings.options.iter().filter(|label| !there.contains_key(*label)).collect();
            if missing.is_empty() {
                return Ok(field.found(settings));
            }
            let data = json!({ "picklist_options": options(&missing) });
            let path = api::CUSTOM_FIELDS.record(field.id);
            let changed: Definition = self.write(Method::PATCH, &api::CUSTOM_FIELDS, &path, data).await?;
            report.made.extend(missing.iter().map(|label| format!("option \"{label}\" of \"{name}\"")));
            changed
        } else {
            let mut data = json!({
                "name": name, "parent_type": api::PARENT_TYPE_SHOWN, "field_type": settings.kind.as_str(),
            });
            if let (Some(data), false) = (data.as_object_mut(), settings.options.is_empty()) {
                let all: Vec<_> = settings.options.iter().collect();
                data.insert("picklist_options".to_owned(), options(&all));
            }
            let made: Definition =
                self.write(Method::POST, &api::CUSTOM_FIELDS, &api::CUSTOM_FIELDS.list(), data).await?;
            report.made.push(format!("custom field \"{name}\" ({})", made.id));
            made
        };
        let field = definition.found(settings);
        let lacking = |field: &FoundField| {
            settings.options.iter().find(|label| !field.options.contains_key(*label)).cloned()
        };
        if lacking(&field).is_none() {
            return Ok(field);
        }
        // The answer to a write need not show the options just made.
        let field = self.read_back(definition.id).await?.found(settings);
        match lacking(&field) {
            None => Ok(field),
            Some(label) => Err(BootstrapError::NotMade(format!(
                "Clio took the option \"{label}\" of \"{name}\" and does not show it; add it in Clio by hand, then run \
                 `databridge bootstrap` again"
            ))),
        }
    }

    async fn read_back(&self, id: u64) -> Result<Definition, CallError> {
        let of = &api::CUSTOM_FIELDS;
        let url = self.client.url(&of.record(id), &[(api::FIELDS, of.fields)]);
        let (RecordBody { data }, _) = self.client.get(&self.errand, &url).await?;
        Ok(data)
    }

    async fn write<T: serde::de::DeserializeOwned>(
        &self,
        method: Method,
        of: &Resource,
        path: &str,
        data: Json,
    ) -> Result<T, BootstrapError> {
        let url = self.client.url(path, &[(api::FIELDS, of.fields)]);
        let write = Write { method, url, if_match: None, data: Some(data) };
        let answer = self.client.write(&self.errand, &write).await?;
        Ok(answer.json::<RecordBody<T>>(true)?.data)
    }
}

/// The one record of exactly this name.
fn only(kind: &str, name: &str, all: &[Named], disorder: &mut Vec<String>) -> Option<u64> {
    let ids: Vec<_> =
        all.iter().filter(|record| record.name == name).map(|record| record.id.to_string()).collect();
    if ids.len() > 1 {
        disorder.push(format!(
            "Clio has {} {kind} named \"{name}\": {}; rename or delete all but one of them",
            ids.len(),
            ids.join(" and ")
        ));
    }
    all.iter().find(|record| record.name == name).map(|record| record.id)
}
