//! Reading the properties of a request's `data`.

#![expect(clippy::option_option, reason = "absent, null and given are three different things")]

use chrono::{DateTime, NaiveDate, SubsecRound, Utc};
use serde_json::{Map, Value};

use super::refusal::Refusal;

/// The object under `data`, keys outside the table already taken away.
pub(super) struct Data<'a> {
    object: &'a Map<String, Value>,
}

impl<'a> Data<'a> {
    /// Reads an object.
    pub(super) fn new(object: &'a Map<String, Value>) -> Self {
        Self { object }
    }

    /// Whether nothing at all was sent.
    pub(super) fn is_empty(&self) -> bool {
        self.object.is_empty()
    }

    /// A property as sent.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name)
    }

    /// A text: absent, null, or given.
    pub(super) fn text(&self, name: &str) -> Result<Option<Option<&'a str>>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Null) => Ok(Some(None)),
            Some(Value::String(text)) => Ok(Some(Some(text))),
            Some(_) => Err(Refusal::invalid(format!("{name} must be a string"))),
        }
    }

    /// A text that must be there and not be blank.
    pub(super) fn required_text(&self, name: &str) -> Result<&'a str, Refusal> {
        match self.text(name)? {
            Some(Some(text)) if !text.trim().is_empty() => Ok(text),
            _ => Err(Refusal::invalid(format!("{name} can't be blank"))),
        }
    }

    /// A text that may be absent but not blank.
    pub(super) fn unblank_text(&self, name: &str) -> Result<Option<&'a str>, Refusal> {
        if self.get(name).is_none() {
            return Ok(None);
        }
        self.required_text(name).map(Some)
    }

    /// A yes or no.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(Refusal::invalid(format!("{name} must be true or false"))),
        }
    }

    /// A whole number.
    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => match value.as_i64() {
                Some(number) => Ok(Some(number)),
                None => Err(Refusal::invalid(format!("{name} must be an integer"))),
            },
        }
    }

    /// A date.
    pub(super) fn date(&self, name: &str) -> Result<Option<Option<NaiveDate>>, Refusal> {
        match self.text(name)? {
            None => Ok(None),
            Some(None) => Ok(Some(None)),
            Some(Some(text)) => match NaiveDate::parse_from_str(text, "%Y-%m-%d") {
                Ok(date) => Ok(Some(Some(date))),
                Err(_) => Err(Refusal::invalid(format!("{name} must be a date"))),
            },
        }
    }

    /// A time with its offset, in whole seconds; none if absent.
    pub(super) fn time(&self, name: &str) -> Result<Option<DateTime<Utc>>, Refusal> {
        let wrong = || Refusal::invalid(format!("{name} must be an ISO-8601 timestamp"));
        match self.text(name)? {
            None => Ok(None),
            Some(text) => {
                let time = text.and_then(|text| DateTime::parse_from_rfc3339(text).ok()).ok_or_else(wrong)?;
                Ok(Some(time.to_utc().trunc_subsecs(0)))
            }
        }
    }

    /// The id in a reference such as `{"group": {"id": 1}}`: absent, null, or given.
    pub(super) fn reference(&self, name: &str) -> Result<Option<Option<i64>>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Null) => Ok(Some(None)),
            Some(Value::Object(object)) => match object.get("id") {
                Some(Value::Null) => Ok(Some(None)),
                Some(id) if id.is_i64() => Ok(Some(id.as_i64())),
                _ => Err(Refusal::invalid(format!("{name}.id must be an integer"))),
            },
            Some(_) => Err(Refusal::invalid(format!("{name} must be an object with an id"))),
        }
    }

    /// An object, or nothing if absent or null.
    pub(super) fn object(&self, name: &str) -> Result<Option<Data<'a>>, Refusal> {
        match self.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(object)) => Ok(Some(Data::new(object))),
            Some(_) => Err(Refusal::invalid(format!("{name} must be an object"))),
        }
    }

    /// The objects of an array; none if absent.
    pub(super) fn objects(&self, name: &str) -> Result<Vec<Data<'a>>, Refusal> {
        let Some(value) = self.get(name) else { return Ok(Vec::new()) };
        let wrong = || Refusal::invalid(format!("{name} must be an array of objects"));
        let items = value.as_array().ok_or_else(wrong)?;
        items.iter().map(|item| item.as_object().map(Data::new).ok_or_else(wrong)).collect()
    }
}
