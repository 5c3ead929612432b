//! The bytes of an attachment: in a file, or made from a seed while they are read.

use std::convert::Infallible;

use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::files::{Files, ReceivedFile};

/// How many bytes are read or made at a time.
pub(super) const PIECE: usize = 64 * 1024;

/// The largest attachment in bytes.
pub(super) const LARGEST_ATTACHMENT: u64 = 1 << 30;

/// The file of an attachment that has arrived, and goes away again unless it becomes a content.
#[derive(Debug)]
pub(super) struct AttachmentFile {
    pub(super) number: u64,
    pub(super) file: ReceivedFile,
}

/// Where the bytes of an attachment come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Content {
    /// A file in the folder of the attachments, named by a number.
    File { number: u64, size: u64, sha256: String },
    /// Bytes that depend on the seed, the size and the content type only.
    Generated(Generated),
}

impl Content {
    /// What has arrived, put in its place.
    pub(super) fn of_file(AttachmentFile { number, file }: &AttachmentFile) -> std::io::Result<Self> {
        file.put()?;
        Ok(Self::File { number: *number, size: file.size, sha256: file.sha256.clone() })
    }

    /// The bytes, read or made while they leave.
    pub(super) async fn body(&self, files: &Files) -> std::io::Result<Body> {
        match self {
            Self::Generated(generated) => {
                Ok(Body::from_stream(stream::iter(generated.pieces()).map(Ok::<_, Infallible>)))
            }
            Self::File { number, .. } => files.body(&number.to_string()).await,
        }
    }

    /// The size in bytes.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::File { size, .. } => *size,
            Self::Generated(generated) => generated.size,
        }
    }
}

/// Bytes made on the fly, so that large ones take no room.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Generated {
    pub(super) seed: u64,
    pub(super) size: u64,
    pub(super) content_type: String,
}

impl Generated {
    /// The bytes in order, in pieces. They begin as a file of the content type does, and each piece differs from all
    /// others, so that a piece which is lost or out of its place is found out.
    pub(super) fn pieces(&self) -> impl Iterator<Item = Bytes> + Send + use<> {
        let (mut left, mut number, seed) = (self.size, 0_u64, self.seed);
        let signature = signature(&self.content_type);
        let is_text = self.content_type.starts_with("text/");
        let pattern = pattern(seed, is_text);
        std::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            let mut piece = pattern.clone();
            overwrite(&mut piece, format!("[{seed:016x} {number:016x}]\n").as_bytes());
            if number == 0 {
                overwrite(&mut piece, signature);
            }
            piece.truncate(usize::try_from(left).unwrap_or(PIECE));
            left -= piece.len() as u64;
            number += 1;
            Some(Bytes::from(piece))
        })
    }

    /// The SHA-256 in hexadecimal.
    pub(super) fn sha256(&self) -> String {
        let mut digest = Sha256::new();
        self.pieces().for_each(|piece| digest.update(&piece));
        hex::encode(digest.finalize())
    }
}

fn overwrite(piece: &mut [u8], beginning: &[u8]) {
    piece.iter_mut().zip(beginning).for_each(|(byte, new)| *byte = *new);
}

/// What programs know a type of file by.
fn signature(content_type: &str) -> &'static [u8] {
    match content_type {
        "application/pdf" => b"%PDF-1.7\n",
        "image/jpeg" => b"\xFF\xD8\xFF\xE0\x00\x10JFIF\x00",
        "image/png" => b"\x89PNG\r\n\x1A\n",
        _ => b"",
    }
}

/// A piece without order (`SplitMix64`), or one of letters for texts.
fn pattern(seed: u64, is_text: bool) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(PIECE);
    while bytes.len() < PIECE {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bytes.extend((mixed ^ (mixed >> 31)).to_le_bytes());
    }
    if is_text {
        for byte in &mut bytes {
            *byte = match *byte % 32 {
                letter @ 0..26 => b'a' + letter,
                31 => b'\n',
                _ => b' ',
            };
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generated(seed: u64, size: u64, content_type: &str) -> Vec<u8> {
        let content = Generated { seed, size, content_type: content_type.to_owned() };
        content.pieces().flat_map(|piece| piece.to_vec()).collect()
    }

    #[test]
    fn generated_bytes_are_as_many_as_said_and_differ_by_seed_and_place() {
        let piece = PIECE as u64;
        for size in [0, 1, 5, piece - 1, piece, piece + 1, 3 * piece] {
            assert_eq!(generated(7, size, "application/pdf").len() as u64, size);
        }
        let bytes = generated(7, 3 * piece, "application/octet-stream");
        assert_eq!(bytes, generated(7, 3 * piece, "application/octet-stream"));
        assert_ne!(bytes, generated(8, 3 * piece, "application/octet-stream"));
        assert_ne!(bytes[..PIECE], bytes[PIECE..2 * PIECE]);
        assert_ne!(bytes[PIECE..2 * PIECE], bytes[2 * PIECE..]);
    }

    #[test]
    fn generated_bytes_look_like_their_type() {
        assert!(generated(1, 100, "application/pdf").starts_with(b"%PDF-"));
        assert!(generated(1, 100, "image/jpeg").starts_with(b"\xFF\xD8\xFF"));
        assert!(String::from_utf8(generated(1, 200_000, "text/plain")).unwrap().is_ascii());
    }

    #[test]
    fn the_digest_is_that_of_the_bytes() {
        let content = Generated { seed: 3, size: 150_000, content_type: "image/png".to_owned() };
        let bytes = generated(3, 150_000, "image/png");
        assert_eq!(content.sha256(), hex::encode(Sha256::digest(&bytes)));
    }
}
