//! Both sides edited between two syncs: what merges, what is a conflict, and what an empty value does.

use anyhow::Context;
use databridge_broker::names;
use databridge_model::{RunEvent, RunId};
use it::Town;
use it::town::{object_id, text, value};
use sandbox::client::{GisEdit, GisFeature};
use sandbox::clio::hand::{MatterEdit, MatterPage};
use serde_json::json;

type Result = anyhow::Result<()>;

/// A migrated town and the warrant of its second litigation.
async fn town_and_warrant() -> anyhow::Result<(Town, String)> {
    let town = Town::of(3).await?;
    town.migrate().await?;
    let warrant = text(&town.rows().await?.remove(1), "CivilWarrant");
    Ok((town, warrant))
}

async fn both(town: &Town, warrant: &str) -> anyhow::Result<(GisFeature, MatterPage)> {
    Ok((town.row(warrant).await?, town.matter(warrant).await?))
}

/// A person edits the litigation on both sides.
async fn edit_both(town: &Town, warrant: &str, map: GisEdit, clio: MatterEdit) -> Result {
    let (row, matter) = both(town, warrant).await?;
    town.admin.edit_feature(town.layer(), object_id(&row)?, &map).await?;
    town.admin.edit_matter(matter.id, &clio).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn different_fields_edited_on_both_sides_merge() -> Result {
    let (town, warrant) = town_and_warrant().await?;
    edit_both(
        &town,
        &warrant,
        GisEdit::field("Court_Property_Owner", "New Owner").and_field("PARCEL_ID", "099 001"),
        MatterEdit::field("Court Status", Some("Dismissed")).and_field("Defendent", Some("New Defendant")),
    )
    .await?;
    let (first, second) = town.cycle().await?;
    assert!(first.conflicts.is_empty() && second.conflicts.is_empty());
    let (row, matter) = both(&town, &warrant).await?;
    for (on_the_map, in_clio, wanted) in [
        ("Court_Property_Owner", "Property Owner", "New Owner"),
        ("PARCEL_ID", "Parcel ID", "099 001"),
        ("Court_Status", "Court Status", "Dismissed"),
        ("AntiNeglect_Plans_App_By", "Defendent", "New Defendant"),
    ] {
        assert_eq!((text(&row, on_the_map).as_str(), value(&matter, in_clio).as_str()), (wanted, wanted));
    }
    town.next_cycle_writes_nothing().await?;
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_field_on_both_sides_is_a_conflict_the_owner_wins_and_the_loser_is_kept() -> Result {
    let (town, warrant) = town_and_warrant().await?;
    let before = value(&town.matter(&warrant).await?, "Property Owner");
    edit_both(
        &town,
        &warrant,
        GisEdit::field("Court_Property_Owner", "The Map's Owner"),
        MatterEdit::field("Property Owner", Some("Clio's Owner")),
    )
    .await?;
    // Either side's sync may see its own edit first, and must look at the other before it writes.
    let (first, second) = town.cycle().await?;
    let (row, matter) = both(&town, &warrant).await?;
    assert_eq!(text(&row, "Court_Property_Owner"), "The Map's Owner");
    assert_eq!(value(&matter, "Property Owner"), "The Map's Owner");
    let told: Vec<_> = first.conflicts.iter().chain(&second.conflicts).collect();
    let [conflict] = told.as_slice() else { panic!("one conflict: {told:?}") };
    assert_eq!((conflict.won.as_str(), conflict.lost.as_str()), ("gis", "clio"));
    assert_eq!(
        (conflict.base.to_plain(), conflict.winner.to_plain(), conflict.loser.to_plain()),
        (before, "The Map's Owner".to_owned(), "Clio's Owner".to_owned())
    );
    let link = town.link(&warrant).await?;
    assert_eq!(link["conflicts"][0]["loser"], "Clio's Owner");
    assert_eq!(link["conflicts"][0]["field"], "Property Owner");
    let run: RunId = first.run.filter(|_| !first.conflicts.is_empty()).or(second.run).unwrap();
    let subject = format!("run.{run}.conflict");
    let events = town.messages(names::RUN).await?;
    let event = events.iter().find(|event| event.subject == subject).expect("it is told on the run");
    assert!(
        matches!(RunEvent::decode("conflict", &event.body)?, RunEvent::Conflict(told) if told == **conflict)
    );
    town.admin.reset_calls().await?;
    let (first, second) = town.cycle().await?;
    assert!(first.conflicts.is_empty() && second.conflicts.is_empty(), "it is told once");
    assert_eq!(town.writes().await?, (0, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn clio_wins_the_court_status() -> Result {
    for clio_first in [false, true] {
        let (town, warrant) = town_and_warrant().await?;
        let before = text(&town.row(&warrant).await?, "Court_Status");
        let others: Vec<_> = ["Demo", "Stay", "Receiver"].into_iter().filter(|s| *s != before).collect();
        edit_both(
            &town,
            &warrant,
            GisEdit::field("Court_Status", others[0]),
            MatterEdit::field("Court Status", Some(others[1])),
        )
        .await?;
        let mut conflicts = Vec::new();
        for system in if clio_first { ["clio", "gis"] } else { ["gis", "clio"] } {
            conflicts.extend(town.sync(system).await?.conflicts);
        }
        let (row, matter) = both(&town, &warrant).await?;
        assert_eq!(text(&row, "Court_Status"), others[1]);
        assert_eq!(value(&matter, "Court Status"), others[1]);
        assert_eq!(conflicts.len(), 1, "{conflicts:?}");
        assert_eq!((conflicts[0].won.as_str(), conflicts[0].loser.to_plain().as_str()), ("clio", others[0]));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_in_one_field_does_not_hold_up_the_others() -> Result {
    let (town, warrant) = town_and_warrant().await?;
    edit_both(
        &town,
        &warrant,
        GisEdit::field("Court_Property_Owner", "The Map's Owner").and_field("ADDRESS1", "1 New Street"),
        MatterEdit::field("Property Owner", Some("Clio's Owner"))
            .and_field("Defendent", Some("New Defendant")),
    )
    .await?;
    town.cycle().await?;
    let (row, matter) = both(&town, &warrant).await?;
    assert_eq!(value(&matter, "Property Owner"), "The Map's Owner");
    assert_eq!(value(&matter, "Location"), "1 New Street");
    assert_eq!(text(&row, "AntiNeglect_Plans_App_By"), "New Defendant");
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_edit_on_both_sides_is_no_conflict_and_no_write() -> Result {
    let (town, warrant) = town_and_warrant().await?;
    edit_both(
        &town,
        &warrant,
        GisEdit::field("Court_Property_Owner", "The Same"),
        MatterEdit::field("Property Owner", Some("The Same")),
    )
    .await?;
    town.admin.reset_calls().await?;
    let (first, second) = town.cycle().await?;
    assert!(first.conflicts.is_empty() && second.conflicts.is_empty());
    let (_, on_the_map) = town.writes().await?;
    assert_eq!(on_the_map, 0);
    town.assert_same().await?;
    // Both agree again: an edit of one side after that goes over as any other.
    let row = town.row(&warrant).await?;
    town.edit_row(&row, "Court_Property_Owner", "Next").await?;
    town.cycle().await?;
    assert_eq!(value(&town.matter(&warrant).await?, "Property Owner"), "Next");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_field_is_carried_over_only_where_the_route_says_so() -> Result {
    let (town, warrant) = town_and_warrant().await?;
    let (row, _) = both(&town, &warrant).await?;
    let filled = GisEdit::field("NPA_Inspect_Summary", "Roof open.");
    town.admin.edit_feature(town.layer(), object_id(&row)?, &filled).await?;
    town.cycle().await?;
    let (row, matter) = both(&town, &warrant).await?;
    let (address, parcel) = (text(&row, "ADDRESS1"), value(&matter, "Parcel ID"));
    assert!(!address.is_empty() && !parcel.is_empty());
    edit_both(
        &town,
        &warrant,
        GisEdit::field("NPA_Inspect_Summary", json!(null)).and_field("PARCEL_ID", json!("")),
        MatterEdit::field("Location", None).and_field("Property Owner", None),
    )
    .await?;
    town.cycle().await?;
    let (row, matter) = both(&town, &warrant).await?;
    assert_eq!(value(&matter, "NPA Inspection Summary"), "", "empty = clears, from the map");
    assert_eq!(text(&row, "Court_Property_Owner"), "", "empty = clears, from Clio");
    assert_eq!(text(&row, "ADDRESS1"), address, "an emptied Location is not carried over");
    assert_eq!(value(&matter, "Parcel ID"), parcel, "an emptied parcel is not carried over");
    town.next_cycle_writes_nothing().await.context("nor is it filled again behind the person's back")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_value_beats_one_emptied_on_the_other_side_where_empty_does_not_clear() -> Result {
    let (town, warrant) = town_and_warrant().await?;
    edit_both(
        &town,
        &warrant,
        GisEdit::field("PARCEL_ID", json!(null)),
        MatterEdit::field("Parcel ID", Some("099 001")),
    )
    .await?;
    town.cycle().await?;
    let (row, matter) = both(&town, &warrant).await?;
    assert_eq!(
        (text(&row, "PARCEL_ID").as_str(), value(&matter, "Parcel ID").as_str()),
        ("099 001", "099 001")
    );
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_only_goes_to_clio_is_mended_there_and_not_on_the_map() -> Result {
    let (town, warrant) = town_and_warrant().await?;
    let (row, matter) = both(&town, &warrant).await?;
    town.edit_matter(&matter, "GIS Longitude", "0").await?;
    town.admin.reset_calls().await?;
    town.cycle().await?;
    assert_eq!(town.row(&warrant).await?.lon, row.lon);
    let (_, on_the_map) = town.writes().await?;
    assert_eq!(on_the_map, 0);
    // The place's next edit goes over, as any.
    let moved = GisEdit::default().and_place(Some((-90.05, 35.1)));
    town.admin.edit_feature(town.layer(), object_id(&row)?, &moved).await?;
    town.cycle().await?;
    let longitude = value(&town.matter(&warrant).await?, "GIS Longitude");
    assert!(longitude.starts_with("-90.05"), "{longitude}");
    Ok(())
}
