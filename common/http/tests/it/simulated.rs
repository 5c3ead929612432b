//! A client with a gate and a system with a limit, on simulated time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use databridge_http::{Gate, LimitReport, Pass};
use databridge_runtime::Clock;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sandbox::clio::hand::RateWindow;
use sandbox::clio::limits::{Limits, Verdict};

/// Calls that the system takes in a window.
pub(crate) const LIMIT: u32 = 50;
/// The window, in milliseconds.
pub(crate) const WINDOW: i64 = 60_000;
/// When a call without an answer is given up, in milliseconds (`databridge_http::client`).
const GIVEN_UP_AFTER: i64 = 45_000;

/// How much there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// More than can be done.
    Always,
    /// Some now and then: single calls, small heaps and large ones, with rests between.
    InFits,
}

/// What happens in a simulation is all drawn from its seed.
pub(crate) struct Simulation {
    random: StdRng,
    clock: Clock,
    began: DateTime<Utc>,
    gate: Gate,
    server: Limits,
    window: RateWindow,
    /// How far the server's clock is ahead of ours.
    ahead: TimeDelta,
    /// Whether its answers have a Date.
    tells_time: bool,
    /// Whether it tells when everything comes free, and not when the first call does.
    tells_whole_window: bool,
    at_once: usize,
    work: Work,
    /// Calls that are still to be made.
    to_do: u32,
    events: BinaryHeap<Reverse<(i64, u64, Event)>>,
    calls: BTreeMap<u64, Call>,
    made: u64,
    /// Calls that were begun before the process had an answer.
    in_the_dark: BTreeSet<u64>,
    has_answers: bool,
    /// When the client looks again by itself.
    looks_at: Option<i64>,
    pub(crate) story: Story,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Story {
    /// When each call was let in, in milliseconds since the beginning.
    pub(crate) admitted: Vec<i64>,
    /// When each call was refused that was begun by a process that had had an answer.
    pub(crate) refused: Vec<i64>,
    /// The others that were refused.
    pub(crate) refused_in_the_dark: u32,
    /// Calls without an answer.
    pub(crate) lost: u32,
    /// Answers to calls that were begun before one that was answered already.
    pub(crate) overtaken: u32,
    last_answered: u64,
}

impl Story {
    /// How much of the limit was used from the second window on, of 1.
    pub(crate) fn used(&self, until: i64) -> f64 {
        let calls = self.admitted.iter().filter(|at| (WINDOW..until).contains(at)).count();
        let windows = (until - WINDOW) / WINDOW;
        let possible = i64::from(LIMIT) * windows;
        f64::from(u32::try_from(calls).unwrap()) / f64::from(u32::try_from(possible).unwrap())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A call comes to the server.
    Arrives(u64),
    /// The answer comes to us, or the connection breaks, or we give up.
    Ends(u64),
    /// The client looks whether it may go on.
    Look,
    /// There is more to do.
    Work,
}

struct Call {
    pass: Pass,
    /// How long the way back takes from the admission on; `None` where no answer comes.
    back: Option<i64>,
    answer: Option<Answer>,
}

struct Answer {
    verdict: Verdict,
    /// The server's clock in whole seconds.
    date: DateTime<Utc>,
}

impl Simulation {
    pub(crate) fn new(seed: u64, window: RateWindow, work: Work) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let began =
            DateTime::from_timestamp_millis(1_800_000_000_000 + random.random_range(0..WINDOW)).unwrap();
        let clock = Clock::standing_at(began);
        Self {
            gate: gate(&clock),
            clock,
            began,
            server: Limits::default(),
            window,
            ahead: TimeDelta::milliseconds(random.random_range(-12 * 3_600_000..12 * 3_600_000)),
            tells_time: random.random_range(0..4) > 0,
            tells_whole_window: window == RateWindow::Sliding && random.random_range(0..4) == 0,
            at_once: random.random_range(4..=16),
            work,
            to_do: 0,
            events: BinaryHeap::from([Reverse((0, 0, Event::Work))]),
            calls: BTreeMap::new(),
            made: 0,
            in_the_dark: BTreeSet::new(),
            has_answers: false,
            looks_at: None,
            story: Story::default(),
            random,
        }
    }

    /// Lets so many milliseconds pass.
    pub(crate) fn run(&mut self, until: i64) {
        while let Some(Reverse((at, _, event))) =
            self.events.peek().copied().filter(|Reverse((at, ..))| *at < until)
        {
            self.events.pop();
            self.clock.advance(self.began + TimeDelta::milliseconds(at) - self.clock.now());
            match event {
                Event::Arrives(id) => self.arrives(at, id),
                Event::Ends(id) => self.ends(id),
                Event::Look => {}
                Event::Work => self.more_work(at),
            }
            self.go_on(at);
        }
    }

    /// The process dies, and what it has sent with it; another begins which knows nothing.
    pub(crate) fn restart(&mut self, now: i64) {
        self.calls.clear();
        self.events.retain(|Reverse((.., event))| *event == Event::Work);
        self.gate = gate(&self.clock);
        self.has_answers = false;
        self.happens(now, Event::Look);
    }

