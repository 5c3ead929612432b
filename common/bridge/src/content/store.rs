//! The object store of contents: streamed in and out, chunk by chunk, in the layout of ADR-20.
//!
//! The client library's own writer leaves the chunks of a broken-off upload behind until they age, and its own reader
//! takes in what the broker sends ahead, however slowly it is read.

use std::fmt::Display;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use bytes::{Buf, Bytes, BytesMut};
use chrono::{DateTime, Utc};
use databridge_broker::async_nats::HeaderMap;
use databridge_broker::async_nats::header::NATS_ROLLUP;
use databridge_broker::async_nats::jetstream::message::StreamMessage;
use databridge_broker::async_nats::jetstream::object_store::{InfoErrorKind, ObjectInfo, ObjectStore};
use databridge_broker::async_nats::jetstream::stream::DirectGetErrorKind;
use databridge_broker::async_nats::jetstream::{self, stream};
use databridge_broker::{Broker, names};
use databridge_http::{CallError, ErrorClass};
use databridge_model::{CollectionName, ContentObject, KeyToken, Source, SystemName};
use databridge_runtime::jittered;
use futures::StreamExt;
use futures::stream::{BoxStream, Stream};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, ReadBuf};

use super::{ContentError, OfferedContent};

/// Bytes of a chunk (ADR-20's own default; nats.md, section 2).
const CHUNK: usize = 128 * 1024;
/// How often a chunk is asked for before the reading is broken off.
const MOST_READS: u32 = 4;

/// Where the sha256 and the type of a content stand in its object's metadata.
const SHA256: &str = "sha256";
const CONTENT_TYPE: &str = "content-type";

/// The object store.
pub(super) struct ContentStore {
    jetstream: jetstream::Context,
    objects: ObjectStore,
    stream: stream::Stream,
}

impl ContentStore {
    pub(super) async fn open(broker: &Broker) -> Result<Self, ContentError> {
        let jetstream = broker.jetstream().clone();
        let objects = jetstream.get_object_store(names::CONTENT).await.map_err(|error| failed(&error))?;
        let stream = format!("OBJ_{}", names::CONTENT);
        let stream = jetstream.get_stream(stream).await.map_err(|error| failed(&error))?;
        Ok(Self { jetstream, objects, stream })
    }

    /// The object of this name, if all of it is there.
    pub(super) async fn whole(&self, name: &str) -> Result<Option<ContentObject>, ContentError> {
        let Some(info) = self.info(name).await? else { return Ok(None) };
        let Some(sha256) = info.metadata.get(SHA256).cloned() else { return Ok(None) };
        // The chunks are older than the object's own message: they may have aged away before it.
        if self.chunks(&info.nuid).await? != info.chunks {
            return Ok(None);
        }
        Ok(Some(ContentObject {
            object: info.name,
            size: info.size as u64,
            sha256,
            content_type: info.metadata.get(CONTENT_TYPE).cloned(),
        }))
    }

    /// Brings all bytes in, and only then makes the object of them. Of one that broke off nothing is left.
    pub(super) async fn put(
        &self,
        name: &str,
        offered: OfferedContent,
        now: DateTime<Utc>,
    ) -> Result<ContentObject, CallError> {
        let before = self.info(name).await?;
        let mut upload = Upload {
            store: self,
            subject: chunks_subject(&uuid::Uuid::now_v7().simple().to_string()),
            chunks: 0,
            finished: false,
        };
        let (size, content_type) = (offered.size, offered.content_type.clone());
        let sha256 = upload.bring(offered).await?;
        let object =
            ContentObject { object: name.to_owned(), size, sha256: hex::encode(&sha256), content_type };
        fail::fail_point!("content.before-object");
        self.tell(&object, &upload, &sha256, now).await?;
        fail::fail_point!("content.after-object");
        upload.finished = true;
        if let Some(before) = before {
            purge(self.stream.clone(), chunks_subject(&before.nuid)).await;
        }
        Ok(object)
    }

    async fn tell(
        &self,
        object: &ContentObject,
        upload: &Upload<'_>,
        sha256: &[u8],
        now: DateTime<Utc>,
    ) -> Result<(), ContentError> {
        let mut metadata = serde_json::Map::new();
        metadata.insert(SHA256.to_owned(), json!(object.sha256));
        metadata.extend(object.content_type.as_ref().map(|kind| (CONTENT_TYPE.to_owned(), json!(kind))));
        let info = json!({
            "name": object.object,
            "bucket": names::CONTENT,
            "nuid": upload.subject.rsplit('.').next(),
            "size": object.size,
            "chunks": upload.chunks,
            "mtime": now.to_rfc3339(),
            "digest": format!("SHA-256={}", URL_SAFE.encode(sha256)),
            "options": { "max_chunk_size": CHUNK },
            "metadata": metadata,
        });
        let subject = object_subject(&URL_SAFE.encode(&object.object));
        let mut headers = HeaderMap::new();
        headers.insert(NATS_ROLLUP, "sub");
        let sent = self.jetstream.publish_with_headers(subject, headers, info.to_string().into()).await;
        sent.map_err(|error| failed(&error))?.await.map(drop).map_err(|error| failed(&error))
    }

