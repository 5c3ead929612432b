use databridge_model::{Key, OutcomeResult};

use super::*;
use crate::conclude;
use crate::decide::{Decision, Wanted, decide};
use crate::samples::{self, after, fields};

const MAP: &str = r#"
system = "map"
[collections.cases]
key = "warrant"
[collections.cases.fields]
warrant = "text"
remark = { type = "text", max_length = 12 }
hearing = "instant"
"#;

const OFFICE: &str = r#"
system = "office"
time_zone = "America/Chicago"
[collections.matters]
key = "Warrant"
[collections.matters.fields]
Warrant = "text"
Day = "date"
[collections.notes]
key = "id"
parent = "matters"
[collections.notes.fields]
id = "text"
title = "text"
detail = "text"
date = "date"
created = "instant"
[collections.entries]
key = "id"
parent = "matters"
[collections.entries.fields]
id = "text"
start = "instant"
"#;

const MIRROR: &str = r#"
route = "case_matter"
kind = "mirror"
left = { collection = "map.cases" }
right = { collection = "office.matters", create = true }
fields = [{ left = "warrant", right = "Warrant", direction = "to_right" }]
"#;

const NOTES: &str = r#"
route = "remarks"
kind = "latest"
parent = "case_matter"
left = { collection = "map.cases" }
right = { collection = "office.notes", create = true, update = false }
choose = { newest = ["date", "created"] }
fields = [{ left = "remark", right = "detail", too_long = "truncate", empty = "clears" }]
create = [{ side = "right", field = "title", otherwise = "From the map" }]
"#;

const HEARINGS: &str = r#"
route = "hearings"
kind = "latest"
parent = "case_matter"
left = { collection = "map.cases" }
right = { collection = "office.entries", create = true }
choose = { next = "start" }
fields = [{ left = "hearing", right = "start", empty = "clears" }]
"#;

const DAYS: &str = r#"
route = "days"
kind = "latest"
parent = "case_matter"
left = { collection = "office.matters" }
right = { collection = "office.entries", create = true }
choose = { next = "start" }
fields = [{ left = "Day", right = "start", convert = "local_date" }]
"#;

/// A link of one of these routes, its streams and its clock.
struct Desk {
    plan: RoutePlan,
    link: Link,
    now: DateTime<Utc>,
    pulls: u64,
    outcomes: u64,
}

impl Desk {
    fn of(route: &str) -> Self {
        Self::with(route, HEARINGS)
    }

    fn with(route: &str, hearings: &str) -> Self {
        let plan = samples::plan_of(&[MAP, OFFICE], &[MIRROR, NOTES, hearings, DAYS], route);
        let mut link = Link::new(route.parse().unwrap(), Key::parse("C-1").unwrap());
        link.left.id = Some("1".to_owned());
        Self { plan, link, now: at("2026-11-20T12:00:00Z"), pulls: 0, outcomes: 0 }
    }

    /// The record on the left shows this.
    fn left(&mut self, name: &str, text: &str) -> &mut Self {
        self.link.left.show(name, Value::text(text));
        self
    }

    fn read(&mut self, id: &str, pairs: &[(&str, &str)], deleted: bool) -> Worth {
        self.pulls += 1;
        let read = PullResult {
            id: id.to_owned(),
            parent: Some("7".to_owned()),
            deleted,
            fields: fields(pairs),
            ..samples::read(Side::Right, self.outcomes, &[])
        };
        take_in_child(&self.plan, &mut self.link, &read, self.pulls, self.now)
    }

    fn note(&mut self, id: &str, date: &str, detail: &str) -> &mut Self {
        let created = format!("{date}T10:00:00Z");
        let worth = self.read(id, &[("date", date), ("created", &created), ("detail", detail)], false);
        assert_eq!(worth, Worth::Taken);
        self
    }

