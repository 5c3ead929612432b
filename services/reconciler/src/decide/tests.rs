use databridge_config::Side;
use databridge_model::{Op, Point, Value};

use crate::link::{ParkedField, RefusedPush};
use crate::samples::{agreed, decided, fields, met, new_link, only_push, send, show};

use super::*;

fn text(text: &str) -> Value {
    Value::text(text)
}

#[test]
fn at_the_first_pairing_what_is_equal_becomes_the_base() {
    let mut link = met(&[("owner", "Ann"), ("status", "")], &[("Owner", "Ann"), ("Status", "")]);
    assert_eq!(decided(&mut link), Decision::default());
    assert_eq!(link.left.base, fields(&[("owner", "Ann"), ("status", "")]));
    assert_eq!(link.right.base, fields(&[("Owner", "Ann"), ("Status", "")]));
    assert!(link.left.drift.is_empty() && link.right.drift.is_empty());
}

#[test]
fn at_the_first_pairing_the_empty_side_is_filled_whoever_owns_the_field() {
    let mut link = met(&[("owner", ""), ("status", "Hearing")], &[("Owner", "Ann"), ("Status", "")]);
    let decision = decided(&mut link);
    assert!(decision.conflicts.is_empty(), "{:?}", decision.conflicts);
    let [left, right] = decision.pushes.as_slice() else { panic!("{:?}", decision.pushes) };
    assert_eq!((left.side, &left.set), (Side::Left, &fields(&[("owner", "Ann")])));
    assert_eq!(left.expect, fields(&[("owner", "")]));
    assert_eq!((right.side, &right.set), (Side::Right, &fields(&[("Status", "Hearing")])));
}

#[test]
fn at_the_first_pairing_two_values_are_a_conflict_and_the_loser_is_kept() {
    let mut link = met(&[("owner", "Ann"), ("status", "Stay")], &[("Owner", "Bob"), ("Status", "Hearing")]);
    let decision = decided(&mut link);
    let told: Vec<_> = decision
        .conflicts
        .iter()
        .map(|it| &it.conflict)
        .map(|it| (it.field.as_str(), it.won.as_str(), it.winner.clone(), it.loser.clone()))
        .collect();
    assert_eq!(
        told,
        [("Owner", "map", text("Ann"), text("Bob")), ("status", "office", text("Hearing"), text("Stay"))]
    );
    let kept: Vec<_> = decision.conflicts.into_iter().map(|it| it.conflict).collect();
    assert_eq!(link.conflicts, kept);
    assert_eq!(decision.pushes.len(), 2);
}

#[test]
fn at_the_first_pairing_a_one_way_value_that_is_overwritten_is_kept_as_a_conflict() {
    let mut link = met(&[("number", "7")], &[("Number", "8")]);
    link.left.show("number", Value::Int(7));
    let decision = decided(&mut link);
    assert_eq!(decision.pushes[0].set, fields(&[("Number", "7")]));
    assert_eq!(decision.conflicts[0].conflict.loser, text("8"));
}

#[test]
fn a_field_that_one_side_never_showed_is_left_alone() {
    let mut link = met(&[("owner", "Ann")], &[]);
    assert_eq!(decided(&mut link), Decision::default());
    assert!(link.left.base.is_empty(), "nothing was agreed on");
}

#[test]
fn a_change_of_one_side_goes_over_and_expects_what_the_other_shows() {
    let mut link = agreed(&[("owner", "Ann"), ("status", "S")], &[("Owner", "Ann"), ("Status", "S")]);
    show(&mut link, Side::Right, &[("Owner", "Bob")]);
    let push = only_push(&mut link);
    assert_eq!((push.side, push.op), (Side::Left, Op::Update));
    assert_eq!(push.set, fields(&[("owner", "Bob")]));
    assert_eq!(push.expect, fields(&[("owner", "Ann")]));
    assert_eq!(push.from, fields(&[("Owner", "Bob")]));
}

#[test]
fn different_fields_of_both_sides_both_go_over_and_are_no_conflict() {
    let mut link = agreed(&[("owner", "Ann"), ("status", "S")], &[("Owner", "Ann"), ("Status", "S")]);
    show(&mut link, Side::Left, &[("owner", "Bob")]);
    show(&mut link, Side::Right, &[("Status", "T")]);
    let decision = decided(&mut link);
    let sets: Vec<_> = decision.pushes.iter().map(|push| (push.side, push.set.clone())).collect();
    assert_eq!(sets, [(Side::Left, fields(&[("status", "T")])), (Side::Right, fields(&[("Owner", "Bob")]))]);
    assert!(decision.conflicts.is_empty());
}

