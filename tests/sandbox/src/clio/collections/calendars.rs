//! Calendars.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clio::body::Data;
use crate::clio::collection::{Ask, Collection};
use crate::clio::collections::users::USER;
use crate::clio::filters::one_of;
use crate::clio::listing::Params;
use crate::clio::records::{Stamp, Store};
use crate::clio::refusal::Refusal;
use crate::clio::shape::{Nested, Shape};
use crate::clio::view::{Entity, Record, Shown, View};
use crate::clio::write::Writer;

/// A calendar.
pub(crate) static CALENDAR: Shape = Shape {
    kind: "Calendar",
    plain: &["color", "name", "permission", "type", "visible", "created_at", "updated_at"],
    nested: &[("creator", Nested::Base(&USER))],
    defaults: &[],
};

/// The colours of the specification.
const COLORS: &[&str] = &[
    "#367B9C", "#FFA5A4", "#83D17F", "#FFAC7B", "#8E3F64", "#C75300", "#009CEC", "#62D6B1", "#9EEDCB",
    "#F9A2C4", "#616161", "#BBDA81", "#DFD3F8", "#D6C4A5", "#FFD478", "#6AC9DE", "#EABBB0", "#BFC2E1",
    "#DADADA", "#CDE2F5",
];

/// A calendar.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Calendar {
    /// Its id.
    pub(crate) id: i64,
    /// Its name, which need not be unique.
    pub(crate) name: String,
    /// `AccountCalendar`, `AdhocCalendar` or `UserCalendar`.
    pub(crate) kind: String,
    /// One of the specification's colours.
    pub(crate) color: String,
    /// Whether it is shown by default.
    pub(crate) visible: bool,
    /// What the users of the account may do: `owner` or `viewer`.
    pub(crate) permission: String,
    /// Id of the user who made it.
    pub(crate) creator: i64,
    /// Its stamp.
    pub(crate) stamp: Stamp,
}

impl Calendar {
    /// Whether entries may be made and changed in it.
    pub(crate) fn is_writeable(&self) -> bool {
        self.permission == "owner"
    }
}

impl Entity for Calendar {
    fn parts(&self) -> (&'static Shape, i64, &Stamp) {
        (&CALENDAR, self.id, &self.stamp)
    }

    fn property<'a>(&'a self, view: &View<'a>, name: &str) -> Shown<'a> {
        Shown::Plain(match name {
            "creator" => return Shown::one(view.store.users.get(&self.creator)),
            "color" => json!(self.color),
            "name" => json!(self.name),
            "permission" => json!(self.permission),
            "type" => json!(self.kind),
            "visible" => json!(self.visible),
            _ => Value::Null,
        })
    }
}

impl Store {
    /// Adds a calendar that a user makes for others to share.
    pub(crate) fn add_calendar(&mut self, name: &str, creator: i64, now: DateTime<Utc>) -> i64 {
        let id = self.new_id();
        let calendar = Calendar {
            id,
            name: name.to_owned(),
            kind: "AdhocCalendar".to_owned(),
            color: COLORS.first().copied().unwrap_or_default().to_owned(),
            visible: true,
            permission: "owner".to_owned(),
            creator,
            stamp: Stamp::new(now),
        };
        self.calendars.insert(id, calendar);
        id
    }

    /// Deletes a calendar with its entries. False if there is none.
    pub(crate) fn remove_calendar(&mut self, id: i64) -> bool {
        self.calendar_entries.retain(|_, entry| entry.calendar != id);
        self.calendars.remove(&id).is_some()
    }
}

/// All calendars. There is no filter by name.
pub(crate) struct Calendars;

impl Collection for Calendars {
    fn shape(&self) -> &'static Shape {
        &CALENDAR
    }

    fn orders(&self) -> &'static [&'static str] {
        &["name"]
    }

    fn list<'a>(&self, ask: &Ask<'a>, params: &Params) -> Result<Vec<Record<'a>>, Refusal> {
        let kind = one_of("type", params.one("type"), &["AccountCalendar", "AdhocCalendar", "UserCalendar"])?;
        let writeable = params.flag("writeable")?;
        let visible = params.flag("visible")?;
        let found = ask.store.calendars.values().filter(|calendar| {
            kind.is_none_or(|kind| calendar.kind == kind)
                && writeable.is_none_or(|writeable| calendar.is_writeable() == writeable)
                && visible.is_none_or(|visible| calendar.visible == visible)
        });
        Ok(found.map(|calendar| Record::Of(calendar)).collect())
    }

    fn find<'a>(&self, ask: &Ask<'a>, id: i64) -> Option<Record<'a>> {
        ask.store.calendars.get(&id).map(|calendar| Record::Of(calendar))
    }

    fn create(&self, writer: &mut Writer<'_>, data: &Data<'_>) -> Result<i64, Refusal> {
        let name = writer.line("name", Some(data.required_text("name")?))?.unwrap_or_default();
        let color = data.unblank_text("color")?;
        if color.is_some_and(|color| !COLORS.contains(&color)) {
            return Err(Refusal::invalid("color is not one of the colours"));
        }
        let visible = data.flag("visible")?;
        let id = writer.store.add_calendar(&name, writer.user, writer.now);
        if let Some(calendar) = writer.store.calendars.get_mut(&id) {
            calendar.visible = visible.unwrap_or(true);
            if let Some(color) = color {
                color.clone_into(&mut calendar.color);
            }
        }
        Ok(id)
    }
}
