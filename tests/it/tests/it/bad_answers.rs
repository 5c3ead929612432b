//! Systems that answer with a page for people, or with half an answer.

use anyhow::Context;
use it::Town;
use it::town::{object_id, text, value};
use sandbox::calls::System;
use sandbox::client::GisEdit;
use sandbox::faults::{Action, Fault};

type Result = anyhow::Result<()>;

fn actions() -> [Action; 2] {
    [Action::Html, Action::Truncate]
}

#[tokio::test(flavor = "multi_thread")]
async fn one_broken_answer_to_a_listing_costs_a_call_and_nothing_else() -> Result {
    let town = Town::of(3).await?;
    for action in actions() {
        let map = Fault::new(System::Gis, action.clone()).path("/2/query");
        let page = Fault::new(System::Gis, action.clone()).method("GET").path("/FeatureServer/2?");
        let clio = Fault::new(System::Clio, action.clone()).method("GET").path("matters.json?");
        let mut faults = Vec::new();
        for fault in [map, page, clio] {
            faults.push(town.strike(fault).await?);
        }
        let story = town.migrate().await?;
        assert_eq!(story.summary.errors, [] as [String; 0], "{action:?}");
        town.sync("gis").await?;
        for fault in faults {
            assert_eq!(town.struck(fault).await?.fired, 1, "{action:?}");
        }
        town.admin.clear_faults().await?;
        town.assert_same().await?;
    }
    assert_eq!(town.matters().await?.len(), 3);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_goes_on_being_broken_closes_its_run_with_a_reason_and_the_next_run_catches_up()
-> Result {
    let town = Town::of(2).await?;
    town.migrate().await?;
    let row = town.rows().await?.remove(0);
    let warrant = text(&row, "CivilWarrant");
    let faults = [
        ("gis", Fault::new(System::Gis, Action::Html).path("/2/query"), "Down for maintenance"),
        ("gis", Fault::new(System::Gis, Action::Truncate).path("/2/query"), "query"),
        ("clio", Fault::new(System::Clio, Action::Html).path("matters"), "Down for maintenance"),
        ("clio", Fault::new(System::Clio, Action::Truncate).path("matters"), "GET matters"),
    ];
    for (index, (system, fault, words)) in faults.into_iter().enumerate() {
        let owner = format!("Owner {index}");
        match system {
            "gis" => town.edit_row(&row, "Court_Property_Owner", &owner).await?,
            _ => town.edit_matter(&town.matter(&warrant).await?, "Property Owner", &owner).await?,
        }
        town.strike(fault.forever()).await?;
        let story = town.sync(system).await?;
        let [error] = story.summary.errors.as_slice() else { panic!("one: {:?}", story.summary.errors) };
        assert!(error.starts_with(system) && error.contains(words), "{error}");
        town.admin.clear_faults().await?;
        let story = town.sync(system).await?;
        assert_eq!(story.summary.errors, [] as [String; 0]);
        assert_eq!(text(&town.row(&warrant).await?, "Court_Property_Owner"), owner);
        assert_eq!(value(&town.matter(&warrant).await?, "Property Owner"), owner);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_answer_to_a_create_makes_one_matter() -> Result {
    for action in actions() {
        let town = Town::of(2).await?;
        let fault = town.strike(Fault::new(System::Clio, action).method("POST").path("matters.json")).await?;
        let story = town.migrate().await?;
        assert_eq!(town.struck(fault).await?.fired, 1);
        assert_eq!(town.matters().await?.len(), 2);
        assert_eq!(story.summary.failed, 0);
        town.assert_same().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_answer_to_an_update_loses_and_doubles_nothing() -> Result {
    for action in actions() {
        let town = Town::of(2).await?;
        town.migrate().await?;
        let rows = town.rows().await?;
        let warrants: Vec<_> = rows.iter().map(|row| text(row, "CivilWarrant")).collect();
        let patch = town.strike(Fault::new(System::Clio, action.clone()).method("PATCH")).await?;
        for row in &rows {
            let edit = GisEdit::field("Court_Property_Owner", "New Owner");
            town.admin.edit_feature(town.layer(), object_id(row)?, &edit).await?;
        }
        assert_eq!(town.sync("gis").await?.conflicts, []);
        let edits = town.strike(Fault::new(System::Gis, action.clone()).path("applyEdits")).await?;
        for warrant in &warrants {
            town.edit_matter(&town.matter(warrant).await?, "Defendent", "New Defendant").await?;
        }
        assert_eq!(town.sync("clio").await?.conflicts, []);
        assert_eq!((town.struck(patch).await?.fired, town.struck(edits).await?.fired), (1, 1), "{action:?}");
        for warrant in &warrants {
            let (row, matter) = (town.row(warrant).await?, town.matter(warrant).await?);
            assert_eq!(value(&matter, "Property Owner"), "New Owner");
            assert_eq!(text(&row, "AntiNeglect_Plans_App_By"), "New Defendant");
        }
        town.next_cycle_writes_nothing().await.with_context(|| format!("{action:?}"))?;
        town.assert_same().await?;
    }
    Ok(())
}
