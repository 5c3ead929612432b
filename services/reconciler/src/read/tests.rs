use chrono::TimeDelta;
use databridge_config::Side;
use databridge_model::{OutcomeResult, PullResult, Value};

use crate::conclude::conclude;
use crate::samples::{after, agreed, decided, fields, now, only_push, outcome, plan, read, send, show};

use super::*;

fn taken(link: &mut Link, read: &PullResult, sequence: u64) -> Worth {
    let side = plan().side_of(&read.system, &read.collection).unwrap();
    take_in(&plan(), link, side, read, sequence)
}

/// Both agreed on an owner, and the last outcome of the right was number 5.
fn after_an_outcome() -> Link {
    let mut link = agreed(&[("owner", "A")], &[("Owner", "A")]);
    link.right.last_outcome = Some(after(5));
    link
}

#[test]
fn a_read_from_before_the_sides_last_outcome_changes_nothing() {
    let mut link = after_an_outcome();
    let before = link.clone();
    assert_eq!(taken(&mut link, &read(Side::Right, 4, &[("Owner", "old")]), 9), Worth::ReadAgain);
    assert_eq!(link, before);
    let fresh = read(Side::Right, 5, &[("Owner", "new")]);
    assert_eq!(taken(&mut link, &fresh, 10), Worth::Taken);
    assert_eq!(link.right.shown("Owner"), Some(&Value::text("new")));
}

#[test]
fn a_read_from_before_the_other_sides_outcome_is_fresh() {
    let mut link = after_an_outcome();
    assert_eq!(taken(&mut link, &read(Side::Left, 1, &[("owner", "B")]), 9), Worth::Taken);
}

#[test]
fn a_stale_read_that_shows_what_is_known_asks_for_nothing() {
    let mut link = after_an_outcome();
    assert_eq!(taken(&mut link, &read(Side::Right, 4, &[("Owner", "A")]), 9), Worth::Nothing);
}

#[test]
fn a_read_of_another_incarnation_of_the_outcomes_is_told_by_its_time() {
    let mut link = after_an_outcome();
    let mut read = read(Side::Right, 0, &[("Owner", "B")]);
    read.read_after.stream_created = now() - TimeDelta::hours(1);
    assert_eq!(taken(&mut link, &read, 9), Worth::ReadAgain);
    read.read_after.stream_created = now() + TimeDelta::hours(1);
    assert_eq!(taken(&mut link, &read, 10), Worth::Taken, "or it would be read again for ever");
}

#[test]
fn a_redelivered_read_has_no_effect() {
    let mut link = agreed(&[("owner", "A")], &[("Owner", "A")]);
    let first = read(Side::Left, 0, &[("owner", "B")]);
    assert_eq!(taken(&mut link, &first, 7), Worth::Taken);
    assert_eq!(taken(&mut link, &read(Side::Left, 0, &[("owner", "C")]), 8), Worth::Taken);
    let before = link.clone();
    assert_eq!(taken(&mut link, &first, 7), Worth::Nothing);
    assert_eq!(link, before);
}

#[test]
fn an_older_revision_with_other_values_is_read_again_and_then_believed() {
    let mut link = agreed(&[("owner", "A")], &[("Owner", "A")]);
    let newer = PullResult { revision: Some(20), ..read(Side::Left, 0, &[("owner", "B")]) };
    assert_eq!(taken(&mut link, &newer, 1), Worth::Taken);
    let older = PullResult { revision: Some(19), ..read(Side::Left, 0, &[("owner", "A")]) };
    assert_eq!(taken(&mut link, &older, 2), Worth::ReadAgain);
    assert_eq!(link.left.shown("owner"), Some(&Value::text("B")), "a page that is late changes nothing");
    link.left.reread = true;
    assert_eq!(taken(&mut link, &older, 3), Worth::Taken);
    assert_eq!(link.left.shown("owner"), Some(&Value::text("A")), "a clock was set back");
}

#[test]
fn an_older_revision_with_the_same_values_does_not_bring_its_old_handle_back() {
    let mut link = agreed(&[("owner", "A")], &[("Owner", "A")]);
    let of = |revision: i64| PullResult {
        revision: Some(revision),
        handle: serde_json::json!({ "etag": revision }),
        ..read(Side::Right, 0, &[("Owner", "A")])
    };
    assert_eq!(taken(&mut link, &of(20), 1), Worth::Taken);
    assert_eq!(taken(&mut link, &of(19), 2), Worth::Nothing);
    assert_eq!((link.right.revision, &link.right.handle), (Some(20), &of(20).handle));
}