#[test]
fn the_owner_of_a_field_wins_its_conflict_on_either_side() {
    let mut link = agreed(&[("owner", "Ann"), ("status", "S")], &[("Owner", "Ann"), ("Status", "S")]);
    show(&mut link, Side::Left, &[("owner", "L"), ("status", "L")]);
    show(&mut link, Side::Right, &[("Owner", "R"), ("Status", "R")]);
    let decision = decided(&mut link);
    let sets: Vec<_> = decision.pushes.iter().map(|push| (push.side, push.set.clone())).collect();
    assert_eq!(sets, [(Side::Left, fields(&[("status", "R")])), (Side::Right, fields(&[("Owner", "L")]))]);
    assert_eq!(decision.pushes[0].conflicts, ["status".to_owned()].into());
    let losers: Vec<_> =
        link.conflicts.iter().map(|it| (it.field.as_str(), it.base.clone(), it.loser.clone())).collect();
    assert_eq!(losers, [("Owner", text("Ann"), text("R")), ("status", text("S"), text("L"))]);
}

#[test]
fn the_same_change_on_both_sides_is_agreement() {
    let mut link = agreed(&[("owner", "Ann")], &[("Owner", "Ann")]);
    show(&mut link, Side::Left, &[("owner", "Bob")]);
    show(&mut link, Side::Right, &[("Owner", "Bob")]);
    assert_eq!(decided(&mut link), Decision::default());
    assert_eq!(link.left.base, fields(&[("owner", "Bob")]));
}

#[test]
fn a_conflict_decided_again_is_told_once() {
    let mut link = agreed(&[("owner", "Ann")], &[("Owner", "Ann")]);
    show(&mut link, Side::Left, &[("owner", "L")]);
    show(&mut link, Side::Right, &[("Owner", "R")]);
    assert_eq!(decided(&mut link).conflicts.len(), 1);
    let again = decided(&mut link);
    assert_eq!(again.conflicts, []);
    assert_eq!(again.pushes.len(), 1, "the push itself is proposed until it is sent");
    show(&mut link, Side::Right, &[("Owner", "R2")]);
    assert_eq!(
        decided(&mut link).conflicts[0].conflict.loser,
        text("R2"),
        "another loser is another conflict"
    );
}

#[test]
fn a_link_keeps_its_last_twenty_conflicts() {
    let mut link = agreed(&[("owner", "Ann")], &[("Owner", "Ann")]);
    show(&mut link, Side::Left, &[("owner", "L")]);
    for number in 0..25 {
        show(&mut link, Side::Right, &[("Owner", &format!("R{number}"))]);
        decided(&mut link);
    }
    assert_eq!(link.conflicts.len(), 20);
    assert_eq!(link.conflicts[19].loser, text("R24"));
}

#[test]
fn an_emptied_field_goes_over_only_where_the_route_says_so() {
    let mut link = agreed(&[("owner", "Ann"), ("note", "n")], &[("Owner", "Ann"), ("Note", "n")]);
    show(&mut link, Side::Left, &[("owner", ""), ("note", "")]);
    let push = only_push(&mut link);
    assert_eq!(push.set, fields(&[("Note", "")]));
    assert!(!link.left.has_changed("owner"), "the empty value stands until either side changes again");
    show(&mut link, Side::Right, &[("Owner", "Bob")]);
    let filled = decided(&mut link).pushes.into_iter().find(|push| push.side == Side::Left).unwrap();
    assert_eq!(filled.set, fields(&[("owner", "Bob")]));
}

#[test]
fn an_empty_value_never_wins_a_conflict_where_the_other_keeps_it() {
    let mut link = agreed(
        &[("owner", "Ann"), ("note", "n"), ("status", "S")],
        &[("Owner", "Ann"), ("Note", "n"), ("Status", "S")],
    );
    show(&mut link, Side::Left, &[("owner", ""), ("note", ""), ("status", "T")]);
    show(&mut link, Side::Right, &[("Owner", "Bob"), ("Note", "m"), ("Status", "")]);
    let decision = decided(&mut link);
    let sets: Vec<_> = decision.pushes.iter().map(|push| (push.side, push.set.clone())).collect();
    assert_eq!(
        sets,
        [(Side::Left, fields(&[("owner", "Bob")])), (Side::Right, fields(&[("Note", ""), ("Status", "T")]))]
    );
}

