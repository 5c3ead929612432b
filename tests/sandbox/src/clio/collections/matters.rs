//! Matters with the values of their custom fields.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clio::body::Data;
use crate::clio::collection::{Ask, Collection};
use crate::clio::collections::contacts::CONTACT;
use crate::clio::collections::custom_fields::{CUSTOM_FIELD, CustomField, PICKLIST_OPTION};
use crate::clio::collections::groups::GROUP;
use crate::clio::collections::practice_areas::PRACTICE_AREA;
use crate::clio::filters::contains;
use crate::clio::listing::Params;
use crate::clio::records::{Stamp, Store};
use crate::clio::refusal::Refusal;
use crate::clio::shape::{Nested, Shape};
use crate::clio::values;
use crate::clio::view::{Entity, Record, Shown, View};
use crate::clio::write::Writer;

/// A matter.
pub(crate) static MATTER: Shape = Shape {
    kind: "Matter",
    plain: &[
        "number",
        "display_number",
        "description",
        "status",
        "location",
        "client_reference",
        "client_id",
        "billable",
        "open_date",
        "close_date",
        "pending_date",
        "created_at",
        "updated_at",
    ],
    nested: &[
        ("client", Nested::Base(&CONTACT)),
        ("group", Nested::Base(&GROUP)),
        ("practice_area", Nested::Base(&PRACTICE_AREA)),
        ("custom_field_values", Nested::Whole(&FIELD_VALUE)),
    ],
    defaults: &["display_number"],
};

/// The value of a custom field.
pub(crate) static FIELD_VALUE: Shape = Shape {
    kind: "CustomFieldValue",
    plain: &[
        "field_name",
        "created_at",
        "updated_at",
        "field_type",
        "field_required",
        "field_displayed",
        "field_display_order",
        "value",
        "soft_deleted",
    ],
    nested: &[
        ("custom_field", Nested::Whole(&CUSTOM_FIELD)),
        ("picklist_option", Nested::Whole(&PICKLIST_OPTION)),
    ],
    defaults: &[],
};

/// A matter's status, written as on input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
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
    pub(crate) fn parse(word: &str) -> Option<Self> {
        match word {
            "open" => Some(Self::Open),
            "pending" => Some(Self::Pending),
            "closed" => Some(Self::Closed),
            _ => None,
        }
    }

    /// The capitalised word that Clio gives on output.
    pub(crate) fn shown(self) -> &'static str {
        match self {
            Self::Open => "Open",
            Self::Pending => "Pending",
            Self::Closed => "Closed",
        }
    }
}

/// A matter.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Matter {
    /// Its id.
    pub(crate) id: i64,
    /// Its number within the account.
    pub(crate) number: i64,
    /// The number with the client's name.
    pub(crate) display_number: String,
    /// Free text, never empty.
    pub(crate) description: String,
    /// Its status.
    pub(crate) status: Status,
    /// Free text.
    pub(crate) location: Option<String>,
    /// Free text.
    pub(crate) client_reference: Option<String>,
    /// Whether time on it is billed.
    pub(crate) billable: bool,
    /// When it was opened.
    pub(crate) open_date: Option<NaiveDate>,
    /// When it was closed.
    pub(crate) close_date: Option<NaiveDate>,
    /// When it became pending.
    pub(crate) pending_date: Option<NaiveDate>,
    /// Id of the contact that is the client.
    pub(crate) client: i64,
    /// Id of the group.
    pub(crate) group: Option<i64>,
    /// Id of the practice area.
    pub(crate) practice_area: Option<i64>,
    /// Custom field values by the definition's id.
    pub(crate) values: BTreeMap<i64, FieldValue>,
    /// Its stamp.
    pub(crate) stamp: Stamp,
}

