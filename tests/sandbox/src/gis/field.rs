//! The fields of a layer and the values that they take.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::refusal::ItemError;

/// The types of field that the sandbox knows, by Esri's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FieldType {
    /// The object id.
    #[serde(rename = "esriFieldTypeOID")]
    ObjectId,
    /// The global id.
    #[serde(rename = "esriFieldTypeGlobalID")]
    GlobalId,
    /// Text.
    #[serde(rename = "esriFieldTypeString")]
    Text,
    /// A whole number of 16 bits.
    #[serde(rename = "esriFieldTypeSmallInteger")]
    SmallInteger,
    /// A whole number of 32 bits.
    #[serde(rename = "esriFieldTypeInteger")]
    Integer,
    /// A whole number of 53 bits.
    #[serde(rename = "esriFieldTypeBigInteger")]
    BigInteger,
    /// A floating point number.
    #[serde(rename = "esriFieldTypeDouble")]
    Double,
    /// An instant, in milliseconds since 1970 in UTC.
    #[serde(rename = "esriFieldTypeDate")]
    Date,
}

/// Whole numbers beyond this are cut by servers which say `bigIntegerRestrictedTo53Bits`.
const LARGEST_BIG_INTEGER: i64 = (1 << 53) - 1;

/// A field of a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// The name as the layer spells it. Requests may spell it in other cases.
    pub name: String,
    /// The name for people.
    pub alias: String,
    /// The type.
    pub field_type: FieldType,
    /// How many UTF-16 units a text may have.
    pub length: Option<usize>,
    /// Whether a row may have no value here.
    pub nullable: bool,
    /// Whether clients may set it.
    pub editable: bool,
}

impl Field {
    fn new(name: &str, field_type: FieldType, length: Option<usize>) -> Self {
        let name = name.to_owned();
        Self { alias: name.clone(), name, field_type, length, nullable: true, editable: true }
    }

    /// A text of at most this many UTF-16 units.
    pub fn text(name: &str, length: usize) -> Self {
        Self::new(name, FieldType::Text, Some(length))
    }

    /// An instant.
    pub fn date(name: &str) -> Self {
        Self::new(name, FieldType::Date, Some(8))
    }

    /// A whole number of 32 bits.
    pub fn integer(name: &str) -> Self {
        Self::new(name, FieldType::Integer, None)
    }

    /// A whole number of 53 bits.
    pub fn big_integer(name: &str) -> Self {
        Self::new(name, FieldType::BigInteger, None)
    }

    /// A floating point number.
    pub fn double(name: &str) -> Self {
        Self::new(name, FieldType::Double, None)
    }

    /// The object id, which the server gives.
    pub fn object_id(name: &str) -> Self {
        let field = Self::new(name, FieldType::ObjectId, None);
        Self { nullable: false, editable: false, ..field }
    }

    /// The global id, which the server gives unless the client chooses it.
    pub fn global_id(name: &str) -> Self {
        let field = Self::new(name, FieldType::GlobalId, Some(38));
        Self { nullable: false, editable: false, ..field }
    }

    /// The same field with a name for people.
    #[must_use]
    pub fn with_alias(self, alias: &str) -> Self {
        Self { alias: alias.to_owned(), ..self }
    }

    /// The same field, which may not be empty.
    #[must_use]
    pub fn required(self) -> Self {
        Self { nullable: false, ..self }
    }

    /// The same field, which clients may not set.
    #[must_use]
    pub fn read_only(self) -> Self {
        Self { editable: false, ..self }
    }

    /// Whether this is the field's name, in whatever case.
    pub(super) fn is_named(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The field as metadata and query answers tell it. `tracked` fields are kept by the server.
    pub(super) fn definition(&self, high_precision: bool, tracked: bool) -> Value {
        let mut definition = json!({
            "name": self.name,
            "type": self.field_type,
            "alias": self.alias,
            "sqlType": "sqlTypeOther",
            "nullable": self.nullable,
            "editable": self.editable && !tracked,
            "domain": null,
            "defaultValue": null,
        });
        if let Some(definition) = definition.as_object_mut() {
            if let Some(length) = self.length {
                definition.insert("length".to_owned(), json!(length));
            }
            if self.field_type == FieldType::Date && high_precision {
                definition.insert("precision".to_owned(), json!(1));
            }
        }
        definition
    }

    /// Whether an edit may set this value.
    #[cfg(test)]
    pub(crate) fn takes(&self, value: &Value) -> bool {
        self.stored(value, false).is_ok()
    }

    /// The value as the layer stores it, or why it does not.
    pub(super) fn stored(&self, value: &Value, high_precision: bool) -> Result<Value, ItemError> {
        if value.is_null() {
            return if self.nullable { Ok(Value::Null) } else { Err(ItemError::not_nullable(&self.name)) };
        }
        let wrong = || ItemError::value(&self.name);
        match self.field_type {
            FieldType::Text => self.stored_text(value.as_str().ok_or_else(wrong)?).map(Value::from),
            FieldType::SmallInteger => {
                let number = whole(value).and_then(|number| i16::try_from(number).ok());
                number.map(Value::from).ok_or_else(wrong)
            }
            FieldType::Integer => {
                let number = whole(value).and_then(|number| i32::try_from(number).ok());
                number.map(Value::from).ok_or_else(wrong)
            }
            FieldType::BigInteger => whole(value)
                .filter(|number| number.abs() <= LARGEST_BIG_INTEGER)
                .map(Value::from)
                .ok_or_else(wrong),
            FieldType::Double => value.as_f64().map(Value::from).ok_or_else(wrong),
            FieldType::Date => whole(value)
                .filter(|instant| chrono::DateTime::from_timestamp_millis(*instant).is_some())
                .map(|instant| Value::from(kept_instant(instant, high_precision)))
                .ok_or_else(wrong),
            FieldType::ObjectId | FieldType::GlobalId => Err(ItemError::not_editable(&self.name)),
        }
    }

    fn stored_text(&self, text: &str) -> Result<String, ItemError> {
        let units = text.encode_utf16().count();
        if self.length.is_some_and(|length| units > length) {
            return Err(ItemError::value(&self.name));
        }
        let looks_like_html = text.split_once('<').is_some_and(|(_, after)| after.contains('>'));
        if looks_like_html {
            return Err(ItemError::untrusted_html(&self.name));
        }
        Ok(text.to_owned())
    }
}

fn whole(value: &Value) -> Option<i64> {
    value.as_i64()
}

/// An instant in milliseconds as a date field keeps it: whole seconds, unless the field has high precision.
pub(super) fn kept_instant(milliseconds: i64, high_precision: bool) -> i64 {
    if high_precision { milliseconds } else { milliseconds.div_euclid(1000) * 1000 }
}
