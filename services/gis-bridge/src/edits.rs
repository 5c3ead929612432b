//! applyEdits: what is sent, and what came of each item (arcgis.md, sections 3 and 4).

use databridge_model::{Failure, FailureClass};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use crate::decode::in_braces;
use crate::layer::Layer;
use crate::service::Form;

/// One edit of a batch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Edit {
    /// A new row with these attributes and geometry.
    Add(Values),
    /// A new row with this GlobalID.
    AddOurs(String, Values),
    /// These attributes and geometry of a row; the others stay.
    Update(i64, Values),
    /// No row any more.
    Delete(i64),
}

impl Edit {
    /// Whether it goes only with others that bring their GlobalID.
    pub(crate) fn brings_global_id(&self) -> bool {
        matches!(self, Self::AddOurs(..))
    }
}

/// Values in the layer's forms.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Values {
    pub(crate) attributes: Map<String, Json>,
    pub(crate) geometry: Option<Json>,
}

impl Values {
    fn feature(&self) -> Json {
        let mut feature = json!({ "attributes": self.attributes });
        if let (Some(geometry), Some(feature)) = (&self.geometry, feature.as_object_mut()) {
            feature.insert("geometry".to_owned(), geometry.clone());
        }
        feature
    }
}

/// The parameters. Without roll-back every item has a result of its own.
pub(crate) fn form(layer: &Layer, edits: &[Edit]) -> Form {
    let (mut adds, mut updates, mut deletes) = (Vec::new(), Vec::new(), Vec::new());
    for edit in edits {
        match edit {
            Edit::Add(values) => adds.push(values.feature()),
            Edit::AddOurs(global_id, values) => {
                let mut values = values.clone();
                let name = layer.global_id.clone().unwrap_or_else(|| layer.key.clone());
                values.attributes.insert(name, json!(in_braces(global_id)));
                adds.push(values.feature());
            }
            Edit::Update(object_id, values) => {
                let mut values = values.clone();
                values.attributes.insert(layer.object_id.clone(), json!(object_id));
                updates.push(values.feature());
            }
            Edit::Delete(object_id) => deletes.push(object_id.to_string()),
        }
    }
    let mut form = vec![("f", "json".to_owned()), ("rollbackOnFailure", "false".to_owned())];
    if edits.iter().any(Edit::brings_global_id) {
        // Holds for the whole request: updates and deletes would have to address rows by GlobalID too.
        form.push(("useGlobalIds", "true".to_owned()));
    }
    for (name, features) in [("adds", adds), ("updates", updates)] {
        if !features.is_empty() {
            form.push((name, Json::Array(features).to_string()));
        }
    }
    if !deletes.is_empty() {
        form.push(("deletes", deletes.join(",")));
    }
    if layer.unknown_time_zone {
        form.push(("timeReferenceUnknownClient", "true".to_owned()));
    }
    form
}

/// What came of one edit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Done; the row's ids.
    Done { object_id: i64, global_id: Option<String> },
    /// The row is not there.
    Gone,
    /// A row with a value that may be there once only is there: the GlobalID that we chose, or another.
    There,
    /// Never so; the field at fault where the server names one of those it was sent.
    Refused(Failure),
    /// It was taken back because another one failed.
    RolledBack,
    /// It failed for the moment, or what came of it is not told.
    Failed(Failure),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Results {
    #[serde(rename = "addResults")]
    adds: Option<Vec<ItemResult>>,
    #[serde(rename = "updateResults")]
    updates: Option<Vec<ItemResult>>,
    #[serde(rename = "deleteResults")]
    deletes: Option<Vec<ItemResult>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ItemResult {
    object_id: Option<i64>,
    global_id: Option<String>,
    success: Option<bool>,
    error: Option<ItemError>,
}

/// The text is in `description`, not in `message` as elsewhere.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ItemError {
    code: i64,
    description: Option<String>,
}

