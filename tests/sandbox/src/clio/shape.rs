//! Which properties each kind of record has.
//!
//! Source: the response schemas of the specification; of their properties those that the sandbox keeps.

/// The properties of one kind of record, beside those of every record.
pub(crate) struct Shape {
    /// The record's name in the specification.
    pub(crate) kind: &'static str,
    /// Its properties that are values.
    pub(crate) plain: &'static [&'static str],
    /// Its properties that are records themselves, with the shapes of those.
    pub(crate) nested: &'static [(&'static str, &'static Shape)],
    /// Those shown when none are asked for.
    pub(crate) defaults: &'static [&'static str],
}

/// Properties of every record, always shown when none are asked for.
const OF_EVERY_RECORD: &[&str] = &["id", "etag"];

impl Shape {
    /// Whether it has a property.
    pub(crate) fn has(&self, name: &str) -> bool {
        OF_EVERY_RECORD.iter().chain(self.plain).any(|found| *found == name) || self.nested(name).is_some()
    }

    /// The properties shown when none are asked for.
    pub(crate) fn defaults(&self) -> impl Iterator<Item = &'static str> {
        OF_EVERY_RECORD.iter().chain(self.defaults).copied()
    }

    /// The shape of the record or records in a property.
    pub(crate) fn nested(&self, name: &str) -> Option<&'static Shape> {
        self.nested.iter().find(|(found, _)| *found == name).map(|(_, shape)| *shape)
    }
}
