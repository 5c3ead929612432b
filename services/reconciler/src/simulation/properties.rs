use proptest::prelude::*;

use super::*;

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Left), Just(Side::Right)]
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        4 => Just(Fault::None),
        1 => Just(Fault::DiesBefore),
        1 => Just(Fault::DiesAfter),
        1 => Just(Fault::UnknownDone),
        1 => Just(Fault::UnknownUndone),
        1 => Just(Fault::Blind),
    ]
}

fn edit() -> impl Strategy<Value = Step> {
    (side(), 0_usize..16, 0_usize..16).prop_map(|(side, field, value)| Step::Edit(side, field, value))
}

/// Anything but an edit.
fn machinery() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => side().prop_map(Step::Read),
        3 => side().prop_map(Step::Publish),
        4 => prop::bool::weighted(0.2).prop_map(Step::TakeRead),
        1 => (0_usize..64).prop_map(Step::TakeReadAgain),
        3 => (side(), fault()).prop_map(|(side, fault)| Step::Push(side, fault)),
        3 => (side(), prop::bool::weighted(0.2)).prop_map(|(side, again)| Step::Tell(side, again)),
        3 => prop::bool::weighted(0.2).prop_map(Step::TakeOutcome),
        1 => (0_usize..64).prop_map(Step::TakeOutcomeAgain),
        2 => Just(Step::ReadAgain),
        1 => Just(Step::Restart),
    ]
}

fn anything() -> impl Strategy<Value = Step> {
    prop_oneof![1 => edit(), 4 => machinery()]
}

fn come_to_rest(world: &mut World) {
    world.sync();
    world.sync();
    let (left, right, pushes) = (world.left.values.clone(), world.right.values.clone(), world.pushes);
    world.sync();
    assert_eq!(world.pushes, pushes, "a sync of what is unchanged pushes");
    assert_eq!((&world.left.values, &world.right.values), (&left, &right));
    let unexplained = world.unexplained();
    assert!(unexplained.is_empty(), "{unexplained:?}\n{:#?}", world.link);
}

/// `PROPTEST_CASES` asks for a longer hunt.
fn config() -> ProptestConfig {
    let chosen = ProptestConfig::default();
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig { max_global_rejects: chosen.cases.saturating_mul(4), ..chosen },
        None => ProptestConfig { cases: 600, ..chosen },
    }
}

fn after(steps: &[Step]) -> World {
    let mut world = World::new(false, false);
    for step in steps {
        world.step(step);
    }
    come_to_rest(&mut world);
    world
}

/// A field of the route by its place among those that can be edited, and a value by its place among those it takes.
const EXTRACT: usize = 5;
const PLACE: usize = 7;

#[test]
fn what_a_create_cut_off_does_not_come_back_where_nobody_heard_of_the_create() {
    let world = after(&[
        Step::Edit(Side::Left, EXTRACT, 5),
        Step::Read(Side::Left),
        Step::Edit(Side::Left, EXTRACT, 0),
        Step::Publish(Side::Left),
        Step::TakeRead(false),
        Step::Push(Side::Right, Fault::DiesAfter),
    ]);
    assert_eq!(world.left.values["extract"], Value::Null);
}

#[test]
fn a_place_has_gone_over_when_both_its_degrees_have() {
    let world = after(&[
        Step::Edit(Side::Left, PLACE, 1),
        Step::Read(Side::Left),
        Step::Edit(Side::Left, PLACE, 2),
        Step::Publish(Side::Left),
        Step::TakeRead(false),
        Step::Push(Side::Right, Fault::UnknownDone),
        Step::Read(Side::Left),
    ]);
    assert_eq!(world.right.values["Latitude"], Value::text("6"));
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_happens_both_sides_come_to_agree(
        paired: bool,
        revisions: bool,
        steps in prop::collection::vec(anything(), 0..120),
    ) {
        let mut world = World::new(paired, revisions);
        for step in &steps {
            world.step(step);
        }
        come_to_rest(&mut world);
    }

    #[test]
    fn the_order_in_which_edits_are_seen_does_not_matter_in_the_end(
        revisions: bool,
        before in prop::collection::vec(edit(), 0..12),
        edits in prop::collection::vec(edit(), 0..12),
        schedule in prop::collection::vec(machinery(), 0..120),
    ) {
        let mut world = World { errs: false, ..World::new(true, revisions) };
        for step in &before {
            world.step(step);
        }
        come_to_rest(&mut world);
        // What waits for a person is no ground on which both stand.
        prop_assume!(world.link.iter().all(|link| link.right.parked.is_empty()));
        for step in &edits {
            world.step(step);
        }
        let mut at_once = world.clone();
        come_to_rest(&mut at_once);
        for step in &schedule {
            world.step(step);
        }
        come_to_rest(&mut world);
        // An edit of what is cut off counts or not, depending on whether the other side was emptied before; and what
        // the office trims is one and the same to it.
        let compared = |values: &Fields| -> Fields {
            let whole = values.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("extract"));
            whole.map(|(name, value)| (name.clone(), trimmed(value.clone()))).collect()
        };
        prop_assert_eq!(compared(&world.left.values), compared(&at_once.left.values));
        prop_assert_eq!(compared(&world.right.values), compared(&at_once.right.values));
    }
}

/// What went wrong once, as it was found.
fn regression(paired: bool, steps: &[Step]) {
    let mut world = World::new(paired, false);
    for step in steps {
        world.step(step);
    }
    come_to_rest(&mut world);
}

#[test]
fn a_value_that_is_about_to_be_overwritten_does_not_cross_over_to_the_other_side() {
    let steps = [
        Step::Read(Side::Left),
        Step::Edit(Side::Left, 14, 5),
        Step::Publish(Side::Left),
        Step::TakeRead(false),
        Step::Push(Side::Right, Fault::Blind),
        Step::Edit(Side::Left, 0, 0),
        Step::Read(Side::Left),
        Step::Read(Side::Left),
        Step::Edit(Side::Left, 14, 0),
        Step::Edit(Side::Right, 5, 1),
    ];
    regression(false, &steps);
}

#[test]
fn our_own_write_whose_effect_was_not_known_beats_no_later_edit() {
    let steps = [
        Step::Edit(Side::Left, 6, 15),
        Step::Edit(Side::Right, 15, 2),
        Step::Read(Side::Right),
        Step::Publish(Side::Right),
        Step::Read(Side::Left),
        Step::TakeRead(false),
        Step::Publish(Side::Left),
        Step::Edit(Side::Right, 15, 1),
        Step::TakeRead(false),
        Step::Push(Side::Left, Fault::UnknownDone),
        Step::Tell(Side::Left, false),
        Step::TakeOutcome(false),
        Step::Edit(Side::Right, 4, 1),
        Step::Read(Side::Right),
        Step::Publish(Side::Right),
        Step::TakeRead(false),
    ];
    regression(true, &steps);
}
