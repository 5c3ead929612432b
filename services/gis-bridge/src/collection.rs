//! One collection and its layer: metadata kept between calls, rows by page, by id and by key.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use databridge_config::Collection;
use databridge_http::{CallError, ErrorClass};
use databridge_model::{CollectionName, Key, Parked, SystemName};
use databridge_runtime::Clock;
use serde_json::Value as Json;

use crate::decode::{Feature, Row, in_braces};
use crate::layer::{Layer, Source};
use crate::layer_page::{EsriType, LayerPage};
use crate::place::{Place, Probe};
use crate::query::{self, FeatureSet, Wanted};
use crate::refusal::Refusal;
use crate::service::{FeatureService, Reply, Tally};
use crate::settings::LayerPart;

const ROWS_WITHHELD: &str = "the server says that there are more rows and gives none of them";

/// What is said of an answer to another question than was asked, as a cache may give it.
const OTHER_ROWS: &str = "the server gives rows that were not asked for and not all that were, so whether these are gone \
    is not known";

/// A look at a layer serves a listing of what changed in its attachments for so long.
pub(crate) const JUST_NOW: TimeDelta = TimeDelta::seconds(5);

/// A whole listing may begin with an older one: what was edited since is listed too, and read once more by the next
/// listing of what changed.
pub(crate) const OF_LATE: TimeDelta = TimeDelta::minutes(10);

/// The most keys that one query names.
const MOST_KEYS: usize = 100;

/// A server that cannot give so few rows at once cannot give any.
const FEWEST_ROWS: usize = 10;

/// What a server did not manage it is asked for again after so long.
const BELIEVED_FOR: TimeDelta = TimeDelta::days(1);

/// A collection of the system file.
#[derive(Debug)]
pub(crate) struct LayerCollection {
    pub(crate) system: SystemName,
    pub(crate) name: CollectionName,
    pub(crate) declared: Collection,
    part: LayerPart,
    service: Arc<FeatureService>,
    clock: Clock,
    known: Mutex<Option<Known>>,
    listed: Mutex<Option<Listed>>,
    manages: Mutex<Option<Managed>>,
}

/// How many rows the server was seen to manage at once, where that is less than it says.
#[derive(Clone, Copy, Debug)]
struct Managed {
    rows: usize,
    seen_at: DateTime<Utc>,
}

/// The rows of the last listing. What hangs on them is listed just after, and need not ask for them again.
#[derive(Debug)]
struct Listed {
    /// The look at the layer with which it began,
    look: u64,
    /// and where.
    of: Place,
    ids: Vec<i64>,
    is_at_its_end: bool,
}

/// What was seen when the layer was last looked at.
#[derive(Clone, Debug)]
struct Known {
    layer: Arc<Layer>,
    look: Look,
}

/// One look at the layer's page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// Counts the looks.
    pub(crate) number: u64,
    /// What it told.
    pub(crate) probe: Probe,
    at: DateTime<Utc>,
}

impl LayerCollection {
    pub(crate) fn new(
        system: SystemName,
        name: CollectionName,
        declared: Collection,
        part: LayerPart,
        service: Arc<FeatureService>,
        clock: Clock,
    ) -> Self {
        let (known, listed) = (Mutex::default(), Mutex::default());
        let manages = Mutex::default();
        Self { system, name, declared, part, service, clock, known, listed, manages }
    }

    /// Reads what the layer says of itself, and keeps it.
    pub(crate) async fn look(&self, tally: &Tally) -> Result<(Arc<Layer>, Look), CallError> {
        let Reply { body, server_time } = self.service.layer_page(self.part.layer, tally).await?;
        let error = |message: String| CallError {
            class: ErrorClass::Invalid,
            call: format!("GET layer {}", self.part.layer),
            message,
        };
        let page: LayerPage = serde_json::from_value(body).map_err(|why| {
            error(format!("the answer is no layer's page ({why}); is GIS_SERVICE_URL right?"))
        })?;
        let layer = Layer::new(&self.part, &self.declared, &page).map_err(|why| error(why.to_string()))?;
        let probe = Probe { last_edit: layer.last_edit, server_time };
        let mut known = self.known();
        let number = known.as_ref().map_or(1, |known| known.look.number + 1);
        let look = Look { number, probe, at: self.clock.now() };
        *known = Some(Known { layer: Arc::clone(&layer), look });
        Ok((layer, look))
    }

