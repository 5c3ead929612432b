//! The state of the ArcGIS half, shared by its requests and its admin side.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
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
pub struct GisState {
    pub(super) clock: Clock,
    pub(super) options: GisOptions,
    contents: Mutex<Contents>,
    changes: AtomicU64,
}

impl GisState {
    /// A server with the layers and the security of the options.
    pub fn new(clock: Clock, options: GisOptions) -> Self {
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
        Self { clock, options, contents, changes: AtomicU64::new(0) }
    }

    /// A number that grows with every change of rows, settings or tokens.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Rows, switches and tokens, to be given to [`GisState::restore`] after a restart.
    pub fn snapshot(&self) -> Value {
        serde_json::to_value(&*self.contents()).unwrap_or_default()
    }

    /// Takes rows, switches and tokens from a snapshot, in place of those of the options.
    pub fn restore(&self, snapshot: Value) -> Result<(), serde_json::Error> {
        *self.contents() = serde_json::from_value(snapshot)?;
        Ok(())
    }

    pub(super) fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells that the contents are no longer those of the last snapshot. Called while they are locked.
    pub(super) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// The time in milliseconds since 1970.
    pub(super) fn now(&self) -> i64 {
        self.clock.now().timestamp_millis()
    }
}
