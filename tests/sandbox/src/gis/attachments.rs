//! The attachments of rows: how metadata, the list of one row and `queryAttachments` tell them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::content::{Content, Generated};
use super::global_id;
use super::layer::{Layer, Row};
use super::parameters::{Parameters, object_ids};
use super::query;
use super::refusal::Refusal;

/// Parameters of `queryAttachments` that real servers know and this one does not play; without them the answer would
/// be a wrong one.
const NOT_PLAYED: [&str; 8] = [
    "attachmentsDefinitionExpression",
    "attachmentsWhere",
    "gdbVersion",
    "historicMoment",
    "keywords",
    "orderByFields",
    "sessionID",
    "timeReferenceUnknownClient",
];

/// A file that hangs on a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attachment {
    pub(super) global_id: String,
    pub(super) name: String,
    pub(super) content_type: String,
    pub(super) keywords: String,
    pub(super) content: Content,
}

/// A file whose bytes are made from a seed when they are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedAttachment {
    /// The file's name.
    pub name: String,
    /// The file's type, such as `image/jpeg`. The bytes begin as such a file does.
    pub content_type: String,
    /// Other seeds give other bytes.
    pub seed: u64,
    /// The size in bytes.
    pub size: u64,
}

impl Layer {
    /// Hangs files on a row without an edit, as publishing does. A row that is not there gets none.
    pub fn attach(&mut self, object_id: i64, files: Vec<GeneratedAttachment>) {
        if !self.rows.contains_key(&object_id) {
            return;
        }
        for file in files {
            let GeneratedAttachment { name, content_type, seed, size } = file;
            let content = Content::Generated(Generated { seed, size, content_type: content_type.clone() });
            let (id, global_id) = (self.take_attachment_id(), self.take_global_id());
            let attachment = Attachment { global_id, name, content_type, keywords: String::new(), content };
            if let Some(row) = self.rows.get_mut(&object_id) {
                row.attachments.insert(id, attachment);
            }
        }
    }
}

impl Attachment {
    /// As the list of one row tells it.
    fn info(&self, id: i64) -> Value {
        json!({
            "id": id,
            "globalId": self.global_id,
            "name": self.name,
            "contentType": self.content_type,
            "size": self.content.size(),
            "keywords": self.keywords,
            "exifInfo": null,
        })
    }

    /// As `queryAttachments` tells it: since 10.8.1 by the names of the fields too.
    fn queried(&self, id: i64) -> Value {
        let mut info = self.info(id);
        if let Some(info) = info.as_object_mut() {
            info.insert("ATTACHMENTID".to_owned(), json!(id));
            info.insert("GLOBALID".to_owned(), json!(self.global_id));
            info.insert("ATT_NAME".to_owned(), json!(self.name));
            info.insert("CONTENT_TYPE".to_owned(), json!(self.content_type));
            info.insert("DATA_SIZE".to_owned(), json!(self.content.size()));
            info.insert("KEYWORDS".to_owned(), json!(self.keywords));
        }
        info
    }
}

/// `attachmentProperties` of a layer.
pub(super) fn properties() -> Value {
    let property = |(name, field, is_enabled): (&str, &str, bool)| json!({ "name": name, "fieldName": field, "isEnabled": is_enabled });
    let all = [
        ("name", "ATT_NAME", true),
        ("size", "DATA_SIZE", true),
        ("contentType", "CONTENT_TYPE", true),
        ("keywords", "KEYWORDS", true),
        ("exifInfo", "EXIFINFO", false),
    ];
    Value::from(all.map(property).to_vec())
}

/// `attachmentFields` of a layer.
pub(super) fn fields() -> Value {
    let field = |(name, field_type, length): (&str, &str, u32)| json!({ "name": name, "alias": name, "type": field_type, "length": length });
    let all = [
        ("ATTACHMENTID", "esriFieldTypeOID", 4),
        ("GLOBALID", "esriFieldTypeGlobalID", 38),
        ("CONTENT_TYPE", "esriFieldTypeString", 150),
        ("ATT_NAME", "esriFieldTypeString", 250),
        ("DATA_SIZE", "esriFieldTypeInteger", 4),
        ("KEYWORDS", "esriFieldTypeString", 1024),
    ];
    Value::from(all.map(field).to_vec())
}

/// The resource `…/<row>/attachments`.
pub(super) fn of_row(layer: &Layer, object_id: i64) -> Result<Value, Refusal> {
    let row = layer.rows.get(&object_id).ok_or_else(Refusal::not_completed)?;
    let infos: Vec<Value> = row.attachments.iter().map(|(id, attachment)| attachment.info(*id)).collect();
    Ok(json!({ "attachmentInfos": infos }))
}

