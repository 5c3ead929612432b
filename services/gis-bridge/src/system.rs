//! The feature service as the runners of the bridge see it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use databridge_bridge::{
    ContentProvider, Effect, OutsideSystem, Page, PushTask, Shown, Span, Start, effect_of_error,
    unknown_collection,
};
use databridge_http::{Budget, CallError, ClientError, ErrorClass};
use databridge_model::{CollectionName, SystemName};
use databridge_runtime::Clock;

use crate::apply::{self, MOST_EDITS};
use crate::attachments::{AttachmentCollection, ids_in};
use crate::collection::LayerCollection;
use crate::contents::AttachmentContents;
use crate::listing;
use crate::place::Place;
use crate::row_id::object_id_in;
use crate::service::{FeatureService, Tally};
use crate::settings::{AttachmentPart, ServiceSettings};

/// A city's feature service: a collection is a layer, or the attachments of one.
#[derive(Debug)]
pub struct GisSystem {
    name: SystemName,
    overlap: TimeDelta,
    service: Arc<FeatureService>,
    layers: BTreeMap<CollectionName, Arc<LayerCollection>>,
    attachments: BTreeMap<CollectionName, Arc<AttachmentCollection>>,
}

/// One of its collections.
enum Kind<'a> {
    Layer(&'a LayerCollection),
    Attachments(&'a AttachmentCollection),
}

impl GisSystem {
    /// The system of these settings, whose calls are paid from the budget. Nothing is called yet.
    pub fn new(settings: ServiceSettings, budget: Budget, clock: &Clock) -> Result<Self, ClientError> {
        let ServiceSettings { address, credential, .. } = settings;
        let service = Arc::new(FeatureService::new(address, credential, budget, clock.clone())?);
        let collection = |(name, (declared, part)): (CollectionName, _)| {
            let service = Arc::clone(&service);
            let system = settings.system.clone();
            let collection =
                LayerCollection::new(system, name.clone(), declared, part, service, clock.clone());
            (name, Arc::new(collection))
        };
        let layers: BTreeMap<_, _> = settings.layers.into_iter().map(collection).collect();
        let attached = |(name, part): (CollectionName, AttachmentPart)| {
            let (of, service) = (Arc::clone(layers.get(&part.of)?), Arc::clone(&service));
            let collection = AttachmentCollection::new(settings.system.clone(), name.clone(), of, service);
            Some((name, Arc::new(collection)))
        };
        let attachments = settings.attachments.into_iter().filter_map(attached).collect();
        Ok(Self { name: settings.system, overlap: settings.overlap, service, layers, attachments })
    }

    fn collection(&self, name: &CollectionName) -> Result<Kind<'_>, CallError> {
        let layer = self.layers.get(name).map(|layer| Kind::Layer(layer));
        let attachments = || self.attachments.get(name).map(|attachments| Kind::Attachments(attachments));
        layer.or_else(attachments).ok_or_else(|| unknown_collection(self, name))
    }
}

impl OutsideSystem for GisSystem {
    type Place = Place;

    fn name(&self) -> &SystemName {
        &self.name
    }

    fn collections(&self) -> Vec<CollectionName> {
        // What hangs on rows comes just after them: one look at the layer then serves both.
        let mut names = Vec::new();
        for rows in self.layers.keys() {
            names.push(rows.clone());
            let on_them = self.attachments.iter().filter(|(_, attachments)| attachments.hang_on(rows));
            names.extend(on_them.map(|(name, _)| name.clone()));
        }
        names
    }

    async fn start(
        &self,
        collection: &CollectionName,
        span: &Span,
        rested: Option<&Place>,
    ) -> Result<Start<Place>, CallError> {
        let probe = match self.collection(collection)? {
            Kind::Layer(layer) => layer.look(&Tally::default()).await?.1.probe,
            Kind::Attachments(attachments) => attachments.probe(span).await?,
        };
        Ok(Place::begin(span, rested, probe, self.overlap))
    }

    async fn page(
        &self,
        collection: &CollectionName,
        place: &Place,
        most: usize,
    ) -> Result<Page<Place>, CallError> {
        match self.collection(collection)? {
            Kind::Layer(layer) => listing::page(layer, place, most).await,
            Kind::Attachments(attachments) => attachments.page(place, most).await,
        }
    }

    fn place_after(&self, place: &Place, record: &Shown) -> Place {
        match ids_in(&record.id) {
            // The other attachments of its row may come after it.
            Some((object_id, _)) => place.past(object_id - 1),
            None => object_id_in(&record.id).map_or_else(|| place.clone(), |object_id| place.past(object_id)),
        }
    }

    fn reads_from(&self, place: &Place) -> Option<DateTime<Utc>> {
        place.reads_from()
    }

    async fn by_ids(&self, collection: &CollectionName, ids: &[String]) -> Result<Page<()>, CallError> {
        match self.collection(collection)? {
            Kind::Layer(layer) => listing::by_ids(layer, ids).await,
            Kind::Attachments(attachments) => attachments.by_ids(ids).await,
        }
    }

    async fn capacity(&self) -> usize {
        self.service.open().await;
        MOST_EDITS
    }

    fn closed_for(&self) -> Option<Duration> {
        self.service.closed_for()
    }

    fn in_batches(&self, collection: &CollectionName) -> bool {
        self.layers.contains_key(collection)
    }

    async fn apply(&self, collection: &CollectionName, tasks: Vec<PushTask>) -> Vec<Effect> {
        match self.collection(collection) {
            Ok(Kind::Layer(layer)) => apply::apply(&self.service, layer, tasks).await,
            Ok(Kind::Attachments(_)) => {
                let error = CallError {
                    class: ErrorClass::Invalid,
                    call: format!("{}.{collection}", self.name),
                    message: "attachments are shown, and not written; no route may write them".to_owned(),
                };
                vec![effect_of_error(&error, 0); tasks.len()]
            }
            Err(error) => vec![effect_of_error(&error, 0); tasks.len()],
        }
    }

    fn contents(&self) -> Option<impl ContentProvider + use<>> {
        let (service, collections) = (Arc::clone(&self.service), self.attachments.clone());
        (!collections.is_empty()).then_some(AttachmentContents { service, collections })
    }
}
