//! Two systems in memory, their bridges of the common kind, a real nats-server and the reconciler between them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use databridge_bridge::{Effect, Next, OutsideSystem, Page, Pulls, PushTask, Pushes, Shown, Span, Start};
use databridge_broker::async_nats::jetstream::consumer::PullConsumer;
use databridge_broker::{Broker, async_nats, ensure_topology};
use databridge_config::env::NatsEnv;
use databridge_config::{Collection, ConfigFolder};
use databridge_http::{Budget, CallError};
use databridge_model::{
    CollectionName, Fields, Key, Op, OutcomeResult, PushRequest, RunEvent, SystemName, Value,
};
use databridge_nats_server::NatsServer;
use databridge_runtime::{CancellationToken, Clock};
use futures::StreamExt;
use tokio_util::sync::DropGuard;

/// A record of a system in memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Row {
    pub(crate) fields: Fields,
    pub(crate) parent: Option<String>,
    revision: i64,
}

#[derive(Debug, Default)]
struct Tables {
    rows: BTreeMap<(String, String), Row>,
    clock: i64,
    last_id: u64,
    pushes: Vec<PushRequest>,
}

/// A system whose collections are tables. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    name: SystemName,
    /// Parents first.
    collections: Vec<(CollectionName, Collection)>,
    tables: Arc<Mutex<Tables>>,
    /// The collection whose pushes are not answered at the moment.
    held: tokio::sync::watch::Sender<Option<&'static str>>,
    has_held: Arc<tokio::sync::Notify>,
    /// It does not tell what an update has come to.
    is_silent: bool,
}

