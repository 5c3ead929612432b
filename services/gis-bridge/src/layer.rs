//! A layer as one collection sees it: the declared fields, found in what the layer says of itself.

use std::sync::Arc;

use chrono::DateTime;
use databridge_config::Collection;
use databridge_model::FieldType;

use crate::layer_page::{CodedValue, EsriType, FieldPage, LayerPage, TimeReference};
use crate::settings::LayerPart;

/// Rows of a page where the layer names no limit (arcgis.md, section 1: servers of 10.0).
const UNNAMED_LIMIT: u64 = 1000;
/// The most rows of a page: with its cursor it is one batch of the broker.
const MOST_ROWS: u64 = 999;

/// A collection's layer.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    /// Its number in the service.
    pub(crate) number: u32,
    /// The field that holds the object id.
    pub(crate) object_id: String,
    /// The field that holds the GlobalID.
    pub(crate) global_id: Option<String>,
    /// The declared field that is the key.
    pub(crate) key: String,
    /// How a row that we have made is told from the others.
    pub(crate) identity: Identity,
    /// The declared fields that the layer has.
    pub(crate) columns: Vec<Column>,
    /// What of the system file is not there, each with the field and the reason.
    pub(crate) lacking: Vec<(String, String)>,
    /// What tells when a row was edited.
    pub(crate) edit_date: Option<EditDate>,
    /// When any row was last edited, in milliseconds since 1970, if the layer tells.
    pub(crate) last_edit: Option<i64>,
    /// The most rows that it gives at once.
    pub(crate) page_rows: usize,
    /// The most rows of an answer, and the most attachments of an answer to `queryAttachments`, by its own word.
    pub(crate) record_limit: usize,
    /// Whether its rows can have attachments, if it says so.
    pub(crate) has_attachments: Option<bool>,
    /// Whether it tells the attachments of many rows at once.
    pub(crate) queries_attachments: bool,
    /// Whether it takes `resultRecordCount`, if it says so.
    pub(crate) pages: Option<bool>,
    /// Dates are in a zone that the server does not know; every request must say that we know that.
    pub(crate) unknown_time_zone: bool,
}

/// How a row that an earlier attempt may have made is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// By its key, a field like others.
    Key,
    /// By the GlobalID that we chose for it.
    OurGlobalId,
    /// The key is the GlobalID, which the layer chooses: by the values of these declared fields.
    Fields(Vec<String>),
}

/// A declared field and where the layer has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    /// The declared name.
    pub(crate) name: String,
    /// The declared type.
    pub(crate) kind: FieldType,
    /// Where it is.
    pub(crate) source: Source,
}

/// Where a value is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    /// In an attribute.
    Attribute(Field),
    /// It is the geometry.
    Geometry { editable: bool },
}

/// A field of the layer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    /// As the layer spells it.
    pub(crate) name: String,
    pub(crate) kind: EsriType,
    /// Most UTF-16 units of a text.
    pub(crate) length: Option<usize>,
    pub(crate) nullable: bool,
    pub(crate) editable: bool,
    pub(crate) coded: Vec<CodedValue>,
}

/// The field that tells when a row was edited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EditDate {
    pub(crate) field: String,
    /// Literals are read in UTC. Not so where the layer has its own zone, save for editor tracking (section 2).
    pub(crate) in_utc: bool,
}

