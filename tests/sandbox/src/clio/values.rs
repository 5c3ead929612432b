//! Custom field values: which texts each type takes.
//!
//! The specification declares every value a string; a picklist's value is the option's id.

use chrono::{NaiveDate, NaiveTime};
use serde_json::Value;

use super::collections::custom_fields::CustomField;
use super::hand::TextLimits;
use super::records::Store;
use super::refusal::Refusal;

/// Checks a value as sent for a field and gives it as it will be kept.
pub(super) fn check(
    field: &CustomField,
    value: &Value,
    store: &Store,
    limits: Option<TextLimits>,
) -> Result<String, Refusal> {
    let Value::String(text) = value else {
        return Err(wrong(field, "must be a string"));
    };
    if text.is_empty() {
        return Err(wrong(field, "can't be blank; use _destroy to remove a value"));
    }
    match field.field_type.as_str() {
        "text_line" => within(field, text, limits.map(|limits| limits.text_line)),
        "text_area" => within(field, text, limits.map(|limits| limits.text_area)),
        "email" if !text.contains('@') => Err(wrong(field, "is not an email address")),
        "url" if !text.contains('.') || text.contains(char::is_whitespace) => {
            Err(wrong(field, "is not a URL"))
        }
        "email" | "url" => within(field, text, limits.map(|limits| limits.text_line)),
        "numeric" | "currency" => decimal(text).ok_or_else(|| wrong(field, "is not a number")),
        "date" => NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .map(|date| date.to_string())
            .map_err(|_| wrong(field, "is not a date of the form YYYY-MM-DD")),
        "time" => NaiveTime::parse_from_str(text, "%H:%M:%S")
            .or_else(|_| NaiveTime::parse_from_str(text, "%H:%M"))
            .map(|time| time.format("%H:%M:%S").to_string())
            .map_err(|_| wrong(field, "is not a time")),
        "checkbox" if text == "true" || text == "false" => Ok(text.clone()),
        "checkbox" => Err(wrong(field, "is neither true nor false")),
        "picklist" if field.live_options().any(|option| option.id.to_string() == *text) => Ok(text.clone()),
        "picklist" => Err(wrong(field, "is not the id of one of the field's options")),
        "contact" if has(text, |id| store.contacts.contains_key(&id)) => Ok(text.clone()),
        "matter" if has(text, |id| store.matters.contains_key(&id)) => Ok(text.clone()),
        _ => Err(wrong(field, "does not name an existing record")),
    }
}

fn wrong(field: &CustomField, what: &str) -> Refusal {
    Refusal::invalid(format!("Custom field value for \"{}\" {what}", field.name))
}

fn within(field: &CustomField, text: &str, limit: Option<usize>) -> Result<String, Refusal> {
    match limit {
        Some(limit) if text.chars().count() > limit => {
            Err(wrong(field, &format!("is too long (maximum is {limit} characters)")))
        }
        _ => Ok(text.to_owned()),
    }
}

fn has(text: &str, exists: impl Fn(i64) -> bool) -> bool {
    text.parse().is_ok_and(exists)
}

/// A decimal number in its shortest writing, or nothing if the text is none.
fn decimal(text: &str) -> Option<String> {
    let trimmed = text.trim();
    let (sign, digits) = match trimmed.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", trimmed),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        rest => rest,
    };
    let shortest = match fraction.trim_end_matches('0') {
        "" => whole.to_owned(),
        rest => format!("{whole}.{rest}"),
    };
    Some(if shortest == "0" { shortest } else { format!("{sign}{shortest}") })
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use serde_json::json;

    use super::*;

    fn field(field_type: &str, options: &[&str]) -> (Store, CustomField) {
        let mut store = Store::default();
        let id =
            store.add_custom_field("Matter", field_type, "Probe", options, chrono::DateTime::<Utc>::MIN_UTC);
        let field = store.custom_fields[&id].clone();
        (store, field)
    }

    fn checked(field_type: &str, value: &Value) -> Option<String> {
        let (store, field) = field(field_type, &[]);
        check(&field, value, &store, Some(TextLimits { text_line: 5, text_area: 9 })).ok()
    }

    #[test]
    fn each_type_takes_its_own_texts_only() {
        for (field_type, good, kept, bad) in [
            ("text_line", "12345", "12345", "123456"),
            ("text_area", "123456789", "123456789", "1234567890"),
            ("numeric", "0012.50", "12.5", "12,5"),
            ("currency", "-0.0", "0", "$5"),
            ("date", "2026-11-20", "2026-11-20", "11/20/2026"),
            ("time", "09:30", "09:30:00", "noon"),
            ("checkbox", "true", "true", "yes"),
            ("email", "a@b.c", "a@b.c", "a.b.c"),
            ("url", "a.com", "a.com", "a com"),
        ] {
            assert_eq!(checked(field_type, &json!(good)).as_deref(), Some(kept), "{field_type} {good}");
            assert_eq!(checked(field_type, &json!(bad)), None, "{field_type} {bad}");
        }
        assert_eq!(checked("numeric", &json!(5)), None);
        assert_eq!(checked("text_line", &json!("")), None);
        assert_eq!(checked("text_line", &Value::Null), None);
    }

    #[test]
    fn a_picklist_takes_an_option_id_and_no_label() {
        let (store, field) = field("picklist", &["Hearing"]);
        let id = field.options[0].id.to_string();
        assert_eq!(check(&field, &json!(id), &store, None), Ok(id));
        assert!(check(&field, &json!("Hearing"), &store, None).is_err());
    }
}