impl Matter {
    /// An open matter that is not yet in the store: it has no id and no number.
    pub(crate) fn draft(client: i64, description: &str, now: DateTime<Utc>) -> Self {
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
pub(crate) struct FieldValue {
    /// The number in its id, which is `<field type>-<number>`.
    pub(crate) number: i64,
    /// The value as Clio gives it: an option's id for a picklist.
    pub(crate) value: String,
    /// Its stamp.
    pub(crate) stamp: Stamp,
}

impl FieldValue {
    /// The composite id.
    pub(crate) fn id(&self, field: &CustomField) -> String {
        format!("{}-{}", field.field_type, self.number)
    }
}

impl Store {
    /// Adds a matter, giving it id, number and display number.
    pub(crate) fn add_matter(&mut self, draft: Matter) -> i64 {
        let id = self.new_id();
        self.last_matter += 1;
        let number = self.last_matter;
        let client = self.contacts.get(&draft.client).map(|contact| contact.name.as_str());
        let display_number = format!("{number:05}-{}", client.unwrap_or_default());
        self.matters.insert(id, Matter { id, number, display_number, ..draft });
        id
    }

    /// Deletes a matter with its notes and documents; its calendar entries stay in their calendars. False if there is none.
    pub(crate) fn remove_matter(&mut self, id: i64, now: DateTime<Utc>) -> bool {
        self.notes.retain(|_, note| note.on.matter() != Some(id));
        self.documents.retain(|_, document| document.on.matter() != Some(id));
        for entry in self.calendar_entries.values_mut().filter(|entry| entry.matter == Some(id)) {
            entry.matter = None;
            entry.stamp.touch(now);
        }
        self.matters.remove(&id).is_some()
    }

    /// Sets a value that has been checked, or empties the field. The matter is not touched by this.
    pub(crate) fn set_value(&mut self, matter: i64, field: i64, value: Option<String>, now: DateTime<Utc>) {
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
}

/// One property of a value.
pub(crate) fn of_value<'a>(field: &'a CustomField, value: &FieldValue, name: &str) -> Shown<'a> {
    match name {
        "custom_field" => Shown::one(Some(field)),
        "picklist_option" => Shown::one(field.option_of(value)),
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

/// The matters that pass.
fn matters<'a>(store: &'a Store, params: &Params) -> Result<Vec<Record<'a>>, Refusal> {
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
    Ok(store.matters.values().filter(passes).map(|record| Record::Of(record)).collect())
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

struct ValueChange {
    field: i64,
    value: Option<String>,
}

impl Writer<'_> {
    /// Makes a matter and gives its id.
    fn create_matter(&mut self, data: &Data<'_>) -> Result<i64, Refusal> {
        let client =
            data.reference("client")?.flatten().ok_or_else(|| Refusal::invalid("client can't be blank"))?;
        self.must_have_client(client)?;
        let description = data.required_text("description")?;
        let changes = self.value_changes(data, None)?;
        let draft = self.changed(data, &Matter::draft(client, description, self.now))?;
        let id = self.store.add_matter(draft);
        self.apply(id, changes);
        Ok(id)
    }

    /// Changes a matter. A body without a heeded key changes nothing; any other moves etag and time.
    fn update_matter(&mut self, id: i64, data: &Data<'_>) -> Result<(), Refusal> {
        if data.is_empty() {
            return Ok(());
        }
        let matter = self.store.matters.get(&id).ok_or_else(|| Refusal::not_found("Matter"))?;
        let changes = self.value_changes(data, Some(matter))?;
        let mut updated = self.changed(data, matter)?;
        updated.stamp.touch(self.now);
        self.store.matters.insert(id, updated);
        self.apply(id, changes);
        Ok(())
    }

    fn apply(&mut self, matter: i64, changes: Vec<ValueChange>) {
        for ValueChange { field, value } in changes {
            self.store.set_value(matter, field, value, self.now);
        }
    }

    fn must_have_client(&self, client: i64) -> Result<(), Refusal> {
        if self.store.contacts.contains_key(&client) {
            return Ok(());
        }
        Err(Refusal::invalid("client does not exist"))
    }

    /// The matter with the plain properties of a body.
    fn changed(&self, data: &Data<'_>, matter: &Matter) -> Result<Matter, Refusal> {
        let mut changed = matter.clone();
        if let Some(client) = data.reference("client")? {
            changed.client = client.ok_or_else(|| Refusal::invalid("client can't be blank"))?;
            self.must_have_client(changed.client)?;
        }
        if let Some(description) = data.unblank_text("description")? {
            description.clone_into(&mut changed.description);
        }
        if let Some(status) = data.text("status")? {
            let status = status.and_then(Status::parse);
            let status = status.ok_or_else(|| Refusal::invalid("status must be open, pending or closed"))?;
            set_status(&mut changed, status, self.now);
        }
        if let Some(location) = data.text("location")? {
            changed.location = location.map(str::to_owned);
        }
        if let Some(reference) = data.text("client_reference")? {
            changed.client_reference = reference.map(str::to_owned);
        }
        if let Some(billable) = data.flag("billable")? {
            changed.billable = billable;
        }
        if let Some(date) = data.date("open_date")? {
            changed.open_date = date;
        }
        if let Some(group) = data.reference("group")? {
            if group.is_some_and(|id| !self.store.groups.contains_key(&id)) {
                return Err(Refusal::invalid("group does not exist"));
            }
            changed.group = group;
        }
        if let Some(area) = data.reference("practice_area")? {
            if area.is_some_and(|id| !self.store.practice_areas.contains_key(&id)) {
                return Err(Refusal::invalid("practice_area does not exist"));
            }
            changed.practice_area = area;
        }
        Ok(changed)
    }

    /// Reads `custom_field_values`: `{custom_field{id}, value}` makes a value, `{id, value}` changes one,
    /// `{id, _destroy: true}` removes one. Making one that exists is refused: what Clio does then is in no source.
    fn value_changes(&self, data: &Data<'_>, matter: Option<&Matter>) -> Result<Vec<ValueChange>, Refusal> {
        let mut named = BTreeSet::new();
        let mut changes = Vec::new();
        for item in data.objects("custom_field_values")? {
            let change = match item.get("id") {
                Some(id) => self.change_of_value(&item, id, matter)?,
                None => self.new_value(&item, matter)?,
            };
            if !named.insert(change.field) {
                return Err(Refusal::invalid("custom_field_values names a custom field twice"));
            }
            changes.push(change);
        }
        Ok(changes)
    }

    fn new_value(&self, item: &Data<'_>, matter: Option<&Matter>) -> Result<ValueChange, Refusal> {
        let id = item
            .reference("custom_field")?
            .flatten()
            .ok_or_else(|| Refusal::invalid("custom_field_values needs an id or a custom_field"))?;
        let field = self
            .store
            .matter_fields()
            .find(|field| field.id == id)
            .ok_or_else(|| Refusal::invalid("custom_field does not exist for matters"))?;
        if matter.is_some_and(|matter| matter.values.contains_key(&id)) {
            return Err(Refusal::invalid(format!("Custom field \"{}\" has a value already", field.name)));
        }
        let value = item.get("value").unwrap_or(&Value::Null);
        Ok(ValueChange { field: id, value: Some(values::check(field, value, self.store, self.limits)?) })
    }

    fn change_of_value(
        &self,
        item: &Data<'_>,
        id: &Value,
        matter: Option<&Matter>,
    ) -> Result<ValueChange, Refusal> {
        let found = id.as_str().zip(matter).and_then(|(id, matter)| {
            self.store
                .matter_fields()
                .find(|field| matter.values.get(&field.id).is_some_and(|value| value.id(field) == id))
        });
        let field = found
            .ok_or_else(|| Refusal::invalid(format!("custom field value {id} is not one of this matter")))?;
        if item.reference("custom_field")?.flatten().is_some_and(|id| id != field.id) {
            return Err(Refusal::invalid(format!("custom field value {id} belongs to another custom field")));
        }
        if item.flag("_destroy")? == Some(true) {
            return Ok(ValueChange { field: field.id, value: None });
        }
        let value = item.get("value").unwrap_or(&Value::Null);
        Ok(ValueChange {
            field: field.id,
            value: Some(values::check(field, value, self.store, self.limits)?),
        })
    }
}

/// Sets a status and the date that goes with it.
pub(crate) fn set_status(matter: &mut Matter, status: Status, now: DateTime<Utc>) {
    if matter.status == status {
        return;
    }
    matter.status = status;
    match status {
        Status::Open => matter.close_date = None,
        Status::Pending => matter.pending_date = Some(now.date_naive()),
        Status::Closed => matter.close_date = Some(now.date_naive()),
    }
}

impl Entity for Matter {
    fn parts(&self) -> (&'static Shape, i64, &Stamp) {
        (&MATTER, self.id, &self.stamp)
    }

