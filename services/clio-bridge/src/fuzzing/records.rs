//! Pages of records.

use std::sync::{Arc, OnceLock};

use databridge_bridge::{ContentError, Shown};
use databridge_model::{Fields, Key, Parked, RunId, Source};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use serde_json::Value as Json;

use super::{LONGEST_REASON, file, found};
use crate::content_source::{ContentSource, FetchedContent};
use crate::documents::{Documents, Storage};
use crate::found::Found;
use crate::kind::{Kind, Reading};
use crate::lister::Place;
use crate::pages::ListBody;
use crate::whose::OurMatters;

/// The matters that are ours, beside those that show it themselves.
const OURS: [u64; 2] = [5, 6];

/// The body of a list, as one of records of each kind.
pub fn clio_records(data: &[u8]) {
    let (Some(file), Some(found)) = (file(), found()) else { return };
    let Ok(body) = serde_json::from_slice::<ListBody>(data) else { return };
    let is_read_whole = |kind: &dyn Kind| {
        let whole = read(kind, found, &body.data);
        let one_by_one: Vec<_> = body.data.iter().map(|json| read_one(kind, found, json)).collect();
        assert_eq!(whole.records, one_by_one.into_iter().flatten().collect::<Vec<_>>());
    };
    is_read_whole(&file.matters);
    file.notes.iter().for_each(|notes| is_read_whole(notes));
    file.calendar_entries.iter().for_each(|entries| is_read_whole(entries));
    if let Some(documents) = documents() {
        is_read_whole(documents);
    }
    let matters = file.matters.read_all(found, &body.data);
    assert!(matters.unknown.iter().all(|thing| thing.chars().count() <= LONGEST_REASON), "a long thing");
    if let Some(next) = body.next() {
        goes_on(&body, next);
    }
}

fn read(kind: &dyn Kind, found: &Found, page: &[Json]) -> Reading {
    let reading = kind.read(found, &OurMatters::sample(&OURS), page);
    assert_eq!(reading.records.len() + reading.foreign, page.len());
    reading
}

fn read_one(kind: &dyn Kind, found: &Found, json: &Json) -> Option<Shown> {
    let Reading { records, notices, .. } = read(kind, found, std::slice::from_ref(json));
    let matter = if kind.hangs_on_matters() { json.get("matter") } else { None };
    let id = |json: Option<&Json>| -> Option<u64> {
        let id = json?.get("id")?;
        id.as_u64().or_else(|| id.as_str()?.parse().ok())
    };
    let is_ours = match id(matter) {
        Some(matter) => OURS.contains(&matter),
        None => {
            !kind.hangs_on_matters()
                && id(json.get("group")) == Some(found.group_id)
                && id(json.get("practice_area")) == Some(found.practice_area_id)
        }
    };
    assert!(is_ours || (records.is_empty() && notices.is_empty()), "of others: {records:?} {notices:?}");
    for notice in &notices {
        is_told_in_short(notice, id(Some(json)));
    }
    let shown = records.into_iter().next()?;
    assert_eq!(shown.id.parse().ok(), id(Some(json)));
    assert!(shown.parent.is_none() || shown.parent == id(matter).map(|id| id.to_string()));
    let declared = kind.declared();
    for (name, value) in &shown.fields {
        let again = declared.field_type(name).canonical(value.clone());
        assert!(declared.has(name) && again.as_ref() == Ok(value), "{name}: {value:?}");
    }
    let key = shown.fields.get(&declared.collection.key).and_then(|key| Key::parse(&key.to_plain()));
    assert_eq!(shown.key, key);
    let written = serde_json::to_value(&shown.fields).unwrap_or_default();
    assert_eq!(serde_json::from_value::<Fields>(written).ok().as_ref(), Some(&shown.fields));
    Some(shown)
}

fn is_told_in_short(notice: &Parked, id: Option<u64>) {
    assert!(notice.reason.chars().count() <= LONGEST_REASON, "a reason of {} bytes", notice.reason.len());
    assert_eq!(notice.id.as_ref().and_then(|id| id.parse().ok()), id);
}

fn goes_on(body: &ListBody, next: &str) {
    let place = Place { last_id: Some(7), pages: 3, mark: Some(9), ..Place::default() };
    let ordered = place.after(body, next, true);
    assert!(ordered.last_id >= place.last_id && ordered.next.as_deref() == Some(next));
    assert_eq!(place.after(body, next, false).pages, 4);
}

fn documents() -> Option<&'static Documents> {
    static DOCUMENTS: OnceLock<Option<Documents>> = OnceLock::new();
    let make = || Some(file()?.documents.clone()?.served(Arc::new(Nothing), Storage::new().ok()?));
    DOCUMENTS.get_or_init(make).as_ref()
}

/// Has no contents.
#[derive(Debug)]
struct Nothing;

impl ContentSource for Nothing {
    fn fetch<'a>(
        &'a self,
        source: &'a Source,
        _run: Option<RunId>,
    ) -> BoxFuture<'a, Result<FetchedContent, ContentError>> {
        ready(Err(ContentError::NobodyThere(source.system.to_string()))).boxed()
    }
}