    /// Opens an object for reading.
    pub(super) async fn reader(&self, object: &ContentObject) -> Result<ContentReader, ContentError> {
        let gone = || ContentError::Store(format!("`{}` is not there any more", object.object));
        let info = self.info(&object.object).await?.ok_or_else(gone)?;
        let reading = Reading {
            stream: self.stream.clone(),
            subject: chunks_subject(&info.nuid),
            next: 1,
            chunks: info.chunks,
            size: 0,
            digest: Sha256::new(),
            object: object.clone(),
        };
        let chunks = futures::stream::try_unfold(reading, Reading::step).boxed();
        Ok(ContentReader { chunks, left: Bytes::new() })
    }

    /// Deletes an object without a trace: the chunks first, so that of a deletion that breaks off the object still tells.
    /// ADR-20 keeps a mark of each deletion for those who watch the store, which nobody does here; with marks, the list of
    /// what is there would grow with what was.
    pub(super) async fn drop_object(&self, name: &str) -> Result<(), ContentError> {
        let Some(info) = self.info(name).await? else { return Ok(()) };
        for subject in [chunks_subject(&info.nuid), object_subject(&URL_SAFE.encode(name))] {
            self.stream.purge().filter(subject).await.map_err(|error| failed(&error))?;
        }
        Ok(())
    }

    /// The names of the objects of a record.
    pub(super) async fn of(&self, source: &Source) -> Result<Vec<String>, ContentError> {
        let begins = name_of(&source.system, &source.collection, &KeyToken::of(None, &source.id), "");
        let mut subjects =
            self.stream.info_with_subjects(object_subject(">")).await.map_err(|error| failed(&error))?;
        let mut names = Vec::new();
        while let Some(subject) = subjects.next().await {
            let (subject, _) = subject.map_err(|error| failed(&error))?;
            let name = subject.rsplit('.').next().and_then(|name| URL_SAFE.decode(name).ok());
            let name = name.and_then(|name| String::from_utf8(name).ok());
            names.extend(name.filter(|name| name.starts_with(&begins)));
        }
        Ok(names)
    }

    /// The sequence of what was stored last; `None` where nothing is stored.
    pub(super) async fn last(&self) -> Result<Option<u64>, ContentError> {
        let state = self.stream.get_info().await.map_err(|error| failed(&error))?.state;
        Ok((state.messages > 0).then_some(state.last_sequence))
    }

    /// Purges all that was stored up to this sequence; tells how many messages that were.
    pub(super) async fn purge_up_to(&self, last: u64) -> Result<u64, ContentError> {
        let purged = self.stream.purge().sequence(last + 1).await.map_err(|error| failed(&error))?;
        Ok(purged.purged)
    }

    async fn info(&self, name: &str) -> Result<Option<ObjectInfo>, ContentError> {
        match self.objects.info(name).await {
            Ok(info) => Ok(Some(info).filter(|info| !info.deleted)),
            Err(error) if error.kind() == InfoErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }

    /// How many chunks are stored under this name of theirs.
    async fn chunks(&self, nuid: &str) -> Result<usize, ContentError> {
        let subject = chunks_subject(nuid);
        let mut counts = self.stream.info_with_subjects(&subject).await.map_err(|error| failed(&error))?;
        match counts.next().await {
            Some(counted) => Ok(counted.map_err(|error| failed(&error))?.1),
            None => Ok(0),
        }
    }
}

async fn purge(stream: stream::Stream, chunks: String) {
    if let Err(error) = stream.purge().filter(chunks).await {
        tracing::warn!(%error, "Chunks that nobody needs stay in the object store for a day.");
    }
}

/// The name of the object of a record's content of this revision.
pub(super) fn name_of(
    system: &SystemName,
    collection: &CollectionName,
    id: &KeyToken,
    revision: impl Display,
) -> String {
    format!("{system}.{collection}.{id}.{revision}")
}

fn object_subject(encoded_name: &str) -> String {
    format!("$O.{}.M.{encoded_name}", names::CONTENT)
}

fn chunks_subject(nuid: &str) -> String {
    format!("$O.{}.C.{nuid}", names::CONTENT)
}

fn failed(error: &dyn std::error::Error) -> ContentError {
    ContentError::Store(error.to_string())
}

/// An upload under way. Unless it is finished, its chunks are purged when it is dropped.
struct Upload<'a> {
    store: &'a ContentStore,
    subject: String,
    chunks: usize,
    finished: bool,
}

