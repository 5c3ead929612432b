//! A layer's page, its rows, and a push to one of them.

use std::sync::{Arc, OnceLock};

use chrono::{DateTime, TimeDelta};
use databridge_bridge::{Next, Span};
use databridge_config::Collection;
use databridge_http::Budget;
use databridge_http::fuzzing::is_for_a_person;
use databridge_model::{FieldType, Fields, Name, Op, PushRequest};
use databridge_runtime::Clock;
use serde_json::{Map, Value as Json, json};
use url::Url;

use super::LONGEST_REASON;
use crate::change::{Change, Judgement};
use crate::collection::LayerCollection;
use crate::decode::{Feature, Row};
use crate::edits::{self, Edit};
use crate::encode::encoded;
use crate::layer::{Column, Layer, Source};
use crate::layer_page::{EsriType, LayerPage};
use crate::listing;
use crate::place::{Place, Probe};
use crate::query::{self, FeatureSet, Wanted};
use crate::row_id::{is_whole, object_id_in};
use crate::service::{FeatureService, Form};
use crate::service_url::ServiceUrl;
use crate::settings::{Credential, LayerPart};

/// A JSON object: `page` is a layer's own, `rows` the answer to a query, `place` where the listing stands, `push` a push
/// request; `key`, `edit_date` and `lookup` are of the system file.
pub fn gis_rows(data: &[u8]) {
    let Ok(input) = serde_json::from_slice::<Json>(data) else { return };
    let part = |name: &str| input.get(name).cloned().unwrap_or_default();
    let Some(declared) = declared(&part("key")) else { return };
    let lookup = serde_json::from_value(part("lookup")).unwrap_or_default();
    let edit_date = part("edit_date").as_str().map(str::to_owned);
    let layer_part = LayerPart { layer: 2, edit_date, lookup };
    let Ok(page) = serde_json::from_value::<LayerPage>(part("page")) else { return };
    let layer = match Layer::new(&layer_part, &declared, &page) {
        Ok(layer) => layer,
        Err(error) => return assert!(error.to_string().starts_with("layer 2 ")),
    };
    has_each_field_once(&layer, &declared);
    let place: Place = serde_json::from_value(part("place")).unwrap_or_default();
    begins_somewhere(&layer, &place);
    match query::object_ids(2, part("rows")) {
        Ok(ids) => is_asked_for(&layer, &Wanted::Ids(&ids)),
        Err(error) => is_for_a_person(&error),
    }
    let set = match FeatureSet::read(2, part("rows")) {
        Ok(set) => set,
        Err(error) => return is_for_a_person(&error),
    };
    let rows: Vec<Row> = set.features.iter().filter_map(|feature| feature.read(&layer)).collect();
    for row in &rows {
        is_canonical(&layer, row);
        is_taken_as_it_is_shown(&layer, row);
    }
    is_listed_in_order(&declared, &layer_part, &layer, &place, &set);
    if let Ok(push) = serde_json::from_value::<PushRequest>(part("push")) {
        for doubtful in [false, true] {
            is_written(&layer, &declared, &push, doubtful, rows.first());
        }
    }
}

fn declared(key: &Json) -> Option<Collection> {
    serde_json::from_value(json!({
        "key": key.as_str().unwrap_or("Warrant"),
        "fields": {
            "Warrant": "text", "GlobalID": "text", "Status": "text", "Owner": "ref", "Rooms": "int", "Area": "decimal",
            "Open": "bool", "Heard": "instant", "Due": "date", "shape": "point",
        },
    }))
    .ok()
}

fn has_each_field_once(layer: &Layer, declared: &Collection) {
    for name in declared.fields.keys() {
        let lacks = layer.lacking.iter().any(|(lacking, _)| lacking == name);
        assert!(layer.column(name).is_some() || lacks, "{name}");
    }
    assert!((1..=999).contains(&layer.page_rows) && layer.record_limit >= 1);
    let names = layer.out_fields();
    let twice = |name: &&str| names.iter().filter(|other| other.eq_ignore_ascii_case(name)).count() > 1;
    assert!(names.contains(&layer.object_id.as_str()) && !names.iter().any(twice), "{names:?}");
}

