use serde_json::{Map, Value, json};

use super::{Schema, SqlError, parse};
use crate::gis::field::Field;

const NOW: i64 = 1_795_000_000_000;

fn fields() -> Vec<Field> {
    vec![
        Field::object_id("OBJECTID"),
        Field::global_id("GlobalID"),
        Field::text("CivilWarrant", 50),
        Field::integer("Floors"),
        Field::date("LAST_MODIFIED_DATE"),
    ]
}

fn row() -> Map<String, Value> {
    let row = json!({
        "OBJECTID": 7,
        "GlobalID": "{0A1B2C3D-0000-4000-8000-00000000ABCD}",
        "CivilWarrant": "E-23-00017",
        "Floors": null,
        // 2026-07-01 10:10:10 UTC
        "LAST_MODIFIED_DATE": 1_782_900_610_000_i64,
    });
    row.as_object().unwrap().clone()
}

fn read(text: &str) -> Result<bool, SqlError> {
    let fields = fields();
    let schema = Schema { fields: &fields, high_precision: false, now: NOW };
    parse(text, schema).map(|condition| condition.selects(&row()))
}

fn selects(text: &str) -> bool {
    read(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn comparisons_lists_ranges_and_patterns_select_what_they_say() {
    for text in [
        "1=1",
        "OBJECTID > 6 AND OBJECTID < 8",
        "objectid >= 7 and OBJECTID <= 7",
        "\"OBJECTID\" = 7",
        "OBJECTID <> 8",
        "OBJECTID > -1",
        "6.5 < OBJECTID",
        "OBJECTID IN (1, 7, 9)",
        "OBJECTID NOT IN (1, 9)",
        "OBJECTID BETWEEN 7 AND 8",
        "OBJECTID NOT BETWEEN 8 AND 9",
        "CivilWarrant = 'E-23-00017'",
        "civilwarrant IN ('x', 'E-23-00017')",
        "CivilWarrant LIKE 'E-23-%'",
        "CivilWarrant LIKE '%0_17'",
        "CivilWarrant LIKE 'E!-23%' ESCAPE '!'",
        "CivilWarrant NOT LIKE '%99%'",
        "CivilWarrant IS NOT NULL",
        "Floors IS NULL",
        "GlobalID = '{0a1b2c3d-0000-4000-8000-00000000abcd}'",
        "GlobalID = '0A1B2C3D-0000-4000-8000-00000000ABCD'",
    ] {
        assert!(selects(text), "{text}");
    }
}

#[test]
fn and_binds_stronger_than_or_and_parentheses_change_that() {
    assert!(selects("1=1 OR 1=1 AND 1=2"));
    assert!(!selects("(1=1 OR 1=1) AND 1=2"));
    assert!(selects("NOT (1=2 OR 2=3)"));
    assert!(!selects("NOT 1=1 OR 1=2"));
}

#[test]
fn a_doubled_quote_is_one_quote_and_case_matters() {
    assert!(selects("'O''Neil' = 'O''Neil'"));
    assert!(!selects("CivilWarrant = 'e-23-00017'"));
    assert!(!selects("CivilWarrant = 'O''Neil'' OR 1=1'"));
}

#[test]
fn a_comparison_with_null_is_unknown_also_when_negated() {
    for text in ["Floors = 1", "Floors <> 1", "NOT Floors = 1", "Floors IN (1)", "Floors NOT IN (1)"] {
        assert!(!selects(text), "{text}");
    }
    assert!(selects("Floors = 1 OR 1=1"));
    assert!(!selects("NOT (Floors = 1 AND 1=1)"));
    assert!(selects("NOT (Floors = 1 AND 1=2)"));
}

#[test]
fn instants_are_read_in_utc() {
    assert!(selects("LAST_MODIFIED_DATE = TIMESTAMP '2026-07-01 10:10:10'"));
    assert!(selects("LAST_MODIFIED_DATE >= timestamp '2026-07-01 10:10:10'"));
    assert!(!selects("LAST_MODIFIED_DATE > TIMESTAMP '2026-07-01 10:10:10'"));
    assert!(selects("LAST_MODIFIED_DATE > DATE '2026-07-01'"));
    assert!(selects("LAST_MODIFIED_DATE < DATE '2026-07-02'"));
    assert!(selects("LAST_MODIFIED_DATE < CURRENT_TIMESTAMP"));
    assert!(selects("LAST_MODIFIED_DATE < CURRENT_TIMESTAMP - INTERVAL '3 05:32:28' DAY TO SECOND"));
    assert!(!selects("LAST_MODIFIED_DATE > CURRENT_DATE - INTERVAL '1' DAY"));
}

#[test]
fn a_quoted_iso_text_or_a_number_is_no_instant() {
    for text in [
        "LAST_MODIFIED_DATE > '2021-07-01T10:10:10+00:00'",
        "LAST_MODIFIED_DATE > '2021-07-01'",
        "LAST_MODIFIED_DATE > 1625134210000",
        "LAST_MODIFIED_DATE > TIMESTAMP '2021-07-01T10:10:10'",
        "LAST_MODIFIED_DATE > TIMESTAMP '2021-07-01'",
        "LAST_MODIFIED_DATE > TIMESTAMP '2021-07-01 10:10:10+00:00'",
        "LAST_MODIFIED_DATE > TIMESTAMP '2021-07-01 10:10:10.123'",
        "LAST_MODIFIED_DATE > DATE '2021-07-01 10:10:10'",
        "LAST_MODIFIED_DATE IN ('2021-07-01')",
        "LAST_MODIFIED_DATE BETWEEN '2021-07-01' AND '2021-07-02'",
    ] {
        assert!(matches!(read(text), Err(SqlError::Invalid(_))), "{text}");
    }
}

#[test]
fn parts_of_a_second_pass_where_the_fields_have_high_precision() {
    let fields = fields();
    let schema = Schema { fields: &fields, high_precision: true, now: NOW };
    let condition = parse("LAST_MODIFIED_DATE > TIMESTAMP '2026-07-01 10:10:09.999'", schema).unwrap();
    assert!(condition.selects(&row()));
}

#[test]
fn an_unknown_field_is_named() {
    assert_eq!(read("CivilWarant = 'x'"), Err(SqlError::UnknownField("CivilWarant".to_owned())));
    assert_eq!(read("1=1 AND (foo IS NULL)"), Err(SqlError::UnknownField("foo".to_owned())));
}

#[test]
fn what_is_no_sql_92_is_refused() {
    for text in [
        "",
        "1",
        "1=",
        "1=1 AND",
        "(1=1",
        "1=1)",
        "1=1 1=1",
        "CivilWarrant = 'open",
        "CivilWarrant == 'x'",
        "CivilWarrant != 'x'",
        "CivilWarrant = NULL",
        "CivilWarrant = 5",
        "OBJECTID = '7'",
        "OBJECTID LIKE '7%'",
        "OBJECTID IN ()",
        "OBJECTID IN (7",
        "OBJECTID IN (Floors)",
        "OBJECTID = Civilwarrant",
        "OBJECTID NOT = 7",
        "OBJECTID = 7; DROP TABLE x",
        "OBJECTID = 7 -- rest",
        "OBJECTID = 7x",
        "GlobalID = 'x'",
        "CivilWarrant LIKE 'x' ESCAPE 'ab'",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
    let deep = format!("{}1=1{}", "(".repeat(500), ")".repeat(500));
    assert!(read(&deep).is_err());
}