/// The page does not describe a layer that can be synced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("layer {0} {1}")]
pub(crate) struct LayerError(u32, &'static str);

impl Layer {
    pub(crate) fn new(
        part: &LayerPart,
        declared: &Collection,
        page: &LayerPage,
    ) -> Result<Arc<Self>, LayerError> {
        let number = part.layer;
        let fields = page.fields.as_deref().unwrap_or_default();
        if fields.is_empty() {
            return Err(LayerError(
                number,
                "shows no fields: it is a group layer, or our sign-in may not see it",
            ));
        }
        let of_kind = |kind| fields.iter().find(|field| field.kind == kind).map(|field| field.name.clone());
        let named = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
        let Some(object_id) = named(&page.object_id_field).or_else(|| of_kind(EsriType::ObjectId)) else {
            return Err(LayerError(number, "has no object id field, so its rows cannot be told apart"));
        };
        let last_edit = page.editing_info.as_ref().and_then(|info| info.last_edit_date);
        let mut layer = Self {
            number,
            object_id,
            global_id: named(&page.global_id_field).or_else(|| of_kind(EsriType::GlobalId)),
            key: declared.key.clone(),
            identity: Identity::Key,
            columns: Vec::new(),
            lacking: Vec::new(),
            edit_date: None,
            last_edit: last_edit.filter(|at| is_moment(*at)),
            page_rows: usize::try_from(page.max_record_count.unwrap_or(UNNAMED_LIMIT).clamp(1, MOST_ROWS))
                .unwrap_or(1),
            record_limit: usize::try_from(page.max_record_count.unwrap_or(UNNAMED_LIMIT).max(1))
                .unwrap_or(usize::MAX),
            has_attachments: page.has_attachments,
            queries_attachments: page.queries_attachments(),
            pages: page.pages(),
            unknown_time_zone: page.dates_in_unknown_timezone == Some(true),
        };
        for (name, declaration) in &declared.fields {
            let kind = declaration.kind.clone();
            match source(number, name, &kind, page, fields) {
                Ok(source) => layer.columns.push(Column { name: name.clone(), kind, source }),
                Err(reason) => layer.lacking.push((name.clone(), reason)),
            }
        }
        if layer.key_is_global_id() {
            layer.identity = match page.takes_global_ids {
                Some(true) => Identity::OurGlobalId,
                _ => Identity::Fields(part.lookup.clone()),
            };
        }
        layer.find_edit_date(part, page, fields);
        Ok(Arc::new(layer))
    }

    fn find_edit_date(&mut self, part: &LayerPart, page: &LayerPage, fields: &[FieldPage]) {
        let date = |name: &str| find(fields, name).filter(|field| field.kind == EsriType::Date);
        let tracked = page.edit_fields_info.as_ref().and_then(|info| info.edit_date_field.as_deref());
        let tracked = tracked.and_then(date).map(|field| field.name.clone());
        let in_utc = page.date_fields_time_reference.as_ref().is_none_or(TimeReference::is_utc);
        if let Some(name) = part.edit_date.as_deref() {
            if let Some(field) = date(name) {
                let field = field.name.clone();
                let in_utc = in_utc || tracked.as_ref() == Some(&field);
                self.edit_date = Some(EditDate { field, in_utc });
                return;
            }
            let reason = format!(
                "layer {} has no date field `{name}`, which [bridge.layers] of the system file names as edit_date; correct the name or take the line out",
                self.number
            );
            self.lacking.push((name.to_owned(), reason));
        }
        self.edit_date = tracked.map(|field| EditDate { field, in_utc: true });
    }

    /// Whether the key is the GlobalID, which is written by no edit of a row.
    fn key_is_global_id(&self) -> bool {
        let source = self.column(&self.key).map(|column| &column.source);
        matches!(source, Some(Source::Attribute(field)) if field.kind == EsriType::GlobalId)
    }

    /// The declared field of this name, if the layer has it.
    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Whether any declared field is the geometry.
    pub(crate) fn with_geometry(&self) -> bool {
        self.columns.iter().any(|column| matches!(column.source, Source::Geometry { .. }))
    }

    /// The attributes that a record is made of, for `outFields`.
    pub(crate) fn out_fields(&self) -> Vec<&str> {
        let mut names = vec![self.object_id.as_str()];
        let others = self.columns.iter().filter_map(|column| match &column.source {
            Source::Attribute(field) => Some(field.name.as_str()),
            Source::Geometry { .. } => None,
        });
        let ids = self
            .global_id
            .as_deref()
            .into_iter()
            .chain(self.edit_date.as_ref().map(|date| date.field.as_str()));
        for name in ids.chain(others) {
            if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                names.push(name);
            }
        }
        names
    }
}