#[test]
fn an_equal_revision_with_other_values_is_read_again_and_then_believed() {
    let mut link = agreed(&[("owner", "A")], &[("Owner", "A")]);
    let of = |owner: &str| PullResult { revision: Some(20), ..read(Side::Left, 0, &[("owner", owner)]) };
    assert_eq!(taken(&mut link, &of("B"), 1), Worth::Taken);
    assert_eq!(taken(&mut link, &of("C"), 2), Worth::ReadAgain);
    assert_eq!(link.left.shown("owner"), Some(&Value::text("B")));
    link.left.reread = true;
    assert_eq!(taken(&mut link, &of("C"), 3), Worth::Taken);
    assert_eq!(link.left.shown("owner"), Some(&Value::text("C")));
    assert!(!link.left.reread);
}

#[test]
fn a_record_that_takes_the_place_of_a_gone_one_is_believed_whatever_its_revision() {
    let mut link = agreed(&[("owner", "A")], &[("Owner", "A")]);
    (link.left.revision, link.left.gone) = (Some(100), true);
    let other =
        PullResult { id: "2".to_owned(), revision: Some(50), ..read(Side::Left, 0, &[("owner", "A")]) };
    assert_eq!(taken(&mut link, &other, 1), Worth::Taken);
    assert_eq!((link.left.id.as_deref(), link.left.revision, link.left.gone), (Some("2"), Some(50), false));
}

#[test]
fn a_read_that_shows_what_is_known_is_worth_nothing() {
    let mut link = agreed(&[("owner", "A")], &[("Owner", "A")]);
    let before = link.clone();
    assert_eq!(taken(&mut link, &read(Side::Left, 0, &[("owner", "A")]), 3), Worth::Nothing);
    assert_eq!(link, before);
}

#[test]
fn our_own_write_seen_before_its_outcome_is_no_edit() {
    let mut link = agreed(&[("owner", "A"), ("note", "n")], &[("Owner", "A"), ("Note", "n")]);
    show(&mut link, Side::Left, &[("owner", "B")]);
    let push = only_push(&mut link);
    send(&mut link, &push);
    let before = link.clone();
    assert_eq!(taken(&mut link, &read(Side::Right, 0, &[("Owner", "B"), ("Note", "n")]), 3), Worth::Nothing);
    assert_eq!(link, before);
    // With an edit beside it, it is read again after the outcome.
    let edited = read(Side::Right, 0, &[("Owner", "B"), ("Note", "m")]);
    assert_eq!(taken(&mut link, &edited, 4), Worth::ReadAgain);
}

#[test]
fn our_own_new_record_seen_before_its_outcome_is_no_edit() {
    let mut link = agreed(&[("warrant", "E-1"), ("owner", "A"), ("note", "")], &[]);
    link.right.id = None;
    let push = only_push(&mut link);
    send(&mut link, &push);
    let seen = read(Side::Right, 0, &[("Warrant", "E-1"), ("Owner", "A"), ("Note", "")]);
    assert_eq!(taken(&mut link, &seen, 3), Worth::Nothing);
    let edited = read(Side::Right, 0, &[("Warrant", "E-1"), ("Owner", "A"), ("Note", "m")]);
    assert_eq!(taken(&mut link, &edited, 4), Worth::ReadAgain);
}

/// The right was written "a  title " and has not been read since.
fn written_and_not_read() -> Link {
    let mut link = agreed(&[("owner", "A")], &[("Owner", "A")]);
    show(&mut link, Side::Left, &[("owner", "a  title ")]);
    let push = only_push(&mut link);
    let id = send(&mut link, &push);
    let outcome = outcome(&id, OutcomeResult::Written, &[]);
    conclude(&plan(), Side::Right, &mut link, &outcome, after(1), now()).unwrap();
    assert_eq!(link.right.provisional, ["Owner".to_owned()].into());
    link
}

#[test]
fn a_value_that_the_system_normalised_is_no_edit() {
    let mut link = written_and_not_read();
    assert_eq!(taken(&mut link, &read(Side::Right, 1, &[("Owner", "a title")]), 3), Worth::Taken);
    assert_eq!(link.right.base, fields(&[("Owner", "a title")]));
    assert!(link.right.provisional.is_empty());
    assert_eq!(decided(&mut link).pushes, []);
}

#[test]
fn a_persons_edit_after_our_write_is_an_edit() {
    let mut link = written_and_not_read();
    assert_eq!(taken(&mut link, &read(Side::Right, 1, &[("Owner", "another")]), 3), Worth::Taken);
    let push = only_push(&mut link);
    assert_eq!((push.side, push.set), (Side::Left, fields(&[("owner", "another")])));
    assert_eq!(link.conflicts, []);
}

#[test]
fn a_value_of_another_type_and_a_field_of_no_rule_are_no_news() {
    let shown = [("number".to_owned(), Value::text("many")), ("secret".to_owned(), Value::text("x"))];
    assert!(canonical(&plan(), Side::Left, &shown.into()).is_empty());
}
