//! Calendar entries. Their ids are texts in answers and numbers in paths.

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clio::body::Data;
use crate::clio::collection::{Ask, Collection};
use crate::clio::collections::calendars::CALENDAR;
use crate::clio::collections::matters::MATTER;
use crate::clio::external_properties::{self, EXTERNAL_PROPERTY, ExternalProperty, PropertyFilter};
use crate::clio::filters::contains;
use crate::clio::listing::Params;
use crate::clio::records::{Stamp, Store};
use crate::clio::refusal::Refusal;
use crate::clio::shape::{Nested, Shape};
use crate::clio::view::{Entity, Record, Shown, View, time};
use crate::clio::write::Writer;

/// A calendar entry.
pub(crate) static CALENDAR_ENTRY: Shape = Shape {
    kind: "CalendarEntry",
    plain: &[
        "summary",
        "description",
        "location",
        "start_at",
        "end_at",
        "all_day",
        "recurrence_rule",
        "calendar_owner_id",
        "created_at",
        "updated_at",
    ],
    nested: &[
        ("matter", Nested::Base(&MATTER)),
        ("calendar_owner", Nested::Base(&CALENDAR)),
        ("external_properties", Nested::Base(&EXTERNAL_PROPERTY)),
    ],
    defaults: &[],
};

/// A calendar entry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CalendarEntry {
    /// Its id.
    pub(crate) id: i64,
    /// One line, never empty.
    pub(crate) summary: String,
    /// Free text.
    pub(crate) description: Option<String>,
    /// One line.
    pub(crate) location: Option<String>,
    /// When it starts, in whole seconds.
    pub(crate) start_at: DateTime<Utc>,
    /// When it ends, in whole seconds.
    pub(crate) end_at: DateTime<Utc>,
    /// Whether it is for whole days.
    pub(crate) all_day: bool,
    /// How it recurs. Only a person's hand sets it here.
    pub(crate) recurrence_rule: Option<String>,
    /// Id of its matter.
    pub(crate) matter: Option<i64>,
    /// Id of its calendar.
    pub(crate) calendar: i64,
    /// Its external properties.
    pub(crate) properties: Vec<ExternalProperty>,
    /// Its stamp.
    pub(crate) stamp: Stamp,
}

impl CalendarEntry {
    /// An entry that is not yet in the store.
    pub(crate) fn draft(
        calendar: i64,
        summary: &str,
        start_at: DateTime<Utc>,
        end_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id: 0,
            summary: summary.to_owned(),
            description: None,
            location: None,
            start_at: start_at.trunc_subsecs(0),
            end_at: end_at.trunc_subsecs(0),
            all_day: false,
            recurrence_rule: None,
            matter: None,
            calendar,
            properties: Vec::new(),
            stamp: Stamp::new(now),
        }
    }
}

impl Entity for CalendarEntry {
    fn parts(&self) -> (&'static Shape, i64, &Stamp) {
        (&CALENDAR_ENTRY, self.id, &self.stamp)
    }

    fn shown_id(&self) -> Value {
        json!(self.id.to_string())
    }

    fn property<'a>(&'a self, view: &View<'a>, name: &str) -> Shown<'a> {
        let store = view.store;
        Shown::Plain(match name {
            "matter" => return Shown::one(self.matter.and_then(|id| store.matters.get(&id))),
            "calendar_owner" => return Shown::one(store.calendars.get(&self.calendar)),
            "external_properties" => return Shown::many(self.properties.iter()),
            "summary" => json!(self.summary),
            "description" => json!(self.description),
            "location" => json!(self.location),
            "start_at" => time(self.start_at),
            "end_at" => time(self.end_at),
            "all_day" => json!(self.all_day),
            "recurrence_rule" => json!(self.recurrence_rule),
            "calendar_owner_id" => json!(self.calendar),
            _ => Value::Null,
        })
    }
}

impl Store {
    /// Adds an entry, giving it its id.
    pub(crate) fn add_calendar_entry(&mut self, draft: CalendarEntry) -> i64 {
        let id = self.new_id();
        self.calendar_entries.insert(id, CalendarEntry { id, ..draft });
        id
    }
}

