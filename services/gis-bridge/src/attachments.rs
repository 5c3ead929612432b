//! The attachments of a layer's rows (arcgis.md, section 5).

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use databridge_bridge::{Next, Page, Shown, Span};
use databridge_http::{CallError, ErrorClass};
use databridge_model::{CollectionName, Fields, Key, Parked, SystemName, Value};
use futures::{StreamExt, TryStreamExt};
use serde_json::Value as Json;

use crate::collection::{JUST_NOW, LayerCollection, OF_LATE};
use crate::layer::Layer;
use crate::place::{Place, Probe};
use crate::refusal::Refusal;
use crate::row_id::row_id;
use crate::service::{FeatureService, Tally};

/// What an attachment shows: its id,
pub(crate) const ID: &str = "id";
/// the name of the file,
pub(crate) const NAME: &str = "name";
/// its type,
pub(crate) const CONTENT_TYPE: &str = "content_type";
/// and a tag that tells its contents apart: the size in bytes.
pub(crate) const CONTENT: &str = "content";

/// Rows whose attachments are asked for at once.
const ROWS_AT_ONCE: usize = 1000;
/// The same where each row is asked for by itself, and how many of them side by side.
const ROWS_ONE_BY_ONE: usize = 100;
const SIDE_BY_SIDE: usize = 4;
/// A request for records bounds them by less than this only where a person has bounded the run.
const UNBOUNDED: usize = 999;

/// A collection of attachments.
#[derive(Debug)]
pub(crate) struct AttachmentCollection {
    system: SystemName,
    name: CollectionName,
    of: Arc<LayerCollection>,
    service: Arc<FeatureService>,
    /// The number of the last look at the layer that was used.
    looked: AtomicU64,
    /// Rows of one request: fewer once an answer was cut.
    rows_at_once: AtomicUsize,
    to_list: Mutex<Option<ToList>>,
    /// The size of each attachment as it was last shown, by its row and its id.
    sizes: Mutex<BTreeMap<(i64, i64), u64>>,
}

/// The rows that a listing has yet to come to. Kept between its pages, and asked for anew where it is lost.
#[derive(Debug)]
struct ToList {
    /// The listing, by where it began.
    of: Place,
    /// The rows after this one,
    after: Option<i64>,
    /// in order.
    ids: Vec<i64>,
}

/// An attachment as the server tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attachment {
    pub(crate) id: i64,
    name: String,
    content_type: String,
    pub(crate) size: u64,
    /// The GlobalID of its row, where the layer has them.
    on: Option<String>,
}

/// What an answer to `queryAttachments` holds, by the row.
pub(crate) type ByRow = BTreeMap<i64, Vec<Attachment>>;

impl AttachmentCollection {
    pub(crate) fn new(
        system: SystemName,
        name: CollectionName,
        of: Arc<LayerCollection>,
        service: Arc<FeatureService>,
    ) -> Self {
        Self {
            system,
            name,
            of,
            service,
            looked: AtomicU64::new(0),
            rows_at_once: AtomicUsize::new(ROWS_AT_ONCE),
            to_list: Mutex::default(),
            sizes: Mutex::default(),
        }
    }

    /// What the layer's page told when a listing begins: the look with which the rows' own listing began, where that
    /// was just now, or of late if everything is listed.
    pub(crate) async fn probe(&self, span: &Span) -> Result<Probe, CallError> {
        let may_be_old = if *span == Span::Whole { OF_LATE } else { JUST_NOW };
        let looked = self.looked.load(Ordering::Relaxed);
        let look = self.of.look_after(looked, may_be_old, &Tally::default()).await?;
        self.looked.store(look.number, Ordering::Relaxed);
        self.rows_at_once.store(ROWS_AT_ONCE, Ordering::Relaxed);
        *self.to_list() = None;
        Ok(look.probe)
    }

    /// The attachments of the next rows of a listing. They may be more than `most`: the attachments of a thousand rows
    /// come in one answer.
    pub(crate) async fn page(&self, place: &Place, most: usize) -> Result<Page<Place>, CallError> {
        let tally = Tally::default();
        let layer = self.of.layer(&tally).await?;
        if layer.has_attachments == Some(false) {
            return Err(CallError {
                class: ErrorClass::Invalid,
                call: format!("GET layer {}", layer.number),
                message: format!(
                    "layer {} says that its rows have no attachments; turn them on there, or take `{}` out of the system file",
                    layer.number, self.name
                ),
            });
        }
        let ids = self.rows_to_list(place, &tally).await?;
        let bound = if layer.queries_attachments {
            self.rows_at_once.load(Ordering::Relaxed).min(self.rows_in_one_answer(&ids, layer.record_limit))
        } else {
            ROWS_ONE_BY_ONE
        };
        let bound = if most < UNBOUNDED { bound.min(most.max(1)) } else { bound };
        let (rows, rest) = ids.split_at(ids.len().min(bound));
        let found = self.of_rows(&layer, rows, &tally).await?;
        self.note_sizes(rows, &found);
        let records = found.iter().flat_map(|(row, all)| all.iter().map(|one| one.shown(*row))).collect();
        let next = match rows.last() {
            Some(last) if !rest.is_empty() => {
                let (of, ids) = (place.begun(), rest.to_vec());
                *self.to_list() = Some(ToList { of, after: Some(*last), ids });
                Next::More(place.past(*last))
            }
            _ => Next::End(place.rest()),
        };
        Ok(Page { records, next, notices: self.listing_notices(&layer, place) })
    }

