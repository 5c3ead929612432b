//! The folder with the bytes of documents, written and read in pieces.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use axum::body::Body;
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Content;

/// The largest upload in bytes: S3 takes 5 GiB at once.
const GREATEST_UPLOAD: u64 = 5 << 30;

/// How many bytes are read at a time.
const PIECE: usize = 64 * 1024;

/// Why bytes were not received.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReceiveError {
    /// There are more of them than one upload may have.
    #[error("an upload can have {GREATEST_UPLOAD} bytes at most")]
    TooLarge,
    /// The client went away, or sent fewer bytes than it told.
    #[error("the upload broke off")]
    BrokenOff,
    /// The sandbox's own folder.
    #[error("the upload cannot be written: {0}")]
    File(#[from] std::io::Error),
}

/// A folder with one file for each upload, named by its UUID.
#[derive(Debug, Default)]
pub(crate) struct ContentFiles {
    /// Kept over restarts.
    kept: Option<PathBuf>,
    /// Made when first needed, and removed with the sandbox.
    temporary: OnceLock<TempDir>,
}

impl ContentFiles {
    /// In this folder, or in one that ends with the sandbox.
    pub(crate) fn new(kept: Option<PathBuf>) -> Self {
        Self { kept, temporary: OnceLock::new() }
    }

    fn folder(&self) -> std::io::Result<&Path> {
        if let Some(kept) = &self.kept {
            std::fs::create_dir_all(kept)?;
            return Ok(kept);
        }
        if self.temporary.get().is_none() {
            // Two uploads may both have made one; the second is dropped and so removed.
            drop(self.temporary.set(tempfile::tempdir()?));
        }
        self.temporary.get().map(TempDir::path).ok_or_else(|| std::io::Error::other("no temporary folder"))
    }

    /// Writes what arrives beside the upload's file and moves it into its place once it is whole, so that an upload which
    /// breaks off leaves what was there before.
    pub(crate) async fn receive<E>(
        &self,
        uuid: &str,
        arriving: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<Content, ReceiveError> {
        let folder = self.folder()?;
        let part = Part(folder.join(format!("{uuid}.{:08x}.part", rand::random::<u32>())));
        let mut file = tokio::fs::File::create(&part.0).await?;
        let mut digest = Sha256::new();
        let mut size = 0;
        let mut arriving = std::pin::pin!(arriving);
        while let Some(piece) = arriving.next().await {
            let piece = piece.map_err(|_| ReceiveError::BrokenOff)?;
            size += piece.len() as u64;
            if size > GREATEST_UPLOAD {
                return Err(ReceiveError::TooLarge);
            }
            digest.update(&piece);
            file.write_all(&piece).await?;
        }
        file.flush().await?;
        tokio::fs::rename(&part.0, folder.join(uuid)).await?;
        Ok(Content { size, sha256: hex::encode(digest.finalize()), text: None })
    }

    /// The bytes of an upload, read while they leave.
    pub(crate) async fn body(&self, uuid: &str, content: &Content) -> std::io::Result<Body> {
        if let Some(text) = &content.text {
            return Ok(Body::from(text.clone()));
        }
        let file = tokio::fs::File::open(self.folder()?.join(uuid)).await?;
        Ok(Body::from_stream(stream::try_unfold(file, |mut file| async move {
            let mut piece = vec![0; PIECE];
            let read = file.read(&mut piece).await?;
            piece.truncate(read);
            Ok::<_, std::io::Error>((read > 0).then(|| (Bytes::from(piece), file)))
        })))
    }
}

/// A file being written, which goes away if it is not moved into its place.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        // Nothing is there any more once it was moved.
        drop(std::fs::remove_file(&self.0));
    }
}
