//! The state of the ArcGIS half, shared by its requests and its admin side.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::Duration;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::layer::Layer;
use super::options::{GisOptions, LayerSource};
use super::tokens::Tokens;
use crate::city;
use crate::clock::Clock;

/// How long before the start a ready layer's rows were published, when they carry no dates of their own.
const PUBLISHED_DAYS_AGO: i64 = 2;

/// Everything that a stopped sandbox must find again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Contents {
    pub(super) layers: BTreeMap<u32, Layer>,
    pub(super) tokens: Tokens,
    /// Queries answered: the chance behind an order that was not asked for.
    pub(super) queries: u64,
}

/// The ArcGIS half of the sandbox.
#[derive(Debug)]
pub(crate) struct GisState {
    pub(super) clock: Clock,
    pub(super) options: GisOptions,
    contents: Mutex<Contents>,
}

impl GisState {
    /// A server with the layers and the security of the options.
    pub(crate) fn new(clock: Clock, options: GisOptions) -> Self {
        let now = clock.now();
        let mut layers = BTreeMap::new();
        for source in &options.layers {
            let mut layer = match source {
                LayerSource::City { count, seed } => {
                    let mut layer = city::active_litigations();
                    layer.load(city::sample_city(*count, *seed, now));
                    layer
                }
                LayerSource::Ready(layer) => layer.clone(),
            };
            layer.date_undated(now - Duration::days(PUBLISHED_DAYS_AGO));
            layer.settings.max_record_count = options.max_record_count;
            layers.insert(layer.id, layer);
        }
        let tokens = Tokens::new(&options);
        let contents = Mutex::new(Contents { layers, tokens, queries: 0 });
        Self { clock, options, contents }
    }

    /// Rows, switches and tokens, to be given to [`GisState::restore`] after a restart.
    pub(crate) fn snapshot(&self) -> Result<Value, serde_json::Error> {
        serde_json::to_value(&*self.contents())
    }

    /// Takes rows, switches and tokens from a snapshot, in place of those of the options.
    pub(crate) fn restore(&self, snapshot: Value) -> Result<(), serde_json::Error> {
        *self.contents() = serde_json::from_value(snapshot)?;
        Ok(())
    }

    pub(super) fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time in milliseconds since 1970.
    pub(super) fn now(&self) -> i64 {
        self.clock.now().timestamp_millis()
    }
}
