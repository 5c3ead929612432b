use serde_json::json;

use super::samples::{comparer, document, note, picture};
use super::*;

/// What is told of a city that was made different so.
fn told(change: impl FnOnce(&mut Picture)) -> Vec<String> {
    let mut picture = picture();
    change(&mut picture);
    comparer().compared(&picture, &[]).differences
}

fn set(picture: &mut Picture, field: &str, value: Value) {
    picture.rows[0].attributes.insert(field.to_owned(), value);
}

fn set_matter(picture: &mut Picture, field: &str, value: &str) {
    picture.matters[0].custom_fields.insert(field.to_owned(), Some(value.to_owned()));
}

#[test]
fn where_all_is_the_same_nothing_is_told_and_everything_is_counted() {
    let comparison = comparer().compared(&picture(), &[]);
    assert_eq!(comparison.differences, Vec::<String>::new());
    let of = comparison.compared;
    assert_eq!((of.values, of.notes, of.court_dates), (14, 1, 1));
    assert_eq!((of.documents, of.dismissals, of.marks), (1, 1, 0));
    assert_eq!(comparison.told(), "14 values, 1 newest note, 1 court date, 1 document, 1 dismissal");
}

#[test]
fn a_difference_of_each_kind_is_told_in_words() {
    type Change = fn(&mut Picture);
    let cases: [(Change, &str); 20] = [
        (
            |it| set(it, "ADDRESS1", json!("14 Main St")),
            "E-1: ADDRESS1 is `14 Main St` and Location is `12 Main St`",
        ),
        (|it| it.rows[0].lat = Some(35.2), "E-1: shape is `35.2` and GIS Latitude is `35.15`"),
        (
            |it| set_matter(it, "Next Court Date", "2026-12-04"),
            "E-1: NextCourtDate is `2026-12-03` and Next Court Date is `2026-12-04`",
        ),
        (
            |it| set(it, "BoardUp_Notes", json!("Open again")),
            "E-1: BoardUp_Notes is `Open again` and the newest note is `Boarded`",
        ),
        (
            |it| it.notes.push(note(92, "2026-11-03", "Later")),
            "E-1: BoardUp_Notes is `Boarded` and the newest note is `Later`",
        ),
        (
            |it| it.notes.push(note(92, "2026-11-02", "Boarded")),
            "E-1: the newest note stands twice, `Boarded`",
        ),
        (|it| it.notes.clear(), "E-1: BoardUp_Notes is `Boarded` and its matter has no note"),
        (
            |it| it.entries.clear(),
            "E-1: NextCourtDate is 2026-12-03 all day, and the calendar has no entry to come",
        ),
        (
            |it| it.entries[0].start_at -= chrono::TimeDelta::hours(24),
            "E-1: NextCourtDate is 2026-12-03 all day and the next entry of the calendar 2026-12-02 all day",
        ),
        (|it| it.entries.push(it.entries[0].clone()), "E-1: the calendar has 2026-12-03 all day twice"),
        (
            |it| it.entries[0].calendar = "Another".to_owned(),
            "E-1: NextCourtDate is 2026-12-03 all day, and the calendar has no entry to come",
        ),
        (|it| it.documents.clear(), "E-1: front.jpg has no document"),
        (|it| it.documents.push(document(61)), "E-1: front.jpg has 2 documents"),
        (
            |it| it.documents[0].name = "back.jpg".to_owned(),
            "E-1: front.jpg has the document `back.jpg`, which is another name",
        ),
        (|it| it.documents[0].versions.clear(), "E-1: front.jpg has a document without a file"),
        (|it| it.files[0].sha256 = "abd".to_owned(), "E-1: front.jpg has other bytes than its document"),
        (|it| it.history.clear(), "E-1: its matter is Dismissed, and the history has no row of it"),
        (
            |it| set_matter(it, "Dismiss Status", ""),
            "E-1: DismissStatus of the history is `Dismissed with costs` and Dismiss Status is ``",
        ),
        (|it| it.matters.clear(), "E-1 (row 5) has no matter"),
        (|it| it.rows.clear(), "the matter of E-1 has no row"),
    ];
    for (change, difference) in cases {
        assert_eq!(told(change), [difference]);
    }
}

