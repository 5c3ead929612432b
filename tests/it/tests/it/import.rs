//! `databridge import`: what waited in the folder of the scripts that came before goes over.

use std::process::Stdio;
use std::time::Duration;

use databridge::commands::import_of;
use databridge::follow::Story;
use databridge::import::DataFolder;
use it::Town;
use it::legacy::{self, Axes};
use it::processes::built;
use it::town::{TownOptions, text, value, whole_config};
use sandbox::GisOptions;
use sandbox::client::GisFeature;
use sandbox::clio::hand::{MatterEdit, MatterPage, NewNote};
use tokio::process::Command;

type Result = anyhow::Result<()>;

async fn town() -> anyhow::Result<Town> {
    Town::with(TownOptions { gis: GisOptions::city(12, 7), config: whole_config(), ..TownOptions::default() })
        .await
}

/// Imports a folder; the runs that it made.
async fn import(town: &Town, folder: &legacy::DataFolder) -> anyhow::Result<Vec<Story>> {
    let read = DataFolder::read(folder.path())?;
    assert_eq!(read.unread, Vec::<String>::new());
    let stories = import_of(&town.broker, &read, &town.office.config, "the folder").await?;
    let stories: Vec<_> = stories.into_iter().map(|(_, story)| story).collect();
    for story in &stories {
        assert_eq!((story.summary.failed, &story.summary.errors), (0, &Vec::new()), "{story:?}");
    }
    Ok(stories)
}

/// The scripts made a matter of each of these rows.
async fn made_before(town: &Town, rows: &[GisFeature]) -> anyhow::Result<Vec<MatterPage>> {
    let mut matters = Vec::new();
    for row in rows {
        matters.push(town.admin.add_matter(&legacy::matter_of(row, Axes::Metres)).await?);
    }
    Ok(matters)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_to_go_to_clio_goes_over() -> Result {
    let town = town().await?;
    let rows = town.rows().await?;
    let (new, known) = rows.split_at(2);
    made_before(&town, known).await?;
    town.edit_row(&known[0], "Court_Property_Owner", "Sold to another").await?;
    let folder = legacy::DataFolder::new()?;
    folder.litigations(&[&new[0], &new[1], &known[0]])?;
    let attachments = town.admin.gis_attachments(town.layer()).await?;
    let waiting: Vec<_> = attachments.iter().filter(|it| [1, 2, 3].contains(&it.object_id)).collect();
    assert!(!waiting.is_empty());
    folder.attachments(&waiting)?;

    import(&town, &folder).await?;
    for row in [&new[0], &new[1], &known[0]] {
        let (row, matter) =
            (town.row(&text(row, "CivilWarrant")).await?, town.matter(&text(row, "CivilWarrant")).await?);
        assert_eq!(value(&matter, "Property Owner"), text(&row, "Court_Property_Owner"));
    }
    assert_eq!(town.matters().await?.len(), rows.len(), "none was made twice");
    let documents = town.admin.documents().await?;
    for attachment in &waiting {
        let id = attachment.id.to_string();
        let document = documents.iter().find(|it| it.property("GIS_ID") == Some(&id)).expect("a document");
        let bytes = document.current().and_then(|version| version.sha256.clone());
        assert_eq!(bytes.as_ref(), Some(&attachment.sha256), "{}", attachment.name);
    }
    // The rest comes with the migrate, which makes nothing of this again.
    town.migrate().await?;
    assert_eq!(town.matters().await?.len(), rows.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_to_go_to_the_map_goes_over_and_a_note_to_its_own_matter() -> Result {
    let town = town().await?;
    let rows: Vec<_> = town.rows().await?;
    let matters = made_before(&town, &rows).await?;
    let silent =
        rows.iter().position(|row| text(row, "BoardUp_Notes").is_empty()).expect("one without notes");
    let other = (silent + 1) % rows.len();
    for (index, status) in [(silent, "Demo"), (other, "Stay")] {
        town.admin.edit_matter(matters[index].id, &MatterEdit::field("Court Status", Some(status))).await?;
    }
    let note = NewNote { matter: matters[silent].id, detail: "Boarded up".to_owned(), ..NewNote::default() };
    let note = town.admin.add_note(&note).await?;
    let folder = legacy::DataFolder::new()?;
    folder.matters(&[&matters[silent], &matters[other]])?;
    folder.notes(&[&note], &matters[other])?;

    import(&town, &folder).await?;
    let row = async |index: usize| town.row(&text(&rows[index], "CivilWarrant")).await;
    let (row_of_note, row_beside) = (row(silent).await?, row(other).await?);
    assert_eq!(
        (text(&row_of_note, "Court_Status"), text(&row_beside, "Court_Status")),
        ("Demo".into(), "Stay".into())
    );
    assert_eq!(text(&row_of_note, "BoardUp_Notes"), "Boarded up");
    assert_eq!(text(&row_beside, "BoardUp_Notes"), text(&rows[other], "BoardUp_Notes"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_after_the_migrate_finds_nothing_to_write() -> Result {
    let town = town().await?;
    let rows = town.rows().await?;
    let matters = made_before(&town, &rows).await?;
    let folder = legacy::DataFolder::new()?;
    folder.litigations(&rows.iter().collect::<Vec<_>>())?;
    let attachments = town.admin.gis_attachments(town.layer()).await?;
    folder.attachments(&attachments.iter().collect::<Vec<_>>())?;
    folder.matters(&matters.iter().collect::<Vec<_>>())?;
    town.migrate().await?;
    town.cycle().await?;
    let before = town.writes().await?;
    let stories = import(&town, &folder).await?;
    assert_eq!(stories.iter().map(|story| story.summary.pushes).collect::<Vec<_>>(), [0, 0, 0]);
    assert_eq!(town.writes().await?, before);
    Ok(())
}

/// Calls `databridge import` as an operator does: its status, what it prints and what it complains of.
async fn called(
    town: &Town,
    folder: &legacy::DataFolder,
    options: &[&str],
) -> anyhow::Result<(i32, String, String)> {
    let mut command = Command::new(built("databridge-under-test")?);
    command.arg("import").arg(folder.path()).args(options).stdin(Stdio::null());
    command
        .env("NATS_URL", town.nats.url())
        .env("DATABRIDGE_CONFIG", &town.office.config.path)
        .kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(60), command.output()).await??;
    let status = output.status.code().unwrap_or_default();
    Ok((status, String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?))
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_scripts_matters_are_not_ours_nothing_is_asked_for_unless_a_person_says_so() -> Result {
    let town = town().await?;
    let row = town.rows().await?.remove(0);
    let folder = legacy::DataFolder::new()?;
    folder.litigations(&[&row])?;
    folder.write("clio/practice_area.json", r#"{"id": 4, "name": "Trial Area"}"#)?;

    let (status, told, _) = called(&town, &folder, &["--dry-run"]).await?;
    assert_eq!(status, 1, "{told}");
    for words in [
        "gis on 2026-07-01 10:10:10 UTC",
        "waiting to go to Clio: 1 litigation",
        "\"Trial Area\" (4) is not ours",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let (status, _, complaint) = called(&town, &folder, &[]).await?;
    assert!(status == 2 && complaint.contains("--go-on"), "{status}: {complaint}");
    assert!(town.matters().await?.is_empty(), "a matter was made all the same");

    let (_, told, complaint) = called(&town, &folder, &["--go-on"]).await?;
    assert!(told.contains("import gis.active_litigations: 1 record read, 1 written"), "{told}{complaint}");
    assert!(told.contains("databridge migrate"), "{told}");
    assert_eq!(town.matters().await?.len(), 1);
    Ok(())
}
