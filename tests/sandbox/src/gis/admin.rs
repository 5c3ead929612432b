//! A person's hand on the ArcGIS server: rows, switches of layers, and security.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::admin_attachments;
use super::edits::{Address, Edits, Hand, ItemResult, SentFeature};
use super::geometry::{Point, PointChange};
use super::layer::{Feature, Layer};
use super::options::GisAuth;
use super::state::{Contents, GisState};

/// The person who edits by the admin side, as `last_edited_user` tells it.
const PERSON: &str = "map.editor";

/// The admin side of the ArcGIS half, to be mounted at `/admin/gis`.
pub(crate) fn admin_router(state: Arc<GisState>) -> Router {
    Router::new()
        .route("/layers/{layer}/features", get(features).post(add_features))
        .route("/layers/{layer}/features/{object_id}", patch(edit_feature).delete(delete_feature))
        .route("/layers/{layer}/features/{object_id}/attachments", post(admin_attachments::add))
        .route(
            "/layers/{layer}/features/{object_id}/attachments/{id}",
            get(admin_attachments::content_of)
                .put(admin_attachments::replace)
                .delete(admin_attachments::delete),
        )
        .route("/layers/{layer}/attachments", get(admin_attachments::list))
        .route("/layers/{layer}/settings", post(layer_settings))
        .route("/layers/{layer}/republish", post(republish))
        .route("/settings", post(settings))
        .route("/expire_tokens", post(expire_tokens))
        .with_state(state)
}

/// Why an admin call is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum AdminRefusal {
    #[error("there is no layer {0}")]
    NoLayer(u32),
    #[error("the layer has no row {0}")]
    NoRow(i64),
    #[error("the row has no attachment {0}")]
    NoAttachment(i64),
    #[error("the server refuses the edit: {0}")]
    Edit(String),
    #[error("the layer has no field {0} that can be removed")]
    NoField(String),
    #[error("lon and lat must be numbers on the map, both or none")]
    NoPlace,
}

impl IntoResponse for AdminRefusal {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NoLayer(_) | Self::NoRow(_) | Self::NoAttachment(_) | Self::NoField(_) => {
                StatusCode::NOT_FOUND
            }
            Self::Edit(_) | Self::NoPlace => StatusCode::UNPROCESSABLE_ENTITY,
        };
        (status, Json(json!({ "error": self.to_string() }))).into_response()
    }
}

pub(super) type Answer = Result<Json<Value>, AdminRefusal>;

pub(super) fn done() -> Json<Value> {
    Json(json!({}))
}

pub(super) fn layer(contents: &mut Contents, id: u32) -> Result<&mut Layer, AdminRefusal> {
    contents.layers.get_mut(&id).ok_or(AdminRefusal::NoLayer(id))
}

/// The person who edits, at this time in milliseconds since 1970.
pub(super) fn person(now: i64) -> Hand<'static> {
    Hand { editor: PERSON, now }
}

async fn features(State(state): State<Arc<GisState>>, Path(id): Path<u32>) -> Answer {
    let mut contents = state.contents();
    Ok(Json(json!(layer(&mut contents, id)?.features())))
}

/// What a person does to the place of a row: absent keys stay, nulls take it away.
fn place(
    lon: Option<&Value>,
    lat: Option<&Value>,
    current: Option<Point>,
) -> Result<PointChange, AdminRefusal> {
    if lon.is_none() && lat.is_none() {
        return Ok(PointChange::Keep);
    }
    let (current_lon, current_lat) = current.map(Point::degrees).unzip();
    let coordinate = |sent: Option<&Value>, current: Option<f64>| match sent {
        None => Ok(current),
        Some(Value::Null) => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or(AdminRefusal::NoPlace),
    };
    match (coordinate(lon, current_lon)?, coordinate(lat, current_lat)?) {
        (None, None) => Ok(PointChange::Clear),
        (Some(lon), Some(lat)) => {
            Point::from_degrees(lon, lat).map(PointChange::Set).ok_or(AdminRefusal::NoPlace)
        }
        _ => Err(AdminRefusal::NoPlace),
    }
}

fn sent(attributes: Map<String, Value>, change: PointChange) -> SentFeature {
    let geometry = match change {
        PointChange::Keep => None,
        PointChange::Clear => Some(json!({ "x": null })),
        PointChange::Set(point) => Some(json!({ "x": point.x, "y": point.y })),
    };
    SentFeature { attributes, geometry }
}

/// Does a person's edits, all or none, and gives the object ids of the rows added.
fn apply(layer: &mut Layer, now: i64, edits: Edits) -> Result<Vec<i64>, AdminRefusal> {
    let sent = edits.adds.iter().chain(&edits.updates).flat_map(|feature| feature.attributes.keys());
    if let Some(unknown) = sent.into_iter().find(|name| layer.field(name).is_none()) {
        return Err(AdminRefusal::Edit(format!("the layer has no field {unknown}")));
    }
    let edits = Edits { rollback_on_failure: true, ..edits };
    let results = layer.attempt(&edits, person(now));
    let refused: Vec<String> = results.all().filter_map(ItemResult::failure).collect();
    if !refused.is_empty() {
        return Err(AdminRefusal::Edit(refused.join("; ")));
    }
    Ok(results.adds.iter().filter_map(ItemResult::object_id).collect())
}

