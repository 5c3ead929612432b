//! Edits as people make them, on either side.

use std::time::{Duration, Instant};

use anyhow::Context;
use databridge_config::ConfigFolder;
use databridge_model::FieldType;
use sandbox::Admin;
use sandbox::client::GisEdit;
use sandbox::clio::hand::MatterEdit;
use serde_json::Value;

use super::compare::{Comparer, Pair, value_of};

/// How many arrivals are shown one by one.
const SHOWN: usize = 5;
/// Columns of a value that is shown.
const VALUE_WIDTH: usize = 32;
/// How long after the end of its run an edit may take to show.
const PATIENCE: Duration = Duration::from_secs(10);

/// An edit that was made on one side and should arrive on the other.
pub(crate) struct Edit {
    key: String,
    pair: Pair,
    value: String,
    made: Instant,
    to_clio: bool,
}

/// Makes edits on either side and waits for them on the other.
pub(crate) struct People<'a> {
    admin: &'a Admin,
    layer: u32,
    comparer: &'a Comparer,
    free: Vec<Pair>,
}

impl<'a> People<'a> {
    /// People who edit what takes any text on both sides.
    pub(crate) fn new(
        admin: &'a Admin,
        layer: u32,
        comparer: &'a Comparer,
        config: &ConfigFolder,
    ) -> anyhow::Result<Self> {
        Ok(Self { admin, layer, comparer, free: free_texts(comparer, config)? })
    }

    /// Changes rows of the layer.
    pub(crate) async fn edit_the_map(&self, count: usize) -> anyhow::Result<Vec<Edit>> {
        let matters = self.comparer.matters_by_key(self.admin).await?;
        let mut edits = Vec::new();
        let features = self.admin.features(self.layer).await?;
        let rows = features.iter().filter_map(|feature| {
            let key = self.comparer.key_of(feature);
            matters.get(&key).is_some_and(|matters| matters.len() == 1).then_some((feature, key))
        });
        for (turn, (feature, key)) in rows.take(count).enumerate() {
            let Some(pair) = self.choose(turn, |pair| value_of(feature, pair)) else { break };
            let object_id = feature.attributes.get("OBJECTID").and_then(Value::as_i64);
            let value = edited(&value_of(feature, pair), "seen on site");
            let edit = GisEdit::field(&pair.gis, value.clone());
            let object_id = object_id.context("a row without OBJECTID")?;
            self.admin.edit_feature(self.layer, object_id, &edit).await?;
            edits.push(Edit { key, pair: pair.clone(), value, made: Instant::now(), to_clio: true });
        }
        Ok(edits)
    }

    /// Changes matters.
    pub(crate) async fn edit_clio(&self, count: usize) -> anyhow::Result<Vec<Edit>> {
        let mut edits = Vec::new();
        let matters = self.admin.matters().await?;
        let ours = matters.iter().rev().filter_map(|matter| {
            let key = matter.custom_fields.get(&self.comparer.clio_key)?.clone()?;
            Some((matter, key))
        });
        for (turn, (matter, key)) in ours.take(count).enumerate() {
            let value =
                |pair: &Pair| matter.custom_fields.get(&pair.clio).cloned().flatten().unwrap_or_default();
            let Some(pair) = self.choose(turn, value) else { break };
            let value = edited(&value(pair), "heard in court");
            self.admin.edit_matter(matter.id, &MatterEdit::field(&pair.clio, Some(&value))).await?;
            edits.push(Edit { key, pair: pair.clone(), value, made: Instant::now(), to_clio: false });
        }
        Ok(edits)
    }

    /// A field to edit, another one each turn: one that holds words where there is one.
    fn choose(&self, turn: usize, value: impl Fn(&Pair) -> String) -> Option<&Pair> {
        let mut round = self.free.iter().cycle().skip(turn).take(self.free.len());
        let next = round.clone().next();
        round.find(|pair| value(pair).chars().any(char::is_alphabetic)).or(next)
    }

