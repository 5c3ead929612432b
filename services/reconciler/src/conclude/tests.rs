use databridge_config::Side;
use databridge_model::{Failure, FailureClass, PushId};

use crate::read::take_in;
use crate::samples::{
    after, agreed, decided, fields, met, new_link, now, only_push, outcome, plan, read, send, show,
};

use super::*;

/// The owner was changed on the left to B, and its push is under way.
fn under_way() -> (Link, PushId) {
    let mut link = agreed(&[("owner", "A"), ("note", "n")], &[("Owner", "A"), ("Note", "n")]);
    show(&mut link, Side::Left, &[("owner", "B")]);
    let push = only_push(&mut link);
    let id = send(&mut link, &push);
    (link, id)
}

fn answered(link: &mut Link, outcome: &Outcome) -> Vec<Parked> {
    conclude(&plan(), Side::Right, link, outcome, after(3), now()).unwrap()
}

fn failed(push: &PushId, result: OutcomeResult, field: Option<&str>) -> Outcome {
    let failure = Failure {
        class: FailureClass::Invalid,
        message: "the office refuses it".to_owned(),
        field: field.map(str::to_owned),
    };
    Outcome { error: Some(failure), ..outcome(push, result, &[]) }
}

#[test]
fn a_write_makes_the_base_of_both_sides() {
    let (mut link, id) = under_way();
    assert_eq!(answered(&mut link, &outcome(&id, OutcomeResult::Written, &[("Owner", "B")])), []);
    assert_eq!(link.left.base, fields(&[("owner", "B"), ("note", "n")]));
    assert_eq!(link.right.base, fields(&[("Owner", "B"), ("Note", "n")]));
    assert_eq!((link.right.outstanding.as_ref(), link.right.last_outcome), (None, Some(after(3))));
    assert_eq!(decided(&mut link).pushes, []);
}

#[test]
fn the_base_is_provisional_where_the_answer_does_not_show_the_value_or_its_revision() {
    for (shown, revision, provisional) in
        [(vec![("Owner", "B")], Some(7), false), (vec![("Owner", "B")], None, true), (vec![], Some(7), true)]
    {
        let (mut link, id) = under_way();
        let outcome = Outcome { revision, ..outcome(&id, OutcomeResult::Written, &shown) };
        answered(&mut link, &outcome);
        assert_eq!(!link.right.provisional.is_empty(), provisional, "{shown:?} {revision:?}");
        assert_eq!(link.right.base.get("Owner"), Some(&Value::text("B")));
    }
}

#[test]
fn what_the_source_shows_by_now_is_the_next_change() {
    let (mut link, id) = under_way();
    show(&mut link, Side::Left, &[("owner", "C")]);
    assert_eq!(decided(&mut link).pushes, []);
    answered(&mut link, &outcome(&id, OutcomeResult::Written, &[("Owner", "B")]));
    let push = only_push(&mut link);
    assert_eq!((push.set, push.expect), (fields(&[("Owner", "C")]), fields(&[("Owner", "B")])));
}

#[test]
fn a_source_that_went_back_meanwhile_is_the_next_change() {
    let (mut link, id) = under_way();
    show(&mut link, Side::Left, &[("owner", "A")]);
    assert_eq!(decided(&mut link).pushes, []);
    answered(&mut link, &outcome(&id, OutcomeResult::Written, &[("Owner", "B")]));
    assert_eq!(only_push(&mut link).set, fields(&[("Owner", "A")]));
}

#[test]
fn an_edit_that_the_answer_shows_beside_our_write_goes_over() {
    let (mut link, id) = under_way();
    answered(&mut link, &outcome(&id, OutcomeResult::Written, &[("Owner", "B"), ("Note", "m")]));
    let push = only_push(&mut link);
    assert_eq!((push.side, push.set), (Side::Left, fields(&[("note", "m")])));
}

#[test]
fn a_stale_push_is_decided_again_with_what_is_there_now() {
    let (mut link, id) = under_way();
    answered(&mut link, &outcome(&id, OutcomeResult::Stale, &[("Owner", "R"), ("Note", "n")]));
    let decision = decided(&mut link);
    assert_eq!(decision.pushes[0].expect, fields(&[("Owner", "R")]));
    assert_eq!(decision.conflicts[0].conflict.loser, Value::text("R"));
}

#[test]
fn an_answer_that_does_not_show_the_record_has_it_read_again() {
    for result in [OutcomeResult::Stale, OutcomeResult::Exists] {
        let (mut link, id) = under_way();
        answered(&mut link, &outcome(&id, result, &[]));
        assert!(link.right.reread, "{result:?}");
    }
    let (mut link, id) = under_way();
    link.right.id = None;
    answered(&mut link, &Outcome { id: None, ..outcome(&id, OutcomeResult::Exists, &[]) });
    assert!(link.due && !link.right.reread, "nothing can be read, so the next run tries");
}

