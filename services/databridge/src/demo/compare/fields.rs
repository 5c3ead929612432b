//! Fields of a row and of its matter.

use chrono::DateTime;
use chrono_tz::Tz;
use sandbox::client::GisFeature;
use serde_json::Value;

use super::waiting::Waiting;
use super::{Case, Comparer, Comparison, custom_field, plain, shortened};

/// A field of the layer and its custom field, and how they are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// A moment of the row, and its day by the office's clock.
    Day,
}

impl Comparer {
    pub(super) fn compare_fields(&self, case: &Case<'_>, waiting: &Waiting<'_>, found: &mut Comparison) {
        let key = &case.key;
        for pair in self.pairs.iter().filter(|pair| !waiting.has_field(key, &pair.clio)) {
            found.compared.values += 1;
            let (left, right) = (self.value_of(case.row, pair), custom_field(case.matter, &pair.clio));
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

    /// A row's value as text.
    pub(crate) fn value_of(&self, row: &GisFeature, pair: &Pair) -> String {
        let degrees = |degrees: Option<f64>| degrees.map(|it| it.to_string()).unwrap_or_default();
        match pair.kind {
            Kind::Plain => plain(row.attributes.get(&pair.gis)),
            Kind::Longitude => degrees(row.lon),
            Kind::Latitude => degrees(row.lat),
            Kind::Day => day(row.attributes.get(&pair.gis), self.zone),
        }
    }
}

/// The local day of a moment, which a layer holds in milliseconds since 1970.
fn day(value: Option<&Value>, zone: Tz) -> String {
    let moment = value.and_then(Value::as_i64).and_then(DateTime::from_timestamp_millis);
    moment.map(|at| at.with_timezone(&zone).format("%Y-%m-%d").to_string()).unwrap_or_default()
}

fn same(left: &str, right: &str, kind: Kind) -> bool {
    match (kind, left.parse::<f64>(), right.parse::<f64>()) {
        (Kind::Plain | Kind::Day, _, _) if left == right => true,
        // A millionth of a degree is a tenth of a metre.
        (Kind::Longitude | Kind::Latitude, Ok(left), Ok(right)) => (left - right).abs() < 1e-6,
        (Kind::Plain, Ok(left), Ok(right)) => (left - right).abs() < f64::EPSILON,
        _ => left.is_empty() && right.is_empty(),
    }
}
