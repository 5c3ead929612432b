//! Which records of each collection a list's filters let pass.

use std::cmp::Ordering;

use super::listing::Params;
use super::records::{CustomField, Matter, Status, Store};
use super::refusal::Refusal;
use super::view::Record;

/// Whether a text contains another, without regard to case: Clio's "wildcard search".
fn contains(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}

/// Whether two names are the same without regard to case, so that a name filter may find several.
fn same_name(name: &str, asked: Option<&str>) -> bool {
    asked.is_none_or(|asked| name.to_lowercase() == asked.to_lowercase())
}

fn one_of<'a>(name: &str, value: Option<&'a str>, allowed: &[&str]) -> Result<Option<&'a str>, Refusal> {
    match value {
        Some(value) if !allowed.contains(&value) => {
            Err(Refusal::bad_request(format!("{value} is not a valid {name}")))
        }
        value => Ok(value),
    }
}

/// The matters that pass.
pub(super) fn matters<'a>(store: &'a Store, params: &Params) -> Result<Vec<Record<'a>>, Refusal> {
    let group = params.id("group_id")?;
    let area = params.id("practice_area_id")?;
    let client = params.id("client_id")?;
    let statuses = params.one("status").map(statuses).transpose()?;
    let query = params.one("query");
    let values = value_conditions(store, params)?;
    let passes = |matter: &&Matter| {
        group.is_none_or(|id| matter.group == Some(id))
            && area.is_none_or(|id| matter.practice_area == Some(id))
            && client.is_none_or(|id| matter.client == id)
            && statuses.as_ref().is_none_or(|statuses| statuses.contains(&matter.status))
            && query.is_none_or(|part| is_found_by(store, matter, part))
            && values.iter().all(|condition| condition.holds(matter))
    };
    Ok(store.matters.values().filter(passes).map(Record::Matter).collect())
}

fn statuses(list: &str) -> Result<Vec<Status>, Refusal> {
    list.split(',')
        .map(|word| {
            Status::parse(word.trim())
                .ok_or_else(|| Refusal::bad_request(format!("{word} is not a valid status")))
        })
        .collect()
}

fn is_found_by(store: &Store, matter: &Matter, part: &str) -> bool {
    contains(&matter.display_number, part)
        || contains(&matter.description, part)
        || matter.number.to_string().contains(part)
        || store.contacts.get(&matter.client).is_some_and(|client| contains(&client.name, part))
}

struct ValueCondition<'a> {
    field: i64,
    is_number: bool,
    operator: &'a str,
    operand: &'a str,
}

impl ValueCondition<'_> {
    fn holds(&self, matter: &Matter) -> bool {
        let Some(held) = matter.values.get(&self.field) else { return false };
        let order = if self.is_number {
            let numbers = (held.value.parse::<f64>(), self.operand.parse::<f64>());
            let (Ok(held), Ok(operand)) = numbers else { return false };
            held.partial_cmp(&operand)
        } else {
            Some(held.value.as_str().cmp(self.operand))
        };
        match self.operator {
            "<" => order == Some(Ordering::Less),
            ">" => order == Some(Ordering::Greater),
            "<=" => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            ">=" => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            _ => order == Some(Ordering::Equal),
        }
    }
}

/// Types that know one operator only take their value as it stands; the others may name an operator, and several
/// conditions in square brackets.
fn value_conditions<'a>(store: &Store, params: &'a Params) -> Result<Vec<ValueCondition<'a>>, Refusal> {
    let mut conditions = Vec::new();
    for (id, text) in params.custom_field_values() {
        let field = id
            .parse()
            .ok()
            .and_then(|id: i64| store.custom_fields.get(&id))
            .filter(|field| !field.deleted && field.parent_type == "Matter")
            .ok_or_else(|| {
                Refusal::bad_request(format!("custom_field_values[{id}] names no custom field"))
            })?;
        if !is_ordered(field) {
            conditions.push(ValueCondition {
                field: field.id,
                is_number: false,
                operator: "=",
                operand: text,
            });
            continue;
        }
        let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        for part in inner.map_or_else(|| vec![text], |inner| inner.split(',').collect()) {
            let (operator, operand) = operator(part.trim());
            let is_number = matches!(field.field_type.as_str(), "currency" | "numeric");
            conditions.push(ValueCondition { field: field.id, is_number, operator, operand });
        }
    }
    Ok(conditions)
}