    /// These attachments; one that is not there, or whose id cannot be, is given as deleted.
    pub(crate) async fn by_ids(&self, ids: &[String]) -> Result<Page<()>, CallError> {
        let tally = Tally::default();
        let mut rows: Vec<i64> = ids.iter().filter_map(|id| Some(ids_in(id)?.0)).collect();
        rows.sort_unstable();
        rows.dedup();
        let layer = self.of.layer(&tally).await?;
        let found = self.of_rows(&layer, &rows, &tally).await?;
        self.note_sizes(&rows, &found);
        let shown = |id: &String| {
            let (row, attachment) = ids_in(id)?;
            found.get(&row)?.iter().find(|one| one.id == attachment).map(|one| one.shown(row))
        };
        let deleted = |id: &String| Shown { id: id.clone(), deleted: true, ..Shown::default() };
        let records = ids.iter().map(|id| shown(id).unwrap_or_else(|| deleted(id))).collect();
        Ok(Page { records, next: Next::End(()), notices: Vec::new() })
    }

    /// One attachment of a row, if both are there.
    pub(crate) async fn one(&self, (row, id): (i64, i64)) -> Result<Option<Attachment>, CallError> {
        let all = self.of_row(row, &Tally::default()).await?;
        Ok(all.into_iter().find(|one| one.id == id))
    }

    /// The size of an attachment as it was last shown.
    pub(crate) fn size_shown(&self, ids: (i64, i64)) -> Option<u64> {
        self.sizes().get(&ids).copied()
    }

    /// Notes what these rows have now.
    fn note_sizes(&self, rows: &[i64], found: &ByRow) {
        let mut sizes = self.sizes();
        for row in rows {
            let before: Vec<_> = sizes.range(all_of(*row)).map(|(ids, _)| *ids).collect();
            for ids in before {
                sizes.remove(&ids);
            }
        }
        for (row, all) in found {
            sizes.extend(all.iter().map(|one| ((*row, one.id), one.size)));
        }
    }

    /// How many of these rows can be asked for at once so that the answer, which is cut at so many attachments without a
    /// word, is not: by what they had when they were last shown.
    fn rows_in_one_answer(&self, rows: &[i64], record_limit: usize) -> usize {
        let (sizes, mut attachments) = (self.sizes(), 0);
        let fit = rows.iter().take(ROWS_AT_ONCE).take_while(|row| {
            attachments += sizes.range(all_of(**row)).count();
            attachments < record_limit
        });
        fit.count().max(1)
    }

    fn sizes(&self) -> MutexGuard<'_, BTreeMap<(i64, i64), u64>> {
        self.sizes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether these are the rows on which they hang.
    pub(crate) fn hang_on(&self, rows: &CollectionName) -> bool {
        self.of.name == *rows
    }

    /// The layer on whose rows they hang.
    pub(crate) fn layer_number(&self) -> u32 {
        self.of.number()
    }

    async fn rows_to_list(&self, place: &Place, tally: &Tally) -> Result<Vec<i64>, CallError> {
        let kept = self.to_list().take();
        match kept.filter(|kept| kept.of == place.begun() && place.after >= kept.after) {
            Some(kept) => Ok(kept.ids.into_iter().filter(|id| Some(*id) > place.after).collect()),
            None => match self.of.take_listed(self.looked.load(Ordering::Relaxed), place) {
                Some(ids) => Ok(ids),
                None => self.of.object_ids(place.since, place.after, tally).await,
            },
        }
    }

    /// The attachments of these rows, those without any left out.
    async fn of_rows(&self, layer: &Layer, rows: &[i64], tally: &Tally) -> Result<ByRow, CallError> {
        let mut found = if layer.queries_attachments {
            self.queried(layer, rows, tally).await?
        } else {
            let one_by_one = futures::stream::iter(rows.iter().copied())
                .map(|row| async move { Ok::<_, CallError>((row, self.of_row(row, tally).await?)) })
                .buffered(SIDE_BY_SIDE);
            one_by_one
                .try_filter(|(_, all)| futures::future::ready(!all.is_empty()))
                .try_collect::<ByRow>()
                .await?
        };
        if layer.global_id.is_some() {
            self.name_rows(&mut found, tally).await?;
        }
        Ok(found)
    }