    /// An entry that one of our pushes has made.
    fn made(&mut self, id: &str, start: &str, made_by: &str) -> Worth {
        self.pulls += 1;
        let read = PullResult {
            id: id.to_owned(),
            fields: fields(&[("start", start)]),
            made_by: Some(made_by.to_owned()),
            ..samples::read(Side::Right, self.outcomes, &[])
        };
        take_in_child(&self.plan, &mut self.link, &read, self.pulls, self.now)
    }

    fn entry(&mut self, id: &str, start: &str) -> &mut Self {
        assert_eq!(self.read(id, &[("start", start)], false), Worth::Taken);
        self
    }

    fn decide(&mut self) -> Decision {
        decide(&self.plan, &mut self.link, "latest.C-1", self.now)
    }

    fn only_push(&mut self) -> Wanted {
        let mut decision = self.decide();
        assert_eq!(decision.pushes.len(), 1, "{:?}", decision.pushes);
        decision.pushes.remove(0)
    }

    fn is_settled(&mut self) {
        assert_eq!(self.decide().pushes, []);
    }

    /// A push is made, and is written to the record of this id.
    fn write(&mut self, id: &str) -> Wanted {
        let wanted = self.only_push();
        let push = samples::send(&mut self.link, &wanted);
        self.outcomes += 1;
        let mut outcome = samples::outcome(&push, OutcomeResult::Written, &[]);
        outcome.id = Some(id.to_owned());
        let outcomes = after(self.outcomes);
        conclude::conclude(&self.plan, wanted.side, &mut self.link, &outcome, outcomes, self.now).unwrap();
        wanted
    }
}

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().with_timezone(&Utc)
}

fn set(wanted: &Wanted, name: &str) -> String {
    wanted.set.get(name).map(Value::to_plain).unwrap_or_default()
}

mod notes {
    use super::*;

    #[test]
    fn a_remark_on_the_map_becomes_a_note() {
        let mut desk = Desk::of("remarks");
        desk.left("remark", "boarded");
        let made = desk.write("n1");
        assert_eq!((made.side, made.op), (Side::Right, Op::Create));
        assert_eq!((set(&made, "detail"), set(&made, "title")), ("boarded".into(), "From the map".into()));
        assert_eq!(set(&made, "date"), "2026-11-20");
        desk.is_settled();
    }

    #[test]
    fn the_newest_note_goes_to_the_map() {
        let mut desk = Desk::of("remarks");
        desk.left("remark", "");
        desk.note("n2", "2026-11-02", "newer").note("n1", "2026-11-01", "older");
        let pushed = desk.write("1");
        assert_eq!((pushed.side, set(&pushed, "remark")), (Side::Left, "newer".into()));
        desk.is_settled();
    }

    #[test]
    fn a_note_without_text_stands_for_nothing() {
        let mut desk = Desk::of("remarks");
        desk.left("remark", "").note("n1", "2026-11-01", "text").note("n2", "2026-11-02", "");
        assert_eq!(set(&desk.only_push(), "remark"), "text");
    }

    #[test]
    fn of_two_notes_of_one_day_and_moment_the_one_with_the_greater_id_is_newer() {
        let mut desk = Desk::of("remarks");
        desk.left("remark", "");
        desk.note("10", "2026-11-01", "ten").note("9", "2026-11-01", "nine");
        assert_eq!(set(&desk.only_push(), "remark"), "ten");
    }

    #[test]
    fn an_edit_on_the_map_appends_a_note_and_touches_no_persons() {
        let mut desk = Desk::of("remarks");
        desk.note("n1", "2026-11-01", "a person's").left("remark", "a person's");
        desk.is_settled();
        desk.left("remark", "from the map");
        let made = desk.write("n2");
        assert_eq!(made.op, Op::Create);
        assert!(made.expect.is_empty());
        desk.is_settled();
    }