impl Memory {
    fn of(config: &ConfigFolder, name: &str) -> Self {
        let name: SystemName = name.parse().unwrap();
        let mut collections: Vec<_> = config.system(&name).unwrap().collections.iter().collect();
        collections.sort_by_key(|(_, collection)| collection.parent.is_some());
        let collections = collections.into_iter().map(|(name, it)| (name.clone(), it.clone())).collect();
        let (held, _) = tokio::sync::watch::channel(None);
        let is_silent = name.as_str() == "map";
        Self { name, collections, tables: Arc::default(), held, has_held: Arc::default(), is_silent }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A person adds a record. Gives its id.
    pub(crate) fn add(&self, collection: &str, parent: Option<&str>, pairs: &[(&str, &str)]) -> String {
        let mut tables = self.lock();
        let fields = pairs.iter().map(|(name, text)| ((*name).to_owned(), Value::text(*text))).collect();
        tables.insert(collection, parent.map(str::to_owned), fields)
    }

    /// A person edits a record.
    pub(crate) fn edit(&self, collection: &str, id: &str, pairs: &[(&str, &str)]) {
        let fields = pairs.iter().map(|(name, text)| ((*name).to_owned(), Value::text(*text))).collect();
        self.lock().set(collection, id, fields);
    }

    /// Lets pushes to a collection wait until [`Memory::release`].
    pub(crate) fn hold(&self, collection: &'static str) {
        self.held.send_replace(Some(collection));
    }

    /// Waits until one is held.
    pub(crate) async fn holds_one(&self) {
        let holds = tokio::time::timeout(Duration::from_secs(20), self.has_held.notified());
        holds.await.expect("no push came to be held");
    }

    /// Lets them go on.
    pub(crate) fn release(&self) {
        self.held.send_replace(None);
    }

    /// A person deletes a record.
    pub(crate) fn delete(&self, collection: &str, id: &str) {
        self.lock().rows.remove(&(collection.to_owned(), id.to_owned()));
    }

    /// The records of a collection.
    pub(crate) fn rows(&self, collection: &str) -> Vec<(String, Row)> {
        let tables = self.lock();
        let of = tables.rows.iter().filter(|((name, _), _)| name == collection);
        of.map(|((_, id), row)| (id.clone(), row.clone())).collect()
    }

    /// A field of a record, as plain text.
    pub(crate) fn value(&self, collection: &str, id: &str, field: &str) -> String {
        let tables = self.lock();
        let row = tables.rows.get(&(collection.to_owned(), id.to_owned()));
        row.and_then(|row| row.fields.get(field)).map(Value::to_plain).unwrap_or_default()
    }

    /// The pushes that were done since the last call.
    pub(crate) fn take_pushes(&self) -> Vec<PushRequest> {
        std::mem::take(&mut self.lock().pushes)
    }

    fn shown(&self, collection: &CollectionName, id: &str, row: Option<&Row>) -> Shown {
        let Some(row) = row else { return Shown { id: id.to_owned(), deleted: true, ..Shown::default() } };
        let declared = &self.collections.iter().find(|(name, _)| name == collection).unwrap().1;
        let mut fields: Fields = declared.fields.keys().map(|name| (name.clone(), Value::Null)).collect();
        fields.extend(row.fields.clone());
        if declared.fields.contains_key("id") {
            fields.insert("id".to_owned(), Value::text(id));
        }
        Shown {
            id: id.to_owned(),
            key: fields.get(&declared.key).and_then(|value| Key::parse(&value.to_plain())),
            parent: row.parent.clone(),
            revision: Some(row.revision),
            deleted: false,
            fields,
            made_by: None,
            handle: serde_json::json!({ "revision": row.revision }),
        }
    }

    fn push(&self, collection: &CollectionName, task: &PushTask) -> Effect {
        let push = &task.push;
        let mut tables = self.lock();
        tables.pushes.push(push.clone());
        let name = collection.as_str();
        let id = match (push.op, &push.target) {
            (Op::Create, _) => tables.insert(name, push.parent.clone(), push.set.clone()),
            (op, Some(target)) => {
                let place = (name.to_owned(), target.id.clone());
                let Some(row) = tables.rows.get(&place) else {
                    return Effect::settled(OutcomeResult::Gone, 1);
                };
                let as_expected = |(name, value): (&String, &Value)| {
                    row.fields.get(name).cloned().unwrap_or_default() == *value
                };
                if !push.expect.iter().all(as_expected) {
                    let shown = self.shown(collection, &target.id, Some(row));
                    return Effect::shown(OutcomeResult::Stale, shown, 1);
                }
                if op == Op::Delete {
                    tables.rows.remove(&place);
                    return Effect::settled(OutcomeResult::Written, 1);
                }
                tables.set(name, &target.id, push.set.clone());
                if self.is_silent {
                    // The id, and neither values nor revision.
                    let shown = Shown { id: target.id.clone(), ..Shown::default() };
                    return Effect::shown(OutcomeResult::Written, shown, 1);
                }
                target.id.clone()
            }
            (_, None) => return Effect::settled(OutcomeResult::Refused, 0),
        };
        let row = tables.rows.get(&(name.to_owned(), id.clone()));
        Effect::shown(OutcomeResult::Written, self.shown(collection, &id, row), 1)
    }
}

impl Tables {
    fn insert(&mut self, collection: &str, parent: Option<String>, fields: Fields) -> String {
        self.last_id += 1;
        self.clock += 1;
        let id = self.last_id.to_string();
        let row = Row { fields, parent, revision: self.clock };
        self.rows.insert((collection.to_owned(), id.clone()), row);
        id
    }

    fn set(&mut self, collection: &str, id: &str, fields: Fields) {
        self.clock += 1;
        let row = self.rows.get_mut(&(collection.to_owned(), id.to_owned())).unwrap();
        row.fields.extend(fields);
        row.revision = self.clock;
    }
}

impl OutsideSystem for Memory {
    /// The revision that was last seen.
    type Place = i64;

    fn name(&self) -> &SystemName {
        &self.name
    }

    fn collections(&self) -> Vec<CollectionName> {
        self.collections.iter().map(|(name, _)| name.clone()).collect()
    }

    async fn start(
        &self,
        _: &CollectionName,
        span: &Span,
        rested: Option<&i64>,
    ) -> Result<Start<i64>, CallError> {
        Ok(Start::Listing(if *span == Span::Whole { 0 } else { rested.copied().unwrap_or(0) }))
    }

