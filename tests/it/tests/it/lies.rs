//! What both systems may do while they say something else: a write applied behind a 504 or twice.

use anyhow::Context;
use chrono::TimeDelta;
use chrono_tz::America::Chicago;
use databridge::commands;
use it::Town;
use it::picture::{Picture, court_date};
use it::town::{TownOptions, object_id, text, value, whole_config};
use sandbox::GisOptions;
use sandbox::calls::System;
use sandbox::client::{GisEdit, GisFeature};
use sandbox::faults::{Action, Fault};
use serde_json::json;

type Result = anyhow::Result<()>;

async fn town(litigations: usize) -> anyhow::Result<Town> {
    Town::with(TownOptions {
        gis: GisOptions::city(litigations, 7),
        config: whole_config(),
        ..TownOptions::default()
    })
    .await
}

/// The first write of each kind is struck.
fn writes(action: &Action) -> Vec<Fault> {
    let clio = |method: &str, kind: &str| {
        Fault::new(System::Clio, action.clone()).method(method).path(&format!("/api/v4/{kind}"))
    };
    let mut faults: Vec<_> = ["matters", "notes", "calendar_entries", "documents"]
        .into_iter()
        .flat_map(|kind| [clio("POST", kind), clio("PATCH", kind)])
        .collect();
    faults.push(Fault::new(System::Storage, action.clone()).method("PUT"));
    let edits = |what: &str| Fault::new(System::Gis, action.clone()).path("applyEdits").body(what);
    faults.extend([edits("adds="), edits("updates=")]);
    faults
}

