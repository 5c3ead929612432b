//! A person's hand on the account, behind the admin side: reads by names, edits with their own etag and time.

use serde_json::json;

use super::hand::{FieldEdit, FieldPage, MatterEdit, MatterPage, Named, NewMatter, OptionPage};
use super::records::{CustomField, Matter, Status, Store};
use super::write::set_status;
use super::{ClioState, values};

/// Why an edit by hand cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// There is no record of that name or id.
    #[error("there is no {0}")]
    Missing(String),
    /// Clio would not take it from a person either.
    #[error("{0}")]
    Refused(String),
}

impl ClioState {
    /// All matters, the foreign ones too.
    pub fn matter_pages(&self) -> Vec<MatterPage> {
        let inner = self.inner();
        let store = &inner.kept.store;
        store.matters.values().map(|matter| matter_page(store, matter)).collect()
    }

    /// Edits a matter.
    pub fn edit_by_hand(&self, id: i64, edit: &MatterEdit) -> Result<MatterPage, DeskError> {
        let now = self.clock.now();
        let mut inner = self.inner();
        let limits = inner.kept.switches.text_limits;
        let store = &mut inner.kept.store;
        let mut matter =
            store.matters.get(&id).cloned().ok_or_else(|| DeskError::Missing(format!("matter {id}")))?;
        if let Some(description) = &edit.description {
            matter.description.clone_from(description);
        }
        if let Some(status) = &edit.status {
            set_status(&mut matter, status_named(status)?, now);
        }
        if let Some(group) = &edit.group {
            matter.group = Some(id_of(store.groups.values().map(|group| (group.id, &group.name)), group)?);
        }
        if let Some(area) = &edit.practice_area {
            let areas = store.practice_areas.values().map(|area| (area.id, &area.name));
            matter.practice_area = Some(id_of(areas, area)?);
        }
        let mut changes = Vec::new();
        for (name, value) in &edit.custom_fields {
            changes.push(value_by_hand(store, limits, name, value.as_deref())?);
        }
        matter.stamp.touch(now);
        store.matters.insert(id, matter);
        for (field, value) in changes {
            store.set_value(id, field, value, now);
        }
        page_of(store, id)
    }

    /// Makes a matter.
    pub fn add_by_hand(&self, new: &NewMatter) -> Result<MatterPage, DeskError> {
        let now = self.clock.now();
        let id = {
            let mut inner = self.inner();
            let limits = inner.kept.switches.text_limits;
            let store = &mut inner.kept.store;
            let contacts = store.contacts.values().map(|contact| (contact.id, &contact.name));
            let mut matter = Matter::draft(id_of(contacts, &new.client)?, &new.description, now);
            if let Some(group) = &new.group {
                let groups = store.groups.values().map(|group| (group.id, &group.name));
                matter.group = Some(id_of(groups, group)?);
            }
            if let Some(area) = &new.practice_area {
                let areas = store.practice_areas.values().map(|area| (area.id, &area.name));
                matter.practice_area = Some(id_of(areas, area)?);
            }
            if let Some(status) = &new.status {
                set_status(&mut matter, status_named(status)?, now);
            }
            let mut changes = Vec::new();
            for (name, value) in &new.custom_fields {
                changes.push(value_by_hand(store, limits, name, value.as_deref())?);
            }
            let id = store.add_matter(matter);
            for (field, value) in changes {
                store.set_value(id, field, value, now);
            }
            id
        };
        page_of(&self.inner().kept.store, id)
    }

    /// Deletes a matter.
    pub fn delete_by_hand(&self, id: i64) -> Result<(), DeskError> {
        match self.inner().kept.store.matters.remove(&id) {
            Some(_) => Ok(()),
            None => Err(DeskError::Missing(format!("matter {id}"))),
        }
    }

    /// All custom fields, the deleted ones too.
    pub fn field_pages(&self) -> Vec<FieldPage> {
        self.inner().kept.store.custom_fields.values().map(field_page).collect()
    }