    async fn page(&self, collection: &CollectionName, place: &i64, _: usize) -> Result<Page<i64>, CallError> {
        let tables = self.lock();
        let of = tables
            .rows
            .iter()
            .filter(|((name, _), row)| name == collection.as_str() && row.revision > *place);
        let records = of.map(|((_, id), row)| self.shown(collection, id, Some(row))).collect();
        Ok(Page { records, next: Next::End(tables.clock), notices: Vec::new() })
    }

    async fn by_ids(&self, collection: &CollectionName, ids: &[String]) -> Result<Page<()>, CallError> {
        let tables = self.lock();
        let row = |id: &String| tables.rows.get(&(collection.as_str().to_owned(), id.clone()));
        let records = ids.iter().map(|id| self.shown(collection, id, row(id))).collect();
        Ok(Page { records, next: Next::End(()), notices: Vec::new() })
    }

    async fn capacity(&self) -> usize {
        16
    }

    fn in_batches(&self, _: &CollectionName) -> bool {
        false
    }

    async fn apply(&self, collection: &CollectionName, tasks: Vec<PushTask>) -> Vec<Effect> {
        let mut held = self.held.subscribe();
        if held.borrow().is_some_and(|it| it == collection.as_str()) {
            self.has_held.notify_one();
        }
        drop(held.wait_for(|held| *held != Some(collection.as_str())).await);
        tasks.iter().map(|task| self.push(collection, task)).collect()
    }
}

/// A town with its two systems `map` and `office`.
pub(crate) struct Town {
    pub(crate) map: Memory,
    pub(crate) office: Memory,
    clock: Clock,
    broker: Broker,
    _stop: DropGuard,
    _nats: NatsServer,
}

/// What a run told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// What waits for a person.
    pub(crate) parked: Vec<String>,
    /// What a dry run would push, as `<op> <system>.<collection>`.
    pub(crate) would_push: Vec<String>,
    /// The links of which both sides had changed.
    pub(crate) conflicts: Vec<String>,
    pub(crate) errors: Vec<String>,
}

impl Town {
    /// A town with these files, each with its path.
    pub(crate) async fn open(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let config = match ConfigFolder::read(folder.path()) {
            Ok(config) => config,
            Err(error) => panic!("{error}"),
        };
        let nats = NatsServer::ephemeral().await.unwrap();
        let settings = NatsEnv { nats_ack_wait_seconds: 2, ..NatsEnv::at(nats.url()) };
        let clock = Clock::system();
        let connect = || Broker::connect(&settings, "test", clock.clone(), Duration::from_secs(10));
        let broker = connect().await.unwrap();
        ensure_topology(&broker).await.unwrap();
        let (map, office) = (Memory::of(&config, "map"), Memory::of(&config, "office"));
        let stop = CancellationToken::new();
        for system in [map.clone(), office.clone()] {
            let (broker, stop) = (connect().await.unwrap(), stop.clone());
            let system = Arc::new(system);
            let pulls = Pulls::new(broker.clone(), Arc::clone(&system), Budget::none()).run(stop.clone());
            tokio::spawn(async move { Box::pin(pulls).await.unwrap() });
            let pushes = Pushes::new(broker, system, Budget::none()).run(stop);
            tokio::spawn(async move { Box::pin(pushes).await.unwrap() });
        }
        let (of_reconciler, until) = (connect().await.unwrap(), stop.clone());
        tokio::spawn(async move { Box::pin(reconciler::run(of_reconciler, &config, until)).await.unwrap() });
        Self { map, office, clock, broker, _stop: stop.drop_guard(), _nats: nats }
    }

    /// Asks for a sync and goes on.
    pub(crate) async fn ask(&self, system: &str) {
        let subject = format!("sync.request.{system}");
        let stored = self.broker.jetstream().publish(subject, "{}".into()).await.unwrap();
        stored.await.unwrap();
    }

