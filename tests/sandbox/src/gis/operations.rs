//! The operations of a layer: what each reads from its parameters, does and answers.

use serde_json::{Map, Value, json};

use super::edits::{Address, EditResults, Edits, Hand, ItemResult, SentFeature};
use super::layer::Layer;
use super::parameters::{Parameters, object_ids};
use super::query;
use super::refusal::Refusal;
use super::{attachments, global_id, metadata};

/// Parameters of edits that real servers know and this one does not play; without them it would do, or answer, something
/// else than was asked.
const NOT_PLAYED: [&str; 11] = [
    "async",
    "attachments",
    "distance",
    "editsUploadId",
    "gdbVersion",
    "geometry",
    "historicMoment",
    "returnDeleteResults",
    "returnEditResults",
    "sessionID",
    "timeReferenceUnknownClient",
];

/// An operation of a layer, by the last part of its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Metadata,
    Query,
    QueryAttachments,
    ApplyEdits,
    AddFeatures,
    UpdateFeatures,
    DeleteFeatures,
}

impl Operation {
    pub(super) fn of(name: Option<&str>) -> Option<Self> {
        match name {
            None => Some(Self::Metadata),
            Some("query") => Some(Self::Query),
            Some("queryAttachments") => Some(Self::QueryAttachments),
            Some("applyEdits") => Some(Self::ApplyEdits),
            Some("addFeatures") => Some(Self::AddFeatures),
            Some("updateFeatures") => Some(Self::UpdateFeatures),
            Some("deleteFeatures") => Some(Self::DeleteFeatures),
            Some(_) => None,
        }
    }

    /// Whether it changes rows, and so must be asked by POST.
    pub(super) fn edits(self) -> bool {
        !matches!(self, Self::Metadata | Self::Query | Self::QueryAttachments)
    }

    /// Does it.
    pub(super) fn answer(
        self,
        layer: &mut Layer,
        parameters: &Parameters,
        hand: Hand<'_>,
        shuffle: u64,
    ) -> Result<Value, Refusal> {
        if let Some(name) = parameters.first_of(&NOT_PLAYED).filter(|_| self.edits()) {
            return Err(Refusal::input(format!("'{name}' is not supported by this server")));
        }
        let (edits, only) = match self {
            Self::Metadata => return Ok(metadata::layer(layer)),
            Self::Query => return query::answer(layer, parameters, hand.now, shuffle),
            Self::QueryAttachments => return attachments::answer(layer, parameters, hand.now),
            Self::ApplyEdits => {
                let edits = all_edits(parameters)?;
                let sent = [parameters.get("adds"), parameters.get("updates"), parameters.get("deletes")];
                if sent.iter().all(Option::is_none) {
                    return Err(Refusal::input("'adds', 'updates' or 'deletes' must be specified"));
                }
                if edits.use_global_ids && !layer.settings.offers.client_global_ids {
                    return Err(Refusal::input("'useGlobalIds' is not supported by this layer"));
                }
                (edits, None)
            }
            Self::AddFeatures => {
                let adds = features(parameters, "features")?.ok_or_else(|| missing("features"))?;
                (Edits { adds, ..without_items(parameters)? }, Some("addResults"))
            }
            Self::UpdateFeatures => {
                let updates = features(parameters, "features")?.ok_or_else(|| missing("features"))?;
                (Edits { updates, ..without_items(parameters)? }, Some("updateResults"))
            }
            Self::DeleteFeatures => {
                let deletes = to_delete(layer, parameters, hand.now)?;
                (Edits { deletes, ..without_items(parameters)? }, Some("deleteResults"))
            }
        };
        let return_moment = parameters.flag("returnEditMoment", false)?;
        let results = layer.apply(&edits, hand)?;
        let mut answer = lists(&results);
        if let Some(only) = only {
            answer.retain(|name, _| name == only);
        }
        if return_moment {
            answer.insert("editMoment".to_owned(), json!(hand.now));
        }
        Ok(Value::Object(answer))
    }
}

