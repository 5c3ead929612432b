//! Plans of syncs: what each kind of route would do, and then does.

use std::collections::BTreeMap;

use databridge::follow::Story;
use databridge::plan::Plan;
use databridge_model::{Mode, Op, SyncRequest, Value, WouldPush};
use it::Town;
use it::town::{TownOptions, object_id, text, value, whole_config};
use sandbox::GisOptions;
use sandbox::client::GisFile;
use sandbox::clio::hand::{EntryEdit, EntryPage, MatterPage, NewNote};

type Result = anyhow::Result<()>;

/// A town of 20 litigations that has migrated and then rested.
async fn town() -> anyhow::Result<Town> {
    let town = Town::with(TownOptions {
        gis: GisOptions::city(20, 7),
        config: whole_config(),
        ..TownOptions::default()
    })
    .await?;
    town.migrate().await?;
    rest(&town).await?;
    Ok(town)
}

async fn rest(town: &Town) -> Result {
    for _ in 0..2 {
        town.let_the_overlap_pass().await?;
        town.cycle().await?;
    }
    Ok(())
}

/// What was planned, as `update gis.active_litigations`, and how often.
type Done = BTreeMap<String, usize>;

fn counted(pushes: &[WouldPush]) -> Done {
    let mut done = Done::new();
    for push in pushes {
        let op = match push.op {
            Op::Create => "create",
            Op::Update => "update",
            Op::Delete => "delete",
        };
        *done.entry(format!("{op} {}.{}", push.system, push.collection)).or_default() += 1;
    }
    done
}

/// Plans a sync, which may write nothing, and then does it, which must write as many records and tell the same as waiting.
async fn planned_and_done(town: &Town, system: &str, mode: Mode) -> anyhow::Result<(Done, Story)> {
    let before = town.writes().await?;
    let request = SyncRequest { mode, dry_run: true, ..SyncRequest::default() };
    let planned = town.request(system, request).await?;
    assert_eq!(town.writes().await?, before, "a plan wrote");
    assert_eq!(planned.summary.errors, Vec::<String>::new());
    let done = town.request(system, SyncRequest { mode, ..SyncRequest::default() }).await?;
    assert_eq!(done.summary.written, planned.would_push.len() as u64, "{:?}", planned.would_push);
    let waiting = |story: &Story| {
        let mut all: Vec<_> = story.parked.iter().map(|it| (it.id.clone(), it.reason.clone())).collect();
        all.sort();
        all
    };
    assert_eq!(waiting(&planned), waiting(&done));
    Ok((counted(&planned.would_push), planned))
}

fn only(what: &str) -> Done {
    Done::from([(what.to_owned(), 1)])
}

