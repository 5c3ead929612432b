//! What was read before our own write, or before a person's, changes nothing that came after it.

use std::time::Duration;

use anyhow::Context;
use databridge_broker::async_nats::datetime::{add_std_duration, now};
use databridge_broker::async_nats::jetstream::consumer::PullConsumer;
use databridge_broker::async_nats::jetstream::stream::RawMessageErrorKind;
use databridge_broker::names;
use databridge_model::SyncRequest;
use it::town::{text, value};
use it::watch::until;
use it::{Town, TownOptions};
use sandbox::GisOptions;
use sandbox::calls::System;
use sandbox::client::GisEdit;
use sandbox::clio::hand::MatterEdit;
use sandbox::faults::{Action, Fault};

type Result = anyhow::Result<()>;

/// A town whose Clio tells its limit, as the real one does: only then may calls go side by side, and a page be held
/// while a push passes it.
async fn busy_town() -> anyhow::Result<Town> {
    let town = Town::with(TownOptions {
        gis: GisOptions::city(3, 7),
        rate_limit: Some(6_000),
        ..TownOptions::default()
    })
    .await?;
    town.migrate().await?;
    town.admin.reset_calls().await?;
    Ok(town)
}

/// A page of Clio's matters, read and not yet given.
fn page_of_matters() -> Fault {
    Fault::new(System::Clio, Action::HoldAfter).method("GET").path("matters.json?")
}

/// The first page of a listing of the layer, not the query of rows that are about to be written.
fn listing_of_the_layer(action: Action) -> Fault {
    Fault::new(System::Gis, action).method("POST").path("/2/query").body("orderByFields")
}

