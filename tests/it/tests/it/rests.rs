//! A system that asks for an hour without calls.

use std::time::Duration;

use anyhow::Context;
use databridge_broker::names;
use databridge_model::{RunId, Waiting};
use it::Town;
use it::town::{text, value};
use it::watch::until_in;
use sandbox::calls::System;
use sandbox::faults::{Action, Fault};
use serde_json::json;

type Result = anyhow::Result<()>;

/// A push that waits comes again after a minute.
const PATIENCE: Duration = Duration::from_secs(100);

/// A run is told long before an ordinary limit would be over.
const SOON: Duration = Duration::from_secs(30);

/// What a run was told of waiting.
async fn told(town: &Town, run: RunId) -> anyhow::Result<Vec<Waiting>> {
    let subject = format!("run.{run}.waiting");
    let said = town.messages(names::RUN).await?;
    let said = said.iter().filter(|it| it.subject == subject);
    said.map(|it| Ok(serde_json::from_slice(&it.body)?)).collect()
}

async fn is_told(town: &Town, run: RunId, times: usize) -> anyhow::Result<Waiting> {
    until_in(SOON, "the run to be told", async || {
        let mut told = told(town, run).await?;
        Ok(if told.len() < times { None } else { told.pop() })
    })
    .await
}

/// A city whose Clio, or whose map, rests; the push that waits for it, and the words of the other side.
struct Rest {
    struck: System,
    bridge: &'static str,
    /// What is asked of the other system meanwhile.
    other: &'static str,
}

async fn refused(town: &Town, of: System) -> anyhow::Result<u64> {
    Ok(town.admin.calls().await?.of(of).limited)
}

async fn goes_through(rest: Rest) -> Result {
    let mut town = Town::of_processes(3).await?;
    town.migrate().await?;
    let row = town.rows().await?.remove(0);
    let warrant = text(&row, "CivilWarrant");
    let matter = town.matter(&warrant).await?;
    let other = rest.other;
    let name = if other == "gis" { "clio" } else { "gis" };
    let path = if rest.struck == System::Clio { "/api/v4/" } else { "/FeatureServer" };
    let hour = Fault::new(rest.struck, Action::RateLimited { retry_after: 3600 }).path(path).forever();
    town.strike(hour).await?;
    town.admin.reset_calls().await?;
    match rest.struck {
        System::Clio => town.edit_row(&row, "Court_Property_Owner", "New Owner").await?,
        _ => town.edit_matter(&matter, "Property Owner", "New Owner").await?,
    }
    let pushing = RunId(town.publish(&format!("sync.request.{other}"), "").await?);
    let waiting = is_told(&town, pushing, 1).await?;
    assert_eq!((waiting.system.to_string(), waiting.pushes), (name.to_owned(), 1));
    assert!(waiting.reason.contains("more minutes"), "{}", waiting.reason);
    let reading = RunId(town.publish(&format!("sync.request.{name}"), "").await?);
    let waiting = is_told(&town, reading, 1).await?;
    assert_eq!((waiting.system.to_string(), waiting.pushes), (name.to_owned(), 0));
    assert!(waiting.reason.contains("more minutes"), "{}", waiting.reason);
    assert_eq!(refused(&town, rest.struck).await?, 1, "it is asked once");

    // The other system is read, and written.
    let story = town.sync(other).await?;
    assert!(story.summary.errors.is_empty(), "{:?}", story.summary.errors);
    let (collection, target, field) = match rest.struck {
        System::Clio => {
            ("active_litigations", it::town::object_id(&row)?.to_string(), "AntiNeglect_Plans_App_By")
        }
        _ => ("matters", matter.id.to_string(), "Defendent"),
    };
    let push = json!({"op": "update", "target": {"id": target}, "set": {field: "Ada"}, "why": "by hand"});
    town.publish(&format!("push.live.{other}.{collection}.by-hand"), push.to_string()).await?;
    until_in(PATIENCE, "the other system to be written", async || {
        let (row, matter) = (town.row(&warrant).await?, town.matter(&warrant).await?);
        Ok([text(&row, "AntiNeglect_Plans_App_By"), value(&matter, "Defendent")]
            .contains(&"Ada".to_owned())
            .then_some(()))
    })
    .await?;

    // A bridge that starts anew asks once more, and no oftener.
    let restart = async |town: &mut Town| {
        let processes = town.processes.as_mut().context("no processes")?;
        processes.kill(rest.bridge).await?;
        processes.start_one(rest.bridge, None)
    };
    restart(&mut town).await?;
    is_told(&town, reading, 2).await?;
    assert_eq!(refused(&town, rest.struck).await?, 2, "it is asked once more");

    town.admin.clear_faults().await?;
    restart(&mut town).await?;
    for run in [reading, pushing] {
        let subject = format!("run.{run}.ended");
        until_in(PATIENCE, "the runs to end", async || {
            let said = town.messages(names::RUN).await?;
            Ok(said.iter().any(|it| it.subject == subject).then_some(()))
        })
        .await?;
    }
    let (row, matter) = (town.row(&warrant).await?, town.matter(&warrant).await?);
    assert_eq!(text(&row, "Court_Property_Owner"), "New Owner");
    assert_eq!(value(&matter, "Property Owner"), "New Owner");
    assert!(town.dead_letters().await?.is_empty());
    town.cycle().await?;
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hours_rest_of_clio_is_told_outlives_its_bridge_and_holds_up_no_work_on_the_map() -> Result {
    Box::pin(goes_through(Rest { struck: System::Clio, bridge: "clio-bridge", other: "gis" })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hours_rest_of_the_map_is_told_outlives_its_bridge_and_holds_up_no_work_in_clio() -> Result {
    Box::pin(goes_through(Rest { struck: System::Gis, bridge: "gis-bridge", other: "clio" })).await
}
