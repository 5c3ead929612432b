//! Several routes look at one record, or could make the same one.

use serde_json::json;

use crate::routes::{SETTINGS, town, town_with, with_case};
use crate::towns::Town;

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
    let hearing = town.in_days(80);
    town.map.edit("cases", &case, &[("hearing", &hearing)]);
    town.cycle().await;
    town.cycle().await;
    let starts: Vec<_> =
        town.office.rows("entries").iter().map(|(id, _)| town.office.value("entries", id, "start")).collect();
    assert_eq!((starts.len(), starts.iter().filter(|start| **start == hearing).count()), (21, 1));
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
async fn a_row_of_a_setting_has_the_moment_that_both_sides_agree_on() {
    let town = town_with(&[("routes/settings.toml", SETTINGS)]).await;
    town.map.add("cases", None, &[("warrant", "C-1")]);
    town.migrate().await;
    let matter = town.office.rows("matters").remove(0).0;
    let entry = town.office.add("entries", Some(&matter), &[("start", &town.in_days(20))]);
    town.cycle().await;
    town.cycle().await;
    let hearings = |town: &Town| -> Vec<String> {
        let rows = town.map.rows("history");
        rows.iter().map(|(id, _)| town.map.value("history", id, "hearing")).collect()
    };
    assert_eq!(hearings(&town), [town.office.value("entries", &entry, "start")]);
    // Only the office is looked at, so the map shows us the new date by our own write alone.
    town.office.edit("entries", &entry, &[("start", &town.in_days(30))]);
    town.sync("office", json!({})).await;
    town.sync("office", json!({})).await;
    assert_eq!(hearings(&town).last(), Some(&town.office.value("entries", &entry, "start")));
    // A day typed into the matter has its moment only when the entry and the map have followed.
    let day = town.local_day(&town.in_days(44));
    town.office.edit("matters", &matter, &[("Day", &day)]);
    for _ in 0..3 {
        town.sync("office", json!({})).await;
    }
    let moved = town.office.value("entries", &entry, "start");
    assert_eq!((hearings(&town).len(), hearings(&town).last()), (3, Some(&moved)));
    town.cycle().await;
    town.pushed();
    assert_eq!(town.cycle().await, Vec::<String>::new());
    assert_eq!(hearings(&town).len(), 3);
}

#[tokio::test]
async fn routes_that_write_to_one_record_wait_for_each_other_and_none_comes_back_stale() {
    let town = town().await;
    let start = town.in_days(20);
    for number in 0..10 {
        let warrant = format!("C-{number}");
        town.map.add("cases", None, &[("warrant", &warrant), ("status", "Open"), ("hearing", &start)]);
        let row = [("warrant", warrant.as_str()), ("hearing", "2026-01-01T00:00:00Z"), ("reason", "sold")];
        town.map.add("history", None, &row);
        let matter = town.office.add("matters", None, &[("Warrant", &warrant)]);
        town.office.add("entries", Some(&matter), &[("start", &start)]);
    }
    town.migrate().await;
    let pushed = town.pushed();
    assert_eq!(pushed.iter().filter(|push| *push == "update office Reason").count(), 10);
    assert_eq!(pushed.iter().filter(|push| *push == "update office Day,Status").count(), 10);
    assert_eq!(pushed.len(), 20, "{pushed:?}");
    assert_eq!(town.cycle().await, Vec::<String>::new());
}
