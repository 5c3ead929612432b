//! One replica works at a time, whatever becomes of the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use databridge_broker::{Broker, BucketError, Standing, names, one_at_a_time};
use databridge_runtime::CancellationToken;
use futures::StreamExt;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use crate::office::{Office, connect};

/// How long the next event may take: far more than the two seconds after which a lease runs out.
const PATIENCE: Duration = Duration::from_secs(20);

/// Replicas that tell when they begin, and count how many are at work.
struct Replicas {
    began: mpsc::UnboundedReceiver<&'static str>,
    tells: mpsc::UnboundedSender<&'static str>,
    at_work: Arc<AtomicUsize>,
}

impl Replicas {
    fn new() -> Self {
        let (tells, began) = mpsc::unbounded_channel();
        Self { began, tells, at_work: Arc::default() }
    }

    /// A replica that works until it is told to stop.
    fn start(&self, name: &'static str, broker: Broker, stop: CancellationToken) -> JoinHandle<()> {
        let (tells, at_work) = (self.tells.clone(), Arc::clone(&self.at_work));
        tokio::spawn(async move {
            let work = async |stop: CancellationToken| {
                assert_eq!(at_work.fetch_add(1, Ordering::SeqCst), 0, "{name} is not alone at work");
                tells.send(name).unwrap();
                stop.cancelled().await;
                at_work.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, BucketError>(())
            };
            one_at_a_time(&broker, stop, work).await.unwrap();
        })
    }

    /// That nothing begins while the lease is renewed several times over, for longer than it lasts by itself.
    async fn nothing_begins_while_it_is_renewed(&mut self, office: &Office) {
        let client = office.broker.client();
        let mut renewed = client.subscribe("$KV.leases.test").await.unwrap();
        client.flush().await.unwrap();
        for _ in 0..8 {
            tokio::time::timeout(PATIENCE, renewed.next()).await.unwrap().unwrap();
        }
        assert!(self.began.try_recv().is_err(), "another has begun");
    }

    async fn next(&mut self) -> &'static str {
        tokio::time::timeout(PATIENCE, self.began.recv()).await.unwrap().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_stands_by_and_begins_when_the_first_gives_the_lease_back() {
    let office = Office::open().await;
    let mut replicas = Replicas::new();
    let (stop_first, stop_second) = (CancellationToken::new(), CancellationToken::new());
    let first = replicas.start("first", connect(office.nats.url()).await, stop_first.clone());
    assert_eq!(replicas.next().await, "first");
    let broker = connect(office.nats.url()).await;
    let second = replicas.start("second", broker.clone(), stop_second.clone());
    while broker.health().report().standing != Standing::By {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    replicas.nothing_begins_while_it_is_renewed(&office).await;
    stop_first.cancel();
    first.await.unwrap();
    assert_eq!(replicas.next().await, "second");
    assert_eq!(broker.health().report().standing, Standing::AtWork);
    stop_second.cancel();
    second.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_to_stop_while_it_stands_by_stops() {
    let office = Office::open().await;
    let mut replicas = Replicas::new();
    let (stop_first, stop_second) = (CancellationToken::new(), CancellationToken::new());
    let first = replicas.start("first", connect(office.nats.url()).await, stop_first.clone());
    assert_eq!(replicas.next().await, "first");
    let second = replicas.start("second", connect(office.nats.url()).await, stop_second.clone());
    stop_second.cancel();
    tokio::time::timeout(PATIENCE, second).await.unwrap().unwrap();
    stop_first.cancel();
    first.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lease_outlives_a_broker_that_is_killed_and_comes_back() {
    let mut office = Office::open().await;
    let mut replicas = Replicas::new();
    let stop = CancellationToken::new();
    let first = replicas.start("first", connect(office.nats.url()).await, stop.clone());
    assert_eq!(replicas.next().await, "first");
    office.nats.kill9().unwrap();
    office.nats.restart().await.unwrap();
    // It is at work still, and renews what it has: nothing begins anew.
    replicas.nothing_begins_while_it_is_renewed(&office).await;
    assert_eq!(replicas.at_work.load(Ordering::SeqCst), 1);
    stop.cancel();
    first.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_a_loss_of_the_connection_ended_begins_anew_and_work_that_fails_by_itself_ends() {
    let office = Office::open().await;
    let broker = connect(office.nats.url()).await;
    let (nats, times) = (Mutex::new(office.nats), AtomicUsize::new(0));
    let work = async |_: CancellationToken| {
        let mut nats = nats.lock().await;
        if times.fetch_add(1, Ordering::SeqCst) == 0 {
            nats.kill9().unwrap();
        }
        let opened = broker.bucket::<String>(names::LINKS).await;
        if !nats.is_running() {
            nats.restart().await.unwrap();
        }
        opened?;
        Err(BucketError::Unreadable { key: "links/a".to_owned(), why: "it is none".to_owned() })
    };
    let ended = one_at_a_time(&broker, CancellationToken::new(), work);
    let error = tokio::time::timeout(PATIENCE, ended).await.unwrap().unwrap_err();
    assert!(matches!(error, BucketError::Unreadable { .. }), "{error}");
    assert_eq!(times.load(Ordering::SeqCst), 2);
}
