//! How a record is shown.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use super::collections::custom_fields::CustomField;
use super::collections::matters::{FIELD_VALUE, FieldValue, of_value};
use super::fields::{self, Selected};
use super::records::{Stamp, Store};
use super::shape::Shape;

/// A record of any kind.
pub(crate) trait Entity {
    /// The properties of its kind, its id, and when it was made and changed.
    fn parts(&self) -> (&'static Shape, i64, &Stamp);

    /// Its id as answers write it.
    fn shown_id(&self) -> Value {
        json!(self.parts().1)
    }

    /// One property, those common to all records aside.
    fn property<'a>(&'a self, view: &View<'a>, name: &str) -> Shown<'a>;
}

/// A record to be shown.
#[derive(Clone, Copy)]
pub(crate) enum Record<'a> {
    /// A record that stands for itself.
    Of(&'a dyn Entity),
    /// A value, which is shown with its definition.
    Value(&'a CustomField, &'a FieldValue),
}

/// What a property holds.
pub(crate) enum Shown<'a> {
    /// A value.
    Plain(Value),
    /// A record, if there is one.
    One(Option<Record<'a>>),
    /// Several records.
    Many(Vec<Record<'a>>),
}

impl<'a> Shown<'a> {
    /// A record, if there is one.
    pub(crate) fn one(record: Option<&'a impl Entity>) -> Self {
        Self::One(record.map(|record| Record::Of(record)))
    }

    /// Several records.
    pub(crate) fn many<T: Entity + 'a>(records: impl Iterator<Item = &'a T>) -> Self {
        Self::Many(records.map(|record| Record::Of(record)).collect())
    }
}

/// What a record is shown from.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    /// All records.
    pub(crate) store: &'a Store,
    /// The definitions whose values are shown, from `custom_field_ids[]`; empty shows all.
    pub(crate) only_fields: &'a [i64],
    /// The address of the listener, for addresses of the storage.
    pub(crate) root: &'a str,
}

impl<'a> View<'a> {
    /// The record with the properties asked for.
    pub(crate) fn show(&self, record: Record<'a>, selection: &[Selected]) -> Value {
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
    pub(crate) fn plain(&self, record: Record<'a>, name: &str) -> Value {
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
            Record::Of(entity) => entity.property(self, name),
            Record::Value(field, value) => of_value(field, value, name),
        }
    }
}

impl<'a> Record<'a> {
    fn parts(self) -> (&'static Shape, i64, &'a Stamp) {
        match self {
            Self::Of(entity) => entity.parts(),
            Self::Value(_, value) => (&FIELD_VALUE, value.number, &value.stamp),
        }
    }

    /// The properties of its kind.
    pub(crate) fn shape(self) -> &'static Shape {
        self.parts().0
    }

    /// The record's id; a value's is the number in it.
    pub(crate) fn id(self) -> i64 {
        self.parts().1
    }

    /// When it was made and changed.
    pub(crate) fn stamp(self) -> &'a Stamp {
        self.parts().2
    }

    /// The etag with its quotes.
    pub(crate) fn etag(self) -> String {
        let (shape, id, stamp) = self.parts();
        stamp.etag(shape.kind, id)
    }

    fn common(self, name: &str) -> Option<Value> {
        Some(match (name, self) {
            ("id", Self::Value(field, value)) => json!(value.id(field)),
            ("id", Self::Of(entity)) => entity.shown_id(),
            ("etag", _) => json!(self.etag()),
            ("created_at", _) => time(self.stamp().created_at),
            ("updated_at", _) => time(self.stamp().updated_at),
            _ => return None,
        })
    }
}

/// A time as Clio writes it, in whole seconds.
pub(crate) fn time(at: DateTime<Utc>) -> Value {
    json!(at.to_rfc3339_opts(SecondsFormat::Secs, true))
}
