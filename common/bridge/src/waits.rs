//! Telling of pushes that wait because their system cannot be written at the moment.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use databridge_broker::async_nats::jetstream::consumer::PullConsumer;
use databridge_broker::async_nats::jetstream::stream::RawMessageErrorKind;
use databridge_broker::{Broker, ConsumerPlan, Envelope, names};
use databridge_http::policy::{ORDINARY_LIMIT, policy};
use databridge_model::subject;
use databridge_model::{Failure, FailureClass, PushRequest, RunId, SystemName, Waiting};
use tokio::task::JoinSet;

/// A run is told of its waiting pushes no more often than this; so is the log.
pub(crate) const TOLD_APART: Duration = Duration::from_secs(60);

/// How often it is looked whether there is something to tell.
pub(crate) const LOOKED_APART: Duration = Duration::from_secs(1);

/// Longer waits count as this.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// Knows which pushes of a system wait, and tells their runs and the log.
#[derive(Debug)]
pub(crate) struct Waits {
    broker: Broker,
    system: SystemName,
    /// Where its pushes wait.
    queues: Vec<ConsumerPlan>,
    state: Mutex<State>,
}

/// The telling ends with it.
#[derive(Debug)]
pub(crate) struct Telling {
    _task: JoinSet<()>,
}

impl Waits {
    pub(crate) fn new(broker: Broker, system: SystemName, queues: Vec<ConsumerPlan>) -> Arc<Self> {
        Arc::new(Self { broker, system, queues, state: Mutex::new(State::new(Instant::now())) })
    }

    /// Pushes are looked for now; or they are not, for this reason.
    pub(crate) fn looking(&self, why_not: Option<String>) {
        let mut state = self.state();
        state.looked_at = Instant::now();
        state.why_not = why_not;
    }

    /// A push, by its sequence in PUSH, waits for this reason, and for so long as far as is known.
    pub(crate) fn waits(&self, sequence: u64, run: Option<RunId>, why: &Failure, time: Duration) {
        self.state().waits(sequence, run, why, time, Instant::now());
    }

    /// A push was answered: the system can be written. What waits all the same says so at its next turn.
    pub(crate) fn answered(&self) {
        self.state().given_back.clear();
    }

    /// Tells from now on.
    pub(crate) fn telling(self: &Arc<Self>) -> Telling {
        let (mut task, waits) = (JoinSet::new(), Arc::clone(self));
        task.spawn(async move {
            loop {
                tokio::time::sleep(LOOKED_APART).await;
                waits.tell_what_is_due().await;
            }
        });
        Telling { _task: task }
    }

    async fn tell_what_is_due(&self) {
        let why_not = self.state().why_not.clone();
        let due = match why_not {
            Some(why) => self.first_in_line(why).await,
            None => self.state().due(Instant::now()),
        };
        let due = if due.is_empty() && self.state().is_held_up(Instant::now()) {
            self.first_in_line(format!("{} takes no calls at the moment, its limit is used up", self.system))
                .await
        } else {
            due
        };
        for due in due {
            if self.is_answered(&due).await {
                continue;
            }
            if let Err(error) = self.tell(&due).await {
                tracing::debug!(%error, "It could not be told that pushes wait.");
            }
        }
    }

