//! What is wrong with one record stops only that record, is told in words, and goes over once it is mended.

use databridge_model::{Mode, Parked, SyncRequest};
use it::town::{object_id, text, value};
use it::{Town, TownOptions};
use sandbox::GisOptions;
use sandbox::client::{GisEdit, GisFeature};
use sandbox::clio::hand::{FieldEdit, MatterEdit, NewMatter};
use sandbox::gis::{Field, Layer};
use serde_json::{Value, json};

type Result = anyhow::Result<()>;

/// A litigation that somebody enters on the map.
pub(crate) fn litigation(warrant: impl Into<Value>, address: &str) -> GisFeature {
    let attributes = json!({
        "CivilWarrant": warrant.into(), "ADDRESS1": address, "Court_Status": "Hearing",
        "Court_Property_Owner": "Somebody", "PARCEL_ID": "012 034",
    });
    let attributes = attributes.as_object().cloned().unwrap_or_default();
    GisFeature { attributes, lon: Some(-90.05), lat: Some(35.14) }
}

/// A litigation with one more value.
fn with(feature: GisFeature, field: &str, value: impl Into<Value>) -> GisFeature {
    let mut feature = feature;
    feature.attributes.insert(field.to_owned(), value.into());
    feature
}

/// A town whose layer has room for texts of any length, with these rows.
async fn roomy_town(rows: &[GisFeature]) -> anyhow::Result<Town> {
    let names = [
        "INCIDENT_NUMBER",
        "PARCEL_ID",
        "Case_Number",
        "ce_name",
        "NPA_Inspect_Summary",
        "CivilWarrant",
        "ADDRESS1",
        "Court_Property_Owner",
        "AntiNeglect_Plans_App_By",
        "Court_Status",
    ];
    let fields = names.into_iter().map(|name| Field::text(name, 4_000_000)).collect();
    let layer = Layer::new(sandbox::city::ACTIVE_LITIGATIONS, "Active_Litigations", fields);
    let town =
        Town::with(TownOptions { gis: GisOptions::layers(vec![layer]), ..TownOptions::default() }).await?;
    town.admin.add_features(town.layer(), rows).await?;
    Ok(town)
}

/// What was parked of a record, by its key.
/// The object id in the id of a row.
fn object_id_of(parked: &Parked) -> Option<i64> {
    parked.id.as_ref()?.split('@').next()?.parse().ok()
}

fn parked_of<'a>(parked: &'a [Parked], key: &str) -> Vec<&'a Parked> {
    parked.iter().filter(|one| one.key.as_ref().is_some_and(|known| known.as_str() == key)).collect()
}

