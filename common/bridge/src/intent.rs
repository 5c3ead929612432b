//! What a bridge remembers of its effects.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use databridge_model::{Outcome, PushId};
use serde::{Deserialize, Serialize};

/// An effect under way, in the bucket `intents` under `<system>.<collection>.<key>`.
///
/// It is made before the effect and removed after the outcome is stored. Whoever finds one cannot know whether
/// the effect was done, and looks it up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// The push.
    pub push: PushId,
    /// When the first attempt at it was begun, or at the first of the others.
    #[serde(default)]
    pub begun: DateTime<Utc>,
    /// The worker that began it.
    pub worker: String,
    /// After this moment the worker begins nothing more, and another may take it over.
    pub until: DateTime<Utc>,
    /// How often it was tried.
    pub attempts: u32,
    /// Pushes before it of which nobody knows either whether they were done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<PushId>,
}

/// The last pushes applied to a record, in the bucket `applied`: a copy of one is answered from here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    /// The outcome of the last push of each link that pushes to it. Several routes may look at one record.
    #[serde(default)]
    pub links: BTreeMap<String, Outcome>,
    /// The outcome of the last push of a person.
    pub person: Option<Outcome>,
}

impl Applied {
    /// The outcome of this push or of a later one of its link: then this one must not be done (again).
    pub fn answer_to(&self, push: &PushId) -> Option<Outcome> {
        let last = if push.is_of_person() { self.person.as_ref() } else { self.links.get(&push.link) }?;
        (last.push.link == push.link && last.push.counter >= push.counter)
            .then(|| Outcome { push: push.clone(), ..last.clone() })
    }

    /// Remembers an outcome.
    pub fn remember(&mut self, outcome: Outcome) {
        if outcome.push.is_of_person() {
            self.person = Some(outcome);
        } else {
            self.links.insert(outcome.push.link.clone(), outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use databridge_model::OutcomeResult;

    fn outcome(link: &str, counter: u64) -> Outcome {
        Outcome {
            push: PushId { link: link.to_owned(), counter },
            result: OutcomeResult::Written,
            id: None,
            revision: None,
            handle: serde_json::Value::Null,
            shown: databridge_model::Fields::new(),
            parked: std::collections::BTreeMap::new(),
            error: None,
            calls: 1,
        }
    }

    #[test]
    fn a_late_copy_of_an_older_push_is_answered_and_a_new_push_is_not() {
        let mut applied = Applied::default();
        applied.remember(outcome("a", 5));
        assert!(applied.answer_to(&PushId { link: "a".into(), counter: 4 }).is_some());
        assert!(applied.answer_to(&PushId { link: "a".into(), counter: 5 }).is_some());
        assert!(applied.answer_to(&PushId { link: "a".into(), counter: 6 }).is_none());
        assert!(applied.answer_to(&PushId { link: "b".into(), counter: 1 }).is_none());
    }

    #[test]
    fn the_last_push_of_one_link_is_not_forgotten_for_that_of_another() {
        let mut applied = Applied::default();
        applied.remember(outcome("a", 5));
        applied.remember(outcome("b", 1));
        assert!(applied.answer_to(&PushId { link: "a".into(), counter: 5 }).is_some());
        assert!(applied.answer_to(&PushId { link: "b".into(), counter: 1 }).is_some());
    }

    #[test]
    fn a_persons_push_does_not_make_the_links_last_forgotten() {
        let mut applied = Applied::default();
        applied.remember(outcome("a", 5));
        applied.remember(outcome("person", 99));
        assert!(applied.answer_to(&PushId { link: "a".into(), counter: 5 }).is_some());
        assert!(applied.answer_to(&PushId::of_person(99)).is_some());
        assert!(applied.answer_to(&PushId::of_person(100)).is_none());
    }
}