    /// Waits until the reconciler has taken everything of a stream that is not empty, and so much of it is in hand.
    pub(crate) async fn until_read(&self, stream: &str, in_hand: usize) {
        let wait = async {
            loop {
                let found = self.broker.jetstream().get_stream(stream).await.unwrap();
                let reader: PullConsumer = found.get_consumer("reconciler").await.unwrap();
                let info = reader.get_info().await.unwrap();
                let is_read = info.num_pending == 0 && info.num_ack_pending == in_hand;
                if is_read && found.cached_info().state.messages > 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect("it was not read");
    }

    /// Asks for a sync and follows the run to its end.
    pub(crate) async fn sync(&self, system: &str, request: serde_json::Value) -> Told {
        let mut events: async_nats::Subscriber = self.broker.client().subscribe("run.>").await.unwrap();
        self.broker.client().flush().await.unwrap();
        let body = serde_json::to_vec(&request).unwrap();
        let stored =
            self.broker.jetstream().publish(format!("sync.request.{system}"), body.into()).await.unwrap();
        let run = stored.await.unwrap().sequence.to_string();
        let mut told = Told::default();
        let follow = async {
            while let Some(message) = events.next().await {
                let mut tokens = message.subject.split('.').skip(1);
                if tokens.next() != Some(run.as_str()) {
                    continue;
                }
                let event = tokens.next().unwrap_or_default();
                match RunEvent::decode(event, &message.payload) {
                    Ok(RunEvent::Parked(parked)) => told.parked.push(parked.reason),
                    Ok(RunEvent::Conflict(conflict)) => told.conflicts.push(conflict.link),
                    Ok(RunEvent::WouldPush(would)) => {
                        let op = serde_json::to_value(would.op).unwrap();
                        let op = op.as_str().unwrap_or_default();
                        told.would_push.push(format!("{op} {}.{}", would.system, would.collection));
                    }
                    Ok(RunEvent::Summary(summary)) if event == "ended" => {
                        told.errors = summary.errors;
                        return;
                    }
                    _ => {}
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), follow).await.expect("the run did not end");
        told.would_push.sort();
        told
    }

    /// Syncs both systems as a schedule does, and gives what was pushed, as `<op> <system>.<collection>`.
    pub(crate) async fn cycle(&self) -> Vec<String> {
        for system in ["map", "office"] {
            let told = self.sync(system, serde_json::json!({})).await;
            assert_eq!(told.errors, Vec::<String>::new());
        }
        self.pushed()
    }

    /// Time passes.
    pub(crate) fn pass(&self, time: chrono::TimeDelta) {
        self.clock.advance(time);
    }

    /// The day and hour so far from now, as an instant.
    pub(crate) fn in_days(&self, days: i64) -> String {
        let at = self.clock.now() + chrono::TimeDelta::days(days);
        Value::instant(chrono::DateTime::from_timestamp(at.timestamp(), 0).unwrap()).to_plain()
    }

    /// The day of an instant by the office's clock.
    #[expect(clippy::unused_self, reason = "it is the town's own clock")]
    pub(crate) fn local_day(&self, instant: &str) -> String {
        let at = chrono::DateTime::parse_from_rfc3339(instant).unwrap();
        at.with_timezone(&chrono_tz::America::Chicago).date_naive().to_string()
    }

    /// What was pushed since this was last asked.
    pub(crate) fn pushed(&self) -> Vec<String> {
        let mut pushed = Vec::new();
        for system in [&self.map, &self.office] {
            for push in system.take_pushes() {
                let op = serde_json::to_value(push.op).unwrap();
                let fields = push.set.keys().cloned().collect::<Vec<_>>().join(",");
                pushed.push(format!("{} {} {fields}", op.as_str().unwrap_or_default(), system.name));
            }
        }
        pushed.sort();
        pushed
    }

    /// Migrates.
    pub(crate) async fn migrate(&self) -> Told {
        self.sync("map", serde_json::json!({ "mode": "migrate" })).await
    }
}
