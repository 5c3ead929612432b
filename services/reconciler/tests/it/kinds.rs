//! The kinds of routes, each from a change in one system to its effect in the other.

use chrono::TimeDelta;
use serde_json::json;

use crate::towns::Town;

const MAP: &str = r#"system = "map"
[collections.cases]
key = "warrant"
fields = { warrant = "text", status = "text", remark = "text", hearing = "instant" }
[collections.photos]
key = "id"
parent = "cases"
fields = { id = "text", title = "text", content = "ref" }
[collections.history]
key = "uid"
fields = { uid = "text", warrant = "text", status = "text", hearing = "instant", reason = "text" }
"#;

const OFFICE: &str = r#"system = "office"
time_zone = "America/Chicago"
[collections.matters]
key = "Warrant"
fields = { Warrant = "text", Status = "text", Reason = "text", Day = "date", Mark = "text" }
[collections.notes]
key = "id"
parent = "matters"
fields = { id = "text", detail = "text", date = "date" }
[collections.entries]
key = "id"
parent = "matters"
fields = { id = "text", start = "instant" }
[collections.papers]
key = "photo"
parent = "matters"
fields = { photo = "text", title = "text", content = "ref" }
"#;

const MIRROR: &str = r#"route = "case_matter"
kind = "mirror"
left = { collection = "map.cases", gone = { mark = { field = "Mark", text = "Left the map" } } }
right = { collection = "office.matters", create = true }
fields = [
  { left = "warrant", right = "Warrant", direction = "to_right" },
  { left = "status", right = "Status", wins = "right" },
  { left = "hearing", right = "Day", direction = "to_right", convert = "local_date" },
]
"#;

const REMARKS: &str = r#"route = "remarks"
kind = "latest"
parent = "case_matter"
left = { collection = "map.cases" }
right = { collection = "office.notes", create = true, update = false }
choose = { newest = ["date"] }
fields = [{ left = "remark", right = "detail", empty = "clears" }]
"#;

const HEARINGS: &str = r#"route = "hearings"
kind = "latest"
parent = "case_matter"
left = { collection = "map.cases" }
right = { collection = "office.entries", create = true }
choose = { next = "start" }
fields = [{ left = "hearing", right = "start", empty = "clears" }]
"#;

const DAYS: &str = r#"route = "days"
kind = "latest"
parent = "case_matter"
left = { collection = "office.matters" }
right = { collection = "office.entries", create = true }
choose = { next = "start" }
fields = [{ left = "Day", right = "start", convert = "local_date", empty = "clears" }]
"#;

const PHOTOS: &str = r#"route = "photo_paper"
kind = "child"
parent = "case_matter"
left = { collection = "map.photos", gone = "delete" }
right = { collection = "office.papers", create = true }
fields = [
  { left = "id", right = "photo", direction = "to_right" },
  { left = "title", right = "title", direction = "to_right" },
  { left = "content", right = "content", direction = "to_right" },
]
"#;

const DISMISSED: &str = r#"route = "dismissed"
kind = "event"
parent = "case_matter"
left = { collection = "office.matters" }
right = { collection = "map.history", parent_key = "warrant", create = true }
when = { field = "Status", becomes = "Dismissed" }
fields = [
  { left = "Warrant", right = "warrant" },
  { left = "Status", right = "status" },
  { left = "hearing", of = "partner", right = "hearing" },
]
"#;

const REASONS: &str = r#"route = "reasons"
kind = "latest"
parent = "case_matter"
left = { collection = "office.matters" }
right = { collection = "map.history", parent_key = "warrant" }
choose = { newest = ["hearing"] }
fields = [{ left = "Reason", right = "reason", direction = "to_left" }]
"#;