    #[test]
    fn map_note_map_note_settles_after_one_write_each() {
        let mut desk = Desk::of("remarks");
        desk.left("remark", "one");
        desk.write("n1");
        desk.note("n2", "2026-11-21", "two");
        assert_eq!(set(&desk.write("1"), "remark"), "two");
        desk.is_settled();
        desk.left("remark", "three");
        assert_eq!(desk.write("n3").op, Op::Create);
        desk.note("n4", "2026-11-22", "four");
        assert_eq!(set(&desk.write("1"), "remark"), "four");
        desk.is_settled();
    }

    #[test]
    fn our_note_is_the_newest_even_after_one_dated_in_the_future() {
        let mut desk = Desk::of("remarks");
        desk.note("n1", "2027-05-01", "planned").left("remark", "planned");
        desk.is_settled();
        desk.left("remark", "changed");
        assert_eq!(set(&desk.only_push(), "date"), "2027-05-01");
    }

    #[test]
    fn a_text_that_was_cut_for_the_map_never_comes_back_as_an_edit() {
        let mut desk = Desk::of("remarks");
        desk.left("remark", "");
        desk.note("n1", "2026-11-01", "a very long story");
        assert_eq!(set(&desk.write("1"), "remark"), "a very long ");
        desk.left("remark", "a very long ");
        desk.is_settled();
    }

    #[test]
    fn when_the_newest_note_is_deleted_the_one_before_it_counts() {
        let mut desk = Desk::of("remarks");
        desk.note("n1", "2026-11-01", "first").note("n2", "2026-11-02", "second").left("remark", "second");
        desk.is_settled();
        assert_eq!(desk.read("n2", &[], true), Worth::Taken);
        assert_eq!(set(&desk.only_push(), "remark"), "first");
    }

    #[test]
    fn a_long_text_that_was_not_kept_is_read_again_before_it_counts() {
        let mut desk = Desk::of("remarks");
        let long = "x".repeat(LONG + 1);
        desk.note("n1", "2026-11-01", &long).note("n2", "2026-11-02", "short").left("remark", "short");
        desk.is_settled();
        desk.read("n2", &[], true);
        assert_eq!(desk.link.to_reread(Side::Right), ["n1"]);
        desk.is_settled();
        desk.note("n1", "2026-11-01", &long);
        assert_eq!(set(&desk.only_push(), "remark"), "x".repeat(12));
    }

    #[test]
    fn a_note_read_before_our_write_and_decided_after_it_is_read_again() {
        let mut desk = Desk::of("remarks");
        desk.left("remark", "one");
        desk.write("n1");
        desk.outcomes = 0;
        let worth = desk.read("n0", &[("date", "2026-11-01"), ("detail", "old")], false);
        assert_eq!(worth, Worth::ReadAgain);
    }

    #[test]
    fn a_redelivered_read_changes_nothing() {
        let mut desk = Desk::of("remarks");
        desk.note("n1", "2026-11-01", "first");
        desk.pulls -= 1;
        let before = desk.link.clone();
        assert_eq!(desk.read("n1", &[("detail", "other")], false), Worth::Nothing);
        assert_eq!(desk.link, before);
    }

    #[test]
    fn both_changed_is_a_conflict_and_the_loser_is_kept() {
        let mut desk = Desk::of("remarks");
        desk.note("n1", "2026-11-01", "agreed").left("remark", "agreed");
        desk.is_settled();
        desk.left("remark", "map");
        desk.note("n2", "2026-11-02", "office");
        let decision = desk.decide();
        assert_eq!(decision.pushes[0].op, Op::Create);
        assert_eq!(decision.conflicts[0].conflict.loser, Value::text("office"));
    }
}

mod hearings {
    use super::*;

    #[test]
    fn an_emptied_date_goes_only_where_the_route_lets_it() {
        let only_left = HEARINGS.replace("\"clears\"", "\"clears_left\"");
        let mut desk = Desk::with("hearings", &only_left);
        desk.entry("e1", "2026-12-01T15:00:00Z").left("hearing", "2026-12-01T15:00:00Z").is_settled();
        desk.left("hearing", "").is_settled();
        let mut desk = Desk::with("hearings", &only_left);
        desk.entry("e1", "2026-12-01T15:00:00Z").left("hearing", "2026-12-01T15:00:00Z").is_settled();
        desk.read("e1", &[], true);
        assert_eq!(desk.only_push().side, Side::Left);
    }

