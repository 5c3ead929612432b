use databridge_model::{Conflict, Key, Listed, Parked, Value};

use super::text::{SAMPLES, by_reason};
use super::*;

fn config() -> ConfigFolder {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config");
    ConfigFolder::read(std::path::Path::new(folder)).unwrap()
}

fn fields(values: &[(&str, Option<&str>)]) -> Fields {
    values
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.map(Value::text).unwrap_or_default()))
        .collect()
}

fn push(place: &str, op: Op, number: u32) -> WouldPush {
    let (system, collection) = place.split_once('.').unwrap();
    WouldPush {
        system: system.parse().unwrap(),
        collection: collection.parse().unwrap(),
        key: Key::parse(&format!("C-{number}")),
        op,
        set: Fields::new(),
        expect: Fields::new(),
    }
}

/// An update of fields, each with what it shows now and what it gets.
fn update(place: &str, number: u32, changes: &[(&str, Option<&str>, Option<&str>)]) -> WouldPush {
    let set: Vec<_> = changes.iter().map(|(name, _, after)| (*name, *after)).collect();
    let expect: Vec<_> = changes.iter().map(|(name, before, _)| (*name, *before)).collect();
    WouldPush { set: fields(&set), expect: fields(&expect), ..push(place, Op::Update, number) }
}

fn conflict(link: &str, field: &str) -> Conflict {
    Conflict {
        link: link.to_owned(),
        won: "gis".parse().unwrap(),
        lost: "clio".parse().unwrap(),
        field: field.to_owned(),
        base: Value::Null,
        winner: Value::text("the map's"),
        loser: Value::text("Clio's"),
        at: chrono::DateTime::UNIX_EPOCH,
    }
}

fn parked(id: &str, key: Option<&str>, reason: &str) -> Parked {
    Parked {
        system: "clio".parse().unwrap(),
        collection: "matters".parse().unwrap(),
        id: Some(id.to_owned()),
        key: key.and_then(Key::parse),
        field: None,
        reason: reason.to_owned(),
    }
}

fn listed(place: &str, records: u64, pages: u64, calls_per_minute: Option<u32>) -> Listed {
    let (system, collection) = place.split_once('.').unwrap();
    Listed {
        system: system.parse().unwrap(),
        collection: collection.parse().unwrap(),
        request: 1,
        complete: true,
        whole: true,
        records,
        pull_last: 1,
        pages,
        calls_per_minute,
        error: None,
    }
}

fn of_pushes(would_push: Vec<WouldPush>) -> Story {
    Story { would_push, ..Story::default() }
}

fn plan(story: &Story) -> Plan {
    Plan::of("migrate gis", story, &config())
}

fn story() -> Story {
    let matters = (0..100).map(|number| push("clio.matters", Op::Create, number));
    let documents = (0..50).map(|number| push("clio.documents", Op::Create, number));
    let rows = (0..250).map(|number| push("gis.active_litigations", Op::Update, number));
    of_pushes(matters.chain(documents).chain(rows).collect())
}

#[test]
fn a_document_costs_two_calls_and_a_batch_of_rows_one() {
    let plan = plan(&story());
    let calls = |system: &str| plan.systems[&system.parse::<SystemName>().unwrap()].clone();
    assert_eq!(calls("clio").writes, 100 + 2 * 50);
    assert_eq!(calls("gis").writes, 2);
    assert_eq!(plan.collections["clio.matters"].creates, 100);
}

#[test]
fn the_time_is_that_of_reads_and_writes_at_the_limit_told_or_else_at_that_of_the_file() {
    let clio: SystemName = "clio".parse().unwrap();
    let mut story = story();
    assert_eq!(plan(&story).systems[&clio].seconds, Some(240));
    assert!(plan(&story).text(&story).contains("4 minutes at 50 a minute, as its file says"));
    story.listed = vec![listed("clio.matters", 900, 5, None), listed("clio.notes", 900, 45, Some(100))];
    let told = plan(&story);
    assert_eq!((told.systems[&clio].reads, told.systems[&clio].seconds), (50, Some(150)));
    assert_eq!(told.collections["clio.notes"].read, 900);
    let text = told.text(&story);
    assert!(
        text.contains(
            "clio: 250 calls (50 that read, 200 that write), 3 minutes at 100 a minute, as it says now"
        ),
        "{text}"
    );
}

#[test]
fn a_few_of_each_kind_are_shown() {
    let story = story();
    let text = plan(&story).text(&story);
    assert_eq!(text.matches("create clio.matters").count(), SAMPLES, "{text}");
}

#[test]
fn where_nothing_would_be_done_it_says_so() {
    let story = Story { listed: vec![listed("clio.matters", 9, 1, None)], ..Story::default() };
    assert!(plan(&story).text(&story).contains("nothing would be written"));
}

#[test]
fn values_that_stand_each_in_the_others_field_are_one_finding_and_no_conflict() {
    let swapped = |number| {
        let changes = [
            ("GIS Latitude", Some("-89.9507789673"), Some("35.1259324")),
            ("GIS Longitude", Some("35.1259324314"), Some("-89.950779")),
            ("Court Status", None, Some("Hearing")),
        ];
        update("clio.matters", number, &changes)
    };
    let mut story = of_pushes((0..12).map(swapped).collect());
    story.conflicts = (0..12)
        .flat_map(|number| {
            ["GIS Latitude", "GIS Longitude"]
                .map(|field| conflict(&format!("litigation_matter.C-{number}"), field))
        })
        .collect();
    let plan = plan(&story);
    let [group] = plan.findings.exchanged.as_slice() else { panic!("{:?}", plan.findings) };
    assert_eq!((group.records.len(), group.fields.join("+").as_str()), (12, "GIS Latitude+GIS Longitude"));
    assert!(plan.findings.conflicts.is_empty() && plan.findings.replaced.is_empty(), "{:?}", plan.findings);
    let text = plan.text(&story);
    let line = "clio.matters: 12 have the values of GIS Latitude and GIS Longitude exchanged; each is put right (C-0, C-1, C-10 and 9 more)";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("clio.matters: 12 have Court Status empty, which is filled"), "{text}");
}

