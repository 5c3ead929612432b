use std::fs;

use clio_bridge::{BridgeSettings, Found};
use databridge_config::ConfigFolder;

use super::*;

const PULLED: &str = "2021-07-01T10:10:10+00:00";

/// A line of a litigation, as the last version wrote it; the first left out the last two values.
const LITIGATION: &str = r#"{"object_id": 10, "created": 1624000000000, "updated": 1625000000000, "incident_number": "1", "parcel_id": null, "city_file_no": null, "sub_district": "3-South", "npa_inspect_summary": "Roof open\nto the \u00e9ast", "court_status": "Hearing", "location": "1 Elm St", "next_court_date": null, "property_owner": "A", "defendent": "B", "civil_warrant": "C-10", "latest_court_notes": null, "geometry": {"x": -100.5, "y": 41.25}, "dismiss_status": null, "dismissed_condition": null}"#;

const ATTACHMENT: &str = r#"{"id": 7, "litigation_object_id": 10, "civil_warrant": "C-10", "content_type": "image/png", "size": 12, "name": "front.png"}"#;

/// A matter as Clio answered it.
const MATTER: &str = r#"{"custom_field_values": [{"etag": "\"1\"", "field_name": "Civil Warrant", "id": "text_line-1", "value": "C-3"}, {"etag": "\"2\"", "field_name": "GIS Object ID", "id": "numeric-2", "value": "3"}, {"etag": "\"3\"", "field_name": "Court Status", "id": "picklist-3", "value": null}], "etag": "\"4\"", "id": 5001, "updated_at": "2021-07-02T08:00:00Z"}"#;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn read(files: &[(&str, &str)]) -> DataFolder {
    DataFolder::read(folder(files).path()).unwrap()
}

fn queued(kind: &str) -> String {
    format!("data/{kind}/{PULLED}")
}

fn config() -> ConfigFolder {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config");
    ConfigFolder::read(Path::new(folder)).unwrap()
}

fn settings() -> BridgeSettings {
    config().bridge_part(&"clio".parse().unwrap()).unwrap()
}