fn begins_somewhere(layer: &Layer, place: &Place) {
    let overlap = TimeDelta::seconds(120);
    for server_time in [None, DateTime::from_timestamp(1_795_186_800, 0)] {
        let probe = Probe { last_edit: layer.last_edit, server_time };
        for span in [Span::Whole, Span::Changed(None), Span::Changed(server_time)] {
            let _start = Place::begin(&span, Some(place), probe, overlap);
        }
    }
    for wanted in [
        Wanted::Next { since: place.since, after: place.after, count: layer.page_rows },
        Wanted::AllIds { since: place.watermark, after: place.after },
    ] {
        is_asked_for(layer, &wanted);
    }
}

fn is_asked_for(layer: &Layer, wanted: &Wanted<'_>) {
    let form = query::form(layer, wanted);
    let says = |name: &str| form.iter().any(|(known, value)| *known == name && !value.is_empty());
    let is_of_none = matches!(wanted, Wanted::Ids([]));
    assert!(says("f") && (says("where") || says("objectIds") || is_of_none), "{form:?}");
}

/// What is shown of a row is canonical, can be carried as JSON, and names each declared field or why it is not there.
fn is_canonical(layer: &Layer, row: &Row) {
    for column in &layer.columns {
        let reason = row.unreadable.iter().find(|(name, _)| *name == column.name);
        match (row.shown.fields.get(&column.name), reason) {
            (Some(value), None) => {
                let again = column.kind.canonical(value.clone());
                assert_eq!(again.as_ref(), Ok(value), "{} as {}", column.name, column.kind);
            }
            (None, Some((_, reason))) => {
                assert!(
                    reason.chars().count() <= LONGEST_REASON,
                    "{} bytes of {}",
                    reason.len(),
                    column.name
                );
            }
            both => assert_eq!(both, (None, None), "{} is there, and is not", column.name),
        }
    }
    let written = serde_json::to_value(&row.shown.fields).unwrap_or_default();
    assert_eq!(serde_json::from_value::<Fields>(written).ok().as_ref(), Some(&row.shown.fields));
    assert_eq!(object_id_in(&row.shown.id), Some(row.object_id));
    assert_eq!(is_whole(&row.shown.id), row.global_id.is_some());
    assert_eq!(row.shown.handle.get("object_id").and_then(Json::as_i64), Some(row.object_id));
}

/// A value that is written as the layer takes it is shown as it was.
fn is_taken_as_it_is_shown(layer: &Layer, row: &Row) {
    for column in &layer.columns {
        let Some(value) = row.shown.fields.get(&column.name).filter(|_| is_of_its_kind(layer, column)) else {
            continue;
        };
        let written = match encoded(column, value) {
            Ok(written) => written,
            Err(reason) => {
                assert!(
                    reason.chars().count() <= LONGEST_REASON,
                    "{} bytes of {}",
                    reason.len(),
                    column.name
                );
                continue;
            }
        };
        let (mut attributes, mut geometry) = (Map::new(), Json::Null);
        attributes.insert(layer.object_id.clone(), json!(row.object_id));
        match &column.source {
            Source::Attribute(field) => drop(attributes.insert(field.name.clone(), written)),
            Source::Geometry { .. } => geometry = written,
        }
        let again = Feature { attributes, geometry }.read(layer);
        let shown = again.as_ref().and_then(|row| row.shown.fields.get(&column.name));
        let is_same = shown.is_some_and(|shown| column.kind.may_normalise(value, shown));
        assert!(is_same, "{} was {value:?} and is {shown:?}", column.name);
    }
}

