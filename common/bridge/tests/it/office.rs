//! A broker, and a system whose contents are made up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use databridge_bridge::{ContentError, ContentProvider, OfferedContent, serve_content};
use databridge_broker::{Broker, ensure_topology};
use databridge_config::env::NatsEnv;
use databridge_http::{Budget, CallError, ErrorClass};
use databridge_model::{CollectionName, Name, Source};
use databridge_nats_server::NatsServer;
use databridge_runtime::{CancellationToken, Clock};
use futures::StreamExt;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// How a made-up content behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Behaviour {
    /// So many bytes come.
    Whole(usize),
    /// It breaks off after so many of the bytes that were told.
    BreaksOff { told: usize, after: usize },
    /// It is not there.
    Gone,
}

/// The contents of a system.
#[derive(Clone, Debug)]
pub(crate) struct Shelf {
    pub(crate) behaviour: Arc<std::sync::Mutex<Behaviour>>,
    /// The ids that were asked for.
    pub(crate) opened: Arc<std::sync::Mutex<Vec<String>>>,
    pub(crate) under_way: Arc<AtomicUsize>,
    pub(crate) most_under_way: Arc<AtomicUsize>,
    /// What a transfer waits for before its first byte.
    pub(crate) gate: Arc<Semaphore>,
}

impl Shelf {
    pub(crate) fn open(behaviour: Behaviour) -> Self {
        let shelf = Self::closed(behaviour);
        shelf.gate.add_permits(1_000);
        shelf
    }

    pub(crate) fn closed(behaviour: Behaviour) -> Self {
        Self {
            behaviour: Arc::new(std::sync::Mutex::new(behaviour)),
            opened: Arc::default(),
            under_way: Arc::default(),
            most_under_way: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
        }
    }

    pub(crate) fn opened(&self) -> usize {
        self.opened.lock().unwrap().len()
    }
}

impl ContentProvider for Shelf {
    async fn open(&self, _collection: &CollectionName, id: &str) -> Result<OfferedContent, CallError> {
        self.opened.lock().unwrap().push(id.to_owned());
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_under_way.fetch_max(now, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        let error = |class, message: &str| CallError {
            class,
            call: "GET shelf".to_owned(),
            message: message.to_owned(),
        };
        let (size, after) = match *self.behaviour.lock().unwrap() {
            Behaviour::Whole(size) => (size, size),
            Behaviour::BreaksOff { told, after } => (told, after),
            Behaviour::Gone => return Err(error(ErrorClass::Gone, "there is no such thing")),
        };
        let end = (after < size).then(|| Err(error(ErrorClass::Transient, "the line broke")));
        let bytes = futures::stream::iter(pieces(after).map(Ok).chain(end)).boxed();
        Ok(OfferedContent { size: size as u64, content_type: Some("image/jpeg".to_owned()), bytes })
    }
}

/// So many bytes in pieces as the network would bring them, of no regular size.
pub(crate) fn pieces(size: usize) -> impl Iterator<Item = Bytes> + Send {
    let mut at = 0;
    std::iter::from_fn(move || {
        let piece = (1 + at * 7 % 50_000).min(size - at);
        let bytes: Vec<u8> = (at..at + piece).map(|index| u8::try_from(index % 251).unwrap()).collect();
        at += piece;
        (piece > 0).then(|| bytes.into())
    })
}

pub(crate) struct Office {
    pub(crate) nats: NatsServer,
    pub(crate) broker: Broker,
    pub(crate) stop: CancellationToken,
}

impl Office {
    pub(crate) async fn open() -> Self {
        let nats = NatsServer::ephemeral().await.unwrap();
        let settings = NatsEnv::at(nats.url());
        let broker =
            Broker::connect(&settings, "test", Clock::system(), Duration::from_secs(10)).await.unwrap();
        ensure_topology(&broker).await.unwrap();
        Self { nats, broker, stop: CancellationToken::new() }
    }

    /// Serves the contents of a shelf; returns when it can be asked.
    pub(crate) async fn serve(&self, of: &Shelf) -> JoinHandle<Result<(), ContentError>> {
        let serving =
            serve_content(self.broker.clone(), name("gis"), of.clone(), Budget::none(), self.stop.clone());
        let serving = tokio::spawn(serving);
        let probe = || self.broker.client().request("content.gis.photos.probe", "".into());
        within(async { while probe().await.is_err() {} }).await;
        serving
    }

    /// Messages of the object store: chunks, and what tells of objects.
    pub(crate) async fn stored(&self, subject: &str) -> usize {
        let stream = self.broker.jetstream().get_stream("OBJ_content").await.unwrap();
        let mut counts = stream.info_with_subjects(subject).await.unwrap();
        let mut count = 0;
        while let Some(next) = counts.next().await {
            count += next.unwrap().1;
        }
        count
    }
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub(crate) fn photo(id: &str) -> Source {
    Source { system: name("gis"), collection: name("photos"), id: id.to_owned() }
}

/// The event that a test waits for, in good time.
pub(crate) async fn within<T>(event: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), event).await.expect("it did not come in time")
}
