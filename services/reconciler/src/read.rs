//! Taking a read of a record into its side of a link.

use std::cmp::Ordering;

use databridge_config::Side;
use databridge_model::{Fields, PullResult, ReadAfter, Value};

use crate::link::{Link, SideState};
use crate::plan::RoutePlan;

/// What a read is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// It tells something, and was taken in.
    Taken,
    /// It tells nothing that is not known.
    Nothing,
    /// It may be older than what is known: the record must be read again by its id.
    ReadAgain,
}

/// Weighs a read, and takes it in if it is fresh.
///
/// A read from before the side's last outcome, one that comes while a push is under way, and other values with an older or
/// equal revision prove nothing: the record is read again by its id, and that is believed.
pub fn take_in(plan: &RoutePlan, link: &mut Link, side: Side, read: &PullResult, sequence: u64) -> Worth {
    let fields = canonical(plan, side, &read.fields);
    let state = link.side_mut(side);
    if state.pulled.is_some_and(|pulled| {
        pulled.stream_created == read.read_after.stream_created && sequence <= pulled.sequence
    }) {
        // A redelivery of what was decided already.
        return Worth::Nothing;
    }
    let answers_reread = state.reread && is_of_latest_run(state, read);
    state.seen_in = read.run.max(state.seen_in);
    let nothing_new = state.id.as_deref() == Some(read.id.as_str()) && !state.gone && state.shows(&fields);
    if is_before(&read.read_after, state.last_outcome.as_ref()) {
        return if nothing_new { Worth::Nothing } else { Worth::ReadAgain };
    }
    if let Some(outstanding) = &state.outstanding {
        let mut after_push = fields.clone();
        for (field, value) in &outstanding.push.set {
            if after_push.get(field) == Some(value) {
                after_push.remove(field);
            }
        }
        // A new record shows as empty what was not set.
        let new = state.id.is_none();
        let as_known =
            |field: &str, value: &Value| state.shown(field).map_or(new && value.is_null(), |it| it == value);
        let is_our_write = after_push.iter().all(|(field, value)| as_known(field, value));
        return if nothing_new || is_our_write { Worth::Nothing } else { Worth::ReadAgain };
    }
    if let (Some(read_revision), Some(known)) = (read.revision, state.revision)
        && state.id.as_deref() == Some(read.id.as_str())
        && !answers_reread
    {
        // A clock that was set back gives an edit a time before the last one: only a look by the id tells that from a
        // page that is late.
        if read_revision <= known && !nothing_new {
            return Worth::ReadAgain;
        }
        if read_revision < known {
            return Worth::Nothing;
        }
    }
    if nothing_new
        && state.handle == read.handle
        && (read.revision.is_none() || state.revision == read.revision)
        && state.provisional.is_empty()
        && !state.reread
    {
        return Worth::Nothing;
    }
    link.resolve_doubts(plan, side, &fields);
    let state = link.side_mut(side);
    // Revisions of two records cannot be compared: one that takes another's place brings its own.
    let known_revision = state.revision.filter(|_| state.id.as_deref() == Some(read.id.as_str()));
    state.reread = false;
    if state.id.as_ref().is_some_and(|known| *known != read.id) {
        state.replaced_in = read.run;
    }
    state.id = Some(read.id.clone());
    state.parent.clone_from(&read.parent);
    state.gone = false;
    state.handle = read.handle.clone();
    state.revision = read.revision.or(known_revision);
    state.pulled = Some(ReadAfter { sequence, stream_created: read.read_after.stream_created });
    show_all(plan, side, state, fields);
    Worth::Taken
}

/// Takes in what a side shows. A base that was only what we wrote is confirmed: what the system made of it by
/// itself becomes the base, what differs otherwise is a person's edit.
pub fn show_all(plan: &RoutePlan, side: Side, state: &mut SideState, fields: Fields) {
    for (field, value) in fields {
        if state.provisional.remove(&field)
            && let Some(written) = state.base.get(&field)
            && plan.collection(side).field_type(&field).may_normalise(written, &value)
        {
            state.base.insert(field.clone(), value.clone());
        }
        state.show(&field, value);
    }
}

/// The fields that the route looks at, in canonical form. What is not of its type is left out: it is no news.
pub fn canonical(plan: &RoutePlan, side: Side, fields: &Fields) -> Fields {
    let mut out = Fields::new();
    for (name, value) in plan.routed(side, fields) {
        match plan.collection(side).field_type(&name).canonical(value) {
            Ok(value) => {
                out.insert(name, value);
            }
            Err(error) => {
                tracing::warn!(%error, field = name, "A value is not of its declared type; it is left out.");
            }
        }
    }
    out
}

/// Whether a read may be the one that was asked for again. One of an earlier run, published anew, is not; what nobody's
/// run asked for cannot be told.
fn is_of_latest_run(state: &SideState, read: &PullResult) -> bool {
    read.run.is_none() || read.run >= state.seen_in
}

/// Whether a read was begun before an outcome was stored, as far as can be told. A read from after the stream was made
/// anew is from after all that the earlier one held.
pub(crate) fn is_before(read: &ReadAfter, outcome: Option<&ReadAfter>) -> bool {
    outcome.is_some_and(|outcome| match read.stream_created.cmp(&outcome.stream_created) {
        Ordering::Less => true,
        Ordering::Equal => read.sequence < outcome.sequence,
        Ordering::Greater => false,
    })
}

#[cfg(test)]
mod tests;
