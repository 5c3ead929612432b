//! Edits of fields, on either side.

use databridge_config::ConfigFolder;
use databridge_model::FieldType;
use sandbox::client::GisEdit;
use sandbox::clio::hand::MatterEdit;

use super::super::compare::{Comparer, Kind, Pair, custom_field};
use super::{Act, Arrival, People, Place, Wanted};

impl People<'_> {
    /// Changes fields of rows.
    pub(crate) async fn edit_the_map(&self, count: usize) -> anyhow::Result<Act> {
        let free = free_texts(self.comparer, self.config)?;
        let mut arrivals = Vec::new();
        for (turn, case) in self.cases(0, count, |_| true).into_iter().enumerate() {
            let Some(pair) = choose(&free, turn, |pair| self.comparer.value_of(case.row, pair)) else {
                break;
            };
            let value = edited(&self.comparer.value_of(case.row, pair), "seen on site");
            let edit = GisEdit::field(&pair.gis, value.clone());
            self.admin.edit_feature(self.layer, case.id, &edit).await?;
            let wanted = Wanted::InMatter(pair.clio.clone(), value);
            arrivals.push(Arrival::new(&case.key, &pair.clio, wanted).shown_by_its_end());
        }
        Ok(Act {
            name: format!("{} edits on the map", arrivals.len()),
            headline: format!("People change {} records on the map", arrivals.len()),
            place: Place::Map,
            needs_full: false,
            things: "edits",
            arrivals,
            follows: Vec::new(),
        })
    }

    /// Changes custom fields of matters.
    pub(crate) async fn edit_clio(&self, count: usize) -> anyhow::Result<Act> {
        let free = free_texts(self.comparer, self.config)?;
        let mut arrivals = Vec::new();
        for (turn, case) in self.cases(count, count, |_| true).into_iter().enumerate() {
            let Some(pair) = choose(&free, turn, |pair| custom_field(case.matter, &pair.clio)) else { break };
            let value = edited(&custom_field(case.matter, &pair.clio), "heard in court");
            self.admin.edit_matter(case.matter.id, &MatterEdit::field(&pair.clio, Some(&value))).await?;
            let wanted = Wanted::InRow(pair.gis.clone(), value);
            arrivals.push(Arrival::new(&case.key, &pair.gis, wanted).shown_by_its_end());
        }
        Ok(Act {
            name: format!("{} edits in Clio", arrivals.len()),
            headline: format!("People change {} matters in Clio", arrivals.len()),
            place: Place::Clio,
            needs_full: false,
            things: "edits",
            arrivals,
            follows: Vec::new(),
        })
    }
}

/// A field to edit, another one each turn: one that holds words where there is one.
fn choose(free: &[Pair], turn: usize, value: impl Fn(&Pair) -> String) -> Option<&Pair> {
    let mut round = free.iter().cycle().skip(turn).take(free.len());
    let next = round.clone().next();
    round.find(|pair| value(pair).chars().any(char::is_alphabetic)).or(next)
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
    let free = |pair: &&Pair| {
        pair.both_ways && pair.kind == Kind::Plain && is_text(&pair.gis) && is_free(&pair.clio)
    };
    Ok(comparer.pairs.iter().filter(free).cloned().collect())
}

/// The text with a remark, short enough for any field.
fn edited(text: &str, remark: &str) -> String {
    let kept: String = text.chars().take(100).collect();
    format!("{kept} ({remark})").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_edit_only_what_takes_any_text() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
        let config = ConfigFolder::read(&folder).unwrap();
        let free = free_texts(&Comparer::of_the_city(), &config).unwrap();
        let names: Vec<_> = free.iter().map(|pair| pair.clio.as_str()).collect();
        assert!(names.contains(&"Property Owner") && !names.contains(&"Court Status"), "{names:?}");
        assert!(!names.contains(&"Civil Warrant"), "it goes one way: {names:?}");
    }
}
