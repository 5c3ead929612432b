//! The kinds of record, one file each: what is kept, shown, found and written.

pub(crate) mod calendar_entries;
pub(crate) mod calendars;
pub(crate) mod contacts;
pub(crate) mod custom_fields;
pub(crate) mod document_versions;
pub(crate) mod documents;
pub(crate) mod groups;
pub(crate) mod matters;
pub(crate) mod notes;
pub(crate) mod practice_areas;
pub(crate) mod users;
