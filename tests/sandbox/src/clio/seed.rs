//! What the account holds before the bridge comes: users, and other people's matters that are none of its business.

use chrono::{DateTime, TimeDelta, Utc};

use super::collections::calendar_entries::CalendarEntry;
use super::collections::documents::{Document, NewVersion};
use super::collections::matters::{Matter, Status};
use super::collections::notes::{Note, On};
use super::collections::users::{Account, User};
use super::records::{Stamp, Store};
use super::storage::Content;

/// A word that stands in every foreign matter's texts, so that a test can look for it where it must not be.
pub const FOREIGN_MARK: &str = "PRIVILEGED";

/// How many foreign matters are seeded.
pub const FOREIGN_MATTERS: usize = 25;

/// The users of a new account, and one of another firm. The first user is the account's owner.
pub(super) fn people(store: &mut Store, now: DateTime<Utc>) {
    let made = now - TimeDelta::days(900);
    let firm = add_account(store, "Riverside Law Clinic", made);
    let other = add_account(store, "Bluff City Legal Group", made);
    for (first, last, account, is_owner) in
        [("Ada", "Lawson", firm, true), ("Ben", "Ortiz", firm, false), ("Cora", "Whitfield", other, true)]
    {
        let id = store.new_id();
        let user = User {
            id,
            first_name: first.to_owned(),
            last_name: last.to_owned(),
            email: format!("{}@example.org", first.to_lowercase()),
            account_owner: is_owner,
            account,
            stamp: Stamp::new(made),
        };
        store.users.insert(id, user);
    }
}

fn add_account(store: &mut Store, name: &str, made: DateTime<Utc>) -> i64 {
    let id = store.new_id();
    store.accounts.insert(id, Account { id, name: name.to_owned(), stamp: Stamp::new(made) });
    id
}

/// Foreign matters, and lookalikes of everything that the bridge looks up by name.
pub(super) fn foreign(store: &mut Store, now: DateTime<Utc>) {
    let made = now - TimeDelta::days(800);
    let groups = [
        None,
        Some(store.add_group("Family Law Team", made)),
        Some(store.add_group("NP clinic", made)),
        Some(store.add_group("NP Clinic Archive", made)),
    ];
    let areas = [
        store.add_practice_area("Family", made),
        store.add_practice_area("neighborhood preservation test", made),
        store.add_practice_area("Neighborhood Preservation Test (old)", made),
    ];
    let clients = [
        store.add_contact("Company", "NP Clinic Client Test Archive", made),
        store.add_contact("Company", "np clinic client test", made),
        store.add_contact("Person", "Iris Calloway", made),
    ];
    let notes = store.add_custom_field("Matter", "text_area", "Location Notes", &[], made);
    store.add_custom_field("Contact", "picklist", "Court Status", &["Hearing", "Stay"], made);
    store.add_custom_field("Contact", "text_line", "Civil Warrant", &[], made);
    let warrant = store.add_custom_field("Matter", "text_line", "Civil Warrant (closed files)", &[], made);

    let mut matters = Vec::new();
    let statuses = [Status::Open, Status::Pending, Status::Closed];
    for (index, age) in (0..FOREIGN_MATTERS).zip((1_i64..).map(|step| step * 29)) {
        let at = now - TimeDelta::days(age);
        let turn = |length: usize| index % length;
        let Some(client) = clients.get(turn(clients.len())).copied() else { continue };
        let description = format!("{FOREIGN_MARK} file {index}: not for the bridge");
        let mut matter = Matter::draft(client, &description, at);
        matter.group = groups.get(turn(groups.len())).copied().flatten();
        matter.practice_area = areas.get(turn(areas.len())).copied();
        matter.status = statuses.get(turn(statuses.len())).copied().unwrap_or_default();
        let id = store.add_matter(matter);
        matters.push(id);
        store.set_value(id, notes, Some(format!("{FOREIGN_MARK} note {index}")), at);
        store.set_value(id, warrant, Some(format!("E-23-{index:05}")), at);
    }
    foreign_notes(store, &matters, clients.first().copied(), now);
    foreign_entries(store, &matters, now);
    foreign_documents(store, &matters, now);
}

/// The first user's id.
fn owner(store: &Store) -> i64 {
    store.users.keys().next().copied().unwrap_or_default()
}

/// A note on every foreign matter, and one on a contact, all of them recent.
fn foreign_notes(store: &mut Store, matters: &[i64], contact: Option<i64>, now: DateTime<Utc>) {
    let author = owner(store);
    let on = matters.iter().map(|id| On::Matter(*id)).chain(contact.map(On::Contact)).collect::<Vec<_>>();
    for (index, on) in on.into_iter().enumerate() {
        let draft = Note::draft(on, author, now - TimeDelta::minutes(5));
        store.add_note(Note {
            subject: Some(format!("{FOREIGN_MARK} call {index}")),
            detail: Some(format!("SECRET advice {index}: not for the bridge")),
            ..draft
        });
    }
}

/// Calendars of others, lookalikes among them, each with entries to come: some on foreign matters, some on none.
fn foreign_entries(store: &mut Store, matters: &[i64], now: DateTime<Utc>) {
    let creator = owner(store);
    let made = now - TimeDelta::days(800);
    let names = ["Ada Lawson", "Firm", "NP Clinic Calendar Archive", "np clinic calendar"];
    let kinds = ["UserCalendar", "AccountCalendar", "AdhocCalendar", "AdhocCalendar"];
    for (name, kind) in names.into_iter().zip(kinds) {
        let calendar = store.add_calendar(name, creator, made);
        if let Some(calendar) = store.calendars.get_mut(&calendar) {
            kind.clone_into(&mut calendar.kind);
        }
        let on = matters.iter().copied().map(Some).chain([None]).take(4);
        for (on, days) in on.chain([None]).zip(1..) {
            let start = now + TimeDelta::days(days);
            let summary = format!("SECRET meeting {days} of {name}");
            let draft = CalendarEntry::draft(calendar, &summary, start, start + TimeDelta::hours(1), now);
            store.add_calendar_entry(CalendarEntry { matter: on, ..draft });
        }
    }
}

/// Documents of foreign matters; every other one has the property by which the bridge knows its own.
fn foreign_documents(store: &mut Store, matters: &[i64], now: DateTime<Utc>) {
    let creator = owner(store);
    for (index, matter) in matters.iter().take(8).enumerate() {
        let name = format!("SECRET {FOREIGN_MARK} statement {index}.txt");
        let mut draft = Document::draft(&name, On::Matter(*matter), creator, now);
        if index % 2 == 0 {
            draft.properties.push(store.new_property("GIS_ID", &format!("{}", 900_000 + index), now));
        }
        let version = NewVersion { filename: name, content_type: None, received_at: None };
        let id = store.add_document(draft, version, now);
        let versions = store.documents.get_mut(&id).map(|document| &mut document.versions);
        for version in versions.into_iter().flatten() {
            version.content = Some(Content::of_text(&format!("SECRET words of client {index}")));
            version.fully_uploaded = true;
        }
    }
}
