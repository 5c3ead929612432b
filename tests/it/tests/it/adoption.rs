//! Clio as the scripts that came before left it: the plan names what is wrong there, the migrate mends just that, and
//! what is right stays as it is.

use std::collections::BTreeSet;

use databridge::plan::Group;
use it::adopted::{Adopted, warrant};
use it::legacy::{self, Axes};
use it::town::{text, value};
use sandbox::client::GisFeature;
use sandbox::clio::hand::{MatterPage, NewNote, Upload};

type Result = anyhow::Result<()>;

/// The records of the one finding of this kind in this field.
fn records(groups: &[Group], field: &str) -> BTreeSet<String> {
    let of_field = groups.iter().filter(|group| group.fields.iter().any(|it| it == field));
    of_field.flat_map(|group| group.records.iter().cloned()).collect()
}

/// The matter has the degrees of the row's place, each in its field.
fn assert_place(matter: &MatterPage, row: &GisFeature) {
    for (field, degrees) in [("GIS Longitude", row.lon), ("GIS Latitude", row.lat)] {
        let shown = value(matter, field).parse::<f64>().ok();
        let is_right = match (shown, degrees) {
            (Some(shown), Some(degrees)) => (shown - degrees).abs() < 1e-6,
            (shown, degrees) => shown.is_none() && degrees.is_none(),
        };
        assert!(is_right, "{field} of {}: {shown:?}, and the map has {degrees:?}", warrant(row));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plan_names_what_the_scripts_left_with_its_numbers_and_writes_nothing() -> Result {
    let adopted = Adopted::new().await?;
    let (plan, story) = adopted.plan().await?;
    let found = &plan.findings;
    assert_eq!(records(&found.exchanged, "GIS Latitude"), adopted.exchanged, "{found:?}");
    assert_eq!(records(&found.no_degrees, "GIS Latitude"), adopted.in_metres, "{found:?}");
    assert_eq!(records(&found.filled, "Court Status"), adopted.without_status, "{found:?}");
    assert_eq!(records(&found.other_content, "content"), adopted.corrupt, "{found:?}");
    assert_eq!(records(&found.no_content, "content"), adopted.unfinished, "{found:?}");
    assert!(found.conflicts.is_empty() && found.doubled.is_empty(), "{found:?}");
    let of = |place: &str| (plan.collections[place].creates, plan.collections[place].deletes);
    assert_eq!(of("clio.matters"), (2, 0));
    assert_eq!(of("clio.documents"), (adopted.without_document.len() as u64, 0));
    // What is there already is made no second time: only the two new matters get notes and entries.
    let new: Vec<_> =
        adopted.rows.iter().filter(|row| !adopted.matters.contains_key(&warrant(row))).collect();
    let with_notes = new.iter().filter(|row| !text(row, "BoardUp_Notes").is_empty()).count();
    assert_eq!(of("clio.notes"), (with_notes as u64, 0));
    let now = adopted.town.admin.now().await?;
    let with_dates = new.iter().filter(|row| legacy::court_date(row).is_some_and(|at| at > now)).count();
    assert_eq!(of("clio.calendar_entries"), (with_dates as u64, 0));
    let history = &plan.collections["gis.litigation_history"];
    assert_eq!((history.creates, history.updates, history.deletes), (0, 0, 0));
    let text = plan.text(&story);
    for words in
        ["exchanged; each is put right", "no degrees in", "were begun and have no bytes", "other bytes than"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_migrate_does_what_the_plan_said_and_the_next_one_writes_nothing() -> Result {
    let adopted = Adopted::new().await?;
    let town = &adopted.town;
    let before = adopted.counts().await?;
    let (plan, _) = adopted.plan().await?;
    let done = adopted.migrate().await?;
    let planned: u64 = plan.collections.values().map(|it| it.creates + it.updates + it.deletes).sum();
    assert_eq!(done.summary.written, planned, "{plan:?}");
    let created = |place: &str| usize::try_from(plan.collections[place].creates).unwrap_or_default();
    let [notes, entries, documents, _] = adopted.counts().await?;
    assert_eq!(notes, before[0] + created("clio.notes"));
    assert_eq!(entries, before[1] + created("clio.calendar_entries"));
    assert_eq!(documents, before[2] + created("clio.documents"));
    assert_eq!(town.matters().await?.len(), adopted.rows.len());

    let again = adopted.migrate().await?;
    assert_eq!(again.summary.pushes, 0, "{again:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_migrate_every_place_status_and_content_is_right() -> Result {
    let adopted = Adopted::new().await?;
    let town = &adopted.town;
    adopted.migrate().await?;
    for row in &adopted.rows {
        let matter = town.matter(&warrant(row)).await?;
        assert_eq!(value(&matter, "Court Status"), text(row, "Court_Status"), "{}", warrant(row));
        assert_place(&matter, row);
    }
    let documents = town.admin.documents().await?;
    for attachment in town.admin.gis_attachments(town.layer()).await? {
        let of_attachment: Vec<_> =
            documents.iter().filter(|it| it.property("GIS_ID") == Some(&attachment.id.to_string())).collect();
        let [document] = of_attachment.as_slice() else { panic!("{}: {of_attachment:?}", attachment.name) };
        let sha256 = document.current().and_then(|version| version.sha256.clone());
        assert_eq!(sha256.as_ref(), Some(&attachment.sha256), "{}", attachment.name);
        // What was corrupt is still there, as an earlier version.
        let versions = document.versions.iter().filter(|version| version.fully_uploaded).count();
        let was_corrupt = adopted.corrupt.contains(&attachment.id.to_string());
        assert_eq!(versions, 1 + usize::from(was_corrupt), "{}", attachment.name);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn matters_of_one_warrant_are_told_with_their_ids_and_neither_is_touched() -> Result {
    let adopted = Adopted::new().await?;
    let row =
        adopted.rows.iter().find(|row| adopted.exchanged.contains(&warrant(row))).expect("one with a matter");
    let second = adopted.town.admin.add_matter(&legacy::matter_of(row, Axes::Degrees)).await?.id;
    let ids = BTreeSet::from([adopted.matters[&warrant(row)], second]);
    let of_warrant = async || {
        let all = adopted.town.matters().await?;
        anyhow::Ok(all.into_iter().filter(|it| ids.contains(&it.id)).collect::<Vec<_>>())
    };
    let before = of_warrant().await?;
    assert_eq!(before.len(), 2);

    let (plan, story) = adopted.plan().await?;
    let [doubled] = plan.findings.doubled.as_slice() else { panic!("{:?}", plan.findings) };
    assert_eq!((doubled.collection.as_str(), doubled.key.as_str()), ("clio.matters", warrant(row).as_str()));
    assert_eq!(doubled.ids, ids.iter().map(ToString::to_string).collect());
    let would = story.would_push.iter().filter(|push| push.key.as_ref() == Some(&doubled.key));
    assert_eq!(would.count(), 0, "something would be done with one of the two");
    assert!(!records(&plan.findings.exchanged, "GIS Latitude").contains(&warrant(row)));

    let done = adopted.migrate().await?;
    assert_eq!(of_warrant().await?, before);
    let told: BTreeSet<_> = done.parked.iter().filter_map(|it| it.id.clone()).collect();
    assert_eq!(told, doubled.ids);
    let planned: u64 = plan.collections.values().map(|it| it.creates + it.updates + it.deletes).sum();
    assert_eq!(done.summary.written, planned);

    // Once one of them is gone, the other is put right.
    adopted.town.admin.delete_matter(second).await?;
    adopted.migrate().await?;
    let matter = adopted.town.matter(&warrant(row)).await?;
    assert_place(&matter, row);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_court_date_that_the_migrate_fills_in_is_no_new_setting() -> Result {
    let adopted = Adopted::new().await?;
    let rows = adopted.counts().await?[3];
    adopted.migrate().await?;
    for _ in 0..2 {
        adopted.town.let_the_overlap_pass().await?;
        adopted.town.cycle().await?;
    }
    assert_eq!(adopted.counts().await?[3], rows);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_a_person_changed_in_clio_is_told_with_who_wins() -> Result {
    let adopted = Adopted::new().await?;
    let (warrant, id) = adopted.matters.iter().next().map(|(key, id)| (key.clone(), *id)).expect("a matter");
    let edit = sandbox::clio::hand::MatterEdit::field("Property Owner", Some("The heirs"))
        .and_field("Court Status", Some("Demo"));
    adopted.town.admin.edit_matter(id, &edit).await?;
    let (plan, _) = adopted.plan().await?;
    let told: Vec<_> =
        plan.findings.conflicts.iter().map(|it| (it.field.as_str(), it.won.as_str())).collect();
    assert_eq!(told, [("Property Owner", "gis"), ("Court_Status", "clio")], "{:?}", plan.findings.conflicts);
    adopted.migrate().await?;
    let row = adopted.town.row(&warrant).await?;
    let matter = adopted.town.matter(&warrant).await?;
    assert_eq!(value(&matter, "Property Owner"), text(&row, "Court_Property_Owner"));
    assert_eq!(text(&row, "Court_Status"), "Demo");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_documents_of_one_attachment_are_told_and_neither_is_touched() -> Result {
    let adopted = Adopted::new().await?;
    let admin = &adopted.town.admin;
    let id = adopted.corrupt.iter().next().cloned().expect("a corrupt one");
    let of_attachment = async || {
        let all = admin.documents().await?;
        anyhow::Ok(all.into_iter().filter(|it| it.property("GIS_ID") == Some(&id)).collect::<Vec<_>>())
    };
    let first = of_attachment().await?.remove(0);
    let attachments = admin.gis_attachments(adopted.town.layer()).await?;
    let attachment = attachments.iter().find(|it| it.id.to_string() == id).expect("its attachment");
    let matter = first.matter.expect("its matter");
    admin.add_document(&legacy::document_of(attachment, matter, Upload::of(b"once more"))).await?;
    let before = of_attachment().await?;
    assert_eq!(before.len(), 2);
    let (plan, _) = adopted.plan().await?;
    let [doubled] = plan.findings.doubled.as_slice() else { panic!("{:?}", plan.findings) };
    assert_eq!((doubled.collection.as_str(), doubled.key.as_str()), ("clio.documents", id.as_str()));
    assert!(!records(&plan.findings.other_content, "content").contains(&id));
    adopted.migrate().await?;
    assert_eq!(of_attachment().await?, before);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_options_id_in_the_history_waits_for_a_person_and_spoils_nothing_else() -> Result {
    let adopted = Adopted::new().await?;
    let row =
        adopted.rows.iter().find(|row| text(row, "Court_Status") == "Hearing").expect("one that is open");
    let written = serde_json::json!({
        "CivilWarrant": warrant(row), "Status_1": "5000000023", "DismissStatus": "Dismissed with costs",
        "DismissedCondition": "5000000041",
    });
    let attributes = written.as_object().cloned().unwrap_or_default();
    adopted.town.admin.add_features(6, &[GisFeature { attributes, lon: None, lat: None }]).await?;
    let done = adopted.migrate().await?;
    let told: Vec<_> =
        done.parked.iter().map(|it| (it.key.clone().map(String::from), it.field.as_deref())).collect();
    assert_eq!(told, [(Some(warrant(row)), Some("Dismissed Condition"))], "{:?}", done.parked);
    let matter = adopted.town.matter(&warrant(row)).await?;
    assert_eq!(value(&matter, "Dismiss Status"), "Dismissed with costs");
    assert_eq!(value(&matter, "Court Status"), "Hearing");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_that_the_scripts_never_brought_over_wins_over_the_older_one_on_the_map() -> Result {
    let adopted = Adopted::new().await?;
    let row = adopted.rows.iter().find(|row| !text(row, "BoardUp_Notes").is_empty()).expect("one with notes");
    let note = NewNote {
        matter: adopted.matters[&warrant(row)],
        detail: "Boarded up by the owner".to_owned(),
        date: Some("2099-03-01".parse()?),
        ..NewNote::default()
    };
    adopted.town.admin.add_note(&note).await?;
    let before = adopted.counts().await?[0];
    let (plan, _) = adopted.plan().await?;
    assert_eq!(plan.collections["gis.active_litigations"].updates, 1);
    assert_eq!(plan.findings.conflicts, []);
    adopted.migrate().await?;
    assert_eq!(text(&adopted.town.row(&warrant(row)).await?, "BoardUp_Notes"), "Boarded up by the owner");
    let made = usize::try_from(plan.collections["clio.notes"].creates)?;
    assert_eq!(adopted.counts().await?[0], before + made);
    Ok(())
}