fn set(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

#[test]
fn litigations_and_attachments_of_both_versions_are_known_by_their_ids() {
    let first = LITIGATION.replace(r#", "dismiss_status": null, "dismissed_condition": null"#, "");
    let found = read(&[
        (&queued("gis/queued/active_litigations"), &format!("{LITIGATION}\n{}\n", first.replace("10", "11"))),
        (&queued("gis/queued/attachments"), &format!("{ATTACHMENT}\n")),
    ]);
    assert_eq!(found.litigations, set(&["10", "11"]));
    assert_eq!(
        found.attachments,
        set(&["10/7"]),
        "an attachment's id is its own layer's: its row goes with it"
    );
    assert!(found.unread.is_empty(), "{:?}", found.unread);
}

#[test]
fn a_matter_of_the_first_version_stands_alone_and_brings_its_litigation() {
    let found = read(&[(&queued("clio/queued/matters"), &format!("{MATTER}\n"))]);
    assert_eq!((found.matters, found.of_matters), (set(&["5001"]), set(&["3"])));
    assert!(found.unrecorded.is_empty(), "it was on its way to its own row and not into the history");
}

#[test]
fn a_matter_of_the_last_version_was_to_have_a_row_of_history() {
    let line = |date: &str| {
        format!("{{\"matter\": {MATTER}, \"next_court_date\": {date}, \"court_notes\": null}}\n")
    };
    let text = line("null") + &line("\"2021-08-03T15:00:00Z\"").replace("5001", "5002");
    let found = read(&[(&queued("clio/queued/matters"), &text)]);
    assert_eq!(found.matters, set(&["5001", "5002"]));
    let settings: Vec<_> = found.unrecorded.iter().map(|row| row.setting.as_deref()).collect();
    assert_eq!(settings, [None, Some("2021-08-03T15:00:00Z")]);
    let words = found.words().join("\n");
    assert!(words.contains("2 rows of the history"), "{words}");
    assert!(words.contains("C-3 (matter 5001): a dismissal"), "{words}");
    assert!(words.contains("C-3 (matter 5002): a new setting, 2021-08-03T15:00:00Z"), "{words}");
}

#[test]
fn a_note_is_known_by_its_own_id_and_the_matter_beside_it_is_not_believed() {
    let line = |id: u32| format!("{{\"id\": {id}, \"matter\": {MATTER}, \"detail\": \"Boarded\"}}\n");
    let found = read(&[(&queued("clio/queued/notes"), &(line(71) + &line(72)))]);
    assert_eq!(found.notes, set(&["71", "72"]));
    assert!(found.matters.is_empty() && found.of_matters.is_empty());
}

#[test]
fn what_waits_is_asked_for_once_with_parents_before_what_hangs_on_them() {
    let found = read(&[
        (&queued("gis/queued/active_litigations"), &format!("{LITIGATION}\n")),
        ("data/gis/queued/active_litigations/2021-07-02T10:10:10+00:00", &format!("{LITIGATION}\n")),
        (&queued("gis/queued/attachments"), &format!("{ATTACHMENT}\n")),
        (&queued("clio/queued/matters"), &format!("{MATTER}\n")),
        (&queued("clio/queued/notes"), &format!("{{\"id\": 71, \"matter\": {MATTER}, \"detail\": \"\"}}\n")),
    ]);
    let (requests, lacking) = found.requests(&config());
    let asked: Vec<_> =
        requests.iter().map(|((system, it), ids)| (format!("{system}.{it}"), ids.join(","))).collect();
    let expected = [
        ("gis.active_litigations", "10,3"),
        ("gis.attachments", "10/7"),
        ("clio.matters", "5001"),
        ("clio.notes", "71"),
    ];
    assert_eq!(asked, expected.map(|(place, ids)| (place.to_owned(), ids.to_owned())));
    assert!(lacking.is_empty());

    let mut without = config();
    for file in without.systems.values_mut() {
        file.collections.retain(|name, _| name.as_str() != "notes");
    }
    let (requests, lacking) = found.requests(&without);
    assert_eq!((requests.len(), lacking), (3, vec![("clio.notes".to_owned(), 1)]));
}

#[test]
fn a_line_that_broke_off_is_named_and_the_others_are_taken() {
    let half = LITIGATION.get(..LITIGATION.len() / 2).unwrap();
    let text =
        format!("{LITIGATION}\n{{\"civil_warrant\": \"C-2\"}}\n{}\n{half}", LITIGATION.replace("10", "8"));
    let found = read(&[(&queued("gis/queued/active_litigations"), &text)]);
    assert_eq!(found.litigations, set(&["10", "8"]));
    assert_eq!(found.unread.len(), 2, "{:?}", found.unread);
    assert!(found.unread[0].contains("+00:00:2: missing field `object_id`"), "{:?}", found.unread);
    assert!(found.unread[1].contains("+00:00:4: it broke off while it was written"), "{:?}", found.unread);
    // A last line that is whole but for its end is whole.
    let found = read(&[(&queued("gis/queued/active_litigations"), LITIGATION)]);
    assert_eq!((found.litigations.len(), found.unread.len()), (1, 0));
}

#[test]
fn an_empty_file_is_told_but_not_that_of_attachments_where_there_were_none() {
    let found = read(&[
        (&queued("gis/queued/attachments"), ""),
        (&queued("clio/queued/matters"), ""),
        (&queued("clio/queued/notes"), ""),
    ]);
    let names: Vec<_> =
        found.emptied.iter().map(|path| path.parent().unwrap().file_name().unwrap()).collect();
    assert_eq!(names, ["matters", "notes"]);
    assert!(found.words().iter().any(|line| line.contains("rows may be lost")), "{:?}", found.words());
}

#[test]
fn the_last_pull_is_read_in_each_form_and_is_in_utc_where_it_does_not_say() {
    for (text, moment) in [
        (PULLED, "2021-07-01T10:10:10Z"),
        ("2021-07-01T10:10:10.157939", "2021-07-01T10:10:10.157939Z"),
        ("2021-07-01T10:10:10", "2021-07-01T10:10:10Z"),
        ("2021-07-01T05:10:10-05:00\n", "2021-07-01T10:10:10Z"),
    ] {
        let found = read(&[("data/clio/log", text)]);
        assert_eq!(found.last_pulls["clio"], moment.parse::<DateTime<Utc>>().unwrap(), "{text}");
    }
    let found = read(&[("data/gis/log", ""), ("data/clio/log", "yesterday")]);
    assert!(found.last_pulls.is_empty());
    assert!(found.unread[0].ends_with("`yesterday` is no moment"), "{:?}", found.unread);
    let advice = read(&[("data/gis/log", PULLED)]).advice().join(" ");
    assert!(advice.contains("databridge migrate"), "{advice}");
    assert!(advice.contains("`databridge sync gis --since 2021-07-01T10:10:10Z`"), "{advice}");
}

#[test]
fn things_of_the_scripts_under_another_name_are_told_with_what_it_means() {
    let found = read(&[
        ("data/clio/group.json", r#"{"etag": "\"1\"", "id": 3, "name": "NP Clinic"}"#),
        ("data/clio/practice_area.json", r#"{"id": 4, "name": "Trial Area"}"#),
        ("data/clio/client.json", r#"{"etag": "\"2\"", "id": 5}"#),
        ("data/clio/calendar.json", r#"{"id": 6, "name": "Trial Calendar"}"#),
        ("data/clio/custom_fields.json", r#"[{"id": 11, "name": "Location"}]"#),
    ]);
    let strangers = found.strangers(&settings(), None);
    let words: Vec<_> = strangers.iter().map(Stranger::words).collect();
    assert_eq!(words.len(), 2, "{words:?}");
    assert!(
        words[0].starts_with("the scripts' practice area \"Trial Area\" (4) is not ours, \"Neigh"),
        "{words:?}"
    );
    assert!(words[0].contains("made anew"), "{words:?}");
    assert!(words[1].contains("calendar \"Trial Calendar\" (6)"), "{words:?}");
    assert_eq!(strangers.iter().map(Stranger::hides_matters).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn a_field_that_the_scripts_took_for_another_is_told_by_its_id() {
    let found = read(&[
        ("data/clio/group.json", r#"{"id": 3}"#),
        (
            "data/clio/custom_fields.json",
            r#"[{"id": 11, "name": "Location"}, {"id": 12, "name": "Parcel ID"}]"#,
        ),
    ]);
    let ours: Found = serde_json::from_value(serde_json::json!({
        "group_id": 3, "practice_area_id": 4, "client_id": 5, "read_at": "2026-01-01T00:00:00Z",
        "custom_fields": {"Location": {"id": 15, "type": "text_line"}, "Parcel ID": {"id": 12, "type": "text_line"}},
    }))
    .unwrap();
    let words: Vec<_> = found.strangers(&settings(), Some(&ours)).iter().map(Stranger::words).collect();
    assert_eq!(words.len(), 1, "{words:?}");
    assert!(words[0].contains("custom field \"Location\" (11) is not ours, \"Location\" (15)"), "{words:?}");
}

#[test]
fn another_folder_is_refused_with_what_is_expected() {
    let folder = folder(&[("notes.txt", "x")]);
    let error = DataFolder::read(folder.path()).unwrap_err();
    assert!(error.to_string().contains("BASE_DATA_DIR"), "{error}");
}

#[test]
fn an_empty_queue_asks_for_nothing_and_a_token_left_behind_is_told() {
    let found = read(&[("data/gis/log", PULLED), ("auth/access", "secret-token")]);
    assert!(found.is_empty() && found.requests(&config()).0.is_empty());
    let words = found.words().join("\n");
    assert!(words.contains("auth/access") && !words.contains("secret-token"), "{words}");
    assert!(words.contains("waiting to go to Clio: nothing"), "{words}");
}
