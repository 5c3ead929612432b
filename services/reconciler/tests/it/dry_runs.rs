//! A dry run says what the real one does, and writes nothing.

use databridge_model::Value;
use serde_json::json;

use crate::routes::town;
use crate::towns::Row;

#[tokio::test]
async fn a_dry_full_sync_says_what_is_gone_as_the_real_one_does() {
    let town = town().await;
    let start = town.in_days(20);
    for number in 0..4 {
        let case = town.map.add("cases", None, &[("warrant", &format!("C-{number}")), ("hearing", &start)]);
        town.map.add("photos", Some(&case), &[("title", "front"), ("content", "100")]);
    }
    town.migrate().await;
    town.cycle().await;
    town.pushed();
    let of = |rows: Vec<(String, Row)>, field: &str, warrant: &str| {
        let is_of = |row: &Row| row.fields.get(field) == Some(&Value::text(warrant));
        rows.into_iter().find(|(_, row)| is_of(row)).unwrap().0
    };
    let below = |rows: Vec<(String, Row)>, parent: String| {
        rows.into_iter().find(|(_, row)| row.parent == Some(parent.clone())).unwrap().0
    };
    let case = |warrant: &str| of(town.map.rows("cases"), "warrant", warrant);
    let matter = |warrant: &str| of(town.office.rows("matters"), "Warrant", warrant);
    town.map.delete("photos", &below(town.map.rows("photos"), case("C-1")));
    town.office.delete("entries", &below(town.office.rows("entries"), matter("C-2")));
    town.map.delete("cases", &case("C-0"));
    town.office.delete("matters", &matter("C-3"));
    for system in ["map", "office"] {
        let mut dry = town.sync(system, json!({ "mode": "full", "dry_run": true })).await;
        assert_eq!(town.pushed(), Vec::<String>::new(), "{system}");
        let mut real = town.sync(system, json!({ "mode": "full" })).await;
        let real_pushes = town.pushed();
        dry.parked.sort();
        real.parked.sort();
        assert_eq!(dry.parked, real.parked, "{system}");
        assert_eq!(dry.would_push.len(), real_pushes.len(), "{system}: {dry:?} {real_pushes:?}");
        assert!(!real_pushes.is_empty());
    }
}

#[tokio::test]
async fn a_dry_run_of_a_republished_layer_says_that_papers_get_new_ids_and_none_is_made() {
    let town = town().await;
    let publish = || {
        let case = town.map.add("cases", None, &[("warrant", "C-1")]);
        for title in ["front", "back"] {
            town.map.add("photos", Some(&case), &[("title", title), ("content", "100")]);
        }
    };
    publish();
    town.migrate().await;
    for collection in ["photos", "cases"] {
        for (id, _) in town.map.rows(collection) {
            town.map.delete(collection, &id);
        }
    }
    publish();
    let told = town.sync("map", json!({ "mode": "full", "dry_run": true })).await;
    assert_eq!(told.would_push, ["update office.papers"; 2], "{told:?}");
}

#[tokio::test]
async fn a_dry_run_makes_nothing_below_a_case_that_waits_and_knows_rows_that_came_before_their_parent() {
    let town = town().await;
    for _ in 0..2 {
        let twice = town.map.add("cases", None, &[("warrant", "C-1"), ("remark", "x")]);
        town.map.add("photos", Some(&twice), &[("title", "front"), ("content", "100")]);
    }
    let case = town.map.add("cases", None, &[("warrant", "C-2"), ("remark", "same")]);
    town.map.add("photos", Some(&case), &[("title", "front"), ("content", "100")]);
    let matter = town.office.add("matters", None, &[("Warrant", "C-2")]);
    town.office.add("notes", Some(&matter), &[("detail", "same"), ("date", "2026-01-05")]);
    let told = town.sync("map", json!({ "mode": "migrate", "dry_run": true })).await;
    assert_eq!(told.would_push, ["create office.papers"], "{told:?}");
    assert_eq!(told.parked.iter().filter(|it| it.contains("C-1")).count(), 2, "{told:?}");
    town.migrate().await;
    assert_eq!(town.pushed(), ["create office content,photo,title"]);
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
