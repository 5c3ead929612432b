//! The whole of it: notes, court dates, documents and history, by the whole config.

use std::collections::{BTreeMap, BTreeSet};

use databridge_model::{Mode, SyncRequest};
use it::Town;
use it::town::{TownOptions, text, value, whole_config};
use sandbox::GisOptions;
use sandbox::clio::hand::{DocumentPage, NewNote};

type Result = anyhow::Result<()>;

async fn town(litigations: usize) -> anyhow::Result<Town> {
    Town::with(TownOptions {
        gis: GisOptions::city(litigations, 7),
        config: whole_config(),
        ..TownOptions::default()
    })
    .await
}

/// The documents of ours by the attachment that each came from.
async fn documents(town: &Town) -> anyhow::Result<BTreeMap<String, DocumentPage>> {
    let all = town.admin.documents().await?;
    let ours: BTreeSet<_> = town.matters().await?.into_iter().map(|matter| matter.id).collect();
    let of_ours = all.into_iter().filter(|it| it.matter.is_some_and(|matter| ours.contains(&matter)));
    let keyed = of_ours.filter_map(|it| {
        let key = it.external_properties.iter().find(|it| it.name == "GIS_ID")?.value.clone();
        Some((key, it))
    });
    Ok(keyed.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migrate_brings_notes_court_dates_and_documents_and_then_it_is_quiet() -> Result {
    let town = town(30).await?;
    let story = town.migrate().await?;
    assert_eq!((story.summary.failed, &story.summary.errors), (0, &Vec::new()), "{story:?}");
    assert_eq!(town.matters().await?.len(), 30);
    let matters: BTreeMap<_, _> =
        town.matters().await?.into_iter().map(|it| (value(&it, "Civil Warrant"), it.id)).collect();
    let notes = town.admin.notes().await?;
    for row in town.rows().await? {
        let wanted = text(&row, "BoardUp_Notes");
        let matter = matters.get(&text(&row, "CivilWarrant")).copied();
        let has: Vec<_> = notes.iter().filter(|it| it.matter == matter).collect();
        assert_eq!(has.len(), usize::from(!wanted.is_empty()), "{wanted}: {has:?}");
        assert!(has.iter().all(|it| it.detail.as_deref() == Some(wanted.as_str())), "{wanted}: {has:?}");
    }
    let documents = documents(&town).await?;
    let attachments = town.admin.gis_attachments(town.layer()).await?;
    assert_eq!(documents.len(), attachments.len());
    for attachment in &attachments {
        let document = &documents[&attachment.id.to_string()];
        let current = document.current().and_then(|version| version.sha256.clone());
        assert_eq!(current.as_deref(), Some(attachment.sha256.as_str()), "{}", attachment.name);
    }
    let entries = town.admin.calendar_entries().await?;
    let dates = |rows: Vec<sandbox::client::GisFeature>| -> Vec<String> {
        rows.iter().map(|row| text(row, "NextCourtDate")).collect()
    };
    let before = dates(town.rows().await?);
    let (gis, clio) = town.cycle().await?;
    assert_eq!((gis.summary.pushes, clio.summary.pushes), (0, 0));
    assert_eq!(dates(town.rows().await?), before, "a court date on the map was changed");
    assert_eq!(town.admin.calendar_entries().await?.len(), entries.len(), "an entry was made twice");
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_note_arrives_on_the_map() -> Result {
    let town = town(5).await?;
    town.migrate().await?;
    let matter = town.matters().await?.remove(2);
    let note = NewNote {
        matter: matter.id,
        detail: "Boarded again".to_owned(),
        date: Some("2099-03-01".parse()?),
        ..NewNote::default()
    };
    town.admin.add_note(&note).await?;
    town.sync("clio").await?;
    let row = town.row(&value(&matter, "Civil Warrant")).await?;
    assert_eq!(text(&row, "BoardUp_Notes"), "Boarded again");
    town.next_cycle_writes_nothing().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_matter_that_is_dismissed_has_one_row_of_history() -> Result {
    let town = town(5).await?;
    town.migrate().await?;
    let matters = town.matters().await?;
    let matter = matters.iter().find(|it| value(it, "Court Status") != "Dismissed").cloned();
    let matter = matter.ok_or_else(|| anyhow::anyhow!("all are dismissed"))?;
    let rows = town.admin.features(6).await?.len();
    town.edit_matter(&matter, "Court Status", "Dismissed").await?;
    town.cycle().await?;
    town.cycle().await?;
    let after = town.admin.features(6).await?;
    assert_eq!(after.len(), rows + 1);
    let last = after.last().map(|row| (text(row, "CivilWarrant"), text(row, "Status_1")));
    assert_eq!(last, Some((value(&matter, "Civil Warrant"), "Dismissed".to_owned())));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_counts_every_kind_and_writes_nothing() -> Result {
    let town = town(10).await?;
    let request = SyncRequest { mode: Mode::Migrate, dry_run: true, ..SyncRequest::default() };
    let story = town.request("gis", request).await?;
    let plan = databridge::plan::Plan::of("migrate gis", &story, &town.office.config);
    assert_eq!(plan.collections["clio.matters"].creates, 10);
    for collection in ["clio.notes", "clio.calendar_entries", "clio.documents"] {
        assert!(plan.collections[collection].creates > 0, "{plan:?}");
    }
    assert_eq!(town.writes().await?, (0, 0));
    let story = town.migrate().await?;
    let planned: u64 = plan.collections.values().map(|it| it.creates + it.updates).sum();
    assert_eq!(story.summary.written, planned, "{plan:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_published_anew_makes_no_second_matter_and_no_second_document() -> Result {
    let town = town(12).await?;
    town.migrate().await?;
    let before = documents(&town).await?;
    let (matters, notes) = (town.matters().await?.len(), town.admin.notes().await?.len());
    let entries = town.admin.calendar_entries().await?.len();
    town.admin.republish(town.layer()).await?;
    let story = town.full_sync("gis").await?;
    assert_eq!((story.summary.failed, &story.parked, &story.conflicts), (0, &Vec::new(), &Vec::new()));
    let after = documents(&town).await?;
    let ids = |documents: &BTreeMap<String, DocumentPage>| -> BTreeSet<i64> {
        documents.values().map(|it| it.id).collect()
    };
    assert_eq!(ids(&after), ids(&before), "a document was made or lost");
    for attachment in town.admin.gis_attachments(town.layer()).await? {
        let document = &after[&attachment.id.to_string()];
        let current = document.current().and_then(|version| version.sha256.clone());
        assert_eq!(current.as_deref(), Some(attachment.sha256.as_str()), "{}", attachment.name);
        assert_eq!(document.versions.len(), 1, "{} was uploaded again", attachment.name);
        assert_eq!(document.external_properties.len(), 1, "the property is changed, and none added");
    }
    let now = (town.matters().await?.len(), town.admin.notes().await?.len());
    assert_eq!((now, town.admin.calendar_entries().await?.len()), ((matters, notes), entries));
    town.let_the_overlap_pass().await?;
    town.cycle().await?;
    town.next_cycle_writes_nothing().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_typed_into_a_matter_makes_one_entry_and_a_row_with_its_moment() -> Result {
    let town = town(6).await?;
    town.migrate().await?;
    let matters = town.matters().await?;
    let free = matters.iter().find(|it| value(it, "Next Court Date").is_empty());
    let matter = free.ok_or_else(|| anyhow::anyhow!("all have a date"))?;
    let warrant = value(matter, "Civil Warrant");
    let entries = town.admin.calendar_entries().await?.len();
    let rows = town.admin.features(6).await?.len();
    town.edit_matter(matter, "Next Court Date", "2099-05-04").await?;
    for _ in 0..3 {
        town.cycle().await?;
    }
    let all = town.admin.calendar_entries().await?;
    let made: Vec<_> = all.iter().filter(|it| it.matter == Some(matter.id)).collect();
    assert_eq!((all.len(), made.len()), (entries + 1, 1), "{made:?}");
    let at = made[0].start_at;
    // Midnight of that day in the office's zone, in which there is summer time.
    assert_eq!(at.to_rfc3339(), "2099-05-04T05:00:00+00:00");
    let moment = at.timestamp_millis().to_string();
    assert_eq!(text(&town.row(&warrant).await?, "NextCourtDate"), moment);
    let history = town.admin.features(6).await?;
    let settings: Vec<_> = history.iter().filter(|row| text(row, "CivilWarrant") == warrant).collect();
    assert_eq!(history.len(), rows + 1, "{settings:?}");
    assert!(settings.iter().any(|row| text(row, "NextSetting") == moment), "{settings:?}");
    town.next_cycle_writes_nothing().await
}