/// Edits on both sides, of every kind.
async fn edit(town: &Town, round: usize) -> Result {
    for row in town.rows().await?.iter().take(3) {
        town.edit_row(row, "Court_Property_Owner", &format!("Owner {round}")).await?;
        town.edit_row(row, "BoardUp_Notes", &format!("Boarded up {round}")).await?;
    }
    let status = if round == 0 { "Dismissed" } else { "Hearing" };
    for matter in town.matters().await?.iter().rev().take(3) {
        town.edit_matter(matter, "Defendent", &format!("Defendant {round}")).await?;
        town.edit_matter(matter, "Court Status", status).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_were_applied_behind_a_504_are_done_once_whatever_their_kind() -> Result {
    let town = town(6).await?;
    let mut ids = Vec::new();
    for fault in writes(&Action::AppliedThen504) {
        ids.push(town.strike(fault).await?);
    }
    let story = town.migrate().await?;
    assert_eq!((story.summary.failed, &story.parked), (0, &Vec::new()));
    for round in 0..2 {
        edit(&town, round).await?;
        let (gis, clio) = town.cycle().await?;
        assert_eq!((gis.summary.failed, clio.summary.failed), (0, 0));
        assert_eq!((&gis.conflicts, &clio.conflicts), (&Vec::new(), &Vec::new()));
    }
    let mut unstruck = Vec::new();
    for id in ids {
        let status = town.struck(id).await?;
        unstruck.extend((status.fired == 0).then_some((status.fault.method, status.fault.path)));
    }
    // Notes are appended, and no court date was moved.
    let never = ["/api/v4/notes", "/api/v4/calendar_entries"];
    assert_eq!(unstruck, never.map(|path| (Some("PATCH".to_owned()), Some(path.to_owned()))));
    town.next_cycle_writes_nothing().await?;
    assert_eq!(Picture::of(&town).await?.disagreements(), Vec::<String>::new());
    assert!(town.dead_letters().await?.is_empty());
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_a_gateway_applied_twice_are_no_conflict_and_no_edit() -> Result {
    let town = town(6).await?;
    town.migrate().await?;
    let mut ids = Vec::new();
    for fault in writes(&Action::ApplyTwice).into_iter().filter(|it| it.method.as_deref() != Some("POST")) {
        ids.push(town.strike(fault).await?);
    }
    for round in 0..2 {
        edit(&town, round).await?;
        let (gis, clio) = town.cycle().await?;
        assert_eq!((gis.summary.failed, clio.summary.failed), (0, 0));
        assert_eq!((&gis.conflicts, &clio.conflicts), (&Vec::new(), &Vec::new()));
    }
    let mut struck = 0;
    for id in ids {
        struck += town.struck(id).await?.fired;
    }
    assert!(struck >= 3, "a matter, an update and a row of history: {struck}");
    town.next_cycle_writes_nothing().await?;
    let picture = Picture::of(&town).await?;
    assert_eq!(picture.disagreements(), Vec::<String>::new());
    let dismissals = |row| picture.history_of(&text(row, "CivilWarrant"), "Dismissed");
    let most = picture.rows.iter().map(dismissals).max();
    assert_eq!(most, Some(1), "{:?}", picture.history);
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_matter_made_twice_by_a_gateway_is_told_of_and_neither_is_touched_until_one_is_gone() -> Result {
    let town = town(3).await?;
    town.strike(Fault::new(System::Clio, Action::ApplyTwice).method("POST").path("/api/v4/matters")).await?;
    town.migrate().await?;
    let story = town.sync("clio").await?;
    let told: Vec<_> = story.parked.iter().filter(|it| it.collection.as_str() == "matters").collect();
    let [one, other] = told.as_slice() else { panic!("{:?}", story.parked) };
    let key = one.key.clone().context("no key")?;
    assert_eq!(other.key.as_ref(), Some(&key));
    let row = town.row(key.as_str()).await?;
    town.edit_row(&row, "Court_Property_Owner", "New Owner").await?;
    town.cycle().await?;
    let doubles: Vec<_> =
        town.matters().await?.into_iter().filter(|it| value(it, "Civil Warrant") == key.as_str()).collect();
    assert!(doubles.len() == 2 && doubles.iter().all(|it| value(it, "Property Owner") != "New Owner"));
    town.admin.delete_matter(doubles[0].id).await?;
    town.full_sync("clio").await?;
    town.full_sync("gis").await?;
    assert_eq!(value(&town.matter(key.as_str()).await?, "Property Owner"), "New Owner");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_made_twice_by_a_gateway_is_told_of_and_does_not_undo_another_court_date() -> Result {
    let town = town(6).await?;
    let twice = Fault::new(System::Clio, Action::ApplyTwice).method("POST").path("/api/v4/calendar_entries");
    town.strike(twice.forever()).await?;
    town.migrate().await?;
    let picture = Picture::of(&town).await?;
    let is_to_come = |row: &&GisFeature| court_date(row).is_some_and(|at| at > picture.now);
    let row = picture.rows.iter().find(is_to_come).context("no date is to come")?;
    let warrant = text(row, "CivilWarrant");
    let later = court_date(row).context("no date")? + TimeDelta::days(7);
    let edit = GisEdit::field("NextCourtDate", later.timestamp_millis());
    town.admin.edit_feature(town.layer(), object_id(row)?, &edit).await?;
    let mut told = Vec::new();
    for _ in 0..2 {
        let (_, clio) = town.cycle().await?;
        told.extend(clio.parked);
        assert_eq!(court_date(&town.row(&warrant).await?), Some(later), "the double has set it back");
    }
    let of_entries = told.iter().filter(|it| it.collection.as_str() == "calendar_entries");
    assert!(of_entries.clone().count() > 0, "{told:?}");
    assert!(of_entries.clone().all(|it| it.reason.contains("more than once")), "{told:?}");
    for system in ["gis", "clio"] {
        let story = town.full_sync(system).await?;
        assert_eq!((story.summary.pushes, story.conflicts), (0, Vec::new()));
    }
    let day = later.with_timezone(&Chicago).date_naive().to_string();
    assert_eq!(value(&town.matter(&warrant).await?, "Next Court Date"), day);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_in_a_circle_closes_the_run_with_a_reason_and_moves_no_cursor() -> Result {
    let town = town(3).await?;
    town.migrate().await?;
    let matter = town.matters().await?.remove(0);
    town.edit_matter(&matter, "Property Owner", "New Owner").await?;
    let circle = Fault::new(System::Clio, Action::NextLeadsBack).method("GET").path("/matters.json?");
    town.strike(circle.forever()).await?;
    let story = town.sync("clio").await?;
    let circles: Vec<_> = story.summary.errors.iter().filter(|it| it.contains("circle")).collect();
    assert_eq!(circles.len(), 1, "{:?}", story.summary.errors);
    let calls = town.admin.calls().await?.clio.reads;
    assert!(calls < 40, "{calls} calls");
    town.admin.clear_faults().await?;
    town.full_sync("clio").await?;
    let row = town.row(&value(&matter, "Civil Warrant")).await?;
    assert_eq!(text(&row, "Court_Property_Owner"), "New Owner");
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_the_map_that_repeats_closes_the_run_with_a_reason_and_the_next_run_catches_up() -> Result {
    let town = Town::with(TownOptions {
        gis: GisOptions { max_record_count: 2, ..GisOptions::city(5, 7) },
        ..TownOptions::default()
    })
    .await?;
    town.migrate().await?;
    for row in town.rows().await? {
        town.edit_row(&row, "Court_Property_Owner", "New Owner").await?;
    }
    let again = Fault::new(System::Gis, Action::SameAgain).path("/2/query").body("orderByFields");
    town.strike(again.forever()).await?;
    let story = town.sync("gis").await?;
    let [error] = story.summary.errors.as_slice() else { panic!("{:?}", story.summary.errors) };
    assert!(error.contains("do not come in the order"), "{error}");
    town.admin.clear_faults().await?;
    let story = town.sync("gis").await?;
    assert!(story.summary.errors.is_empty(), "{:?}", story.summary.errors);
    let owners: Vec<_> = town.matters().await?.iter().map(|it| value(it, "Property Owner")).collect();
    assert_eq!(owners, ["New Owner"; 5]);
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_sign_in_is_taken_back_between_its_steps_ends_with_one_whole_document() -> Result {
    let made = Fault::new(System::Clio, Action::HoldAfter).method("POST").path("/api/v4/documents.json");
    let put = Fault::new(System::Storage, Action::HoldAfter).method("PUT");
    for step in [made, put] {
        let town = town(3).await?;
        let held = town.hold(step).await?;
        let meddle = async || {
            town.admin.revoke_tokens().await?;
            held.release().await?;
            // Clio refuses the next call, and the auth-service learns that the access was taken back.
            it::watch::until("the refusal to be known", async || {
                let status = "auth.status.clio";
                let status = commands::ask(&town.broker, status, &json!({}), "auth-service").await?;
                Ok((status["connected"] == false).then_some(()))
            })
            .await?;
            town.connect().await
        };
        let story = held.during(town.migrate(), meddle).await?;
        assert_eq!((story.summary.failed, &story.parked), (0, &Vec::new()), "{story:?}");
        let picture = Picture::of(&town).await?;
        assert_eq!(picture.documents.len(), picture.attachments.len());
        assert_eq!(picture.disagreements(), Vec::<String>::new());
        assert!(picture.documents.iter().all(|it| it.versions.len() == 1), "{:?}", picture.documents);
        town.assert_same().await?;
    }
    Ok(())
}
