//! Notes on matters and contacts.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clio::body::Data;
use crate::clio::collection::{Ask, Collection};
use crate::clio::collections::contacts::CONTACT;
use crate::clio::collections::matters::MATTER;
use crate::clio::collections::users::USER;
use crate::clio::filters::{contains, one_of};
use crate::clio::listing::Params;
use crate::clio::records::{Stamp, Store};
use crate::clio::refusal::Refusal;
use crate::clio::shape::{Nested, Shape};
use crate::clio::view::{Entity, Record, Shown, View};
use crate::clio::write::Writer;

/// A note.
pub(crate) static NOTE: Shape = Shape {
    kind: "Note",
    plain: &[
        "type",
        "subject",
        "detail",
        "detail_text_type",
        "date",
        "created_at",
        "updated_at",
        "time_entries_count",
    ],
    nested: &[
        ("matter", Nested::Base(&MATTER)),
        ("contact", Nested::Base(&CONTACT)),
        ("author", Nested::Base(&USER)),
    ],
    defaults: &[],
};

/// What a note is on. It never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum On {
    /// A matter, by its id.
    Matter(i64),
    /// A contact, by its id.
    Contact(i64),
}

impl On {
    /// The word in the property `type`.
    fn word(self) -> &'static str {
        match self {
            Self::Matter(_) => "Matter",
            Self::Contact(_) => "Contact",
        }
    }

    /// The matter's id, if it is one.
    pub(crate) fn matter(self) -> Option<i64> {
        match self {
            Self::Matter(id) => Some(id),
            Self::Contact(_) => None,
        }
    }

    /// The contact's id, if it is one.
    pub(crate) fn contact(self) -> Option<i64> {
        match self {
            Self::Matter(_) => None,
            Self::Contact(id) => Some(id),
        }
    }
}

/// A note.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Note {
    /// Its id.
    pub(crate) id: i64,
    /// What it is on.
    pub(crate) on: On,
    /// One line.
    pub(crate) subject: Option<String>,
    /// The text, with tags if it is rich.
    pub(crate) detail: Option<String>,
    /// Whether the text has tags.
    pub(crate) is_rich: bool,
    /// The day that it is for.
    pub(crate) date: NaiveDate,
    /// Id of the user who wrote it.
    pub(crate) author: i64,
    /// Its stamp.
    pub(crate) stamp: Stamp,
}

impl Note {
    /// An empty note that is not yet in the store.
    pub(crate) fn draft(on: On, author: i64, now: DateTime<Utc>) -> Self {
        Self {
            id: 0,
            on,
            subject: None,
            detail: None,
            is_rich: false,
            date: now.date_naive(),
            author,
            stamp: Stamp::new(now),
        }
    }

    /// The word in the property `detail_text_type`.
    pub(crate) fn text_type(&self) -> &'static str {
        if self.is_rich { "rich_text" } else { "plain_text" }
    }
}

impl Entity for Note {
    fn parts(&self) -> (&'static Shape, i64, &Stamp) {
        (&NOTE, self.id, &self.stamp)
    }

    fn property<'a>(&'a self, view: &View<'a>, name: &str) -> Shown<'a> {
        let store = view.store;
        Shown::Plain(match name {
            "matter" => return Shown::one(self.on.matter().and_then(|id| store.matters.get(&id))),
            "contact" => return Shown::one(self.on.contact().and_then(|id| store.contacts.get(&id))),
            "author" => return Shown::one(store.users.get(&self.author)),
            "type" => json!(self.on.word()),
            "subject" => json!(self.subject),
            "detail" => json!(self.detail),
            "detail_text_type" => json!(self.text_type()),
            "date" => json!(self.date),
            "time_entries_count" => json!(0),
            _ => Value::Null,
        })
    }
}

impl Store {
    /// Adds a note, giving it its id.
    pub(crate) fn add_note(&mut self, draft: Note) -> i64 {
        let id = self.new_id();
        self.notes.insert(id, Note { id, ..draft });
        id
    }
}