async fn town() -> Town {
    Town::open(&[
        ("systems/map.toml", MAP),
        ("systems/office.toml", OFFICE),
        ("routes/case_matter.toml", MIRROR),
        ("routes/remarks.toml", REMARKS),
        ("routes/hearings.toml", HEARINGS),
        ("routes/days.toml", DAYS),
        ("routes/photo_paper.toml", PHOTOS),
        ("routes/dismissed.toml", DISMISSED),
        ("routes/reasons.toml", REASONS),
    ])
    .await
}

/// A town with one case that is migrated: its id on the map and its matter's.
async fn with_case(pairs: &[(&str, &str)]) -> (Town, String, String) {
    let town = town().await;
    let mut case = vec![("warrant", "C-1")];
    case.extend(pairs);
    let id = town.map.add("cases", None, &case);
    assert_eq!(town.migrate().await.errors, Vec::<String>::new());
    let matter = town.office.rows("matters").first().unwrap().0.clone();
    (town, id, matter)
}

#[tokio::test]
async fn a_migrate_makes_matters_then_notes_entries_and_papers_and_the_next_cycle_writes_nothing() {
    let town = town().await;
    let hearing = town.in_days(30);
    for number in 0..20 {
        let warrant = format!("C-{number}");
        let case = [("warrant", warrant.as_str()), ("remark", "boarded"), ("hearing", &hearing)];
        let id = town.map.add("cases", None, &case);
        town.map.add("photos", Some(&id), &[("title", "front"), ("content", "100")]);
    }
    let told = town.migrate().await;
    assert_eq!((told.errors, told.parked), (Vec::new(), Vec::new()));
    for (collection, count) in [("matters", 20), ("notes", 20), ("entries", 20), ("papers", 20)] {
        assert_eq!(town.office.rows(collection).len(), count, "{collection}");
    }
    let matters: Vec<_> = town.office.rows("matters").into_iter().map(|(id, _)| Some(id)).collect();
    for (_, note) in town.office.rows("notes") {
        assert!(matters.contains(&note.parent));
    }
    assert_eq!(town.pushed().len(), 80);
    assert_eq!(town.cycle().await, Vec::<String>::new());
    assert_eq!(town.migrate().await.errors, Vec::<String>::new());
    assert_eq!(town.pushed(), Vec::<String>::new());
}

#[tokio::test]
async fn a_note_goes_to_the_map_and_an_edit_there_appends_one() {
    let (town, case, matter) = with_case(&[("remark", "")]).await;
    town.pushed();
    town.office.add("notes", Some(&matter), &[("detail", "a person's"), ("date", "2026-01-05")]);
    assert_eq!(town.cycle().await, ["update map remark"]);
    assert_eq!(town.map.value("cases", &case, "remark"), "a person's");
    assert_eq!(town.cycle().await, Vec::<String>::new());
    town.map.edit("cases", &case, &[("remark", "from the map")]);
    assert_eq!(town.cycle().await, ["create office date,detail"]);
    assert_eq!(town.cycle().await, Vec::<String>::new());
    let details: Vec<_> =
        town.office.rows("notes").iter().map(|(id, _)| town.office.value("notes", id, "detail")).collect();
    assert_eq!(details, ["a person's", "from the map"]);
}