/// Whether a column holds what its type says, in a field of its own, whose codes and names tell one from another.
fn is_of_its_kind(layer: &Layer, column: &Column) -> bool {
    let Source::Attribute(field) = &column.source else { return true };
    let fits = matches!(
        (&column.kind, field.kind),
        (FieldType::Text | FieldType::Ref, EsriType::Text)
            | (FieldType::Int, EsriType::SmallInteger | EsriType::Integer | EsriType::BigInteger)
            | (FieldType::Bool, EsriType::SmallInteger | EsriType::Integer)
            | (FieldType::Decimal, EsriType::Double)
            | (FieldType::Instant | FieldType::Date, EsriType::Date)
            | (FieldType::Date, EsriType::DateOnly)
    );
    let (codes, names) = (|| field.coded.iter().map(|it| &it.code), || field.coded.iter().map(|it| &it.name));
    let is_text = codes().all(Json::is_string);
    let once = codes().all(|code| codes().filter(|other| *other == code).count() == 1)
        && names().all(|name| names().filter(|other| *other == name).count() == 1)
        && !names().any(|name| codes().any(|code| code.as_str() == Some(name)));
    fits && is_text && once && !field.name.eq_ignore_ascii_case(&layer.object_id)
}

fn is_listed_in_order(
    declared: &Collection,
    part: &LayerPart,
    layer: &Layer,
    place: &Place,
    set: &FeatureSet,
) {
    let Some(service) = service() else { return };
    let (Ok(system), Ok(name)) = (Name::parse("gis"), Name::parse("litigations")) else { return };
    let collection =
        LayerCollection::new(system, name, declared.clone(), part.clone(), service, Clock::system());
    for count in [1, 2, layer.page_rows] {
        let page = match listing::read(&collection, layer, place, set, count) {
            Ok(page) => page,
            Err(error) => {
                is_for_a_person(&error);
                continue;
            }
        };
        assert!(page.records.len() <= count);
        let ids: Vec<_> = page.records.iter().filter_map(|shown| object_id_in(&shown.id)).collect();
        assert!(ids.is_sorted_by(|one, next| one < next) && ids.len() == page.records.len(), "{ids:?}");
        assert!(ids.first().is_none_or(|first| place.after.is_none_or(|after| after < *first)));
        match page.next {
            // What is asked for next begins behind what was shown, so that the listing comes to its end.
            Next::More(next) => {
                assert!(next.after > place.after && next.after == ids.last().copied().or(place.after));
            }
            Next::End(rest) => assert_eq!((rest.since, rest.after), (None, None)),
        }
    }
}

fn service() -> Option<Arc<FeatureService>> {
    static SERVICE: OnceLock<Option<Arc<FeatureService>>> = OnceLock::new();
    let make = || {
        let url = Url::parse("https://h/arcgis/rest/services/L/FeatureServer").ok()?;
        FeatureService::new(ServiceUrl::parse(&url).ok()?, Credential::None, Budget::none(), Clock::system())
            .ok()
            .map(Arc::new)
    };
    SERVICE.get_or_init(make).clone()
}

fn is_written(layer: &Layer, declared: &Collection, push: &PushRequest, doubtful: bool, row: Option<&Row>) {
    let change = Change::new(layer, declared, push, doubtful, &std::collections::BTreeMap::new());
    let row = row.filter(|_| push.op != Op::Create || doubtful);
    let Judgement::Write(edit, shown) = change.judged(layer, row) else { return };
    for (name, value) in &shown.fields {
        assert!(declared.field(name).is_some() || !push.set.contains_key(name), "{name}: {value:?}");
    }
    match &edit {
        Edit::Update(object_id, values) => {
            assert_eq!(Some(*object_id), row.map(|row| row.object_id));
            are_the_layers(layer, &values.attributes);
        }
        Edit::Add(values) | Edit::AddOurs(_, values) => are_the_layers(layer, &values.attributes),
        Edit::Delete(object_id) => assert_eq!(Some(*object_id), row.map(|row| row.object_id)),
    }
    let form: Form = edits::form(layer, std::slice::from_ref(&edit));
    for (name, text) in form.iter().filter(|(name, _)| matches!(*name, "adds" | "updates")) {
        assert!(serde_json::from_str::<Json>(text).is_ok(), "{name}: {text}");
    }
}

/// Nothing but editable fields of the layer is written, and never what it keeps itself.
fn are_the_layers(layer: &Layer, attributes: &Map<String, Json>) {
    for name in attributes.keys() {
        let is_editable = |column: &Column| matches!(&column.source, Source::Attribute(field) if field.name == *name && field.editable);
        assert!(layer.columns.iter().any(is_editable), "{name}");
    }
}
