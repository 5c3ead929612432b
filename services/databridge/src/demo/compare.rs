//! Comparing both systems, over the sandbox's own account of them. It shares no code with the converters.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context;
use databridge_model::Parked;
use sandbox::Admin;
use sandbox::client::GisFeature;
use serde_json::Value;

/// A field of the layer and its custom field, and how they are compared.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The layer's field.
    pub gis: String,
    /// The custom field.
    pub clio: String,
    /// How they are compared.
    pub kind: Kind,
    /// Whether people may edit either.
    pub both_ways: bool,
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As text, or as numbers where both are.
    Plain,
    /// The row's place, degrees east.
    Longitude,
    /// The row's place, degrees north.
    Latitude,
}

/// What belongs together.
#[derive(Clone, Debug)]
pub struct Comparer {
    /// The layer's key field.
    pub gis_key: String,
    /// The custom field that holds the key.
    pub clio_key: String,
    /// The fields that must be the same.
    pub pairs: Vec<Pair>,
}

/// The system whose rows are compared.
const GIS: &str = "gis";

/// The custom fields of a matter by name, those not set being empty.
pub(crate) type Values = BTreeMap<String, String>;

/// What a comparison found.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Rows of the layer.
    pub records: usize,
    /// Matters with a key.
    pub matters: usize,
    /// Values compared.
    pub compared: usize,
    /// What differs, in words.
    pub differences: Vec<String>,
}

impl Comparer {
    /// The city's litigations.
    pub fn of_the_city() -> Self {
        let plain = [
            ("CivilWarrant", "Civil Warrant", false),
            ("OBJECTID", "GIS Object ID", false),
            ("INCIDENT_NUMBER", "Incident Number", true),
            ("PARCEL_ID", "Parcel ID", true),
            ("Case_Number", "City File Number", true),
            ("ce_name", "Subdistrict", true),
            ("NPA_Inspect_Summary", "NPA Inspection Summary", true),
            ("ADDRESS1", "Location", true),
            ("Court_Property_Owner", "Property Owner", true),
            ("AntiNeglect_Plans_App_By", "Defendent", true),
            ("Court_Status", "Court Status", true),
        ];
        let mut pairs: Vec<_> = plain
            .into_iter()
            .map(|(gis, clio, both_ways)| Pair {
                gis: gis.to_owned(),
                clio: clio.to_owned(),
                kind: Kind::Plain,
                both_ways,
            })
            .collect();
        for (clio, kind) in [("GIS Longitude", Kind::Longitude), ("GIS Latitude", Kind::Latitude)] {
            pairs.push(Pair { gis: "shape".to_owned(), clio: clio.to_owned(), kind, both_ways: false });
        }
        Self { gis_key: "CivilWarrant".to_owned(), clio_key: "Civil Warrant".to_owned(), pairs }
    }

    /// A person's own: the pairs are read off the route file as plain TOML.
    pub fn from_routes(folder: &Path) -> anyhow::Result<Self> {
        let routes = folder.join("routes");
        let mut files: Vec<_> = std::fs::read_dir(&routes)
            .with_context(|| format!("{} cannot be read", routes.display()))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
            .collect();
        files.sort();
        let is_mirror =
            |route: &toml::Value| route.get("kind").and_then(toml::Value::as_str) == Some("mirror");
        let read = |file: &PathBuf| toml::from_str(&std::fs::read_to_string(file).ok()?).ok();
        let route: toml::Value = files
            .iter()
            .filter_map(read)
            .find(is_mirror)
            .with_context(|| format!("{} holds no mirror route", routes.display()))?;
        let text =
            |value: &toml::Value, key: &str| value.get(key).and_then(toml::Value::as_str).map(str::to_owned);
        let side = |side: &str| {
            route.get(side).and_then(|side| text(side, "key")).with_context(|| format!("[{side}] has no key"))
        };
        let pairs = route
            .get("fields")
            .and_then(toml::Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|field| {
                let kind = match text(field, "convert").as_deref() {
                    Some("longitude") => Kind::Longitude,
                    Some("latitude") => Kind::Latitude,
                    _ => Kind::Plain,
                };
                let both_ways = text(field, "direction").is_none();
                Some(Pair { gis: text(field, "left")?, clio: text(field, "right")?, kind, both_ways })
            })
            .collect();
        Ok(Self { gis_key: side("left")?, clio_key: side("right")?, pairs })
    }

    /// Compares every row of the layer with its matter. What the services parked is not a difference: it waits for
    /// a person, and is told apart.
    pub async fn compare(&self, admin: &Admin, layer: u32, waiting: &[Parked]) -> anyhow::Result<Comparison> {
        let features = admin.features(layer).await?;
        let matters = self.matters_by_key(admin).await?;
        let waiting = Waiting::of(waiting);
        let mut found = Comparison {
            records: features.len(),
            matters: matters.values().map(Vec::len).sum(),
            ..Comparison::default()
        };
        let mut keys = BTreeSet::new();
        for feature in &features {
            let (key, id) = (self.key_of(feature), plain(feature.attributes.get("OBJECTID")));
            if !waiting.has_record(&key, &id) {
                match matters.get(&key).map(Vec::as_slice) {
                    None | Some([]) => found.differences.push(format!("{key} (row {id}) has no matter")),
                    Some([matter]) => self.compare_pair(&key, feature, matter, &waiting, &mut found),
                    Some(several) => found.differences.push(format!("{key} has {} matters", several.len())),
                }
            }
            keys.insert(key);
        }
        for key in matters.keys().filter(|key| !keys.contains(*key)) {
            found.differences.push(format!("the matter of {key} has no row"));
        }
        Ok(found)
    }

