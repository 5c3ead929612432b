//! Every kind of route over a real nats-server, between two systems in memory.

use chrono::TimeDelta;
use serde_json::json;

use crate::routes::{town, with_case};

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
