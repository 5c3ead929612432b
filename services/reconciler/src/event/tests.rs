use databridge_model::{Key, OutcomeResult};

use super::*;
use crate::conclude;
use crate::samples::{self, after, fields};

const MAP: &str = r#"
system = "map"
[collections.cases]
key = "warrant"
[collections.cases.fields]
warrant = "text"
hearing = "instant"
[collections.history]
key = "uid"
[collections.history.fields]
uid = "text"
warrant = "text"
status = "text"
district = "int"
hearing = "instant"
"#;

const OFFICE: &str = r#"
system = "office"
[collections.matters]
key = "Warrant"
[collections.matters.fields]
Warrant = "text"
Status = "text"
District = "text"
"#;

const MIRROR: &str = r#"
route = "case_matter"
kind = "mirror"
left = { collection = "map.cases" }
right = { collection = "office.matters", create = true }
fields = [{ left = "warrant", right = "Warrant", direction = "to_right" }]
"#;

const DISMISSED: &str = r#"
route = "dismissed"
kind = "event"
parent = "case_matter"
left = { collection = "office.matters" }
right = { collection = "map.history", parent_key = "warrant", create = true }
when = { field = "Status", becomes = "Dismissed" }
fields = [
  { left = "Warrant", right = "warrant" },
  { left = "Status", right = "status" },
  { left = "District", right = "district", convert = "leading_int" },
  { left = "hearing", of = "partner", right = "hearing" },
]
"#;

/// The link of a matter, and what it takes to decide it.
struct Desk {
    plan: RoutePlan,
    link: Link,
    pulls: u64,
}

impl Desk {
    fn new() -> Self {
        Self::with(DISMISSED)
    }

    fn with(route: &str) -> Self {
        let plan = samples::plan_of(&[MAP, OFFICE], &[MIRROR, route], "dismissed");
        let mut link = Link::new("dismissed".parse().unwrap(), Key::parse("C-1").unwrap());
        link.left.id = Some("7".to_owned());
        let mut desk = Self { plan, link, pulls: 0 };
        desk.shows(&[("Warrant", "C-1"), ("District", "7-North"), ("Status", "Hearing")]);
        desk
    }

    fn shows(&mut self, pairs: &[(&str, &str)]) -> &mut Self {
        samples::show(&mut self.link, Side::Left, pairs);
        self
    }

    fn status(&mut self, status: &str) -> &mut Self {
        self.shows(&[("Status", status)])
    }

    fn row(&mut self, id: &str, status: &str) -> &mut Self {
        self.pulls += 1;
        let read = PullResult {
            id: id.to_owned(),
            fields: fields(&[("warrant", "C-1"), ("status", status)]),
            ..samples::read(Side::Right, 0, &[])
        };
        take_in_row(&self.plan, &mut self.link, &read, self.pulls);
        self
    }

    fn decide(&mut self) -> Decision {
        let partner = fields(&[("hearing", "2026-12-01T15:00:00Z")]);
        decide(&self.plan, &mut self.link, "dismissed.C-1", &partner)
    }

    fn is_quiet(&mut self) -> &mut Self {
        assert_eq!(self.decide(), Decision::default());
        self
    }

    /// One row is made; gives its values.
    fn makes(&mut self) -> Fields {
        let mut decision = self.decide();
        assert_eq!(decision.pushes.len(), 1, "{decision:?}");
        let wanted = decision.pushes.remove(0);
        assert_eq!((wanted.side, wanted.op), (Side::Right, Op::Create));
        let push = samples::send(&mut self.link, &wanted);
        assert_eq!(self.decide(), Decision::default(), "while it is under way nothing is made");
        let mut outcome = samples::outcome(&push, OutcomeResult::Written, &[]);
        outcome.id = Some(format!("row{}", self.link.events));
        let sides = (Side::Right, &mut self.link);
        conclude::conclude(&self.plan, sides.0, sides.1, &outcome, after(1), samples::now()).unwrap();
        wanted.set
    }
}

#[test]
fn a_matter_that_becomes_dismissed_has_one_row_with_the_values_of_both_sides() {
    let mut desk = Desk::new();
    desk.is_quiet().status("Dismissed");
    let row = desk.makes();
    assert_eq!(row["status"], Value::text("Dismissed"));
    assert_eq!(row["warrant"], Value::text("C-1"));
    assert_eq!(row["district"], Value::Int(7));
    assert_eq!(row["hearing"], Value::text("2026-12-01T15:00:00Z"));
    assert!(Uuid::parse_str(&row["uid"].to_plain()).is_ok());
    desk.is_quiet();
    desk.shows(&[("District", "8-South")]).is_quiet();
}

#[test]
fn dismissed_opened_and_dismissed_again_makes_two_rows_with_keys_of_their_own() {
    let mut desk = Desk::new();
    desk.is_quiet().status("Dismissed");
    let first = desk.makes();
    desk.status("Hearing").is_quiet().status("Dismissed");
    let second = desk.makes();
    assert_ne!(first["uid"], second["uid"]);
    desk.is_quiet();
}

#[test]
fn a_row_that_is_sent_again_has_the_same_key() {
    let mut desk = Desk::new();
    desk.is_quiet().status("Dismissed");
    let (once, again) = (desk.decide(), desk.decide());
    assert_eq!(once.pushes[0].set["uid"], again.pushes[0].set["uid"]);
}

#[test]
fn a_matter_that_is_dismissed_at_first_sight_has_no_row_made() {
    let mut desk = Desk::new();
    desk.status("Dismissed").is_quiet();
}

#[test]
fn where_the_route_says_so_it_has_unless_there_is_one() {
    let route = DISMISSED.replace("becomes = \"Dismissed\"", "becomes = \"Dismissed\", first_seen = true");
    let mut desk = Desk::with(&route);
    desk.row("old", "Dismissed").status("Dismissed").is_quiet();
    let mut desk = Desk::with(&route);
    desk.row("old", "Hearing").status("Dismissed");
    desk.makes();
    desk.is_quiet();
}

#[test]
fn a_row_from_before_is_not_taken_for_a_new_dismissal() {
    let mut desk = Desk::new();
    desk.row("old", "Dismissed").is_quiet().status("Dismissed");
    desk.makes();
}

#[test]
fn a_row_that_a_person_made_for_this_dismissal_is_taken_for_it() {
    let mut desk = Desk::new();
    desk.is_quiet().row("hand", "Dismissed").status("Dismissed").is_quiet();
    desk.status("Hearing").is_quiet().status("Dismissed");
    desk.makes();
}

#[test]
fn our_own_row_read_back_is_no_persons() {
    let mut desk = Desk::new();
    desk.is_quiet().status("Dismissed");
    desk.makes();
    desk.row("row0", "Dismissed").status("Hearing").is_quiet().status("Dismissed");
    desk.makes();
}

#[test]
fn any_new_setting_is_an_event_where_no_value_is_named_and_an_emptied_one_is_none() {
    let route = DISMISSED.replace(", becomes = \"Dismissed\"", "");
    let mut desk = Desk::with(&route);
    desk.is_quiet().status("Stay");
    desk.makes();
    desk.status("").is_quiet().status("Stay");
    desk.makes();
}

#[test]
fn a_value_that_the_row_cannot_take_parks_that_field_and_the_row_is_made() {
    let mut desk = Desk::new();
    desk.is_quiet().shows(&[("District", "North")]).status("Dismissed");
    let row = desk.makes();
    assert!(!row.contains_key("district"), "{row:?}");
}
