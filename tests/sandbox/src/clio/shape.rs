//! Which properties each kind of record has.
//!
//! Source: the response schemas of the specification; of their properties those that the sandbox keeps. A test below holds
//! them against it.

/// The properties of one kind of record, beside those of every record.
pub(crate) struct Shape {
    /// The record's name in the specification.
    pub(crate) kind: &'static str,
    /// Its properties that are values.
    pub(crate) plain: &'static [&'static str],
    /// Its properties that are records themselves, and what each can be asked for.
    pub(crate) nested: &'static [(&'static str, Nested)],
    /// Those shown when none are asked for.
    pub(crate) defaults: &'static [&'static str],
}

/// What a record inside a record can be asked for.
#[derive(Clone, Copy)]
pub(crate) enum Nested {
    /// Its values and no record: the specification declares it with the schema `<kind>_base`.
    Base(&'static Shape),
    /// Its values, and its own records, which show their default fields ("Fields"): the schema `<kind>`.
    Whole(&'static Shape),
}

impl Nested {
    /// Whether it can be asked for a property.
    pub(crate) fn has(self, name: &str) -> bool {
        match self {
            Self::Base(shape) => shape.has_value(name),
            Self::Whole(shape) => shape.has(name),
        }
    }
}

/// Properties of every record, always shown when none are asked for.
const OF_EVERY_RECORD: &[&str] = &["id", "etag"];

impl Shape {
    /// Whether it has a property.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.has_value(name) || self.nested(name).is_some()
    }

    fn has_value(&self, name: &str) -> bool {
        OF_EVERY_RECORD.iter().chain(self.plain).any(|found| *found == name)
    }

    /// The properties shown when none are asked for.
    pub(crate) fn defaults(&self) -> impl Iterator<Item = &'static str> {
        OF_EVERY_RECORD.iter().chain(self.defaults).copied()
    }

    /// The record or records in a property.
    pub(crate) fn nested(&self, name: &str) -> Option<Nested> {
        self.nested.iter().find(|(found, _)| *found == name).map(|(_, nested)| *nested)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use serde_json::Value;

    use super::super::collection;
    use super::*;
    use crate::endpoints::ENDPOINTS;

    /// Samples of the reference show these headers whole where a document's version is asked for them by name.
    const SHOWN_WHOLE: (&str, &str) = ("DocumentVersion", "put_headers");

    /// Who made a document is a user or an app, which have the properties of a user.
    const CREATOR: &str = "ClioCreator_base";

    /// The properties of a schema of the specification, with the schema of those that are records.
    fn properties(specification: &Value, schema: &str) -> BTreeMap<String, Option<String>> {
        let schema = &specification["components"]["schemas"][schema];
        let (reference, array) = ("$ref", "items");
        let inner = |property: &Value| {
            let name = property.get(reference).or_else(|| property.get(array)?.get(reference))?;
            Some(name.as_str()?.rsplit('/').next()?.to_owned())
        };
        let parts = schema["allOf"].as_array().into_iter().flatten();
        let mut all = BTreeMap::new();
        for part in parts.chain([schema]) {
            if let Some(base) = inner(part) {
                all.extend(properties(specification, &base));
            }
            for (name, property) in part["properties"].as_object().into_iter().flatten() {
                all.insert(name.clone(), inner(property));
            }
        }
        all
    }

    #[test]
    fn all_that_can_be_asked_for_is_in_the_schema_that_the_specification_declares_for_it() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/clio-openapi.json");
        let Ok(text) = std::fs::read(&file) else {
            eprintln!("skipped: Clio's specification is not at {}", file.display());
            return;
        };
        let specification: Value = serde_json::from_slice(&text).unwrap();
        let values = |shape: &Shape, schema: &str| {
            let declared = properties(&specification, schema);
            for name in shape.plain.iter().filter(|name| (shape.kind, **name) != SHOWN_WHOLE) {
                assert_eq!(declared.get(*name), Some(&None), "{schema}.{name}");
            }
            assert!(shape.defaults().all(|name| declared.contains_key(name)), "{schema}");
        };
        for endpoint in ENDPOINTS {
            let shape = collection::of(endpoint.kind).shape();
            values(shape, shape.kind);
            let declared = properties(&specification, shape.kind);
            for (name, nested) in shape.nested {
                let schema = declared[*name].as_deref().unwrap();
                match nested {
                    Nested::Base(inner) => {
                        let is_creator = (inner.kind, schema) == ("User", CREATOR);
                        assert!(
                            is_creator || schema == format!("{}_base", inner.kind),
                            "{}.{name}",
                            shape.kind
                        );
                        values(inner, schema);
                    }
                    Nested::Whole(inner) => {
                        assert_eq!(schema, inner.kind, "{}.{name}", shape.kind);
                        values(inner, schema);
                        let declared = properties(&specification, schema);
                        assert!(
                            inner.nested.iter().all(|(name, _)| declared.contains_key(*name)),
                            "{}.{name}",
                            shape.kind
                        );
                    }
                }
            }
        }
    }
}
