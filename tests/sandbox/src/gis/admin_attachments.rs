//! A person's hand on attachments, and the list of all of them for comparisons.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::admin::{AdminRefusal, Answer, done, layer, person};
use super::attachment_edits::NewAttachment;
use super::attachment_requests;
use super::attachments::Attachment;
use super::content::{Content, Generated};
use super::layer::{Layer, Row};
use super::refusal::ItemError;
use super::state::{Contents, GisState};

/// An attachment as a comparison needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachmentPage {
    /// The row on which it hangs.
    pub object_id: i64,
    /// Its own id.
    pub id: i64,
    /// Its global id, in braces and upper case.
    pub global_id: String,
    /// The file's name.
    pub name: String,
    /// The file's type, such as `image/jpeg`.
    pub content_type: String,
    /// The size in bytes.
    pub size: u64,
    /// The SHA-256 of the bytes in hexadecimal.
    pub sha256: String,
}

/// What is told about a file beside its bytes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FileParameters {
    name: Option<String>,
    content_type: Option<String>,
    /// With `size`: the bytes are made from this number, and none are sent.
    seed: Option<u64>,
    size: Option<u64>,
}

/// All attachments of a layer, by row and id.
pub(super) async fn list(State(state): State<Arc<GisState>>, Path(id): Path<u32>) -> Answer {
    let listed = tokio::task::spawn_blocking(move || pages(&state, id)).await;
    let listed = listed.map_err(|error| AdminRefusal::Edit(error.to_string()))??;
    Ok(Json(json!(listed)))
}

fn pages(state: &GisState, id: u32) -> Result<Vec<AttachmentPage>, AdminRefusal> {
    // Digests take their time, during which the server must go on.
    let rows = layer(&mut state.contents(), id)?.rows.clone();
    let of_row = |(object_id, row): (i64, Row)| {
        row.attachments.into_iter().map(move |(id, attachment)| (object_id, id, attachment))
    };
    let attachments = rows.into_iter().flat_map(of_row);
    let page = |(object_id, id, attachment): (i64, i64, Attachment)| AttachmentPage {
        object_id,
        id,
        size: attachment.content.size(),
        sha256: state.sha256(&attachment.content),
        global_id: attachment.global_id,
        name: attachment.name,
        content_type: attachment.content_type,
    };
    Ok(attachments.map(page).collect())
}

/// Writes what was sent, or takes the seed in its place.
async fn content(
    state: &GisState,
    file: &FileParameters,
    content_type: &str,
    body: Body,
) -> Result<Content, AdminRefusal> {
    match (file.seed, file.size) {
        (Some(seed), Some(size)) => {
            Ok(Content::Generated(Generated { seed, size, content_type: content_type.to_owned() }))
        }
        (None, None) => {
            let received = state.receive(body.into_data_stream()).await;
            let content = received.and_then(|file| Ok(Content::of_file(&file)?));
            content.map_err(|error| AdminRefusal::Edit(error.to_string()))
        }
        _ => Err(AdminRefusal::Edit("seed and size must both be given, or none of them".to_owned())),
    }
}

/// Hangs a file on a row.
pub(super) async fn add(
    State(state): State<Arc<GisState>>,
    Path((id, object_id)): Path<(u32, i64)>,
    Query(file): Query<FileParameters>,
    body: Body,
) -> Answer {
    let (Some(name), Some(content_type)) = (&file.name, &file.content_type) else {
        return Err(AdminRefusal::Edit("name and content_type must be given".to_owned()));
    };
    let content = content(&state, &file, content_type, body).await?;
    let (name, content_type) = (name.clone(), content_type.clone());
    let new = NewAttachment { name, content_type, keywords: String::new(), content: content.clone() };
    let added = {
        let mut contents = state.contents();
        layer_with_attachments(&mut contents, id).and_then(|layer| {
            layer.add_attachment(object_id, new, person(state.now())).map_err(|error| refused(&error))
        })
    };
    if added.is_err() {
        state.forget(&[content]);
    }
    let (id, global_id) = added?;
    Ok(Json(json!({ "id": id, "global_id": global_id })))
}

/// Puts another file in the place of an attachment. A name or a type that is not given stays.
pub(super) async fn replace(
    State(state): State<Arc<GisState>>,
    Path((id, object_id, attachment)): Path<(u32, i64, i64)>,
    Query(file): Query<FileParameters>,
    body: Body,
) -> Answer {
    let old = attachment_requests::found(layer(&mut state.contents(), id)?, object_id, attachment)
        .map_err(|_| AdminRefusal::NoAttachment(attachment))?;
    let content_type = file.content_type.clone().unwrap_or(old.content_type);
    let content = content(&state, &file, &content_type, body).await?;
    let name = file.name.clone().unwrap_or(old.name);
    let new = NewAttachment { name, content_type, keywords: old.keywords, content: content.clone() };
    let replaced = {
        let mut contents = state.contents();
        let hand = person(state.now());
        layer_with_attachments(&mut contents, id).and_then(|layer| {
            layer.update_attachment((object_id, attachment), new, hand).map_err(|error| refused(&error))
        })
    };
    match replaced {
        Ok((_, unneeded)) => state.forget(&[unneeded]),
        Err(refusal) => {
            state.forget(&[content]);
            return Err(refusal);
        }
    }
    Ok(done())
}

/// Takes an attachment off its row.
pub(super) async fn delete(
    State(state): State<Arc<GisState>>,
    Path((id, object_id, attachment)): Path<(u32, i64, i64)>,
) -> Answer {
    let mut contents = state.contents();
    let layer = layer_with_attachments(&mut contents, id)?;
    let deleted = layer.delete_attachments(object_id, &[attachment], true, person(state.now()));
    let (_, unneeded) = deleted.map_err(|_| AdminRefusal::NoAttachment(attachment))?;
    state.forget(&unneeded);
    Ok(done())
}

/// The bytes of an attachment.
pub(super) async fn content_of(
    State(state): State<Arc<GisState>>,
    Path((id, object_id, attachment)): Path<(u32, i64, i64)>,
) -> Response {
    let found = layer(&mut state.contents(), id).and_then(|layer| {
        let found = attachment_requests::found(layer, object_id, attachment);
        found.map_err(|_| AdminRefusal::NoAttachment(attachment))
    });
    match found {
        Ok(found) => attachment_requests::download(&state, &found).await,
        Err(refusal) => refusal.into_response(),
    }
}

fn layer_with_attachments(contents: &mut Contents, id: u32) -> Result<&mut Layer, AdminRefusal> {
    let layer = layer(contents, id)?;
    if layer.settings.offers.attachments {
        Ok(layer)
    } else {
        Err(AdminRefusal::Edit("the layer has no attachments".to_owned()))
    }
}

fn refused(error: &ItemError) -> AdminRefusal {
    AdminRefusal::Edit(format!("{} {}", error.code, error.description))
}
