//! The account's records as they are stored.

use std::collections::BTreeMap;

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::collections::calendar_entries::CalendarEntry;
use super::collections::calendars::Calendar;
use super::collections::contacts::Contact;
use super::collections::custom_fields::CustomField;
use super::collections::documents::Document;
use super::collections::groups::Group;
use super::collections::matters::Matter;
use super::collections::notes::Note;
use super::collections::practice_areas::PracticeArea;
use super::collections::users::{Account, User};
use super::storage;

/// When a record was made and last changed, and how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    /// When it was made, in whole seconds.
    pub(crate) created_at: DateTime<Utc>,
    /// When it was last changed, in whole seconds.
    pub(crate) updated_at: DateTime<Utc>,
    /// Counts the changes, so that two within one second differ in their etags.
    pub(crate) revision: u64,
}

impl Stamp {
    /// The stamp of a record made now.
    pub(crate) fn new(now: DateTime<Utc>) -> Self {
        let now = now.trunc_subsecs(0);
        Self { created_at: now, updated_at: now, revision: 1 }
    }

    /// Marks a change.
    pub(crate) fn touch(&mut self, now: DateTime<Utc>) {
        self.updated_at = now.trunc_subsecs(0);
        self.revision += 1;
    }

    /// The etag with its quotes, which are part of the value in Clio.
    pub(crate) fn etag(&self, kind: &str, id: i64) -> String {
        let told = format!("{kind} {id} {} {}", self.revision, self.updated_at.timestamp());
        let digest: String = hex::encode(Sha256::digest(told.as_bytes())).chars().take(32).collect();
        format!("\"{digest}\"")
    }
}

/// The records of one kind, by id.
pub(crate) type Table<T> = BTreeMap<i64, T>;

/// Everything that one account holds, with the users who may sign in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Store {
    last_id: i64,
    /// The number of the last custom field value.
    pub(crate) last_value: i64,
    /// The number of the last matter.
    pub(crate) last_matter: i64,
    /// Accounts by id. All records belong to the first; users of another see none of them.
    pub(crate) accounts: Table<Account>,
    /// Users by id.
    pub(crate) users: Table<User>,
    /// Contacts by id.
    pub(crate) contacts: Table<Contact>,
    /// Groups by id.
    pub(crate) groups: Table<Group>,
    /// Practice areas by id.
    pub(crate) practice_areas: Table<PracticeArea>,
    /// Custom fields by id.
    pub(crate) custom_fields: Table<CustomField>,
    /// Matters by id.
    pub(crate) matters: Table<Matter>,
    /// Notes by id.
    #[serde(default)]
    pub(crate) notes: Table<Note>,
    /// Calendars by id.
    #[serde(default)]
    pub(crate) calendars: Table<Calendar>,
    /// Calendar entries by id.
    #[serde(default)]
    pub(crate) calendar_entries: Table<CalendarEntry>,
    /// Documents by id, those in the trash too.
    #[serde(default)]
    pub(crate) documents: Table<Document>,
    /// Signs the addresses of the storage.
    #[serde(default = "storage::new_secret")]
    pub(crate) storage_secret: String,
    /// Whether a version gets its number only when it is fully uploaded.
    #[serde(default)]
    pub(crate) numbers_uploaded_versions: bool,
}

/// Ids in Clio are 64 bits wide; the sandbox starts past 32 so that a narrow reader fails here first.
const FIRST_ID: i64 = 5_000_000_000;

impl Default for Store {
    fn default() -> Self {
        Self {
            last_id: FIRST_ID,
            last_value: 0,
            last_matter: 0,
            accounts: Table::new(),
            users: Table::new(),
            contacts: Table::new(),
            groups: Table::new(),
            practice_areas: Table::new(),
            custom_fields: Table::new(),
            matters: Table::new(),
            notes: Table::new(),
            calendars: Table::new(),
            calendar_entries: Table::new(),
            documents: Table::new(),
            storage_secret: storage::new_secret(),
            numbers_uploaded_versions: false,
        }
    }
}

impl Store {
    /// A new id, never given before.
    pub(crate) fn new_id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }
}