#[tokio::test]
async fn at_first_a_remark_that_an_older_note_has_gives_way_to_the_newest_and_another_is_a_note_of_its_own() {
    let town = town().await;
    let mut cases = Vec::new();
    for (warrant, remark) in [("C-1", "old"), ("C-2", "new"), ("C-3", "of the map"), ("C-4", "")] {
        cases.push(town.map.add("cases", None, &[("warrant", warrant), ("remark", remark)]));
        let matter = town.office.add("matters", None, &[("Warrant", warrant)]);
        for (date, detail) in [("2026-01-05", "old"), ("2026-02-05", "new")] {
            town.office.add("notes", Some(&matter), &[("detail", detail), ("date", date)]);
        }
    }
    let told = town.migrate().await;
    assert_eq!(town.pushed(), ["create office date,detail", "update map remark", "update map remark"]);
    let remarks: Vec<_> = cases.iter().map(|case| town.map.value("cases", case, "remark")).collect();
    assert_eq!(remarks, ["new", "new", "of the map", "new"]);
    assert_eq!(told.conflicts, ["remarks.C-3"]);
    assert_eq!(town.cycle().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_note_that_comes_before_its_matter_is_known_waits_for_it() {
    let town = town().await;
    let matter = town.office.add("matters", None, &[("Warrant", "C-1")]);
    town.office.add("notes", Some(&matter), &[("detail", "early"), ("date", "2026-01-05")]);
    let case = town.map.add("cases", None, &[("warrant", "C-1")]);
    // The notes are listed alone; nothing of matters is known.
    town.sync("office.notes", json!({})).await;
    assert_eq!(town.pushed(), Vec::<String>::new());
    town.migrate().await;
    town.cycle().await;
    assert_eq!(town.map.value("cases", &case, "remark"), "early");
}

#[tokio::test]
async fn court_dates_go_both_ways_and_the_matters_day_follows() {
    let (town, case, matter) = with_case(&[]).await;
    town.pushed();
    let (first, second) = (town.in_days(20), town.in_days(40));
    let entry = town.office.add("entries", Some(&matter), &[("start", &first)]);
    assert_eq!(town.cycle().await, ["update map hearing", "update office Day"]);
    assert_eq!(town.map.value("cases", &case, "hearing"), first);
    assert_eq!(town.cycle().await, Vec::<String>::new());
    // From the map: the entry is moved, and the day with it.
    town.map.edit("cases", &case, &[("hearing", &second)]);
    assert_eq!(town.cycle().await, ["update office Day", "update office start"]);
    assert_eq!(town.office.value("entries", &entry, "start"), second);
    assert_eq!(town.cycle().await, Vec::<String>::new());
    // The matter's day: the entry is moved and keeps its hour, and the map follows.
    let day = town.local_day(&town.in_days(50));
    town.office.edit("matters", &matter, &[("Day", &day)]);
    let pushed = town.cycle().await;
    let rest = town.cycle().await;
    let moved = town.office.value("entries", &entry, "start");
    assert_eq!(moved, town.map.value("cases", &case, "hearing"), "{pushed:?} {rest:?}");
    assert!(moved != second);
    assert_eq!(town.cycle().await, Vec::<String>::new());
}

#[tokio::test]
async fn two_routes_that_look_at_the_same_records_make_one_of_them_together() {
    let town = town().await;
    for number in 0..10 {
        let hearing = town.in_days(20 + number);
        town.map.add("cases", None, &[("warrant", &format!("C-{number}")), ("hearing", &hearing)]);
    }
    // The map's hearing makes an entry, and gives the matter its day, which would make one too.
    town.migrate().await;
    town.cycle().await;
    assert_eq!(town.office.rows("entries").len(), 10);
    // A dry run of a first pairing in which both sides have a date counts one.
    let (hearing, mut paired) = (town.in_days(50), Vec::new());
    for number in 100..110 {
        let warrant = format!("C-{number}");
        paired.push(town.map.add("cases", None, &[("warrant", &warrant), ("hearing", &hearing)]));
        town.office.add("matters", None, &[("Warrant", &warrant), ("Day", &town.local_day(&hearing))]);
    }
    let told = town.sync("map", json!({ "mode": "migrate", "dry_run": true })).await;
    assert_eq!(told.would_push, ["create office.entries"; 10]);
    town.pushed();
    town.migrate().await;
    // The route that has the moment goes before the one that has its day.
    assert_eq!(town.pushed(), ["create office start"; 10]);
    assert!(paired.iter().all(|case| town.map.value("cases", case, "hearing") == hearing));
    // The same in a cycle, where a matter that is there gets its first date.
    let case = town.map.add("cases", None, &[("warrant", "C-11")]);
    town.cycle().await;
    let hearing = town.in_days(40);
    town.map.edit("cases", &case, &[("hearing", &hearing)]);
    town.cycle().await;
    town.cycle().await;
    let starts: Vec<_> =
        town.office.rows("entries").iter().map(|(id, _)| town.office.value("entries", id, "start")).collect();
    assert_eq!((starts.len(), starts.last()), (21, Some(&hearing)));
    assert_eq!(town.map.value("cases", &case, "hearing"), hearing);
    town.pushed();
    assert_eq!(town.cycle().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_route_waits_while_another_makes_the_record_and_then_changes_that_one() {
    let (town, case, matter) = with_case(&[]).await;
    let (first, second) = (town.in_days(20), town.in_days(30));
    town.office.hold("entries");
    town.map.edit("cases", &case, &[("hearing", &first)]);
    town.ask("map").await;
    town.office.holds_one().await;
    // While the entry is being made, a person types another day into the matter, which would make one too.
    let day = town.local_day(&second);
    town.office.edit("matters", &matter, &[("Day", &day)]);
    town.sync("office", json!({})).await;
    town.office.release();
    for _ in 0..4 {
        town.cycle().await;
    }
    let entries = town.office.rows("entries");
    let start = town.office.value("entries", &entries[0].0, "start");
    assert_eq!(entries.len(), 1);
    assert_eq!(town.office.value("matters", &matter, "Day"), town.local_day(&start));
    assert_eq!(town.map.value("cases", &case, "hearing"), start);
    town.pushed();
    assert_eq!(town.cycle().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_day_typed_into_a_matter_without_an_entry_makes_one_and_the_map_has_it() {
    let (town, case, matter) = with_case(&[]).await;
    let day = town.local_day(&town.in_days(50));
    town.pushed();
    town.office.edit("matters", &matter, &[("Day", &day)]);
    town.cycle().await;
    assert_eq!(town.cycle().await, ["update map hearing"]);
    let entries = town.office.rows("entries");
    let start = town.office.value("entries", &entries[0].0, "start");
    assert_eq!((entries.len(), town.local_day(&start)), (1, day));
    assert_eq!(town.map.value("cases", &case, "hearing"), start);
    assert_eq!(town.cycle().await, Vec::<String>::new());
    // And with a date typed on both sides at once there is still one entry, and a winner.
    let town = self::town().await;
    let case = town.map.add("cases", None, &[("warrant", "C-1")]);
    town.migrate().await;
    let matter = town.office.rows("matters").remove(0).0;
    town.map.edit("cases", &case, &[("hearing", &town.in_days(20))]);
    town.office.edit("matters", &matter, &[("Day", &town.local_day(&town.in_days(30)))]);
    for _ in 0..4 {
        town.cycle().await;
    }
    let entries = town.office.rows("entries");
    let start = town.office.value("entries", &entries[0].0, "start");
    assert_eq!(entries.len(), 1);
    assert_eq!(town.map.value("cases", &case, "hearing"), start);
    assert_eq!(town.office.value("matters", &matter, "Day"), town.local_day(&start));
    town.pushed();
    assert_eq!(town.cycle().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_deleted_court_date_is_found_by_a_complete_listing() {
    let (town, case, matter) = with_case(&[]).await;
    let start = town.in_days(20);
    let entry = town.office.add("entries", Some(&matter), &[("start", &start)]);
    town.cycle().await;
    town.office.delete("entries", &entry);
    assert_eq!(town.cycle().await, Vec::<String>::new());
    town.sync("office.entries", json!({ "mode": "full" })).await;
    town.cycle().await;
    assert_eq!(town.map.value("cases", &case, "hearing"), "");
    assert_eq!(town.office.value("matters", &matter, "Day"), "");
    town.pushed();
    assert_eq!(town.cycle().await, Vec::<String>::new());
}

#[tokio::test]
async fn as_time_passes_the_next_court_date_has_its_turn() {
    let (town, case, matter) = with_case(&[]).await;
    let (first, second) = (town.in_days(2), town.in_days(9));
    town.office.add("entries", Some(&matter), &[("start", &first)]);
    town.office.add("entries", Some(&matter), &[("start", &second)]);
    town.cycle().await;
    assert_eq!(town.map.value("cases", &case, "hearing"), first);
    town.pass(TimeDelta::days(3));
    town.cycle().await;
    assert_eq!(town.map.value("cases", &case, "hearing"), second);
    assert_eq!(town.office.value("matters", &matter, "Day"), town.local_day(&second));
    town.pass(TimeDelta::days(30));
    town.cycle().await;
    town.pushed();
    assert_eq!(town.cycle().await, Vec::<String>::new());
    assert_eq!(town.map.value("cases", &case, "hearing"), second);
}

#[tokio::test]
async fn a_replaced_photo_is_a_new_content_and_a_removed_one_is_deleted_as_the_route_says() {
    let (town, case, _) = with_case(&[]).await;
    let photo = town.map.add("photos", Some(&case), &[("title", "front"), ("content", "100")]);
    town.pushed();
    assert_eq!(town.cycle().await, ["create office content,photo,title"]);
    town.map.edit("photos", &photo, &[("content", "250")]);
    assert_eq!(town.cycle().await, ["update office content"]);
    town.map.delete("photos", &photo);
    assert_eq!(town.cycle().await, Vec::<String>::new());
    town.sync("map.photos", json!({ "mode": "full" })).await;
    assert_eq!(town.pushed(), ["delete office "]);
    assert!(town.office.rows("papers").is_empty());
    assert_eq!(town.cycle().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_photo_that_looks_for_its_matter_as_that_is_being_made_is_not_forgotten() {
    let scenario = fail::FailScenario::setup();
    let town = town().await;
    town.migrate().await;
    fail::cfg("reconciler.before-awaits-parent", "return").unwrap();
    town.office.hold("matters");
    let case = town.map.add("cases", None, &[("warrant", "C-1")]);
    town.map.add("photos", Some(&case), &[("title", "front"), ("content", "100")]);
    let sync = town.sync("map", json!({}));
    let meddle = async {
        town.office.holds_one().await;
        // The photo has seen that there is no matter, and does not wait for it yet.
        town.until_read("PULL", 1).await;
        town.office.release();
        town.until_read("OUTCOME", 0).await;
        fail::remove("reconciler.before-awaits-parent");
    };
    tokio::join!(sync, meddle);
    assert_eq!(town.office.rows("papers").len(), 1);
    scenario.teardown();
}

#[tokio::test]
async fn a_push_to_a_paper_names_the_photo_and_the_matter() {
    let (town, case, matter) = with_case(&[]).await;
    let photo = town.map.add("photos", Some(&case), &[("title", "front"), ("content", "100")]);
    town.office.take_pushes();
    town.sync("map", json!({})).await;
    let push = town.office.take_pushes().pop().unwrap();
    let source = push.source.unwrap();
    assert_eq!((source.system.as_str(), source.collection.as_str()), ("map", "photos"));
    assert_eq!((source.id, push.parent), (photo, Some(matter)));
}

#[tokio::test]
async fn dismissed_opened_and_dismissed_again_makes_two_rows() {
    let (town, _, matter) = with_case(&[]).await;
    town.office.edit("matters", &matter, &[("Status", "Hearing")]);
    town.cycle().await;
    for (status, rows) in [("Dismissed", 1), ("Hearing", 1), ("Dismissed", 2)] {
        town.office.edit("matters", &matter, &[("Status", status)]);
        town.cycle().await;
        town.cycle().await;
        assert_eq!(town.map.rows("history").len(), rows, "{status}");
    }
    town.pushed();
    assert_eq!(town.cycle().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_matter_that_is_dismissed_before_it_was_ever_read_back_has_its_row() {
    let (town, _, matter) = with_case(&[]).await;
    town.office.edit("matters", &matter, &[("Status", "Dismissed")]);
    town.cycle().await;
    assert_eq!(town.map.rows("history").len(), 1);
}

#[tokio::test]
async fn rows_that_are_there_are_paired_first_and_their_reason_comes_to_the_matter() {
    let town = town().await;
    town.map.add("cases", None, &[("warrant", "C-1")]);
    let matter = town.office.add("matters", None, &[("Warrant", "C-1"), ("Status", "Dismissed")]);
    town.map.add(
        "history",
        None,
        &[
            ("warrant", "C-1"),
            ("status", "Dismissed"),
            ("hearing", "2026-01-01T00:00:00Z"),
            ("reason", "sold"),
        ],
    );
    town.migrate().await;
    town.cycle().await;
    assert_eq!(town.map.rows("history").len(), 1);
    assert_eq!(town.office.value("matters", &matter, "Reason"), "sold");
}

#[tokio::test]
async fn what_the_rows_say_comes_with_the_new_matter_and_not_after_it() {
    let town = town().await;
    town.map.add("cases", None, &[("warrant", "C-1")]);
    for (hearing, reason) in [("2026-01-01T00:00:00Z", "sold"), ("2026-02-01T00:00:00Z", "mended")] {
        let row = [("warrant", "C-1"), ("status", "Dismissed"), ("hearing", hearing), ("reason", reason)];
        town.map.add("history", None, &row);
    }
    let told = town.sync("map", json!({ "mode": "migrate", "dry_run": true })).await;
    assert_eq!(told.would_push, ["create office.matters"]);
    town.migrate().await;
    assert_eq!(town.pushed(), ["create office Reason,Warrant"]);
    assert_eq!(town.cycle().await, Vec::<String>::new());
    let matter = town.office.rows("matters").remove(0).0;
    assert_eq!(town.office.value("matters", &matter, "Reason"), "mended");
    // It is the base: a later row is a change, and the only one.
    town.map.add(
        "history",
        None,
        &[("warrant", "C-1"), ("hearing", "2026-03-01T00:00:00Z"), ("reason", "burnt")],
    );
    assert_eq!(town.cycle().await, ["update office Reason"]);
    assert_eq!(town.cycle().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_case_that_left_the_map_has_its_matter_marked_and_is_taken_back() {
    let (town, case, matter) = with_case(&[]).await;
    town.map.delete("cases", &case);
    let told = town.sync("map.cases", json!({ "mode": "full" })).await;
    assert!(told.parked.iter().any(|reason| reason.contains("not in map.cases any more")), "{told:?}");
    assert_eq!(town.office.value("matters", &matter, "Mark"), "Left the map");
    town.map.add("cases", None, &[("warrant", "C-1")]);
    town.cycle().await;
    assert_eq!(town.office.value("matters", &matter, "Mark"), "");
    assert_eq!(town.office.rows("matters").len(), 1);
}

#[tokio::test]
async fn a_listing_that_lacks_very_much_is_not_believed_without_a_persons_word() {
    let town = town().await;
    let cases: Vec<_> =
        (0..30).map(|number| town.map.add("cases", None, &[("warrant", &format!("C-{number}"))])).collect();
    town.migrate().await;
    for case in &cases[..20] {
        town.map.delete("cases", case);
    }
    let told = town.sync("map.cases", json!({ "mode": "full" })).await;
    assert!(told.parked.iter().any(|reason| reason.contains("20 of 30")), "{told:?}");
    let marked = |town: &Town| {
        let rows = town.office.rows("matters");
        rows.iter().filter(|(id, _)| !town.office.value("matters", id, "Mark").is_empty()).count()
    };
    assert_eq!(marked(&town), 0);
    town.sync("map.cases", json!({ "mode": "full", "accept_missing": true })).await;
    assert_eq!(marked(&town), 20);
}

#[tokio::test]
async fn a_republished_layer_with_new_ids_is_no_mass_delete() {
    let town = town().await;
    let number = |number: i32| format!("C-{number}");
    let ids: Vec<_> =
        (0..30).map(|it| town.map.add("cases", None, &[("warrant", &number(it)), ("remark", "x")])).collect();
    town.migrate().await;
    town.pushed();
    for id in ids {
        town.map.delete("cases", &id);
    }
    for it in 0..30 {
        town.map.add("cases", None, &[("warrant", &number(it)), ("remark", "x")]);
    }
    town.sync("map", json!({ "mode": "full" })).await;
    assert_eq!(town.pushed(), Vec::<String>::new());
    town.cycle().await;
    assert_eq!(town.office.rows("matters").len(), 30);
    assert_eq!(town.office.rows("notes").len(), 30);
}

#[tokio::test]
async fn photos_of_a_republished_layer_keep_their_papers() {
    for mode in ["full", "incremental"] {
        let town = town().await;
        let number = |number: i32| format!("C-{number}");
        let publish = || {
            for it in 0..15 {
                let case = town.map.add("cases", None, &[("warrant", &number(it)), ("remark", "x")]);
                // Two of each are alike to the letter.
                for (title, content) in [("front", "100"), ("front", "100"), ("back", "200")] {
                    town.map.add("photos", Some(&case), &[("title", title), ("content", content)]);
                }
            }
        };
        publish();
        town.migrate().await;
        let papers: Vec<_> = town.office.rows("papers").into_iter().map(|(id, _)| id).collect();
        assert_eq!(papers.len(), 45);
        for collection in ["photos", "cases"] {
            for (id, _) in town.map.rows(collection) {
                town.map.delete(collection, &id);
            }
        }
        publish();
        town.pushed();
        let told = town.sync("map", json!({ "mode": mode })).await;
        assert_eq!((told.parked, told.conflicts), (Vec::new(), Vec::new()), "{mode}");
        assert_eq!(town.pushed(), ["update office photo"; 45], "{mode}");
        let photos: Vec<_> = town.map.rows("photos").into_iter().map(|(id, _)| id).collect();
        let after = town.office.rows("papers");
        let mut named: Vec<_> =
            after.iter().map(|(id, _)| town.office.value("papers", id, "photo")).collect();
        named.sort_by_key(|id| id.parse::<u64>().unwrap());
        let mut sorted = photos.clone();
        sorted.sort_by_key(|id| id.parse::<u64>().unwrap());
        assert_eq!((after.len(), named), (45, sorted), "{mode}");
        for (id, paper) in after {
            let photo = town.office.value("papers", &id, "photo");
            assert_eq!(town.map.value("photos", &photo, "title"), town.office.value("papers", &id, "title"));
            assert!(paper.parent.is_some());
        }
        // One that is then deleted takes its own paper with it, and no other.
        town.map.delete("photos", &photos[0]);
        town.sync("map.photos", json!({ "mode": "full" })).await;
        assert_eq!(town.pushed(), ["delete office "], "{mode}");
        assert_eq!(town.office.rows("papers").len(), 44, "{mode}");
        assert_eq!(town.cycle().await, Vec::<String>::new(), "{mode}");
    }
}

#[tokio::test]
async fn a_dry_migrate_says_what_it_would_do_of_every_kind_and_writes_nothing() {
    let town = town().await;
    let hearing = town.in_days(30);
    let case = town.map.add("cases", None, &[("warrant", "C-1"), ("remark", "x"), ("hearing", &hearing)]);
    town.map.add("photos", Some(&case), &[("title", "front"), ("content", "100")]);
    let told = town.sync("map", json!({ "mode": "migrate", "dry_run": true })).await;
    let would =
        ["create office.entries", "create office.matters", "create office.notes", "create office.papers"];
    assert_eq!(told.would_push, would);
    assert_eq!(town.pushed(), Vec::<String>::new());
    assert_eq!(town.migrate().await.errors, Vec::<String>::new());
    assert_eq!(town.pushed().len(), 4);
}