impl Upload<'_> {
    /// Stores all bytes and gives their sha256.
    async fn bring(&mut self, offered: OfferedContent) -> Result<Vec<u8>, CallError> {
        let OfferedContent { size, mut bytes, .. } = offered;
        let (mut digest, mut received, mut chunk) = (Sha256::new(), 0_u64, BytesMut::with_capacity(CHUNK));
        while let Some(piece) = bytes.next().await {
            let mut piece = piece?;
            received += piece.len() as u64;
            if received > size {
                break;
            }
            while piece.has_remaining() {
                let room = CHUNK - chunk.len();
                chunk.extend_from_slice(&piece.split_to(room.min(piece.len())));
                if chunk.len() == CHUNK {
                    let full = std::mem::replace(&mut chunk, BytesMut::with_capacity(CHUNK));
                    self.store_chunk(&mut digest, full.freeze()).await?;
                }
            }
        }
        if received != size {
            let message = format!("the content should have {size} bytes, and {received} came");
            return Err(CallError { class: ErrorClass::Transient, call: "content".to_owned(), message });
        }
        if !chunk.is_empty() {
            self.store_chunk(&mut digest, chunk.freeze()).await?;
        }
        Ok(digest.finalize().to_vec())
    }

    async fn store_chunk(&mut self, digest: &mut Sha256, chunk: Bytes) -> Result<(), ContentError> {
        digest.update(&chunk);
        self.chunks += 1;
        let sent = self.store.jetstream.publish(self.subject.clone(), chunk).await;
        sent.map_err(|error| failed(&error))?.await.map(drop).map_err(|error| failed(&error))?;
        fail::fail_point!("content.after-chunk");
        Ok(())
    }
}

impl Drop for Upload<'_> {
    /// Also where the upload is broken off from outside.
    fn drop(&mut self) {
        if !self.finished && self.chunks > 0 {
            tokio::spawn(purge(self.store.stream.clone(), std::mem::take(&mut self.subject)));
        }
    }
}

/// An object being read: one chunk in memory at a time.
struct Reading {
    stream: stream::Stream,
    subject: String,
    /// The least sequence that the next chunk can have.
    next: u64,
    /// Chunks that are to come.
    chunks: usize,
    size: u64,
    digest: Sha256,
    object: ContentObject,
}

impl Reading {
    async fn step(mut self) -> io::Result<Option<(Bytes, Self)>> {
        if self.chunks == 0 {
            self.checked()?;
            return Ok(None);
        }
        let message = self.chunk().await?;
        fail::fail_point!("content.after-read");
        self.next = message.sequence + 1;
        self.chunks -= 1;
        self.size += message.payload.len() as u64;
        self.digest.update(&message.payload);
        if self.chunks == 0 {
            // Before the last bytes are handed out: who writes them on must not come to a good end.
            self.checked()?;
        }
        Ok(Some((message.payload, self)))
    }

    async fn chunk(&self) -> io::Result<StreamMessage> {
        let mut reads = 0;
        loop {
            let asked = self.stream.direct_get_next_for_subject(self.subject.as_str(), Some(self.next)).await;
            let error = match asked {
                Ok(message) => return Ok(message),
                Err(error) => error,
            };
            reads += 1;
            if error.kind() == DirectGetErrorKind::NotFound || reads >= MOST_READS {
                let why = format!("a chunk of `{}` cannot be read: {error}", self.object.object);
                return Err(io::Error::other(why));
            }
            tokio::time::sleep(jittered(Duration::from_millis(200 << reads))).await;
        }
    }

    fn checked(&self) -> io::Result<()> {
        let sha256 = hex::encode(self.digest.clone().finalize());
        if self.size == self.object.size && sha256 == self.object.sha256 {
            return Ok(());
        }
        let why = format!(
            "`{}` holds {} bytes with the sha256 {sha256}, and not the {} with {} that were told",
            self.object.object, self.size, self.object.size, self.object.sha256
        );
        Err(io::Error::new(io::ErrorKind::InvalidData, why))
    }
}

/// The bytes of a content: to be read, or to be taken chunk by chunk as a stream.
pub struct ContentReader {
    chunks: BoxStream<'static, io::Result<Bytes>>,
    /// What of the last chunk is not read yet.
    left: Bytes,
}

impl std::fmt::Debug for ContentReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContentReader").field("left", &self.left.len()).finish_non_exhaustive()
    }
}

impl Stream for ContentReader {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.left.is_empty() {
            self.chunks.poll_next_unpin(context)
        } else {
            Poll::Ready(Some(Ok(std::mem::take(&mut self.left))))
        }
    }
}

impl AsyncRead for ContentReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.left.is_empty() {
            match ready!(self.chunks.poll_next_unpin(context)) {
                Some(chunk) => self.left = chunk?,
                None => return Poll::Ready(Ok(())),
            }
        }
        let most = buffer.remaining().min(self.left.len());
        buffer.put_slice(&self.left.split_to(most));
        Poll::Ready(Ok(()))
    }
}
