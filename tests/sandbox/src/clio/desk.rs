//! A person's hand on the account, behind the admin side: reads by names, edits with their own etag and time.

mod calendars;
mod documents;
mod notes;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::collections::contacts::Contact;
use super::collections::custom_fields::CustomField;
use super::collections::groups::Group;
use super::collections::matters::{Matter, Status, set_status};
use super::collections::practice_areas::PracticeArea;
use super::hand::{FieldEdit, FieldPage, MatterEdit, MatterPage, Named, NewMatter, OptionPage, TextLimits};
use super::records::Store;
use super::view::Record;
use super::{ClioState, values};

/// Why an edit by hand cannot be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeskError {
    /// There is no record of that name or id.
    #[error("there is no {0}")]
    Missing(String),
    /// Clio would not take it from a person either.
    #[error("{0}")]
    Refused(String),
}

impl ClioState {
    /// All matters, the foreign ones too.
    pub(crate) fn matter_pages(&self) -> Vec<MatterPage> {
        let inner = self.inner();
        let store = &inner.kept.store;
        store.matters.values().map(|matter| matter_page(store, matter)).collect()
    }

    /// Edits a matter.
    pub(crate) fn edit_by_hand(&self, id: i64, edit: &MatterEdit) -> Result<MatterPage, DeskError> {
        let now = self.clock.now();
        let mut inner = self.inner();
        let limits = inner.kept.switches.text_limits;
        let store = &mut inner.kept.store;
        let mut matter = store.matters.get(&id).cloned().ok_or_else(|| missing_matter(id))?;
        let values = change_by_hand(store, limits, &mut matter, edit, now)?;
        matter.stamp.touch(now);
        store.matters.insert(id, matter);
        set_values(store, id, values, now)
    }

    /// Makes a matter.
    pub(crate) fn add_by_hand(&self, new: NewMatter) -> Result<MatterPage, DeskError> {
        let now = self.clock.now();
        let mut inner = self.inner();
        let limits = inner.kept.switches.text_limits;
        let store = &mut inner.kept.store;
        let mut draft = Matter::draft(id_of(&store.contacts, &new.client)?, &new.description, now);
        let rest = MatterEdit {
            description: None,
            status: new.status,
            group: new.group,
            leave_group: false,
            practice_area: new.practice_area,
            custom_fields: new.custom_fields,
        };
        let values = change_by_hand(store, limits, &mut draft, &rest, now)?;
        let id = store.add_matter(draft);
        set_values(store, id, values, now)
    }

    /// Deletes a matter.
    pub(crate) fn delete_by_hand(&self, id: i64) -> Result<(), DeskError> {
        let now = self.clock.now();
        if self.inner().kept.store.remove_matter(id, now) { Ok(()) } else { Err(missing_matter(id)) }
    }

    /// All custom fields, the deleted ones too.
    pub(crate) fn field_pages(&self) -> Vec<FieldPage> {
        self.inner().kept.store.custom_fields.values().map(field_page).collect()
    }

    /// Changes a custom field for matters.
    pub(crate) fn edit_field_by_hand(&self, name: &str, edit: &FieldEdit) -> Result<FieldPage, DeskError> {
        let now = self.clock.now();
        let mut inner = self.inner();
        let store = &mut inner.kept.store;
        let id = field_named(store, name)?.id;
        let added = edit.add_option.as_ref().map(|option| store.new_option(option, now));
        let field = store.custom_fields.get_mut(&id).ok_or_else(|| missing_field(name))?;
        if let Some(label) = &edit.remove_option {
            let option = field
                .options
                .iter_mut()
                .find(|option| option.deleted_at.is_none() && option.option == *label)
                .ok_or_else(|| DeskError::Missing(format!("option {label:?} of {name:?}")))?;
            option.deleted_at = Some(now);
            option.stamp.touch(now);
        }
        field.options.extend(added);
        if let Some(name) = &edit.rename {
            field.name.clone_from(name);
        }
        field.deleted = edit.delete;
        field.stamp.touch(now);
        let page = field_page(field);
        if edit.delete {
            for matter in store.matters.values_mut() {
                matter.values.remove(&id);
            }
        }
        Ok(page)
    }

    /// All contacts.
    pub(crate) fn contact_names(&self) -> Vec<Named> {
        named(&self.inner().kept.store.contacts)
    }

    /// All groups.
    pub(crate) fn group_names(&self) -> Vec<Named> {
        named(&self.inner().kept.store.groups)
    }

    /// All practice areas.
    pub(crate) fn practice_area_names(&self) -> Vec<Named> {
        named(&self.inner().kept.store.practice_areas)
    }

    /// All users who may sign in, of every firm.
    pub(crate) fn user_names(&self) -> Vec<Named> {
        let inner = self.inner();
        inner.kept.store.users.values().map(|user| Named { id: user.id, name: user.name() }).collect()
    }
}

/// A record that a person knows by its name.
trait HasName {
    fn name(&self) -> &str;
}

impl HasName for Contact {
    fn name(&self) -> &str {
        &self.name
    }
}