#[test]
fn a_one_way_field_goes_its_way_only() {
    let mut link = agreed(&[("answer", "a")], &[("Answer", "a"), ("Number", "7")]);
    link.left.show("number", Value::Int(7));
    link.left.settle("number");
    show(&mut link, Side::Left, &[("answer", "typed on the wrong side")]);
    show(&mut link, Side::Right, &[("Number", "9")]);
    assert_eq!(decided(&mut link), Decision::default());
    link.left.show("number", Value::Int(8));
    let push = only_push(&mut link);
    assert_eq!((&push.set, &push.expect), (&fields(&[("Number", "8")]), &fields(&[("Number", "9")])));
    assert_eq!(link.conflicts[0].loser, text("9"), "what a person typed there is not lost without a trace");
}

#[test]
fn a_point_that_moves_along_one_axis_only_is_carried() {
    let mut link = agreed(&[], &[("Longitude", "-90"), ("Latitude", "35")]);
    link.left.show("place", Value::Point(Point::rounded(-90.0, 35.0)));
    link.left.settle("place");
    link.left.show("place", Value::Point(Point::rounded(-90.0, 36.0)));
    let push = only_push(&mut link);
    assert_eq!(push.set, fields(&[("Latitude", "36")]));
    assert_eq!(only_push(&mut link), push, "deciding it twice does not forget it");
}

#[test]
fn a_text_that_is_too_long_parks_its_field_and_the_others_go_over() {
    let mut link = agreed(&[("summary", "a"), ("owner", "A")], &[("Summary", "a"), ("Owner", "A")]);
    show(&mut link, Side::Left, &[("summary", "nine char"), ("owner", "B")]);
    let decision = decided(&mut link);
    assert_eq!(decision.pushes[0].set, fields(&[("Owner", "B")]));
    let [(Side::Right, field, reason)] = decision.parked.as_slice() else { panic!("{:?}", decision.parked) };
    assert_eq!(field, "Summary");
    assert!(reason.contains("9 characters") && reason.contains("takes 8"), "{reason}");
    assert_eq!(decided(&mut link).parked, [], "it is told once");
    show(&mut link, Side::Left, &[("summary", "eight ch")]);
    assert_eq!(decided(&mut link).pushes[0].set, fields(&[("Owner", "B"), ("Summary", "eight ch")]));
    assert!(link.right.parked.is_empty());
}

#[test]
fn what_was_cut_off_never_comes_back_as_an_edit() {
    let mut link = agreed(&[("extract", "a")], &[("Extract", "a")]);
    show(&mut link, Side::Left, &[("extract", "a long text")]);
    let push = only_push(&mut link);
    assert_eq!(push.set, fields(&[("Extract", "a long t")]));
    // The write is done, and the right shows it.
    show(&mut link, Side::Right, &[("Extract", "a long t")]);
    assert_eq!(decided(&mut link), Decision::default());
    assert_eq!(link.left.shown("extract"), Some(&text("a long text")));
    // A person's own edit there does come back.
    show(&mut link, Side::Right, &[("Extract", "short")]);
    assert_eq!(only_push(&mut link).set, fields(&[("extract", "short")]));
}

#[test]
fn a_cut_text_at_the_first_pairing_is_agreement() {
    let mut link = met(&[("extract", "a long text")], &[("Extract", "a long t")]);
    assert_eq!(decided(&mut link), Decision::default());
}

#[test]
fn a_value_that_the_side_could_not_take_is_tried_again_when_it_changes_and_not_before() {
    let mut link = agreed(&[("owner", "A"), ("extract", "x")], &[("Owner", "A"), ("Extract", "x")]);
    let refused = |value: &str| ParkedField { value: text(value), reason: "no".to_owned() };
    link.right.parked.insert("Owner".to_owned(), refused("B"));
    link.right.parked.insert("Extract".to_owned(), refused("a long t"));
    show(&mut link, Side::Left, &[("owner", "B"), ("extract", "a long text")]);
    assert_eq!(decided(&mut link), Decision::default());
    show(&mut link, Side::Left, &[("owner", "C"), ("extract", "another text")]);
    assert_eq!(only_push(&mut link).set, fields(&[("Extract", "another "), ("Owner", "C")]));
}

#[test]
fn a_value_that_waited_and_was_taken_back_waits_no_more() {
    let mut link = agreed(&[("owner", "A")], &[("Owner", "A")]);
    let parked = ParkedField { value: text("B"), reason: "no".to_owned() };
    link.right.parked.insert("Owner".to_owned(), parked);
    decided(&mut link);
    assert!(link.right.parked.is_empty());
}

