//! Links by the operator's own command: shown, taken apart, put together again.

use it::Town;
use it::TownOptions;
use it::legacy::{Axes, matter_of};
use it::town::{object_id, text, value, whole_config};
use sandbox::GisOptions;
use sandbox::clio::hand::NewNote;

type Result = anyhow::Result<()>;

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_is_taken_apart_stays_apart_until_it_is_put_together_and_loses_no_edit() -> Result {
    let town = Town::of(3).await?;
    town.migrate().await?;
    let row = town.rows().await?.remove(0);
    let warrant = text(&row, "CivilWarrant");
    let link = format!("litigation_matter.{warrant}");
    let shown = town.databridge(&["links", "show", &warrant]).await?;
    assert_eq!(shown.status, 0, "{shown:?}");
    for says in [link.as_str(), "gis.active_litigations", "clio.matters", "Property Owner"] {
        assert!(shown.said.contains(says), "{says}: {shown:?}");
    }
    let unlinked = town.databridge(&["links", "unlink", &link]).await?;
    assert_eq!(unlinked.status, 0, "{unlinked:?}");
    town.edit_row(&row, "Court_Property_Owner", "Typed While Apart").await?;
    let before = value(&town.matter(&warrant).await?, "Property Owner");
    town.cycle().await?;
    town.full_sync("gis").await?;
    assert_eq!(value(&town.matter(&warrant).await?, "Property Owner"), before, "it is apart");
    let listed = town.databridge(&["links"]).await?.said;
    assert!(listed.contains(&link) && listed.contains("taken apart by ann@"), "{listed}");
    let again = town.databridge(&["links", "unlink", &link]).await?;
    assert!(again.status == 2 && again.error.contains("already"), "{again:?}");

    let relinked = town.databridge(&["links", "relink", &link]).await?;
    assert_eq!(relinked.status, 0, "{relinked:?}");
    assert_eq!(value(&town.matter(&warrant).await?, "Property Owner"), "Typed While Apart");
    assert_eq!(town.databridge(&["links"]).await?.said.trim(), "No link waits for a person.");
    town.next_cycle_writes_nothing().await?;
    town.assert_same().await?;
    let audit = town.databridge(&["audit"]).await?.said;
    assert!(audit.contains("unlinked link") && audit.contains("relinked link"), "{audit}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_matters_with_one_warrant_the_one_that_is_meant_is_carried_on() -> Result {
    let town = Town::of(3).await?;
    town.migrate().await?;
    let row = town.rows().await?.remove(0);
    let warrant = text(&row, "CivilWarrant");
    let link = format!("litigation_matter.{warrant}");
    let first = town.matter(&warrant).await?;
    let second = town.admin.add_matter(&matter_of(&row, Axes::Degrees)).await?.id;
    town.full_sync("clio").await?;
    let listed = town.databridge(&["links"]).await?.said;
    assert!(listed.contains("clio has several records of the key") && listed.contains(&link), "{listed}");
    town.edit_row(&row, "Court_Property_Owner", "While Doubled").await?;
    town.cycle().await?;
    let which = town.databridge(&["links", "relink", &link]).await?;
    assert!(which.status == 2 && which.error.contains("say which is meant"), "{which:?}");
    let foreign = town.databridge(&["links", "relink", &link, "--system", "clio", "--id", "12"]).await?;
    assert!(foreign.status == 2 && foreign.error.contains("not known to have the key"), "{foreign:?}");
    let meant = first.id.to_string();
    let relinked = town.databridge(&["links", "relink", &link, "--system", "clio", "--id", &meant]).await?;
    assert_eq!(relinked.status, 0, "{relinked:?}");
    let owner = async |id: i64| {
        let matters = town.matters().await?;
        let matter = matters.iter().find(|it| it.id == id).cloned();
        anyhow::Ok(matter.map(|it| value(&it, "Property Owner")).unwrap_or_default())
    };
    assert_eq!(owner(first.id).await?, "While Doubled");
    town.full_sync("clio").await?;
    town.full_sync("gis").await?;
    assert_eq!(town.databridge(&["links"]).await?.said.trim(), "No link waits for a person.");
    assert_ne!(owner(second).await?, "While Doubled", "the other is left aside");
    town.next_cycle_writes_nothing().await
}

#[tokio::test(flavor = "multi_thread")]
async fn below_a_pair_that_is_apart_nothing_is_carried_over_either() -> Result {
    let town = Town::with(TownOptions {
        gis: GisOptions::city(3, 7),
        config: whole_config(),
        ..TownOptions::default()
    })
    .await?;
    town.migrate().await?;
    let row = town.rows().await?.remove(0);
    let warrant = text(&row, "CivilWarrant");
    let link = format!("litigation_matter.{warrant}");
    let matter = town.matter(&warrant).await?;
    town.databridge(&["links", "unlink", &link]).await?;
    let note = NewNote { matter: matter.id, detail: "Heard while apart".to_owned(), ..NewNote::default() };
    town.admin.add_note(&note).await?;
    let edit = sandbox::client::GisEdit::field("NextCourtDate", 1_900_000_000_000_i64);
    town.admin.edit_feature(town.layer(), object_id(&row)?, &edit).await?;
    town.admin.reset_calls().await?;
    town.cycle().await?;
    assert_eq!(town.writes().await?, (0, 0));
    town.databridge(&["links", "relink", &link]).await?;
    town.cycle().await?;
    town.cycle().await?;
    assert_eq!(text(&town.row(&warrant).await?, "BoardUp_Notes"), "Heard while apart");
    town.assert_same().await
}
