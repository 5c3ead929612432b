//! Nothing of a matter outside our group and practice area appears on NATS.

use chrono::TimeDelta;
use databridge_broker::names;
use databridge_model::SyncRequest;
use it::Town;
use it::town::{TownOptions, text, value, whole_config};
use sandbox::GisOptions;
use sandbox::client::GisEdit;
use sandbox::clio::hand::{
    MatterEdit, NewDocument, NewEntry, NewMatter, NewNote, NoteEdit, Property, Upload,
};
use sandbox::clio::seed::{FOREIGN_MARK, FOREIGN_MATTERS};

use crate::bad_input::matter_by_hand;

type Result = anyhow::Result<()>;

/// The subjects of all messages, in every stream and bucket, whose subject, headers or body hold this text.
async fn mentions(town: &Town, needle: &str) -> anyhow::Result<Vec<String>> {
    let streams = town.streams().await?;
    for needed in [names::SYNC, names::PULL, names::OUTCOME, names::RUN, names::PUSH, names::DEAD, "KV_links"]
    {
        anyhow::ensure!(streams.iter().any(|stream| stream == needed), "{needed} is not among {streams:?}");
    }
    let mut found = Vec::new();
    for stream in streams {
        for message in town.messages(&stream).await? {
            let whole = format!("{} {:?} {}", message.subject, message.headers, message.text());
            if whole.contains(needle) {
                found.push(format!("{stream}: {}", message.subject));
            }
        }
    }
    Ok(found)
}

