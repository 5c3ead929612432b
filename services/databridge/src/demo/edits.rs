//! Edits as people make them, on either side.

use std::time::Instant;

use anyhow::Context;
use sandbox::Admin;
use sandbox::client::GisEdit;
use sandbox::clio::hand::MatterEdit;
use serde_json::Value;

use super::compare::{Comparer, Pair, value_of};
use super::{PATIENCE, seconds};
use crate::demo::stage::Stage;

/// How many arrivals are shown one by one.
const SHOWN: usize = 5;

/// An edit that was made on one side and should arrive on the other.
pub(crate) struct Edit {
    key: String,
    pair: Pair,
    value: String,
    made: Instant,
    to_clio: bool,
}

/// Changes rows of the layer.
pub(crate) async fn in_gis(
    admin: &Admin,
    stage: &Stage,
    comparer: &Comparer,
    count: usize,
) -> anyhow::Result<Vec<Edit>> {
    let pairs = texts(comparer);
    let matters = comparer.matters_by_key(admin).await?;
    let mut edits = Vec::new();
    let features = admin.features(stage.layer).await?;
    let rows = features.iter().filter(|feature| {
        let key = feature.attributes.get(&comparer.gis_key).map(text_of).unwrap_or_default();
        matters.get(&key).is_some_and(|matters| matters.len() == 1)
    });
    for (feature, pair) in rows.zip(pairs.iter().cycle()).take(count) {
        let object_id =
            feature.attributes.get("OBJECTID").and_then(Value::as_i64).context("a row without OBJECTID")?;
        let key = feature.attributes.get(&comparer.gis_key).map(text_of).unwrap_or_default();
        let value = edited(&value_of(feature, pair), "seen on site");
        admin.edit_feature(stage.layer, object_id, &GisEdit::field(&pair.gis, value.clone())).await?;
        edits.push(Edit { key, pair: pair.clone(), value, made: Instant::now(), to_clio: true });
    }
    Ok(edits)
}

/// Changes matters.
pub(crate) async fn in_clio(admin: &Admin, comparer: &Comparer, count: usize) -> anyhow::Result<Vec<Edit>> {
    let pairs = texts(comparer);
    let mut edits = Vec::new();
    let matters = admin.matters().await?;
    let ours = matters.iter().rev().filter_map(|matter| {
        let key = matter.custom_fields.get(&comparer.clio_key)?.clone()?;
        Some((matter, key))
    });
    for ((matter, key), pair) in ours.zip(pairs.iter().rev().cycle()).take(count) {
        let before = matter.custom_fields.get(&pair.clio).cloned().flatten().unwrap_or_default();
        let value = edited(&before, "heard in court");
        admin.edit_matter(matter.id, &MatterEdit::field(&pair.clio, Some(&value))).await?;
        edits.push(Edit { key, pair: pair.clone(), value, made: Instant::now(), to_clio: false });
    }
    Ok(edits)
}

/// Waits until every edit has arrived on the other side, and shows some.
pub(crate) async fn show_arrivals(
    admin: &Admin,
    layer: u32,
    comparer: &Comparer,
    edits: &[Edit],
) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let missing = missing(admin, layer, comparer, edits).await?;
        if missing == 0 || Instant::now() > deadline {
            for edit in edits.iter().take(SHOWN) {
                let (from, to) = if edit.to_clio {
                    (&edit.pair.gis, &edit.pair.clio)
                } else {
                    (&edit.pair.clio, &edit.pair.gis)
                };
                println!(
                    "  {}: {from} -> {to}: `{}` arrived within {:.1} s",
                    edit.key,
                    short(&edit.value),
                    seconds(edit.made)
                );
            }
            println!("  {} of {} edits have arrived.", edits.len() - missing, edits.len());
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

async fn missing(admin: &Admin, layer: u32, comparer: &Comparer, edits: &[Edit]) -> anyhow::Result<usize> {
    let matters = comparer.matters_by_key(admin).await?;
    let features = admin.features(layer).await?;
    let arrived = |edit: &&Edit| {
        if edit.to_clio {
            matters.get(&edit.key).and_then(|matters| matters.first()?.get(&edit.pair.clio))
                == Some(&edit.value)
        } else {
            features.iter().any(|feature| {
                feature.attributes.get(&comparer.gis_key).map(text_of).as_deref() == Some(edit.key.as_str())
                    && value_of(feature, &edit.pair) == edit.value
            })
        }
    };
    Ok(edits.len() - edits.iter().filter(arrived).count())
}

/// Fields of free text that go both ways: what people edit most.
fn texts(comparer: &Comparer) -> Vec<Pair> {
    let choices = ["Status", "Class", "ID", "Number"];
    let free = |pair: &&Pair| pair.both_ways && !choices.iter().any(|word| pair.clio.contains(word));
    comparer.pairs.iter().filter(free).cloned().collect()
}

/// The text with a remark, short enough for any field.
fn edited(text: &str, remark: &str) -> String {
    let kept: String = text.chars().take(100).collect();
    format!("{kept} ({remark})").trim().to_owned()
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), |text| text.trim().to_owned())
}

fn short(text: &str) -> String {
    text.chars().take(50).collect()
}