    fn property<'a>(&'a self, view: &View<'a>, name: &str) -> Shown<'a> {
        let store = view.store;
        Shown::Plain(match name {
            "client" => return Shown::one(store.contacts.get(&self.client)),
            "group" => return Shown::one(self.group.and_then(|id| store.groups.get(&id))),
            "practice_area" => {
                return Shown::one(self.practice_area.and_then(|id| store.practice_areas.get(&id)));
            }
            "custom_field_values" => return self.shown_values(view),
            "number" => json!(self.number),
            "display_number" => json!(self.display_number),
            "description" => json!(self.description),
            "status" => json!(self.status.shown()),
            "location" => json!(self.location),
            "client_reference" => json!(self.client_reference),
            "client_id" => json!(self.client),
            "billable" => json!(self.billable),
            "open_date" => json!(self.open_date),
            "close_date" => json!(self.close_date),
            "pending_date" => json!(self.pending_date),
            _ => Value::Null,
        })
    }
}

impl Matter {
    fn shown_values<'a>(&'a self, view: &View<'a>) -> Shown<'a> {
        let asked = |id: &i64| view.only_fields.is_empty() || view.only_fields.contains(id);
        let values = self.values.iter().filter(|(id, _)| asked(id));
        let with_field = values.filter_map(|(id, value)| Some((view.store.custom_fields.get(id)?, value)));
        Shown::Many(with_field.map(|(field, value)| Record::Value(field, value)).collect())
    }
}

/// All matters.
pub(crate) struct Matters;

impl Collection for Matters {
    fn shape(&self) -> &'static Shape {
        &MATTER
    }

    fn orders(&self) -> &'static [&'static str] {
        &["display_number", "open_date", "close_date", "pending_date", "updated_at", "created_at"]
    }

    fn list<'a>(&self, ask: &Ask<'a>, params: &Params) -> Result<Vec<Record<'a>>, Refusal> {
        matters(ask.store, params)
    }

    fn find<'a>(&self, ask: &Ask<'a>, id: i64) -> Option<Record<'a>> {
        ask.store.matters.get(&id).map(|record| Record::Of(record))
    }

    fn create(&self, writer: &mut Writer<'_>, data: &Data<'_>) -> Result<i64, Refusal> {
        writer.create_matter(data)
    }

    fn update(&self, writer: &mut Writer<'_>, id: i64, data: &Data<'_>) -> Result<(), Refusal> {
        writer.update_matter(id, data)
    }

    fn destroy(&self, writer: &mut Writer<'_>, id: i64) -> Result<(), Refusal> {
        if writer.store.remove_matter(id, writer.now) { Ok(()) } else { Err(Refusal::not_found("Matter")) }
    }
}