/// Whether so many milliseconds since 1970 are a moment, and not what a server says that knows none.
fn is_moment(milliseconds: i64) -> bool {
    DateTime::from_timestamp_millis(milliseconds).is_some()
}

fn find<'a>(fields: &'a [FieldPage], name: &str) -> Option<&'a FieldPage> {
    let exact = fields.iter().find(|field| field.name == name);
    exact.or_else(|| fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)))
}

fn source(
    number: u32,
    name: &str,
    kind: &FieldType,
    page: &LayerPage,
    fields: &[FieldPage],
) -> Result<Source, String> {
    if *kind == FieldType::Point {
        return match page.geometry_type.as_deref() {
            Some("esriGeometryPoint") => {
                Ok(Source::Geometry { editable: page.allow_geometry_updates != Some(false) })
            }
            Some(other) => Err(format!(
                "layer {number} holds {other:.60}, not points; take `{name}` out of the system file"
            )),
            None => Err(format!(
                "layer {number} is a table without geometry; take `{name}` out of the system file"
            )),
        };
    }
    let Some(field) = find(fields, name) else {
        return Err(format!(
            "layer {number} has no field `{name}`; bring it back, or take it out of the system file and the routes"
        ));
    };
    Ok(Source::Attribute(Field {
        name: field.name.clone(),
        kind: field.kind,
        length: field.length.filter(|length| *length > 0).and_then(|length| usize::try_from(length).ok()),
        nullable: field.nullable != Some(false),
        editable: field.editable != Some(false)
            && !matches!(field.kind, EsriType::ObjectId | EsriType::GlobalId | EsriType::Other),
        coded: field.domain.as_ref().and_then(|domain| domain.coded_values.clone()).unwrap_or_default(),
    }))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    /// A layer made of a page, with the declarations of a small collection.
    pub(crate) fn layer(change: impl FnOnce(&mut Json)) -> Layer {
        let declared: Collection = toml::from_str(
            "key = 'Warrant'\n[fields]\nWarrant = 'text'\nStatus = 'text'\nRooms = 'int'\nArea = 'decimal'\nHeard = 'instant'\nDue = 'date'\nshape = 'point'",
        )
        .unwrap();
        let mut page = json!({
            "objectIdField": "OBJECTID", "globalIdField": "GlobalID", "geometryType": "esriGeometryPoint",
            "maxRecordCount": 2000,
            "fields": [
                {"name": "OBJECTID", "type": "esriFieldTypeOID", "nullable": false, "editable": false},
                {"name": "GlobalID", "type": "esriFieldTypeGlobalID"},
                {"name": "WARRANT", "type": "esriFieldTypeString", "length": 10, "nullable": false},
                {"name": "Status", "type": "esriFieldTypeString", "length": 10, "domain": {"type": "codedValue",
                    "name": "s", "codedValues": [{"name": "Hearing", "code": "H"}, {"name": "Stay", "code": "S"}]}},
                {"name": "Rooms", "type": "esriFieldTypeSmallInteger"},
                {"name": "Area", "type": "esriFieldTypeDouble"},
                {"name": "Heard", "type": "esriFieldTypeDate"},
                {"name": "Due", "type": "esriFieldTypeDate"},
                {"name": "Edited", "type": "esriFieldTypeDate", "editable": false}
            ],
            "editFieldsInfo": {"editDateField": "edited"},
            "advancedQueryCapabilities": {"supportsPagination": true}
        });
        change(&mut page);
        let part = LayerPart { layer: 2, edit_date: None, lookup: Vec::new() };
        Arc::unwrap_or_clone(Layer::new(&part, &declared, &serde_json::from_value(page).unwrap()).unwrap())
    }

    #[test]
    fn names_are_matched_whatever_their_case_and_the_declared_one_is_kept() {
        let layer = layer(|_| {});
        assert_eq!(layer.column("Warrant").unwrap().name, "Warrant");
        assert_eq!(
            layer.out_fields(),
            ["OBJECTID", "GlobalID", "Edited", "Area", "Due", "Heard", "Rooms", "Status", "WARRANT"]
        );
        assert!(layer.lacking.is_empty() && layer.with_geometry());
        assert_eq!(layer.page_rows, 999);
    }

    #[test]
    fn a_field_that_the_layer_lost_is_named_and_not_asked_for() {
        let layer =
            layer(|page| page["fields"].as_array_mut().unwrap().retain(|field| field["name"] != "Rooms"));
        assert!(!layer.out_fields().contains(&"Rooms"));
        assert_eq!(layer.lacking.len(), 1);
        assert!(layer.lacking[0].1.contains("no field `Rooms`"), "{:?}", layer.lacking);
    }

    #[test]
    fn a_table_or_a_layer_of_areas_has_no_point_to_give() {
        for kind in [Json::Null, json!("esriGeometryPolygon")] {
            let layer = layer(|page| page["geometryType"] = kind);
            assert_eq!(layer.lacking[0].0, "shape");
            assert!(!layer.with_geometry());
        }
    }

    #[test]
    fn an_edit_at_no_moment_is_not_told() {
        for (told, last_edit) in
            [(i64::MIN, None), (i64::MAX, None), (1_795_186_800_000, Some(1_795_186_800_000))]
        {
            assert_eq!(
                layer(|page| page["editingInfo"] = json!({"lastEditDate": told})).last_edit,
                last_edit
            );
        }
    }

    #[test]
    fn an_old_server_that_says_little_is_understood() {
        let layer = layer(|page| {
            for key in [
                "objectIdField",
                "globalIdField",
                "maxRecordCount",
                "editFieldsInfo",
                "advancedQueryCapabilities",
            ] {
                page.as_object_mut().unwrap().remove(key);
            }
        });
        assert_eq!((layer.object_id.as_str(), layer.page_rows), ("OBJECTID", 999));
        assert_eq!((layer.edit_date, layer.pages), (None, None));
    }

    #[test]
    fn recorded_pages_of_real_servers_can_be_read() {
        let folder =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/arcgis/pyesridump");
        let Ok(files) = std::fs::read_dir(&folder) else {
            eprintln!("skipped: the folder of recorded answers is not here");
            return;
        };
        let (part, mut read) = (LayerPart { layer: 0, edit_date: None, lookup: Vec::new() }, 0);
        let declared: Collection = toml::from_str("key = 'nothing'\n[fields]\nnothing = 'text'").unwrap();
        for file in
            files.map(|file| file.unwrap().path()).filter(|path| path.to_string_lossy().contains("metadata"))
        {
            let page: LayerPage = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
            let layer = Layer::new(&part, &declared, &page).unwrap();
            assert_eq!(layer.lacking.len(), 1, "{}", file.display());
            read += 1;
        }
        assert!(read >= 5, "only {read} pages found");
    }

    #[test]
    fn a_row_is_known_again_by_what_the_layer_allows() {
        let identity = |key: &str, takes: Json| {
            let declared: Collection =
                toml::from_str(&format!("key = '{key}'\n[fields]\nGlobalID = 'text'\nWarrant = 'text'"))
                    .unwrap();
            let page = json!({
                "objectIdField": "OBJECTID", "supportsApplyEditsWithGlobalIds": takes,
                "fields": [
                    {"name": "OBJECTID", "type": "esriFieldTypeOID"},
                    {"name": "GLOBALID", "type": "esriFieldTypeGlobalID"},
                    {"name": "Warrant", "type": "esriFieldTypeString"}]
            });
            let part = LayerPart { layer: 6, edit_date: None, lookup: vec!["Warrant".to_owned()] };
            Layer::new(&part, &declared, &serde_json::from_value(page).unwrap()).unwrap().identity.clone()
        };
        let by_fields = Identity::Fields(vec!["Warrant".to_owned()]);
        assert_eq!(identity("GlobalID", json!(true)), Identity::OurGlobalId);
        assert_eq!(identity("GlobalID", json!(false)), by_fields);
        assert_eq!(identity("GlobalID", Json::Null), by_fields, "a server that does not say so takes none");
        assert_eq!(identity("Warrant", json!(true)), Identity::Key);
    }
}