fn lists(results: &EditResults) -> Map<String, Value> {
    let list = |items: &[ItemResult]| Value::from(items.iter().map(ItemResult::body).collect::<Vec<_>>());
    let lists = [
        ("addResults", list(&results.adds)),
        ("updateResults", list(&results.updates)),
        ("deleteResults", list(&results.deletes)),
    ];
    lists.into_iter().map(|(name, list)| (name.to_owned(), list)).collect()
}

fn missing(name: &str) -> Refusal {
    Refusal::input(format!("'{name}' must be specified"))
}

fn unreadable(name: &str) -> Refusal {
    Refusal::input(format!("'{name}' parameter is invalid"))
}

fn without_items(parameters: &Parameters) -> Result<Edits, Refusal> {
    Ok(Edits { rollback_on_failure: parameters.flag("rollbackOnFailure", true)?, ..Edits::default() })
}

fn all_edits(parameters: &Parameters) -> Result<Edits, Refusal> {
    let use_global_ids = parameters.flag("useGlobalIds", false)?;
    let deletes = match parameters.get("deletes") {
        None => Vec::new(),
        Some(text) => addresses(text, use_global_ids).ok_or_else(|| unreadable("deletes"))?,
    };
    Ok(Edits {
        adds: features(parameters, "adds")?.unwrap_or_default(),
        updates: features(parameters, "updates")?.unwrap_or_default(),
        deletes,
        use_global_ids,
        ..without_items(parameters)?
    })
}

fn features(parameters: &Parameters, name: &str) -> Result<Option<Vec<SentFeature>>, Refusal> {
    let Some(text) = parameters.get(name) else { return Ok(None) };
    let items: Vec<Value> = serde_json::from_str(text).map_err(|_| unreadable(name))?;
    let sent = |item: Value| {
        let Value::Object(mut item) = item else { return None };
        let attributes = match item.remove("attributes") {
            Some(Value::Object(attributes)) => attributes,
            None => Map::new(),
            Some(_) => return None,
        };
        Some(SentFeature { attributes, geometry: item.remove("geometry") })
    };
    let features = items.into_iter().map(sent).collect::<Option<Vec<_>>>();
    features.map(Some).ok_or_else(|| unreadable(name))
}

/// `deletes`: ids separated by commas, or a JSON array; global ids where those are used.
fn addresses(text: &str, use_global_ids: bool) -> Option<Vec<Address>> {
    let address = |value: &Value| {
        if use_global_ids {
            value.as_str().and_then(global_id::normalized).map(Address::GlobalId)
        } else {
            value.as_i64().map(Address::ObjectId)
        }
    };
    if text.starts_with('[') {
        let items: Vec<Value> = serde_json::from_str(text).ok()?;
        return items.iter().map(address).collect();
    }
    if use_global_ids {
        return text.split(',').map(|id| global_id::normalized(id).map(Address::GlobalId)).collect();
    }
    Some(object_ids(text)?.into_iter().map(Address::ObjectId).collect())
}

/// The rows of `deleteFeatures`: by `objectIds`, by `where`, or by both at once.
fn to_delete(layer: &Layer, parameters: &Parameters, now: i64) -> Result<Vec<Address>, Refusal> {
    let ids = match parameters.get("objectIds") {
        None => None,
        Some(text) => Some(object_ids(text).ok_or_else(|| unreadable("objectIds"))?),
    };
    let Some(text) = parameters.get("where") else {
        let ids = ids.ok_or_else(|| missing("objectIds"))?;
        return Ok(ids.into_iter().map(Address::ObjectId).collect());
    };
    let condition = query::condition(layer, text, now)?;
    let selected = layer.rows.iter().filter(|(_, row)| condition.selects(&row.attributes)).map(|(id, _)| *id);
    let wanted = selected.filter(|id| ids.as_ref().is_none_or(|ids| ids.contains(id)));
    Ok(wanted.map(Address::ObjectId).collect())
}