impl Writer<'_> {
    /// The note with the properties of a body.
    fn changed_note(&self, data: &Data<'_>, note: &Note) -> Result<Note, Refusal> {
        let mut changed = note.clone();
        if let Some(subject) = data.text("subject")? {
            changed.subject = self.line("subject", subject)?;
        }
        if let Some(detail) = data.text("detail")? {
            changed.detail = self.area("detail", detail)?;
        }
        if let Some(text_type) = data.text("detail_text_type")? {
            changed.is_rich = match text_type {
                Some("plain_text") => false,
                Some("rich_text") => true,
                _ => return Err(Refusal::invalid("detail_text_type must be plain_text or rich_text")),
            };
        }
        if let Some(date) = data.date("date")? {
            changed.date = date.ok_or_else(|| Refusal::invalid("date can't be blank"))?;
        }
        Ok(changed)
    }

    /// What a new note is on: the record that its type names.
    fn on(&self, data: &Data<'_>) -> Result<On, Refusal> {
        let needed = |name: &str| {
            let id = data.reference(name)?.flatten();
            id.ok_or_else(|| Refusal::invalid(format!("{name} can't be blank")))
        };
        let (on, exists) = match data.required_text("type")? {
            "Matter" => {
                let id = needed("matter")?;
                (On::Matter(id), self.store.matters.contains_key(&id))
            }
            "Contact" => {
                let id = needed("contact")?;
                (On::Contact(id), self.store.contacts.contains_key(&id))
            }
            _ => return Err(Refusal::invalid("type must be Matter or Contact")),
        };
        if !exists {
            return Err(Refusal::invalid(format!("{} does not exist", on.word().to_lowercase())));
        }
        Ok(on)
    }
}

/// All notes.
pub(crate) struct Notes;

impl Collection for Notes {
    fn shape(&self) -> &'static Shape {
        &NOTE
    }

    fn orders(&self) -> &'static [&'static str] {
        &["date", "updated_at"]
    }

    /// The type must be named, since version 4.0.10.
    fn list<'a>(&self, ask: &Ask<'a>, params: &Params) -> Result<Vec<Record<'a>>, Refusal> {
        let word = one_of("type", params.one("type"), &["Matter", "Contact"])?
            .ok_or_else(|| Refusal::bad_request("type is required"))?;
        let matter = params.id("matter_id")?;
        let contact = params.id("contact_id")?;
        let query = params.one("query");
        let has = |text: &Option<String>, part| text.as_ref().is_some_and(|text| contains(text, part));
        let found = ask.store.notes.values().filter(|note| {
            note.on.word() == word
                && (matter.is_none() || note.on.matter() == matter)
                && (contact.is_none() || note.on.contact() == contact)
                && query.is_none_or(|part| has(&note.subject, part) || has(&note.detail, part))
        });
        Ok(found.map(|note| Record::Of(note)).collect())
    }

    fn find<'a>(&self, ask: &Ask<'a>, id: i64) -> Option<Record<'a>> {
        ask.store.notes.get(&id).map(|note| Record::Of(note))
    }

    fn create(&self, writer: &mut Writer<'_>, data: &Data<'_>) -> Result<i64, Refusal> {
        let draft = Note::draft(writer.on(data)?, writer.user, writer.now);
        let note = writer.changed_note(data, &draft)?;
        Ok(writer.store.add_note(note))
    }

    fn update(&self, writer: &mut Writer<'_>, id: i64, data: &Data<'_>) -> Result<(), Refusal> {
        if data.is_empty() {
            return Ok(());
        }
        let note = writer.store.notes.get(&id).ok_or_else(|| Refusal::not_found("Note"))?;
        let mut changed = writer.changed_note(data, note)?;
        changed.stamp.touch(writer.now);
        writer.store.notes.insert(id, changed);
        Ok(())
    }

    fn destroy(&self, writer: &mut Writer<'_>, id: i64) -> Result<(), Refusal> {
        writer.store.notes.remove(&id).map(drop).ok_or_else(|| Refusal::not_found("Note"))
    }
}
