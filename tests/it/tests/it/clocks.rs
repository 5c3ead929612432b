//! Clocks that are wrong, here or there.

use chrono::TimeDelta;
use it::town::text;
use it::{Town, TownOptions};
use sandbox::GisOptions;

type Result = anyhow::Result<()>;

/// Somebody edits another litigation on each side, and adds one to the map; all is carried over, once.
async fn edits_are_carried_over(town: &Town, number: usize) -> Result {
    let rows = town.rows().await?;
    let on_the_map = rows.get(number % rows.len()).ok_or_else(|| anyhow::anyhow!("no row"))?;
    let in_clio = rows.get((number + 1) % rows.len()).ok_or_else(|| anyhow::anyhow!("no row"))?;
    town.edit_row(on_the_map, "Court_Property_Owner", &format!("map {number}")).await?;
    let matter = town.matter(&text(in_clio, "CivilWarrant")).await?;
    town.edit_matter(&matter, "Property Owner", &format!("clio {number}")).await?;
    town.cycle().await?;
    town.cycle().await?;
    let carried = it::town::value(&town.matter(&text(on_the_map, "CivilWarrant")).await?, "Property Owner");
    assert_eq!(carried, format!("map {number}"));
    let carried = text(&town.row(&text(in_clio, "CivilWarrant")).await?, "Court_Property_Owner");
    assert_eq!(carried, format!("clio {number}"));
    town.assert_same().await?;
    town.next_cycle_writes_nothing().await
}

async fn town(services_ahead: TimeDelta, systems_ahead: TimeDelta) -> anyhow::Result<Town> {
    let town =
        Town::with(TownOptions { gis: GisOptions::city(6, 7), services_ahead, ..TownOptions::default() })
            .await?;
    town.sandbox.clock().set_offset(systems_ahead);
    town.migrate().await?;
    town.assert_same().await?;
    Ok(town)
}

#[tokio::test(flavor = "multi_thread")]
async fn services_whose_clock_is_days_wrong_lose_nothing_and_write_nothing_twice() -> Result {
    for days in [3, -3] {
        let town = town(TimeDelta::days(days), TimeDelta::zero()).await?;
        edits_are_carried_over(&town, 1).await?;
        // Somebody sets the clock right, by days in one step; and wrong the other way.
        for (number, step) in [(2, -days), (3, -days)] {
            town.office.clock.advance(TimeDelta::days(step));
            edits_are_carried_over(&town, number).await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn systems_whose_clock_is_hours_wrong_lose_nothing_and_are_written_nothing_twice() -> Result {
    for hours in [5, -5] {
        let town = town(TimeDelta::zero(), TimeDelta::hours(hours)).await?;
        edits_are_carried_over(&town, 1).await?;
        edits_are_carried_over(&town, 2).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn systems_whose_clock_is_set_right_by_hours_are_read_on_without_a_gap() -> Result {
    for hours in [2, -2] {
        let town = town(TimeDelta::zero(), TimeDelta::zero()).await?;
        edits_are_carried_over(&town, 1).await?;
        town.sandbox.clock().set_offset(TimeDelta::hours(hours));
        edits_are_carried_over(&town, 2).await?;
        edits_are_carried_over(&town, 3).await?;
    }
    Ok(())
}
