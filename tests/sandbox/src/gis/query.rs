//! The operation `query` of a layer.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::field::Field;
use super::geometry::SpatialReference;
use super::layer::{Layer, Row};
use super::parameters::{Parameters, object_ids};
use super::refusal::Refusal;
use super::sql::{Condition, Schema, SqlError, parse};

/// Parameters that real servers know and this one does not play; without them the answer would be a wrong one.
const NOT_PLAYED: [&str; 10] = [
    "geometry",
    "time",
    "outStatistics",
    "groupByFieldsForStatistics",
    "havingClause",
    "historicMoment",
    "gdbVersion",
    "resultType",
    "quantizationParameters",
    "timeReferenceUnknownClient",
];

/// What a request asks for.
#[derive(Debug, Clone)]
struct Query {
    condition: Option<Condition>,
    object_ids: Option<BTreeSet<i64>>,
    order: Vec<Order>,
    offset: usize,
    count: Option<usize>,
}

#[derive(Debug, Clone)]
struct Order {
    field: String,
    descending: bool,
}

/// Answers a query. `now` is in milliseconds since 1970; `shuffle` differs from one request to the next, so that
/// nobody can rely on an order that was not asked for.
pub(super) fn answer(
    layer: &Layer,
    parameters: &Parameters,
    now: i64,
    shuffle: u64,
) -> Result<Value, Refusal> {
    if let Some(name) = parameters.first_of(&NOT_PLAYED) {
        return Err(Refusal::query(format!("'{name}' is not supported by this server")));
    }
    for name in ["returnExtentOnly", "returnDistinctValues"] {
        if parameters.flag(name, false)? {
            return Err(Refusal::query(format!("'{name}' is not supported by this server")));
        }
    }
    let query = Query::read(layer, parameters, now)?;
    let ids_only = parameters.flag("returnIdsOnly", false)?;
    if parameters.flag("returnCountOnly", false)? {
        return Ok(json!({ "count": query.selected(layer, shuffle).len() }));
    }
    if ids_only {
        if query.object_ids.is_some() {
            return Err(Refusal::query("'objectIds' and 'returnIdsOnly' cannot be used together"));
        }
        let ids: Vec<i64> = query.selected(layer, shuffle).into_iter().map(|(id, _)| id).collect();
        let ids = if ids.is_empty() { Value::Null } else { json!(ids) };
        return Ok(json!({ "objectIdFieldName": layer.names.object_id, "objectIds": ids }));
    }
    features(layer, parameters, &query, shuffle)
}

/// The condition of a `where`, checked against the layer's fields.
pub(super) fn condition(layer: &Layer, text: &str, now: i64) -> Result<Condition, Refusal> {
    let schema = Schema { fields: &layer.fields, high_precision: layer.settings.high_precision, now };
    parse(text, schema).map_err(|error| match error {
        SqlError::UnknownField(name) => Refusal::unknown_field(&name),
        SqlError::Invalid(reason) => Refusal::query(format!("'where' parameter is invalid: {reason}")),
    })
}

impl Query {
    fn read(layer: &Layer, parameters: &Parameters, now: i64) -> Result<Self, Refusal> {
        let ids = match parameters.get("objectIds") {
            None => None,
            Some(text) => {
                let ids =
                    object_ids(text).ok_or_else(|| Refusal::query("'objectIds' parameter is invalid"))?;
                Some(ids.into_iter().collect())
            }
        };
        let condition = match parameters.get("where") {
            Some(text) => Some(condition(layer, text, now)?),
            None if ids.is_some() => None,
            None => return Err(Refusal::query("'where' parameter is invalid")),
        };
        Ok(Self {
            condition,
            object_ids: ids,
            order: order(layer, parameters.get("orderByFields").unwrap_or(""))?,
            offset: parameters.count("resultOffset", 0)?.unwrap_or(0),
            count: parameters.count("resultRecordCount", 1)?,
        })
    }

    /// The rows asked for, in the order asked for; where that leaves open which comes first, chance decides.
    fn selected<'a>(&self, layer: &'a Layer, shuffle: u64) -> Vec<(i64, &'a Row)> {
        let wanted = |id: i64, row: &Row| {
            self.object_ids.as_ref().is_none_or(|ids| ids.contains(&id))
                && self.condition.as_ref().is_none_or(|condition| condition.selects(&row.attributes))
        };
        let mut rows: Vec<(i64, &Row)> =
            layer.rows.iter().map(|(id, row)| (*id, row)).filter(|(id, row)| wanted(*id, row)).collect();
        rows.sort_by_cached_key(|(id, _)| scattered(*id, shuffle));
        rows.sort_by(|(_, left), (_, right)| {
            let orders = self.order.iter().map(|order| order.compare(left, right));
            orders.fold(Ordering::Equal, Ordering::then)
        });
        rows
    }
}

