//! External properties: what an app leaves on calendar entries and documents for itself.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::body::Data;
use super::listing::Params;
use super::records::{Stamp, Store};
use super::refusal::Refusal;
use super::shape::Shape;
use super::view::{Entity, Shown, View};

/// How many a record may have.
const MOST: usize = 5;

/// An external property.
pub(crate) static EXTERNAL_PROPERTY: Shape = Shape {
    kind: "ExternalProperty",
    plain: &["name", "value", "created_at", "updated_at"],
    nested: &[],
    defaults: &[],
};

/// An external property.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ExternalProperty {
    /// Its id.
    pub(crate) id: i64,
    /// Its name.
    pub(crate) name: String,
    /// Its value.
    pub(crate) value: String,
    /// Its stamp.
    pub(crate) stamp: Stamp,
}

impl Entity for ExternalProperty {
    fn parts(&self) -> (&'static Shape, i64, &Stamp) {
        (&EXTERNAL_PROPERTY, self.id, &self.stamp)
    }

    fn property<'a>(&'a self, _: &View<'a>, name: &str) -> Shown<'a> {
        Shown::Plain(match name {
            "name" => json!(self.name),
            "value" => json!(self.value),
            _ => Value::Null,
        })
    }
}

impl Store {
    /// A new property, not yet on any record.
    pub(crate) fn new_property(&mut self, name: &str, value: &str, now: DateTime<Utc>) -> ExternalProperty {
        ExternalProperty {
            id: self.new_id(),
            name: name.to_owned(),
            value: value.to_owned(),
            stamp: Stamp::new(now),
        }
    }
}

/// A record's properties after a write: `{name, value}` adds one, `{id, ...}` changes one, `{id, _destroy: true}` takes
/// one away. Adding a name that is there is refused: what Clio does then is in no source.
pub(crate) fn changed(
    data: &Data<'_>,
    held: &[ExternalProperty],
    store: &mut Store,
    now: DateTime<Utc>,
) -> Result<Vec<ExternalProperty>, Refusal> {
    let mut properties = held.to_vec();
    for item in data.objects("external_properties")? {
        match item.number("id")? {
            None => {
                let (name, value) = (item.required_text("name")?, item.required_text("value")?);
                if properties.iter().any(|property| property.name == name) {
                    return Err(Refusal::invalid(format!("external property {name:?} is there already")));
                }
                properties.push(store.new_property(name, value, now));
            }
            Some(id) => change(&mut properties, id, &item, now)?,
        }
    }
    if properties.len() > MOST {
        return Err(Refusal::invalid(format!("a record may have {MOST} external_properties at most")));
    }
    Ok(properties)
}

fn change(
    properties: &mut Vec<ExternalProperty>,
    id: i64,
    item: &Data<'_>,
    now: DateTime<Utc>,
) -> Result<(), Refusal> {
    let Some(property) = properties.iter_mut().find(|property| property.id == id) else {
        return Err(Refusal::invalid(format!("external property {id} is not one of this record")));
    };
    if item.flag("_destroy")? == Some(true) {
        properties.retain(|property| property.id != id);
        return Ok(());
    }
    if let Some(name) = item.unblank_text("name")? {
        name.clone_into(&mut property.name);
    }
    if let Some(value) = item.unblank_text("value")? {
        value.clone_into(&mut property.value);
    }
    property.stamp.touch(now);
    Ok(())
}

/// The filters of a list by its records' properties.
pub(crate) struct PropertyFilter<'a> {
    name: Option<&'a str>,
    value: Option<&'a str>,
}

impl<'a> PropertyFilter<'a> {
    /// Reads the filters; the one for the value needs the one for the name.
    pub(crate) fn read(params: &'a Params) -> Result<Self, Refusal> {
        let name = params.one("external_property_name");
        let value = params.one("external_property_value");
        if name.is_none() && value.is_some() {
            return Err(Refusal::bad_request("external_property_value needs external_property_name"));
        }
        Ok(Self { name, value })
    }

    /// Whether a record with these properties passes.
    pub(crate) fn passes(&self, properties: &[ExternalProperty]) -> bool {
        self.name.is_none_or(|name| {
            properties.iter().any(|property| {
                property.name == name && self.value.is_none_or(|value| property.value == value)
            })
        })
    }
}