    async fn tell(&self, due: &Due) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let event = Waiting {
            system: self.system.clone(),
            pushes: self.pushes_that_wait().await?,
            reason: in_words(&due.why),
        };
        if self.state().may_be_logged(Instant::now()) {
            tracing::warn!(
                system = %event.system,
                pushes = event.pushes,
                reason = event.reason,
                "Pushes wait; they are done as soon as their system can be written."
            );
        }
        if let Some(run) = due.run {
            let envelope = Envelope::of_run(Some(run));
            self.broker.publish(subject::run(run, "waiting"), &event, &envelope).await?;
        }
        self.state().told.insert(due.run, Instant::now());
        Ok(())
    }

    /// How many pushes to the system have no answer yet.
    async fn pushes_that_wait(&self) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
        let mut pushes = 0;
        for plan in &self.queues {
            let consumer: PullConsumer =
                self.broker.jetstream().get_consumer_from_stream(&plan.durable, plan.stream).await?;
            let info = consumer.cached_info();
            pushes += info.num_pending + u64::try_from(info.num_ack_pending)?;
        }
        Ok(pushes)
    }

    /// Whether the push was answered meanwhile, by another replica; then it is forgotten.
    async fn is_answered(&self, due: &Due) -> bool {
        let Some(sequence) = due.sequence else { return false };
        let Ok(stream) = self.broker.jetstream().get_stream_no_info(names::PUSH).await else { return false };
        let found = stream.get_raw_message(sequence).await;
        let is_answered = found.is_err_and(|error| error.kind() == RawMessageErrorKind::NoMessageFound);
        if is_answered {
            self.state().given_back.remove(&sequence);
        }
        is_answered
    }

    /// The runs of the pushes that are next, while none can even be taken.
    async fn first_in_line(&self, why: String) -> Vec<Due> {
        let Ok(stream) = self.broker.jetstream().get_stream_no_info(names::PUSH).await else {
            return Vec::new();
        };
        let mut due = Vec::new();
        for subject in self.queues.iter().flat_map(|plan| &plan.filters) {
            let Ok(first) = stream.get_first_raw_message_by_subject(subject, 1).await else { continue };
            let push: Option<PushRequest> = serde_json::from_slice(&first.payload).ok();
            let why = Failure { class: FailureClass::Limited, message: why.clone(), field: None };
            due.push(Due { run: push.and_then(|push| push.run), why, sequence: None });
        }
        let state = self.state();
        due.retain(|due| state.may_be_told(due.run, Instant::now()));
        drop(state);
        due.dedup_by_key(|due| due.run);
        due
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run, or what belongs to none, that is to be told.
#[derive(Debug, PartialEq)]
struct Due {
    run: Option<RunId>,
    why: Failure,
    /// One of its pushes that wait, where one is known.
    sequence: Option<u64>,
}

#[derive(Debug)]
struct State {
    /// By their sequence in PUSH.
    given_back: BTreeMap<u64, GivenBack>,
    looked_at: Instant,
    /// Why they are not looked for.
    why_not: Option<String>,
    told: BTreeMap<Option<RunId>, Instant>,
    logged: Option<Instant>,
}

/// A push that went back to its queue.
#[derive(Debug)]
struct GivenBack {
    run: Option<RunId>,
    why: Failure,
    since: Instant,
    until: Instant,
}

impl State {
    fn new(now: Instant) -> Self {
        let (given_back, told) = (BTreeMap::new(), BTreeMap::new());
        Self { given_back, looked_at: now, why_not: None, told, logged: None }
    }

    fn waits(&mut self, sequence: u64, run: Option<RunId>, why: &Failure, time: Duration, now: Instant) {
        let since = self.given_back.get(&sequence).map_or(now, |before| before.since);
        let until = now + time.min(LONGEST_WAIT);
        self.given_back.insert(sequence, GivenBack { run, why: why.clone(), since, until });
    }

    /// Who is to be told now.
    fn due(&self, now: Instant) -> Vec<Due> {
        let mut due: BTreeMap<Option<RunId>, Due> = BTreeMap::new();
        for (sequence, waits) in &self.given_back {
            let patience = policy(waits.why.class).told_after.unwrap_or_default();
            let is_limit = waits.why.class == FailureClass::Limited;
            // How long a limit lasts is known beforehand.
            let is_long = now.duration_since(waits.since) >= patience
                || (is_limit && waits.until.duration_since(now) >= patience);
            if is_long && self.may_be_told(waits.run, now) {
                let mut why = waits.why.clone();
                if is_limit {
                    why.message.push_str(&for_how_long(waits.until.duration_since(now)));
                }
                let of_run = Due { run: waits.run, why, sequence: Some(*sequence) };
                due.insert(waits.run, of_run);
            }
        }
        due.into_values().collect()
    }

    fn may_be_told(&self, run: Option<RunId>, now: Instant) -> bool {
        self.told.get(&run).is_none_or(|at| now.duration_since(*at) >= TOLD_APART)
    }

    fn may_be_logged(&mut self, now: Instant) -> bool {
        let may = self.logged.is_none_or(|at| now.duration_since(at) >= TOLD_APART);
        if may {
            self.logged = Some(now);
        }
        self.told.retain(|_, at| now.duration_since(*at) < TOLD_APART);
        may
    }

    /// Whether no push could be begun for longer than an ordinary limit keeps them.
    fn is_held_up(&self, now: Instant) -> bool {
        now.duration_since(self.looked_at) >= ORDINARY_LIMIT
    }
}

/// `, for 59 more minutes`; nothing where it is over soon.
pub(crate) fn for_how_long(time: Duration) -> String {
    match time.as_secs().div_ceil(60) {
        0 | 1 => String::new(),
        minutes => format!(", for {minutes} more minutes"),
    }
}

fn in_words(why: &Failure) -> String {
    match why.class {
        // Its message says what to do.
        FailureClass::Unauthorised => why.message.clone(),
        FailureClass::Limited => format!("{}; they go on by themselves", why.message),
        _ => format!("{}; it is tried again by itself", why.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(class: FailureClass) -> Failure {
        Failure { class, message: "why".to_owned(), field: None }
    }

    fn runs(due: &[Due]) -> Vec<u64> {
        due.iter().filter_map(|due| Some(due.run?.0)).collect()
    }

    #[test]
    fn each_run_whose_pushes_wait_for_a_sign_in_is_told_soon_and_then_once_a_minute() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut state = State::new(begin);
        for sequence in 1..=60 {
            let run = Some(RunId(if sequence <= 59 { 12 } else { 13 }));
            let why = failure(FailureClass::Unauthorised);
            state.waits(sequence, run, &why, Duration::from_secs(15), at(0));
        }
        assert_eq!(runs(&state.due(at(2))), [12, 13]);
        state.told.insert(Some(RunId(12)), at(2));
        assert_eq!(runs(&state.due(at(61))), [13]);
        assert_eq!(runs(&state.due(at(62))), [12, 13]);
    }

    #[test]
    fn a_limit_is_told_of_only_when_it_lasts_longer_than_its_window() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut state = State::new(begin);
        for (now, time) in [(0, 60), (60, 20)] {
            let why = failure(FailureClass::Limited);
            state.waits(1, Some(RunId(12)), &why, Duration::from_secs(time), at(now));
        }
        assert_eq!(state.due(at(74)), []);
        assert_eq!(runs(&state.due(at(75))), [12], "it waits since it was first given back");
        assert!(!state.is_held_up(at(74)) && state.is_held_up(at(75)));
        state.looked_at = at(75);
        assert!(!state.is_held_up(at(76)));
    }

    #[test]
    fn a_limit_of_an_hour_is_told_of_at_once_with_how_long_it_lasts() {
        let begin = Instant::now();
        let mut state = State::new(begin);
        let hour = Duration::from_secs(3600);
        state.waits(1, Some(RunId(12)), &failure(FailureClass::Limited), hour, begin);
        let due = state.due(begin + Duration::from_secs(1));
        assert_eq!(runs(&due), [12]);
        assert_eq!(in_words(&due[0].why), "why, for 60 more minutes; they go on by themselves");
        // A header may hold any number.
        state.waits(2, Some(RunId(13)), &failure(FailureClass::Limited), Duration::MAX, begin);
        assert_eq!(runs(&state.due(begin)), [12, 13]);
    }

    #[test]
    fn the_log_is_told_once_a_minute_however_many_runs_there_are() {
        let begin = Instant::now();
        let mut state = State::new(begin);
        assert!(state.may_be_logged(begin));
        assert!(!state.may_be_logged(begin + Duration::from_secs(59)));
        assert!(state.may_be_logged(begin + Duration::from_secs(60)));
    }
}
