//! What becomes of the partner of a record that is gone.

use chrono::{DateTime, Utc};
use databridge_config::{GoneRule, Mark, Side};
use databridge_model::{Op, Value};

use crate::decide::Wanted;
use crate::link::{Link, Purpose};
use crate::plan::RoutePlan;

/// The push that tells the partner that the record of this side is gone, or is back; none where that is told, or the
/// route leaves the partner as it is.
pub(crate) fn push(plan: &RoutePlan, link: &Link, side: Side, now: DateTime<Utc>) -> Option<Wanted> {
    let (state, partner) = (link.side(side), link.side(side.other()));
    if state.gone == state.gone_told || !partner.is_there() || partner.outstanding.is_some() {
        return None;
    }
    let to = side.other();
    match (&plan.route.side(side).gone, state.gone) {
        (GoneRule::Leave, _) | (GoneRule::Delete, false) => None,
        (GoneRule::Delete, true) => Some(Wanted { purpose: Purpose::Gone, ..Wanted::new(to, Op::Delete) }),
        (GoneRule::Mark(mark), gone) => {
            let text = if gone { text_of(mark, plan, now) } else { Value::Null };
            let mut wanted = Wanted { purpose: Purpose::Gone, ..Wanted::new(to, Op::Update) };
            wanted.expect.insert(mark.field.clone(), partner.shown(&mark.field).cloned().unwrap_or_default());
            wanted.set.insert(mark.field.clone(), text);
            Some(wanted)
        }
    }
}

/// What a person is told of a record that is gone.
pub(crate) fn told(plan: &RoutePlan, side: Side) -> String {
    let (system, other) = (plan.system(side), plan.system(side.other()));
    let collection = plan.collection_name(side);
    let partner = match &plan.route.side(side).gone {
        GoneRule::Leave => "is left as it is",
        GoneRule::Mark(_) => "is marked",
        GoneRule::Delete => "is deleted too",
    };
    format!("the record is not in {system}.{collection} any more; its partner in {other} {partner}")
}

fn text_of(mark: &Mark, plan: &RoutePlan, now: DateTime<Utc>) -> Value {
    let day = now.with_timezone(&plan.zone).date_naive().to_string();
    Value::text(mark.text.replace("{date}", &day))
}

#[cfg(test)]
mod tests;
