//! The addresses below a row: its attachments, one of them, and edits of them. Uploads are written as they arrive.

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::TryStreamExt;
use multer::{Field, Multipart};
use serde_json::{Value, json};

use super::attachment_edits::{NewAttachment, Outcome, outcome_body};
use super::attachments::{self, Attachment};
use super::content::{AttachmentFile, Content};
use super::edits::Hand;
use super::layer::Layer;
use super::parameters::{Parameters, object_ids};
use super::refusal::Refusal;
use super::state::GisState;
use crate::files::ReceiveError;
use crate::gateway::{AsItIs, OnItsWay};

/// Parameters of these requests that real servers know and this one does not play.
const NOT_PLAYED: [&str; 7] = [
    "async",
    "gdbVersion",
    "historicMoment",
    "returnEditMoment",
    "sessionID",
    "timeReferenceUnknownClient",
    "uploadId",
];
/// The longest value of a form's field beside the file, in bytes.
const LONGEST_VALUE: usize = 64 * 1024;
/// The type of a file whose sender tells none.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// What can be asked for below a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowOperation {
    List,
    Download(i64),
    Add,
    Update,
    Delete,
}

impl RowOperation {
    /// The operation by the parts of the address behind the row.
    pub(super) fn of(parts: &[&str]) -> Option<Self> {
        match parts {
            ["attachments"] => Some(Self::List),
            ["attachments", id] => id.parse().ok().map(Self::Download),
            ["addAttachment"] => Some(Self::Add),
            ["updateAttachment"] => Some(Self::Update),
            ["deleteAttachments"] => Some(Self::Delete),
            _ => None,
        }
    }

    /// Whether it changes attachments, and so must be asked by POST.
    pub(super) fn edits(self) -> bool {
        matches!(self, Self::Add | Self::Update | Self::Delete)
    }

    /// Whether a file comes with it.
    pub(super) fn takes_file(self) -> bool {
        matches!(self, Self::Add | Self::Update)
    }
}

/// A file that a form has brought.
#[derive(Debug)]
pub(super) struct Upload {
    name: String,
    content_type: String,
    file: AttachmentFile,
}

impl Upload {
    fn into_attachment(self, keywords: &str) -> std::io::Result<NewAttachment> {
        let content = Content::of_file(&self.file)?;
        let Self { name, content_type, .. } = self;
        Ok(NewAttachment { name, content_type, keywords: keywords.to_owned(), content })
    }
}

/// The boundary of a form in several parts, if the request brings one.
pub(super) fn boundary(headers: &HeaderMap) -> Option<String> {
    multer::parse_boundary(headers.get(CONTENT_TYPE)?.to_str().ok()?).ok()
}

/// Reads a form in several parts: its fields, and its part `attachment` if that is a file.
pub(super) async fn read_form(
    state: &GisState,
    body: Body,
    boundary: String,
) -> Result<(Vec<(String, String)>, Option<Upload>), Response> {
    let mut form = Multipart::new(body.into_data_stream(), boundary);
    let (mut fields, mut upload) = (Vec::new(), None);
    loop {
        let field =
            form.next_field().await.map_err(|error| refused(&ReceiveError::BrokenOff(error.to_string())))?;
        let Some(field) = field else { return Ok((fields, upload)) };
        let name = field.name().unwrap_or_default().to_owned();
        if name == "attachment" && field.file_name().is_some() {
            upload = Some(received(state, field).await.map_err(|error| refused(&error))?);
        } else {
            fields.push((name, value(field).await?));
        }
    }
}

async fn received(state: &GisState, field: Field<'static>) -> Result<Upload, ReceiveError> {
    let name = field.file_name().unwrap_or_default().to_owned();
    let content_type = field.content_type().map_or(UNKNOWN_TYPE.to_owned(), ToString::to_string);
    let file = state.receive(field).await?;
    Ok(Upload { name, content_type, file })
}