impl HasName for Group {
    fn name(&self) -> &str {
        &self.name
    }
}

impl HasName for PracticeArea {
    fn name(&self) -> &str {
        &self.name
    }
}

fn named(records: &BTreeMap<i64, impl HasName>) -> Vec<Named> {
    records.iter().map(|(id, record)| Named { id: *id, name: record.name().to_owned() }).collect()
}

fn id_of(records: &BTreeMap<i64, impl HasName>, name: &str) -> Result<i64, DeskError> {
    let found = records.iter().find(|(_, record)| record.name() == name);
    found.map(|(id, _)| *id).ok_or_else(|| DeskError::Missing(format!("record named {name:?}")))
}

fn name_of(records: &BTreeMap<i64, impl HasName>, id: Option<i64>) -> Option<String> {
    records.get(&id?).map(|record| record.name().to_owned())
}

fn missing_matter(id: i64) -> DeskError {
    DeskError::Missing(format!("matter {id}"))
}

fn missing_field(name: &str) -> DeskError {
    DeskError::Missing(format!("custom field {name:?} for matters"))
}

/// A custom field's id and its new value, as Clio keeps it.
type NewValue = (i64, Option<String>);

/// Changes what a person changes in a matter, and gives the values of custom fields that are to be set once it is in the
/// store.
fn change_by_hand(
    store: &Store,
    limits: Option<TextLimits>,
    matter: &mut Matter,
    edit: &MatterEdit,
    now: DateTime<Utc>,
) -> Result<Vec<NewValue>, DeskError> {
    if let Some(description) = &edit.description {
        matter.description.clone_from(description);
    }
    if let Some(status) = &edit.status {
        set_status(matter, status_named(status)?, now);
    }
    if edit.leave_group {
        matter.group = None;
    }
    if let Some(group) = &edit.group {
        matter.group = Some(id_of(&store.groups, group)?);
    }
    if let Some(area) = &edit.practice_area {
        matter.practice_area = Some(id_of(&store.practice_areas, area)?);
    }
    let values = edit.custom_fields.iter();
    values.map(|(name, value)| value_by_hand(store, limits, name, value.as_deref())).collect()
}

fn set_values(
    store: &mut Store,
    id: i64,
    values: Vec<NewValue>,
    now: DateTime<Utc>,
) -> Result<MatterPage, DeskError> {
    for (field, value) in values {
        store.set_value(id, field, value, now);
    }
    let matter = store.matters.get(&id).ok_or_else(|| missing_matter(id))?;
    Ok(matter_page(store, matter))
}

fn status_named(word: &str) -> Result<Status, DeskError> {
    Status::parse(&word.to_lowercase()).ok_or_else(|| DeskError::Refused(format!("{word:?} is no status")))
}

fn field_named<'a>(store: &'a Store, name: &str) -> Result<&'a CustomField, DeskError> {
    store.matter_fields().find(|field| field.name == name).ok_or_else(|| missing_field(name))
}

/// A custom field's new value, from what a person types or picks.
fn value_by_hand(
    store: &Store,
    limits: Option<TextLimits>,
    name: &str,
    value: Option<&str>,
) -> Result<NewValue, DeskError> {
    let field = field_named(store, name)?;
    let Some(typed) = value.filter(|typed| !typed.is_empty()) else { return Ok((field.id, None)) };
    let as_sent = if field.field_type == "picklist" {
        let option = field.live_options().find(|option| option.option == typed);
        option.ok_or_else(|| DeskError::Missing(format!("option {typed:?} of {name:?}")))?.id.to_string()
    } else {
        typed.to_owned()
    };
    let kept = values::check(field, &json!(as_sent), store, limits);
    kept.map(|kept| (field.id, Some(kept))).map_err(|refusal| DeskError::Refused(refusal.message))
}

fn matter_page(store: &Store, matter: &Matter) -> MatterPage {
    let custom_fields = store.matter_fields().map(|field| {
        let value = matter.values.get(&field.id).map(|held| {
            field.option_of(held).map_or_else(|| held.value.clone(), |option| option.option.clone())
        });
        (field.name.clone(), value)
    });
    MatterPage {
        id: matter.id,
        group: name_of(&store.groups, matter.group),
        practice_area: name_of(&store.practice_areas, matter.practice_area),
        client: name_of(&store.contacts, Some(matter.client)).unwrap_or_default(),
        display_number: matter.display_number.clone(),
        description: matter.description.clone(),
        status: matter.status.shown().to_owned(),
        etag: Record::Of(matter).etag(),
        created_at: matter.stamp.created_at,
        updated_at: matter.stamp.updated_at,
        custom_fields: custom_fields.collect(),
    }
}

fn field_page(field: &CustomField) -> FieldPage {
    let options =
        field.live_options().map(|option| OptionPage { id: option.id, option: option.option.clone() });
    FieldPage {
        id: field.id,
        name: field.name.clone(),
        parent_type: field.parent_type.clone(),
        field_type: field.field_type.clone(),
        options: options.collect(),
        deleted: field.deleted,
    }
}
