//! What a sync costs in calls. The same at greater sizes is printed by `cargo run --release -p it --bin calls`.

use it::costs::{Bound, Meter, Step, edit_matters, edit_rows};
use it::town::{object_id, value, whole_config};
use it::{Town, TownOptions};
use sandbox::GisOptions;
use sandbox::calls::Counts;
use sandbox::client::GisEdit;
use sandbox::clio::hand::{EntryEdit, FieldEdit, MatterEdit, NewNote};

type Result = anyhow::Result<()>;

/// A town of the shipped overlap: what happens one after the other is within it, until the clock is moved.
async fn town_of(litigations: usize) -> anyhow::Result<Town> {
    Town::with(TownOptions {
        gis: GisOptions::city(litigations, 7),
        overlap_seconds: 120,
        ..TownOptions::default()
    })
    .await
}

/// A town that has migrated and then rested.
async fn rested_town_of(litigations: usize) -> anyhow::Result<Town> {
    let town = town_of(litigations).await?;
    town.migrate().await?;
    town.let_the_overlap_pass().await?;
    town.cycle().await?;
    Ok(town)
}

/// A town of all kinds of routes that has migrated and then rested.
async fn rested_whole_town_of(litigations: usize) -> anyhow::Result<Town> {
    let town = Town::with(TownOptions {
        gis: GisOptions::city(litigations, 7),
        config: whole_config(),
        overlap_seconds: 120,
        ..TownOptions::default()
    })
    .await?;
    town.migrate().await?;
    for _ in 0..2 {
        town.let_the_overlap_pass().await?;
        town.cycle().await?;
    }
    Ok(town)
}

/// The calls so far.
async fn cost(meter: Meter) -> anyhow::Result<Step> {
    meter.stop("", Bound::Calls(0)).await
}

/// Reads and writes of the map, reads and writes of Clio.
fn counts(step: &Step) -> (u64, u64, u64, u64) {
    let (gis, clio) = (&step.calls.gis, &step.calls.clio);
    (gis.reads, gis.writes, clio.reads, clio.writes)
}

