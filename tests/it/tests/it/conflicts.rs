//! Conflicts by the operator's own command: looked at, the other value chosen, the winner let stand.

use databridge_broker::{Bucket, names};
use databridge_model::ConflictRecord;
use it::Town;
use it::crash::restart;
use it::town::{object_id, text, value};
use sandbox::client::GisEdit;
use sandbox::clio::hand::MatterEdit;

type Result = anyhow::Result<()>;

/// A migrated town, the warrant of a litigation whose owner was edited on both sides, and the number of the conflict.
async fn in_conflict(town: &Town) -> anyhow::Result<(String, String)> {
    town.migrate().await?;
    let row = town.rows().await?.remove(1);
    let warrant = text(&row, "CivilWarrant");
    let matter = town.matter(&warrant).await?;
    let on_the_map = GisEdit::field("Court_Property_Owner", "The Map's Owner");
    town.admin.edit_feature(town.layer(), object_id(&row)?, &on_the_map).await?;
    let in_clio = MatterEdit::field("Property Owner", Some("Clio's Owner"));
    town.admin.edit_matter(matter.id, &in_clio).await?;
    town.cycle().await?;
    assert_eq!(owners(town, &warrant).await?, ["The Map's Owner", "The Map's Owner"]);
    let listed = town.databridge(&["conflicts"]).await?;
    assert_eq!(listed.status, 0, "{listed:?}");
    assert!(listed.said.contains(&warrant) && listed.said.contains("1 in all"), "{listed:?}");
    let number = listed.said.split_whitespace().next().unwrap_or_default().to_owned();
    Ok((warrant, number))
}

/// What both sides show.
async fn owners(town: &Town, warrant: &str) -> anyhow::Result<[String; 2]> {
    let (row, matter) = (town.row(warrant).await?, town.matter(warrant).await?);
    Ok([text(&row, "Court_Property_Owner"), value(&matter, "Property Owner")])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_value_that_lost_is_chosen_and_stands_on_both_sides_and_what_was_done_is_kept() -> Result {
    let town = Town::of(3).await?;
    let (warrant, number) = in_conflict(&town).await?;
    let shown = town.databridge(&["conflicts", "show", &number]).await?.said;
    for said in [
        "won      gis with The Map's Owner",
        "lost     clio with Clio's Owner",
        "because  the route says that gis wins",
        "conflicts other",
    ] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    let chosen = town.databridge(&["conflicts", "other", &number]).await?;
    assert_eq!(chosen.status, 0, "{chosen:?}");
    assert_eq!(owners(&town, &warrant).await?, ["Clio's Owner", "Clio's Owner"]);
    town.next_cycle_writes_nothing().await?;
    town.assert_same().await?;
    let listed = town.databridge(&["conflicts"]).await?.said;
    assert_eq!(listed.trim(), "There are no conflicts that wait for a person.");
    let settled = town.databridge(&["conflicts", "list", "--settled"]).await?.said;
    assert!(settled.contains("the other was chosen"), "{settled}");
    let audit = town.databridge(&["audit"]).await?.said;
    assert!(audit.contains("ann@") && audit.contains("other_chosen conflict"), "{audit}");
    let again = town.databridge(&["conflicts", "other", &number]).await?;
    assert_eq!(again.status, 2, "{again:?}");
    assert!(again.error.contains(&format!("there is no conflict {number}")), "{again:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_has_typed_since_is_not_overwritten_by_the_choice() -> Result {
    let town = Town::of(3).await?;
    let (warrant, number) = in_conflict(&town).await?;
    let matter = town.matter(&warrant).await?;
    town.edit_matter(&matter, "Property Owner", "A Third Owner").await?;
    let chosen = town.databridge(&["conflicts", "other", &number]).await?;
    assert_eq!(chosen.status, 2, "{chosen:?}");
    assert!(chosen.error.contains("clio shows `A Third Owner` now"), "{chosen:?}");
    town.cycle().await?;
    assert_eq!(owners(&town, &warrant).await?, ["A Third Owner", "A Third Owner"]);
    let settled = town.databridge(&["conflicts", "settle", "--key", &warrant]).await?;
    assert_eq!(settled.status, 0, "{settled:?}");
    let listed = town.databridge(&["conflicts"]).await?.said;
    assert_eq!(listed.trim(), "There are no conflicts that wait for a person.");
    town.next_cycle_writes_nothing().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_choice_without_a_word_which_or_of_an_unknown_one_changes_nothing_and_says_so() -> Result {
    let town = Town::of(1).await?;
    let settle = town.databridge(&["conflicts", "settle"]).await?;
    assert_eq!(settle.status, 2);
    assert!(settle.error.contains("say which"), "{settle:?}");
    let show = town.databridge(&["conflicts", "show", "7"]).await?;
    assert_eq!(show.status, 2);
    assert!(show.error.contains("there is no conflict 7"), "{show:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_has_its_record_before_anything_is_overwritten_wherever_the_reconciler_dies() -> Result {
    let mut town = Box::pin(Town::of_processes(4)).await?;
    town.migrate().await?;
    let points = ["reconciler.after-link", "reconciler.after-conflicts", "reconciler.after-push"];
    for (row, point) in town.rows().await?.iter().zip(points) {
        let warrant = text(row, "CivilWarrant");
        let matter = town.matter(&warrant).await?;
        town.edit_row(row, "Court_Property_Owner", &format!("map {point}")).await?;
        town.edit_matter(&matter, "Property Owner", &format!("clio {point}")).await?;
        restart(&mut town, "reconciler", Some(&format!("kill:{point}"))).await?;
        town.publish("sync.request.gis", "{}").await?;
        let processes = town.processes.as_mut().ok_or_else(|| anyhow::anyhow!("no processes"))?;
        processes.died("reconciler").await?;
        if point == "reconciler.after-link" {
            assert_eq!(owners(&town, &warrant).await?, [format!("map {point}"), format!("clio {point}")]);
        }
        let processes = town.processes.as_mut().ok_or_else(|| anyhow::anyhow!("no processes"))?;
        processes.start_one("reconciler", None)?;
        town.cycle().await?;
        town.cycle().await?;
        assert_eq!(owners(&town, &warrant).await?, [format!("map {point}"), format!("map {point}")]);
        let records: Bucket<ConflictRecord> = town.broker.bucket(names::CONFLICTS).await?;
        let losers: Vec<_> =
            records.all().await?.into_iter().map(|(_, it)| it.value.conflict.loser).collect();
        let of_it = losers.iter().filter(|loser| loser.to_plain() == format!("clio {point}")).count();
        assert_eq!(of_it, 1, "{point}: {losers:?}");
    }
    Ok(())
}
