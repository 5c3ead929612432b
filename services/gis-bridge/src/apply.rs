//! Doing pushes: one query of the rows to be written, then one applyEdits, for many at a time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use databridge_bridge::{Effect, PushTask, Shown, Wait, effect_of_error};
use databridge_http::{CallError, ErrorClass};
use databridge_model::{Failure, FailureClass, Key, Op, OutcomeResult};
use databridge_runtime::pass_failpoint;

use crate::change::{Again, Change, Judgement, key_of};
use crate::collection::LayerCollection;
use crate::decode::Row;
use crate::edits::{self, Edit, Verdict};
use crate::layer::{Identity, Layer};
use crate::refusal::Refusal;
use crate::row_id::object_id_in;
use crate::service::{FeatureService, Form, Tally};

/// The most pushes of one applyEdits (arcgis.md, section 4: beyond 250 the docs steer to `append`).
pub(crate) const MOST_EDITS: usize = 250;
/// The most bytes of one applyEdits. Servers' limits are not published; a servlet container's own is 2 MB.
const MOST_BYTES: usize = 1_500_000;
/// A server that has taken nothing and refuses so many edits one by one refuses the others too.
const ENOUGH_REFUSED_ALONE: u32 = 4;
/// How long the others wait then.
const UNWELL: Duration = Duration::from_secs(5);
/// A push that belongs to another worker by now is let go for so long.
const NOT_OURS: Duration = Duration::from_secs(1);

/// A push under way.
#[derive(Debug)]
struct Work {
    index: usize,
    task: PushTask,
    /// Fields that the layer refused, each with the reason.
    parked: BTreeMap<String, String>,
}

/// What came of a batch: effects by place, and what is to be tried again.
#[derive(Debug, Default)]
struct Attempt {
    settled: Vec<(usize, Effect)>,
    again: Vec<Vec<Work>>,
    /// Second pushes of rows that had one in this batch.
    later: Vec<Work>,
    /// By place: what may have been done all the same.
    in_doubt: Vec<usize>,
    /// The server has taken a request.
    was_taken: bool,
    /// It has refused a single edit, for the moment or so that nobody knows what came of it.
    refused_alone: Option<Failure>,
}

/// One effect for each push, in order. All calls are counted to the first that is settled.
pub(crate) async fn apply(
    service: &FeatureService,
    collection: &LayerCollection,
    tasks: Vec<PushTask>,
) -> Vec<Effect> {
    let (tally, mut in_doubt) = (Tally::of_a_push(), BTreeSet::new());
    let (mut refused_alone, mut was_taken) = (0, false);
    let mut effects: Vec<Option<Effect>> = tasks.iter().map(|_| None).collect();
    let mut open: Vec<Work> = tasks
        .into_iter()
        .enumerate()
        .map(|(index, task)| Work { index, task, parked: BTreeMap::new() })
        .collect();
    let mut batches = VecDeque::new();
    while !open.is_empty() {
        let rest = open.split_off(open.len().min(MOST_EDITS));
        batches.push_back(std::mem::replace(&mut open, rest));
    }
    while let Some(batch) = batches.pop_front() {
        let attempt = attempted(service, collection, batch, &tally).await;
        in_doubt.extend(attempt.in_doubt);
        for (index, effect) in attempt.settled {
            if let Some(place) = effects.get_mut(index) {
                *place = Some(match effect {
                    Effect::NotNow(wait) if in_doubt.contains(&index) => Effect::Halfway(wait),
                    effect => effect,
                });
            }
        }
        was_taken |= attempt.was_taken;
        if let Some(failure) = attempt.refused_alone {
            refused_alone += 1;
            if refused_alone == ENOUGH_REFUSED_ALONE && !was_taken {
                // It is not for the edits that they are refused. The others wait, which is no attempt.
                let wait = Wait { time: UNWELL, why: Some(failure) };
                let others = attempt.again.into_iter().chain(batches).flatten();
                for index in others.chain(attempt.later).map(|work| work.index) {
                    let is_in_doubt = in_doubt.contains(&index);
                    let wait = wait.clone();
                    let effect = if is_in_doubt { Effect::Halfway(wait) } else { Effect::NotNow(wait) };
                    if let Some(place) = effects.get_mut(index) {
                        *place = Some(effect);
                    }
                }
                break;
            }
        }
        // One half is done before the other is begun.
        for batch in attempt.again.into_iter().rev().filter(|batch| !batch.is_empty()) {
            batches.push_front(batch);
        }
        batches.extend((!attempt.later.is_empty()).then_some(attempt.later));
    }
    let mut effects: Vec<Effect> =
        effects.into_iter().map(|effect| effect.unwrap_or(Effect::NotNow(NOT_OURS.into()))).collect();
    let first = effects.iter_mut().find_map(|effect| match effect {
        Effect::Settled { calls, .. } => Some(calls),
        _ => None,
    });
    if let Some(calls) = first {
        *calls = tally.count();
    }
    effects
}

