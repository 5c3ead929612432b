//! Contents: the bytes of a record, on their way from the system that has them to the one that is to get them.
//!
//! The bridge that is to write asks with [`fetch()`]; the bridge of the system that has the bytes answers with
//! [`serve_content()`] and brings them into the object store `content`, streamed in both directions. They are deleted when
//! the push that they were for is answered, however many attempts it took.

mod ask;
mod serve;
mod store;
mod sweep;

use databridge_http::{CallError, ErrorClass};
use databridge_model::{ContentObject, Failure, FailureClass};
use futures::stream::BoxStream;

pub(crate) use ask::drop_contents_of;
pub use ask::fetch;
pub use serve::{ContentProvider, NoContents, serve_content};
pub use store::ContentReader;

/// A content that has come: what it is, and its bytes.
#[derive(Debug)]
pub struct Content {
    /// Its name in the object store, size and sha256.
    pub object: ContentObject,
    /// The bytes. The end is reached only if size and sha256 are as told; otherwise there is an error instead of the
    /// last bytes.
    pub reader: ContentReader,
}

/// A content as its system gives it.
pub struct OfferedContent {
    /// How many bytes it has.
    pub size: u64,
    /// What it is (`image/jpeg`), where the system says.
    pub content_type: Option<String>,
    /// The bytes, as they come.
    pub bytes: BoxStream<'static, Result<bytes::Bytes, CallError>>,
}

impl std::fmt::Debug for OfferedContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OfferedContent")
            .field("size", &self.size)
            .field("content_type", &self.content_type)
            .finish_non_exhaustive()
    }
}

/// A content did not come.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ContentError {
    /// No bridge of the system is at work.
    #[error("nobody answers for the contents of {0}: its bridge is not at work")]
    NobodyThere(String),
    /// The bridge said nothing any more.
    #[error("the contents of {0} were asked for, and its bridge fell silent")]
    Silent(String),
    /// The bridge says why there is none.
    #[error("{}", .0.message)]
    Refused(Failure),
    /// The object store cannot be used, or has not what it should have.
    #[error("the object store of contents: {0}")]
    Store(String),
}

impl ContentError {
    /// What class of failure it is, seen from the system that was to get the content. Nothing was written there.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NobodyThere(_) | Self::Silent(_) | Self::Store(_) => ErrorClass::Transient,
            Self::Refused(failure) => match failure.class {
                FailureClass::Limited => ErrorClass::Limited(None),
                FailureClass::Unauthorised => ErrorClass::Unauthorised,
                // Of the source, not of the record that is to be written: another try brings nothing.
                FailureClass::Gone | FailureClass::Conflict | FailureClass::Invalid => ErrorClass::Invalid,
                FailureClass::Transient | FailureClass::Unknown => ErrorClass::Transient,
            },
        }
    }
}

impl From<ContentError> for CallError {
    fn from(error: ContentError) -> Self {
        Self { class: error.class(), call: "content".to_owned(), message: error.to_string() }
    }
}