    pub(crate) fn random(&mut self) -> &mut StdRng {
        &mut self.random
    }

    fn happens(&mut self, at: i64, event: Event) {
        self.made += 1;
        self.events.push(Reverse((at, self.made, event)));
    }

    fn more_work(&mut self, at: i64) {
        self.to_do = match self.work {
            Work::Always => u32::MAX,
            Work::InFits => {
                let rest = [2_000, 15_000, 70_000, 200_000][self.random.random_range(0..4)];
                let rest = self.random.random_range(0..rest);
                self.happens(at + rest, Event::Work);
                self.to_do + [1, 1, 1, 10, 60, 150][self.random.random_range(0..6)]
            }
        };
    }

    /// Begins as many calls as may be begun.
    fn go_on(&mut self, now: i64) {
        while self.calls.len() < self.at_once && self.to_do > 0 {
            let (free, wait) = (self.gate.free(), self.gate.wait());
            match self.gate.try_pass() {
                Ok(pass) => {
                    assert!(free > 0 && wait.is_zero(), "free {free}, wait {wait:?}, and it passes");
                    self.begin(now, pass);
                }
                Err(wait) => {
                    assert_eq!(free, 0);
                    let wait = i64::try_from(wait.as_micros()).unwrap().div_euclid(1_000) + 1;
                    if self.looks_at.is_none_or(|at| at <= now || now + wait < at) {
                        self.looks_at = Some(now + wait);
                        self.happens(now + wait, Event::Look);
                    }
                    return;
                }
            }
        }
    }

    fn begin(&mut self, now: i64, pass: Pass) {
        self.to_do -= 1;
        self.made += 1;
        let id = self.made;
        if !self.has_answers {
            self.in_the_dark.insert(id);
        }
        let (forth, back) = (self.way(), self.way() + self.random.random_range(0..200));
        let broken = now + self.random.random_range(50..3_000);
        let ends = match self.random.random_range(0..1_000) {
            // The request is lost, the answer is lost, nothing is ever heard.
            0..5 => Some(broken),
            5..10 => {
                self.happens(now + forth, Event::Arrives(id));
                Some(broken.max(now + forth + 1))
            }
            10..12 => {
                self.happens(now + forth, Event::Arrives(id));
                Some(now + GIVEN_UP_AFTER)
            }
            _ => {
                self.happens(now + forth, Event::Arrives(id));
                None
            }
        };
        if let Some(ends) = ends {
            self.happens(ends, Event::Ends(id));
        }
        self.calls.insert(id, Call { pass, back: ends.is_none().then_some(back), answer: None });
    }

    /// The time of a way: mostly some tenths of a second, now and then seconds.
    fn way(&mut self) -> i64 {
        match self.random.random_range(0..100) {
            0..2 => self.random.random_range(1_000..8_000),
            2..12 => self.random.random_range(200..1_000),
            _ => self.random.random_range(10..250),
        }
    }

    fn arrives(&mut self, at: i64, id: u64) {
        let now = self.began + TimeDelta::milliseconds(at) + self.ahead;
        let mut verdict = self.server.admit("token", now, LIMIT, self.window);
        if self.tells_whole_window {
            verdict.reset = (now + TimeDelta::milliseconds(WINDOW)).timestamp() + 1;
        }
        match verdict.retry_after {
            None => self.story.admitted.push(at),
            Some(_) if self.in_the_dark.contains(&id) => self.story.refused_in_the_dark += 1,
            Some(_) => self.story.refused.push(at),
        }
        let work = self.random.random_range(0..200);
        // Who has asked may be gone.
        let Some(call) = self.calls.get_mut(&id) else { return };
        let date = DateTime::from_timestamp((now + TimeDelta::milliseconds(work)).timestamp(), 0).unwrap();
        call.answer = Some(Answer { verdict, date });
        if let Some(back) = call.back {
            self.happens(at + work + back, Event::Ends(id));
        }
    }

    fn ends(&mut self, id: u64) {
        let Some(call) = self.calls.remove(&id) else { return };
        let Some(Answer { verdict, date }) = call.answer.filter(|_| call.back.is_some()) else {
            self.story.lost += 1;
            return;
        };
        self.has_answers = true;
        self.story.overtaken += u32::from(id < self.story.last_answered);
        self.story.last_answered = id.max(self.story.last_answered);
        let (limit, remaining) = (verdict.limit, verdict.remaining);
        let resets_at = DateTime::from_timestamp(verdict.reset, 0).unwrap();
        if let Some(seconds) = verdict.retry_after {
            self.gate.close_for(Duration::from_secs(u64::try_from(seconds).unwrap()));
        }
        call.pass.report(LimitReport {
            limit,
            remaining,
            resets_at,
            server_time: self.tells_time.then_some(date),
        });
    }
}

fn gate(clock: &Clock) -> Gate {
    Gate::new(clock.clone(), Duration::from_millis(WINDOW.unsigned_abs()))
}