/// One verdict for each edit. Results come in the order of the request, each kind by itself.
pub(crate) fn verdicts(body: Json, edits: &[Edit]) -> Vec<Verdict> {
    let untold = |why: &str| {
        let message = format!("the server's answer does not tell what came of the edit: {why:.400}");
        Verdict::Failed(Failure { class: FailureClass::Unknown, message, field: None })
    };
    let results: Results = match serde_json::from_value(body) {
        Ok(results) => results,
        Err(error) => return edits.iter().map(|_| untold(&error.to_string())).collect(),
    };
    let mut adds = results.adds.unwrap_or_default().into_iter();
    let mut updates = results.updates.unwrap_or_default().into_iter();
    let mut deletes = results.deletes.unwrap_or_default().into_iter();
    edits
        .iter()
        .map(|edit| {
            let (result, expected) = match edit {
                Edit::Add(_) | Edit::AddOurs(..) => (adds.next(), None),
                Edit::Update(object_id, _) => (updates.next(), Some(*object_id)),
                Edit::Delete(object_id) => (deletes.next(), Some(*object_id)),
            };
            let Some(result) = result else { return untold("there are fewer results than edits") };
            if let (Some(expected), Some(object_id)) = (expected, result.object_id)
                && expected != object_id
                && object_id >= 0
            {
                return untold(&format!("the result in the place of row {expected} is of row {object_id}"));
            }
            match (result.success, result.object_id.or(expected)) {
                (Some(true), Some(object_id)) => Verdict::Done { object_id, global_id: result.global_id },
                (Some(true), None) => untold("a new row came without its object id"),
                (Some(false) | None, _) => {
                    result.error.map_or_else(|| untold("no reason is given"), |error| refused(&error, edit))
                }
            }
        })
        .collect()
}

fn refused(error: &ItemError, edit: &Edit) -> Verdict {
    let said = error.description.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let message = format!(
        "the layer refuses the edit: {:.400} (code {})",
        said.unwrap_or("no reason is given"),
        error.code
    );
    let field = field_at_fault(error.code, said.unwrap_or_default(), edit);
    let failure = |class| Failure { class, message, field };
    match error.code {
        1022 if edit.brings_global_id() => Verdict::There,
        1011 => Verdict::Gone,
        1003 | 1012 | 2000 => Verdict::RolledBack,
        1000 | 1017..=1019 => Verdict::Failed(failure(FailureClass::Transient)),
        // What ArcGIS Server says instead of 1016.
        -2_147_217_395 => Verdict::Refused(failure(FailureClass::Invalid)),
        code if code < 0 => Verdict::Failed(failure(FailureClass::Transient)),
        _ => Verdict::Refused(failure(FailureClass::Invalid)),
    }
}

/// The name by which the geometry goes among the fields at fault.
pub(crate) const GEOMETRY: &str = "geometry";