/// Matters that look like ours in all but one thing, and bear the mark.
fn lookalikes(warrant: &str) -> Vec<NewMatter> {
    let marked = |matter: NewMatter| {
        let mut matter = NewMatter { description: format!("{FOREIGN_MARK} lookalike"), ..matter };
        matter.custom_fields.insert("Property Owner".to_owned(), Some(format!("{FOREIGN_MARK} owner")));
        matter
    };
    let ours = || matter_by_hand(warrant);
    [
        NewMatter { group: Some("Family Law Team".to_owned()), ..ours() },
        NewMatter { group: Some("NP Clinic Archive".to_owned()), ..ours() },
        NewMatter { group: None, ..ours() },
        NewMatter { practice_area: Some("Family".to_owned()), ..ours() },
        NewMatter { practice_area: None, ..ours() },
    ]
    .into_iter()
    .map(marked)
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_foreign_matter_appears_in_any_stream_or_bucket() -> Result {
    let town = Town::of(4).await?;
    let warrants: Vec<_> = town.rows().await?.iter().map(|row| text(row, "CivilWarrant")).collect();
    let mut foreign = Vec::new();
    for matter in lookalikes(&warrants[0]) {
        foreign.push(town.admin.add_matter(&matter).await?);
    }
    let marked = town.admin.matters().await?;
    let marked = marked.iter().filter(|matter| matter.description.contains(FOREIGN_MARK)).count();
    assert_eq!(marked, FOREIGN_MATTERS + foreign.len(), "there is something to be found");
    town.migrate().await?;
    town.cycle().await?;
    for matter in &foreign {
        let edit = MatterEdit::field("Defendent", Some(&format!("{FOREIGN_MARK} defendant")));
        town.admin.edit_matter(matter.id, &edit).await?;
    }
    town.cycle().await?;
    town.full_sync("clio").await?;
    // Asked for by their ids, they are not there.
    let ids: Vec<_> = foreign.iter().map(|matter| matter.id.to_string()).collect();
    town.request("clio", SyncRequest { ids, ..SyncRequest::default() }).await?;
    assert_eq!(mentions(&town, FOREIGN_MARK).await?, [] as [String; 0]);
    let own = mentions(&town, &warrants[0]).await?;
    assert!(own.iter().any(|place| place.starts_with("KV_links")), "the search finds what is there: {own:?}");
    let ours: Vec<_> = town
        .admin
        .matters()
        .await?
        .into_iter()
        .filter(|matter| !matter.description.contains(FOREIGN_MARK))
        .collect();
    assert_eq!(ours.len(), 4, "a lookalike does not stand for our own matter");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_matter_that_leaves_our_group_is_told_no_more() -> Result {
    let town = Town::of(2).await?;
    town.migrate().await?;
    let matter = town.matters().await?.remove(0);
    let warrant = value(&matter, "Civil Warrant");
    let edit = MatterEdit {
        group: Some("Family Law Team".to_owned()),
        description: Some(format!("{FOREIGN_MARK}: taken over by another team")),
        ..MatterEdit::field("Property Owner", Some(&format!("{FOREIGN_MARK} owner")))
    };
    town.admin.edit_matter(matter.id, &edit).await?;
    town.cycle().await?;
    // The litigation's own edit aims at a matter that is not ours any more.
    let row = town.row(&warrant).await?;
    town.edit_row(&row, "Court_Property_Owner", "New Owner").await?;
    town.cycle().await?;
    town.full_sync("clio").await?;
    town.request("clio", SyncRequest { ids: vec![matter.id.to_string()], ..SyncRequest::default() }).await?;
    assert_eq!(mentions(&town, FOREIGN_MARK).await?, [] as [String; 0]);
    assert_eq!(text(&town.row(&warrant).await?, "Court_Property_Owner"), "New Owner");
    let left = town.admin.matters().await?.into_iter().find(|left| left.id == matter.id).unwrap();
    assert_eq!(value(&left, "Property Owner"), format!("{FOREIGN_MARK} owner"), "nor is it written to");
    Ok(())
}

/// A town of all kinds of routes.
async fn whole_town(litigations: usize) -> anyhow::Result<Town> {
    let gis = GisOptions::city(litigations, 7);
    Town::with(TownOptions { gis, config: whole_config(), ..TownOptions::default() }).await
}

/// What others write on a matter: a note, an entry in our own calendar, and a document as if it came from an attachment.
/// Gives their ids.
async fn others_write(town: &Town, matter: i64, attachment: &str) -> anyhow::Result<Vec<String>> {
    let words = format!("{FOREIGN_MARK}: a word with the client");
    let note = NewNote { matter, subject: words.clone(), detail: words.clone(), ..NewNote::default() };
    let note = town.admin.add_note(&note).await?;
    let start = town.admin.now().await? + TimeDelta::days(3);
    let entry = NewEntry::new("NP Clinic Calendar", &words, start, start + TimeDelta::hours(1)).on(matter);
    let recurring = NewEntry { recurrence_rule: Some("FREQ=WEEKLY".to_owned()), ..entry.clone() };
    let entries = [&entry, &recurring].map(|entry| town.admin.add_calendar_entry(entry));
    let entries = futures::future::try_join_all(entries).await?;
    let document = NewDocument {
        matter,
        name: words,
        external_properties: vec![Property::new("GIS_ID", attachment)],
        upload: Upload::of(b"SECRET"),
        ..NewDocument::default()
    };
    let document = town.admin.add_document(&document).await?;
    let ids = [note.id, document.id].into_iter().chain(entries.iter().map(|entry| entry.id));
    Ok(ids.map(|id| id.to_string()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_hangs_on_a_foreign_matter_appears_in_any_stream_or_bucket() -> Result {
    let town = whole_town(6).await?;
    let attachments = town.admin.gis_attachments(town.layer()).await?;
    let first = attachments.first().map(|it| it.id.to_string()).unwrap_or_default();
    let warrant = text(&town.rows().await?[0], "CivilWarrant");
    let mut ids = Vec::new();
    for matter in lookalikes(&warrant) {
        let matter = town.admin.add_matter(&matter).await?;
        ids.extend(others_write(&town, matter.id, &first).await?);
    }
    town.migrate().await?;
    town.cycle().await?;
    for note in town.admin.notes().await?.iter().filter(|note| ids.contains(&note.id.to_string())) {
        let edit = NoteEdit { detail: Some(format!("{FOREIGN_MARK} again")), ..NoteEdit::default() };
        town.admin.edit_note(note.id, &edit).await?;
    }
    town.cycle().await?;
    town.full_sync("clio").await?;
    town.request("clio", SyncRequest { ids, ..SyncRequest::default() }).await?;
    for mark in [FOREIGN_MARK, "SECRET"] {
        assert_eq!(mentions(&town, mark).await?, [] as [String; 0]);
    }
    let ours: Vec<_> =
        town.matters().await?.into_iter().filter(|it| !it.description.contains(FOREIGN_MARK)).collect();
    let documents = town.admin.documents().await?;
    let ours = documents.iter().filter(|it| ours.iter().any(|matter| it.matter == Some(matter.id))).count();
    assert_eq!(ours, attachments.len(), "a foreign document does not stand for ours");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hangs_on_a_matter_that_leaves_our_group_is_told_no_more() -> Result {
    let town = whole_town(4).await?;
    town.migrate().await?;
    town.cycle().await?;
    let matter = town.matters().await?.remove(0);
    let edit = MatterEdit { group: Some("Family Law Team".to_owned()), ..MatterEdit::default() };
    town.admin.edit_matter(matter.id, &edit).await?;
    // At once, while it is remembered that the matter was ours.
    let ids = others_write(&town, matter.id, "none of the map's").await?;
    for note in town.admin.notes().await?.iter().filter(|note| note.matter == Some(matter.id)) {
        let edit = NoteEdit { detail: Some(format!("{FOREIGN_MARK} advice")), ..NoteEdit::default() };
        town.admin.edit_note(note.id, &edit).await?;
    }
    town.cycle().await?;
    let row = town.row(&value(&matter, "Civil Warrant")).await?;
    let edit = GisEdit::field("BoardUp_Notes", "Boarded again");
    town.admin.edit_feature(town.layer(), it::town::object_id(&row)?, &edit).await?;
    town.cycle().await?;
    town.full_sync("clio").await?;
    town.request("clio", SyncRequest { ids, ..SyncRequest::default() }).await?;
    assert_eq!(mentions(&town, FOREIGN_MARK).await?, [] as [String; 0]);
    assert_eq!(text(&town.row(&value(&matter, "Civil Warrant")).await?, "BoardUp_Notes"), "Boarded again");
    Ok(())
}
