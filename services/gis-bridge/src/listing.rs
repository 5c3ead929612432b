//! One page of a listing: keyset paging on the object id.

use databridge_bridge::{Next, Page, Shown};
use databridge_http::CallError;
use databridge_model::Parked;

use crate::collection::LayerCollection;
use crate::layer::Layer;
use crate::place::Place;
use crate::query::{FeatureSet, Wanted};
use crate::row_id::{is_whole, object_id_in};
use crate::service::Tally;

/// The page at `place`, of at most `most` records.
pub(crate) async fn page(
    collection: &LayerCollection,
    place: &Place,
    most: usize,
) -> Result<Page<Place>, CallError> {
    let tally = Tally::default();
    let layer = collection.layer(&tally).await?;
    let mut count = collection.rows_at_once(&layer).min(most).max(1);
    let (layer, set) = loop {
        let wanted = Wanted::Next { since: place.since, after: place.after, count };
        match collection.rows(&wanted, &tally).await {
            Ok(found) => break found,
            Err(refusal) => match collection.fewer_than(count, &refusal) {
                Some(fewer) => count = fewer,
                None => return Err(refusal.into()),
            },
        }
    };
    read(collection, &layer, place, &set, count)
}

/// The page of at most `count` records that these rows make.
pub(crate) fn read(
    collection: &LayerCollection,
    layer: &Layer,
    place: &Place,
    set: &FeatureSet,
    count: usize,
) -> Result<Page<Place>, CallError> {
    let received = set.features.len();
    let (mut records, mut notices) = (Vec::new(), listing_notices(collection, layer, place));
    let (mut last, mut ids) = (place.after, Vec::new());
    for feature in &set.features {
        if records.len() == count {
            break;
        }
        let row = feature.read(layer).ok_or_else(|| {
            collection
                .wrong(format!("a row came without a number in its object id field `{}`", layer.object_id))
        })?;
        if last.is_some_and(|last| row.object_id <= last) {
            return Err(collection.wrong(format!(
                "the rows do not come in the order of `{}`: {} after {}; the listing would lose or double rows",
                layer.object_id,
                row.object_id,
                last.unwrap_or_default()
            )));
        }
        last = Some(row.object_id);
        ids.push(row.object_id);
        notices.extend(collection.notices_of(&row));
        records.push(row.shown);
    }
    // A page may be short and have more after it.
    let leaves_out = set.leaves_out_rows(layer, count);
    if leaves_out && received == 0 {
        return Err(collection.wrong("the server says that there are more rows and gives none"));
    }
    let next = match last {
        Some(last) if leaves_out || received > count => Next::More(place.past(last)),
        _ => Next::End(place.rest()),
    };
    collection.note_listed(place, ids, matches!(next, Next::End(_)));
    Ok(Page { records, next, notices })
}

/// What a person should know of the layer, told once a listing.
fn listing_notices(collection: &LayerCollection, layer: &Layer, place: &Place) -> Vec<Parked> {
    if place.after.is_some() {
        return Vec::new();
    }
    let lacking =
        layer.lacking.iter().map(|(field, reason)| collection.notice(Some(field.clone()), reason.clone()));
    let mut notices: Vec<_> = lacking.collect();
    if place.since.is_some() && layer.edit_date.is_none() {
        let reason = format!(
            "layer {} does not tell when a row was edited, so every sync reads all of it; turn on its editor tracking, or name a date field as edit_date under [bridge.layers.{}]",
            layer.number, collection.name
        );
        notices.push(collection.notice(None, reason));
    }
    notices
}

/// These records; what is not there, or is no object id, is given as deleted.
pub(crate) async fn by_ids(collection: &LayerCollection, ids: &[String]) -> Result<Page<()>, CallError> {
    let object_ids: Vec<i64> = ids.iter().filter_map(|id| object_id_in(id)).collect();
    let (_, rows) = collection.by_ids(&object_ids, &Tally::default()).await?;
    let (mut records, mut notices) = (Vec::new(), Vec::new());
    for id in ids {
        let row = object_id_in(id).and_then(|object_id| rows.get(&object_id));
        let row = row.filter(|row| row.shown.id == *id || !is_whole(id));
        if let Some(row) = row {
            notices.extend(collection.notices_of(row));
            records.push(row.shown.clone());
        }
        if row.is_none_or(|row| row.shown.id != *id) {
            records.push(Shown { id: id.clone(), deleted: true, ..Shown::default() });
        }
    }
    Ok(Page { records, next: Next::End(()), notices })
}