#[test]
fn a_create_that_found_its_key_is_paired() {
    let mut link = new_link();
    link.left.id = Some("1".to_owned());
    show(&mut link, Side::Left, &[("warrant", "E-1"), ("owner", "A"), ("note", "")]);
    let push = only_push(&mut link);
    let id = send(&mut link, &push);
    let found = outcome(&id, OutcomeResult::Exists, &[("Warrant", "E-1"), ("Owner", ""), ("Note", "m")]);
    answered(&mut link, &Outcome { id: Some("77".to_owned()), ..found });
    assert_eq!(link.right.id.as_deref(), Some("77"));
    let decision = decided(&mut link);
    let sets: Vec<_> = decision.pushes.iter().map(|push| (push.side, push.set.clone())).collect();
    assert_eq!(sets, [(Side::Left, fields(&[("note", "m")])), (Side::Right, fields(&[("Owner", "A")]))]);
}

#[test]
fn after_a_create_what_was_empty_on_both_sides_agrees() {
    let mut link = new_link();
    link.left.id = Some("1".to_owned());
    show(&mut link, Side::Left, &[("warrant", "E-1"), ("owner", "")]);
    let push = only_push(&mut link);
    let id = send(&mut link, &push);
    let made = outcome(&id, OutcomeResult::Written, &[("Warrant", "E-1")]);
    answered(&mut link, &Outcome { id: Some("77".to_owned()), ..made });
    assert_eq!(decided(&mut link).pushes, []);
    assert_eq!(link.right.base.get("Owner"), Some(&Value::Null));
    show(&mut link, Side::Left, &[("owner", "A")]);
    let push = only_push(&mut link);
    assert_eq!((push.op, push.set), (Op::Update, fields(&[("Owner", "A")])));
}

#[test]
fn a_field_that_the_system_cannot_take_waits_and_the_others_are_written() {
    let mut link = agreed(&[("owner", "A"), ("note", "n")], &[("Owner", "A"), ("Note", "n")]);
    show(&mut link, Side::Left, &[("owner", "B"), ("note", "m")]);
    let push = only_push(&mut link);
    let id = send(&mut link, &push);
    let mut partly = outcome(&id, OutcomeResult::Written, &[("Owner", "A"), ("Note", "m")]);
    partly.parked.insert("Owner".to_owned(), "it is no option".to_owned());
    let told = answered(&mut link, &partly);
    assert_eq!((told[0].field.as_deref(), told[0].reason.as_str()), (Some("Owner"), "it is no option"));
    assert_eq!(link.right.base, fields(&[("Owner", "A"), ("Note", "m")]));
    assert_eq!(decided(&mut link).pushes, [], "the same value is not tried again");
    show(&mut link, Side::Left, &[("owner", "C")]);
    assert_eq!(only_push(&mut link).set, fields(&[("Owner", "C")]));
}

#[test]
fn a_cut_value_that_the_system_cannot_take_is_not_tried_for_ever() {
    let mut link = agreed(&[("extract", "a")], &[("Extract", "a")]);
    show(&mut link, Side::Left, &[("extract", "a long text")]);
    let push = only_push(&mut link);
    let id = send(&mut link, &push);
    let mut refused = outcome(&id, OutcomeResult::Unchanged, &[]);
    refused.parked.insert("Extract".to_owned(), "too long all the same".to_owned());
    answered(&mut link, &refused);
    assert_eq!(decided(&mut link).pushes, []);
}

#[test]
fn a_refusal_of_a_field_parks_it_and_the_rest_goes_alone() {
    let mut link = agreed(&[("owner", "A"), ("note", "n")], &[("Owner", "A"), ("Note", "n")]);
    show(&mut link, Side::Left, &[("owner", "B"), ("note", "m")]);
    let push = only_push(&mut link);
    let id = send(&mut link, &push);
    let told = answered(&mut link, &failed(&id, OutcomeResult::Refused, Some("Owner")));
    assert_eq!(told[0].field.as_deref(), Some("Owner"));
    assert_eq!(only_push(&mut link).set, fields(&[("Note", "m")]));
}

#[test]
fn a_refusal_of_the_whole_is_remembered_until_the_content_changes() {
    for result in [OutcomeResult::Refused, OutcomeResult::Dead] {
        let (mut link, id) = under_way();
        let told = answered(&mut link, &failed(&id, result, None));
        assert_eq!(told[0].reason, "the office refuses it");
        assert_eq!(decided(&mut link).pushes, []);
        show(&mut link, Side::Left, &[("note", "m")]);
        let push = only_push(&mut link);
        let id = send(&mut link, &push);
        answered(&mut link, &outcome(&id, OutcomeResult::Written, &[]));
        assert_eq!(link.right.refused, None);
    }
}

#[test]
fn a_record_that_is_gone_is_told_and_left() {
    let (mut link, id) = under_way();
    let told = answered(&mut link, &outcome(&id, OutcomeResult::Gone, &[]));
    assert!(told[0].reason.contains("not in office.matters any more"), "{}", told[0].reason);
    assert!(link.right.gone);
    assert_eq!(decided(&mut link).pushes, []);
}

