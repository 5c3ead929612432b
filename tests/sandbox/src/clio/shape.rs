//! Which properties each kind of record has, and how a record is shown.
//!
//! Source: the response schemas of the specification; of their properties those that the sandbox keeps.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use super::fields::{self, Selected};
use super::records::{
    Account, Contact, CustomField, FieldValue, Group, Matter, PicklistOption, PracticeArea, Stamp, Store,
    User,
};

/// The properties of one kind of record.
pub(super) struct Shape {
    /// The record's name in the specification.
    pub(super) kind: &'static str,
    /// Its properties.
    pub(super) fields: &'static [Field],
    /// Those shown when none are asked for.
    pub(super) defaults: &'static [&'static str],
}

impl Shape {
    /// A property by name.
    pub(super) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// One property.
pub(super) struct Field {
    /// Its name.
    pub(super) name: &'static str,
    /// The shape of the nested record or records.
    pub(super) of: Option<&'static Shape>,
}

const fn plain(name: &'static str) -> Field {
    Field { name, of: None }
}

const fn nested(name: &'static str, of: &'static Shape) -> Field {
    Field { name, of: Some(of) }
}

/// A matter.
pub(super) static MATTER: Shape = Shape {
    kind: "Matter",
    fields: &[
        plain("id"),
        plain("etag"),
        plain("number"),
        plain("display_number"),
        plain("description"),
        plain("status"),
        plain("location"),
        plain("client_reference"),
        plain("client_id"),
        plain("billable"),
        plain("open_date"),
        plain("close_date"),
        plain("pending_date"),
        plain("created_at"),
        plain("updated_at"),
        nested("client", &CONTACT),
        nested("group", &GROUP),
        nested("practice_area", &PRACTICE_AREA),
        nested("custom_field_values", &FIELD_VALUE),
    ],
    defaults: &["id", "etag", "display_number"],
};

/// The value of a custom field.
pub(super) static FIELD_VALUE: Shape = Shape {
    kind: "CustomFieldValue",
    fields: &[
        plain("id"),
        plain("etag"),
        plain("field_name"),
        plain("created_at"),
        plain("updated_at"),
        plain("field_type"),
        plain("field_required"),
        plain("field_displayed"),
        plain("field_display_order"),
        plain("value"),
        plain("soft_deleted"),
        nested("custom_field", &CUSTOM_FIELD),
        nested("picklist_option", &PICKLIST_OPTION),
    ],
    defaults: &["id", "etag"],
};

/// The definition of a custom field.
pub(super) static CUSTOM_FIELD: Shape = Shape {
    kind: "CustomField",
    fields: &[
        plain("id"),
        plain("etag"),
        plain("created_at"),
        plain("updated_at"),
        plain("name"),
        plain("parent_type"),
        plain("field_type"),
        plain("displayed"),
        plain("deleted"),
        plain("required"),
        plain("display_order"),
        nested("picklist_options", &PICKLIST_OPTION),
    ],
    defaults: &["id", "etag"],
};

/// One option of a picklist.
pub(super) static PICKLIST_OPTION: Shape = Shape {
    kind: "PicklistOption",
    fields: &[
        plain("id"),
        plain("etag"),
        plain("created_at"),
        plain("updated_at"),
        plain("option"),
        plain("deleted_at"),
    ],
    defaults: &["id", "etag"],
};

/// A contact.
pub(super) static CONTACT: Shape = Shape {
    kind: "Contact",
    fields: &[
        plain("id"),
        plain("etag"),
        plain("name"),
        plain("first_name"),
        plain("last_name"),
        plain("title"),
        plain("type"),
        plain("is_client"),
        plain("created_at"),
        plain("updated_at"),
    ],
    defaults: &["id", "etag"],
};

/// A group.
pub(super) static GROUP: Shape = Shape {
    kind: "Group",
    fields: &[plain("id"), plain("etag"), plain("name"), plain("type"), plain("updated_at")],
    defaults: &["id", "etag"],
};

/// A practice area.
pub(super) static PRACTICE_AREA: Shape = Shape {
    kind: "PracticeArea",
    fields: &[
        plain("id"),
        plain("etag"),
        plain("name"),
        plain("code"),
        plain("category"),
        plain("created_at"),
        plain("updated_at"),
    ],
    defaults: &["id", "etag"],
};

/// A user.
pub(super) static USER: Shape = Shape {
    kind: "User",
    fields: &[
        plain("id"),
        plain("etag"),
        plain("name"),
        plain("first_name"),
        plain("last_name"),
        plain("email"),
        plain("enabled"),
        plain("account_owner"),
        plain("created_at"),
        plain("updated_at"),
        nested("account", &ACCOUNT),
    ],
    defaults: &["id", "etag", "name"],
};

/// A firm's account.
pub(super) static ACCOUNT: Shape = Shape {
    kind: "Account",
    fields: &[
        plain("id"),
        plain("etag"),
        plain("name"),
        plain("state"),
        plain("created_at"),
        plain("updated_at"),
    ],
    defaults: &["id", "etag"],
};

/// A record to be shown.
#[derive(Clone, Copy)]
pub(super) enum Record<'a> {
    /// A matter.
    Matter(&'a Matter),
    /// A value with its definition.
    Value(&'a CustomField, &'a FieldValue),
    /// A custom field.
    Field(&'a CustomField),
    /// An option.
    Option(&'a PicklistOption),
    /// A contact.
    Contact(&'a Contact),
    /// A group.
    Group(&'a Group),
    /// A practice area.
    PracticeArea(&'a PracticeArea),
    /// A user.
    User(&'a User),
    /// An account.
    Account(&'a Account),
}

enum Shown<'a> {
    Plain(Value),
    One(Option<Record<'a>>),
    Many(Vec<Record<'a>>),
}

/// What a record is shown from.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    /// All records.
    pub(super) store: &'a Store,
    /// The definitions whose values are shown, from `custom_field_ids[]`; empty shows all.
    pub(super) only_fields: &'a [i64],
}

impl<'a> View<'a> {
    /// The record with the properties asked for.
    pub(super) fn show(&self, record: Record<'a>, selection: &[Selected]) -> Value {
        let mut shown = Map::new();
        for Selected { name, nested } in selection {
            let value = match self.property(record, name) {
                Shown::Plain(value) => value,
                Shown::One(None) => Value::Null,
                Shown::One(Some(inner)) => self.show_nested(inner, nested.as_deref()),
                Shown::Many(inner) => {
                    inner.into_iter().map(|inner| self.show_nested(inner, nested.as_deref())).collect()
                }
            };
            shown.insert(name.clone(), value);
        }
        Value::Object(shown)
    }

    /// One plain property, for ordering.
    pub(super) fn plain(&self, record: Record<'a>, name: &str) -> Value {
        match self.property(record, name) {
            Shown::Plain(value) => value,
            Shown::One(_) | Shown::Many(_) => Value::Null,
        }
    }

    fn show_nested(&self, record: Record<'a>, names: Option<&[String]>) -> Value {
        match names {
            None => self.show(record, &fields::defaults(record.shape())),
            Some(names) => {
                let selection: Vec<_> =
                    names.iter().map(|name| Selected { name: name.clone(), nested: None }).collect();
                self.show(record, &selection)
            }
        }
    }

    fn property(&self, record: Record<'a>, name: &str) -> Shown<'a> {
        if let Some(value) = record.common(name) {
            return Shown::Plain(value);
        }
        match record {
            Record::Matter(matter) => self.of_matter(matter, name),
            Record::Value(field, value) => of_value(field, value, name),
            Record::Field(field) => of_field(field, name),
            Record::Option(option) => Shown::Plain(match name {
                "option" => json!(option.option),
                "deleted_at" => option.deleted_at.map_or(Value::Null, time),
                _ => Value::Null,
            }),
            Record::Contact(contact) => Shown::Plain(match name {
                "name" => json!(contact.name),
                "first_name" => json!(contact.first_name),
                "last_name" => json!(contact.last_name),
                "title" => json!(contact.title),
                "type" => json!(contact.kind),
                "is_client" => json!(self.store.matters.values().any(|matter| matter.client == contact.id)),
                _ => Value::Null,
            }),
            Record::Group(group) => Shown::Plain(match name {
                "name" => json!(group.name),
                "type" => json!(group.kind),
                _ => Value::Null,
            }),
            Record::PracticeArea(area) => Shown::Plain(match name {
                "name" => json!(area.name),
                "code" => json!(area.code),
                "category" => json!(area.category),
                _ => Value::Null,
            }),
            Record::User(user) => self.of_user(user, name),
            Record::Account(account) => Shown::Plain(match name {
                "name" => json!(account.name),
                "state" => json!("active"),
                _ => Value::Null,
            }),
        }
    }

    fn of_matter(&self, matter: &'a Matter, name: &str) -> Shown<'a> {
        let store = self.store;
        match name {
            "client" => Shown::One(store.contacts.get(&matter.client).map(Record::Contact)),
            "group" => Shown::One(matter.group.and_then(|id| store.groups.get(&id)).map(Record::Group)),
            "practice_area" => Shown::One(
                matter.practice_area.and_then(|id| store.practice_areas.get(&id)).map(Record::PracticeArea),
            ),
            "custom_field_values" => {
                let shown = matter
                    .values
                    .iter()
                    .filter(|(id, _)| self.only_fields.is_empty() || self.only_fields.contains(id));
                Shown::Many(
                    shown
                        .filter_map(|(id, value)| {
                            store.custom_fields.get(id).map(|field| Record::Value(field, value))
                        })
                        .collect(),
                )
            }
            _ => Shown::Plain(match name {
                "number" => json!(matter.number),
                "display_number" => json!(matter.display_number),
                "description" => json!(matter.description),
                "status" => json!(matter.status.shown()),
                "location" => json!(matter.location),
                "client_reference" => json!(matter.client_reference),
                "client_id" => json!(matter.client),
                "billable" => json!(matter.billable),
                "open_date" => json!(matter.open_date),
                "close_date" => json!(matter.close_date),
                "pending_date" => json!(matter.pending_date),
                _ => Value::Null,
            }),
        }
    }

    fn of_user(&self, user: &'a User, name: &str) -> Shown<'a> {
        Shown::Plain(match name {
            "account" => return Shown::One(self.store.accounts.get(&user.account).map(Record::Account)),
            "name" => json!(user.name()),
            "first_name" => json!(user.first_name),
            "last_name" => json!(user.last_name),
            "email" => json!(user.email),
            "enabled" => json!(true),
            "account_owner" => json!(user.account_owner),
            _ => Value::Null,
        })
    }
}

fn of_value<'a>(field: &'a CustomField, value: &FieldValue, name: &str) -> Shown<'a> {
    match name {
        "custom_field" => Shown::One(Some(Record::Field(field))),
        "picklist_option" => Shown::One(
            (field.field_type == "picklist")
                .then(|| field.options.iter().find(|option| option.id.to_string() == value.value))
                .flatten()
                .map(Record::Option),
        ),
        _ => Shown::Plain(match name {
            "field_name" => json!(field.name),
            "field_type" => json!(field.field_type),
            "field_required" => json!(field.required),
            "field_displayed" => json!(field.displayed),
            "field_display_order" => json!(field.display_order),
            "value" => json!(value.value),
            "soft_deleted" => json!(field.deleted),
            _ => Value::Null,
        }),
    }
}

fn of_field<'a>(field: &'a CustomField, name: &str) -> Shown<'a> {
    match name {
        "picklist_options" => Shown::Many(field.live_options().map(Record::Option).collect()),
        _ => Shown::Plain(match name {
            "name" => json!(field.name),
            "parent_type" => json!(field.parent_type),
            "field_type" => json!(field.field_type),
            "displayed" => json!(field.displayed),
            "deleted" => json!(field.deleted),
            "required" => json!(field.required),
            "display_order" => json!(field.display_order),
            _ => Value::Null,
        }),
    }
}

impl<'a> Record<'a> {
    /// The properties of its kind.
    pub(super) fn shape(self) -> &'static Shape {
        match self {
            Self::Matter(_) => &MATTER,
            Self::Value(..) => &FIELD_VALUE,
            Self::Field(_) => &CUSTOM_FIELD,
            Self::Option(_) => &PICKLIST_OPTION,
            Self::Contact(_) => &CONTACT,
            Self::Group(_) => &GROUP,
            Self::PracticeArea(_) => &PRACTICE_AREA,
            Self::User(_) => &USER,
            Self::Account(_) => &ACCOUNT,
        }
    }

    /// The record's id; a value's is the number in it.
    pub(super) fn id(self) -> i64 {
        match self {
            Self::Matter(record) => record.id,
            Self::Value(_, value) => value.number,
            Self::Field(record) => record.id,
            Self::Option(record) => record.id,
            Self::Contact(record) => record.id,
            Self::Group(record) => record.id,
            Self::PracticeArea(record) => record.id,
            Self::User(record) => record.id,
            Self::Account(record) => record.id,
        }
    }

    /// When it was made and changed.
    pub(super) fn stamp(self) -> &'a Stamp {
        match self {
            Self::Matter(record) => &record.stamp,
            Self::Value(_, value) => &value.stamp,
            Self::Field(record) => &record.stamp,
            Self::Option(record) => &record.stamp,
            Self::Contact(record) => &record.stamp,
            Self::Group(record) => &record.stamp,
            Self::PracticeArea(record) => &record.stamp,
            Self::User(record) => &record.stamp,
            Self::Account(record) => &record.stamp,
        }
    }

    /// The etag with its quotes.
    pub(super) fn etag(self) -> String {
        self.stamp().etag(self.shape().kind, &self.id().to_string())
    }

    fn common(self, name: &str) -> Option<Value> {
        Some(match (name, self) {
            ("id", Self::Value(field, value)) => json!(value.id(field)),
            ("id", _) => json!(self.id()),
            ("etag", _) => json!(self.etag()),
            ("created_at", _) => time(self.stamp().created_at),
            ("updated_at", _) => time(self.stamp().updated_at),
            _ => return None,
        })
    }
}

/// A time as Clio writes it, in whole seconds.
pub(super) fn time(at: DateTime<Utc>) -> Value {
    json!(at.to_rfc3339_opts(SecondsFormat::Secs, true))
}