/// The attribute that a refusal names last ("Setting of Value for field X failed."), as it was sent.
fn field_at_fault(code: i64, said: &str, edit: &Edit) -> Option<String> {
    let (Edit::Add(values) | Edit::AddOurs(_, values) | Edit::Update(_, values)) = edit else { return None };
    if values.geometry.is_some() && matches!(code, 1002 | 1004 | 1005 | 1014 | 1015) {
        return Some(GEOMETRY.to_owned());
    }
    let words = said.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    let named = |word: &str| values.attributes.keys().find(|name| name.eq_ignore_ascii_case(word)).cloned();
    words.filter_map(named).next_back()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::tests::layer;

    fn update(object_id: i64) -> Edit {
        Edit::Update(object_id, Values::default())
    }

    #[test]
    fn each_result_goes_to_its_own_edit_by_order() {
        let edits = [update(1), Edit::Delete(9), update(2), Edit::Add(Values::default()), update(3)];
        let body = json!({
            "addResults": [{"objectId": 40, "globalId": "{A}", "success": true}],
            "updateResults": [
                {"objectId": 1, "success": true},
                {"objectId": 2, "success": false, "error": {"code": 1016, "description": "Setting of Value for field X failed."}},
                {"objectId": 3, "success": false, "error": {"code": 1011, "description": "Object is missing."}}],
            "deleteResults": [{"objectId": 9, "success": true}]
        });
        let verdicts = verdicts(body, &edits);
        assert_eq!(verdicts[0], Verdict::Done { object_id: 1, global_id: None });
        assert_eq!(verdicts[1], Verdict::Done { object_id: 9, global_id: None });
        assert!(matches!(&verdicts[2], Verdict::Refused(failure) if failure.message.contains("field X")));
        assert_eq!(verdicts[3], Verdict::Done { object_id: 40, global_id: Some("{A}".to_owned()) });
        assert_eq!(verdicts[4], Verdict::Gone);
    }

    #[test]
    fn an_answer_with_too_few_or_shifted_results_leaves_them_unknown() {
        let unknown =
            |verdict: &Verdict| matches!(verdict, Verdict::Failed(f) if f.class == FailureClass::Unknown);
        let edits = [update(1), update(2)];
        let short = verdicts(json!({"updateResults": [{"objectId": 1, "success": true}]}), &edits);
        assert!(!unknown(&short[0]) && unknown(&short[1]));
        let shifted = verdicts(json!({"updateResults": [{"objectId": 2, "success": true}]}), &edits);
        assert!(shifted.iter().all(unknown));
        assert!(verdicts(json!({"success": true}), &edits).iter().all(unknown));
    }

    #[test]
    fn what_a_person_reads_of_a_result_is_short_whatever_the_server_says() {
        let long = "x".repeat(100_000);
        for body in [
            json!({"updateResults": [{"objectId": 1, "success": long}]}),
            json!({"updateResults": [{"success": false, "error": {"code": 1000, "description": long}}]}),
        ] {
            let told = verdicts(body, &[update(1)]);
            assert!(matches!(&told[0], Verdict::Failed(failure) if failure.message.len() < 600), "{told:?}");
        }
    }

    #[test]
    fn codes_have_their_classes() {
        let verdict = |code| refused(&ItemError { code, description: None }, &update(1));
        for code in [1001, 1006, 1016, 1022, 1023, -2_147_217_395] {
            assert!(matches!(verdict(code), Verdict::Refused(_)), "{code}");
        }
        for code in [1000, 1017, 1018, 1019, -2_147_467_259] {
            assert!(matches!(verdict(code), Verdict::Failed(_)), "{code}");
        }
        assert_eq!(verdict(1003), Verdict::RolledBack);
    }

    #[test]
    fn the_field_at_fault_is_found_among_those_sent() {
        let mut values = Values { geometry: Some(json!({})), ..Values::default() };
        for name in ["Value", "ce_name"] {
            values.attributes.insert(name.to_owned(), Json::Null);
        }
        let edit = Edit::Update(1, values);
        let fault = |code, said| field_at_fault(code, said, &edit);
        assert_eq!(fault(1016, "Setting of Value for field CE_NAME failed.").as_deref(), Some("ce_name"));
        assert_eq!(fault(1015, "Geometry is not set.").as_deref(), Some(GEOMETRY));
        assert_eq!(fault(1007, "Ownership access."), None);
    }

    #[test]
    fn only_the_attributes_that_change_are_sent_with_the_object_id() {
        let mut values = Values { geometry: Some(json!({"x": 1.0})), ..Values::default() };
        values.attributes.insert("Status".to_owned(), json!("H"));
        let form = form(&layer(|_| {}), &[Edit::Update(7, values)]);
        assert!(form.contains(&("rollbackOnFailure", "false".to_owned())));
        let updates: Json =
            serde_json::from_str(&form.iter().find(|(name, _)| *name == "updates").unwrap().1).unwrap();
        assert_eq!(updates, json!([{"attributes": {"Status": "H", "OBJECTID": 7}, "geometry": {"x": 1.0}}]));
        assert!(!form.iter().any(|(name, _)| *name == "adds" || *name == "deletes"));
    }

    #[test]
    fn a_row_with_a_global_id_of_ours_is_sent_with_it_and_one_that_is_there_is_told_so() {
        let edit = Edit::AddOurs("ab-1".to_owned(), Values::default());
        let form = form(&layer(|_| {}), std::slice::from_ref(&edit));
        assert!(form.contains(&("useGlobalIds", "true".to_owned())));
        let adds: Json =
            serde_json::from_str(&form.iter().find(|(name, _)| *name == "adds").unwrap().1).unwrap();
        assert_eq!(adds, json!([{"attributes": {"GlobalID": "{AB-1}"}}]));
        let there = json!({"addResults": [{"success": false, "error": {"code": 1022, "description": "Unique constraint"}}]});
        assert_eq!(verdicts(there.clone(), &[edit]), [Verdict::There]);
        let other = verdicts(there, &[Edit::Add(Values::default())]);
        assert!(matches!(other[0], Verdict::Refused(_)), "another unique value: {other:?}");
    }
}
