//! The attachments of a map, of which documents are made, and pushes that bring them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use clio_bridge::{ClioSystem, ContentSource, FetchedContent};
use databridge_bridge::{ContentError, Earlier, OutsideSystem, Shown};
use databridge_model::{ContentObject, PushRequest, RunId, Source};
use futures::FutureExt;
use futures::future::BoxFuture;
use sandbox::clio::hand::{NewDocument, Property, Upload};
use sha2::{Digest, Sha256};

use crate::office::{Office, Settled, create_below, effect, push_id, text, update};

pub(crate) const DOCUMENTS: &str = "documents";

/// The attachments of a map: all have these bytes.
#[derive(Debug, Default)]
pub(crate) struct Attachments {
    bytes: Mutex<Vec<u8>>,
    pub(crate) sha256: Mutex<Option<String>>,
    pub(crate) error: Mutex<Option<ContentError>>,
    fetched: AtomicU32,
}

impl Attachments {
    pub(crate) fn of(bytes: &[u8]) -> Arc<Self> {
        Arc::new(Self { bytes: Mutex::new(bytes.to_vec()), ..Self::default() })
    }

    pub(crate) fn now(&self, bytes: &[u8]) {
        *self.bytes.lock().unwrap() = bytes.to_vec();
    }

    /// How often they were fetched.
    pub(crate) fn fetched(&self) -> u32 {
        self.fetched.load(Ordering::SeqCst)
    }
}

impl ContentSource for Attachments {
    fn fetch<'a>(
        &'a self,
        source: &'a Source,
        _run: Option<RunId>,
    ) -> BoxFuture<'a, Result<FetchedContent, ContentError>> {
        async move {
            assert_eq!(source.id, "7/31");
            if let Some(error) = self.error.lock().unwrap().clone() {
                return Err(error);
            }
            self.fetched.fetch_add(1, Ordering::SeqCst);
            let bytes = self.bytes.lock().unwrap().clone();
            let sha256 = self.sha256.lock().unwrap().clone();
            let object = ContentObject {
                object: "gis.attachments.31.1".to_owned(),
                size: bytes.len() as u64,
                sha256: sha256.unwrap_or_else(|| hex::encode(Sha256::digest(&bytes))),
                content_type: Some("image/png".to_owned()),
            };
            Ok(FetchedContent { object, reader: Box::new(std::io::Cursor::new(bytes)) })
        }
        .boxed()
    }
}

/// The office's bridge with contents from here.
pub(crate) fn bridge(office: &Office, attachments: &Arc<Attachments>) -> ClioSystem {
    let contents = Arc::clone(attachments) as Arc<dyn ContentSource>;
    ClioSystem::new(office.file.clone(), office.client.clone(), Arc::clone(&office.catalogue), contents)
        .unwrap()
}

/// The bridge sees a matter, as it has each to which something is to be added.
pub(crate) async fn see(system: &ClioSystem, matter: i64) {
    let seen = system.by_ids(&Office::collection(), &[matter.to_string()]).await.unwrap();
    assert!(seen.records.iter().all(|matter| !matter.deleted));
}

pub(crate) async fn push(system: &ClioSystem, push: PushRequest, earlier: Option<Earlier>) -> Settled {
    Settled::of(effect(system, DOCUMENTS, push, earlier).await)
}

pub(crate) fn source() -> Source {
    Source {
        system: "gis".parse().unwrap(),
        collection: "attachments".parse().unwrap(),
        id: "7/31".to_owned(),
    }
}

pub(crate) fn picture(matter: i64, size: usize) -> PushRequest {
    let values = [("GIS_ID", text("31")), ("name", text("roof.png")), ("content", text(&size.to_string()))];
    PushRequest { source: Some(source()), ..create_below(matter, &values) }
}

pub(crate) fn replaced(shown: &Shown, size: usize) -> PushRequest {
    PushRequest { source: Some(source()), ..update(shown, &[("content", text(&size.to_string()))]) }
}

pub(crate) fn attempt(office: &Office) -> Earlier {
    Earlier { push: push_id(1), begun: office.clock.now(), others: Vec::new() }
}

pub(crate) fn with_key(matter: i64, key: &str, upload: Upload) -> NewDocument {
    NewDocument {
        matter,
        name: format!("{key}.png"),
        external_properties: vec![Property::new("GIS_ID", key)],
        upload,
        ..NewDocument::default()
    }
}
