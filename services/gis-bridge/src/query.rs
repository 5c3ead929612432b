//! Asking a layer for rows (arcgis.md, section 2).

use chrono::DateTime;
use databridge_http::{CallError, ErrorClass};
use serde::Deserialize;
use serde_json::Value as Json;

use crate::decode::Feature;
use crate::encode::WGS84;
use crate::layer::{EditDate, Layer};
use crate::service::Form;

/// Zones reach twelve hours west of UTC. A literal that is read in a zone we do not know is set so much earlier.
const WESTERNMOST: i64 = 12 * 3600 * 1000;

/// Which rows.
#[derive(Clone, Debug)]
pub(crate) enum Wanted<'a> {
    /// The next `count` rows by object id.
    Next {
        /// Edited at or after this, in milliseconds since 1970.
        since: Option<i64>,
        /// After this object id.
        after: Option<i64>,
        count: usize,
    },
    /// The object ids of all rows after one, and nothing else of them.
    AllIds {
        /// Edited at or after this, in milliseconds since 1970.
        since: Option<i64>,
        /// After this object id.
        after: Option<i64>,
    },
    /// The rows with these object ids.
    Ids(&'a [i64]),
    /// The rows where the field has one of these values.
    Values { field: &'a str, quoted: bool, values: &'a [String] },
    /// The rows for which this holds.
    Where(String),
}

/// A query's answer. Other keys repeat the metadata.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FeatureSet {
    pub(crate) features: Vec<Feature>,
    /// There are more rows than were given. Absent where there are none.
    pub(crate) exceeded_transfer_limit: Option<bool>,
}

impl FeatureSet {
    /// Whether there are more rows than were given. A layer that knows no paging says nothing of what it left out: then
    /// as many rows as could be given at most are taken as a sign.
    pub(crate) fn leaves_out_rows(&self, layer: &Layer, most: usize) -> bool {
        self.exceeded_transfer_limit
            .unwrap_or_else(|| layer.pages != Some(true) && self.features.len() >= most)
    }

    pub(crate) fn read(layer: u32, body: Json) -> Result<Self, CallError> {
        serde_json::from_value(body).map_err(|error| CallError {
            class: ErrorClass::Transient,
            call: format!("POST layer {layer}/query"),
            message: format!("the answer holds no rows as a layer gives them ({error})"),
        })
    }
}

/// The answer to a query for object ids. No limit holds for them; where there are none the list is null (section 2).
pub(crate) fn object_ids(layer: u32, mut body: Json) -> Result<Vec<i64>, CallError> {
    let told = body.get_mut("objectIds").map_or(Json::Bool(false), Json::take);
    serde_json::from_value::<Option<Vec<i64>>>(told).map(Option::unwrap_or_default).map_err(|error| {
        CallError {
            class: ErrorClass::Transient,
            call: format!("POST layer {layer}/query"),
            message: format!("the answer holds no object ids as a layer gives them ({error})"),
        }
    })
}

/// Text in a condition.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The parameters of a query for these rows, with everything that a record is made of.
pub(crate) fn form(layer: &Layer, wanted: &Wanted<'_>) -> Form {
    let mut form = vec![("f", "json".to_owned())];
    if !matches!(wanted, Wanted::AllIds { .. }) {
        form.push(("outFields", layer.out_fields().join(",")));
        form.push(("returnGeometry", layer.with_geometry().to_string()));
        if layer.with_geometry() {
            form.push(("outSR", WGS84.to_string()));
        }
    }
    if layer.unknown_time_zone {
        form.push(("timeReferenceUnknownClient", "true".to_owned()));
    }
    match wanted {
        Wanted::Next { since, after, count } => {
            form.push(("where", condition(layer, *since, *after)));
            form.push(("orderByFields", format!("{} ASC", layer.object_id)));
            if layer.pages != Some(false) {
                form.push(("resultRecordCount", count.to_string()));
            }
        }
        Wanted::AllIds { since, after } => {
            form.push(("where", condition(layer, *since, *after)));
            form.push(("returnIdsOnly", "true".to_owned()));
        }
        Wanted::Where(condition) => form.push(("where", condition.clone())),
        Wanted::Ids(ids) => {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            form.push(("objectIds", ids.join(",")));
        }
        Wanted::Values { field, quoted: is_text, values } => {
            let literal = |text: &String| if *is_text { quoted(text) } else { text.clone() };
            let literals: Vec<String> = values.iter().map(literal).collect();
            form.push(("where", format!("{field} IN ({})", literals.join(", "))));
        }
    }
    form
}

