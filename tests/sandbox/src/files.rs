//! A folder for the bytes of documents and attachments, written and read in pieces.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use axum::body::Body;
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How many bytes are read at a time.
const PIECE: usize = 64 * 1024;

/// What the name of a file ends in that has not yet arrived, or been taken.
const PART: &str = ".part";

/// Why bytes were not received.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReceiveError {
    /// There are more of them than a file may have.
    #[error("a file can have {0} bytes at most")]
    TooLarge(u64),
    /// The client went away, or what it sent cannot be read.
    #[error("the upload broke off: {0}")]
    BrokenOff(String),
    /// The sandbox's own folder.
    #[error("the file cannot be written: {0}")]
    File(#[from] std::io::Error),
}

/// A folder with files by their names.
#[derive(Debug)]
pub(crate) struct Files {
    /// Kept over restarts.
    kept: Option<PathBuf>,
    /// Made when first needed, and removed with the sandbox.
    temporary: OnceLock<TempDir>,
    /// How many bytes a file can have.
    largest: u64,
}

impl Files {
    /// In this folder, or in one that ends with the sandbox; each file of so many bytes at most.
    pub(crate) fn new(kept: Option<PathBuf>, largest: u64) -> Self {
        Self { kept, temporary: OnceLock::new(), largest }
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

    /// Writes what arrives beside the place of this name. What is there stays until the new file is put there.
    pub(crate) async fn receive<E: std::fmt::Display>(
        &self,
        name: &str,
        arriving: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<ReceivedFile, ReceiveError> {
        let folder = self.folder()?;
        let part = Part(folder.join(format!("{name}.{:08x}{PART}", rand::random::<u32>())));
        let mut file = tokio::fs::File::create(&part.0).await?;
        let (mut digest, mut size) = (Sha256::new(), 0);
        let mut arriving = std::pin::pin!(arriving);
        while let Some(piece) = arriving.next().await {
            let piece = piece.map_err(|error| ReceiveError::BrokenOff(error.to_string()))?;
            size += piece.len() as u64;
            if size > self.largest {
                return Err(ReceiveError::TooLarge(self.largest));
            }
            digest.update(&piece);
            file.write_all(&piece).await?;
        }
        file.flush().await?;
        Ok(ReceivedFile { part, place: folder.join(name), size, sha256: hex::encode(digest.finalize()) })
    }

    /// The bytes of a file, read while they leave.
    pub(crate) async fn body(&self, name: &str) -> std::io::Result<Body> {
        let file = tokio::fs::File::open(self.folder()?.join(name)).await?;
        Ok(Body::from_stream(stream::try_unfold(file, |mut file| async move {
            let mut piece = vec![0; PIECE];
            let read = file.read(&mut piece).await?;
            piece.truncate(read);
            Ok::<_, std::io::Error>((read > 0).then(|| (Bytes::from(piece), file)))
        })))
    }

    /// Removes a file that nobody has any more. A folder that is kept keeps it until the next start, for the state that was
    /// last kept may still need it.
    pub(crate) fn forget(&self, name: &str) {
        if let (None, Ok(folder)) = (&self.kept, self.folder()) {
            // A file that stays does no harm: the folder goes with the sandbox.
            drop(std::fs::remove_file(folder.join(name)));
        }
    }

    /// Removes from a kept folder what did not arrive whole, and what is told to be needed no more.
    pub(crate) fn sweep(&self, is_needless: &dyn Fn(&str) -> bool) -> std::io::Result<()> {
        let Some(folder) = self.kept.as_ref().filter(|folder| folder.exists()) else { return Ok(()) };
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(|name| name.ends_with(PART) || is_needless(name)) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

/// A file that has arrived and is in no place yet. It goes away again unless it is put there.
#[derive(Debug)]
pub(crate) struct ReceivedFile {
    part: Part,
    place: PathBuf,
    /// Its bytes.
    pub(crate) size: u64,
    /// Their digest in hexadecimal.
    pub(crate) sha256: String,
}

impl ReceivedFile {
    /// Puts it in its place, and over what is there.
    pub(crate) fn put(&self) -> std::io::Result<()> {
        std::fs::rename(&self.part.0, &self.place)
    }
}

#[derive(Debug)]
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        // Nothing is there any more once it was put in its place.
        drop(std::fs::remove_file(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn receive(
        files: &Files,
        name: &str,
        pieces: &[Result<&str, &str>],
    ) -> Result<ReceivedFile, ReceiveError> {
        let pieces = pieces.iter().map(|piece| piece.map(|text| Bytes::from(text.to_owned())));
        files.receive(name, stream::iter(pieces.collect::<Vec<_>>())).await
    }

    fn count(files: &Files) -> usize {
        std::fs::read_dir(files.folder().unwrap()).unwrap().count()
    }

    async fn bytes(files: &Files, name: &str) -> Bytes {
        axum::body::to_bytes(files.body(name).await.unwrap(), usize::MAX).await.unwrap()
    }

    #[tokio::test]
    async fn bytes_that_are_refused_or_not_taken_leave_no_file() {
        let files = Files::new(None, 5);
        let too_large = receive(&files, "1", &[Ok("abc"), Ok("def")]).await;
        assert!(matches!(too_large, Err(ReceiveError::TooLarge(5))), "{too_large:?}");
        let broken_off = receive(&files, "1", &[Ok("abc"), Err("gone")]).await;
        assert!(matches!(broken_off, Err(ReceiveError::BrokenOff(_))), "{broken_off:?}");
        drop(receive(&files, "1", &[Ok("abc")]).await.unwrap());
        assert_eq!(count(&files), 0);
    }

    #[tokio::test]
    async fn a_file_is_there_until_another_is_put_over_it_or_nobody_has_it_any_more() {
        let files = Files::new(None, 5);
        let first = receive(&files, "1", &[Ok("abc"), Ok("de")]).await.unwrap();
        first.put().unwrap();
        assert_eq!((first.size, bytes(&files, "1").await), (5, Bytes::from("abcde")));
        drop(first);
        assert!(receive(&files, "1", &[Ok("x"), Err("gone")]).await.is_err());
        assert_eq!(bytes(&files, "1").await, "abcde", "an upload that breaks off leaves what was there");
        receive(&files, "1", &[Ok("new")]).await.unwrap().put().unwrap();
        assert_eq!(bytes(&files, "1").await, "new");
        files.forget("1");
        assert_eq!(count(&files), 0);
    }

    #[tokio::test]
    async fn a_kept_folder_keeps_its_files_until_it_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(Some(folder.path().to_owned()), 5);
        for name in ["1", "2"] {
            receive(&files, name, &[Ok("abc")]).await.unwrap().put().unwrap();
        }
        files.forget("1");
        std::fs::write(folder.path().join("3.0.part"), "ab").unwrap();
        assert_eq!(count(&files), 3);
        files.sweep(&|name| name == "1").unwrap();
        assert_eq!((count(&files), bytes(&files, "2").await), (1, Bytes::from("abc")));
    }
}
