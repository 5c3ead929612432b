//! Listings while people work in Clio.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use databridge_bridge::Shown;
use databridge_model::Value;
use listings::{People, hold};
use sandbox::Admin;
use sandbox::clio::hand::{EntryEdit, MatterEdit, NewEntry, NewNote, NoteEdit};
use tokio::runtime::Runtime;

use crate::office::{Office, WARRANT};

/// The custom field that the people give values.
const LOCATION: &str = "Location";

fn told(shown: &Shown, field: &str) -> (String, String) {
    match shown.fields.get(field) {
        Some(Value::Text(text)) => (shown.id.clone(), text.clone()),
        other => panic!("{other:?}"),
    }
}

/// An office, and a matter of ours in it.
fn office(runtime: &Runtime) -> (Office, i64) {
    runtime.block_on(async {
        let office = Office::ready().await;
        let matter = office.add("E-1", &[]).await.id;
        (office, matter)
    })
}

/// They open, change and delete matters.
struct OnMatters(Office);

impl People for OnMatters {
    async fn add(&self, value: &str) -> anyhow::Result<()> {
        self.0.add(&value.replace(' ', "-"), &[(LOCATION, value)]).await;
        Ok(())
    }

    async fn edit(&self, id: &str, value: &str) -> anyhow::Result<()> {
        self.0.admin.edit_matter(id.parse()?, &MatterEdit::field(LOCATION, Some(value))).await?;
        Ok(())
    }

    async fn remove(&self, id: &str) -> anyhow::Result<()> {
        Ok(self.0.admin.delete_matter(id.parse()?).await?)
    }

    fn admin(&self) -> &Admin {
        &self.0.admin
    }

    async fn living(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let matters = self.0.admin.matters().await?.into_iter();
        let has = |fields: &BTreeMap<String, Option<String>>, name: &str| fields.get(name).cloned().flatten();
        let ours = matters.filter(|matter| has(&matter.custom_fields, WARRANT).is_some());
        Ok(ours
            .map(|matter| (matter.id.to_string(), has(&matter.custom_fields, LOCATION).unwrap_or_default()))
            .collect())
    }

    fn told(&self, shown: &Shown) -> (String, String) {
        told(shown, LOCATION)
    }
}

#[test]
fn no_matter_is_missed_or_comes_twice_while_people_open_edit_and_delete_others() {
    let runtime = Runtime::new().unwrap();
    let people = OnMatters(runtime.block_on(Office::ready()));
    hold(&runtime, &people.0.system, "matters", &people).unwrap();
}

/// They write, change and delete notes on a matter.
struct OnNotes(Office, i64);

impl People for OnNotes {
    async fn add(&self, value: &str) -> anyhow::Result<()> {
        let (subject, detail) = ("Call".to_owned(), value.to_owned());
        self.0.admin.add_note(&NewNote { matter: self.1, subject, detail, ..NewNote::default() }).await?;
        Ok(())
    }

    async fn edit(&self, id: &str, value: &str) -> anyhow::Result<()> {
        let edit = NoteEdit { detail: Some(value.to_owned()), ..NoteEdit::default() };
        self.0.admin.edit_note(id.parse()?, &edit).await?;
        Ok(())
    }

    async fn remove(&self, id: &str) -> anyhow::Result<()> {
        Ok(self.0.admin.delete_note(id.parse()?).await?)
    }

    fn admin(&self) -> &Admin {
        &self.0.admin
    }

    async fn living(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let ours = self.0.admin.notes().await?.into_iter().filter(|note| note.matter == Some(self.1));
        Ok(ours.map(|note| (note.id.to_string(), note.detail.unwrap_or_default())).collect())
    }

    fn told(&self, shown: &Shown) -> (String, String) {
        told(shown, "detail")
    }
}

#[test]
fn no_note_is_missed_or_comes_twice_while_people_write_edit_and_delete_others() {
    let runtime = Runtime::new().unwrap();
    let (office, matter) = office(&runtime);
    let people = OnNotes(office, matter);
    hold(&runtime, &people.0.system, "notes", &people).unwrap();
}

/// They enter, change and delete court dates of a matter.
struct OnEntries(Office, i64);

impl People for OnEntries {
    async fn add(&self, value: &str) -> anyhow::Result<()> {
        let start = self.0.admin.now().await? + TimeDelta::days(30);
        let entry = NewEntry::new("NP Clinic Calendar", value, start, start + TimeDelta::minutes(30));
        self.0.admin.add_calendar_entry(&entry.on(self.1)).await?;
        Ok(())
    }

    async fn edit(&self, id: &str, value: &str) -> anyhow::Result<()> {
        let edit = EntryEdit { summary: Some(value.to_owned()), ..EntryEdit::default() };
        self.0.admin.edit_calendar_entry(id.parse()?, &edit).await?;
        Ok(())
    }

    async fn remove(&self, id: &str) -> anyhow::Result<()> {
        Ok(self.0.admin.delete_calendar_entry(id.parse()?).await?)
    }

    fn admin(&self) -> &Admin {
        &self.0.admin
    }

    async fn living(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let ours = self.0.admin.calendar_entries().await?.into_iter();
        let ours = ours.filter(|entry| entry.matter == Some(self.1));
        Ok(ours.map(|entry| (entry.id.to_string(), entry.summary)).collect())
    }

    fn told(&self, shown: &Shown) -> (String, String) {
        told(shown, "summary")
    }
}

#[test]
fn no_court_date_is_missed_or_comes_twice_while_people_enter_move_and_delete_others() {
    let runtime = Runtime::new().unwrap();
    let (office, matter) = office(&runtime);
    let people = OnEntries(office, matter);
    hold(&runtime, &people.0.system, "calendar_entries", &people).unwrap();
}
