//! The subjects of the durable messages.

use crate::{CollectionName, KeyToken, RunId, SystemName};

/// `sync.request.<system>` or `sync.request.<system>.<collection>`.
pub fn sync_request(system: &SystemName, collection: Option<&CollectionName>) -> String {
    match collection {
        Some(collection) => format!("sync.request.{system}.{collection}"),
        None => format!("sync.request.{system}"),
    }
}

/// `pull.<system>.<collection>.<key>`.
pub fn pull(system: &SystemName, collection: &CollectionName, key: &KeyToken) -> String {
    format!("pull.{system}.{collection}.{key}")
}

/// `cursor.<system>.<collection>.<live or full>`.
pub fn cursor(system: &SystemName, collection: &CollectionName, lane: CursorLane) -> String {
    format!("cursor.{system}.{collection}.{}", lane.as_str())
}

/// `push.<live or bulk>.<system>.<collection>.<key>`.
pub fn push(lane: Lane, system: &SystemName, collection: &CollectionName, key: &KeyToken) -> String {
    format!("push.{}.{system}.{collection}.{key}", lane.as_str())
}

/// `long.<live or bulk>.<system>.<collection>.<key>`: a push that takes long, where its bridge has set it aside.
pub fn long_push(lane: Lane, system: &SystemName, collection: &CollectionName, key: &KeyToken) -> String {
    format!("long.{}.{system}.{collection}.{key}", lane.as_str())
}

/// `outcome.<system>.<collection>.<key>`.
pub fn outcome(system: &SystemName, collection: &CollectionName, key: &KeyToken) -> String {
    format!("outcome.{system}.{collection}.{key}")
}

/// `dead.<stage>.<system>.<collection>.<key>`; a part that is unknown is `_`.
pub fn dead(stage: &str, system: Option<&str>, collection: Option<&str>, key: Option<&str>) -> String {
    let token = |part: Option<&str>| {
        part.filter(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-=".contains(&b)))
            .unwrap_or("_")
            .to_owned()
    };
    format!("dead.{stage}.{}.{}.{}", token(system), token(collection), token(key))
}

/// `run.<id>.<event>`.
pub fn run(id: RunId, event: &str) -> String {
    format!("run.{id}.{event}")
}

/// `content.<system>.<collection>.<id>`: a request for the bytes of a record, answered by its system's bridge.
pub fn content(system: &SystemName, collection: &CollectionName, id: &str) -> String {
    format!("content.{system}.{collection}.{}", KeyToken::of(None, id))
}

/// The key of a record in the KV buckets `intents` and `applied`: `<system>.<collection>.<key>`.
pub fn record_key(system: &SystemName, collection: &CollectionName, key: &KeyToken) -> String {
    format!("{system}.{collection}.{key}")
}

/// Which of a collection's cursors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorLane {
    /// Where the incremental pulls stand.
    Live,
    /// Where a complete listing stands.
    Full,
}

impl CursorLane {
    /// The token in the subject.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Full => "full",
        }
    }
}

/// Which of a system's two queues a push waits in. Live goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Changes of the day.
    Live,
    /// A migrate's many.
    Bulk,
}

impl Lane {
    /// Both, live first.
    pub const BOTH: [Self; 2] = [Self::Live, Self::Bulk];

    /// The lane of a push's subject.
    pub fn of_push(subject: &str) -> Option<Self> {
        let lane = subject.split('.').nth(1)?;
        Self::BOTH.into_iter().find(|it| it.as_str() == lane)
    }

    /// The token in the subject.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Bulk => "bulk",
        }
    }
}

/// The parts of a subject `<kind>.<system>.<collection>.<key>` after `skip` leading tokens.
pub fn record_parts(subject: &str, skip: usize) -> Option<(&str, &str, &str)> {
    let mut tokens = subject.split('.').skip(skip);
    let parts = (tokens.next()?, tokens.next()?, tokens.next()?);
    tokens.next().is_none().then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Key, Name};

    #[test]
    fn a_push_subject_can_be_read_back() {
        let key = Key::parse("E 1.2").unwrap().token();
        let (system, collection) = (Name::parse("clio").unwrap(), Name::parse("matters").unwrap());
        let subject = push(Lane::Live, &system, &collection, &key);
        assert_eq!(subject, "push.live.clio.matters.E=201=2E2");
        assert_eq!(record_parts(&subject, 2), Some(("clio", "matters", "E=201=2E2")));
        assert_eq!(Lane::of_push(&subject), Some(Lane::Live));
        let aside = long_push(Lane::Bulk, &system, &collection, &key);
        assert_eq!(aside, "long.bulk.clio.matters.E=201=2E2");
        assert_eq!(record_parts(&aside, 2), Some(("clio", "matters", "E=201=2E2")));
    }

    #[test]
    fn an_unknown_part_of_a_dead_letter_is_an_underscore() {
        assert_eq!(dead("sync", None, Some("a b"), Some("")), "dead.sync._._._");
    }
}