fn condition(layer: &Layer, since: Option<i64>, after: Option<i64>) -> String {
    let edited = since.zip(layer.edit_date.as_ref()).and_then(|(since, date)| edited_since(date, since));
    let beyond = after.map(|after| format!("{} > {after}", layer.object_id));
    match (edited, beyond) {
        (Some(edited), Some(beyond)) => format!("({edited}) AND {beyond}"),
        (Some(only), None) | (None, Some(only)) => only,
        (None, None) => "1=1".to_owned(),
    }
}

/// Literals have whole seconds unless a field says otherwise, so the second is rounded down.
fn edited_since(date: &EditDate, since: i64) -> Option<String> {
    let at =
        DateTime::from_timestamp_millis(if date.in_utc { since } else { since.saturating_sub(WESTERNMOST) })?;
    Some(format!("{} >= TIMESTAMP '{}'", date.field, at.format("%Y-%m-%d %H:%M:%S")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::tests::layer;

    fn parameter(form: &Form, name: &str) -> Option<String> {
        form.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }

    #[test]
    fn a_page_is_asked_for_by_edit_time_and_object_id() {
        let wanted = Wanted::Next { since: Some(1_795_186_800_999), after: Some(17), count: 999 };
        let form = form(&layer(|_| {}), &wanted);
        assert_eq!(
            parameter(&form, "where").unwrap(),
            "(Edited >= TIMESTAMP '2026-11-20 15:00:00') AND OBJECTID > 17"
        );
        assert_eq!(parameter(&form, "orderByFields").unwrap(), "OBJECTID ASC");
        assert_eq!(parameter(&form, "outSR").unwrap(), "4326");
    }

    #[test]
    fn without_an_edit_date_every_row_is_asked_for() {
        let layer = layer(|page| page["editFieldsInfo"] = Json::Null);
        let all = form(&layer, &Wanted::Next { since: Some(5), after: None, count: 9 });
        assert_eq!(parameter(&all, "where").unwrap(), "1=1");
    }

    #[test]
    fn a_date_field_in_a_zone_of_its_own_is_asked_for_from_half_a_day_earlier() {
        let date = EditDate { field: "D".to_owned(), in_utc: false };
        assert_eq!(edited_since(&date, 43_200_000).unwrap(), "D >= TIMESTAMP '1970-01-01 00:00:00'");
    }

    #[test]
    fn a_layer_whose_zone_nobody_knows_is_told_that_we_know_that() {
        let told = |layer: &Layer| {
            let rows = form(layer, &Wanted::Ids(&[1]));
            let edits = crate::edits::form(layer, &[crate::edits::Edit::Delete(1)]);
            [rows, edits].map(|form| parameter(&form, "timeReferenceUnknownClient"))
        };
        assert_eq!(told(&layer(|_| {})), [None, None]);
        let unknown = layer(|page| page["datesInUnknownTimezone"] = Json::Bool(true));
        assert_eq!(told(&unknown), ["true", "true"].map(|it| Some(it.to_owned())));
    }

    #[test]
    fn a_list_of_ids_may_be_null_and_ids_may_have_64_bits() {
        let ids = |body: Json| object_ids(2, body).map_err(|error| error.class);
        let large = 9_007_199_254_740_991_i64;
        assert_eq!(ids(serde_json::json!({"objectIds": [7, large]})), Ok(vec![7, large]));
        assert_eq!(ids(serde_json::json!({"objectIds": null})), Ok(Vec::new()));
        for lie in [serde_json::json!({}), serde_json::json!({"objectIds": 7}), serde_json::json!([])] {
            assert_eq!(ids(lie), Err(ErrorClass::Transient), "an answer of something else is not empty");
        }
    }

    #[test]
    fn quotes_in_a_key_are_doubled() {
        let values = ["O'Neil".to_owned(), "b".to_owned()];
        let form = form(&layer(|_| {}), &Wanted::Values { field: "K", quoted: true, values: &values });
        assert_eq!(parameter(&form, "where").unwrap(), "K IN ('O''Neil', 'b')");
    }
}
