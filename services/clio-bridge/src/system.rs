//! Clio as an outside system.

use std::sync::Arc;

use databridge_bridge::{
    Effect, OutsideSystem, Page, PushTask, Span, Start, effect_of_error, unknown_collection,
};
use databridge_http::CallError;
use databridge_model::{CollectionName, SystemName};
use futures::future::join_all;

use crate::catalogue::Catalogue;
use crate::client::ClioClient;
use crate::listing::Place;
use crate::settings::Matters;

/// The most pushes begun at once: enough to hide the way to Clio and back, too few to look like an attack.
const AT_ONCE: u32 = 8;

/// One Clio account, and of it the matters of one group and practice area.
#[derive(Debug)]
pub struct ClioSystem {
    pub(crate) matters: Matters,
    pub(crate) client: ClioClient,
    pub(crate) catalogue: Arc<Catalogue>,
}

impl ClioSystem {
    /// Puts the parts together.
    pub fn new(matters: Matters, client: ClioClient, catalogue: Arc<Catalogue>) -> Self {
        Self { matters, client, catalogue }
    }

    fn knows(&self, collection: &CollectionName) -> Result<(), CallError> {
        if *collection == self.matters.collection_name {
            Ok(())
        } else {
            Err(unknown_collection(self, collection))
        }
    }
}

impl OutsideSystem for ClioSystem {
    type Place = Place;

    fn name(&self) -> &SystemName {
        &self.matters.system
    }

    fn collections(&self) -> Vec<CollectionName> {
        vec![self.matters.collection_name.clone()]
    }

    async fn start(
        &self,
        collection: &CollectionName,
        span: &Span,
        rested: Option<&Place>,
    ) -> Result<Start<Place>, CallError> {
        self.knows(collection)?;
        Ok(Self::begin(span, rested))
    }

    async fn page(
        &self,
        collection: &CollectionName,
        place: &Place,
        most: usize,
    ) -> Result<Page<Place>, CallError> {
        self.knows(collection)?;
        self.list(place, most).await
    }

    async fn by_ids(&self, collection: &CollectionName, ids: &[String]) -> Result<Page<()>, CallError> {
        self.knows(collection)?;
        self.look_up_ids(ids).await
    }

    async fn capacity(&self) -> usize {
        let free = self.client.free().await.min(AT_ONCE);
        usize::try_from(free).unwrap_or(1)
    }

    fn in_batches(&self, _collection: &CollectionName) -> bool {
        false
    }

    async fn apply(&self, collection: &CollectionName, tasks: Vec<PushTask>) -> Vec<Effect> {
        if let Err(error) = self.knows(collection) {
            return vec![effect_of_error(&error, 0); tasks.len()];
        }
        join_all(tasks.iter().map(|task| self.push(task))).await
    }
}