    /// The list of one row does not tell the row's GlobalID, and not every server's answer for many does.
    async fn name_rows(&self, found: &mut ByRow, tally: &Tally) -> Result<(), CallError> {
        let is_nameless = |all: &Vec<Attachment>| all.iter().any(|one| one.on.is_none());
        let nameless: Vec<i64> =
            found.iter().filter(|(_, all)| is_nameless(all)).map(|(row, _)| *row).collect();
        if nameless.is_empty() {
            return Ok(());
        }
        let (_, rows) = self.of.by_ids(&nameless, tally).await?;
        for row in nameless {
            let on = rows.get(&row).and_then(|row| row.global_id.clone());
            for one in found.get_mut(&row).into_iter().flatten() {
                one.on.clone_from(&on);
            }
        }
        Ok(())
    }

    async fn queried(&self, layer: &Layer, rows: &[i64], tally: &Tally) -> Result<ByRow, CallError> {
        let mut found = ByRow::new();
        let mut open: Vec<Vec<i64>> = rows.chunks(ROWS_AT_ONCE).rev().map(<[i64]>::to_vec).collect();
        while let Some(rows) = open.pop() {
            let fewer = match self.asked(layer, &rows, tally).await {
                // As many as can be given at most: whether there are more is not told.
                Ok(some) if some.values().map(Vec::len).sum::<usize>() >= layer.record_limit => {
                    rows_that_fit(&rows, &some)
                }
                Ok(all) => {
                    found.extend(all);
                    continue;
                }
                Err(refusal) if refusal.divisible && rows.len() > 1 => rows.len() / 2,
                Err(refusal) => return Err(refusal.error),
            };
            let &[_, _, ..] = rows.as_slice() else {
                if let Some(row) = rows.first() {
                    found.insert(*row, self.of_row(*row, tally).await?);
                }
                continue;
            };
            self.rows_at_once.fetch_min(fewer, Ordering::Relaxed);
            open.extend(rows.chunks(fewer).rev().map(<[i64]>::to_vec));
        }
        Ok(found)
    }

    async fn asked(&self, layer: &Layer, rows: &[i64], tally: &Tally) -> Result<ByRow, Refusal> {
        let body = self.service.query_attachments(layer.number, rows, tally).await?;
        let mut found = groups(&body).ok_or_else(|| {
            let call = format!("POST layer {}/queryAttachments", layer.number);
            wrong(call, "the answer holds no attachments as a layer tells of them")
        })?;
        found.retain(|row, _| rows.contains(row));
        Ok(found)
    }

    /// The list of one row. A row that is gone has none.
    async fn of_row(&self, row: i64, tally: &Tally) -> Result<Vec<Attachment>, CallError> {
        let layer = self.of.number();
        match self.service.attachments_of(layer, row, tally).await {
            Ok(body) => infos(body.get("attachmentInfos")).ok_or_else(|| {
                let call = format!("GET layer {layer}/{row}/attachments");
                wrong(call, "the answer holds no list of attachments")
            }),
            Err(error) if error.class == ErrorClass::Invalid => {
                let (_, rows) = self.of.by_ids(&[row], tally).await?;
                if rows.contains_key(&row) { Err(error) } else { Ok(Vec::new()) }
            }
            Err(error) => Err(error),
        }
    }

    /// What a person should know of the layer, told once a listing.
    fn listing_notices(&self, layer: &Layer, place: &Place) -> Vec<Parked> {
        if layer.queries_attachments || place.after.is_some() {
            return Vec::new();
        }
        let reason = format!(
            "layer {} does not tell the attachments of many rows at once (supportsQueryAttachments), so each row costs a call; a newer server would",
            layer.number
        );
        vec![Parked {
            system: self.system.clone(),
            collection: self.name.clone(),
            id: None,
            key: None,
            field: None,
            reason,
        }]
    }

