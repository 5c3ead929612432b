//! The account's records as they are stored.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, SubsecRound, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// When a record was made and last changed, and how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    /// When it was made, in whole seconds.
    pub(super) created_at: DateTime<Utc>,
    /// When it was last changed, in whole seconds.
    pub(super) updated_at: DateTime<Utc>,
    /// Counts the changes, so that two within one second differ in their etags.
    pub(super) revision: u64,
}

impl Stamp {
    /// The stamp of a record made now.
    pub(super) fn new(now: DateTime<Utc>) -> Self {
        let now = now.trunc_subsecs(0);
        Self { created_at: now, updated_at: now, revision: 1 }
    }

    /// Marks a change.
    pub(super) fn touch(&mut self, now: DateTime<Utc>) {
        self.updated_at = now.trunc_subsecs(0);
        self.revision += 1;
    }

    /// The etag with its quotes, which are part of the value in Clio.
    pub(super) fn etag(&self, kind: &str, id: i64) -> String {
        let told = format!("{kind} {id} {} {}", self.revision, self.updated_at.timestamp());
        let digest: String = hex::encode(Sha256::digest(told.as_bytes())).chars().take(32).collect();
        format!("\"{digest}\"")
    }
}

/// A matter's status, written as on input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// Open.
    #[default]
    Open,
    /// Pending.
    Pending,
    /// Closed.
    Closed,
}

impl Status {
    /// Reads the lower-case word that Clio takes on input.
    pub(super) fn parse(word: &str) -> Option<Self> {
        match word {
            "open" => Some(Self::Open),
            "pending" => Some(Self::Pending),
            "closed" => Some(Self::Closed),
            _ => None,
        }
    }

    /// The capitalised word that Clio gives on output.
    pub(super) fn shown(self) -> &'static str {
        match self {
            Self::Open => "Open",
            Self::Pending => "Pending",
            Self::Closed => "Closed",
        }
    }
}

/// A matter.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Matter {
    /// Its id.
    pub(super) id: i64,
    /// Its number within the account.
    pub(super) number: i64,
    /// The number with the client's name.
    pub(super) display_number: String,
    /// Free text, never empty.
    pub(super) description: String,
    /// Its status.
    pub(super) status: Status,
    /// Free text.
    pub(super) location: Option<String>,
    /// Free text.
    pub(super) client_reference: Option<String>,
    /// Whether time on it is billed.
    pub(super) billable: bool,
    /// When it was opened.
    pub(super) open_date: Option<NaiveDate>,
    /// When it was closed.
    pub(super) close_date: Option<NaiveDate>,
    /// When it became pending.
    pub(super) pending_date: Option<NaiveDate>,
    /// Id of the contact that is the client.
    pub(super) client: i64,
    /// Id of the group.
    pub(super) group: Option<i64>,
    /// Id of the practice area.
    pub(super) practice_area: Option<i64>,
    /// Custom field values by the definition's id.
    pub(super) values: BTreeMap<i64, FieldValue>,
    /// Its stamp.
    pub(super) stamp: Stamp,
}

impl Matter {
    /// An open matter that is not yet in the store: it has no id and no number.
    pub(super) fn draft(client: i64, description: &str, now: DateTime<Utc>) -> Self {
        Self {
            id: 0,
            number: 0,
            display_number: String::new(),
            description: description.to_owned(),
            status: Status::Open,
            location: None,
            client_reference: None,
            billable: true,
            open_date: Some(now.date_naive()),
            close_date: None,
            pending_date: None,
            client,
            group: None,
            practice_area: None,
            values: BTreeMap::new(),
            stamp: Stamp::new(now),
        }
    }
}

/// The value of a custom field in one matter.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct FieldValue {
    /// The number in its id, which is `<field type>-<number>`.
    pub(super) number: i64,
    /// The value as Clio gives it: an option's id for a picklist.
    pub(super) value: String,
    /// Its stamp.
    pub(super) stamp: Stamp,
}

impl FieldValue {
    /// The composite id.
    pub(super) fn id(&self, field: &CustomField) -> String {
        format!("{}-{}", field.field_type, self.number)
    }
}

