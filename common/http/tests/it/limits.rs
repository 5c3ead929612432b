//! At 50 calls a minute, over two hours of simulated time: no call is refused, and the limit is used.
//!
//! `LIMIT_SEEDS=500 cargo test -p databridge-http limits` is the long form.

use rand::Rng;
use sandbox::clio::hand::RateWindow;

use crate::simulated::{Simulation, WINDOW, Work};

const TWO_HOURS: i64 = 2 * 3_600_000;

const WINDOWS: [RateWindow; 3] = [RateWindow::Fixed, RateWindow::Sliding, RateWindow::Clock];

/// Each of so many seeds with each way of counting a minute.
fn courses() -> impl Iterator<Item = (u64, RateWindow)> {
    let seeds = std::env::var("LIMIT_SEEDS").map_or(4, |seeds| seeds.parse().unwrap());
    (0..seeds).flat_map(|seed| WINDOWS.map(|window| (seed, window)))
}

#[test]
fn while_there_is_work_no_call_is_refused_and_of_the_limit_98_percent_are_used() {
    for (seed, window) in courses() {
        let mut simulation = Simulation::new(seed, window, Work::Always);
        simulation.run(TWO_HOURS);
        let story = &simulation.story;
        let used = story.used(TWO_HOURS);
        println!(
            "{window:?} {seed}: {} admitted, {used:.4} used, {} lost, {} overtaken, {} refused",
            story.admitted.len(),
            story.lost,
            story.overtaken,
            story.refused.len()
        );
        assert_eq!((story.refused.len(), story.refused_in_the_dark), (0, 0), "{window:?} {seed}");
        assert!(used >= 0.98, "{window:?} {seed}: {used}");
        assert!(story.lost > 20 && story.overtaken > 100, "{window:?} {seed}: this was too easy");
    }
}

#[test]
fn work_that_comes_in_fits_is_never_refused() {
    for (seed, window) in courses() {
        let mut simulation = Simulation::new(seed, window, Work::InFits);
        simulation.run(TWO_HOURS);
        let story = &simulation.story;
        assert_eq!((story.refused.len(), story.refused_in_the_dark), (0, 0), "{window:?} {seed}");
    }
}

#[test]
fn one_that_is_started_anew_finds_out_what_the_one_before_it_has_used() {
    for (seed, window) in courses() {
        let mut simulation = Simulation::new(seed, window, Work::Always);
        let mut passed = 0;
        while passed < TWO_HOURS {
            passed += simulation.random().random_range(1..3 * WINDOW);
            simulation.run(passed);
            simulation.restart(passed);
        }
        assert!(simulation.story.refused.is_empty(), "{window:?} {seed}");
    }
}
