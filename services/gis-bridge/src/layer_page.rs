//! A layer's own page, as the server gives it (arcgis.md, section 1). Old servers leave most of it out.

use serde::Deserialize;
use serde_json::Value as Json;

/// `<service>/<layer>?f=json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LayerPage {
    pub(crate) object_id_field: Option<String>,
    pub(crate) global_id_field: Option<String>,
    pub(crate) fields: Option<Vec<FieldPage>>,
    pub(crate) geometry_type: Option<String>,
    pub(crate) max_record_count: Option<u64>,
    pub(crate) edit_fields_info: Option<EditFields>,
    pub(crate) editing_info: Option<EditingInfo>,
    pub(crate) date_fields_time_reference: Option<TimeReference>,
    pub(crate) dates_in_unknown_timezone: Option<bool>,
    pub(crate) supports_pagination: Option<bool>,
    pub(crate) advanced_query_capabilities: Option<QueryCapabilities>,
    pub(crate) allow_geometry_updates: Option<bool>,
    pub(crate) has_attachments: Option<bool>,
    #[serde(rename = "supportsApplyEditsWithGlobalIds")]
    pub(crate) takes_global_ids: Option<bool>,
}

/// One of `fields`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct FieldPage {
    pub(crate) name: String,
    #[serde(rename = "type", default)]
    pub(crate) kind: EsriType,
    pub(crate) length: Option<i64>,
    pub(crate) nullable: Option<bool>,
    pub(crate) editable: Option<bool>,
    pub(crate) domain: Option<DomainPage>,
}

/// A field's type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum EsriType {
    #[serde(rename = "esriFieldTypeOID")]
    ObjectId,
    #[serde(rename = "esriFieldTypeGlobalID")]
    GlobalId,
    #[serde(rename = "esriFieldTypeGUID")]
    Guid,
    #[serde(rename = "esriFieldTypeString")]
    Text,
    #[serde(rename = "esriFieldTypeSmallInteger")]
    SmallInteger,
    #[serde(rename = "esriFieldTypeInteger")]
    Integer,
    #[serde(rename = "esriFieldTypeBigInteger")]
    BigInteger,
    #[serde(rename = "esriFieldTypeSingle")]
    Single,
    #[serde(rename = "esriFieldTypeDouble")]
    Double,
    /// Milliseconds since 1970.
    #[serde(rename = "esriFieldTypeDate")]
    Date,
    #[serde(rename = "esriFieldTypeDateOnly")]
    DateOnly,
    #[serde(rename = "esriFieldTypeTimeOnly")]
    TimeOnly,
    #[serde(rename = "esriFieldTypeTimestampOffset")]
    TimestampOffset,
    /// What carries no value of ours: Blob, Geometry, XML, Raster, and what is yet to come.
    #[default]
    #[serde(other)]
    Other,
}

/// `domain` of a field.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DomainPage {
    pub(crate) coded_values: Option<Vec<CodedValue>>,
}

/// A code and its name. Rows hold the code; people know the name.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct CodedValue {
    pub(crate) name: String,
    pub(crate) code: Json,
}

/// `editFieldsInfo`: the fields of editor tracking. Null where tracking is off.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EditFields {
    pub(crate) edit_date_field: Option<String>,
}

/// `editingInfo`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EditingInfo {
    /// Milliseconds since 1970.
    pub(crate) last_edit_date: Option<i64>,
}

/// `dateFieldsTimeReference`: the zone in which date literals of a `where` are read. Null is UTC.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TimeReference {
    pub(crate) time_zone: Option<String>,
}

impl TimeReference {
    /// Windows' name of the zone is given.
    pub(crate) fn is_utc(&self) -> bool {
        self.time_zone.as_deref().is_none_or(|zone| matches!(zone, "UTC" | "Etc/UTC" | ""))
    }
}

/// `advancedQueryCapabilities`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QueryCapabilities {
    pub(crate) supports_pagination: Option<bool>,
    pub(crate) supports_query_attachments: Option<bool>,
}

impl LayerPage {
    /// Whether it tells the attachments of many rows at once.
    pub(crate) fn queries_attachments(&self) -> bool {
        let advanced = self.advanced_query_capabilities.as_ref();
        advanced.and_then(|told| told.supports_query_attachments) == Some(true)
    }

    /// Whether the layer takes `resultRecordCount`; `None` where it does not say (servers before 10.3).
    pub(crate) fn pages(&self) -> Option<bool> {
        let advanced = self.advanced_query_capabilities.as_ref().and_then(|told| told.supports_pagination);
        advanced.or(self.supports_pagination)
    }
}
