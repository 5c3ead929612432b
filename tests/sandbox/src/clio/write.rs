//! Creates and updates. Everything is checked before anything changes.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::body::Data;
use super::hand::TextLimits;
use super::records::{FIELD_TYPES, Matter, PicklistOption, Status, Store};
use super::refusal::Refusal;
use super::values;

/// A writer of records at one moment.
pub(super) struct Writer<'a> {
    /// All records.
    pub(super) store: &'a mut Store,
    /// The time of the write.
    pub(super) now: DateTime<Utc>,
    /// The longest texts taken.
    pub(super) limits: Option<TextLimits>,
}

struct ValueChange {
    field: i64,
    value: Option<String>,
}

impl Writer<'_> {
    /// Makes a matter and gives its id.
    pub(super) fn create_matter(&mut self, data: &Data<'_>) -> Result<i64, Refusal> {
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
    pub(super) fn update_matter(&mut self, id: i64, data: &Data<'_>) -> Result<(), Refusal> {
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

    /// Makes a custom field and gives its id.
    pub(super) fn create_custom_field(&mut self, data: &Data<'_>) -> Result<i64, Refusal> {
        let name = data.required_text("name")?;
        let parent = data.required_text("parent_type")?;
        if parent != "Matter" && parent != "Contact" {
            return Err(Refusal::invalid("parent_type must be Contact or Matter"));
        }
        let field_type = data.required_text("field_type")?;
        if !FIELD_TYPES.contains(&field_type) {
            return Err(Refusal::invalid(format!("{field_type} is not a valid field_type")));
        }
        let options = data.objects("picklist_options")?;
        if field_type != "picklist" && !options.is_empty() {
            return Err(Refusal::invalid("picklist_options are for a picklist only"));
        }
        let options: Vec<&str> =
            options.iter().map(|option| option.required_text("option")).collect::<Result<_, _>>()?;
        let (displayed, required) = (data.flag("displayed")?, data.flag("required")?);
        let order = data.number("display_order")?;
        let id = self.store.add_custom_field(parent, field_type, name, &options, self.now);
        if let Some(field) = self.store.custom_fields.get_mut(&id) {
            field.displayed = displayed.unwrap_or(true);
            field.required = required.unwrap_or(false);
            field.display_order = order.unwrap_or(field.display_order);
        }
        Ok(id)
    }

    /// Changes a custom field; options are added without an id, renamed by it, and removed by `_deleted`.
    pub(super) fn update_custom_field(&mut self, id: i64, data: &Data<'_>) -> Result<(), Refusal> {
        let held = self.store.custom_fields.get(&id).filter(|field| !field.deleted);
        let mut field = held.cloned().ok_or_else(|| Refusal::not_found("CustomField"))?;
        if let Some(name) = data.unblank_text("name")? {
            name.clone_into(&mut field.name);
        }
        field.displayed = data.flag("displayed")?.unwrap_or(field.displayed);
        field.required = data.flag("required")?.unwrap_or(field.required);
        field.display_order = data.number("display_order")?.unwrap_or(field.display_order);
        let items = data.objects("picklist_options")?;
        if field.field_type != "picklist" && !items.is_empty() {
            return Err(Refusal::invalid("picklist_options are for a picklist only"));
        }
        for item in items {
            match item.number("id")? {
                None => {
                    let option = item.required_text("option")?;
                    field.options.push(self.store.new_option(option, self.now));
                }
                Some(option) => change_option(&mut field.options, option, &item, self.now)?,
            }
        }
        field.stamp.touch(self.now);
        self.store.custom_fields.insert(id, field);
        Ok(())
    }

    /// Makes a contact and gives its id. A person may have first and last name instead of a name.
    pub(super) fn create_contact(&mut self, data: &Data<'_>) -> Result<i64, Refusal> {
        let kind = data.required_text("type")?;
        if kind != "Company" && kind != "Person" {
            return Err(Refusal::invalid("type must be Person or Company"));
        }
        let first = data.text("first_name")?.flatten();
        let last = data.text("last_name")?.flatten();
        let name = match (data.unblank_text("name")?, first, last) {
            (Some(name), ..) => name.to_owned(),
            (None, Some(first), Some(last)) if kind == "Person" => format!("{first} {last}"),
            _ => return Err(Refusal::invalid("name can't be blank")),
        };
        let title = data.text("title")?.flatten().map(str::to_owned);
        let id = self.store.add_contact(kind, &name, self.now);
        if let Some(contact) = self.store.contacts.get_mut(&id) {
            contact.first_name = first.map(str::to_owned);
            contact.last_name = last.map(str::to_owned);
            contact.title = title;
        }
        Ok(id)
    }

    /// Makes a group and gives its id.
    pub(super) fn create_group(&mut self, data: &Data<'_>) -> Result<i64, Refusal> {
        let name = data.required_text("name")?;
        Ok(self.store.add_group(name, self.now))
    }

    /// Makes a practice area and gives its id.
    pub(super) fn create_practice_area(&mut self, data: &Data<'_>) -> Result<i64, Refusal> {
        let name = data.required_text("name")?;
        let code = data.text("code")?.flatten().map(str::to_owned);
        let category = data.text("category")?.flatten().map(str::to_owned);
        let id = self.store.add_practice_area(name, self.now);
        if let Some(area) = self.store.practice_areas.get_mut(&id) {
            area.code = code;
            area.category = category;
        }
        Ok(id)
    }
}

/// Sets a status and the date that goes with it.
pub(super) fn set_status(matter: &mut Matter, status: Status, now: DateTime<Utc>) {
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

fn change_option(
    options: &mut [PicklistOption],
    id: i64,
    item: &Data<'_>,
    now: DateTime<Utc>,
) -> Result<(), Refusal> {
    let option = options
        .iter_mut()
        .find(|option| option.id == id && option.deleted_at.is_none())
        .ok_or_else(|| Refusal::invalid(format!("picklist option {id} is not one of this field")))?;
    if item.flag("_deleted")? == Some(true) {
        option.deleted_at = Some(now);
    } else if let Some(label) = item.unblank_text("option")? {
        label.clone_into(&mut option.option);
    }
    option.stamp.touch(now);
    Ok(())
}
