//! The folder that holds the bytes of uploaded attachments, written and read in pieces.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use axum::body::Body;
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::content::{Content, PIECE};

/// The largest attachment in bytes.
pub(super) const LARGEST_ATTACHMENT: u64 = 1 << 30;

/// Why bytes were not received.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReceiveError {
    /// There are more of them than an attachment may have.
    #[error("an attachment can have {LARGEST_ATTACHMENT} bytes at most")]
    TooLarge,
    /// The client went away, or what it sent cannot be read.
    #[error("the upload broke off: {0}")]
    BrokenOff(String),
    /// The sandbox's own folder.
    #[error("the attachment cannot be written: {0}")]
    File(#[from] std::io::Error),
}

/// A folder with one file for each uploaded attachment.
#[derive(Debug)]
pub(super) struct AttachmentFiles {
    /// Kept over restarts.
    kept: Option<PathBuf>,
    /// Made when first needed, and removed with the sandbox.
    temporary: OnceLock<TempDir>,
    /// How many bytes a file can have.
    largest: u64,
}

impl AttachmentFiles {
    /// In this folder, or in one that ends with the sandbox.
    pub(super) fn new(kept: Option<PathBuf>) -> Self {
        Self { kept, temporary: OnceLock::new(), largest: LARGEST_ATTACHMENT }
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

    fn path(&self, number: u64) -> std::io::Result<PathBuf> {
        Ok(self.folder()?.join(number.to_string()))
    }

    /// Writes what arrives to the file of this number. The file goes away again unless it is taken as content.
    pub(super) async fn receive<E: std::fmt::Display>(
        &self,
        number: u64,
        arriving: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<ReceivedFile, ReceiveError> {
        let path = self.path(number)?;
        let mut file = tokio::fs::File::create(&path).await?;
        let mut received = ReceivedFile { path: Some(path), number, size: 0, sha256: String::new() };
        let mut digest = Sha256::new();
        let mut arriving = std::pin::pin!(arriving);
        while let Some(piece) = arriving.next().await {
            let piece = piece.map_err(|error| ReceiveError::BrokenOff(error.to_string()))?;
            received.size += piece.len() as u64;
            if received.size > self.largest {
                return Err(ReceiveError::TooLarge);
            }
            digest.update(&piece);
            file.write_all(&piece).await?;
        }
        file.flush().await?;
        received.sha256 = hex::encode(digest.finalize());
        Ok(received)
    }

    /// The bytes, read or made while they leave.
    pub(super) async fn body(&self, content: &Content) -> std::io::Result<Body> {
        match content {
            Content::Generated(generated) => {
                Ok(Body::from_stream(stream::iter(generated.pieces()).map(Ok::<_, std::convert::Infallible>)))
            }
            Content::File { number, .. } => {
                let file = tokio::fs::File::open(self.path(*number)?).await?;
                Ok(Body::from_stream(stream::try_unfold(file, |mut file| async move {
                    let mut piece = vec![0; PIECE];
                    let read = file.read(&mut piece).await?;
                    piece.truncate(read);
                    Ok::<_, std::io::Error>((read > 0).then(|| (Bytes::from(piece), file)))
                })))
            }
        }
    }

    /// Removes the files of contents that no attachment has any more. A folder that is kept keeps them until the next
    /// start, for the state that was last kept may still need them.
    pub(super) fn forget(&self, contents: &[Content]) {
        for content in contents {
            if let (None, Content::File { number, .. }) = (&self.kept, content)
                && let Ok(path) = self.path(*number)
            {
                // A file that stays does no harm: the folder goes with the sandbox.
                drop(std::fs::remove_file(path));
            }
        }
    }

    /// Removes from a kept folder what is not among these numbers.
    pub(super) fn sweep(&self, needed: &dyn Fn(u64) -> bool) -> std::io::Result<()> {
        let Some(folder) = self.kept.as_ref().filter(|folder| folder.exists()) else { return Ok(()) };
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let number = path.file_name().and_then(|name| name.to_str()?.parse().ok());
            if number.is_some_and(|number| !needed(number)) {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// A file just written, which no attachment has yet.
#[derive(Debug)]
pub(super) struct ReceivedFile {
    path: Option<PathBuf>,
    number: u64,
    size: u64,
    sha256: String,
}

impl ReceivedFile {
    /// The file as the content of an attachment.
    pub(super) fn into_content(mut self) -> Content {
        self.path = None;
        Content::File { number: self.number, size: self.size, sha256: std::mem::take(&mut self.sha256) }
    }
}

impl Drop for ReceivedFile {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            drop(std::fs::remove_file(path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn receive(
        files: &AttachmentFiles,
        pieces: &[Result<&str, &str>],
    ) -> Result<ReceivedFile, ReceiveError> {
        let pieces = pieces.iter().map(|piece| piece.map(|text| Bytes::from(text.to_owned())));
        files.receive(1, stream::iter(pieces.collect::<Vec<_>>())).await
    }

    fn count(files: &AttachmentFiles) -> usize {
        std::fs::read_dir(files.folder().unwrap()).unwrap().count()
    }

    #[tokio::test]
    async fn bytes_that_are_refused_leave_no_file() {
        let files = AttachmentFiles { largest: 5, ..AttachmentFiles::new(None) };
        let too_large = receive(&files, &[Ok("abc"), Ok("def")]).await;
        assert!(matches!(too_large, Err(ReceiveError::TooLarge)), "{too_large:?}");
        let broken_off = receive(&files, &[Ok("abc"), Err("gone")]).await;
        assert!(matches!(broken_off, Err(ReceiveError::BrokenOff(_))), "{broken_off:?}");
        drop(receive(&files, &[Ok("abc")]).await.unwrap());
        assert_eq!(count(&files), 0);
    }

    #[tokio::test]
    async fn a_content_has_its_file_until_nobody_has_it_any_more() {
        let files = AttachmentFiles { largest: 5, ..AttachmentFiles::new(None) };
        let content = receive(&files, &[Ok("abc"), Ok("de")]).await.unwrap().into_content();
        assert_eq!((content.size(), count(&files)), (5, 1));
        let body = files.body(&content).await.unwrap();
        assert_eq!(axum::body::to_bytes(body, usize::MAX).await.unwrap(), "abcde");
        files.forget(&[content]);
        assert_eq!(count(&files), 0);
    }
}