/// The query of the rows that are about to be written.
fn query_before_the_write(action: Action) -> Fault {
    Fault::new(System::Gis, action).method("POST").path("/2/query").body("objectIds")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_clio_read_before_our_write_and_decided_after_it_changes_nothing() -> Result {
    let town = busy_town().await?;
    let row = town.rows().await?.remove(1);
    let warrant = text(&row, "CivilWarrant");
    let page = town.hold(page_of_matters()).await?;
    let meddle = async || {
        town.edit_row(&row, "Court_Property_Owner", "Ida B. Wells").await?;
        town.sync("gis").await?;
        anyhow::ensure!(value(&town.matter(&warrant).await?, "Property Owner") == "Ida B. Wells");
        Ok(())
    };
    let story = page.during(town.full_sync("clio"), meddle).await?;
    assert_eq!(story.conflicts, []);
    assert_eq!(text(&town.row(&warrant).await?, "Court_Property_Owner"), "Ida B. Wells");
    assert_eq!(value(&town.matter(&warrant).await?, "Property Owner"), "Ida B. Wells");
    assert_eq!(town.writes().await?, (1, 0), "our one write, and nothing because of the old page");
    town.cycle().await?;
    assert_eq!(town.writes().await?, (1, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_the_map_read_before_our_write_and_decided_after_it_changes_nothing() -> Result {
    let town = busy_town().await?;
    let matter = town.matters().await?.remove(1);
    let warrant = value(&matter, "Civil Warrant");
    let page = town.hold(listing_of_the_layer(Action::HoldAfter)).await?;
    let meddle = async || {
        town.edit_matter(&matter, "Property Owner", "Ida B. Wells").await?;
        town.sync("clio").await?;
        anyhow::ensure!(text(&town.row(&warrant).await?, "Court_Property_Owner") == "Ida B. Wells");
        Ok(())
    };
    let story = page.during(town.full_sync("gis"), meddle).await?;
    assert_eq!(story.conflicts, []);
    assert_eq!(value(&town.matter(&warrant).await?, "Property Owner"), "Ida B. Wells");
    assert_eq!(text(&town.row(&warrant).await?, "Court_Property_Owner"), "Ida B. Wells");
    assert_eq!(town.writes().await?, (0, 1), "our one write, and nothing because of the old page");
    town.cycle().await?;
    assert_eq!(town.writes().await?, (0, 1));
    Ok(())
}

/// Gives a town some history: edits on both sides, of one field more than once.
async fn live_through_edits(town: &Town) -> Result {
    town.migrate().await?;
    let (row, matter) = (town.rows().await?.remove(0), town.matters().await?.remove(1));
    for owner in ["First Owner", "Second Owner"] {
        town.edit_row(&row, "Court_Property_Owner", owner).await?;
        town.sync("gis").await?;
    }
    for status in ["Hearing", "Dismissed"] {
        town.edit_matter(&matter, "Court Status", status).await?;
        town.sync("clio").await?;
    }
    town.cycle().await?;
    town.assert_same().await?;
    town.admin.reset_calls().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pulls_delivered_again_by_a_new_consumer_change_nothing() -> Result {
    let mut town = Town::of_processes(3).await?;
    live_through_edits(&town).await?;
    let links = links(&town).await?;
    town.processes.as_mut().unwrap().kill("reconciler").await?;
    town.broker.jetstream().get_stream(names::PULL).await?.delete_consumer("reconciler").await?;
    town.processes.as_mut().unwrap().start_one("reconciler", None)?;
    town.all_pulls_decided().await?;
    town.cycle().await?;
    assert_eq!(town.writes().await?, (0, 0));
    assert_eq!(self::links(&town).await?, links);
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn pulls_published_again_byte_for_byte_change_nothing() -> Result {
    let town = Town::of(3).await?;
    live_through_edits(&town).await?;
    let links = links(&town).await?;
    let pulls = town.messages(names::PULL).await?;
    let pulls: Vec<_> = pulls.into_iter().filter(|pull| pull.subject.starts_with("pull.")).collect();
    assert!(pulls.len() >= 12, "{}", pulls.len());
    for pull in pulls {
        town.publish(&pull.subject, pull.body).await?;
    }
    town.all_pulls_decided().await?;
    town.cycle().await?;
    assert_eq!(town.writes().await?, (0, 0));
    assert_eq!(self::links(&town).await?, links);
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_a_killed_broker_brings_back_is_taken_out_again() -> Result {
    let mut town = Town::of_processes(2).await?;
    let run = town.migrate().await?.run;
    // As it comes back: both have answered it long ago, so neither is given it.
    let requests = town.broker.jetstream().get_stream_no_info(names::SYNC).await?;
    let paused_until = add_std_duration(now(), Duration::from_secs(600)).map_err(anyhow::Error::msg)?;
    for consumer in ["reconciler", "gis-bridge"] {
        requests.pause_consumer(consumer, paused_until).await?;
    }
    let back = SyncRequest { within: run, ..SyncRequest::default() };
    let sequence = town.publish("sync.request.gis", serde_json::to_vec(&back)?).await?;
    town.nats.kill9()?;
    town.nats.restart().await?;
    until("it to be taken out", async || {
        let found = requests.get_raw_message(sequence).await;
        Ok(found.is_err_and(|error| error.kind() == RawMessageErrorKind::NoMessageFound).then_some(()))
    })
    .await?;
    for consumer in ["reconciler", "gis-bridge"] {
        let consumer: PullConsumer = requests.get_consumer(consumer).await.map_err(anyhow::Error::msg)?;
        assert!(consumer.cached_info().paused, "it was not given to anybody");
    }
    Ok(())
}

/// What both sides of every link are taken to have agreed on.
async fn links(town: &Town) -> anyhow::Result<Vec<serde_json::Value>> {
    let mut bases = Vec::new();
    for row in town.rows().await? {
        let link = town.link(&text(&row, "CivilWarrant")).await?;
        let parts = ["/left/base", "/right/base", "/left/drift", "/right/drift", "/counter", "/conflicts"]
            .map(|part| link.pointer(part).cloned().unwrap_or_default());
        bases.push(serde_json::Value::from_iter(parts));
    }
    Ok(bases)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_on_the_map_between_our_pull_and_our_write_is_not_overwritten() -> Result {
    let town = Town::of(3).await?;
    town.migrate().await?;
    let matter = town.matters().await?.remove(1);
    let warrant = value(&matter, "Civil Warrant");
    let row = town.row(&warrant).await?;
    town.edit_matter(&matter, "Property Owner", "Clio's Owner").await?;
    let query = town.hold(query_before_the_write(Action::Hold)).await?;
    let meddle = async || town.edit_row(&row, "Court_Property_Owner", "The Map's Owner").await;
    let story = query.during(town.sync("clio"), meddle).await?;
    // The map owns this field: its edit goes to Clio, and Clio's is kept.
    assert_eq!(text(&town.row(&warrant).await?, "Court_Property_Owner"), "The Map's Owner");
    assert_eq!(value(&town.matter(&warrant).await?, "Property Owner"), "The Map's Owner");
    assert_eq!(story.conflicts.len(), 1);
    assert_eq!(story.conflicts[0].loser.to_plain(), "Clio's Owner");
    assert_eq!(story.summary.failed, 0);
    town.cycle().await?;
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_on_the_map_of_another_field_stays_beside_our_write() -> Result {
    let town = Town::of(3).await?;
    town.migrate().await?;
    let matter = town.matters().await?.remove(1);
    let warrant = value(&matter, "Civil Warrant");
    let row = town.row(&warrant).await?;
    town.edit_matter(&matter, "Property Owner", "Clio's Owner").await?;
    let query = town.hold(query_before_the_write(Action::Hold)).await?;
    let meddle = async || town.edit_row(&row, "PARCEL_ID", "099 001").await;
    let story = query.during(town.sync("clio"), meddle).await?;
    assert_eq!(story.conflicts, []);
    town.cycle().await?;
    let (row, matter) = (town.row(&warrant).await?, town.matter(&warrant).await?);
    assert_eq!(text(&row, "Court_Property_Owner"), "Clio's Owner");
    assert_eq!(text(&row, "PARCEL_ID"), "099 001");
    assert_eq!(value(&matter, "Parcel ID"), "099 001");
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_in_clio_between_our_pull_and_our_write_is_not_overwritten_unseen() -> Result {
    let town = Town::of(3).await?;
    town.migrate().await?;
    let row = town.rows().await?.remove(1);
    let warrant = text(&row, "CivilWarrant");
    let matter = town.matter(&warrant).await?;
    let edit = GisEdit::field("Court_Property_Owner", "The Map's Owner").and_field("Court_Status", "Hearing");
    town.admin.edit_feature(town.layer(), it::town::object_id(&row)?, &edit).await?;
    town.admin.record_traffic(true).await?;
    let patch = town.hold(Fault::new(System::Clio, Action::Hold).method("PATCH")).await?;
    let meddle = async || {
        let edit = MatterEdit::field("Property Owner", Some("Clio's Owner"))
            .and_field("Court Status", Some("Dismissed"))
            .and_field("Parcel ID", Some("099 001"));
        town.admin.edit_matter(matter.id, &edit).await?;
        Ok(())
    };
    let story = patch.during(town.sync("gis"), meddle).await?;
    let traffic = town.admin.traffic().await?;
    assert!(traffic.iter().any(|exchange| exchange.method == "PATCH" && exchange.status == 412));
    // Each owner wins its own field, each loser is kept, and what only Clio changed goes to the map.
    let (row, matter) = (town.row(&warrant).await?, town.matter(&warrant).await?);
    assert_eq!(
        (text(&row, "Court_Property_Owner"), value(&matter, "Property Owner")),
        ("The Map's Owner".to_owned(), "The Map's Owner".to_owned())
    );
    assert_eq!(
        (text(&row, "Court_Status"), value(&matter, "Court Status")),
        ("Dismissed".to_owned(), "Dismissed".to_owned())
    );
    assert_eq!(
        (text(&row, "PARCEL_ID"), value(&matter, "Parcel ID")),
        ("099 001".to_owned(), "099 001".to_owned())
    );
    let mut losers: Vec<_> = story.conflicts.iter().map(|conflict| conflict.loser.to_plain()).collect();
    losers.sort();
    assert_eq!(losers, ["Clio's Owner", "Hearing"]);
    town.cycle().await?;
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_page_of_clio_does_not_undo_a_persons_edit_that_came_after_our_write() -> Result {
    let town = busy_town().await?;
    let row = town.rows().await?.remove(1);
    let warrant = text(&row, "CivilWarrant");
    let page = town.hold(page_of_matters()).await?;
    let meddle = async || {
        town.edit_row(&row, "Court_Property_Owner", "Our Write").await?;
        town.sync("gis").await?;
        let matter = town.matter(&warrant).await?;
        town.edit_matter(&matter, "Property Owner", "Clio's Later Edit").await
    };
    let story = page.during(town.full_sync("clio"), meddle).await?;
    assert_eq!(story.conflicts, []);
    town.cycle().await?;
    assert_eq!(text(&town.row(&warrant).await?, "Court_Property_Owner"), "Clio's Later Edit");
    assert_eq!(value(&town.matter(&warrant).await?, "Property Owner"), "Clio's Later Edit");
    assert_eq!(
        town.writes().await?,
        (1, 1),
        "our write, the later edit, and nothing because of the old page"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_pull_published_again_is_not_taken_for_the_read_that_is_awaited() -> Result {
    let town = busy_town().await?;
    let warrant = text(&town.rows().await?.remove(1), "CivilWarrant");
    let pull = format!("pull.clio.matters.{warrant}");
    let last_pull = async || {
        let pulls = town.messages(names::PULL).await?;
        let last = pulls.into_iter().rev().find(|message| message.subject == pull);
        last.map(|message| message.body).context("no pull of the matter")
    };
    town.full_sync("clio").await?;
    let before_our_write = last_pull().await?;
    town.edit_row(&town.row(&warrant).await?, "Court_Property_Owner", "New Owner").await?;
    town.sync("gis").await?;
    town.edit_matter(&town.matter(&warrant).await?, "Court Status", "Hearing").await?;
    town.sync("clio").await?;
    let hearing = last_pull().await?;
    town.edit_matter(&town.matter(&warrant).await?, "Court Status", "Dismissed").await?;
    town.sync("clio").await?;
    town.cycle().await?;
    town.assert_same().await?;
    town.admin.reset_calls().await?;
    // The first is from before our write, so the matter is read again; before the answer comes the second.
    let reread = town.hold(Fault::new(System::Clio, Action::Hold).method("GET").path("ids")).await?;
    town.publish(&pull, before_our_write).await?;
    reread.reached().await?;
    town.publish(&pull, hearing).await?;
    town.all_pulls_decided().await?;
    reread.release().await?;
    town.cycle().await?;
    assert_eq!(text(&town.row(&warrant).await?, "Court_Status"), "Dismissed");
    assert_eq!(town.writes().await?, (0, 0));
    town.assert_same().await
}