    /// Waits until every edit has arrived on the other side, and shows some; whether all have.
    pub(crate) async fn see_arrive(&self, edits: &[Edit]) -> anyhow::Result<bool> {
        let deadline = Instant::now() + PATIENCE;
        let missing = loop {
            let missing = self.missing(edits).await?;
            if missing.is_empty() || Instant::now() > deadline {
                break missing;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        let arrived = edits.iter().filter(|edit| !missing.iter().any(|other| std::ptr::eq(*other, *edit)));
        let shown: Vec<_> = arrived.take(SHOWN).collect();
        let width = |text: fn(&Edit) -> &str| shown.iter().map(|edit| text(edit).chars().count()).max();
        let (keys, fields) = (width(|edit| &edit.key), width(Edit::target));
        for edit in &shown {
            println!(
                "  {:keys$}  {:fields$}  {:VALUE_WIDTH$} {:4.1} s",
                edit.key,
                edit.target(),
                shortened(&edit.value),
                edit.made.elapsed().as_secs_f64(),
                keys = keys.unwrap_or(0),
                fields = fields.unwrap_or(0),
            );
        }
        for edit in missing.iter().take(SHOWN) {
            println!("  {}: `{}` has not come to {}", edit.key, shortened(&edit.value), edit.target());
        }
        let counted = edits.len() - missing.len();
        println!("  {counted} of {} edits have arrived.", edits.len());
        Ok(missing.is_empty())
    }

    async fn missing<'b>(&self, edits: &'b [Edit]) -> anyhow::Result<Vec<&'b Edit>> {
        let matters = self.comparer.matters_by_key(self.admin).await?;
        let features = self.admin.features(self.layer).await?;
        let has_arrived = |edit: &&Edit| {
            if edit.to_clio {
                let matter = matters.get(&edit.key).and_then(|matters| matters.first());
                matter.and_then(|matter| matter.get(&edit.pair.clio)) == Some(&edit.value)
            } else {
                features.iter().any(|feature| {
                    self.comparer.key_of(feature) == edit.key && value_of(feature, &edit.pair) == edit.value
                })
            }
        };
        Ok(edits.iter().filter(|edit| !has_arrived(edit)).collect())
    }
}

impl Edit {
    /// The field in which it arrives.
    fn target(&self) -> &str {
        if self.to_clio { &self.pair.clio } else { &self.pair.gis }
    }
}

/// The pairs that go both ways and take any text: no options, no numbers.
fn free_texts(comparer: &Comparer, config: &ConfigFolder) -> anyhow::Result<Vec<Pair>> {
    let (gis, clio) = (config.system(&"gis".parse()?)?, config.system(&"clio".parse()?)?);
    let is_text = |field: &str| {
        gis.collections.values().any(|collection| {
            collection.field(field).is_some_and(|declared| declared.kind == FieldType::Text)
        })
    };
    let is_free = |name: &str| {
        let kind = clio.bridge.get("custom_fields").and_then(|fields| fields.get(name)?.get("type"));
        kind.and_then(toml::Value::as_str).is_some_and(|kind| matches!(kind, "text_line" | "text_area"))
    };
    let free = |pair: &&Pair| pair.both_ways && is_text(&pair.gis) && is_free(&pair.clio);
    Ok(comparer.pairs.iter().filter(free).cloned().collect())
}

/// The text with a remark, short enough for any field.
fn edited(text: &str, remark: &str) -> String {
    let kept: String = text.chars().take(100).collect();
    format!("{kept} ({remark})").trim().to_owned()
}

/// The text on one line, with its end, where the remark is.
fn shortened(text: &str) -> String {
    let line: Vec<char> = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    match line.len().checked_sub(VALUE_WIDTH) {
        None | Some(0) => line.into_iter().collect(),
        Some(more) => std::iter::once('…').chain(line.into_iter().skip(more + 1)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_shown_by_its_end_on_one_line() {
        assert_eq!(shortened("short"), "short");
        let long = shortened(&format!("{}\nthe end", "x".repeat(50)));
        assert_eq!(long.chars().count(), VALUE_WIDTH);
        assert!(long.starts_with('…') && long.ends_with("x the end"), "{long}");
    }

    #[test]
    fn people_edit_only_what_takes_any_text() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
        let config = ConfigFolder::read(&folder).unwrap();
        let free = free_texts(&Comparer::of_the_city(), &config).unwrap();
        let names: Vec<_> = free.iter().map(|pair| pair.clio.as_str()).collect();
        assert!(names.contains(&"Property Owner") && !names.contains(&"Court Status"), "{names:?}");
    }
}