    #[test]
    fn the_earliest_that_is_to_come_counts() {
        let mut desk = Desk::of("hearings");
        desk.left("hearing", "");
        desk.entry("e1", "2026-10-01T15:00:00Z")
            .entry("e3", "2027-02-01T15:00:00Z")
            .entry("e2", "2026-12-01T15:00:00Z");
        assert_eq!(set(&desk.write("1"), "hearing"), "2026-12-01T15:00:00Z");
        desk.is_settled();
    }

    #[test]
    fn as_time_passes_the_next_has_its_turn_and_the_last_one_stays() {
        let mut desk = Desk::of("hearings");
        desk.entry("e1", "2026-12-01T15:00:00Z").entry("e2", "2027-02-01T15:00:00Z");
        desk.left("hearing", "2026-12-01T15:00:00Z").is_settled();
        assert_eq!(desk.link.look_at, Some(at("2026-12-01T15:00:00Z")));
        desk.now = at("2026-12-01T15:00:00Z");
        choose(&desk.plan, &mut desk.link, desk.now);
        assert_eq!(set(&desk.write("1"), "hearing"), "2027-02-01T15:00:00Z");
        desk.now = at("2027-03-01T00:00:00Z");
        choose(&desk.plan, &mut desk.link, desk.now);
        desk.is_settled();
        assert_eq!(desk.link.look_at, None);
    }

    #[test]
    fn a_moved_and_a_deleted_one_arrive_on_the_map() {
        let mut desk = Desk::of("hearings");
        desk.entry("e1", "2026-12-01T15:00:00Z").left("hearing", "2026-12-01T15:00:00Z").is_settled();
        desk.entry("e1", "2026-12-08T15:00:00Z");
        assert_eq!(set(&desk.write("1"), "hearing"), "2026-12-08T15:00:00Z");
        assert_eq!(desk.read("e1", &[], true), Worth::Taken);
        let cleared = desk.write("1");
        assert_eq!((cleared.side, set(&cleared, "hearing")), (Side::Left, String::new()));
        desk.is_settled();
    }

    #[test]
    fn of_two_entries_that_one_push_made_the_one_that_we_write_counts() {
        let (day, later) = ("2026-12-01T15:00:00Z", "2026-12-09T15:00:00Z");
        // The answer told of either.
        for (ours, double) in [("5", "6"), ("6", "5")] {
            let mut desk = Desk::of("hearings");
            desk.left("hearing", day);
            assert_eq!(desk.write(ours).op, Op::Create);
            for id in [ours, double] {
                assert_eq!(desk.made(id, day, "hearings.C-1#1"), Worth::Taken);
            }
            desk.is_settled();
            desk.left("hearing", later);
            let moved = desk.write(ours);
            assert_eq!((moved.side, moved.op), (Side::Right, Op::Update));
            assert_eq!(desk.made(double, day, "hearings.C-1#1"), Worth::Nothing);
            desk.is_settled();
            // Without ours, the other stands.
            assert_eq!(desk.read(ours, &[], true), Worth::Taken);
            assert_eq!(set(&desk.write("1"), "hearing"), day);
        }
    }

    #[test]
    fn a_future_date_for_a_future_date_changes_the_entry() {
        let mut desk = Desk::of("hearings");
        desk.entry("e1", "2026-12-01T15:00:00Z").left("hearing", "2026-12-01T15:00:00Z").is_settled();
        desk.left("hearing", "2026-12-09T15:00:00Z");
        let moved = desk.write("e1");
        assert_eq!((moved.side, moved.op), (Side::Right, Op::Update));
        assert_eq!(moved.expect["start"], Value::text("2026-12-01T15:00:00Z"));
        desk.is_settled();
    }

