//! What must be found fast of all links, in memory: hundreds of thousands are the rule for a large city. So it holds
//! hashes of 88 bits in place of ids and keys, numbers in place of names, and its tables hold numbers.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use chrono::{DateTime, Utc};
use databridge_config::Side;
use databridge_model::{Key, Name, RunId};
use hashbrown::HashTable;
use smallvec::SmallVec;

use crate::link::Link;
use crate::plan::ParentRef;

/// A link, for as long as this process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LinkNumber(u32);

/// Why a link is not at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Open {
    /// A push of this run is under way.
    UnderWay(Option<RunId>),
    /// The listings of this run are awaited.
    Listings(RunId),
    /// The partner of its parent is awaited.
    Parent,
    /// It has taken over the partner of another link.
    TakesOver,
    /// The next run is to look at it.
    Due,
    /// A record is to be read again.
    Reread,
    /// It has rivals on a side.
    Rivals,
    /// It has conflicts whose records may not be kept yet.
    Untold,
}

/// The indexes over the links.
#[derive(Debug, Default)]
pub(super) struct Index {
    hashers: [RandomState; 2],
    /// The names of the routes.
    routes: Vec<Box<str>>,
    /// What follows the route in the names of the links, one after the other.
    names: String,
    /// The links by number.
    slots: Vec<Slot>,
    by_name: HashTable<LinkNumber>,
    /// By their marks.
    marked: HashTable<Marked>,
    /// The links that are not at rest, so that runs need not look through all.
    open: BTreeMap<Open, HashSet<LinkNumber>>,
    /// When a link's choice changes by itself.
    look_at: HashMap<LinkNumber, DateTime<Utc>>,
}

/// A link. It is never taken away.
#[derive(Debug)]
struct Slot {
    route: u16,
    /// Where its name goes on in `names`, and how long.
    length: u16,
    begins: u32,
    marks: Marks,
}

/// A key and a record on each side are the rule.
type Marks = SmallVec<[Mark; 3]>;

/// By what a link can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    kind: Kind,
    hash: [u8; 11],
}

/// What kind of mark it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Its key, or a record of it that is not known to be there. The last link to say so has it.
    Own,
    /// A record that is there, on this side. The last link to say so has it.
    There(Side),
    /// A parent whose partner is awaited; by many, maybe.
    Awaits,
}

/// An entry of the table of marks. It is of the link's mark that has this hash in part.
#[derive(Clone, Copy, Debug)]
struct Marked {
    link: LinkNumber,
    part: u32,
}

impl Mark {
    /// The part of the hash that the table keeps, so that it can grow without a look at the links.
    fn part(self) -> u32 {
        let [a, b, c, d, ..] = self.hash;
        u32::from_le_bytes([a, b, c, d])
    }

    /// Whether one link alone has such a mark, and this is the same.
    fn is_same_own(self, other: Self) -> bool {
        self.hash == other.hash && self.kind != Kind::Awaits && other.kind != Kind::Awaits
    }
}

/// Where an entry stands in the table of marks.
fn place_of(part: u32) -> u64 {
    u64::from(part) << 32 | u64::from(part)
}

impl Slot {
    fn has_own(&self, mark: Mark) -> bool {
        self.marks.iter().any(|it| it.is_same_own(mark))
    }
}