impl Order {
    fn compare(&self, left: &Row, right: &Row) -> Ordering {
        let (left, right) = (left.attributes.get(&self.field), right.attributes.get(&self.field));
        let ordering = compare_values(left, right);
        if self.descending { ordering.reverse() } else { ordering }
    }
}

/// Null comes first, as in SQL Server.
fn compare_values(left: Option<&Value>, right: Option<&Value>) -> Ordering {
    match (left, right) {
        (Some(Value::String(left)), Some(Value::String(right))) => left.cmp(right),
        (Some(Value::Number(left)), Some(Value::Number(right))) => match (left.as_i64(), right.as_i64()) {
            (Some(left), Some(right)) => left.cmp(&right),
            _ => left.as_f64().partial_cmp(&right.as_f64()).unwrap_or(Ordering::Equal),
        },
        (left, right) => {
            let has_value = |value: Option<&Value>| value.is_some_and(|value| !value.is_null());
            has_value(left).cmp(&has_value(right))
        }
    }
}

/// A number without order, the same for the same id in the same request (the mixing of `SplitMix64`).
fn scattered(id: i64, shuffle: u64) -> u64 {
    let mut mixed = id.cast_unsigned().wrapping_add(shuffle.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

fn order(layer: &Layer, text: &str) -> Result<Vec<Order>, Refusal> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let mut words = part.split_whitespace();
            let name = words.next().unwrap_or("");
            let direction = words.next().map(str::to_ascii_uppercase);
            let descending = match (direction.as_deref(), words.next()) {
                (None | Some("ASC"), None) => false,
                (Some("DESC"), None) => true,
                _ => return Err(Refusal::query("'orderByFields' parameter is invalid")),
            };
            let field = layer.field(name).ok_or_else(|| Refusal::unknown_field(name))?;
            Ok(Order { field: field.name.clone(), descending })
        })
        .collect()
}

fn out_fields<'a>(layer: &'a Layer, text: &str) -> Result<Vec<&'a Field>, Refusal> {
    let mut fields: Vec<&Field> = Vec::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        if name == "*" {
            return Ok(layer.fields.iter().collect());
        }
        let field = layer.field(name).ok_or_else(|| Refusal::unknown_field(name))?;
        if !fields.contains(&field) {
            fields.push(field);
        }
    }
    Ok(fields)
}

fn features(layer: &Layer, parameters: &Parameters, query: &Query, shuffle: u64) -> Result<Value, Refusal> {
    let fields = out_fields(layer, parameters.get("outFields").unwrap_or(""))?;
    let with_geometry = parameters.flag("returnGeometry", true)? && layer.has_geometry;
    let reference = match parameters.get("outSR") {
        None => SpatialReference::WebMercator,
        Some(text) => SpatialReference::from_parameter(text)
            .ok_or_else(|| Refusal::query("'outSR' parameter is invalid"))?,
    };
    let decimals =
        parameters.count("geometryPrecision", 0)?.and_then(|decimals| i32::try_from(decimals).ok());
    let limit = [query.count, layer.settings.service_limit]
        .into_iter()
        .flatten()
        .fold(layer.settings.max_record_count, usize::min);

    let selected = query.selected(layer, shuffle);
    let more = selected.len() > query.offset.saturating_add(limit);
    let page = selected.into_iter().skip(query.offset).take(limit);
    let page: Vec<Value> = page
        .map(|(_, row)| {
            let attributes: Map<String, Value> = fields
                .iter()
                .map(|field| {
                    (field.name.clone(), row.attributes.get(&field.name).cloned().unwrap_or_default())
                })
                .collect();
            match row.point.filter(|_| with_geometry) {
                Some(point) => {
                    json!({ "attributes": attributes, "geometry": point.body(reference, decimals) })
                }
                None => json!({ "attributes": attributes }),
            }
        })
        .collect();

    let mut answer = json!({
        "objectIdFieldName": layer.names.object_id,
        "uniqueIdField": { "name": layer.names.object_id, "isSystemMaintained": true },
        "globalIdFieldName": layer.names.global_id,
        "fields": fields.iter().map(|field| layer.definition(field)).collect::<Vec<_>>(),
        "features": page,
    });
    if let Some(answer) = answer.as_object_mut() {
        if layer.has_geometry {
            answer.insert("geometryType".to_owned(), json!("esriGeometryPoint"));
            answer.insert("spatialReference".to_owned(), reference.body());
        }
        if more {
            answer.insert("exceededTransferLimit".to_owned(), json!(true));
        }
    }
    Ok(answer)
}