/// An entry of our calendar that is the next court date of one of ours.
async fn an_entry(town: &Town) -> anyhow::Result<(EntryPage, MatterPage)> {
    let now = town.admin.now().await?;
    let matters = town.matters().await?;
    let entries = town.admin.calendar_entries().await?;
    let ours = entries.into_iter().filter(|entry| entry.start_at > now).find_map(|entry| {
        let matter = matters.iter().find(|matter| Some(matter.id) == entry.matter)?;
        Some((entry, matter.clone()))
    });
    ours.ok_or_else(|| anyhow::anyhow!("no entry is to come"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_a_sync_tells_an_edit_on_either_side() -> Result {
    let town = town().await?;
    let row = town.rows().await?.remove(1);
    town.edit_row(&row, "Court_Property_Owner", "Sold").await?;
    let (done, story) = planned_and_done(&town, "gis", Mode::Incremental).await?;
    assert_eq!(done, only("update clio.matters"));
    let plan = Plan::of("sync gis", &story, &town.office.config);
    assert_eq!(plan.findings.replaced.len(), 1, "{:?}", plan.findings);
    rest(&town).await?;
    let matter = town.matters().await?.remove(4);
    town.edit_matter(&matter, "Parcel ID", "77").await?;
    let (done, _) = planned_and_done(&town, "clio", Mode::Incremental).await?;
    assert_eq!(done, only("update gis.active_litigations"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_a_sync_tells_a_note_and_a_remark() -> Result {
    let town = town().await?;
    let matter = town.matters().await?.remove(2);
    let note = NewNote {
        matter: matter.id,
        detail: "Boarded again".to_owned(),
        date: Some("2099-03-01".parse()?),
        ..NewNote::default()
    };
    town.admin.add_note(&note).await?;
    let (done, _) = planned_and_done(&town, "clio", Mode::Incremental).await?;
    assert_eq!(done, only("update gis.active_litigations"));
    rest(&town).await?;
    let row = town.row(&value(&matter, "Civil Warrant")).await?;
    town.edit_row(&row, "BoardUp_Notes", "Windows are open").await?;
    let (done, _) = planned_and_done(&town, "gis", Mode::Incremental).await?;
    assert_eq!(done, only("create clio.notes"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_a_sync_tells_a_moved_entry_and_a_new_day_on_the_map() -> Result {
    let town = town().await?;
    let (entry, matter) = an_entry(&town).await?;
    let by = chrono::TimeDelta::days(3);
    let moved = EntryEdit {
        start_at: Some(entry.start_at + by),
        end_at: Some(entry.end_at + by),
        ..EntryEdit::default()
    };
    town.admin.edit_calendar_entry(entry.id, &moved).await?;
    let (done, _) = planned_and_done(&town, "clio", Mode::Incremental).await?;
    let both = ["update clio.matters", "update gis.active_litigations"].map(|it| (it.to_owned(), 1));
    assert_eq!(done, Done::from(both));
    rest(&town).await?;
    let row = town.row(&value(&matter, "Civil Warrant")).await?;
    let at = (entry.start_at + by * 2).timestamp_millis();
    let edit = sandbox::client::GisEdit::field("NextCourtDate", at);
    town.admin.edit_feature(town.layer(), object_id(&row)?, &edit).await?;
    let (done, _) = planned_and_done(&town, "gis", Mode::Incremental).await?;
    let both = ["update clio.calendar_entries", "update clio.matters"].map(|it| (it.to_owned(), 1));
    assert_eq!(done, Done::from(both));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_a_sync_tells_the_row_of_a_dismissal() -> Result {
    let town = town().await?;
    let matters = town.matters().await?;
    let matter =
        matters.iter().find(|it| value(it, "Court Status") != "Dismissed").expect("one that is open");
    town.edit_matter(matter, "Court Status", "Dismissed").await?;
    let (done, _) = planned_and_done(&town, "clio", Mode::Incremental).await?;
    let both =
        ["create gis.litigation_history", "update gis.active_litigations"].map(|it| (it.to_owned(), 1));
    assert_eq!(done, Done::from(both));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_row_of_a_new_setting_has_the_new_day_though_the_map_was_not_read_in_between() -> Result {
    let town = town().await?;
    let (entry, _) = an_entry(&town).await?;
    let at = entry.start_at + chrono::TimeDelta::days(3);
    let moved = EntryEdit {
        start_at: Some(at),
        end_at: Some(at + chrono::TimeDelta::hours(1)),
        ..EntryEdit::default()
    };
    town.admin.edit_calendar_entry(entry.id, &moved).await?;
    town.sync("clio").await?;
    town.let_the_overlap_pass().await?;
    let (done, story) = planned_and_done(&town, "clio", Mode::Incremental).await?;
    assert_eq!(done, only("create gis.litigation_history"));
    assert_eq!(story.would_push[0].set.get("NextSetting"), Some(&Value::instant(at)));
    let rows = town.admin.features(6).await?;
    assert_eq!(rows.last().map(|row| text(row, "NextSetting")), Some(at.timestamp_millis().to_string()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_a_full_sync_tells_replaced_contents() -> Result {
    let town = town().await?;
    let attachment = town.admin.gis_attachments(town.layer()).await?.remove(0);
    let file = GisFile::of(&attachment.name, &attachment.content_type, vec![7; 321]);
    town.admin.replace_gis_attachment(town.layer(), (attachment.object_id, attachment.id), &file).await?;
    let (done, story) = planned_and_done(&town, "gis", Mode::Full).await?;
    assert_eq!(done, only("update clio.documents"));
    let plan = Plan::of("full sync gis", &story, &town.office.config);
    assert_eq!(plan.findings.other_content.len(), 1, "{:?}", plan.findings);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_a_full_sync_tells_what_is_gone_from_the_map_and_what_becomes_of_its_partner() -> Result {
    let town = town().await?;
    let attachment = town.admin.gis_attachments(town.layer()).await?.remove(0);
    town.admin.delete_gis_attachment(town.layer(), (attachment.object_id, attachment.id)).await?;
    let (done, story) = planned_and_done(&town, "gis", Mode::Full).await?;
    assert_eq!((done, story.parked.len()), (Done::new(), 1), "its document is left, and a person is told");
    rest(&town).await?;
    let attachments = town.admin.gis_attachments(town.layer()).await?;
    let rows = town.rows().await?;
    let has_none = |row: &&sandbox::client::GisFeature| {
        object_id(row).is_ok_and(|id| attachments.iter().all(|attachment| attachment.object_id != id))
    };
    let row = rows.iter().find(has_none).expect("a row without attachments");
    town.admin.delete_feature(town.layer(), object_id(row)?).await?;
    let (done, story) = planned_and_done(&town, "gis", Mode::Full).await?;
    assert_eq!((done, story.parked.len()), (only("update clio.matters"), 1), "its matter is marked");
    assert_eq!(story.would_push[0].set.keys().collect::<Vec<_>>(), ["GIS Record"]);
    assert!(!text(row, "CivilWarrant").is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_a_full_sync_tells_what_is_gone_from_clio() -> Result {
    let town = town().await?;
    let (entry, _) = an_entry(&town).await?;
    town.admin.delete_calendar_entry(entry.id).await?;
    let (done, _) = planned_and_done(&town, "clio", Mode::Full).await?;
    let both = ["update clio.matters", "update gis.active_litigations"].map(|it| (it.to_owned(), 1));
    assert_eq!(done, Done::from(both), "the court date is emptied");
    rest(&town).await?;
    let matter = town.matters().await?.remove(7);
    town.admin.delete_matter(matter.id).await?;
    let (done, story) = planned_and_done(&town, "clio", Mode::Full).await?;
    assert_eq!(done, Done::new(), "its litigation is left");
    assert!(
        story.parked.iter().any(|it| it.id.as_deref() == Some(&matter.id.to_string())),
        "{:?}",
        story.parked
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_a_sync_since_a_moment_reads_what_changed_since() -> Result {
    let town = town().await?;
    let row = town.rows().await?.remove(1);
    let since = town.admin.now().await?;
    town.let_the_overlap_pass().await?;
    town.edit_row(&row, "Court_Property_Owner", "Sold").await?;
    let request = SyncRequest { since: Some(since), dry_run: true, ..SyncRequest::default() };
    let story = town.request("gis", request).await?;
    assert_eq!(counted(&story.would_push), only("update clio.matters"));
    assert_eq!(story.summary.records, 1, "{story:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_calls_of_a_plan_are_those_of_the_migrate_at_the_limit_that_the_system_names() -> Result {
    let town = Town::with(TownOptions {
        gis: GisOptions::city(10, 7),
        config: whole_config(),
        rate_limit: Some(5_000),
        ..TownOptions::default()
    })
    .await?;
    let request = SyncRequest { mode: Mode::Migrate, dry_run: true, ..SyncRequest::default() };
    let story = town.request("gis", request.clone()).await?;
    let plan = Plan::of("migrate gis", &story, &town.office.config);
    let of =
        |system: &str| plan.systems.iter().find(|(name, _)| name.as_str() == system).map(|(_, calls)| calls);
    let clio = of("clio").expect("calls of Clio's");
    assert_eq!((clio.calls_per_minute, clio.limit_is_told), (Some(5_000), true));
    town.admin.reset_calls().await?;
    town.migrate().await?;
    let calls = town.admin.calls().await?;
    // What a plan cannot know: before records are made below matters, it is asked whether these are ours still, of many
    // with one call; and on a slow machine the custom fields are read once more.
    let of_matters = calls.clio.by_path.get("GET matters").copied().unwrap_or_default() - 1;
    let reads = calls.clio.reads - of_matters - clio.reads;
    assert!(of_matters <= 2 && reads <= 1, "{clio:?}, and it cost {:?}", calls.clio);
    assert_eq!(calls.clio.writes, clio.writes, "{:?}", calls.clio);
    assert_eq!(clio.contents, town.admin.gis_attachments(town.layer()).await?.len() as u64);
    Ok(())
}
