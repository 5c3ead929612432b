//! The state of the ArcGIS half, shared by its requests and its admin side.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use chrono::Duration;
use futures::Stream;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::content::{AttachmentFile, Content, Generated, LARGEST_ATTACHMENT};
use super::layer::Layer;
use super::options::{GisOptions, LayerSource};
use super::tokens::Tokens;
use crate::clock::Clock;
use crate::files::{Files, ReceiveError};

/// How long before the start a ready layer's rows were published, when they carry no dates of their own.
const PUBLISHED_DAYS_AGO: i64 = 2;

/// Everything that a stopped sandbox must find again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Contents {
    pub(super) layers: BTreeMap<u32, Layer>,
    pub(super) tokens: Tokens,
    /// Queries answered: the chance behind an order that was not asked for.
    pub(super) queries: u64,
    /// Files made for attachments, each of which has a number of its own.
    #[serde(default)]
    pub(super) files: u64,
}

impl Contents {
    fn has_file(&self, number: u64) -> bool {
        let rows = self.layers.values().flat_map(|layer| layer.rows.values());
        let mut contents =
            rows.flat_map(|row| row.attachments.values()).map(|attachment| &attachment.content);
        contents.any(|content| matches!(content, Content::File { number: other, .. } if *other == number))
    }
}

/// The ArcGIS half of the sandbox.
#[derive(Debug)]
pub(crate) struct GisState {
    pub(super) clock: Clock,
    pub(super) options: GisOptions,
    pub(super) files: Files,
    /// Digests of contents made on the fly, which take long where those are large.
    digests: Mutex<BTreeMap<Generated, String>>,
    contents: Mutex<Contents>,
}

impl GisState {
    /// A server with the layers and the security of the options.
    pub(crate) fn new(clock: Clock, options: GisOptions) -> Self {
        let now = clock.now();
        let mut layers = BTreeMap::new();
        let made = options.layers.iter().flat_map(|source| match source {
            LayerSource::City(city) => city.layers(now).to_vec(),
            LayerSource::Ready(layer) => vec![Layer::clone(layer)],
        });
        for mut layer in made {
            layer.date_undated(now - Duration::days(PUBLISHED_DAYS_AGO));
            layer.settings.max_record_count = options.max_record_count;
            layers.insert(layer.id, layer);
        }
        let tokens = Tokens::new(&options);
        let contents = Mutex::new(Contents { layers, tokens, queries: 0, files: 0 });
        let files = Files::new(options.attachment_folder.clone(), LARGEST_ATTACHMENT);
        Self { clock, options, files, digests: Mutex::default(), contents }
    }

    /// All tokens that were given since the start.
    pub(crate) fn secrets(&self) -> Vec<String> {
        self.contents().tokens.given()
    }

    /// Rows, switches and tokens, to be given to [`GisState::restore`] after a restart.
    pub(crate) fn snapshot(&self) -> Result<Value, serde_json::Error> {
        serde_json::to_value(&*self.contents())
    }

    /// Takes rows, switches and tokens from a snapshot, in place of those of the options.
    pub(crate) fn restore(&self, snapshot: Value) -> Result<(), serde_json::Error> {
        let restored: Contents = serde_json::from_value(snapshot)?;
        let is_needless = |name: &str| name.parse().is_ok_and(|number| !restored.has_file(number));
        if let Err(error) = self.files.sweep(&is_needless) {
            tracing::warn!(error = %error, "attachments that nobody has any more were not removed");
        }
        *self.contents() = restored;
        Ok(())
    }

    /// Receives the file of an attachment, under a number that none had.
    pub(super) async fn receive<E: std::fmt::Display>(
        &self,
        arriving: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<AttachmentFile, ReceiveError> {
        let number = {
            let mut contents = self.contents();
            contents.files += 1;
            contents.files
        };
        let file = self.files.receive(&number.to_string(), arriving).await?;
        Ok(AttachmentFile { number, file })
    }

    /// Removes what these contents have that no attachment has any more.
    pub(super) fn forget(&self, contents: &[Content]) {
        for content in contents {
            if let Content::File { number, .. } = content {
                self.files.forget(&number.to_string());
            }
        }
    }

    /// The SHA-256 of a content in hexadecimal.
    pub(super) fn sha256(&self, content: &Content) -> String {
        let generated = match content {
            Content::File { sha256, .. } => return sha256.clone(),
            Content::Generated(generated) => generated,
        };
        let known = || self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(digest) = known().get(generated) {
            return digest.clone();
        }
        let digest = generated.sha256();
        known().insert(generated.clone(), digest.clone());
        digest
    }

    pub(super) fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time in milliseconds since 1970.
    pub(super) fn now(&self) -> i64 {
        self.clock.now().timestamp_millis()
    }
}
