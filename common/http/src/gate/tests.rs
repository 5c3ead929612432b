use super::*;

const WINDOW: Duration = Duration::from_secs(60);

/// A gate of simulated time, and its clock.
fn gate() -> (Gate, Clock) {
    let clock = Clock::standing_at(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
    (Gate::new(clock.clone(), WINDOW), clock)
}

fn report(clock: &Clock, remaining: u32, seconds: i64) -> LimitReport {
    let now = clock.now();
    let resets_at = now + TimeDelta::seconds(seconds);
    LimitReport { limit: 50, remaining, resets_at, server_time: Some(now) }
}

/// Makes a call, whose answer leaves so many and tells that one comes free in so many seconds.
fn call(gate: &Gate, clock: &Clock, remaining: u32, seconds: i64) {
    gate.try_pass().unwrap().report(report(clock, remaining, seconds));
}

/// Begins all calls that may be begun, but no more than fifty.
fn begin_all(gate: &Gate) -> Vec<Pass> {
    std::iter::from_fn(|| gate.try_pass().ok()).take(50).collect()
}

#[test]
fn before_the_first_report_one_call_goes_alone() {
    let (gate, _) = gate();
    let first = gate.try_pass().unwrap();
    assert!(gate.try_pass().is_err());
    drop(first);
    assert!(gate.try_pass().is_ok());
    assert_eq!(gate.limit(), None);
}

#[test]
fn when_nothing_remains_one_call_goes_alone_once_one_comes_free_and_its_answer_is_believed() {
    let (gate, clock) = gate();
    call(&gate, &clock, 1, 30);
    assert_eq!(gate.limit(), Some(50));
    call(&gate, &clock, 0, 30);
    assert!(gate.try_pass().unwrap_err() > Duration::from_secs(25));
    clock.advance(TimeDelta::seconds(30));
    assert!(gate.try_pass().is_err(), "what resets in 30 s may do so within the second after");
    clock.advance(TimeDelta::seconds(1));
    assert_eq!(gate.free(), 1, "as the windows slide or not, it may be one or all that came free");
    let alone = gate.try_pass().unwrap();
    assert_eq!(gate.free(), 0);
    alone.report(report(&clock, 49, 60));
    assert_eq!(gate.free(), 49);
}

#[test]
fn a_reset_without_the_systems_time_tells_nothing() {
    let (gate, clock) = gate();
    call(&gate, &clock, 1, 30);
    gate.try_pass().unwrap().report(LimitReport { server_time: None, ..report(&clock, 0, 30) });
    // The one before it told of the one that is free in 31 s.
    assert_eq!(gate.wait(), Duration::from_secs(31));
    clock.advance(TimeDelta::seconds(31));
    gate.try_pass().unwrap().report(LimitReport { server_time: None, ..report(&clock, 0, 1) });
    assert_eq!(gate.wait(), Duration::from_secs(60), "a window after the last answer all is free");
}

#[test]
fn calls_under_way_are_kept_back_from_what_remains() {
    let (gate, clock) = gate();
    call(&gate, &clock, 49, 30);
    let mut passes: Vec<_> = (0..3).map(|_| gate.try_pass().unwrap()).collect();
    // Another program has taken many meanwhile.
    passes.pop().unwrap().report(report(&clock, 3, 30));
    assert_eq!(gate.free(), 3, "three remain, whichever of ours it has counted");
    passes.pop().unwrap().report(report(&clock, 1, 30));
    assert_eq!(gate.free(), 1);
    drop(passes);
    assert_eq!(gate.free(), 1);
}

#[test]
fn an_answer_that_was_overtaken_frees_nothing() {
    let (gate, clock) = gate();
    call(&gate, &clock, 6, 30);
    let (overtaken, first) = (gate.try_pass().unwrap(), gate.try_pass().unwrap());
    let (of_the_overtaken, of_the_first) = (report(&clock, 5, 30), report(&clock, 4, 30));
    first.report(of_the_first);
    let _third = gate.try_pass().unwrap();
    overtaken.report(of_the_overtaken);
    assert_eq!(gate.free(), 3, "of the four that the second answer left, one is under way");
}

#[test]
fn a_late_answer_of_the_window_before_tells_nothing_of_this_one() {
    let (gate, clock) = gate();
    call(&gate, &clock, 49, 30);
    let late = gate.try_pass().unwrap();
    let before = report(&clock, 48, 30);
    clock.advance(TimeDelta::seconds(32));
    for remaining in (3..=49).rev() {
        call(&gate, &clock, remaining, 60);
    }
    assert_eq!(gate.free(), 2, "one of three is kept back for the one under way");
    late.report(before);
    assert_eq!(gate.free(), 2);
}

#[test]
fn in_a_window_that_slides_calls_come_free_one_by_one() {
    let (gate, clock) = gate();
    // Calls a second apart, then the rest at once.
    for remaining in (30..50).rev() {
        call(&gate, &clock, remaining, 60);
        clock.advance(TimeDelta::seconds(1));
    }
    for remaining in (0..30).rev() {
        call(&gate, &clock, remaining, 40);
    }
    clock.advance(TimeDelta::seconds(40));
    for second in 0..20 {
        let begun = begin_all(&gate);
        assert_eq!(begun.len(), 1, "{second}");
        for pass in begun {
            pass.report(report(&clock, 0, 1));
        }
        clock.advance(TimeDelta::seconds(1));
    }
    assert_eq!(gate.free(), 30);
}

#[test]
fn in_a_fixed_window_that_began_anew_all_are_free_as_soon_as_one_answer_tells() {
    let (gate, clock) = gate();
    call(&gate, &clock, 49, 60);
    clock.advance(TimeDelta::seconds(50));
    for remaining in (0..49).rev() {
        call(&gate, &clock, remaining, 10);
    }
    clock.advance(TimeDelta::seconds(10));
    assert_eq!(gate.free(), 1);
    call(&gate, &clock, 49, 60);
    assert_eq!(gate.free(), 49);
}

#[test]
fn in_a_new_window_as_many_are_free_as_pass() {
    let (gate, clock) = gate();
    for remaining in (20..50).rev() {
        call(&gate, &clock, remaining, 60);
        clock.advance(TimeDelta::seconds(1));
    }
    for seconds in [1, 29, 10, 5, 25, 100] {
        clock.advance(TimeDelta::seconds(seconds));
        let free = gate.free();
        assert_eq!(gate.wait().is_zero(), free > 0);
        assert_eq!(begin_all(&gate).len(), usize::try_from(free).unwrap(), "after {seconds} s");
        assert!(!gate.wait().is_zero());
    }
    clock.advance(TimeDelta::seconds(61));
    call(&gate, &clock, 3, 10);
    clock.advance(TimeDelta::seconds(11));
    assert_eq!(gate.free(), 4, "three were left, and one has come free");
    assert_eq!(begin_all(&gate).len(), 4);
}

#[test]
fn answers_that_say_nothing_of_the_limit_never_close_the_gate_for_good() {
    let (gate, clock) = gate();
    call(&gate, &clock, 49, 60);
    for window in 0..3 {
        clock.advance(TimeDelta::seconds(61));
        assert_eq!(begin_all(&gate).len(), 50, "what was last told holds, {window}");
        assert_eq!(gate.free(), 0);
    }
}

#[test]
fn what_one_before_us_has_used_is_known_by_the_first_answer() {
    let (gate, clock) = gate();
    call(&gate, &clock, 2, 30);
    call(&gate, &clock, 1, 30);
    call(&gate, &clock, 0, 30);
    assert_eq!(gate.free(), 0);
    clock.advance(TimeDelta::seconds(31));
    call(&gate, &clock, 0, 1);
    assert_eq!(gate.wait(), Duration::from_secs(2));
    clock.advance(TimeDelta::seconds(60));
    assert_eq!(gate.free(), 50, "nothing counts any more that was there before");
}

#[test]
fn a_call_whose_answer_is_lost_may_have_taken_what_came_free() {
    let (gate, clock) = gate();
    call(&gate, &clock, 1, 30);
    call(&gate, &clock, 0, 30);
    clock.advance(TimeDelta::seconds(31));
    drop(gate.try_pass().unwrap());
    assert_eq!(gate.free(), 0);
    assert!(gate.wait() > Duration::from_secs(20));
    clock.advance(TimeDelta::seconds(60));
    assert!(gate.free() > 0);
}

#[test]
fn another_limit_holds_from_the_first_answer_that_tells_of_it() {
    let (gate, clock) = gate();
    call(&gate, &clock, 49, 60);
    let late = gate.try_pass().unwrap();
    gate.try_pass().unwrap().report(LimitReport { limit: 20, ..report(&clock, 5, 60) });
    assert_eq!((gate.limit(), gate.free()), (Some(20), 4), "one is under way");
    late.report(report(&clock, 48, 60));
    assert_eq!((gate.limit(), gate.free()), (Some(20), 4), "an answer from before says nothing of now");
}

#[test]
fn a_refusal_closes_the_gate_for_as_long_as_the_system_says_and_then_one_goes_alone() {
    let (gate, clock) = gate();
    gate.close_for(Duration::from_secs(40));
    assert_eq!(gate.free(), 0);
    clock.advance(TimeDelta::seconds(41));
    call(&gate, &clock, 49, 60);
    let refused = gate.try_pass().unwrap();
    gate.close_for(Duration::from_secs(40));
    refused.report(report(&clock, 0, 40));
    assert_eq!(gate.wait(), Duration::from_secs(40));
    clock.advance(TimeDelta::seconds(41));
    assert_eq!(gate.free(), 1, "the system counts more than is known here");
}

#[test]
fn a_clock_that_is_set_back_does_not_close_the_gate() {
    let (gate, clock) = gate();
    for remaining in (0..50).rev() {
        call(&gate, &clock, remaining, 60);
    }
    clock.advance(TimeDelta::seconds(20));
    assert_eq!(gate.wait(), Duration::from_secs(40));
    clock.advance(TimeDelta::hours(-5));
    assert_eq!(gate.wait(), Duration::from_secs(40));
    clock.advance(TimeDelta::seconds(61));
    assert!(gate.free() > 0);
}

#[test]
fn a_window_that_would_end_in_a_thousand_years_and_a_wait_without_end_close_it_for_a_day_at_most() {
    let (gate, clock) = gate();
    let moment = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
    // A server that tells the end in milliseconds, and one whose clock is not set.
    for (resets_at, server_time) in
        [(1_795_186_860_000, 1_795_186_800), (8_210_266_876_799, -8_334_601_228_800)]
    {
        let (resets_at, server_time) = (moment(resets_at), Some(moment(server_time)));
        let report = LimitReport { limit: 50, remaining: 0, resets_at, server_time };
        gate.try_pass().unwrap().report(report);
        assert!(gate.try_pass().is_err());
        clock.advance(TimeDelta::hours(25));
        assert!(gate.try_pass().is_ok());
    }
    gate.close_for(Duration::from_secs(u64::MAX));
    assert!(gate.try_pass().is_err());
    clock.advance(TimeDelta::hours(25));
    assert!(gate.try_pass().is_ok());
}

#[test]
fn a_limit_of_no_calls_at_all_leaves_one_that_asks_again() {
    let (gate, clock) = gate();
    let nothing = LimitReport { limit: 0, ..report(&clock, 0, 9) };
    gate.try_pass().unwrap().report(nothing);
    clock.advance(TimeDelta::seconds(10));
    // The answer of the one that is free then is lost, and tells nothing of the next.
    drop(gate.try_pass().unwrap());
    clock.advance(TimeDelta::seconds(60));
    assert_eq!(gate.free(), 1);
}