async fn add_features(
    State(state): State<Arc<GisState>>,
    Path(id): Path<u32>,
    Json(added): Json<Vec<Feature>>,
) -> Answer {
    let mut contents = state.contents();
    let layer = layer(&mut contents, id)?;
    let mut adds = Vec::new();
    for feature in added {
        let change = place(Some(&json!(feature.lon)), Some(&json!(feature.lat)), None)?;
        adds.push(sent(feature.attributes, change));
    }
    Ok(Json(json!(apply(layer, state.now(), Edits { adds, ..Edits::default() })?)))
}

/// A person's edit of a row. Keys that are absent stay as they are.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FeatureEdit {
    #[serde(default)]
    attributes: Map<String, Value>,
    #[serde(default, deserialize_with = "present")]
    lon: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    lat: Option<Value>,
}

/// Tells a null that was sent from a key that was not.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

async fn edit_feature(
    State(state): State<Arc<GisState>>,
    Path((id, object_id)): Path<(u32, i64)>,
    Json(edit): Json<FeatureEdit>,
) -> Answer {
    let mut contents = state.contents();
    let layer = layer(&mut contents, id)?;
    let current = layer.rows.get(&object_id).ok_or(AdminRefusal::NoRow(object_id))?.point;
    let change = place(edit.lon.as_ref(), edit.lat.as_ref(), current)?;
    let mut attributes = edit.attributes;
    attributes.retain(|name, _| !name.eq_ignore_ascii_case(&layer.names.object_id));
    attributes.insert(layer.names.object_id.clone(), json!(object_id));
    apply(layer, state.now(), Edits { updates: vec![sent(attributes, change)], ..Edits::default() })?;
    Ok(done())
}

async fn delete_feature(
    State(state): State<Arc<GisState>>,
    Path((id, object_id)): Path<(u32, i64)>,
) -> Answer {
    let mut contents = state.contents();
    let layer = layer(&mut contents, id)?;
    if !layer.rows.contains_key(&object_id) {
        return Err(AdminRefusal::NoRow(object_id));
    }
    apply(layer, state.now(), Edits { deletes: vec![Address::ObjectId(object_id)], ..Edits::default() })?;
    Ok(done())
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LayerSwitches {
    max_record_count: Option<usize>,
    /// Null takes the limit away.
    #[serde(deserialize_with = "present")]
    service_limit: Option<Value>,
    edit_tracking: Option<bool>,
    last_edit_date: Option<bool>,
    remove_field: Option<String>,
    high_precision: Option<bool>,
    /// `hasAttachments`.
    attachments: Option<bool>,
    /// `supportsQueryAttachments`.
    query_attachments: Option<bool>,
    /// `supportsApplyEditsWithGlobalIds`.
    client_global_ids: Option<bool>,
    /// Whether it is a table. A layer that becomes one loses its points.
    table: Option<bool>,
}

async fn layer_settings(
    State(state): State<Arc<GisState>>,
    Path(id): Path<u32>,
    Json(switches): Json<LayerSwitches>,
) -> Answer {
    let mut contents = state.contents();
    let layer = layer(&mut contents, id)?;
    if let Some(name) = switches.remove_field
        && !layer.remove_field(&name)
    {
        return Err(AdminRefusal::NoField(name));
    }
    let settings = &mut layer.settings;
    if let Some(limit) = switches.service_limit {
        settings.service_limit = limit.as_u64().and_then(|limit| usize::try_from(limit).ok());
    }
    settings.max_record_count = switches.max_record_count.unwrap_or(settings.max_record_count);
    settings.edit_tracking = switches.edit_tracking.unwrap_or(settings.edit_tracking);
    settings.last_edit_date = switches.last_edit_date.unwrap_or(settings.last_edit_date);
    settings.high_precision = switches.high_precision.unwrap_or(settings.high_precision);
    settings.offers.attachments = switches.attachments.unwrap_or(settings.offers.attachments);
    settings.offers.query_attachments =
        switches.query_attachments.unwrap_or(settings.offers.query_attachments);
    settings.offers.client_global_ids =
        switches.client_global_ids.unwrap_or(settings.offers.client_global_ids);
    if let Some(table) = switches.table {
        layer.make_table(table);
    }
    Ok(done())
}

async fn republish(State(state): State<Arc<GisState>>, Path(id): Path<u32>) -> Answer {
    let mut contents = state.contents();
    layer(&mut contents, id)?.republish(state.now());
    Ok(done())
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ServerSwitches {
    auth: Option<GisAuth>,
    /// Another long-lived token in place of the present one.
    token: Option<String>,
    token_lifetime_seconds: Option<u32>,
}

async fn settings(State(state): State<Arc<GisState>>, Json(switches): Json<ServerSwitches>) -> Json<Value> {
    let mut contents = state.contents();
    let tokens = &mut contents.tokens;
    tokens.auth = switches.auth.unwrap_or(tokens.auth);
    if let Some(token) = switches.token {
        tokens.fixed = token;
    }
    if let Some(seconds) = switches.token_lifetime_seconds {
        tokens.lifetime_seconds = seconds.into();
    }
    done()
}

async fn expire_tokens(State(state): State<Arc<GisState>>) -> Json<Value> {
    state.contents().tokens.expire();
    done()
}