    fn to_list(&self) -> MutexGuard<'_, Option<ToList>> {
        self.to_list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attachment {
    pub(crate) fn shown(&self, row: i64) -> Shown {
        let id = self.id.to_string();
        let mut fields = Fields::new();
        for (name, value) in [
            (ID, id.as_str()),
            (NAME, &self.name),
            (CONTENT_TYPE, &self.content_type),
            (CONTENT, &self.size.to_string()),
        ] {
            fields.insert(name.to_owned(), Value::text(value));
        }
        Shown {
            key: Key::parse(&id),
            id: format!("{row}/{id}"),
            parent: Some(row_id(row, self.on.as_deref())),
            fields,
            ..Shown::default()
        }
    }

    /// As the list of one row has it, or `queryAttachments`; that repeats the values by the names of the fields.
    fn read(info: &Json) -> Option<Self> {
        let value =
            |names: [&str; 2]| names.iter().find_map(|name| info.get(*name).filter(|it| !it.is_null()));
        let text = |names| value(names).and_then(Json::as_str).unwrap_or_default().to_owned();
        Some(Self {
            id: value(["id", "ATTACHMENTID"])?.as_i64()?,
            name: text(["name", "ATT_NAME"]),
            content_type: text(["contentType", "CONTENT_TYPE"]),
            size: value(["size", "DATA_SIZE"])?.as_u64()?,
            on: None,
        })
    }
}

/// All attachments that a row can have.
fn all_of(row: i64) -> RangeInclusive<(i64, i64)> {
    (row, i64::MIN)..=(row, i64::MAX)
}

/// The object id and the attachment's id in an id of ours.
pub(crate) fn ids_in(id: &str) -> Option<(i64, i64)> {
    let (row, attachment) = id.split_once('/')?;
    Some((row.trim().parse().ok()?, attachment.trim().parse().ok()?))
}

/// How many of these rows to ask for after an answer that was cut: half of them, or fewer where the answer, which
/// mostly comes in their order, shows how far it would have gone.
pub(crate) fn rows_that_fit(rows: &[i64], some: &ByRow) -> usize {
    let reached = some.keys().next_back().and_then(|last| rows.iter().position(|row| row == last));
    let fit = reached.map_or(rows.len(), |last| (last + 1) * 3 / 4);
    fit.min(rows.len() / 2).max(1)
}

pub(crate) fn groups(body: &Json) -> Option<ByRow> {
    let mut found = ByRow::new();
    for group in body.get("attachmentGroups")?.as_array()? {
        let row = group.get("parentObjectId")?.as_i64()?;
        let on = group.get("parentGlobalId").and_then(Json::as_str).map(str::to_owned);
        let all = infos(group.get("attachmentInfos"))?.into_iter();
        found.entry(row).or_default().extend(all.map(|one| Attachment { on: on.clone(), ..one }));
    }
    Some(found)
}

pub(crate) fn infos(list: Option<&Json>) -> Option<Vec<Attachment>> {
    list?.as_array()?.iter().map(Attachment::read).collect()
}

fn wrong(call: String, message: &str) -> CallError {
    CallError { class: ErrorClass::Transient, call, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_attachment_is_read_from_either_form_and_shown_below_its_row() {
        for info in [
            json!({"id": 3, "name": "a.jpg", "contentType": "image/jpeg", "size": 17, "ATTACHMENTID": 3}),
            json!({"ATTACHMENTID": 3, "ATT_NAME": "a.jpg", "CONTENT_TYPE": "image/jpeg", "DATA_SIZE": 17, "name": null}),
        ] {
            let shown = Attachment::read(&info).unwrap().shown(42);
            assert_eq!((shown.id.as_str(), shown.parent.as_deref()), ("42/3", Some("42")));
            assert_eq!(shown.key, Key::parse("3"));
            assert_eq!(
                serde_json::to_value(&shown.fields).unwrap(),
                json!({"id": "3", "name": "a.jpg", "content_type": "image/jpeg", "content": "17"})
            );
            assert_eq!(ids_in(&shown.id), Some((42, 3)));
        }
        assert_eq!(
            Attachment::read(&json!({"id": 3, "name": "a"})),
            None,
            "without its size it has no content"
        );
        assert_eq!(ids_in("42"), None);
    }

    #[test]
    fn groups_of_one_row_are_put_together_and_half_an_answer_is_none() {
        let info = |id: i64| json!({"id": id, "name": "a", "contentType": "b", "size": 1});
        let body = json!({"attachmentGroups": [
            {"parentObjectId": 1, "attachmentInfos": [info(1)]},
            {"parentObjectId": 1, "attachmentInfos": [info(2)]}]});
        assert_eq!(groups(&body).unwrap().get(&1).map(Vec::len), Some(2));
        assert_eq!(groups(&json!({"attachmentGroups": [{"attachmentInfos": []}]})), None);
        assert_eq!(groups(&json!({"fields": []})), None);
    }

    #[test]
    fn after_a_cut_answer_about_as_many_rows_are_asked_for_as_it_held() {
        let rows: Vec<i64> = (1..=1000).collect();
        let up_to = |last: i64| (1..=last).map(|row| (row, Vec::new())).collect::<ByRow>();
        assert_eq!(rows_that_fit(&rows, &up_to(334)), 250);
        assert_eq!(rows_that_fit(&rows, &up_to(1000)), 500, "at most half of them");
        assert_eq!(rows_that_fit(&rows, &up_to(1)), 1);
    }
}
