//! What a person does with links: look, take apart, put together again, say which of several records is meant.

use databridge_broker::{Auditor, Broker, Bucket, BucketError, PublishError, Versioned, names};
use databridge_config::{ConfigFolder, RouteKind, Side};
use databridge_model::{CollectionName, Key, SystemName};

use crate::link::{Apart, Link, SideState};
use crate::plan::RoutePlan;

/// The links, for a person.
#[derive(Debug)]
pub struct LinkDesk {
    broker: Broker,
    bucket: Bucket<Link>,
    plans: Vec<RoutePlan>,
    auditor: Auditor,
}

/// A link, with its name.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedLink {
    /// Its name: the route and the first key.
    pub name: String,
    /// The link.
    pub link: Link,
}

/// Which links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sought {
    /// The one of this name, or those that have this key.
    Named(String),
    /// Those that have this record of a system on either side.
    Record(SystemName, String),
    /// Those that wait for a person.
    Waiting,
}

/// Why a link waits for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    /// A side has several records of the key: these.
    OneOf(SystemName, Vec<String>),
    /// Somebody has taken the pair apart.
    Word,
    /// A side cannot take a field.
    Field(SystemName, String, String),
    /// A side refused a write whole.
    Refused(SystemName, String),
    /// A side has its record no more, and its partner is not to be deleted.
    Gone(SystemName),
}

/// A record that is to be read anew.
pub type ToRead = (SystemName, CollectionName, String);

/// Something cannot be done with a link.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// There is none of this name.
    #[error("there is no link `{0}`; `databridge links show KEY` shows those of a key")]
    NotThere(String),
    /// Its route is not in the config.
    #[error("the config has no route of the link `{0}`")]
    NoRoute(String),
    /// It is apart already.
    #[error("{0} was taken apart by {1} already")]
    ApartAlready(String, String),
    /// It is together already.
    #[error("{0} is together, and each side has one record of its key: there is nothing to relink")]
    Together(String),
    /// It must be said which record is meant.
    #[error("{system} has several records of the key ({}); say which is meant: --system {system} --id ID", ids.join(", "))]
    WhichOne {
        /// The system.
        system: SystemName,
        /// The records.
        ids: Vec<String>,
    },
    /// The record is not known to have the key.
    #[error(
        "record {id} of {system} is not known to have the key {key} (known are: {}). What belongs together is told by the \
         key: give the record this key in {system} and run `databridge sync {system}`; it is paired by itself then", known.join(", ")
    )]
    OtherKey {
        /// The system.
        system: SystemName,
        /// The record.
        id: String,
        /// The link's key.
        key: Key,
        /// The records that are known to have it.
        known: Vec<String>,
    },
    /// The route has no record of that system.
    #[error("the route of {0} has no side in {1}")]
    NoSide(String, SystemName),
    /// The records of such a route are not chosen by hand.
    #[error("{0} looks at all records below its parent, which choose themselves; relink the parent's link")]
    NotChosen(String),
    /// A push is under way.
    #[error("a write to {1} is under way for {0}; try again when it is done")]
    UnderWay(String, SystemName),
    /// They cannot be read or written.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// What was done cannot be noted.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

/// So often a link that others change at the same moment is tried.
const ATTEMPTS: usize = 10;

impl LinkDesk {
    /// Opens them for somebody, whose name the audit keeps.
    pub async fn open(broker: &Broker, config: &ConfigFolder, by: &str) -> Result<Self, LinkError> {
        let bucket = broker.bucket(names::LINKS).await?;
        let auditor = Auditor::new(broker, by);
        Ok(Self { broker: broker.clone(), bucket, plans: RoutePlan::all(config), auditor })
    }

    /// The plan of a link's route, which knows the systems of its sides.
    pub fn plan(&self, link: &Link) -> Option<&RoutePlan> {
        self.plans.iter().find(|plan| *plan.name() == link.route)
    }

    /// The links that are sought, by their names.
    pub async fn find(&self, sought: &Sought) -> Result<Vec<NamedLink>, LinkError> {
        if let Sought::Named(name) = sought
            && let Some(found) = self.get_if_there(name).await?
        {
            return Ok(vec![NamedLink { name: name.clone(), link: found.value }]);
        }
        let mut found = Vec::new();
        self.bucket
            .each(|name, Versioned { value: link, .. }| {
                if self.is_sought(sought, &link) {
                    found.push(NamedLink { name, link });
                }
            })
            .await?;
        found.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }

    fn is_sought(&self, sought: &Sought, link: &Link) -> bool {
        match sought {
            Sought::Named(text) => link.key.as_str() == text.trim(),
            Sought::Waiting => !self.waits_for(link).is_empty(),
            Sought::Record(system, id) => self.plan(link).is_some_and(|plan| {
                Side::BOTH.into_iter().filter(|side| plan.system(*side) == system).any(|side| {
                    let state = link.side(side);
                    state.id.as_ref() == Some(id)
                        || state.rivals.contains_key(id)
                        || state.set_aside.contains(id)
                        || (side == Side::Right && link.children.contains_key(id))
                })
            }),
        }
    }

