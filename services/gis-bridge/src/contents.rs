//! The contents of attachments, for the bridge of the system that is to get them.

use std::collections::BTreeMap;
use std::sync::Arc;

use databridge_bridge::{ContentProvider, OfferedContent};
use databridge_http::{CallError, ErrorClass};
use databridge_model::CollectionName;

use crate::attachments::{AttachmentCollection, ids_in};
use crate::service::{FeatureService, Tally};

/// Gives the contents of the collections of attachments.
#[derive(Debug)]
pub(crate) struct AttachmentContents {
    pub(crate) service: Arc<FeatureService>,
    pub(crate) collections: BTreeMap<CollectionName, Arc<AttachmentCollection>>,
}

impl ContentProvider for AttachmentContents {
    async fn open(&self, collection: &CollectionName, id: &str) -> Result<OfferedContent, CallError> {
        let invalid = |message: String| CallError {
            class: ErrorClass::Invalid,
            call: format!("content of {collection} {id}"),
            message,
        };
        let attachments = self
            .collections
            .get(collection)
            .ok_or_else(|| invalid(format!("`{collection}` is no collection of attachments")))?;
        let ids = ids_in(id).ok_or_else(|| {
            invalid("an attachment's id is <object id>/<attachment id>, both of them numbers".to_owned())
        })?;
        let gone = || CallError {
            class: ErrorClass::Gone,
            call: format!("content of {collection} {id}"),
            message: "there is no such attachment (any more)".to_owned(),
        };
        let download = match self.service.download(attachments.layer_number(), ids, &Tally::of_a_push()).await
        {
            Ok(download) => download,
            Err(refusal) => {
                // Of an attachment that is not there a server says what it says of any wrong request.
                let may_be_gone = refusal.divisible || refusal.error.class == ErrorClass::Gone;
                let is_gone = may_be_gone && attachments.one(ids).await?.is_none();
                return Err(if is_gone { gone() } else { refusal.error });
            }
        };
        let size = match (&download.doubt, download.size) {
            (None, Some(came)) if attachments.size_shown(ids) == Some(came) => came,
            (doubt, came) => {
                let told = attachments.one(ids).await?.ok_or_else(gone)?.size;
                if let Some(came) = came.filter(|came| *came != told) {
                    // A file may read like a refusal. Then it is as long as the server tells.
                    let broken = || CallError {
                        class: ErrorClass::Transient,
                        message: format!("{came} bytes come, and the attachment has {told}"),
                        ..gone()
                    };
                    return Err(doubt.as_ref().map_or_else(broken, |doubt| doubt.error.clone()));
                }
                told
            }
        };
        Ok(OfferedContent { size, content_type: download.content_type, bytes: download.bytes })
    }
}
