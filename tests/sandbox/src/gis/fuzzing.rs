//! The body of the fuzz target `conditions`.

#![expect(clippy::missing_panics_doc, reason = "the body of a fuzz target panics at what it finds")]

use serde_json::json;

use super::field::Field;
use super::sql::{Schema, parse};

/// A `where`, read and asked of a row.
pub fn conditions(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let fields = [
        Field::object_id("OBJECTID"),
        Field::global_id("GlobalID"),
        Field::text("CivilWarrant", 50),
        Field::integer("Floors"),
        Field::date("LAST_MODIFIED_DATE"),
    ];
    let row = json!({
        "OBJECTID": 7, "GlobalID": "{0A1B2C3D-0000-4000-8000-00000000ABCD}", "CivilWarrant": "E-23-00017",
        "Floors": null, "LAST_MODIFIED_DATE": 1_782_900_610_000_i64,
    });
    let Some(row) = row.as_object() else { return };
    for high_precision in [false, true] {
        let schema = Schema { fields: &fields, high_precision, now: 1_795_000_000_000 };
        match parse(&text, schema) {
            Ok(condition) => {
                let not = parse(&format!("NOT ({text})"), schema);
                let selected = [Some(condition), not.ok()].into_iter().flatten().filter(|it| it.selects(row));
                assert!(selected.count() <= 1, "a row is selected by a condition and by what it is not");
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}