async fn attempted(
    service: &FeatureService,
    collection: &LayerCollection,
    batch: Vec<Work>,
    tally: &Tally,
) -> Attempt {
    let mut attempt = Attempt::default();
    let batch = attempt.addressed(batch);
    let (layer, found) = match Found::look(collection, &batch, tally).await {
        Ok(found) => found,
        Err(error) => {
            let effect = effect_of_failed_read(&error);
            attempt.settled.extend(batch.iter().map(|work| (work.index, effect.clone())));
            return attempt;
        }
    };
    let writes = attempt.judged(collection, &layer, &found, batch);
    let writes = attempt.of_one_request(writes);
    if writes.is_empty() {
        return attempt;
    }
    let edits: Vec<Edit> = writes.iter().map(|write| write.edit.clone()).collect();
    let form = edits::form(&layer, &edits);
    if writes.len() > 1 && bytes(&form) > MOST_BYTES {
        attempt.halve(works(writes));
        return attempt;
    }
    pass_failpoint("gis.before-apply", &collection.name);
    let answer = service.apply_edits(layer.number, form, tally).await;
    pass_failpoint("gis.after-apply", &collection.name);
    match answer {
        Ok(body) => attempt.conclude(collection, &layer, writes, edits::verdicts(body, &edits)),
        Err(refusal) => attempt.refused(works(writes), &refusal),
    }
    attempt
}

/// A push that is to be written: its edit, and what the row shows once it is done.
struct Write {
    work: Work,
    edit: Edit,
    shown: Shown,
}

fn works(writes: Vec<Write>) -> Vec<Work> {
    writes.into_iter().map(|write| write.work).collect()
}

impl Work {
    fn change<'a>(&'a self, collection: &LayerCollection, layer: &'a Layer) -> Change<'a> {
        Change::new(layer, &collection.declared, &self.task.push, self.task.doubtful, &self.parked)
    }
}

impl Attempt {
    /// Lets through what addresses a row, each row once: a second push of the same row waits for its own turn.
    fn addressed(&mut self, batch: Vec<Work>) -> Vec<Work> {
        let (mut now, mut later, mut rows) = (Vec::new(), Vec::new(), BTreeSet::new());
        for work in batch {
            match (work.task.push.op, object_id(&work)) {
                (Op::Create, _) => now.push(work),
                (_, None) => self.settled.push((work.index, unaddressed(&work))),
                (_, Some(object_id)) if rows.insert(object_id) => now.push(work),
                (_, Some(_)) => later.push(work),
            }
        }
        self.later = later;
        now
    }

