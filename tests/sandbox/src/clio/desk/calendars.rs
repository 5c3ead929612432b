//! A person's hand on calendars and their entries.

use chrono::{DateTime, SubsecRound, Utc};

use super::{DeskError, HasName, id_of, missing_matter, name_of, named};
use crate::clio::ClioState;
use crate::clio::collections::calendar_entries::CalendarEntry;
use crate::clio::collections::calendars::Calendar;
use crate::clio::external_properties::ExternalProperty;
use crate::clio::hand::{EntryEdit, EntryPage, Named, NewEntry, Property};
use crate::clio::records::Store;
use crate::clio::view::Record;

impl HasName for Calendar {
    fn name(&self) -> &str {
        &self.name
    }
}

impl ClioState {
    /// All calendars.
    pub(crate) fn calendar_names(&self) -> Vec<Named> {
        named(&self.inner().kept.store.calendars)
    }

    /// Makes a calendar.
    pub(crate) fn add_calendar_by_hand(&self, name: &str) -> Named {
        let now = self.clock.now();
        let mut inner = self.inner();
        let creator = inner.kept.switches.signed_in_user;
        let id = inner.kept.store.add_calendar(name, creator, now);
        Named { id, name: name.to_owned() }
    }

    /// Deletes a calendar with its entries.
    pub(crate) fn delete_calendar_by_hand(&self, id: i64) -> Result<(), DeskError> {
        let is_gone = self.inner().kept.store.remove_calendar(id);
        if is_gone { Ok(()) } else { Err(DeskError::Missing(format!("calendar {id}"))) }
    }

    /// All entries, the foreign ones too.
    pub(crate) fn entry_pages(&self) -> Vec<EntryPage> {
        let inner = self.inner();
        let store = &inner.kept.store;
        store.calendar_entries.values().map(|entry| entry_page(store, entry)).collect()
    }

    /// Makes an entry.
    pub(crate) fn add_entry_by_hand(&self, new: NewEntry) -> Result<EntryPage, DeskError> {
        let now = self.clock.now();
        let mut inner = self.inner();
        let store = &mut inner.kept.store;
        let calendar = id_of(&store.calendars, &new.calendar)?;
        let draft = CalendarEntry::draft(calendar, &new.summary, new.start_at, new.end_at, now);
        let properties = new_properties(store, &new.external_properties, now);
        let entry = CalendarEntry {
            matter: new.matter,
            description: new.description,
            location: new.location,
            all_day: new.all_day,
            recurrence_rule: new.recurrence_rule,
            properties,
            ..draft
        };
        check(store, &entry)?;
        let id = store.add_calendar_entry(entry);
        shown(store, id)
    }

    /// Edits an entry.
    pub(crate) fn edit_entry_by_hand(&self, id: i64, edit: EntryEdit) -> Result<EntryPage, DeskError> {
        let now = self.clock.now();
        let mut inner = self.inner();
        let store = &mut inner.kept.store;
        let mut entry = store.calendar_entries.get(&id).cloned().ok_or_else(|| missing_entry(id))?;
        if let Some(calendar) = &edit.calendar {
            entry.calendar = id_of(&store.calendars, calendar)?;
        }
        entry.matter = if edit.off_matter { None } else { edit.matter.or(entry.matter) };
        entry.summary = edit.summary.unwrap_or(entry.summary);
        entry.description = edit.description.or(entry.description);
        entry.location = edit.location.or(entry.location);
        entry.start_at = edit.start_at.unwrap_or(entry.start_at).trunc_subsecs(0);
        entry.end_at = edit.end_at.unwrap_or(entry.end_at).trunc_subsecs(0);
        entry.all_day = edit.all_day.unwrap_or(entry.all_day);
        entry.recurrence_rule =
            edit.recurrence_rule.or(entry.recurrence_rule).filter(|rule| !rule.is_empty());
        entry.stamp.touch(now);
        check(store, &entry)?;
        store.calendar_entries.insert(id, entry);
        shown(store, id)
    }

    /// Deletes an entry.
    pub(crate) fn delete_entry_by_hand(&self, id: i64) -> Result<(), DeskError> {
        let gone = self.inner().kept.store.calendar_entries.remove(&id);
        gone.map(drop).ok_or_else(|| missing_entry(id))
    }
}

fn missing_entry(id: i64) -> DeskError {
    DeskError::Missing(format!("calendar entry {id}"))
}

fn check(store: &Store, entry: &CalendarEntry) -> Result<(), DeskError> {
    if let Some(matter) = entry.matter.filter(|id| !store.matters.contains_key(id)) {
        return Err(missing_matter(matter));
    }
    if entry.end_at < entry.start_at {
        return Err(DeskError::Refused("the entry ends before it starts".to_owned()));
    }
    Ok(())
}

fn shown(store: &Store, id: i64) -> Result<EntryPage, DeskError> {
    let entry = store.calendar_entries.get(&id).ok_or_else(|| missing_entry(id))?;
    Ok(entry_page(store, entry))
}

/// External properties as an app would have left them.
pub(super) fn new_properties(
    store: &mut Store,
    new: &[Property],
    now: DateTime<Utc>,
) -> Vec<ExternalProperty> {
    new.iter().map(|new| store.new_property(&new.name, &new.value, now)).collect()
}

/// External properties as the admin side shows them.
pub(super) fn property_pages(properties: &[ExternalProperty]) -> Vec<Property> {
    properties.iter().map(|property| Property::new(&property.name, &property.value)).collect()
}

fn entry_page(store: &Store, entry: &CalendarEntry) -> EntryPage {
    EntryPage {
        id: entry.id,
        calendar_id: entry.calendar,
        calendar: name_of(&store.calendars, Some(entry.calendar)).unwrap_or_default(),
        matter: entry.matter,
        summary: entry.summary.clone(),
        description: entry.description.clone(),
        location: entry.location.clone(),
        start_at: entry.start_at,
        end_at: entry.end_at,
        all_day: entry.all_day,
        recurrence_rule: entry.recurrence_rule.clone(),
        external_properties: property_pages(&entry.properties),
        etag: Record::Of(entry).etag(),
        created_at: entry.stamp.created_at,
        updated_at: entry.stamp.updated_at,
    }
}
