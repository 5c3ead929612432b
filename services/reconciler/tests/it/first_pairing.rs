//! Both sides hold records already, or have new ids for them.

use serde_json::json;

use crate::routes::{SETTINGS, town, town_with, with_case};
use crate::towns::Town;

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
async fn what_a_first_pairing_fills_in_is_no_event() {
    let town = town_with(&[("routes/settings.toml", SETTINGS)]).await;
    let mut matters = Vec::new();
    for number in 0..12 {
        let warrant = format!("C-{number}");
        let hearing = town.in_days(20 + number);
        town.map.add("cases", None, &[("warrant", &warrant), ("hearing", &hearing), ("status", "Dismissed")]);
        matters.push(town.office.add("matters", None, &[("Warrant", &warrant)]));
    }
    town.migrate().await;
    for _ in 0..3 {
        town.cycle().await;
    }
    let day = town.local_day(&town.in_days(20));
    assert_eq!(town.office.value("matters", &matters[0], "Day"), day);
    assert_eq!(town.map.rows("history").len(), 0);
    // The next setting is one.
    let (entry, _) = town.office.rows("entries").remove(0);
    town.office.edit("entries", &entry, &[("start", &town.in_days(60))]);
    town.cycle().await;
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
async fn at_a_first_pairing_nothing_is_written_to_one_of_two_matters_of_a_key() {
    let town = town().await;
    town.map.add("cases", None, &[("warrant", "C-1"), ("status", "Open")]);
    town.map.add("cases", None, &[("warrant", "C-2"), ("status", "Open")]);
    for warrant in ["C-1", "C-1", "C-2"] {
        town.office.add("matters", None, &[("Warrant", warrant)]);
    }
    for dry in [true, false] {
        let told = town.sync("map", json!({ "mode": "migrate", "dry_run": dry })).await;
        assert_eq!(told.parked.iter().filter(|it| it.contains("ids 1, 2")).count(), 2, "{dry}: {told:?}");
        let would: &[&str] = if dry { &["update office.matters"] } else { &[] };
        assert_eq!(told.would_push, would);
    }
    assert_eq!(town.pushed(), ["update office Status"]);
    assert_eq!(town.office.value("matters", "3", "Status"), "Open");
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