    #[test]
    fn a_future_date_after_a_past_one_makes_a_new_entry() {
        let mut desk = Desk::of("hearings");
        desk.entry("e1", "2026-11-01T15:00:00Z").left("hearing", "2026-11-01T15:00:00Z").is_settled();
        desk.left("hearing", "2026-12-09T15:00:00Z");
        assert_eq!(desk.write("e2").op, Op::Create);
        desk.is_settled();
        assert_eq!(desk.link.children.len(), 2);
    }

    #[test]
    fn a_past_date_makes_no_entry() {
        let mut desk = Desk::of("hearings");
        desk.left("hearing", "2026-11-01T15:00:00Z").is_settled();
    }

    #[test]
    fn at_first_sight_what_is_to_come_beats_what_is_past_without_a_conflict() {
        let mut desk = Desk::of("hearings");
        desk.left("hearing", "2026-11-01T15:00:00Z").entry("e1", "2026-12-01T15:00:00Z");
        let decision = desk.decide();
        assert_eq!((decision.pushes[0].side, decision.conflicts.len()), (Side::Left, 0));
        let mut desk = Desk::of("hearings");
        desk.left("hearing", "2026-12-01T15:00:00Z").entry("e1", "2026-11-01T15:00:00Z");
        let decision = desk.decide();
        assert_eq!((decision.pushes[0].op, decision.conflicts.len()), (Op::Create, 0));
    }

    #[test]
    fn an_emptied_date_deletes_the_entry_where_the_route_says_so() {
        let mut desk = Desk::of("hearings");
        desk.entry("e1", "2026-12-01T15:00:00Z").left("hearing", "2026-12-01T15:00:00Z").is_settled();
        desk.left("hearing", "");
        assert_eq!(desk.write("e1").op, Op::Delete);
        assert!(desk.link.children.is_empty());
        desk.is_settled();
    }

    #[test]
    fn an_entry_that_is_gone_when_it_is_to_be_moved_gives_way_to_a_new_one() {
        let mut desk = Desk::of("hearings");
        desk.entry("e1", "2026-12-01T15:00:00Z").left("hearing", "2026-12-01T15:00:00Z").is_settled();
        desk.left("hearing", "2026-12-09T15:00:00Z");
        let wanted = desk.only_push();
        let push = samples::send(&mut desk.link, &wanted);
        let mut gone = samples::outcome(&push, OutcomeResult::Gone, &[]);
        gone.id = Some("e1".to_owned());
        conclude::conclude(&desk.plan, Side::Right, &mut desk.link, &gone, after(1), desk.now).unwrap();
        let next = desk.only_push();
        assert_eq!((next.side, next.op), (Side::Right, Op::Create));
    }
}

mod days {
    use super::*;

    #[test]
    fn the_day_is_that_of_the_local_clock() {
        let mut desk = Desk::of("days");
        desk.left("Day", "").entry("e1", "2026-12-02T03:00:00Z");
        assert_eq!(set(&desk.only_push(), "Day"), "2026-12-01");
    }

    #[test]
    fn another_day_moves_the_entry_and_keeps_its_time_of_day() {
        let mut desk = Desk::of("days");
        // 9:00 in Chicago, and 9:00 there in summer.
        desk.entry("e1", "2026-12-01T15:00:00Z").left("Day", "2026-12-01").is_settled();
        desk.left("Day", "2027-06-01");
        let moved = desk.write("e1");
        assert_eq!((moved.op, set(&moved, "start")), (Op::Update, "2027-06-01T14:00:00Z".into()));
        desk.is_settled();
    }

    #[test]
    fn another_hour_of_the_same_day_is_no_change_of_the_day() {
        let mut desk = Desk::of("days");
        desk.entry("e1", "2026-12-01T15:00:00Z").left("Day", "2026-12-01").is_settled();
        desk.entry("e1", "2026-12-01T17:00:00Z").is_settled();
    }
}