impl LinkNumber {
    fn at(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Index {
    fn mark(&self, kind: Kind, what: impl std::hash::Hash) -> Mark {
        let [first, second] = self.hashers.each_ref().map(|hasher| hasher.hash_one(&what).to_le_bytes());
        let mut hash = [0; 11];
        hash.iter_mut().zip(first.into_iter().chain(second)).for_each(|(to, from)| *to = from);
        Mark { kind, hash }
    }

    fn mark_of_id(&self, kind: Kind, route: &Name, side: Side, id: &str) -> Mark {
        self.mark(kind, (route, side, id))
    }

    fn mark_of_key(&self, route: &Name, key: &Key) -> Mark {
        self.mark(Kind::Own, (route, key))
    }

    fn hash_of_name(&self, route: &str, rest: &str) -> u64 {
        self.hashers[0].hash_one((route, rest))
    }

    /// The number of the link of this name.
    pub(super) fn number(&self, name: &str) -> Option<LinkNumber> {
        let parts = parts_of_name(name);
        let is_it = |number: &LinkNumber| self.slot(*number).is_some_and(|slot| self.name_of(slot) == parts);
        self.by_name.find(self.hash_of_name(parts.0, parts.1), is_it).copied()
    }

    /// The name of a link.
    pub(super) fn name(&self, number: LinkNumber) -> Option<String> {
        let (route, rest) = self.name_of(self.slot(number)?);
        Some(format!("{route}{rest}"))
    }

    fn slot(&self, number: LinkNumber) -> Option<&Slot> {
        self.slots.get(number.at())
    }

    /// The route, and what follows it.
    fn name_of(&self, slot: &Slot) -> (&str, &str) {
        let begins = usize::try_from(slot.begins).unwrap_or(usize::MAX);
        let rest = self.names.get(begins..begins.saturating_add(usize::from(slot.length)));
        let route = self.routes.get(usize::from(slot.route));
        (route.map_or("", |route| &**route), rest.unwrap_or_default())
    }

    /// The link that has this record on this side.
    pub(super) fn by_id(&self, route: &Name, side: Side, id: &str) -> Option<String> {
        self.by_mark(self.mark_of_id(Kind::Own, route, side, id))
    }

    /// The link that has this key now.
    pub(super) fn by_key(&self, route: &Name, key: &Key) -> Option<String> {
        self.by_mark(self.mark_of_key(route, key))
    }

    fn by_mark(&self, mark: Mark) -> Option<String> {
        // A link may say so and have lost it to another: its other entries, which stand near by chance, are not it.
        let has_it = |entry: &Marked| self.slot(entry.link).is_some_and(|slot| slot.has_own(mark));
        let is_it = |entry: &Marked| entry.part == mark.part() && has_it(entry);
        self.name(self.marked.find(place_of(mark.part()), is_it)?.link)
    }

    /// The links that wait for a record beside this parent.
    pub(super) fn awaiting(&self, parent: &ParentRef) -> Vec<String> {
        let mark = self.mark(Kind::Awaits, parent);
        let near = self.marked.iter_hash(place_of(mark.part()));
        let mut waiting: Vec<_> = near
            .filter(|it| it.part == mark.part())
            .filter(|it| self.slot(it.link).is_some_and(|slot| slot.marks.contains(&mark)))
            .map(|it| it.link)
            .collect();
        waiting.sort_unstable();
        waiting.dedup();
        waiting.into_iter().filter_map(|link| self.name(link)).collect()
    }

    /// Whether any link is open in this way.
    pub(super) fn any_open(&self, why: Open) -> bool {
        self.open.contains_key(&why)
    }

    /// Whether this link is open in this way.
    pub(super) fn is_open(&self, name: &str, why: Open) -> bool {
        let links = self.open.get(&why);
        links.is_some_and(|links| self.number(name).is_some_and(|number| links.contains(&number)))
    }

    /// The links that are open in one of these ways, by their names.
    pub(super) fn open_ones(&self, whys: impl Fn(Open) -> bool) -> Vec<LinkNumber> {
        let sets = self.open.iter().filter(|(why, _)| whys(**why)).map(|(_, links)| links);
        let mut links: Vec<_> = sets.flatten().copied().collect();
        links.sort_unstable_by_key(|link| (self.slot(*link).map(|slot| self.name_of(slot)), *link));
        links.dedup();
        links
    }

    /// The runs of a link's pushes under way.
    pub(super) fn under_way(&self, name: &str) -> Vec<Option<RunId>> {
        let Some(number) = self.number(name) else { return Vec::new() };
        let of = |(why, links): (&Open, &HashSet<LinkNumber>)| match why {
            Open::UnderWay(run) if links.contains(&number) => Some(*run),
            _ => None,
        };
        self.open.iter().filter_map(of).collect()
    }

    /// The links whose choice has changed by itself by this moment.
    pub(super) fn to_look_at(&self, now: DateTime<Utc>) -> Vec<String> {
        let due = self.look_at.iter().filter(|(_, at)| **at <= now);
        due.filter_map(|(number, _)| self.name(*number)).collect()
    }

    /// The links of a route that have a record on this side which is not among these ids, and how many have any.
    pub(super) fn without(&self, route: &Name, side: Side, ids: &HashSet<String>) -> (Vec<String>, usize) {
        let there = Kind::There(side);
        let seen: HashSet<_> = ids.iter().map(|id| self.mark_of_id(there, route, side, id).hash).collect();
        let of_route = self.routes.iter().position(|known| **known == *route.as_str());
        let (mut missing, mut known) = (Vec::new(), 0);
        for slot in self.slots.iter().filter(|slot| of_route == Some(usize::from(slot.route))) {
            let mut records = slot.marks.iter().filter(|mark| mark.kind == there).peekable();
            known += usize::from(records.peek().is_some());
            if records.any(|mark| !seen.contains(&mark.hash)) {
                let (route, rest) = self.name_of(slot);
                missing.push(format!("{route}{rest}"));
            }
        }
        (missing, known)
    }

    /// Takes in a link as it is now.
    pub(super) fn take_in(&mut self, name: &str, link: &Link) {
        let Some(number) = self.number(name).or_else(|| self.add(name)) else { return };
        self.set_marks(number, self.marks_of(link));
        self.set_open(number, &whys_of(link));
        match link.look_at {
            Some(at) => drop(self.look_at.insert(number, at)),
            None => drop(self.look_at.remove(&number)),
        }
    }

    fn add(&mut self, name: &str) -> Option<LinkNumber> {
        let number = LinkNumber(u32::try_from(self.slots.len()).ok()?);
        let (route, rest) = parts_of_name(name);
        let (length, begins) = (u16::try_from(rest.len()).ok()?, u32::try_from(self.names.len()).ok()?);
        let route_at = match self.routes.iter().position(|known| **known == *route) {
            Some(at) => at,
            None => {
                self.routes.push(route.into());
                self.routes.len() - 1
            }
        };
        let slot = Slot { route: u16::try_from(route_at).ok()?, length, begins, marks: Marks::new() };
        self.names.push_str(rest);
        self.slots.push(slot);
        let mut by_name = std::mem::take(&mut self.by_name);
        by_name.insert_unique(self.hash_of_name(route, rest), number, |number| {
            let (route, rest) = self.slot(*number).map(|slot| self.name_of(slot)).unwrap_or_default();
            self.hash_of_name(route, rest)
        });
        self.by_name = by_name;
        Some(number)
    }

    fn marks_of(&self, link: &Link) -> Marks {
        let mut marks = Marks::new();
        marks.push(self.mark_of_key(&link.route, &link.key));
        for side in Side::BOTH {
            let state = link.side(side);
            let children = link.children.keys().filter(|_| side == Side::Right);
            let kind = if state.gone { Kind::Own } else { Kind::There(side) };
            let own = state.id.iter().chain(children);
            marks.extend(own.map(|id| self.mark_of_id(kind, &link.route, side, id)));
            let rivals = state.rivals.keys();
            marks.extend(rivals.map(|id| self.mark_of_id(Kind::Own, &link.route, side, id)));
        }
        marks.extend(link.awaits_parent.as_ref().map(|parent| self.mark(Kind::Awaits, parent)));
        marks
    }

    fn set_marks(&mut self, number: LinkNumber, marks: Marks) {
        let Some(slot) = self.slots.get_mut(number.at()) else { return };
        let before = std::mem::replace(&mut slot.marks, marks.clone());
        let is_kept =
            |mark: &Mark, among: &[Mark]| among.iter().any(|it| it == mark || it.is_same_own(*mark));
        for lost in before.iter().filter(|mark| !is_kept(mark, &marks)) {
            let is_it = |entry: &Marked| entry.link == number && entry.part == lost.part();
            if let Ok(entry) = self.marked.find_entry(place_of(lost.part()), is_it) {
                entry.remove();
            }
        }
        for mark in marks {
            let slots = &self.slots;
            let has_it = |entry: &Marked| {
                let of = slots.get(entry.link.at());
                match mark.kind {
                    Kind::Awaits => entry.link == number && before.contains(&mark),
                    _ => of.is_some_and(|slot| slot.has_own(mark)),
                }
            };
            let is_it = |entry: &Marked| entry.part == mark.part() && has_it(entry);
            match self.marked.find_mut(place_of(mark.part()), is_it) {
                Some(entry) => entry.link = number,
                None => {
                    let entry = Marked { link: number, part: mark.part() };
                    self.marked.insert_unique(place_of(entry.part), entry, |entry| place_of(entry.part));
                }
            }
        }
    }

    fn set_open(&mut self, number: LinkNumber, whys: &[Open]) {
        self.open.retain(|why, links| {
            if !whys.contains(why) && links.remove(&number) {
                thin_out(links);
            }
            !links.is_empty()
        });
        for why in whys {
            self.open.entry(*why).or_default().insert(number);
        }
    }
}

/// The route, and what follows it.
fn parts_of_name(name: &str) -> (&str, &str) {
    name.split_at(name.find('.').unwrap_or(name.len()))
}

/// In which ways a link is open.
fn whys_of(link: &Link) -> SmallVec<[Open; 4]> {
    let mut whys = SmallVec::new();
    let under_way = Side::BOTH.into_iter().filter_map(|side| link.side(side).outstanding.as_ref());
    whys.extend(under_way.map(|outstanding| Open::UnderWay(outstanding.push.run)));
    whys.extend(link.awaits_listing.map(Open::Listings));
    let any_side = |is: &dyn Fn(Side) -> bool| Side::BOTH.into_iter().any(is);
    let others = [
        (Open::Parent, link.awaits_parent.is_some()),
        (Open::TakesOver, link.takes_over.is_some()),
        (Open::Due, link.due),
        (Open::Reread, any_side(&|side| !link.to_reread(side).is_empty())),
        (Open::Rivals, any_side(&|side| !link.side(side).rivals.is_empty())),
        (Open::Untold, !link.untold.is_empty()),
    ];
    whys.extend(others.into_iter().filter(|(_, is_so)| *is_so).map(|(why, _)| why));
    whys
}

/// A set that was much larger once, in a migrate, gives back what it does not need.
fn thin_out(links: &mut HashSet<LinkNumber>) {
    const SMALL: usize = 1_000;
    if links.capacity() > SMALL.max(8 * links.len()) {
        links.shrink_to(2 * links.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(route: &str, key: &str) -> Link {
        Link::new(Name::parse(route).unwrap(), Key::parse(key).unwrap())
    }

    fn parent(id: &str) -> ParentRef {
        ParentRef::Id(Name::parse("pairs").unwrap(), Side::Left, id.to_owned())
    }

    #[test]
    fn a_link_is_found_by_its_key_and_its_records_as_they_are_now() {
        let (mut index, route) = (Index::default(), Name::parse("pairs").unwrap());
        let mut pair = link("pairs", "K-1");
        pair.left.id = Some("7".to_owned());
        index.take_in("pairs.K-1", &pair);
        assert_eq!(index.by_id(&route, Side::Left, "7").as_deref(), Some("pairs.K-1"));
        assert_eq!(index.by_id(&route, Side::Right, "7"), None);
        pair.left.id = Some("8".to_owned());
        pair.key = Key::parse("K-2").unwrap();
        index.take_in("pairs.K-1", &pair);
        assert_eq!(index.by_id(&route, Side::Left, "7"), None);
        assert_eq!(index.by_id(&route, Side::Left, "8").as_deref(), Some("pairs.K-1"));
        assert_eq!(index.by_key(&route, &pair.key).as_deref(), Some("pairs.K-1"));
        assert_eq!(index.by_key(&route, &Key::parse("K-1").unwrap()), None);
    }

    #[test]
    fn names_of_several_routes_come_back_as_they_are() {
        let mut index = Index::default();
        let names = ["pairs.K-1", "notes.K-1", "pairs.K-1.2", "pairs.=i7", "whole"];
        for name in names {
            index.take_in(name, &Link { due: true, ..link("pairs", name) });
        }
        let open = index.open_ones(|why| why == Open::Due);
        let mut open: Vec<_> = open.into_iter().filter_map(|number| index.name(number)).collect();
        open.sort();
        assert_eq!(open, ["notes.K-1", "pairs.=i7", "pairs.K-1", "pairs.K-1.2", "whole"]);
        assert!(names.iter().all(|name| index.number(name).is_some()));
        assert_eq!(index.number("pairs.K-2"), None);
    }

    #[test]
    fn who_waits_for_a_parent_is_found_by_it_until_it_waits_no_more() {
        let mut index = Index::default();
        for key in ["a", "b"] {
            let awaits_parent = Some(parent("7"));
            index.take_in(&format!("below.{key}"), &Link { awaits_parent, ..link("below", key) });
        }
        assert_eq!(index.awaiting(&parent("7")), ["below.a", "below.b"]);
        index.take_in("below.a", &Link { awaits_parent: Some(parent("8")), ..link("below", "a") });
        assert_eq!(index.awaiting(&parent("7")), ["below.b"]);
        assert_eq!(index.awaiting(&parent("8")), ["below.a"]);
        for key in ["a", "b"] {
            index.take_in(&format!("below.{key}"), &link("below", key));
        }
        assert!(!index.any_open(Open::Parent) && index.open_ones(|_| true).is_empty());
    }

    #[test]
    fn a_record_that_a_complete_listing_lacks_is_found_among_those_of_its_route() {
        let mut index = Index::default();
        for (name, route, id) in
            [("pairs.a", "pairs", "1"), ("pairs.b", "pairs", "2"), ("notes.a", "notes", "3")]
        {
            let mut one = link(route, name);
            one.left.id = Some(id.to_owned());
            index.take_in(name, &one);
        }
        let seen = HashSet::from(["1".to_owned()]);
        let pairs = Name::parse("pairs").unwrap();
        assert_eq!(index.without(&pairs, Side::Left, &seen), (vec!["pairs.b".to_owned()], 2));
    }

    #[test]
    fn a_record_that_two_links_claim_is_of_the_one_that_said_so_last_until_that_gives_it_up() {
        let (mut index, route) = (Index::default(), Name::parse("pairs").unwrap());
        let with = |id: Option<&str>, key: &str| {
            let mut one = link("pairs", key);
            one.left.id = id.map(str::to_owned);
            one
        };
        index.take_in("pairs.a", &with(Some("7"), "a"));
        index.take_in("pairs.b", &with(Some("7"), "b"));
        assert_eq!(index.by_id(&route, Side::Left, "7").as_deref(), Some("pairs.b"));
        index.take_in("pairs.a", &with(None, "a"));
        assert_eq!(index.by_id(&route, Side::Left, "7").as_deref(), Some("pairs.b"));
        index.take_in("pairs.b", &with(None, "b"));
        assert_eq!(index.by_id(&route, Side::Left, "7"), None);
        index.take_in("pairs.a", &with(Some("7"), "a"));
        assert_eq!(index.by_id(&route, Side::Left, "7").as_deref(), Some("pairs.a"));
    }

    #[test]
    fn a_link_is_open_in_the_ways_that_it_was_last_seen_in() {
        let mut index = Index::default();
        let awaits_listing = Some(RunId(3));
        index.take_in("pairs.a", &Link { due: true, awaits_listing, ..link("pairs", "a") });
        assert!(index.is_open("pairs.a", Open::Due) && index.any_open(Open::Listings(RunId(3))));
        assert!(!index.any_open(Open::Listings(RunId(4))) && index.under_way("pairs.a").is_empty());
        assert_eq!(index.open_ones(|_| true).len(), 1);
        index.take_in("pairs.a", &Link { awaits_listing, ..link("pairs", "a") });
        assert!(!index.is_open("pairs.a", Open::Due) && index.any_open(Open::Listings(RunId(3))));
    }

    /// The bound of a service is 200 MB for 100,000 litigations, which have some 350,000 links. This many links make
    /// the tables as large for each link as they ever are: they have just doubled.
    #[test]
    fn a_link_takes_less_than_200_bytes_even_while_all_wait() {
        const LINKS: usize = 30_000;
        let mut index = Index::default();
        let bytes = |index: &Index| {
            let sets = index.open.values().map(|links| links.capacity() * size_of::<LinkNumber>());
            index.names.capacity()
                + index.slots.capacity() * size_of::<Slot>()
                + index.by_name.allocation_size()
                + index.marked.allocation_size()
                + sets.sum::<usize>() * 8 / 7 * 5 / 4
        };
        let ones: Vec<_> = (0..LINKS)
            .map(|number| {
                let mut one = link("litigation_matter", &format!("E-26-{number:05}"));
                (one.left.id, one.awaits_parent) =
                    (Some(number.to_string()), Some(parent(&number.to_string())));
                one.awaits_listing = Some(RunId(1));
                (format!("litigation_matter.E-26-{number:05}"), one)
            })
            .collect();
        for (name, one) in &ones {
            index.take_in(name, one);
        }
        assert!(bytes(&index) < LINKS * 200, "{} bytes a link that waits", bytes(&index) / LINKS);
        for (number, (name, mut one)) in ones.into_iter().enumerate() {
            one.right.id = Some(format!("5{number:09}"));
            (one.awaits_parent, one.awaits_listing) = (None, None);
            index.take_in(&name, &one);
        }
        assert!(index.marked.len() == 3 * LINKS && index.open.is_empty());
        assert!(bytes(&index) < LINKS * 200, "{} bytes a link at rest", bytes(&index) / LINKS);
    }
}