    /// Settles what needs no write, and gives what does.
    fn judged(
        &mut self,
        collection: &LayerCollection,
        layer: &Layer,
        found: &Found,
        batch: Vec<Work>,
    ) -> Vec<Write> {
        let mut writes = Vec::new();
        for work in batch {
            match work.change(collection, layer).judged(layer, found.row_of(&work, layer)) {
                Judgement::Settled(effect) => self.settled.push((work.index, effect)),
                // Asked as late as can be: the query before may have taken long.
                Judgement::Write(..) if !work.task.still_mine.now() => {
                    self.settled.push((work.index, Effect::NotNow(NOT_OURS.into())));
                }
                Judgement::Write(edit, shown) => writes.push(Write { work, edit, shown }),
            }
        }
        writes
    }

    /// Rows that bring their GlobalID go in a request of their own (section 4: `useGlobalIds` holds for all of it), next.
    fn of_one_request(&mut self, writes: Vec<Write>) -> Vec<Write> {
        let (ours, others): (Vec<Write>, Vec<Write>) =
            writes.into_iter().partition(|write| write.edit.brings_global_id());
        if others.is_empty() {
            return ours;
        }
        self.again.push(works(ours));
        others
    }

    /// The request was refused whole.
    fn refused(&mut self, mut works: Vec<Work>, refusal: &Refusal) {
        if refusal.divisible && works.len() > 1 {
            if refusal.error.class == ErrorClass::Unknown {
                for work in &mut works {
                    work.task.doubtful = true;
                    self.in_doubt.push(work.index);
                }
            }
            tracing::info!(error = %refusal.error, edits = works.len(), "A batch of edits is refused and goes in halves.");
            self.halve(works);
        } else {
            let effect = effect_of_error(&refusal.error, 0);
            if let Effect::Failed(failure) = &effect {
                self.refused_alone = Some(failure.clone());
            }
            self.settled.extend(works.into_iter().map(|work| (work.index, effect.clone())));
        }
    }

    /// The request was taken; each edit has a verdict.
    fn conclude(
        &mut self,
        collection: &LayerCollection,
        layer: &Layer,
        writes: Vec<Write>,
        verdicts: Vec<Verdict>,
    ) {
        self.was_taken = true;
        let (mut rolled_back, mut without, mut looked_up) = (Vec::new(), Vec::new(), Vec::new());
        let all = writes.len();
        for (Write { mut work, shown, .. }, verdict) in writes.into_iter().zip(verdicts) {
            match work.change(collection, layer).outcome(layer, verdict, shown) {
                Ok(effect) => self.settled.push((work.index, effect)),
                Err(Again::Smaller) => rolled_back.push(work),
                Err(Again::LookedUp) => {
                    work.task.doubtful = true;
                    self.in_doubt.push(work.index);
                    looked_up.push(work);
                }
                Err(Again::Without(field, reason)) => {
                    work.parked.insert(field, reason);
                    without.push(work);
                }
            }
        }
        self.again.extend([without, looked_up]);
        match rolled_back.len() {
            1 if all == 1 => self.settled.extend(rolled_back.iter().map(|work| (work.index, taken_back()))),
            rolled if rolled == all => self.halve(rolled_back),
            _ => self.again.push(rolled_back),
        }
    }

    fn halve(&mut self, mut works: Vec<Work>) {
        let second = works.split_off(works.len().div_ceil(2));
        self.again.extend([works, second]);
    }
}

/// The rows as they are just before the write.
#[derive(Debug, Default)]
struct Found {
    by_id: BTreeMap<i64, Row>,
    by_key: BTreeMap<Key, Row>,
    /// What earlier attempts have made, by the place of the push.
    made_before: BTreeMap<usize, Row>,
}