    /// Changes a custom field for matters.
    pub fn edit_field_by_hand(&self, name: &str, edit: &FieldEdit) -> Result<FieldPage, DeskError> {
        let now = self.clock.now();
        let mut inner = self.inner();
        let store = &mut inner.kept.store;
        let id = field_named(store, name)?.id;
        let added = edit.add_option.as_ref().map(|option| store.new_option(option, now));
        let missing = || DeskError::Missing(format!("custom field {name:?} for matters"));
        let field = store.custom_fields.get_mut(&id).ok_or_else(missing)?;
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
    pub fn contact_names(&self) -> Vec<Named> {
        named(self.inner().kept.store.contacts.values().map(|contact| (contact.id, &contact.name)))
    }

    /// All groups.
    pub fn group_names(&self) -> Vec<Named> {
        named(self.inner().kept.store.groups.values().map(|group| (group.id, &group.name)))
    }

    /// All practice areas.
    pub fn practice_area_names(&self) -> Vec<Named> {
        named(self.inner().kept.store.practice_areas.values().map(|area| (area.id, &area.name)))
    }

    /// All users who may sign in, of every firm.
    pub fn user_names(&self) -> Vec<Named> {
        let inner = self.inner();
        inner.kept.store.users.values().map(|user| Named { id: user.id, name: user.name() }).collect()
    }
}

fn named<'a>(records: impl Iterator<Item = (i64, &'a String)>) -> Vec<Named> {
    records.map(|(id, name)| Named { id, name: name.clone() }).collect()
}

fn id_of<'a>(mut records: impl Iterator<Item = (i64, &'a String)>, name: &str) -> Result<i64, DeskError> {
    records
        .find(|(_, found)| *found == name)
        .map(|(id, _)| id)
        .ok_or_else(|| DeskError::Missing(format!("record named {name:?}")))
}

fn status_named(word: &str) -> Result<Status, DeskError> {
    Status::parse(&word.to_lowercase()).ok_or_else(|| DeskError::Refused(format!("{word:?} is no status")))
}

fn field_named<'a>(store: &'a Store, name: &str) -> Result<&'a CustomField, DeskError> {
    store
        .matter_fields()
        .find(|field| field.name == name)
        .ok_or_else(|| DeskError::Missing(format!("custom field {name:?} for matters")))
}

/// The definition's id and the value as Clio keeps it, from what a person types or picks.
fn value_by_hand(
    store: &Store,
    limits: Option<super::hand::TextLimits>,
    name: &str,
    value: Option<&str>,
) -> Result<(i64, Option<String>), DeskError> {
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

fn page_of(store: &Store, id: i64) -> Result<MatterPage, DeskError> {
    let matter = store.matters.get(&id).ok_or_else(|| DeskError::Missing(format!("matter {id}")))?;
    Ok(matter_page(store, matter))
}

fn matter_page(store: &Store, matter: &Matter) -> MatterPage {
    let custom_fields = store.matter_fields().map(|field| {
        let value = matter.values.get(&field.id).map(|held| {
            let option = field
                .options
                .iter()
                .find(|option| field.field_type == "picklist" && option.id.to_string() == held.value);
            option.map_or_else(|| held.value.clone(), |option| option.option.clone())
        });
        (field.name.clone(), value)
    });
    MatterPage {
        id: matter.id,
        group: matter.group.and_then(|id| store.groups.get(&id)).map(|group| group.name.clone()),
        practice_area: matter
            .practice_area
            .and_then(|id| store.practice_areas.get(&id))
            .map(|area| area.name.clone()),
        client: store.contacts.get(&matter.client).map(|contact| contact.name.clone()).unwrap_or_default(),
        display_number: matter.display_number.clone(),
        description: matter.description.clone(),
        status: matter.status.shown().to_owned(),
        etag: super::shape::Record::Matter(matter).etag(),
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