    /// For what a link waits that only a person can give.
    pub fn waits_for(&self, link: &Link) -> Vec<WaitsFor> {
        let Some(plan) = self.plan(link) else { return Vec::new() };
        let mut waits: Vec<_> = link.apart.iter().map(|_| WaitsFor::Word).collect();
        for side in Side::BOTH {
            let (state, system) = (link.side(side), plan.system(side));
            if state.doubled {
                waits.push(WaitsFor::OneOf(system.clone(), records_of(state)));
            }
            waits.extend(state.parked.iter().map(|(field, parked)| {
                WaitsFor::Field(system.clone(), field.clone(), parked.reason.clone())
            }));
            waits.extend(state.refused.iter().map(|it| WaitsFor::Refused(system.clone(), it.reason.clone())));
            let partner_stays = state.gone && !state.gone_told && link.side(side.other()).is_there();
            waits.extend(partner_stays.then(|| WaitsFor::Gone(system.clone())));
        }
        waits
    }

    /// Takes a pair apart: nothing is carried over, here and below it, until it is put together again. What is under
    /// way is finished.
    pub async fn unlink(&self, name: &str) -> Result<(), LinkError> {
        let (at, by) = (self.broker.clock().now(), self.auditor.by().to_owned());
        self.change(name, |_, link| match &link.apart {
            Some(apart) => Err(LinkError::ApartAlready(name.to_owned(), apart.by.clone())),
            None => {
                link.apart = Some(Apart { at, by: by.clone() });
                Ok(())
            }
        })
        .await?;
        self.note("unlinked", name, None).await
    }

    /// Puts a pair together again, or says which of several records of one key is meant; the others are then left
    /// aside. Gives what is to be read so that it is decided.
    pub async fn relink(
        &self,
        name: &str,
        record: Option<(SystemName, String)>,
    ) -> Result<Vec<ToRead>, LinkError> {
        let link = self.change(name, |plan, link| put_together(plan, name, link, record.as_ref())).await?;
        let more = record.as_ref().map(|(system, id)| format!("with record {id} of {system}"));
        self.note("relinked", name, more).await?;
        let Some(plan) = self.plan(&link) else { return Ok(Vec::new()) };
        let of = |side: Side| {
            let id = link.side(side).id.clone().filter(|_| link.side(side).is_there())?;
            Some((plan.system(side).clone(), plan.collection_name(side).clone(), id))
        };
        Ok(Side::BOTH.into_iter().filter_map(of).collect())
    }

    async fn get_if_there(&self, name: &str) -> Result<Option<Versioned<Link>>, LinkError> {
        // What is no name of a link is none of a value in the bucket.
        let is_name =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-=.".contains(&b));
        if is_name && !name.starts_with('.') && !name.ends_with('.') {
            Ok(self.bucket.get(name).await?)
        } else {
            Ok(None)
        }
    }

