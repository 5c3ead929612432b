//! How a record is shown.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use super::fields::{self, Selected};
use super::records::{
    Account, Contact, CustomField, FieldValue, Group, Matter, PicklistOption, PracticeArea, Stamp, Store,
    User,
};
use super::shape::{
    ACCOUNT, CONTACT, CUSTOM_FIELD, FIELD_VALUE, GROUP, MATTER, PICKLIST_OPTION, PRACTICE_AREA, Shape, USER,
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
        "picklist_option" => Shown::One(field.option_of(value).map(Record::Option)),
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
    fn parts(self) -> (&'static Shape, i64, &'a Stamp) {
        match self {
            Self::Matter(record) => (&MATTER, record.id, &record.stamp),
            Self::Value(_, value) => (&FIELD_VALUE, value.number, &value.stamp),
            Self::Field(record) => (&CUSTOM_FIELD, record.id, &record.stamp),
            Self::Option(record) => (&PICKLIST_OPTION, record.id, &record.stamp),
            Self::Contact(record) => (&CONTACT, record.id, &record.stamp),
            Self::Group(record) => (&GROUP, record.id, &record.stamp),
            Self::PracticeArea(record) => (&PRACTICE_AREA, record.id, &record.stamp),
            Self::User(record) => (&USER, record.id, &record.stamp),
            Self::Account(record) => (&ACCOUNT, record.id, &record.stamp),
        }
    }

    /// The properties of its kind.
    pub(super) fn shape(self) -> &'static Shape {
        self.parts().0
    }

    /// The record's id; a value's is the number in it.
    pub(super) fn id(self) -> i64 {
        self.parts().1
    }

    /// When it was made and changed.
    pub(super) fn stamp(self) -> &'a Stamp {
        self.parts().2
    }

    /// The etag with its quotes.
    pub(super) fn etag(self) -> String {
        let (shape, id, stamp) = self.parts();
        stamp.etag(shape.kind, id)
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
fn time(at: DateTime<Utc>) -> Value {
    json!(at.to_rfc3339_opts(SecondsFormat::Secs, true))
}