/// The definition of a custom field.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct CustomField {
    /// Its id.
    pub(super) id: i64,
    /// Its name, which need not be unique.
    pub(super) name: String,
    /// `Matter` or `Contact`.
    pub(super) parent_type: String,
    /// One of [`FIELD_TYPES`].
    pub(super) field_type: String,
    /// Whether it is shown by default.
    pub(super) displayed: bool,
    /// Whether a value is required.
    pub(super) required: bool,
    /// Its place on the page.
    pub(super) display_order: i64,
    /// The options of a picklist, the deleted ones too.
    pub(super) options: Vec<PicklistOption>,
    /// Whether it was deleted.
    pub(super) deleted: bool,
    /// Its stamp.
    pub(super) stamp: Stamp,
}

impl CustomField {
    /// The option that a value stands for, be it deleted by now; none if this is no picklist.
    pub(super) fn option_of(&self, value: &FieldValue) -> Option<&PicklistOption> {
        let is_it = |option: &&PicklistOption| option.id.to_string() == value.value;
        self.options.iter().find(is_it).filter(|_| self.field_type == "picklist")
    }

    /// The options in force.
    pub(super) fn live_options(&self) -> impl Iterator<Item = &PicklistOption> {
        self.options.iter().filter(|option| option.deleted_at.is_none())
    }
}

/// The field types of the specification.
pub(super) const FIELD_TYPES: &[&str] = &[
    "checkbox",
    "contact",
    "currency",
    "date",
    "time",
    "email",
    "matter",
    "numeric",
    "picklist",
    "text_area",
    "text_line",
    "url",
];

/// One option of a picklist.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PicklistOption {
    /// Its id.
    pub(super) id: i64,
    /// Its label.
    pub(super) option: String,
    /// When it was deleted.
    pub(super) deleted_at: Option<DateTime<Utc>>,
    /// Its stamp.
    pub(super) stamp: Stamp,
}

/// A contact.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Contact {
    /// Its id.
    pub(super) id: i64,
    /// `Company` or `Person`.
    pub(super) kind: String,
    /// The full name.
    pub(super) name: String,
    /// A person's first name.
    pub(super) first_name: Option<String>,
    /// A person's last name.
    pub(super) last_name: Option<String>,
    /// A person's title.
    pub(super) title: Option<String>,
    /// Its stamp.
    pub(super) stamp: Stamp,
}

/// A group of users who may see a matter.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Group {
    /// Its id.
    pub(super) id: i64,
    /// Its name, which need not be unique.
    pub(super) name: String,
    /// `AdhocGroup`, `AccountGroup` or `UserGroup`.
    pub(super) kind: String,
    /// Its stamp.
    pub(super) stamp: Stamp,
}

/// A practice area.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PracticeArea {
    /// Its id.
    pub(super) id: i64,
    /// Its name, which need not be unique.
    pub(super) name: String,
    /// A code, if the account uses them.
    pub(super) code: Option<String>,
    /// One of the specification's categories.
    pub(super) category: Option<String>,
    /// Its stamp.
    pub(super) stamp: Stamp,
}

/// A user.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct User {
    /// Its id.
    pub(super) id: i64,
    /// First name.
    pub(super) first_name: String,
    /// Last name.
    pub(super) last_name: String,
    /// Address for mail.
    pub(super) email: String,
    /// Whether this user owns the account.
    pub(super) account_owner: bool,
    /// Id of the account.
    pub(super) account: i64,
    /// Its stamp.
    pub(super) stamp: Stamp,
}

impl User {
    /// First and last name.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.first_name, self.last_name)
    }
}

/// A firm's account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Account {
    /// Its id.
    pub(super) id: i64,
    /// The firm's name.
    pub(super) name: String,
    /// Its stamp.
    pub(super) stamp: Stamp,
}

/// Everything that one account holds, with the users who may sign in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Store {
    last_id: i64,
    last_value: i64,
    last_matter: i64,
    /// Accounts by id. All records belong to the first; users of another see none of them.
    pub(super) accounts: BTreeMap<i64, Account>,
    /// Users by id.
    pub(super) users: BTreeMap<i64, User>,
    /// Contacts by id.
    pub(super) contacts: BTreeMap<i64, Contact>,
    /// Groups by id.
    pub(super) groups: BTreeMap<i64, Group>,
    /// Practice areas by id.
    pub(super) practice_areas: BTreeMap<i64, PracticeArea>,
    /// Custom fields by id.
    pub(super) custom_fields: BTreeMap<i64, CustomField>,
    /// Matters by id.
    pub(super) matters: BTreeMap<i64, Matter>,
}

