//! A line of each kind of queue file, as far as it says which record it is of.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::DataFolder;

/// A litigation: 16 values in the first version, two of its dismissal more in the last.
#[derive(Deserialize)]
struct Litigation {
    object_id: Id,
}

/// An attachment.
#[derive(Deserialize)]
struct Attachment {
    id: Id,
    litigation_object_id: Id,
}

/// A matter as Clio showed it, which is the line of the first version.
#[derive(Deserialize)]
struct Matter {
    id: Id,
    #[serde(default)]
    custom_field_values: Vec<FieldValue>,
}

#[derive(Deserialize)]
struct FieldValue {
    field_name: Option<String>,
    value: Option<Value>,
}

/// A matter that was dismissed, or has a new court date: the line of the last version.
#[derive(Deserialize)]
struct Event {
    matter: Matter,
    next_court_date: Option<String>,
}

/// A note. The matter that stands with it is the last one of that pull, and hardly ever the note's.
#[derive(Deserialize)]
struct Note {
    id: Id,
}

/// An id, which is a number, or text with a number in it.
#[derive(Deserialize)]
#[serde(try_from = "Value")]
struct Id(String);

impl TryFrom<Value> for Id {
    type Error = String;
    fn try_from(value: Value) -> Result<Self, String> {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if is_number { Ok(Self(text)) } else { Err(format!("`{text}` is no id")) }
    }
}

/// A row of the history that was to be written of a matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unrecorded {
    /// The matter's id.
    pub matter: String,
    /// Its civil warrant.
    pub warrant: Option<String>,
    /// The setting that the row was to tell, as Clio showed it; none of a dismissal.
    pub setting: Option<String>,
}

impl DataFolder {
    pub(super) fn take_litigation(&mut self, line: &str) -> Result<(), String> {
        let Litigation { object_id } = read(line)?;
        self.litigations.insert(object_id.0);
        Ok(())
    }

    pub(super) fn take_attachment(&mut self, line: &str) -> Result<(), String> {
        let Attachment { id, litigation_object_id } = read(line)?;
        self.attachments.insert(format!("{}/{}", litigation_object_id.0, id.0));
        Ok(())
    }

    pub(super) fn take_matter(&mut self, line: &str) -> Result<(), String> {
        let value: Value = read(line)?;
        let matter = if value.get("matter").is_some() {
            let Event { matter, next_court_date } = of(value)?;
            self.unrecorded.push(Unrecorded {
                matter: matter.id.0.clone(),
                warrant: matter.value("Civil Warrant"),
                setting: next_court_date,
            });
            matter
        } else {
            of(value)?
        };
        self.of_matters.extend(matter.object_id());
        self.matters.insert(matter.id.0);
        Ok(())
    }

    pub(super) fn take_note(&mut self, line: &str) -> Result<(), String> {
        let Note { id } = read(line)?;
        self.notes.insert(id.0);
        Ok(())
    }
}

impl Matter {
    fn value(&self, name: &str) -> Option<String> {
        let named = self.custom_field_values.iter().find(|it| it.field_name.as_deref() == Some(name))?;
        let value = named.value.as_ref().filter(|value| !value.is_null())?;
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }

    /// The litigation's object id; Clio may show a number as `7`, `"7"` or `"7.0"`.
    fn object_id(&self) -> Option<String> {
        let shown = self.value("GIS Object ID")?;
        let whole = shown.split_once('.').map_or(shown.as_str(), |(whole, _)| whole);
        whole.parse::<u64>().ok().map(|id| id.to_string())
    }
}

fn read<T: DeserializeOwned>(line: &str) -> Result<T, String> {
    serde_json::from_str(line).map_err(|error| error.to_string())
}

fn of<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}