    fn compare_pair(
        &self,
        key: &str,
        feature: &GisFeature,
        matter: &Values,
        waiting: &Waiting<'_>,
        found: &mut Comparison,
    ) {
        for pair in self.pairs.iter().filter(|pair| !waiting.fields.contains(&(key, &pair.clio))) {
            found.compared += 1;
            let (left, right) =
                (value_of(feature, pair), matter.get(&pair.clio).cloned().unwrap_or_default());
            if !same(&left, &right, pair.kind) {
                found.differences.push(format!(
                    "{key}: {} is `{}` and {} is `{}`",
                    pair.gis,
                    shortened(&left),
                    pair.clio,
                    shortened(&right)
                ));
            }
        }
    }

    /// The key of a row, empty where it has none.
    pub(crate) fn key_of(&self, feature: &GisFeature) -> String {
        plain(feature.attributes.get(&self.gis_key)).trim().to_owned()
    }

    /// The values of every matter that has the key field, by key.
    pub(crate) async fn matters_by_key(
        &self,
        admin: &Admin,
    ) -> anyhow::Result<BTreeMap<String, Vec<Values>>> {
        let mut matters: BTreeMap<String, Vec<Values>> = BTreeMap::new();
        for matter in admin.matters().await? {
            let Some(Some(key)) = matter.custom_fields.get(&self.clio_key) else { continue };
            let values = matter
                .custom_fields
                .iter()
                .map(|(name, value)| (name.clone(), value.clone().unwrap_or_default()))
                .collect();
            matters.entry(key.trim().to_owned()).or_default().push(values);
        }
        Ok(matters)
    }
}

/// What the services parked, sorted by what they know of it.
struct Waiting<'a> {
    /// Fields, by the record's key.
    fields: BTreeSet<(&'a str, &'a str)>,
    /// Whole records, by their keys.
    keys: BTreeSet<&'a str>,
    /// Rows without a key that can be read, by their ids.
    ids: BTreeSet<&'a str>,
}

impl<'a> Waiting<'a> {
    fn of(parked: &'a [Parked]) -> Self {
        let mut waiting = Self { fields: BTreeSet::new(), keys: BTreeSet::new(), ids: BTreeSet::new() };
        for parked in parked {
            match (&parked.key, &parked.field, &parked.id) {
                (Some(key), Some(field), _) => drop(waiting.fields.insert((key.as_str(), field.as_str()))),
                (Some(key), None, _) => drop(waiting.keys.insert(key.as_str())),
                (None, _, Some(id)) if parked.system.as_str() == GIS => drop(waiting.ids.insert(id.as_str())),
                (None, ..) => {}
            }
        }
        waiting
    }

    fn has_record(&self, key: &str, id: &str) -> bool {
        self.keys.contains(key) || self.ids.contains(id)
    }
}

/// A row's value as text.
pub(crate) fn value_of(feature: &GisFeature, pair: &Pair) -> String {
    match pair.kind {
        Kind::Plain => plain(feature.attributes.get(&pair.gis)),
        Kind::Longitude => feature.lon.map(|degrees| degrees.to_string()).unwrap_or_default(),
        Kind::Latitude => feature.lat.map(|degrees| degrees.to_string()).unwrap_or_default(),
    }
}

fn plain(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn same(left: &str, right: &str, kind: Kind) -> bool {
    match (kind, left.parse::<f64>(), right.parse::<f64>()) {
        (Kind::Plain, _, _) if left == right => true,
        // A millionth of a degree is a tenth of a metre.
        (Kind::Longitude | Kind::Latitude, Ok(left), Ok(right)) => (left - right).abs() < 1e-6,
        (Kind::Plain, Ok(left), Ok(right)) => (left - right).abs() < f64::EPSILON,
        _ => left.is_empty() && right.is_empty(),
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_whose_key_cannot_be_read_waits_and_a_matter_of_its_number_does_not_matter() {
        let parked = |system: &str, id: &str| Parked {
            system: system.parse().unwrap(),
            collection: "any".parse().unwrap(),
            id: Some(id.to_owned()),
            key: None,
            field: Some("ViolationID".to_owned()),
            reason: "`ABC-1` is no int".to_owned(),
        };
        let parked = [parked("gis", "4"), parked("clio", "5")];
        let waiting = Waiting::of(&parked);
        assert!(waiting.has_record("ABC-1", "4") && waiting.has_record("", "4"));
        assert!(!waiting.has_record("ABC-1", "5"));
    }
}
