//! What each kind of record answers to, whatever the kind.

use chrono::{DateTime, Utc};

use super::body::Data;
use super::collections::calendar_entries::CalendarEntries;
use super::collections::calendars::Calendars;
use super::collections::contacts::Contacts;
use super::collections::custom_fields::CustomFields;
use super::collections::document_versions::DocumentVersions;
use super::collections::documents::Documents;
use super::collections::groups::Groups;
use super::collections::matters::Matters;
use super::collections::notes::Notes;
use super::collections::practice_areas::PracticeAreas;
use super::collections::users::{User, Users};
use super::listing::Params;
use super::records::Store;
use super::refusal::Refusal;
use super::shape::Shape;
use super::view::Record;
use super::write::Writer;
use crate::endpoints::Kind;

/// What a read looks at, and for whom.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    /// The records that may be seen.
    pub(crate) store: &'a Store,
    /// Whose token it is.
    pub(crate) user: &'a User,
    /// The id in the path, of the record whose parts are listed.
    pub(crate) of: Option<i64>,
    /// The time of the read.
    pub(crate) now: DateTime<Utc>,
}

/// One kind of record. Writes are refused unless a kind takes them.
pub(crate) trait Collection: Sync {
    /// The properties of its records.
    fn shape(&self) -> &'static Shape;

    /// The properties by which its lists can be ordered, beside the id.
    fn orders(&self) -> &'static [&'static str] {
        &[]
    }

    /// The records that a list's filters let pass, in the order of their ids.
    fn list<'a>(&self, ask: &Ask<'a>, params: &Params) -> Result<Vec<Record<'a>>, Refusal>;

    /// One record.
    fn find<'a>(&self, ask: &Ask<'a>, id: i64) -> Option<Record<'a>>;

    /// Makes a record and gives its id.
    fn create(&self, _: &mut Writer<'_>, _: &Data<'_>) -> Result<i64, Refusal> {
        Err(Refusal::forbidden())
    }

    /// Changes a record that [`Collection::find`] has found.
    fn update(&self, _: &mut Writer<'_>, _: i64, _: &Data<'_>) -> Result<(), Refusal> {
        Err(Refusal::forbidden())
    }

    /// Deletes a record.
    fn destroy(&self, _: &mut Writer<'_>, _: i64) -> Result<(), Refusal> {
        Err(Refusal::forbidden())
    }
}

/// The records of a kind.
pub(crate) fn of(kind: Kind) -> &'static dyn Collection {
    match kind {
        Kind::Matters => &Matters,
        Kind::CustomFields => &CustomFields,
        Kind::Contacts => &Contacts,
        Kind::Groups => &Groups,
        Kind::PracticeAreas => &PracticeAreas,
        Kind::Users => &Users,
        Kind::Notes => &Notes,
        Kind::Calendars => &Calendars,
        Kind::CalendarEntries => &CalendarEntries,
        Kind::Documents => &Documents,
        Kind::DocumentVersions => &DocumentVersions,
    }
}