#[test]
fn no_date_to_come_is_none_however_the_past_differs() {
    let past = |picture: &mut Picture| {
        picture.now = "2027-01-01T00:00:00Z".parse().unwrap();
        picture.entries.clear();
    };
    assert_eq!(told(past), Vec::<String>::new());
    let none = told(|it| {
        set(it, "NextCourtDate", Value::Null);
        set_matter(it, "Next Court Date", "");
    });
    let difference =
        "E-1: the calendar has an entry on 2026-12-03 all day, and NextCourtDate is no date to come";
    assert_eq!(none, [difference]);
}

#[test]
fn the_day_of_a_court_date_is_that_of_the_offices_clock() {
    let late = |picture: &mut Picture| {
        let evening: chrono::DateTime<chrono::Utc> = "2026-12-04T03:00:00Z".parse().unwrap();
        set(picture, "NextCourtDate", json!(evening.timestamp_millis()));
        picture.entries[0].start_at = evening;
        picture.entries[0].all_day = false;
    };
    assert_eq!(told(late), Vec::<String>::new());
}

#[test]
fn what_is_in_the_trash_or_recurs_is_not_there() {
    let trashed = told(|it| it.documents[0].deleted_at = Some(it.now));
    assert_eq!(trashed, ["E-1: front.jpg has no document"]);
    let recurring = told(|it| it.entries[0].recurrence_rule = Some("FREQ=WEEKLY".to_owned()));
    assert_eq!(recurring.len(), 1, "{recurring:?}");
}

#[test]
fn a_day_of_another_clocks_midnight_is_the_offices_day() {
    let as_utc =
        |picture: &mut Picture| picture.entries[0].start_at = "2026-12-03T00:00:00Z".parse().unwrap();
    assert_eq!(told(as_utc), Vec::<String>::new());
}

#[test]
fn the_beginning_of_a_long_note_is_the_same_and_a_shorter_beginning_is_not() {
    let long = "x".repeat(5000);
    let cut = |length: usize| {
        let long = long.clone();
        told(move |it| {
            set(it, "BoardUp_Notes", json!(long.chars().take(length).collect::<String>()));
            it.notes.push(note(92, "2026-11-03", &long));
        })
    };
    assert_eq!(cut(4000), Vec::<String>::new());
    assert_eq!(cut(3999).len(), 1);
}

#[test]
fn a_matter_without_a_row_is_fine_once_it_is_marked() {
    let mut picture = picture();
    picture.rows.clear();
    set_matter(&mut picture, "GIS Record", "Not on the map since 2026-11-20");
    let comparison = comparer().compared(&picture, &[]);
    assert_eq!((comparison.differences.len(), comparison.compared.marks), (0, 1));
    let unmarked = Comparer { mark: None, ..comparer() };
    assert_eq!(unmarked.compared(&picture, &[]).differences, ["the matter of E-1 has no row"]);
}

#[test]
fn what_is_parked_is_no_difference() {
    let parked = |place: (&str, &str), key: &str, field: Option<&str>| Parked {
        system: place.0.parse().unwrap(),
        collection: place.1.parse().unwrap(),
        id: None,
        key: databridge_model::Key::parse(key),
        field: field.map(str::to_owned),
        reason: "why".to_owned(),
    };
    let mut picture = picture();
    set(&mut picture, "ADDRESS1", json!("14 Main St"));
    picture.notes.clear();
    picture.entries.clear();
    picture.documents.clear();
    assert_eq!(comparer().compared(&picture, &[]).differences.len(), 4);
    let each = [
        parked(("clio", "matters"), "E-1", Some("Location")),
        parked(("clio", "notes"), "E-1", None),
        parked(("gis", "active_litigations"), "E-1", Some("NextCourtDate")),
        parked(("clio", "documents"), "17", None),
    ];
    assert_eq!(comparer().compared(&picture, &each).differences, Vec::<String>::new());
    let whole = [parked(("gis", "active_litigations"), "E-1", None)];
    assert_eq!(comparer().compared(&picture, &whole).differences, Vec::<String>::new());
}