impl Found {
    /// The rows, and the layer as it was last seen by then.
    async fn look(
        collection: &LayerCollection,
        batch: &[Work],
        tally: &Tally,
    ) -> Result<(Arc<Layer>, Self), CallError> {
        let layer = collection.layer(tally).await?;
        let mut found = Self::default();
        let key = |work: &Work| {
            let push = &work.task.push;
            // A GlobalID that was chosen for this row is there only if an earlier attempt came through, and a layer
            // refuses to take it twice.
            let first = layer.identity != Identity::Key || push.absent_in.is_some();
            let must_look = push.op == Op::Create && (work.task.doubtful || !first);
            must_look.then(|| key_of(push, &layer)).flatten()
        };
        let keys: Vec<Key> = batch.iter().filter_map(key).collect();
        if !keys.is_empty() {
            for row in collection.by_keys(&keys, tally).await? {
                if let Some(key) = row.shown.key.clone() {
                    found.by_key.entry(key).or_insert(row);
                }
            }
        }
        if let Identity::Fields(names) = &layer.identity {
            for work in batch.iter().filter(|work| work.task.push.op == Op::Create && work.task.doubtful) {
                if let Some(row) = made_before(collection, &layer, names, work, tally).await? {
                    found.made_before.insert(work.index, row);
                }
            }
        }
        let ids: Vec<i64> =
            batch.iter().filter(|work| work.task.push.op != Op::Create).filter_map(object_id).collect();
        if !ids.is_empty() {
            (_, found.by_id) = collection.by_ids(&ids, tally).await?;
        }
        // A query that was refused for a field that the layer has lost brought another look at it.
        Ok((collection.layer(tally).await?, found))
    }

    fn row_of(&self, work: &Work, layer: &Layer) -> Option<&Row> {
        match work.task.push.op {
            Op::Create if matches!(layer.identity, Identity::Fields(_)) => self.made_before.get(&work.index),
            Op::Create => self.by_key.get(&key_of(&work.task.push, layer)?),
            Op::Update | Op::Delete => self.by_id.get(&object_id(work)?),
        }
    }
}

/// Clocks differ, ours from the server's, by no more than this.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(5);

/// The row that an earlier attempt has made, where the layer takes no GlobalID of ours: one with the same values in the
/// fields that tell rows apart, and not older than the attempt.
async fn made_before(
    collection: &LayerCollection,
    layer: &Layer,
    names: &[String],
    work: &Work,
    tally: &Tally,
) -> Result<Option<Row>, CallError> {
    let change = work.change(collection, layer);
    let Some(condition) = change.condition_for(names) else { return Ok(None) };
    let begun = work.task.earlier.as_ref().map(|earlier| (earlier.begun - CLOCKS_DIFFER).timestamp_millis());
    let since_then = |row: &Row| match (row.shown.revision, begun) {
        (Some(edited), Some(begun)) => edited >= begun,
        _ => true,
    };
    let rows = collection.rows_where(condition, tally).await?;
    Ok(rows.into_iter().find(|row| since_then(row) && change.may_have_made(row, names)))
}

fn object_id(work: &Work) -> Option<i64> {
    object_id_in(&work.task.push.target.as_ref()?.id)
}

fn unaddressed(work: &Work) -> Effect {
    let told = work.task.push.target.as_ref().map_or("nothing", |target| target.id.as_str());
    Effect::Settled {
        result: OutcomeResult::Refused,
        shown: None,
        parked: BTreeMap::new(),
        error: Some(Failure {
            class: FailureClass::Invalid,
            message: format!("the target's id must be the row's object id, a number, and is `{told}`"),
            field: None,
        }),
        calls: 0,
    }
}

/// Nothing was written, so whatever is wrong with the reading refuses no record.
fn effect_of_failed_read(error: &CallError) -> Effect {
    match effect_of_error(error, 0) {
        Effect::Settled { error: Some(failure), .. } => Effect::Failed(failure),
        other => other,
    }
}

fn taken_back() -> Effect {
    Effect::Failed(Failure {
        class: FailureClass::Transient,
        message: "the server took the edit back and does not say why".to_owned(),
        field: None,
    })
}

fn bytes(form: &Form) -> usize {
    form.iter().map(|(_, value)| value.len()).sum()
}