#[test]
fn any_two_fields_may_stand_crosswise_but_equal_or_empty_ones_do_not() {
    let crosswise = [("Property Owner", Some("Ann"), Some("Ben")), ("Defendent", Some("Ben"), Some("Ann"))];
    let equal = [("Property Owner", Some("Ann"), Some("Ann")), ("Defendent", Some("Ann"), Some("Ann"))];
    let empty = [("Property Owner", None, Some("Ann")), ("Defendent", Some("Ann"), None)];
    for (changes, found) in [(crosswise, 1), (equal, 0), (empty, 0)] {
        let plan = plan(&of_pushes(vec![update("clio.matters", 1, &changes)]));
        assert_eq!(plan.findings.exchanged.len(), found, "{changes:?}");
    }
}

#[test]
fn coordinates_that_are_no_degrees_are_told_as_that() {
    let metres = [
        ("GIS Latitude", Some("-10023314.7991"), Some("35.1259324")),
        ("GIS Longitude", Some("4180449.3088"), Some("-89.950779")),
    ];
    let moved = [("GIS Latitude", Some("35.2"), Some("35.1"))];
    let story = of_pushes(vec![update("clio.matters", 1, &metres), update("clio.matters", 2, &moved)]);
    let plan = plan(&story);
    assert_eq!(plan.findings.no_degrees.len(), 1, "{:?}", plan.findings);
    assert_eq!(plan.findings.replaced.len(), 1, "a place that moved is just another value");
    let text = plan.text(&story);
    assert!(
        text.contains("1 has no degrees in GIS Latitude and GIS Longitude but numbers of another kind"),
        "{text}"
    );
}

#[test]
fn contents_that_differ_and_contents_that_are_not_there_are_told_apart() {
    let pushes = vec![
        update("clio.documents", 1, &[("content", Some("12140"), Some("12000"))]),
        update("clio.documents", 2, &[("content", None, Some("12000"))]),
        update("clio.documents", 3, &[("content", None, Some("12000"))]),
        update("clio.documents", 4, &[("name", Some("a.pdf"), Some("b.pdf"))]),
    ];
    let mut story = of_pushes(pushes);
    story.conflicts = vec![conflict("attachment_document.C-1", "content")];
    let plan = plan(&story);
    let text = plan.text(&story);
    assert!(
        text.contains("1 has other bytes than its source; each gets those of its source (C-1)"),
        "{text}"
    );
    assert!(text.contains("2 were begun and have no bytes; each is finished (C-2, C-3)"), "{text}");
    assert!(plan.findings.conflicts.is_empty());
    assert_eq!(plan.systems[&"clio".parse::<SystemName>().unwrap()].contents, 3);
}

#[test]
fn conflicts_are_told_by_field_with_who_wins() {
    let conflicts = (0..5).map(|number| conflict(&format!("litigation_matter.C-{number}"), "Property Owner"));
    let story = Story { conflicts: conflicts.collect(), ..Story::default() };
    let text = plan(&story).text(&story);
    let line = "clio.matters: 5 conflicts in Property Owner: gis wins: C-0 `the map's` over `Clio's`; ";
    assert!(text.contains(line) && text.contains(" and 2 more"), "{text}");
}

#[test]
fn records_of_one_key_are_told_once_with_their_ids_and_what_to_do() {
    let story = Story {
        parked: vec![
            parked("5", Some("C-1"), "two"),
            parked("9", Some("C-1"), "two"),
            parked("7", Some("C-2"), "gone"),
        ],
        ..Story::default()
    };
    let plan = plan(&story);
    assert_eq!(plan.findings.doubled.len(), 1, "{:?}", plan.findings);
    let text = plan.text(&story);
    assert!(text.contains("clio.matters: 2 records have the key C-1 (ids 5, 9)"), "{text}");
    assert!(text.contains("give the others their own, or delete them"), "{text}");
    assert_eq!(text.matches("waits for a person").count(), 1, "{text}");
}

#[test]
fn what_another_push_has_set_by_then_is_no_write() {
    let date = ("Next Court Date", None, Some("2026-11-20"));
    let story = of_pushes(vec![
        update("clio.matters", 1, &[date, ("Location", Some("a"), Some("b"))]),
        update("clio.matters", 1, &[date]),
        update("clio.matters", 1, &[("Dismiss Status", None, Some("sold"))]),
        update("clio.matters", 2, &[date]),
        push("clio.notes", Op::Create, 1),
        push("clio.notes", Op::Create, 1),
    ]);
    let plan = plan(&story);
    assert_eq!((plan.collections["clio.matters"].updates, plan.collections["clio.notes"].creates), (3, 2));
}

#[test]
fn one_reason_is_told_once_with_the_number_of_its_records() {
    let all: Vec<_> =
        (0..7).map(|number| parked(&number.to_string(), None, "the record has no key")).collect();
    assert_eq!(by_reason(&all, &[]), ["clio.matters 0, 1, 2 and 4 more: the record has no key"]);
    let whole = [Parked { id: None, ..parked("", None, "it is slow") }];
    assert_eq!(by_reason(&whole, &[]), ["clio.matters: it is slow"]);
}
