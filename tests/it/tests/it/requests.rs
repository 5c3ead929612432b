//! What a sync request can ask for, whoever publishes it.

use anyhow::Context;
use databridge_broker::names;
use databridge_model::{Mode, Op, RunId, SyncRequest};
use it::Town;
use it::town::{object_id, text, value};
use it::watch::until;
use sandbox::calls::System;
use sandbox::faults::{Action, Fault};
use serde_json::{Value, json};

use crate::bad_input::{litigation, matter_by_hand};

type Result = anyhow::Result<()>;

/// The place of a cursor, without the request that moved it last.
async fn cursors(town: &Town) -> anyhow::Result<Vec<(String, Value)>> {
    let messages = town.messages(names::PULL).await?;
    let cursors = messages.iter().filter(|message| message.subject.starts_with("cursor."));
    cursors.map(|message| Ok((message.subject.clone(), serde_json::from_slice(&message.body)?))).collect()
}

/// Everything that a request without effect must leave as it is.
async fn links(town: &Town) -> anyhow::Result<Vec<(String, u64)>> {
    let messages = town.messages("KV_links").await?;
    Ok(messages.into_iter().map(|message| (message.subject, message.sequence)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_request_pulls_what_changed_and_a_full_one_everything() -> Result {
    let town = Town::of(5).await?;
    town.migrate().await?;
    town.let_the_overlap_pass().await?;
    assert_eq!(town.sync("gis").await?.summary.records, 0);
    let row = town.rows().await?.remove(2);
    town.edit_row(&row, "Court_Property_Owner", "New Owner").await?;
    let story = town.sync("gis").await?;
    assert_eq!((story.summary.records, story.summary.written), (1, 1));
    let story = town.full_sync("gis").await?;
    assert_eq!((story.summary.records, story.summary.pushes), (5, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn since_pulls_what_changed_since_then_and_moves_no_cursor() -> Result {
    let town = Town::of(5).await?;
    town.migrate().await?;
    town.let_the_overlap_pass().await?;
    let before = town.admin.now().await?;
    let rows = town.rows().await?;
    town.edit_row(&rows[0], "Court_Property_Owner", "New Owner").await?;
    town.sync("gis").await?;
    town.let_the_overlap_pass().await?;
    town.cycle().await?;
    let cursors_before = cursors(&town).await?;
    let since = |since| SyncRequest { since: Some(since), ..SyncRequest::default() };
    assert_eq!(town.request("gis", since(before)).await?.summary.records, 1);
    assert_eq!(town.request("clio", since(before)).await?.summary.records, 1);
    let now = town.admin.now().await?;
    assert_eq!(town.request("gis", since(now)).await?.summary.records, 0);
    let long_ago = before - chrono::TimeDelta::days(4000);
    assert_eq!(town.request("gis", since(long_ago)).await?.summary.records, 5);
    assert_eq!(cursors(&town).await?, cursors_before);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn max_stops_after_so_many_and_the_next_goes_on_there() -> Result {
    let town = Town::of(5).await?;
    let most = |count| SyncRequest { max_records: Some(count), ..SyncRequest::default() };
    let mut seen = Vec::new();
    for wanted in [2, 2, 1] {
        let story = town.request("gis", most(2)).await?;
        assert_eq!((story.summary.records, story.summary.written), (wanted, wanted));
        seen.push(town.matters().await?.len());
    }
    assert_eq!(seen, [2, 4, 5]);
    assert_eq!(town.matters().await?.len(), 5);
    // So in Clio, whose pages know no bounds of ours.
    for wanted in [2, 2, 1] {
        assert_eq!(town.request("clio", most(2)).await?.summary.records, wanted);
    }
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn since_begins_at_its_time_where_a_bounded_listing_stopped_too() -> Result {
    let town = Town::of(5).await?;
    let most = SyncRequest { max_records: Some(2), ..SyncRequest::default() };
    assert_eq!(town.request("gis", most).await?.summary.records, 2);
    let before = town.admin.now().await?;
    town.let_the_overlap_pass().await?;
    let first = town.rows().await?.remove(0);
    town.edit_row(&first, "Court_Property_Owner", "New Owner").await?;
    let since = SyncRequest { since: Some(before), ..SyncRequest::default() };
    let story = town.request("gis", since).await?;
    assert_eq!((story.summary.records, story.summary.written), (1, 1), "the row edited since, and no other");
    assert_eq!(value(&town.matter(&text(&first, "CivilWarrant")).await?, "Property Owner"), "New Owner");
    // The bounded listing goes on where it stopped all the same.
    assert_eq!(town.sync("gis").await?.summary.records, 3);
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_no_record_at_all_is_refused() -> Result {
    let town = Town::of(1).await?;
    let story = town.request("gis", SyncRequest { max_records: Some(0), ..SyncRequest::default() }).await?;
    assert_eq!(story.summary.records, 0);
    let [error] = story.summary.errors.as_slice() else { panic!("one: {:?}", story.summary.errors) };
    assert!(error.contains("`max_records` is 0"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_pull_just_these_records_and_move_no_cursor() -> Result {
    let town = Town::of(4).await?;
    let rows = town.rows().await?;
    let ids = vec![object_id(&rows[1])?.to_string(), object_id(&rows[3])?.to_string()];
    let story = town.request("gis", SyncRequest { ids: ids.clone(), ..SyncRequest::default() }).await?;
    assert_eq!((story.summary.records, story.summary.written), (2, 2));
    let mut warrants: Vec<_> =
        town.matters().await?.iter().map(|matter| value(matter, "Civil Warrant")).collect();
    warrants.sort();
    let mut wanted = [text(&rows[1], "CivilWarrant"), text(&rows[3], "CivilWarrant")];
    wanted.sort();
    assert_eq!(warrants, wanted);
    assert_eq!(cursors(&town).await?, []);
    // An id that names nothing does no harm.
    let nothing = SyncRequest { ids: vec!["999999".into(), "roof".into()], ..SyncRequest::default() };
    let story = town.request("gis", nothing).await?;
    assert_eq!((story.summary.pushes, story.summary.errors.len()), (0, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_it_would_do_and_does_nothing() -> Result {
    let town = Town::of(3).await?;
    let dry = SyncRequest { dry_run: true, ..SyncRequest::default() };
    let story = town.request("gis", SyncRequest { mode: Mode::Migrate, ..dry.clone() }).await?;
    assert_eq!(story.would_push.len(), 3);
    assert!(story.would_push.iter().all(|push| push.op == Op::Create && push.system.as_str() == "clio"));
    assert_eq!(
        (town.matters().await?.len(), links(&town).await?, cursors(&town).await?),
        (0, vec![], vec![])
    );

    town.migrate().await?;
    let row = town.rows().await?.remove(0);
    let warrant = text(&row, "CivilWarrant");
    let owner = value(&town.matter(&warrant).await?, "Property Owner");
    town.edit_row(&row, "Court_Property_Owner", "New Owner").await?;
    town.admin.add_features(town.layer(), &[litigation("E-1", "1 A St")]).await?;
    let (links_before, cursors_before) = (links(&town).await?, cursors(&town).await?);
    town.admin.reset_calls().await?;
    let story = town.request("gis", dry).await?;
    let mut ops: Vec<_> = story
        .would_push
        .iter()
        .map(|push| (push.key.as_ref().map(ToString::to_string), push.op == Op::Create))
        .collect();
    ops.sort();
    assert_eq!(ops, [(Some("E-1".to_owned()), true), (Some(warrant.clone()), false)]);
    let update = story.would_push.iter().find(|push| push.op == Op::Update).unwrap();
    assert_eq!(update.set["Property Owner"].to_plain(), "New Owner");
    assert_eq!(update.expect["Property Owner"].to_plain(), owner);
    assert_eq!(town.writes().await?, (0, 0));
    assert_eq!(links(&town).await?, links_before);
    assert_eq!(cursors(&town).await?, cursors_before);
    assert!(town.messages(names::PUSH).await?.is_empty());
    // The real run does just that.
    let story = town.sync("gis").await?;
    assert_eq!(story.summary.written, 2);
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_of_everything_pairs_what_is_there_before_it_says_what_it_would_make() -> Result {
    let town = Town::of(0).await?;
    let rows = [litigation("E-1", "1 A St"), litigation("E-2", "2 B St"), litigation("E-3", "3 C St")];
    town.admin.add_features(town.layer(), &rows).await?;
    town.admin.add_matter(&matter_by_hand("E-1")).await?;
    for _ in 0..2 {
        // Two of one key: nothing would be made for them, and nothing is decided of them by a dry run.
        town.admin.add_matter(&matter_by_hand("E-2")).await?;
    }
    town.admin.reset_calls().await?;
    for mode in [Mode::Migrate, Mode::Full] {
        let story =
            town.request("gis", SyncRequest { mode, dry_run: true, ..SyncRequest::default() }).await?;
        let mut creates: Vec<_> = story.would_push.iter().filter(|push| push.op == Op::Create).collect();
        creates.sort_by_key(|push| push.key.clone());
        let creates: Vec<_> = creates.iter().filter_map(|push| push.key.as_ref()?.as_str().into()).collect();
        assert_eq!(creates, ["E-3"], "{mode:?}");
        assert!(story.would_push.iter().any(|push| {
            push.op == Op::Update && push.key.as_ref().is_some_and(|key| key.as_str() == "E-1")
        }));
        assert_eq!(town.writes().await?, (0, 0));
        assert_eq!((links(&town).await?, cursors(&town).await?), (vec![], vec![]));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_within_a_run_is_a_part_of_it_and_opens_none() -> Result {
    let town = Town::of(3).await?;
    town.migrate().await?;
    town.let_the_overlap_pass().await?;
    town.cycle().await?;
    let page = town.hold(Fault::new(System::Gis, Action::Hold).path("/2/query")).await?;
    let mut part = 0;
    let meddle = async || {
        let open = town.messages("KV_runs").await?;
        let runs = open.iter().filter_map(|run| run.subject.rsplit('.').next()?.parse::<u64>().ok());
        let run = runs.max().context("no run is open")?;
        part = town.publish("sync.request.clio", json!({"mode": "full", "within": run}).to_string()).await?;
        until("the part to be listed", async || {
            let said = town.messages(names::RUN).await?;
            let mut ends = said.iter().filter(|event| event.subject == format!("run.{run}.listed"));
            Ok(ends.any(|event| event.text().contains("\"clio\"")).then_some(()))
        })
        .await
    };
    let story = page.during(town.full_sync("gis"), meddle).await?;
    assert_eq!(story.summary.records, 6, "three rows and three matters");
    let said = town.messages(names::RUN).await?;
    assert!(
        !said.iter().any(|event| event.subject.starts_with(&format!("run.{part}."))),
        "no run of its own"
    );
    // Within a run that has ended it does nothing, and is not left behind.
    let run = story.run.map(|run| run.0).unwrap_or_default();
    town.publish("sync.request.clio", json!({"within": run}).to_string()).await?;
    town.all_requests_taken_out().await?;
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_litigation_in_an_incremental_run_gets_one_look_up_and_one_matter() -> Result {
    let town = Town::of(2).await?;
    town.migrate().await?;
    town.let_the_overlap_pass().await?;
    town.cycle().await?;
    town.admin.add_features(town.layer(), &[litigation("E-1", "1 A St")]).await?;
    town.admin.reset_calls().await?;
    let story = town.sync("gis").await?;
    assert_eq!(story.summary.written, 1);
    let calls = town.admin.calls().await?;
    assert_eq!((calls.clio.reads, calls.clio.writes), (1, 1), "{:?}", calls.clio.by_path);
    assert_eq!(town.matters().await?.len(), 3);
    town.next_cycle_writes_nothing().await?;
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_matter_that_exists_already_is_paired_and_not_doubled() -> Result {
    for migrate in [true, false] {
        let town = Town::of(0).await?;
        town.admin
            .add_features(town.layer(), &[litigation("E-1", "1 A St"), litigation("E-2", "2 B St")])
            .await?;
        let mut by_hand = matter_by_hand("E-1");
        by_hand.custom_fields.insert("Property Owner".to_owned(), Some("Clio's Owner".to_owned()));
        by_hand.custom_fields.insert("Defendent".to_owned(), Some("Only in Clio".to_owned()));
        let id = town.admin.add_matter(&by_hand).await?.id;
        let story = if migrate { town.migrate().await? } else { town.sync("gis").await? };
        assert_eq!(town.matters().await?.len(), 2);
        let (row, matter) = (town.row("E-1").await?, town.matter("E-1").await?);
        assert_eq!((matter.id, matter.description.as_str()), (id, "opened by hand"));
        // One empty is filled, both ways; both differ is a conflict, which the owner wins.
        assert_eq!(value(&matter, "Location"), "1 A St");
        assert_eq!(text(&row, "AntiNeglect_Plans_App_By"), "Only in Clio");
        assert_eq!(value(&matter, "Property Owner"), "Somebody");
        let [conflict] = story.conflicts.as_slice() else { panic!("one: {:?}", story.conflicts) };
        assert_eq!(conflict.loser.to_plain(), "Clio's Owner");
        town.next_cycle_writes_nothing().await?;
        town.assert_same().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_matter_without_a_litigation_is_left_alone() -> Result {
    let town = Town::of(1).await?;
    town.admin.add_matter(&matter_by_hand("E-1")).await?;
    town.migrate().await?;
    town.cycle().await?;
    assert_eq!((town.rows().await?.len(), town.matters().await?.len()), (1, 2));
    // Once somebody enters its litigation, they are a pair.
    town.admin.add_features(town.layer(), &[litigation("E-1", "1 A St")]).await?;
    town.sync("gis").await?;
    assert_eq!(town.matters().await?.len(), 2);
    assert_eq!(value(&town.matter("E-1").await?, "Location"), "1 A St");
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answered_request_is_taken_out_and_one_published_twice_runs_twice() -> Result {
    let town = Town::of(2).await?;
    town.migrate().await?;
    let runs = [town.publish("sync.request.gis", "").await?, town.publish("sync.request.gis", " {} ").await?];
    for run in runs {
        town.ended(RunId(run)).await?;
    }
    town.all_requests_taken_out().await
}
