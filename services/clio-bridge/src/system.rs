//! Clio as an outside system.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use databridge_bridge::{
    Effect, OutsideSystem, Page, PushTask, Span, Start, effect_of_error, unknown_collection,
};
use databridge_http::CallError;
use databridge_model::{CollectionName, SystemName};
use futures::future::join_all;

use crate::catalogue::Catalogue;
use crate::client::{ClioClient, OpenError};
use crate::clio::Clio;
use crate::content_source::ContentSource;
use crate::documents::Storage;
use crate::file::ClioFile;
use crate::kind::Kind;
use crate::lister::Place;

/// The most pushes begun at once: enough to hide the way to Clio and back, too few to look like an attack.
const AT_ONCE: u32 = 8;

/// One Clio account, and of it the collections that the system file declares.
#[derive(Debug)]
pub struct ClioSystem {
    name: SystemName,
    clio: Clio,
    /// Parents come before their children.
    kinds: Vec<Box<dyn Kind>>,
}

impl ClioSystem {
    /// Puts the parts together.
    pub fn new(
        file: ClioFile,
        client: ClioClient,
        catalogue: Arc<Catalogue>,
        contents: Arc<dyn ContentSource>,
    ) -> Result<Self, OpenError> {
        let storage = Storage::new()?;
        let overlap = TimeDelta::seconds(file.settings.overlap_seconds.into());
        let clio = Clio { client, catalogue, overlap, lately: Arc::default() };
        let mut kinds: Vec<Box<dyn Kind>> = vec![Box::new(file.matters)];
        kinds.extend(file.notes.map(|notes| Box::new(notes) as Box<dyn Kind>));
        kinds.extend(
            file.documents.map(|documents| Box::new(documents.served(contents, storage)) as Box<dyn Kind>),
        );
        kinds.extend(file.calendar_entries.map(|entries| Box::new(entries) as Box<dyn Kind>));
        Ok(Self { name: file.system, clio, kinds })
    }

    fn kind(&self, collection: &CollectionName) -> Result<&dyn Kind, CallError> {
        let kind = self.kinds.iter().find(|kind| kind.declared().name == *collection);
        kind.map(AsRef::as_ref).ok_or_else(|| unknown_collection(self, collection))
    }
}

impl OutsideSystem for ClioSystem {
    type Place = Place;

    fn name(&self) -> &SystemName {
        &self.name
    }

    fn collections(&self) -> Vec<CollectionName> {
        self.kinds.iter().map(|kind| kind.declared().name.clone()).collect()
    }

    async fn start(
        &self,
        collection: &CollectionName,
        span: &Span,
        rested: Option<&Place>,
    ) -> Result<Start<Place>, CallError> {
        Ok(Clio::begin(self.kind(collection)?, span, rested))
    }

    async fn page(
        &self,
        collection: &CollectionName,
        place: &Place,
        most: usize,
    ) -> Result<Page<Place>, CallError> {
        self.clio.list(self.kind(collection)?, place, most).await
    }

    fn reads_from(&self, place: &Place) -> Option<DateTime<Utc>> {
        place.watermark
    }

    async fn by_ids(&self, collection: &CollectionName, ids: &[String]) -> Result<Page<()>, CallError> {
        self.clio.look_up_ids(self.kind(collection)?, ids).await
    }

    async fn capacity(&self) -> usize {
        let free = self.clio.client.free().await.min(AT_ONCE);
        usize::try_from(free).unwrap_or(1)
    }

    fn calls_per_minute(&self) -> Option<u32> {
        self.clio.client.calls_per_minute()
    }

    fn closed_for(&self) -> Option<Duration> {
        self.clio.client.closed_for()
    }

    fn takes_long(&self, collection: &CollectionName) -> bool {
        self.kind(collection).is_ok_and(Kind::takes_long)
    }

    fn in_batches(&self, _collection: &CollectionName) -> bool {
        false
    }

    async fn apply(&self, collection: &CollectionName, tasks: Vec<PushTask>) -> Vec<Effect> {
        match self.kind(collection) {
            Ok(kind) => join_all(tasks.iter().map(|task| self.clio.push(kind, task))).await,
            Err(error) => vec![effect_of_error(&error, 0); tasks.len()],
        }
    }
}