/// The right's owner was changed to B and its push to the left, whose effect is not known, is in doubt.
fn in_doubt() -> Link {
    let mut link = agreed(&[("owner", "A"), ("note", "n")], &[("Owner", "A"), ("Note", "n")]);
    show(&mut link, Side::Right, &[("Owner", "B")]);
    let push = only_push(&mut link);
    let id = send(&mut link, &push);
    conclude(&plan(), Side::Left, &mut link, &outcome(&id, OutcomeResult::Unknown, &[]), after(3), now())
        .unwrap();
    assert!(link.due && link.left.reread);
    link
}

#[test]
fn an_effect_that_is_not_known_is_looked_up_before_the_field_is_decided() {
    let mut link = in_doubt();
    // The right goes back. Whether the left shows A or B is not known, so nothing is agreed on yet.
    show(&mut link, Side::Right, &[("Owner", "A")]);
    assert_eq!(decided(&mut link).pushes, []);
    take_in(&plan(), &mut link, Side::Left, &read(Side::Left, 3, &[("owner", "B")]), 1);
    let push = only_push(&mut link);
    assert_eq!(
        (push.side, push.set),
        (Side::Left, fields(&[("owner", "A")])),
        "B was our own write, no edit"
    );
    assert_eq!(link.conflicts, []);
}

#[test]
fn the_answer_to_a_later_write_tells_what_became_of_one_in_doubt() {
    let mut link = in_doubt();
    show(&mut link, Side::Right, &[("Note", "m")]);
    let push = only_push(&mut link);
    assert_eq!(push.set, fields(&[("note", "m")]), "the field in doubt waits");
    let id = send(&mut link, &push);
    let later = outcome(&id, OutcomeResult::Written, &[("owner", "B"), ("note", "m")]);
    conclude(&plan(), Side::Left, &mut link, &later, after(4), now()).unwrap();
    assert_eq!(link.left.doubts, []);
    assert_eq!(decided(&mut link), crate::decide::Decision::default(), "B was our own write, no edit");
    assert!(!link.right.has_changed("Owner") && !link.left.has_changed("owner"));
}

#[test]
fn an_effect_that_was_not_done_is_tried_again() {
    let mut link = in_doubt();
    take_in(&plan(), &mut link, Side::Left, &read(Side::Left, 3, &[("owner", "A")]), 1);
    let push = only_push(&mut link);
    assert_eq!((push.side, push.set), (Side::Left, fields(&[("owner", "B")])));
}

#[test]
fn a_persons_edit_after_an_effect_that_is_not_known_is_an_edit() {
    let mut link = in_doubt();
    take_in(&plan(), &mut link, Side::Left, &read(Side::Left, 3, &[("owner", "C")]), 1);
    let decision = decided(&mut link);
    assert_eq!(decision.pushes[0].set, fields(&[("Owner", "C")]));
    assert_eq!(decision.conflicts[0].conflict.loser, Value::text("B"));
}

#[test]
fn a_create_in_doubt_that_is_found_was_our_own_and_beats_no_edit() {
    let mut link = new_link();
    link.left.id = Some("1".to_owned());
    show(&mut link, Side::Left, &[("warrant", "E-1"), ("status", "S")]);
    let push = only_push(&mut link);
    let id = send(&mut link, &push);
    answered(&mut link, &Outcome { id: None, ..outcome(&id, OutcomeResult::Unknown, &[]) });
    // The right owns the status, but what it shows is what we wrote.
    show(&mut link, Side::Left, &[("status", "T")]);
    let push = only_push(&mut link);
    assert_eq!(push.op, Op::Create);
    let id = send(&mut link, &push);
    answered(&mut link, &outcome(&id, OutcomeResult::Exists, &[("Warrant", "E-1"), ("Status", "S")]));
    let decision = decided(&mut link);
    assert_eq!(decision.pushes[0].set, fields(&[("Status", "T")]));
    assert_eq!(decision.conflicts, []);
}

#[test]
fn a_copy_of_an_outcome_and_one_of_an_earlier_push_change_nothing() {
    let (mut link, id) = under_way();
    let written = outcome(&id, OutcomeResult::Written, &[("Owner", "B")]);
    answered(&mut link, &written);
    show(&mut link, Side::Left, &[("owner", "C")]);
    let push = only_push(&mut link);
    send(&mut link, &push);
    let before = link.clone();
    assert_eq!(conclude(&plan(), Side::Right, &mut link, &written, after(9), now()), None);
    assert_eq!(conclude(&plan(), Side::Left, &mut link, &written, after(9), now()), None);
    assert_eq!(link, before);
}

#[test]
fn a_value_that_the_answer_shows_otherwise_is_the_systems_own_form_and_no_edit() {
    let mut link = met(&[("owner", "ann lee")], &[("Owner", "")]);
    let push = only_push(&mut link);
    let id = send(&mut link, &push);
    answered(&mut link, &outcome(&id, OutcomeResult::Written, &[("Owner", "Ann Lee")]));
    assert_eq!(decided(&mut link).pushes, []);
}