impl Writer<'_> {
    fn must_be_writeable(&self, calendar: i64) -> Result<(), Refusal> {
        match self.store.calendars.get(&calendar) {
            None => Err(Refusal::invalid("calendar_owner does not exist")),
            Some(calendar) if !calendar.is_writeable() => Err(Refusal::forbidden()),
            Some(_) => Ok(()),
        }
    }

    /// The entry with the properties of a body.
    fn changed_entry(&mut self, data: &Data<'_>, entry: &CalendarEntry) -> Result<CalendarEntry, Refusal> {
        let mut changed = entry.clone();
        if let Some(calendar) = data.reference("calendar_owner")? {
            changed.calendar = calendar.ok_or_else(|| Refusal::invalid("calendar_owner can't be blank"))?;
        }
        self.must_be_writeable(changed.calendar)?;
        if let Some(summary) = data.unblank_text("summary")? {
            changed.summary = self.line("summary", Some(summary))?.unwrap_or_default();
        }
        if let Some(description) = data.text("description")? {
            changed.description = self.area("description", description)?;
        }
        if let Some(location) = data.text("location")? {
            changed.location = self.line("location", location)?;
        }
        changed.start_at = data.time("start_at")?.unwrap_or(changed.start_at);
        changed.end_at = data.time("end_at")?.unwrap_or(changed.end_at);
        if changed.end_at < changed.start_at {
            return Err(Refusal::invalid("end_at must not be before start_at"));
        }
        changed.all_day = data.flag("all_day")?.unwrap_or(changed.all_day);
        if let Some(matter) = data.reference("matter")? {
            if matter.is_some_and(|id| !self.store.matters.contains_key(&id)) {
                return Err(Refusal::invalid("matter does not exist"));
            }
            changed.matter = matter;
        }
        changed.properties = external_properties::changed(data, &entry.properties, self.store, self.now)?;
        Ok(changed)
    }
}

/// All calendar entries. Their lists know no order but that of the ids.
pub(crate) struct CalendarEntries;

impl Collection for CalendarEntries {
    fn shape(&self) -> &'static Shape {
        &CALENDAR_ENTRY
    }

    fn list<'a>(&self, ask: &Ask<'a>, params: &Params) -> Result<Vec<Record<'a>>, Refusal> {
        let calendar = params.id("calendar_id")?;
        let matter = params.id_or_null("matter_id")?;
        let from = params.time("from")?;
        let to = params.time("to")?;
        let all_day = params.flag("is_all_day")?;
        let query = params.one("query");
        let properties = PropertyFilter::read(params)?;
        let found = ask.store.calendar_entries.values().filter(|entry| {
            calendar.is_none_or(|id| entry.calendar == id)
                && matter.is_none_or(|matter| entry.matter == matter)
                && from.is_none_or(|from| entry.end_at >= from)
                && to.is_none_or(|to| entry.start_at <= to)
                && all_day.is_none_or(|all_day| entry.all_day == all_day)
                && query.is_none_or(|part| contains(&entry.summary, part))
                && properties.passes(&entry.properties)
        });
        Ok(found.map(|entry| Record::Of(entry)).collect())
    }

    fn find<'a>(&self, ask: &Ask<'a>, id: i64) -> Option<Record<'a>> {
        ask.store.calendar_entries.get(&id).map(|entry| Record::Of(entry))
    }

    fn create(&self, writer: &mut Writer<'_>, data: &Data<'_>) -> Result<i64, Refusal> {
        let needed = |name: &str| Refusal::invalid(format!("{name} can't be blank"));
        let summary = data.required_text("summary")?;
        let start_at = data.time("start_at")?.ok_or_else(|| needed("start_at"))?;
        let end_at = data.time("end_at")?.ok_or_else(|| needed("end_at"))?;
        let calendar = data.reference("calendar_owner")?.flatten().ok_or_else(|| needed("calendar_owner"))?;
        let draft = CalendarEntry::draft(calendar, summary, start_at, end_at, writer.now);
        let entry = writer.changed_entry(data, &draft)?;
        Ok(writer.store.add_calendar_entry(entry))
    }

    fn update(&self, writer: &mut Writer<'_>, id: i64, data: &Data<'_>) -> Result<(), Refusal> {
        if data.is_empty() {
            return Ok(());
        }
        let held = writer.store.calendar_entries.get(&id).cloned();
        let held = held.ok_or_else(|| Refusal::not_found("CalendarEntry"))?;
        let mut changed = writer.changed_entry(data, &held)?;
        changed.stamp.touch(writer.now);
        writer.store.calendar_entries.insert(id, changed);
        Ok(())
    }

    fn destroy(&self, writer: &mut Writer<'_>, id: i64) -> Result<(), Refusal> {
        let held = writer.store.calendar_entries.get(&id);
        let calendar = held.ok_or_else(|| Refusal::not_found("CalendarEntry"))?.calendar;
        writer.must_be_writeable(calendar)?;
        writer.store.calendar_entries.remove(&id);
        Ok(())
    }
}
