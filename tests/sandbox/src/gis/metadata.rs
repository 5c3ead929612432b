//! What the server, the service and a layer tell about themselves.

use serde_json::{Value, json};

use super::attachments;
use super::field::{Field, FieldType};
use super::geometry::SpatialReference;
use super::layer::Layer;

const VERSION: f64 = 11.3;
const CAPABILITIES: &str = "Create,Delete,Query,Update,Editing";

/// `/rest/info`. `root` is the address of the site, such as `http://127.0.0.1:8080/arcgis`.
pub(super) fn server(root: &str) -> Value {
    json!({
        "currentVersion": VERSION,
        "fullVersion": "11.3.0",
        "authInfo": {
            "isTokenBasedSecurity": true,
            "tokenServicesUrl": format!("{root}/tokens/"),
            "shortLivedTokenValidity": 60,
        },
    })
}

/// The service's own page.
pub(super) fn service<'a>(layers: impl Iterator<Item = &'a Layer> + Clone, max_record_count: usize) -> Value {
    let entry = |layer: &Layer| {
        let mut entry = json!({
            "id": layer.id,
            "name": layer.name,
            "parentLayerId": -1,
            "defaultVisibility": true,
            "subLayerIds": null,
            "minScale": 0,
            "maxScale": 0,
            "type": kind(layer),
        });
        if let (true, Some(entry)) = (layer.has_geometry, entry.as_object_mut()) {
            entry.insert("geometryType".to_owned(), json!("esriGeometryPoint"));
        }
        entry
    };
    let all_take_global_ids = layers.clone().all(|layer| layer.settings.offers.client_global_ids);
    let with_geometry: Vec<Value> = layers.clone().filter(|layer| layer.has_geometry).map(entry).collect();
    let tables: Vec<Value> = layers.filter(|layer| !layer.has_geometry).map(entry).collect();
    json!({
        "currentVersion": VERSION,
        "serviceDescription": "",
        "hasVersionedData": false,
        "supportsDisconnectedEditing": false,
        "supportsReturnDeleteResults": true,
        "hasStaticData": false,
        "maxRecordCount": max_record_count,
        "supportedQueryFormats": "JSON",
        "capabilities": CAPABILITIES,
        "description": "",
        "copyrightText": "",
        "spatialReference": SpatialReference::WebMercator.body(),
        "allowGeometryUpdates": true,
        "units": "esriMeters",
        "syncEnabled": false,
        "supportsApplyEditsWithGlobalIds": all_take_global_ids,
        "layers": with_geometry,
        "tables": tables,
    })
}

fn kind(layer: &Layer) -> &'static str {
    if layer.has_geometry { "Feature Layer" } else { "Table" }
}

/// A layer's or table's page.
pub(super) fn layer(layer: &Layer) -> Value {
    let fields: Vec<Value> = layer.fields.iter().map(|field| layer.definition(field)).collect();
    let mut page = json!({
        "currentVersion": VERSION,
        "id": layer.id,
        "name": layer.name,
        "type": kind(layer),
        "description": "",
        "copyrightText": "",
        "defaultVisibility": true,
        "displayField": display_field(layer),
        "editFieldsInfo": edit_fields(layer),
        "ownershipBasedAccessControlForFeatures": null,
        "relationships": [],
        "isDataVersioned": false,
        "isDataArchived": false,
        "hasAttachments": layer.settings.offers.attachments,
        "hasStaticData": false,
        "htmlPopupType": "esriServerHTMLPopupTypeNone",
        "objectIdField": layer.names.object_id,
        "globalIdField": layer.names.global_id,
        "typeIdField": "",
        "types": [],
        "templates": [],
        "fields": fields,
        "maxRecordCount": layer.settings.max_record_count,
        "supportedQueryFormats": "JSON",
        "capabilities": CAPABILITIES,
        "useStandardizedQueries": true,
        "supportsStatistics": false,
        "supportsAdvancedQueries": true,
        "supportsRollbackOnFailureParameter": true,
        "supportsApplyEditsWithGlobalIds": layer.settings.offers.client_global_ids,
        "supportsAppend": false,
        "supportsTruncate": false,
        "allowGeometryUpdates": true,
        "dateFieldsTimeReference": { "timeZone": "UTC", "timeZoneIANA": "Etc/UTC", "respectsDaylightSaving": false },
        "datesInUnknownTimezone": false,
        "advancedQueryCapabilities": {
            "supportsPagination": true,
            "supportsOrderBy": true,
            "supportsDistinct": false,
            "supportsStatistics": false,
            "supportsReturningQueryExtent": false,
            "supportsQueryWithResultType": false,
            "supportsQueryAttachments": layer.settings.offers.attachments && layer.settings.offers.query_attachments,
            "supportsQueryAttachmentsCountOnly": false,
            "supportsSqlExpression": false,
            "supportsMaxRecordCountFactor": false,
        },
    });
    if let Some(page) = page.as_object_mut() {
        if layer.has_geometry {
            page.insert("geometryType".to_owned(), json!("esriGeometryPoint"));
            page.insert("hasZ".to_owned(), json!(false));
            page.insert("hasM".to_owned(), json!(false));
            page.insert("extent".to_owned(), extent(layer));
        }
        if layer.settings.offers.attachments {
            page.insert("attachmentProperties".to_owned(), attachments::properties());
            page.insert("attachmentFields".to_owned(), attachments::fields());
        }
        if layer.settings.last_edit_date {
            let told = json!({ "lastEditDate": layer.last_edit, "dataLastEditDate": layer.last_edit });
            page.insert("editingInfo".to_owned(), told);
        }
    }
    page
}

fn display_field(layer: &Layer) -> &str {
    let text = |field: &&Field| field.field_type == FieldType::Text;
    layer.fields.iter().find(text).map_or(&layer.names.object_id, |field| &field.name)
}

/// Null when tracking is off, and also when a person has removed the fields that it writes.
fn edit_fields(layer: &Layer) -> Value {
    let complete = layer.names.tracked().iter().all(|name| layer.field(name).is_some());
    if !(layer.settings.edit_tracking && complete) {
        return Value::Null;
    }
    json!({
        "creationDateField": layer.names.creation_date,
        "creatorField": layer.names.creator,
        "editDateField": layer.names.edit_date,
        "editorField": layer.names.editor,
        "realm": "",
        "dateFieldsTimeReference": { "timeZone": "UTC", "timeZoneIANA": "Etc/UTC", "respectsDaylightSaving": false },
    })
}

fn extent(layer: &Layer) -> Value {
    let points = || layer.rows.values().filter_map(|row| row.point);
    let Some(first) = points().next() else {
        return json!({ "xmin": "NaN", "ymin": "NaN", "xmax": "NaN", "ymax": "NaN",
            "spatialReference": SpatialReference::WebMercator.body() });
    };
    let start = (first.x, first.y, first.x, first.y);
    let (xmin, ymin, xmax, ymax) = points().fold(start, |(xmin, ymin, xmax, ymax), point| {
        (xmin.min(point.x), ymin.min(point.y), xmax.max(point.x), ymax.max(point.y))
    });
    json!({ "xmin": xmin, "ymin": ymin, "xmax": xmax, "ymax": ymax,
        "spatialReference": SpatialReference::WebMercator.body() })
}
