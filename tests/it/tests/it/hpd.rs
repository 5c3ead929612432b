//! Real housing cases with a config folder of their own, and rows of them made wrong by hand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use databridge_model::{Key, Parked};
use it::town::{project, text, value};
use it::{Town, TownOptions};
use sandbox::GisOptions;
use sandbox::csv_layer::{CsvLayer, layer_from_csv};

type Result = anyhow::Result<()>;

/// The real cases. They are not copied into this repository; without them the tests say that they are skipped.
fn real_cases() -> Option<PathBuf> {
    let file = project().join("../shared/data/hpd_violations.csv");
    if file.exists() {
        return Some(file);
    }
    println!("skipped: {} is not here", file.display());
    None
}

async fn town_of(loaded: CsvLayer) -> anyhow::Result<Town> {
    Town::with(TownOptions {
        gis: GisOptions::layers(vec![loaded.layer]),
        config: project().join("config/examples/hpd"),
        ..TownOptions::default()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_real_cases_migrate_and_none_differs() -> Result {
    let Some(file) = real_cases() else { return Ok(()) };
    let town = town_of(layer_from_csv(&file, 0)?).await?;
    let story = town.migrate().await?;
    assert_eq!((story.summary.written, story.parked.as_slice()), (100, [].as_slice()));
    let comparison = town.compare(&[]).await?;
    assert_eq!((comparison.records, comparison.matters), (100, 100));
    assert!(comparison.compared.values > 1000 && comparison.differences.is_empty(), "{comparison:?}");

    town.admin.reset_calls().await?;
    let story = town.migrate().await?;
    town.cycle().await?;
    assert_eq!(story.summary.pushes, 0);
    assert_eq!(town.writes().await?, (0, 0));
    Ok(())
}

/// A row of the real file, by its columns.
type Row = BTreeMap<String, String>;

fn rows_of(file: &Path) -> anyhow::Result<(Vec<String>, Vec<Row>)> {
    let mut reader = csv::Reader::from_path(file)?;
    let columns: Vec<String> = reader.headers()?.iter().map(str::to_owned).collect();
    let row = |record: std::result::Result<csv::StringRecord, csv::Error>| {
        anyhow::Ok(columns.iter().cloned().zip(record?.iter().map(str::to_owned)).collect())
    };
    let rows = reader.records().map(row).collect::<anyhow::Result<Vec<Row>>>()?;
    Ok((columns, rows))
}

fn write_rows(file: &Path, columns: &[String], rows: &[Row]) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_path(file)?;
    writer.write_record(columns)?;
    for row in rows {
        writer.write_record(columns.iter().map(|column| row.get(column).map_or("", String::as_str)))?;
    }
    Ok(writer.flush()?)
}

fn only<'a>(parked: &'a [Parked], what: &str, is_it: impl Fn(&Parked) -> bool) -> anyhow::Result<&'a Parked> {
    let found: Vec<_> = parked.iter().filter(|one| is_it(one)).collect();
    match found.as_slice() {
        [one] => Ok(one),
        others => anyhow::bail!("{what} is named {} times: {parked:?}", others.len()),
    }
}

const NO_PLACE: usize = 1;
const TOO_LONG: usize = 3;
const ODD_TEXT: usize = 5;
const NO_KEY: usize = 7;
const DOUBLED: usize = 9;
const ODD: &str = "He said \"no\",\nthen \"yes\";\r\n\ttwo lines, one tab";

#[tokio::test(flavor = "multi_thread")]
async fn rows_made_wrong_by_hand_are_each_named_and_the_others_pass() -> Result {
    let Some(file) = real_cases() else { return Ok(()) };
    let (columns, mut rows) = rows_of(&file)?;
    rows.truncate(12);
    let mut set = |row: usize, column: &str, value: &str| {
        rows.get_mut(row).and_then(|row| row.insert(column.to_owned(), value.to_owned())).map(drop)
    };
    set(NO_PLACE, "Latitude", "").and_then(|()| set(NO_PLACE, "Longitude", "")).context("no place")?;
    set(TOO_LONG, "NOVDescription", &"long ".repeat(14_000)).context("no text")?;
    set(ODD_TEXT, "NOVDescription", ODD).context("no text")?;
    set(NO_KEY, "ViolationID", "").context("no key")?;
    let mut double = rows[DOUBLED].clone();
    double.insert("StreetName".to_owned(), "ANOTHER STREET".to_owned());
    rows.push(double);
    let folder = tempfile::tempdir()?;
    let copy = folder.path().join("violations.csv");
    write_rows(&copy, &columns, &rows)?;
    let id = |row: usize| rows[row]["ViolationID"].clone();

    let loaded = layer_from_csv(&copy, 0)?;
    assert_eq!(loaded.layer.len(), 13, "every row is on the map");
    let [warning] = loaded.warnings.as_slice() else { panic!("{:?}", loaded.warnings) };
    assert_eq!(warning.to_string(), "line 3: the row has no coordinates, so it has no point");

    let town = town_of(loaded).await?;
    let story = town.migrate().await?;
    let parked = &story.parked;

    // Twelve rows and a double; no matter for the row without key, nor for the two of one key.
    assert_eq!(town.matters().await?.len(), 10, "{parked:?}");
    assert_eq!((story.summary.written, story.summary.failed), (10, 0));
    let comparison = town.compare(parked).await?;
    assert!(comparison.differences.is_empty(), "{comparison:?}");

    let no_place = town.matter(&id(NO_PLACE)).await?;
    assert_eq!((value(&no_place, "Longitude"), value(&no_place, "Latitude")), (String::new(), String::new()));
    assert_eq!(value(&no_place, "Street"), rows[NO_PLACE]["StreetName"]);

    let too_long = only(parked, "the long text", |one| one.field.as_deref() == Some("Notice of Violation"))?;
    assert_eq!(too_long.key.as_ref().map(Key::as_str), Some(id(TOO_LONG).as_str()));
    assert!(too_long.reason.contains("65535"), "{too_long:?}");
    let matter = town.matter(&id(TOO_LONG)).await?;
    assert_eq!(value(&matter, "Notice of Violation"), "");
    assert_eq!(value(&matter, "Street"), rows[TOO_LONG]["StreetName"]);

    assert_eq!(value(&town.matter(&id(ODD_TEXT)).await?, "Notice of Violation"), ODD);

    let object_id = format!("{}@", NO_KEY + 1);
    let no_key = only(parked, "the row without key", |one| one.key.is_none())?;
    assert!(no_key.id.as_ref().is_some_and(|id| id.starts_with(&object_id)), "{no_key:?}");

    let doubled: Vec<_> =
        parked.iter().filter(|one| one.key.as_ref().is_some_and(|key| key.as_str() == id(DOUBLED))).collect();
    assert!(!doubled.is_empty() && doubled.iter().all(|one| one.field.is_none()), "{parked:?}");
    assert!(town.matter(&id(DOUBLED)).await.is_err(), "neither of the two has a matter");

    // Whoever mends them sees them go over.
    let twin = town.rows().await?.into_iter().find(|row| text(row, "StreetName") == "ANOTHER STREET");
    let twin = it::town::object_id(&twin.context("no twin")?)?;
    town.admin.delete_feature(town.layer(), twin).await?;
    let story = town.migrate().await?;
    assert_eq!(town.matters().await?.len(), 11, "{:?}", story.parked);
    assert_eq!(value(&town.matter(&id(DOUBLED)).await?, "Street"), rows[DOUBLED]["StreetName"]);
    Ok(())
}