    /// A look that came after the one of this number: the last one if it is no older than this, otherwise another.
    pub(crate) async fn look_after(
        &self,
        number: u64,
        may_be_old: TimeDelta,
        tally: &Tally,
    ) -> Result<Look, CallError> {
        let last = self.known().as_ref().map(|known| known.look);
        let since = self.clock.now() - may_be_old;
        match last.filter(|last| last.number > number && last.at > since) {
            Some(last) => Ok(last),
            None => Ok(self.look(tally).await?.1),
        }
    }

    /// The layer as last seen; looked at where it has not been yet.
    pub(crate) async fn layer(&self, tally: &Tally) -> Result<Arc<Layer>, CallError> {
        let known = self.known().as_ref().map(|known| Arc::clone(&known.layer));
        match known {
            Some(layer) => Ok(layer),
            None => self.look(tally).await.map(|(layer, _)| layer),
        }
    }

    /// Notes a page of a listing, so that what hangs on its rows can be listed without asking for them again.
    pub(crate) fn note_listed(&self, place: &Place, ids: Vec<i64>, is_at_its_end: bool) {
        let look = self.known().as_ref().map_or(0, |known| known.look.number);
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        let goes_on = |before: &Listed| {
            !before.is_at_its_end && before.of == place.begun() && before.ids.last().copied() == place.after
        };
        *listed = match (place.after, listed.take().filter(goes_on)) {
            (None, _) => Some(Listed { look, of: place.begun(), ids, is_at_its_end }),
            (Some(_), Some(mut before)) => {
                before.ids.extend(ids);
                Some(Listed { is_at_its_end, ..before })
            }
            (Some(_), None) => None,
        };
    }

    /// The rows of the listing that began at this place, after this look at the layer, if it was the last one and came
    /// to its end. Whatever was edited since then comes with the next one.
    pub(crate) fn take_listed(&self, look: u64, of: &Place) -> Option<Vec<i64>> {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |listed: &Listed| listed.is_at_its_end && listed.look == look && listed.of == *of;
        listed.take_if(|listed| is_it(listed)).map(|listed| listed.ids)
    }

    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rows, and the layer as it is. A query that is refused may name a field that the layer has lost since it was
    /// last looked at: then it is looked at and asked once more.
    pub(crate) async fn rows(
        &self,
        wanted: &Wanted<'_>,
        tally: &Tally,
    ) -> Result<(Arc<Layer>, FeatureSet), Refusal> {
        let (layer, body) = self.queried(wanted, tally).await?;
        Ok(FeatureSet::read(layer.number, body).map(|set| (layer, set))?)
    }

