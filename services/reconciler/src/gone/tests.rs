use databridge_model::OutcomeResult;

use crate::conclude;
use crate::decide::decide;
use crate::samples::{self, after, agreed, now, only_push_of};

use super::*;

fn with(rule: GoneRule) -> RoutePlan {
    let mut plan = samples::plan();
    plan.route.left.gone = rule;
    plan
}

fn mark() -> GoneRule {
    GoneRule::Mark(Mark { field: "title".to_owned(), text: "Left the map on {date}".to_owned() })
}

fn answered(plan: &RoutePlan, link: &mut Link, wanted: &Wanted, result: OutcomeResult) {
    let push = samples::send(link, wanted);
    let outcome = samples::outcome(&push, result, &[]);
    conclude::conclude(plan, wanted.side, link, &outcome, after(1), now()).unwrap();
}

fn pair() -> Link {
    agreed(&[("owner", "A")], &[("Owner", "A")])
}

#[test]
fn a_partner_is_left_as_it_is_unless_the_route_says_more() {
    let mut link = pair();
    link.left.gone = true;
    assert_eq!(decide(&with(GoneRule::Leave), &mut link, "l", now()).pushes, []);
}

#[test]
fn a_partner_is_marked_once_and_the_mark_goes_when_the_record_is_back() {
    let plan = with(mark());
    let mut link = pair();
    link.left.gone = true;
    let wanted = only_push_of(&plan, &mut link);
    assert_eq!(wanted.set["title"], Value::text("Left the map on 2027-01-15"));
    answered(&plan, &mut link, &wanted, OutcomeResult::Written);
    assert_eq!(decide(&plan, &mut link, "l", now()).pushes, []);
    link.left.gone = false;
    let wanted = only_push_of(&plan, &mut link);
    assert_eq!(wanted.set["title"], Value::Null);
    answered(&plan, &mut link, &wanted, OutcomeResult::Written);
    assert_eq!(decide(&plan, &mut link, "l", now()).pushes, []);
}

#[test]
fn a_partner_is_deleted_where_the_route_says_so_and_made_anew_when_the_record_is_back() {
    for result in [OutcomeResult::Written, OutcomeResult::Gone] {
        let plan = with(GoneRule::Delete);
        let mut link = pair();
        samples::show(&mut link, Side::Left, &[("warrant", "E-1")]);
        link.left.gone = true;
        let wanted = only_push_of(&plan, &mut link);
        assert_eq!((wanted.side, wanted.op), (Side::Right, Op::Delete));
        answered(&plan, &mut link, &wanted, result);
        assert_eq!(decide(&plan, &mut link, "l", now()).pushes, []);
        link.left.gone = false;
        assert_eq!(only_push_of(&plan, &mut link).op, Op::Create);
    }
}

#[test]
fn while_the_mark_is_taken_away_no_second_push_goes_to_that_side() {
    let plan = with(mark());
    let mut link = pair();
    link.left.gone_told = true;
    samples::show(&mut link, Side::Left, &[("owner", "B")]);
    let wanted = only_push_of(&plan, &mut link);
    assert!(!wanted.set.contains_key("Owner"));
    answered(&plan, &mut link, &wanted, OutcomeResult::Written);
    assert!(only_push_of(&plan, &mut link).set.contains_key("Owner"));
}