/// Reads of Clio's custom fields.
fn custom_fields_read(clio: &Counts) -> u64 {
    clio.by_path.iter().filter(|(path, _)| path.contains("custom_fields")).map(|(_, count)| count).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migrate_costs_one_write_a_litigation_and_a_read_a_page() -> Result {
    let town = town_of(30).await?;
    let meter = Meter::start(&town).await?;
    town.migrate().await?;
    // The layer's page and its rows; the matters.
    let mut step = cost(meter).await?;
    // Before a listing of everything the custom fields are read again where that was a minute ago: a slow machine.
    step.calls.clio.reads -= custom_fields_read(&step.calls.clio).min(1);
    assert_eq!(counts(&step), (2, 0, 1, 30), "{:?}", step.calls);
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn until_the_overlap_has_passed_what_was_written_is_read_once_a_cycle_by_pages() -> Result {
    let town = town_of(210).await?;
    town.migrate().await?;
    for _ in 0..2 {
        let meter = Meter::start(&town).await?;
        town.cycle().await?;
        // Two pages of 200 matters; nothing was written to the map, whose last edit is long ago.
        assert_eq!(counts(&cost(meter).await?), (1, 0, 2, 0));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_with_nothing_changed_costs_one_read_a_side() -> Result {
    let town = rested_town_of(30).await?;
    for _ in 0..3 {
        let meter = Meter::start(&town).await?;
        let (gis, clio) = town.cycle().await?;
        assert_eq!(counts(&cost(meter).await?), (1, 0, 1, 0));
        assert_eq!((gis.summary.records, clio.summary.records), (0, 0));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_edits_on_the_map_cost_twenty_writes_and_three_reads() -> Result {
    let town = rested_town_of(30).await?;
    edit_rows(&town, 20, "Seen on site").await?;
    let meter = Meter::start(&town).await?;
    town.cycle().await?;
    // The layer's page and the edited rows; one page of matters, which shows our own writes.
    assert_eq!(counts(&cost(meter).await?), (2, 0, 1, 20));
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_edits_in_clio_cost_one_batch_of_edits_on_the_map() -> Result {
    let town = rested_town_of(30).await?;
    edit_matters(&town, 20, "Heard in court").await?;
    let meter = Meter::start(&town).await?;
    town.sync("clio").await?;
    // The page of matters; the rows just before they are written.
    let step = cost(meter).await?;
    assert_eq!((step.calls.clio.reads, step.calls.clio.writes), (1, 0));
    assert!(step.calls.gis.writes <= 2 && step.calls.gis.reads <= 2, "{:?}", step.calls.gis);
    let meter = Meter::start(&town).await?;
    town.cycle().await?;
    assert_eq!(counts(&cost(meter).await?), (2, 0, 1, 0));
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_edit_in_clio_goes_to_the_map_by_250_rows_at_a_time() -> Result {
    let town = rested_town_of(260).await?;
    edit_matters(&town, 260, "Bulk edit").await?;
    let meter = Meter::start(&town).await?;
    town.sync("clio").await?;
    let step = cost(meter).await?;
    assert_eq!(step.calls.clio.reads, 2, "two pages of matters");
    assert!(step.calls.gis.writes <= 4 && step.calls.gis.reads <= 4, "{:?}", step.calls.gis);
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn custom_fields_are_read_again_at_an_unknown_option_and_at_nothing_else() -> Result {
    let town = rested_town_of(5).await?;
    let custom_fields = async || anyhow::Ok(custom_fields_read(&town.admin.calls().await?.clio));
    town.admin.reset_calls().await?;
    edit_rows(&town, 5, "Seen on site").await?;
    town.cycle().await?;
    town.cycle().await?;
    assert_eq!(custom_fields().await?, 0);

    let option = FieldEdit { add_option: Some("Mediation".to_owned()), ..FieldEdit::default() };
    town.admin.edit_custom_field("Court Status", &option).await?;
    let matter = town.matters().await?.remove(0);
    town.admin.edit_matter(matter.id, &MatterEdit::field("Court Status", Some("Mediation"))).await?;
    town.sync("clio").await?;
    town.cycle().await?;
    assert_eq!(custom_fields().await?, 1);
    let row = town.row(&value(&matter, "Civil Warrant")).await?;
    assert_eq!(it::town::text(&row, "Court_Status"), "Mediation");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_of_every_kind_with_nothing_changed_costs_six_calls_at_most() -> Result {
    let town = rested_whole_town_of(30).await?;
    let meter = Meter::start(&town).await?;
    town.cycle().await?;
    let step = cost(meter).await?;
    assert_eq!(step.writes(), 0);
    assert!(step.reads() <= 6, "{:?}", step.calls);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_edits_of_every_kind_cost_ten_reads_at_most_either_way() -> Result {
    let town = rested_whole_town_of(60).await?;
    let rows = town.rows().await?;
    for (index, row) in (0_i64..20).zip(&rows) {
        let edit = match index % 3 {
            0 => GisEdit::field("BoardUp_Notes", format!("Boarded up again, {index}")),
            1 => GisEdit::field("NextCourtDate", 4_070_908_800_000 + 86_400_000 * index),
            _ => GisEdit::field("Court_Property_Owner", format!("Owner {index}")),
        };
        town.admin.edit_feature(town.layer(), object_id(row)?, &edit).await?;
    }
    let meter = Meter::start(&town).await?;
    town.cycle().await?;
    let step = cost(meter).await?;
    assert!(step.reads() - custom_fields_read(&step.calls.clio) <= 10, "from the map: {:?}", step.calls);
    town.let_the_overlap_pass().await?;
    town.cycle().await?;
    town.let_the_overlap_pass().await?;
    let matters = town.matters().await?;
    let entries = town.admin.calendar_entries().await?;
    for (index, matter) in matters.iter().skip(30).take(20).enumerate() {
        match (index % 3, entries.iter().find(|entry| entry.matter == Some(matter.id))) {
            (0, _) => {
                let note =
                    NewNote { matter: matter.id, detail: format!("Seen {index}"), ..NewNote::default() };
                town.admin.add_note(&note).await?;
            }
            (1, Some(entry)) => {
                let start = entry.start_at + chrono::TimeDelta::days(7);
                let edit = EntryEdit { start_at: Some(start), end_at: Some(start), ..EntryEdit::default() };
                town.admin.edit_calendar_entry(entry.id, &edit).await?;
            }
            _ => {
                let edit = MatterEdit::field("Defendent", Some(&format!("Defendant {index}")));
                town.admin.edit_matter(matter.id, &edit).await?;
            }
        }
    }
    let meter = Meter::start(&town).await?;
    town.cycle().await?;
    let step = cost(meter).await?;
    assert!(step.reads() - custom_fields_read(&step.calls.clio) <= 10, "from Clio: {:?}", step.calls);
    Ok(())
}
