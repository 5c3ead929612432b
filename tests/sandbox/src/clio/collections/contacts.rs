//! Contacts.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clio::body::Data;
use crate::clio::collection::{Ask, Collection};
use crate::clio::filters::{contains, one_of};
use crate::clio::listing::Params;
use crate::clio::records::{Stamp, Store};
use crate::clio::refusal::Refusal;
use crate::clio::shape::Shape;
use crate::clio::view::{Entity, Record, Shown, View};
use crate::clio::write::Writer;

/// A contact.
pub(crate) static CONTACT: Shape = Shape {
    kind: "Contact",
    plain: &["name", "first_name", "last_name", "title", "type", "is_client", "created_at", "updated_at"],
    nested: &[],
    defaults: &[],
};

/// A contact.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Contact {
    /// Its id.
    pub(crate) id: i64,
    /// `Company` or `Person`.
    pub(crate) kind: String,
    /// The full name.
    pub(crate) name: String,
    /// A person's first name.
    pub(crate) first_name: Option<String>,
    /// A person's last name.
    pub(crate) last_name: Option<String>,
    /// A person's title.
    pub(crate) title: Option<String>,
    /// Its stamp.
    pub(crate) stamp: Stamp,
}

impl Store {
    /// Adds a contact.
    pub(crate) fn add_contact(&mut self, kind: &str, name: &str, now: DateTime<Utc>) -> i64 {
        let id = self.new_id();
        let contact = Contact {
            id,
            kind: kind.to_owned(),
            name: name.to_owned(),
            first_name: None,
            last_name: None,
            title: None,
            stamp: Stamp::new(now),
        };
        self.contacts.insert(id, contact);
        id
    }
}

/// The contacts that pass. The search looks at names, titles and the matters of a client.
fn contacts<'a>(store: &'a Store, params: &Params) -> Result<Vec<Record<'a>>, Refusal> {
    let kind = one_of("type", params.one("type"), &["Company", "Person"])?;
    let query = params.one("query");
    let client_only = params.flag("client_only")?.unwrap_or(false);
    let found = store.contacts.values().filter(|contact| {
        let mut matters = store.matters.values().filter(|matter| matter.client == contact.id);
        kind.is_none_or(|kind| contact.kind == kind)
            && (!client_only || matters.clone().next().is_some())
            && query.is_none_or(|part| {
                contains(&contact.name, part)
                    || contact.title.as_ref().is_some_and(|title| contains(title, part))
                    || matters.any(|matter| contains(&matter.display_number, part))
            })
    });
    Ok(found.map(|record| Record::Of(record)).collect())
}

impl Writer<'_> {
    /// Makes a contact and gives its id. A person may have first and last name instead of a name.
    fn create_contact(&mut self, data: &Data<'_>) -> Result<i64, Refusal> {
        let kind = data.required_text("type")?;
        if kind != "Company" && kind != "Person" {
            return Err(Refusal::invalid("type must be Person or Company"));
        }
        let first = data.text("first_name")?.flatten();
        let last = data.text("last_name")?.flatten();
        let name = match (data.unblank_text("name")?, first, last) {
            (Some(name), ..) => name.to_owned(),
            (None, Some(first), Some(last)) if kind == "Person" => format!("{first} {last}"),
            _ => return Err(Refusal::invalid("name can't be blank")),
        };
        let title = data.text("title")?.flatten().map(str::to_owned);
        let id = self.store.add_contact(kind, &name, self.now);
        if let Some(contact) = self.store.contacts.get_mut(&id) {
            contact.first_name = first.map(str::to_owned);
            contact.last_name = last.map(str::to_owned);
            contact.title = title;
        }
        Ok(id)
    }
}

impl Entity for Contact {
    fn parts(&self) -> (&'static Shape, i64, &Stamp) {
        (&CONTACT, self.id, &self.stamp)
    }

    fn property<'a>(&'a self, view: &View<'a>, name: &str) -> Shown<'a> {
        Shown::Plain(match name {
            "name" => json!(self.name),
            "first_name" => json!(self.first_name),
            "last_name" => json!(self.last_name),
            "title" => json!(self.title),
            "type" => json!(self.kind),
            "is_client" => json!(view.store.matters.values().any(|matter| matter.client == self.id)),
            _ => Value::Null,
        })
    }
}

/// All contacts.
pub(crate) struct Contacts;

impl Collection for Contacts {
    fn shape(&self) -> &'static Shape {
        &CONTACT
    }

    fn orders(&self) -> &'static [&'static str] {
        &["name"]
    }

    fn list<'a>(&self, ask: &Ask<'a>, params: &Params) -> Result<Vec<Record<'a>>, Refusal> {
        contacts(ask.store, params)
    }

    fn find<'a>(&self, ask: &Ask<'a>, id: i64) -> Option<Record<'a>> {
        ask.store.contacts.get(&id).map(|record| Record::Of(record))
    }

    fn create(&self, writer: &mut Writer<'_>, data: &Data<'_>) -> Result<i64, Refusal> {
        writer.create_contact(data)
    }
}