    async fn change(
        &self,
        name: &str,
        change: impl Fn(&RoutePlan, &mut Link) -> Result<(), LinkError>,
    ) -> Result<Link, LinkError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let Some(found) = self.get_if_there(name).await? else {
                return Err(LinkError::NotThere(name.to_owned()));
            };
            let mut link = found.value;
            let Some(plan) = self.plan(&link).cloned() else {
                return Err(LinkError::NoRoute(name.to_owned()));
            };
            change(&plan, &mut link)?;
            match self.bucket.update(name, &link, found.revision).await {
                Ok(_) => return Ok(link),
                // The reconciler has changed it at this moment.
                Err(BucketError::Moved(_)) if attempt < ATTEMPTS => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn note(&self, action: &str, name: &str, more: Option<String>) -> Result<(), LinkError> {
        let id = format!("link-{name}-{}", self.broker.clock().now().timestamp_micros());
        Ok(self.auditor.note("link", action, format!("link {name}"), more, &id).await?)
    }
}

/// The records of a side that have the key.
fn records_of(state: &SideState) -> Vec<String> {
    let mut ids: Vec<_> =
        state.id.iter().chain(state.rivals.keys()).chain(&state.set_aside).cloned().collect();
    ids.sort_by(|one, other| (one.len(), one).cmp(&(other.len(), other)));
    ids
}

fn put_together(
    plan: &RoutePlan,
    name: &str,
    link: &mut Link,
    record: Option<&(SystemName, String)>,
) -> Result<(), LinkError> {
    match record {
        Some((system, id)) => mean(plan, name, link, system, id)?,
        None => {
            if let Some(side) = Side::BOTH.into_iter().find(|side| link.side(*side).doubled) {
                let (system, ids) = (plan.system(side).clone(), records_of(link.side(side)));
                return Err(LinkError::WhichOne { system, ids });
            }
            if link.apart.is_none() {
                return Err(LinkError::Together(name.to_owned()));
            }
        }
    }
    link.apart = None;
    link.due = true;
    Ok(())
}

/// Of the records that have the key on a side, this one is meant.
fn mean(
    plan: &RoutePlan,
    name: &str,
    link: &mut Link,
    system: &SystemName,
    id: &str,
) -> Result<(), LinkError> {
    if !matches!(plan.kind(), RouteKind::Mirror | RouteKind::Child) {
        return Err(LinkError::NotChosen(name.to_owned()));
    }
    let Some(side) = Side::BOTH.into_iter().find(|side| plan.system(*side) == system) else {
        return Err(LinkError::NoSide(name.to_owned(), system.clone()));
    };
    let state = link.side(side);
    if state.outstanding.is_some() {
        return Err(LinkError::UnderWay(name.to_owned(), system.clone()));
    }
    let known = records_of(state);
    if !known.iter().any(|it| it == id) {
        let (system, id, key) = (system.clone(), id.to_owned(), link.key.clone());
        return Err(LinkError::OtherKey { system, id, key, known });
    }
    let set_aside = known.into_iter().filter(|it| it != id).collect();
    if state.id.as_deref() == Some(id) {
        let state = link.side_mut(side);
        (state.doubled, state.set_aside) = (false, set_aside);
        state.rivals.clear();
        return Ok(());
    }
    // Nothing was ever agreed on with this one.
    let last_outcome = state.last_outcome;
    *link.side_mut(side) =
        SideState { id: Some(id.to_owned()), set_aside, reread: true, last_outcome, ..SideState::default() };
    let other = link.side_mut(side.other());
    for (field, value) in std::mem::take(&mut other.base) {
        other.drift.entry(field).or_insert(value);
    }
    other.provisional.clear();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{agreed, decided, fields, plan, show};

    fn record(id: &str) -> (SystemName, String) {
        ("office".parse().unwrap(), id.to_owned())
    }

    fn doubled() -> Link {
        let mut link = agreed(&[("owner", "Ann")], &[("Owner", "Ann")]);
        link.right.rivals = [("2".to_owned(), None)].into();
        link.right.doubled = true;
        link
    }

    #[test]
    fn a_pair_that_is_apart_keeps_what_is_read_and_carries_it_over_when_it_is_together_again() {
        let mut link = agreed(&[("owner", "Ann")], &[("Owner", "Ann")]);
        link.apart = Some(Apart { at: chrono::DateTime::UNIX_EPOCH, by: "ann@desk".to_owned() });
        show(&mut link, Side::Left, &[("owner", "Bob")]);
        assert!(decided(&mut link).pushes.is_empty());
        put_together(&plan(), "case_matter.E-1", &mut link, None).unwrap();
        assert_eq!(decided(&mut link).pushes[0].set, fields(&[("Owner", "Bob")]), "by the base of before");
        let again = put_together(&plan(), "case_matter.E-1", &mut link, None).unwrap_err();
        assert!(matches!(again, LinkError::Together(_)), "{again}");
    }

    #[test]
    fn of_two_records_with_one_key_the_one_that_is_meant_is_carried_on_and_the_other_left_aside() {
        let mut link = doubled();
        let which = put_together(&plan(), "n", &mut link, None).unwrap_err();
        assert!(which.to_string().contains("(1, 2); say which is meant: --system office"), "{which}");
        put_together(&plan(), "n", &mut link, Some(&record("1"))).unwrap();
        assert!(!link.is_doubled() && link.right.rivals.is_empty());
        assert_eq!(link.right.set_aside, ["2".to_owned()].into());
        assert_eq!(link.right.base, fields(&[("Owner", "Ann")]), "what was agreed on stands");
    }

    #[test]
    fn with_another_record_nothing_was_ever_agreed_on() {
        let mut link = doubled();
        put_together(&plan(), "n", &mut link, Some(&record("2"))).unwrap();
        assert_eq!((link.right.id.as_deref(), link.right.reread), (Some("2"), true));
        assert!(link.left.base.is_empty() && link.right.base.is_empty());
        assert_eq!(link.left.drift, fields(&[("owner", "Ann")]));
        show(&mut link, Side::Right, &[("Owner", "Cid")]);
        let decision = decided(&mut link);
        assert_eq!(
            decision.conflicts[0].conflict.loser.to_plain(),
            "Cid",
            "a conflict, and no silent overwriting"
        );
    }

    #[test]
    fn a_record_that_is_not_known_to_have_the_key_is_refused() {
        let mut link = doubled();
        let error = put_together(&plan(), "n", &mut link, Some(&record("9"))).unwrap_err().to_string();
        assert!(
            error.contains("record 9 of office is not known to have the key E-1 (known are: 1, 2)"),
            "{error}"
        );
    }
}