/// Answers `queryAttachments`. It has as many attachments at most as the layer gives rows, and does not tell that there
/// are more. Rows with none are missing.
pub(super) fn answer(layer: &Layer, parameters: &Parameters, now: i64) -> Result<Value, Refusal> {
    if !(layer.settings.offers.attachments && layer.settings.offers.query_attachments) {
        return Err(Refusal::invalid_url());
    }
    if let Some(name) = parameters.first_of(&NOT_PLAYED) {
        return Err(Refusal::query(format!("'{name}' is not supported by this server")));
    }
    for name in ["returnUrl", "returnMetadata", "returnCountOnly", "returnDistinctKeywords"] {
        if parameters.flag(name, false)? {
            return Err(Refusal::query(format!("'{name}' is not supported by this server")));
        }
    }
    let rows = Rows::read(layer, parameters, now)?;
    let filter = Filter::read(parameters)?;
    let offset = parameters.count("resultOffset", 0)?.unwrap_or(0);
    let limit = parameters.count("resultRecordCount", 1)?.unwrap_or(usize::MAX);
    let limit = limit.min(layer.settings.max_record_count);

    let rows = layer.rows.iter().filter(|(id, row)| rows.have(layer, **id, row));
    let attachments = rows.flat_map(|(id, row)| row.attachments.iter().map(move |found| (*id, row, found)));
    let wanted = attachments.filter(|(_, _, (_, attachment))| filter.selects(attachment));
    let mut groups: Vec<(i64, &Row, Vec<Value>)> = Vec::new();
    for (object_id, row, (id, attachment)) in wanted.skip(offset).take(limit) {
        match groups.last_mut().filter(|(of, _, _)| *of == object_id) {
            Some((_, _, infos)) => infos.push(attachment.queried(*id)),
            None => groups.push((object_id, row, vec![attachment.queried(*id)])),
        }
    }
    let group = |(object_id, row, infos): (i64, &Row, Vec<Value>)| {
        json!({
            "parentObjectId": object_id,
            "parentGlobalId": layer.global_id_of(row),
            "attachmentInfos": infos,
        })
    };
    let groups: Vec<Value> = groups.into_iter().map(group).collect();
    Ok(json!({ "fields": fields(), "attachmentGroups": groups }))
}

/// The rows whose attachments are asked for.
struct Rows {
    object_ids: Option<BTreeSet<i64>>,
    global_ids: Option<BTreeSet<String>>,
    condition: Option<super::sql::Condition>,
}

impl Rows {
    fn read(layer: &Layer, parameters: &Parameters, now: i64) -> Result<Self, Refusal> {
        let unreadable = |name: &str| Refusal::query(format!("'{name}' parameter is invalid"));
        let global_ids = match parameters.get("globalIds") {
            None => None,
            Some(text) => {
                let ids: Option<_> = text.split(',').map(global_id::normalized).collect();
                Some(ids.ok_or_else(|| unreadable("globalIds"))?)
            }
        };
        let object_ids = match parameters.get("objectIds").filter(|_| global_ids.is_none()) {
            None => None,
            Some(text) => {
                let ids = object_ids(text).ok_or_else(|| unreadable("objectIds"))?;
                Some(ids.into_iter().collect())
            }
        };
        let condition = match parameters.get("definitionExpression") {
            None => None,
            Some(text) => Some(query::condition(layer, text, now)?),
        };
        if global_ids.is_none() && object_ids.is_none() && condition.is_none() {
            let reason = "'objectIds', 'globalIds' or 'definitionExpression' must be specified";
            return Err(Refusal::query(reason));
        }
        Ok(Self { object_ids, global_ids, condition })
    }

    fn have(&self, layer: &Layer, object_id: i64, row: &Row) -> bool {
        let has_global_id = |ids: &BTreeSet<String>| {
            layer.global_id_of(row).as_str().is_some_and(|global_id| ids.contains(global_id))
        };
        self.object_ids.as_ref().is_none_or(|ids| ids.contains(&object_id))
            && self.global_ids.as_ref().is_none_or(has_global_id)
            && self.condition.as_ref().is_none_or(|condition| condition.selects(&row.attributes))
    }
}

/// The attachments wanted of those rows.
struct Filter {
    types: Option<BTreeSet<String>>,
    /// The least and the greatest size in bytes.
    size: (u64, u64),
}

impl Filter {
    fn read(parameters: &Parameters) -> Result<Self, Refusal> {
        let types = parameters.get("attachmentTypes");
        let types = types.map(|text| text.split(',').map(|kind| kind.trim().to_ascii_lowercase()).collect());
        let size = match parameters.get("size") {
            None => (0, u64::MAX),
            Some(text) => {
                let mut sizes = text.split(',').map(|size| size.trim().parse::<u64>());
                match (sizes.next(), sizes.next(), sizes.next()) {
                    (Some(Ok(least)), None, _) => (least, u64::MAX),
                    (Some(Ok(least)), Some(Ok(greatest)), None) => (least, greatest),
                    _ => return Err(Refusal::query("'size' parameter is invalid")),
                }
            }
        };
        Ok(Self { types, size })
    }

    fn selects(&self, attachment: &Attachment) -> bool {
        let size = attachment.content.size();
        let is_wanted =
            |types: &BTreeSet<String>| types.contains(&attachment.content_type.to_ascii_lowercase());
        (self.size.0..=self.size.1).contains(&size) && self.types.as_ref().is_none_or(is_wanted)
    }
}