async fn value(mut field: Field<'static>) -> Result<String, Response> {
    let mut bytes = Vec::new();
    let broken = |error: multer::Error| refused(&ReceiveError::BrokenOff(error.to_string()));
    while let Some(piece) = field.try_next().await.map_err(broken)? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > LONGEST_VALUE {
            return Err(StatusCode::PAYLOAD_TOO_LARGE.into_response());
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn refused(error: &ReceiveError) -> Response {
    let status = match error {
        ReceiveError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        ReceiveError::BrokenOff(_) => StatusCode::BAD_REQUEST,
        ReceiveError::File(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, error.to_string()).into_response()
}

/// Does what can be answered in JSON. Contents that are no longer needed come with the answer.
pub(super) fn answer(
    layer: &mut Layer,
    object_id: i64,
    operation: RowOperation,
    parameters: &Parameters,
    upload: Option<Upload>,
    hand: Hand<'_>,
) -> Result<(Value, Vec<Content>), Refusal> {
    if !layer.settings.offers.attachments {
        return Err(Refusal::invalid_url());
    }
    if let Some(name) = parameters.first_of(&NOT_PLAYED) {
        return Err(Refusal::input(format!("'{name}' is not supported by this server")));
    }
    let sent = |upload: Option<Upload>| {
        let upload = upload.ok_or_else(|| missing("attachment"))?;
        let attachment = upload.into_attachment(parameters.get("keywords").unwrap_or_default());
        attachment.map_err(|error| Refusal::input(format!("the file cannot be written: {error}")))
    };
    match operation {
        RowOperation::List | RowOperation::Download(_) => {
            Ok((attachments::of_row(layer, object_id)?, Vec::new()))
        }
        RowOperation::Add => {
            let outcome = layer.add_attachment(object_id, sent(upload)?, hand);
            Ok((json!({ "addAttachmentResult": outcome_body(&outcome) }), Vec::new()))
        }
        RowOperation::Update => {
            let id = parameters.get("attachmentId").ok_or_else(|| missing("attachmentId"))?;
            let id = id.parse().map_err(|_| unreadable("attachmentId"))?;
            let (outcome, old): (Outcome, _) =
                match layer.update_attachment((object_id, id), sent(upload)?, hand) {
                    Ok((ids, old)) => (Ok(ids), vec![old]),
                    Err(error) => (Err(error), Vec::new()),
                };
            Ok((json!({ "updateAttachmentResult": outcome_body(&outcome) }), old))
        }
        RowOperation::Delete => {
            let ids = parameters.get("attachmentIds").ok_or_else(|| missing("attachmentIds"))?;
            let ids = object_ids(ids).ok_or_else(|| unreadable("attachmentIds"))?;
            let rollback = parameters.flag("rollbackOnFailure", true)?;
            let (outcomes, removed) = layer.delete_attachments(object_id, &ids, rollback, hand)?;
            let results: Vec<Value> = outcomes.iter().map(outcome_body).collect();
            Ok((json!({ "deleteAttachmentResults": results }), removed))
        }
    }
}

fn missing(name: &str) -> Refusal {
    Refusal::input(format!("'{name}' must be specified"))
}

fn unreadable(name: &str) -> Refusal {
    Refusal::input(format!("'{name}' parameter is invalid"))
}

/// The attachment to be downloaded.
pub(super) fn found(layer: &Layer, object_id: i64, id: i64) -> Result<Attachment, Refusal> {
    if !layer.settings.offers.attachments {
        return Err(Refusal::invalid_url());
    }
    let row = layer.rows.get(&object_id);
    row.and_then(|row| row.attachments.get(&id)).cloned().ok_or_else(Refusal::not_completed)
}

/// The bytes of an attachment under its content type, uncompressed and with their length.
pub(super) async fn download(state: &GisState, attachment: &Attachment) -> Response {
    let body = match attachment.content.body(&state.files).await {
        Ok(body) => body,
        Err(error) => {
            tracing::error!(error = %error, "the content of an attachment is not in its folder");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let mut response = Response::new(body);
    let content_type = HeaderValue::from_str(&attachment.content_type);
    let content_type = content_type.unwrap_or(HeaderValue::from_static(UNKNOWN_TYPE));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(attachment.content.size()));
    response.extensions_mut().insert(AsItIs);
    response.extensions_mut().insert(OnItsWay);
    response
}
