//! Where the bytes come from that are to be written.

use databridge_bridge::{ContentError, fetch};
use databridge_broker::Broker;
use databridge_model::{ContentObject, RunId, Source};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::io::AsyncRead;

/// Bytes that have come.
pub struct FetchedContent {
    /// Their name, size and sha256.
    pub object: ContentObject,
    /// The bytes.
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
}

impl std::fmt::Debug for FetchedContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FetchedContent").field("object", &self.object).finish_non_exhaustive()
    }
}

/// Gives the contents of other systems' records.
pub trait ContentSource: std::fmt::Debug + Send + Sync + 'static {
    /// The content of a record.
    fn fetch<'a>(
        &'a self,
        source: &'a Source,
        run: Option<RunId>,
    ) -> BoxFuture<'a, Result<FetchedContent, ContentError>>;
}

/// Contents that the other bridges bring into the object store.
#[derive(Debug)]
pub struct ObjectStoreContents(pub Broker);

impl ContentSource for ObjectStoreContents {
    fn fetch<'a>(
        &'a self,
        source: &'a Source,
        run: Option<RunId>,
    ) -> BoxFuture<'a, Result<FetchedContent, ContentError>> {
        async move {
            let content = fetch(&self.0, source, run).await?;
            Ok(FetchedContent { object: content.object, reader: Box::new(content.reader) })
        }
        .boxed()
    }
}