async fn warrants_in_clio(town: &Town) -> anyhow::Result<Vec<String>> {
    let mut warrants: Vec<_> =
        town.matters().await?.iter().map(|matter| value(matter, "Civil Warrant")).collect();
    warrants.sort();
    Ok(warrants)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_rows_of_one_key_are_both_parked_and_the_row_beside_them_passes() -> Result {
    let town = Town::of(0).await?;
    let rows = [litigation("E-1", "1 A St"), litigation("E-2", "2 B St"), litigation(" E-1 ", "3 C St")];
    let ids = town.admin.add_features(town.layer(), &rows).await?;
    let story = town.migrate().await?;
    assert_eq!(warrants_in_clio(&town).await?, ["E-2"]);
    let parked = parked_of(&story.parked, "E-1");
    let mut named: Vec<_> = parked.iter().copied().filter_map(object_id_of).collect();
    named.sort_unstable();
    assert_eq!(named, [ids[0], ids[2]], "{:?}", story.parked);
    for id in [ids[0], ids[2]] {
        assert!(parked[0].reason.contains(&format!("{id}@")), "{}", parked[0].reason);
    }
    assert!(parked[0].reason.contains("only one"), "{}", parked[0].reason);
    // A person gives the second its own key.
    town.admin.edit_feature(town.layer(), ids[2], &GisEdit::field("CivilWarrant", "E-3")).await?;
    town.sync("gis").await?;
    assert_eq!(warrants_in_clio(&town).await?, ["E-1", "E-2", "E-3"]);
    assert_eq!(value(&town.matter("E-1").await?, "Location"), "1 A St");
    assert_eq!(value(&town.matter("E-3").await?, "Location"), "3 C St");
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_row_of_a_key_that_has_a_matter_changes_nothing_until_one_is_gone() -> Result {
    let town = Town::of(2).await?;
    town.migrate().await?;
    let row = town.rows().await?.remove(0);
    let warrant = text(&row, "CivilWarrant");
    let second = litigation(warrant.as_str(), "Somewhere else");
    let ids = town.admin.add_features(town.layer(), &[second]).await?;
    let story = town.sync("gis").await?;
    assert_eq!(parked_of(&story.parked, &warrant).len(), 2, "{:?}", story.parked);
    town.edit_row(&row, "Court_Property_Owner", "New Owner").await?;
    town.sync("gis").await?;
    let matter = town.matter(&warrant).await?;
    assert_eq!(value(&matter, "Location"), text(&row, "ADDRESS1"));
    assert_ne!(value(&matter, "Property Owner"), "New Owner", "nothing is carried over while there are two");
    town.admin.delete_feature(town.layer(), ids[0]).await?;
    town.full_sync("gis").await?;
    assert_eq!(value(&town.matter(&warrant).await?, "Property Owner"), "New Owner");
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_without_a_key_are_parked_and_go_over_once_they_have_one() -> Result {
    let town = Town::of(0).await?;
    let mut keyless = litigation("", "4 D St");
    keyless.attributes.remove("CivilWarrant");
    let rows = [
        litigation(Value::Null, "1 A St"),
        litigation("", "2 B St"),
        litigation("   ", "3 C St"),
        keyless,
        litigation("E-1", "5 E St"),
    ];
    let ids = town.admin.add_features(town.layer(), &rows).await?;
    let story = town.migrate().await?;
    assert_eq!(warrants_in_clio(&town).await?, ["E-1"]);
    let mut named: Vec<_> = story.parked.iter().filter_map(object_id_of).collect();
    named.sort_unstable();
    assert_eq!(named, ids[..4], "null matches nothing");
    for parked in &story.parked {
        assert_eq!(parked.field.as_deref(), Some("CivilWarrant"));
        assert!(parked.reason.contains("fill in CivilWarrant"), "{}", parked.reason);
    }
    for (number, id) in (2..).zip(&ids[..4]) {
        let edit = GisEdit::field("CivilWarrant", format!("E-{number}"));
        town.admin.edit_feature(town.layer(), *id, &edit).await?;
    }
    let story = town.sync("gis").await?;
    assert_eq!(story.parked, []);
    assert_eq!(warrants_in_clio(&town).await?, ["E-1", "E-2", "E-3", "E-4", "E-5"]);
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_emptied_stops_only_its_record() -> Result {
    let town = Town::of(2).await?;
    town.migrate().await?;
    let rows = town.rows().await?;
    let warrant = text(&rows[0], "CivilWarrant");
    let edit = GisEdit::field("CivilWarrant", Value::Null).and_field("Court_Property_Owner", "New Owner");
    town.admin.edit_feature(town.layer(), object_id(&rows[0])?, &edit).await?;
    town.edit_row(&rows[1], "Court_Property_Owner", "Other Owner").await?;
    let story = town.sync("gis").await?;
    assert_eq!(parked_of(&story.parked, &warrant).len(), 1, "{:?}", story.parked);
    assert!(story.parked[0].reason.contains("was emptied"), "{:?}", story.parked);
    assert_ne!(value(&town.matter(&warrant).await?, "Property Owner"), "New Owner");
    let beside = town.matter(&text(&rows[1], "CivilWarrant")).await?;
    assert_eq!(value(&beside, "Property Owner"), "Other Owner");
    town.admin
        .edit_feature(town.layer(), object_id(&rows[0])?, &GisEdit::field("CivilWarrant", warrant.as_str()))
        .await?;
    town.sync("gis").await?;
    assert_eq!(value(&town.matter(&warrant).await?, "Property Owner"), "New Owner");
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_matters_of_one_key_are_both_parked_and_no_third_is_made() -> Result {
    let town = Town::of(0).await?;
    town.admin
        .add_features(town.layer(), &[litigation("E-1", "1 A St"), litigation("E-2", "2 B St")])
        .await?;
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(town.admin.add_matter(&matter_by_hand("E-1")).await?.id);
    }
    let story = town.migrate().await?;
    assert_eq!(warrants_in_clio(&town).await?, ["E-1", "E-1", "E-2"]);
    let parked = parked_of(&story.parked, "E-1");
    assert_eq!(parked.len(), 2, "{:?}", story.parked);
    assert!(ids.iter().all(|id| parked[0].reason.contains(&id.to_string())), "{}", parked[0].reason);
    // An incremental run leaves them alone, too.
    let row = town.row("E-1").await?;
    town.edit_row(&row, "Court_Property_Owner", "New Owner").await?;
    town.cycle().await?;
    assert_eq!(warrants_in_clio(&town).await?, ["E-1", "E-1", "E-2"]);
    town.admin.edit_matter(ids[1], &MatterEdit::field("Civil Warrant", None)).await?;
    town.cycle().await?;
    assert_eq!(value(&town.matter("E-1").await?, "Property Owner"), "New Owner");
    assert_eq!(town.matter("E-1").await?.id, ids[0]);
    Ok(())
}

/// A matter of ours that somebody opened in Clio.
pub(crate) fn matter_by_hand(warrant: &str) -> NewMatter {
    NewMatter {
        client: "NP Clinic Client".to_owned(),
        description: "opened by hand".to_owned(),
        group: Some("NP Clinic".to_owned()),
        practice_area: Some("Neighborhood Preservation".to_owned()),
        status: None,
        custom_fields: [("Civil Warrant".to_owned(), Some(warrant.to_owned()))].into(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_option_that_clio_lacks_parks_that_field_and_the_others_are_written() -> Result {
    let town = Town::of(0).await?;
    let rows = [with(litigation("E-1", "1 A St"), "Court_Status", "Mediation"), litigation("E-2", "2 B St")];
    let ids = town.admin.add_features(town.layer(), &rows).await?;
    let story = town.migrate().await?;
    let [parked] = story.parked.as_slice() else { panic!("one: {:?}", story.parked) };
    assert_eq!(
        (parked.key.as_ref().unwrap().as_str(), parked.field.as_deref()),
        ("E-1", Some("Court Status"))
    );
    assert!(parked.reason.contains("no option \"Mediation\""), "{}", parked.reason);
    let matter = town.matter("E-1").await?;
    assert_eq!(
        (value(&matter, "Location"), value(&matter, "Court Status")),
        ("1 A St".into(), String::new())
    );
    assert_eq!(value(&town.matter("E-2").await?, "Court Status"), "Hearing");
    // So with an update.
    let edit = GisEdit::field("Court_Status", "Arbitration").and_field("ADDRESS1", "9 Z St");
    town.admin.edit_feature(town.layer(), ids[1], &edit).await?;
    let story = town.sync("gis").await?;
    assert_eq!(parked_of(&story.parked, "E-2").len(), 1, "{:?}", story.parked);
    let matter = town.matter("E-2").await?;
    assert_eq!(
        (value(&matter, "Location"), value(&matter, "Court Status")),
        ("9 Z St".into(), "Hearing".into())
    );
    // The parked value is not tried again and again, nor overwritten from Clio.
    town.next_cycle_writes_nothing().await?;
    assert_eq!(text(&town.row("E-2").await?, "Court_Status"), "Arbitration");
    // A person chooses one that Clio has; for the other, somebody adds the option and enters it again.
    town.admin.edit_feature(town.layer(), ids[0], &GisEdit::field("Court_Status", "Stay")).await?;
    town.sync("gis").await?;
    assert_eq!(value(&town.matter("E-1").await?, "Court Status"), "Stay");
    let option = FieldEdit { add_option: Some("Settlement".to_owned()), ..FieldEdit::default() };
    town.admin.edit_custom_field("Court Status", &option).await?;
    town.admin.edit_feature(town.layer(), ids[1], &GisEdit::field("Court_Status", "Settlement")).await?;
    let story = town.sync("gis").await?;
    assert_eq!(story.parked, []);
    assert_eq!(value(&town.matter("E-2").await?, "Court Status"), "Settlement");
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_option_added_in_clio_lets_the_value_that_waited_for_it_go_over() -> Result {
    let town = Town::of(0).await?;
    let rows = [with(litigation("E-1", "1 A St"), "Court_Status", "Mediation")];
    town.admin.add_features(town.layer(), &rows).await?;
    town.migrate().await?;
    let option = FieldEdit { add_option: Some("Mediation".to_owned()), ..FieldEdit::default() };
    town.admin.edit_custom_field("Court Status", &option).await?;
    // What waits is told and tried again by each full sync. Clio's goes first: for a minute after an option was looked
    // for in vain, only that reads the options anew.
    town.full_sync("clio").await?;
    let story = town.full_sync("gis").await?;
    assert_eq!(story.parked, []);
    assert_eq!(value(&town.matter("E-1").await?, "Court Status"), "Mediation");
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_gone_from_the_layer_is_told_and_empties_nothing() -> Result {
    let town = Town::of(3).await?;
    town.migrate().await?;
    let row = town.rows().await?.remove(0);
    let warrant = text(&row, "CivilWarrant");
    let parcel = value(&town.matter(&warrant).await?, "Parcel ID");
    assert!(!parcel.is_empty());
    town.admin.layer_settings(town.layer(), json!({"remove_field": "PARCEL_ID"})).await?;
    town.edit_row(&row, "Court_Property_Owner", "New Owner").await?;
    for request in [SyncRequest::default(), SyncRequest { mode: Mode::Full, ..SyncRequest::default() }] {
        let story = town.request("gis", request).await?;
        let told: Vec<_> =
            story.parked.iter().filter(|one| one.field.as_deref() == Some("PARCEL_ID")).collect();
        assert_eq!(told.len(), 1, "{:?}", story.parked);
        assert!(told[0].reason.contains("no field `PARCEL_ID`"), "{}", told[0].reason);
        assert_eq!(story.summary.errors, [] as [String; 0]);
    }
    let matter = town.matter(&warrant).await?;
    assert_eq!(value(&matter, "Property Owner"), "New Owner");
    assert_eq!(value(&matter, "Parcel ID"), parcel);
    // What Clio's side changes of it cannot be written; all else can.
    let edit = MatterEdit::field("Parcel ID", Some("099 001")).and_field("Defendent", Some("New Defendant"));
    town.admin.edit_matter(matter.id, &edit).await?;
    town.sync("clio").await?;
    assert_eq!(text(&town.row(&warrant).await?, "AntiNeglect_Plans_App_By"), "New Defendant");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_field_deleted_in_clio_is_told_and_empties_nothing_on_the_map() -> Result {
    let town = Town::of(2).await?;
    town.migrate().await?;
    let matter = town.matters().await?.remove(0);
    let warrant = value(&matter, "Civil Warrant");
    let summary = GisEdit::field("NPA_Inspect_Summary", "Roof open.");
    town.admin.edit_feature(town.layer(), object_id(&town.row(&warrant).await?)?, &summary).await?;
    town.cycle().await?;
    let deleted = FieldEdit { delete: true, ..FieldEdit::default() };
    town.admin.edit_custom_field("NPA Inspection Summary", &deleted).await?;
    town.edit_matter(&matter, "Property Owner", "New Owner").await?;
    town.let_the_overlap_pass().await?;
    town.full_sync("clio").await?;
    let row = town.row(&warrant).await?;
    assert_eq!(text(&row, "NPA_Inspect_Summary"), "Roof open.");
    assert_eq!(text(&row, "Court_Property_Owner"), "New Owner");
    // Written to, it is parked, and the rest passes.
    let edit = GisEdit::field("NPA_Inspect_Summary", "Boarded.").and_field("ADDRESS1", "9 Z St");
    town.admin.edit_feature(town.layer(), object_id(&row)?, &edit).await?;
    let story = town.sync("gis").await?;
    let told = parked_of(&story.parked, &warrant);
    assert_eq!(told.len(), 1, "{:?}", story.parked);
    assert!(told[0].reason.contains("databridge bootstrap"), "{}", told[0].reason);
    assert_eq!(value(&town.matter(&warrant).await?, "Location"), "9 Z St");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_over_its_length_parks_that_field_and_the_others_are_written() -> Result {
    let long = "x".repeat(70_000);
    let town = roomy_town(&[
        with(litigation("E-1", "1 A St"), "NPA_Inspect_Summary", long.as_str()),
        litigation("E-2", "2 B \"quoted\"\nSt, with a line break"),
    ])
    .await?;
    let story = town.migrate().await?;
    let [parked] = story.parked.as_slice() else { panic!("one: {:?}", story.parked) };
    assert_eq!(
        (parked.key.as_ref().unwrap().as_str(), parked.field.as_deref()),
        ("E-1", Some("NPA Inspection Summary"))
    );
    assert!(
        parked.reason.contains("70000 characters") && parked.reason.contains("65535"),
        "{}",
        parked.reason
    );
    let matter = town.matter("E-1").await?;
    assert_eq!(
        (value(&matter, "Location"), value(&matter, "NPA Inspection Summary")),
        ("1 A St".into(), String::new())
    );
    assert_eq!(value(&town.matter("E-2").await?, "Location"), "2 B \"quoted\"\nSt, with a line break");
    let row = town.row("E-1").await?;
    town.edit_row(&row, "NPA_Inspect_Summary", "Shortened.").await?;
    assert_eq!(town.sync("gis").await?.parked, []);
    assert_eq!(value(&town.matter("E-1").await?, "NPA Inspection Summary"), "Shortened.");
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_only_clio_finds_too_long_parks_that_field() -> Result {
    let town = roomy_town(&[
        with(litigation("E-1", "1 A St"), "Court_Property_Owner", "y".repeat(200)),
        litigation("E-2", "2 B St"),
    ])
    .await?;
    let limits = sandbox::clio::hand::TextLimits { text_line: 100, text_area: 1_000 };
    let settings =
        sandbox::clio::hand::ClioSettings { text_limits: Some(Some(limits)), ..Default::default() };
    town.admin.clio_settings(&settings).await?;
    let story = town.migrate().await?;
    let [parked] = story.parked.as_slice() else { panic!("one: {:?}", story.parked) };
    assert_eq!(parked.field.as_deref(), Some("Property Owner"), "{parked:?}");
    assert_eq!(warrants_in_clio(&town).await?, ["E-1", "E-2"]);
    assert_eq!(value(&town.matter("E-1").await?, "Location"), "1 A St");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_over_512_kib_is_a_dead_letter_without_its_body_and_the_others_pass() -> Result {
    let huge = "z".repeat(600 * 1024);
    let town = roomy_town(&[
        litigation("E-1", "1 A St"),
        with(litigation("E-2", "2 B St"), "NPA_Inspect_Summary", huge.as_str()),
        litigation("E-3", "3 C St"),
    ])
    .await?;
    let story = town.migrate().await?;
    assert_eq!(warrants_in_clio(&town).await?, ["E-1", "E-3"]);
    let letters = town.dead_letters().await?;
    let [(subject, letter)] = letters.as_slice() else { panic!("one: {letters:?}") };
    assert_eq!(subject, "dead.pull.gis.active_litigations.E-2");
    assert!(letter.body.is_none() && letter.body_base64.is_none());
    assert!(
        letter.error.contains("512 KiB") && letter.error.contains("NPA_Inspect_Summary: 614"),
        "{letter:?}"
    );
    let told = parked_of(&story.parked, "E-2");
    assert_eq!((told.len(), told[0].reason.as_str()), (1, letter.error.as_str()));
    let row = town.row("E-2").await?;
    town.edit_row(&row, "NPA_Inspect_Summary", "Shortened.").await?;
    town.sync("gis").await?;
    assert_eq!(warrants_in_clio(&town).await?, ["E-1", "E-2", "E-3"]);
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_litigation_without_a_place_goes_over_without_coordinates() -> Result {
    let town = Town::of(0).await?;
    let nowhere = GisFeature { lon: None, lat: None, ..litigation("E-1", "1 A St") };
    town.admin.add_features(town.layer(), &[nowhere, litigation("E-2", "2 B St")]).await?;
    let story = town.migrate().await?;
    assert_eq!(story.parked, []);
    assert_eq!(value(&town.matter("E-1").await?, "GIS Longitude"), "");
    assert!(value(&town.matter("E-2").await?, "GIS Longitude").starts_with("-90.05"));
    town.assert_same().await
}