/// Ids in Clio are 64 bits wide; the sandbox starts past 32 so that a narrow reader fails here first.
const FIRST_ID: i64 = 5_000_000_000;

impl Default for Store {
    fn default() -> Self {
        Self {
            last_id: FIRST_ID,
            last_value: 0,
            last_matter: 0,
            accounts: BTreeMap::new(),
            users: BTreeMap::new(),
            contacts: BTreeMap::new(),
            groups: BTreeMap::new(),
            practice_areas: BTreeMap::new(),
            custom_fields: BTreeMap::new(),
            matters: BTreeMap::new(),
        }
    }
}

impl Store {
    /// A new id, never given before.
    pub(super) fn new_id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }

    /// Adds a contact.
    pub(super) fn add_contact(&mut self, kind: &str, name: &str, now: DateTime<Utc>) -> i64 {
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

    /// Adds a group.
    pub(super) fn add_group(&mut self, name: &str, now: DateTime<Utc>) -> i64 {
        let id = self.new_id();
        let group =
            Group { id, name: name.to_owned(), kind: "AdhocGroup".to_owned(), stamp: Stamp::new(now) };
        self.groups.insert(id, group);
        id
    }

    /// Adds a practice area.
    pub(super) fn add_practice_area(&mut self, name: &str, now: DateTime<Utc>) -> i64 {
        let id = self.new_id();
        let area =
            PracticeArea { id, name: name.to_owned(), code: None, category: None, stamp: Stamp::new(now) };
        self.practice_areas.insert(id, area);
        id
    }

    /// Adds a custom field with its options.
    pub(super) fn add_custom_field(
        &mut self,
        parent_type: &str,
        field_type: &str,
        name: &str,
        options: &[&str],
        now: DateTime<Utc>,
    ) -> i64 {
        let id = self.new_id();
        let options = options.iter().map(|option| self.new_option(option, now)).collect();
        let display_order = i64::try_from(self.custom_fields.len()).unwrap_or(i64::MAX);
        let field = CustomField {
            id,
            name: name.to_owned(),
            parent_type: parent_type.to_owned(),
            field_type: field_type.to_owned(),
            displayed: true,
            required: false,
            display_order,
            options,
            deleted: false,
            stamp: Stamp::new(now),
        };
        self.custom_fields.insert(id, field);
        id
    }

    /// A new option, not yet in any field.
    pub(super) fn new_option(&mut self, option: &str, now: DateTime<Utc>) -> PicklistOption {
        PicklistOption {
            id: self.new_id(),
            option: option.to_owned(),
            deleted_at: None,
            stamp: Stamp::new(now),
        }
    }

    /// Adds a matter, giving it id, number and display number.
    pub(super) fn add_matter(&mut self, draft: Matter) -> i64 {
        let id = self.new_id();
        self.last_matter += 1;
        let number = self.last_matter;
        let client = self.contacts.get(&draft.client).map(|contact| contact.name.as_str());
        let display_number = format!("{number:05}-{}", client.unwrap_or_default());
        self.matters.insert(id, Matter { id, number, display_number, ..draft });
        id
    }

    /// Sets a value that has been checked, or empties the field. The matter is not touched by this.
    pub(super) fn set_value(&mut self, matter: i64, field: i64, value: Option<String>, now: DateTime<Utc>) {
        let number = self.last_value + 1;
        let Some(record) = self.matters.get_mut(&matter) else { return };
        match (value, record.values.get_mut(&field)) {
            (None, _) => drop(record.values.remove(&field)),
            (Some(value), Some(held)) => {
                held.value = value;
                held.stamp.touch(now);
            }
            (Some(value), None) => {
                self.last_value = number;
                record.values.insert(field, FieldValue { number, value, stamp: Stamp::new(now) });
            }
        }
    }

    /// The fields for matters that are not deleted.
    pub(super) fn matter_fields(&self) -> impl Iterator<Item = &CustomField> {
        self.custom_fields.values().filter(|field| field.parent_type == "Matter" && !field.deleted)
    }
}
