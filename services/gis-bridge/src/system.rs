//! The feature service as the runners of the bridge see it.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;
use databridge_bridge::{
    Effect, OutsideSystem, Page, PushTask, Shown, Span, Start, effect_of_error, unknown_collection,
};
use databridge_http::{CallError, ClientError};
use databridge_model::{CollectionName, SystemName};
use databridge_runtime::Clock;

use crate::apply::{self, MOST_EDITS};
use crate::collection::LayerCollection;
use crate::listing;
use crate::place::Place;
use crate::service::{FeatureService, Tally};
use crate::settings::ServiceSettings;

/// A city's feature service, one layer a collection.
#[derive(Debug)]
pub struct GisSystem {
    name: SystemName,
    overlap: TimeDelta,
    service: Arc<FeatureService>,
    collections: BTreeMap<CollectionName, LayerCollection>,
}

impl GisSystem {
    /// The system of these settings. Nothing is called yet.
    pub fn new(settings: ServiceSettings, clock: Clock) -> Result<Self, ClientError> {
        let service = Arc::new(FeatureService::new(settings.address, settings.credential, clock)?);
        let collection = |(name, (declared, part)): (CollectionName, _)| {
            let service = Arc::clone(&service);
            let collection =
                LayerCollection::new(settings.system.clone(), name.clone(), declared, part, service);
            (name, collection)
        };
        let collections = settings.layers.into_iter().map(collection).collect();
        Ok(Self { name: settings.system, overlap: settings.overlap, service, collections })
    }

    fn collection(&self, name: &CollectionName) -> Result<&LayerCollection, CallError> {
        self.collections.get(name).ok_or_else(|| unknown_collection(self, name))
    }
}

impl OutsideSystem for GisSystem {
    type Place = Place;

    fn name(&self) -> &SystemName {
        &self.name
    }

    fn collections(&self) -> Vec<CollectionName> {
        self.collections.keys().cloned().collect()
    }

    async fn start(
        &self,
        collection: &CollectionName,
        span: &Span,
        rested: Option<&Place>,
    ) -> Result<Start<Place>, CallError> {
        let (_, probe) = self.collection(collection)?.look(&Tally::default()).await?;
        Ok(Place::begin(span, rested, probe, self.overlap))
    }

    async fn page(
        &self,
        collection: &CollectionName,
        place: &Place,
        most: usize,
    ) -> Result<Page<Place>, CallError> {
        listing::page(self.collection(collection)?, place, most).await
    }

    fn place_after(&self, place: &Place, record: &Shown) -> Place {
        record.id.parse().map_or_else(|_| place.clone(), |object_id| place.past(object_id))
    }

    async fn by_ids(&self, collection: &CollectionName, ids: &[String]) -> Result<Page<()>, CallError> {
        listing::by_ids(self.collection(collection)?, ids).await
    }

    async fn capacity(&self) -> usize {
        self.service.open().await;
        MOST_EDITS
    }

    fn in_batches(&self, _collection: &CollectionName) -> bool {
        true
    }

    async fn apply(&self, collection: &CollectionName, tasks: Vec<PushTask>) -> Vec<Effect> {
        match self.collection(collection) {
            Ok(found) => apply::apply(&self.service, found, tasks).await,
            Err(error) => vec![effect_of_error(&error, 0); tasks.len()],
        }
    }
}