#[test]
fn what_was_refused_whole_is_not_pushed_again_and_new_content_is() {
    let mut link = agreed(&[("owner", "A")], &[("Owner", "A")]);
    show(&mut link, Side::Left, &[("owner", "B")]);
    let push = only_push(&mut link);
    link.right.refused = Some(RefusedPush { hash: hash_of(&push.set), reason: "no".to_owned() });
    assert_eq!(decided(&mut link).pushes, []);
    show(&mut link, Side::Left, &[("owner", "C")]);
    assert_eq!(only_push(&mut link).set, fields(&[("Owner", "C")]));
}

#[test]
fn a_create_carries_every_full_field_and_the_extras() {
    let mut link = new_link();
    link.left.id = Some("1".to_owned());
    show(
        &mut link,
        Side::Left,
        &[("warrant", "E-1"), ("owner", ""), ("note", "n"), ("answer", "of the office's"), ("summary", "x")],
    );
    let push = only_push(&mut link);
    assert_eq!((push.side, push.op), (Side::Right, Op::Create));
    let set = [("Warrant", "E-1"), ("Note", "n"), ("Summary", "x"), ("title", "Case E-1")];
    assert_eq!(push.set, fields(&set), "nothing of the one-way field, nothing empty");
    show(&mut link, Side::Left, &[("owner", "Ann")]);
    assert_eq!(only_push(&mut link).set.get("title"), Some(&text("Ann")));
}

#[test]
fn nothing_is_made_without_a_key_or_on_a_side_that_makes_none() {
    let mut keyless = new_link();
    keyless.left.id = Some("1".to_owned());
    show(&mut keyless, Side::Left, &[("owner", "Ann")]);
    assert_eq!(decided(&mut keyless).pushes, []);
    let mut other = new_link();
    other.right.id = Some("1".to_owned());
    show(&mut other, Side::Right, &[("Warrant", "E-1")]);
    assert_eq!(decided(&mut other).pushes, []);
}

#[test]
fn a_record_that_is_gone_is_neither_made_again_nor_written() {
    let mut link = agreed(&[("warrant", "E-1"), ("owner", "A")], &[("Warrant", "E-1"), ("Owner", "A")]);
    link.right.gone = true;
    show(&mut link, Side::Left, &[("owner", "B")]);
    assert_eq!(decided(&mut link), Decision::default());
}

#[test]
fn a_doubled_record_gets_nothing_and_gives_nothing() {
    let mut link = agreed(&[("owner", "A"), ("status", "S")], &[("Owner", "A"), ("Status", "S")]);
    link.right.doubled = true;
    show(&mut link, Side::Left, &[("owner", "B")]);
    show(&mut link, Side::Right, &[("Status", "T")]);
    let before = link.clone();
    assert_eq!(decided(&mut link), Decision::default());
    assert_eq!(link, before);
}

#[test]
fn while_a_push_is_under_way_its_side_gets_no_other_and_the_other_side_does() {
    let mut link = agreed(&[("owner", "A"), ("status", "S")], &[("Owner", "A"), ("Status", "S")]);
    show(&mut link, Side::Left, &[("owner", "B")]);
    let push = only_push(&mut link);
    send(&mut link, &push);
    assert_eq!(decided(&mut link), Decision::default());
    show(&mut link, Side::Left, &[("owner", "C")]);
    show(&mut link, Side::Right, &[("Status", "T")]);
    assert_eq!(only_push(&mut link).side, Side::Left, "one outstanding push per side");
}

#[test]
fn a_field_that_a_push_carries_waits_for_the_outcome_whatever_else_changes() {
    let mut link = agreed(&[("owner", "A")], &[("Owner", "A")]);
    show(&mut link, Side::Left, &[("owner", "B")]);
    show(&mut link, Side::Right, &[("Owner", "R")]);
    let push = only_push(&mut link);
    send(&mut link, &push);
    // The left takes its change back: what the right showed is about to be overwritten and must not cross over.
    show(&mut link, Side::Left, &[("owner", "A")]);
    let before = link.clone();
    assert_eq!(decided(&mut link), Decision::default());
    assert_eq!(link, before);
}

#[test]
fn the_base_of_a_point_waits_for_the_push_of_either_axis() {
    let mut link = agreed(&[], &[("Longitude", "-90"), ("Latitude", "35")]);
    link.left.show("place", Value::Point(Point::rounded(-90.0, 35.0)));
    link.left.settle("place");
    link.left.show("place", Value::Point(Point::rounded(-90.0, 36.0)));
    let push = only_push(&mut link);
    send(&mut link, &push);
    decided(&mut link);
    assert!(link.left.has_changed("place"));
}
