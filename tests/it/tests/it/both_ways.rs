//! A litigation and its matter in step, both ways.

use it::Town;
use it::town::{text, value};

type Result = anyhow::Result<()>;

#[tokio::test(flavor = "multi_thread")]
async fn a_migrate_makes_one_matter_for_each_litigation() -> Result {
    let town = Town::of(20).await?;
    let story = town.migrate().await?;
    assert_eq!(story.summary.written, 20);
    assert_eq!(town.matters().await?.len(), 20);
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_migrate_writes_nothing() -> Result {
    let town = Town::of(20).await?;
    town.migrate().await?;
    town.admin.reset_calls().await?;
    let story = town.migrate().await?;
    assert_eq!(story.summary.pushes, 0);
    assert_eq!(town.writes().await?, (0, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cycle_after_a_migrate_writes_nothing() -> Result {
    let town = Town::of(20).await?;
    town.migrate().await?;
    town.next_cycle_writes_nothing().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_on_the_map_arrives_in_clio_and_does_not_come_back() -> Result {
    let town = Town::of(5).await?;
    town.migrate().await?;
    let row = town.rows().await?.remove(2);
    town.edit_row(&row, "Court_Property_Owner", "Ida B. Wells").await?;
    town.sync("gis").await?;
    let matter = town.matter(&text(&row, "CivilWarrant")).await?;
    assert_eq!(value(&matter, "Property Owner"), "Ida B. Wells");
    town.next_cycle_writes_nothing().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_in_clio_arrives_on_the_map_and_does_not_come_back() -> Result {
    let town = Town::of(5).await?;
    town.migrate().await?;
    let matter = town.matters().await?.remove(3);
    town.edit_matter(&matter, "Court Status", "Dismissed").await?;
    town.sync("clio").await?;
    let row = town.row(&value(&matter, "Civil Warrant")).await?;
    assert_eq!(text(&row, "Court_Status"), "Dismissed");
    town.next_cycle_writes_nothing().await
}