fn is_ordered(field: &CustomField) -> bool {
    matches!(field.field_type.as_str(), "currency" | "date" | "time" | "numeric")
}

fn operator(text: &str) -> (&str, &str) {
    for operator in ["<=", ">=", "=", "<", ">"] {
        if let Some(operand) = text.strip_prefix(operator) {
            return (operator, operand);
        }
    }
    ("=", text)
}

/// The custom fields that pass.
pub(super) fn custom_fields<'a>(store: &'a Store, params: &Params) -> Result<Vec<Record<'a>>, Refusal> {
    let parent = one_of("parent_type", params.one("parent_type"), &["matter", "contact"])?;
    let field_type = one_of("field_type", params.one("field_type"), super::records::FIELD_TYPES)?;
    let query = params.one("query");
    let deleted = params.flag("deleted")?.unwrap_or(false);
    let passes = |field: &&CustomField| {
        field.deleted == deleted
            && parent.is_none_or(|parent| field.parent_type.eq_ignore_ascii_case(parent))
            && field_type.is_none_or(|wanted| field.field_type == wanted)
            && query.is_none_or(|part| contains(&field.name, part))
    };
    Ok(store.custom_fields.values().filter(passes).map(Record::Field).collect())
}

/// The contacts that pass. The search looks at names, titles and the matters of a client.
pub(super) fn contacts<'a>(store: &'a Store, params: &Params) -> Result<Vec<Record<'a>>, Refusal> {
    let kind = one_of("type", params.one("type"), &["Company", "Person"])?;
    let query = params.one("query");
    let client_only = params.flag("client_only")?.unwrap_or(false);
    let found = store.contacts.values().filter(|contact| {
        let mut matters = store.matters.values().filter(|matter| matter.client == contact.id);
        kind.is_none_or(|kind| contact.kind == kind)
            && (!client_only || matters.clone().next().is_some())
            && query.is_none_or(|part| {
                contains(&contact.name, part)
                    || contact.title.as_ref().is_some_and(|title| contains(title, part))
                    || matters.any(|matter| contains(&matter.display_number, part))
            })
    });
    Ok(found.map(Record::Contact).collect())
}

/// The groups that pass.
pub(super) fn groups<'a>(store: &'a Store, params: &Params) -> Result<Vec<Record<'a>>, Refusal> {
    let kind = one_of("type", params.one("type"), &["AccountGroup", "AdhocGroup", "UserGroup"])?;
    let query = params.one("query");
    let found = store.groups.values().filter(|group| {
        same_name(&group.name, params.one("name"))
            && kind.is_none_or(|kind| group.kind == kind)
            && query.is_none_or(|part| contains(&group.name, part))
    });
    Ok(found.map(Record::Group).collect())
}

/// The practice areas that pass.
pub(super) fn practice_areas<'a>(store: &'a Store, params: &Params) -> Vec<Record<'a>> {
    let code = params.one("code");
    let found = store.practice_areas.values().filter(|area| {
        same_name(&area.name, params.one("name"))
            && code.is_none_or(|code| area.code.as_deref() == Some(code))
    });
    found.map(Record::PracticeArea).collect()
}

/// The users of an account that pass.
pub(super) fn users<'a>(store: &'a Store, params: &Params, account: i64) -> Result<Vec<Record<'a>>, Refusal> {
    let enabled = params.flag("enabled")?.unwrap_or(true);
    let found = store
        .users
        .values()
        .filter(|user| enabled && user.account == account && same_name(&user.name(), params.one("name")));
    Ok(found.map(Record::User).collect())
}
