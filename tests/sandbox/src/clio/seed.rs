//! What the account holds before the bridge comes: users, and other people's matters that are none of its business.

use chrono::{DateTime, TimeDelta, Utc};

use super::records::{Account, Matter, Stamp, Status, Store, User};

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
        store.set_value(id, notes, Some(format!("{FOREIGN_MARK} note {index}")), at);
        store.set_value(id, warrant, Some(format!("E-23-{index:05}")), at);
    }
}