    /// The object ids of the rows edited since then, or of all, after this one, in their order.
    pub(crate) async fn object_ids(
        &self,
        since: Option<i64>,
        after: Option<i64>,
        tally: &Tally,
    ) -> Result<Vec<i64>, CallError> {
        let (layer, body) = self.queried(&Wanted::AllIds { since, after }, tally).await?;
        let mut ids = query::object_ids(layer.number, body)?;
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    async fn queried(&self, wanted: &Wanted<'_>, tally: &Tally) -> Result<(Arc<Layer>, Json), Refusal> {
        let layer = self.layer(tally).await?;
        match self.asked(&layer, wanted, tally).await {
            Err(refusal) if refusal.error.class == ErrorClass::Invalid => {
                let (fresh, _) = self.look(tally).await?;
                if fresh.out_fields() == layer.out_fields() && fresh.edit_date == layer.edit_date {
                    return Err(refusal);
                }
                let body = self.asked(&fresh, wanted, tally).await?;
                Ok((fresh, body))
            }
            answer => answer.map(|body| (layer, body)),
        }
    }

    async fn asked(&self, layer: &Layer, wanted: &Wanted<'_>, tally: &Tally) -> Result<Json, Refusal> {
        self.service.query(layer.number, query::form(layer, wanted), tally).await
    }

    /// How many rows to ask for at once, by what the layer says and what the server has managed so far.
    pub(crate) fn rows_at_once(&self, layer: &Layer) -> usize {
        let managed = *self.manages.lock().unwrap_or_else(PoisonError::into_inner);
        let managed = managed.filter(|managed| self.clock.now() < managed.seen_at + BELIEVED_FOR);
        layer.page_rows.min(managed.map_or(usize::MAX, |managed| managed.rows)).max(1)
    }

    /// Fewer rows than so many, of which the server has said nothing but that it cannot: what it states as its limit need
    /// not be what it manages. `None` where fewer would not help.
    pub(crate) fn fewer_than(&self, rows: usize, refusal: &Refusal) -> Option<usize> {
        let fewer = rows / 2;
        if !refusal.divisible || fewer < FEWEST_ROWS {
            return None;
        }
        tracing::info!(error = %refusal.error, rows, fewer, "So many rows are refused; fewer are asked for.");
        let managed = Managed { rows: fewer, seen_at: self.clock.now() };
        *self.manages.lock().unwrap_or_else(PoisonError::into_inner) = Some(managed);
        Some(fewer)
    }

    /// The rows with these ids, as far as they are there. A server may give fewer at once than it was asked for.
    pub(crate) async fn by_ids(
        &self,
        ids: &[i64],
        tally: &Tally,
    ) -> Result<(Arc<Layer>, BTreeMap<i64, Row>), CallError> {
        let mut layer = self.layer(tally).await?;
        let mut found = BTreeMap::new();
        let mut open: Vec<i64> = ids.to_vec();
        open.sort_unstable();
        open.dedup();
        while !open.is_empty() {
            let asked: Vec<i64> = open.iter().copied().take(self.rows_at_once(&layer)).collect();
            let (fresh, set) = match self.rows(&Wanted::Ids(&asked), tally).await {
                Ok(found) => found,
                Err(refusal) if self.fewer_than(asked.len(), &refusal).is_some() => continue,
                Err(refusal) => return Err(refusal.into()),
            };
            layer = fresh;
            let rows: Vec<Row> = set.features.iter().filter_map(|feature| feature.read(&layer)).collect();
            let more = set.exceeded_transfer_limit == Some(true);
            let given: Vec<i64> = rows.iter().map(|row| row.object_id).collect();
            if more && !given.iter().any(|id| asked.contains(id)) {
                return Err(self.wrong(ROWS_WITHHELD));
            }
            let lacks_some = !more && asked.iter().any(|id| !given.contains(id));
            if lacks_some && given.iter().any(|id| !asked.contains(id)) {
                return Err(self.wrong(OTHER_ROWS));
            }
            open.retain(|id| !given.contains(id) && (more || !asked.contains(id)));
            found.extend(
                rows.into_iter().filter(|row| asked.contains(&row.object_id)).map(|row| (row.object_id, row)),
            );
        }
        Ok((layer, found))
    }

    /// The rows with these keys, exactly.
    pub(crate) async fn by_keys(&self, keys: &[Key], tally: &Tally) -> Result<Vec<Row>, CallError> {
        let layer = self.layer(tally).await?;
        let Some(Source::Attribute(field)) = layer.column(&layer.key).map(|column| &column.source) else {
            return Err(self.wrong("the layer has lost its key field, so nothing can be looked up by key"));
        };
        let quoted = matches!(field.kind, EsriType::Text | EsriType::Guid | EsriType::GlobalId);
        // A key that is no number is in no row of a field of numbers.
        let values: Vec<String> = keys
            .iter()
            .flat_map(|key| forms_of(key.as_str(), field.kind))
            .filter(|text| quoted || text.parse::<f64>().is_ok())
            .collect();
        let mut rows = Vec::new();
        let mut open: Vec<&[String]> = values.chunks(layer.page_rows.min(MOST_KEYS)).collect();
        while let Some(values) = open.pop() {
            let wanted = Wanted::Values { field: &field.name, quoted, values };
            let (layer, set) = match self.rows(&wanted, tally).await {
                Ok(found) => found,
                Err(refusal) if refusal.divisible && values.len() / 2 >= FEWEST_ROWS => {
                    let (first, second) = values.split_at(values.len() / 2);
                    open.extend([first, second]);
                    continue;
                }
                Err(refusal) => return Err(refusal.into()),
            };
            // What is left out would look as if it were not there. Of one key, any row is enough.
            let leaves_out = set.leaves_out_rows(&layer, layer.page_rows);
            if leaves_out && values.len() > 1 {
                let (first, second) = values.split_at(values.len() / 2);
                open.extend([first, second]);
                continue;
            }
            let read = set.features.iter().filter_map(|feature: &Feature| feature.read(&layer));
            let before = rows.len();
            rows.extend(read.filter(|row| row.shown.key.as_ref().is_some_and(|key| keys.contains(key))));
            if leaves_out && rows.len() == before {
                return Err(self.wrong(ROWS_WITHHELD));
            }
        }
        Ok(rows)
    }

    /// The rows for which a condition holds. As one answer holds them: it names what few rows share.
    pub(crate) async fn rows_where(&self, condition: String, tally: &Tally) -> Result<Vec<Row>, CallError> {
        let (layer, set) = self.rows(&Wanted::Where(condition), tally).await?;
        if set.leaves_out_rows(&layer, layer.page_rows) {
            return Err(self.wrong("more rows than one answer holds have the values by which a row is looked up; name further fields under lookup"));
        }
        Ok(set.features.iter().filter_map(|feature| feature.read(&layer)).collect())
    }

    /// The layer's number in the service.
    pub(crate) fn number(&self) -> u32 {
        self.part.layer
    }

    /// An answer that cannot be: worth another try, and a person's look.
    pub(crate) fn wrong(&self, message: impl Into<String>) -> CallError {
        CallError {
            class: ErrorClass::Transient,
            call: format!("POST layer {}/query", self.part.layer),
            message: message.into(),
        }
    }

    /// What a person should know of a row's fields that could not be read.
    pub(crate) fn notices_of(&self, row: &Row) -> impl Iterator<Item = Parked> + use<> {
        let parked = Parked {
            id: Some(row.shown.id.clone()),
            key: row.shown.key.clone(),
            ..self.notice(None, String::new())
        };
        let unreadable = row.unreadable.clone();
        unreadable.into_iter().map(move |(field, reason)| Parked {
            field: Some(field),
            reason,
            ..parked.clone()
        })
    }

    /// What a person should know of the layer.
    pub(crate) fn notice(&self, field: Option<String>, reason: String) -> Parked {
        Parked {
            system: self.system.clone(),
            collection: self.name.clone(),
            id: None,
            key: None,
            field,
            reason,
        }
    }
}

/// The forms in which a key may stand in its field. Servers write and compare a GlobalID with braces or without, in
/// upper case or lower (arcgis.md, section 6).
fn forms_of(key: &str, kind: EsriType) -> Vec<String> {
    match kind {
        EsriType::GlobalId | EsriType::Guid => {
            vec![in_braces(key), key.to_ascii_uppercase(), key.to_ascii_lowercase()]
        }
        _ => vec![key.to_owned()],
    }
}
