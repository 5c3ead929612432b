//! Attachments of a row, and the documents of its matter.

use std::collections::BTreeMap;

use sandbox::client::GisAttachment;
use sandbox::clio::hand::DocumentPage;

use super::super::picture::Picture;
use super::waiting::Waiting;
use super::{Case, Comparison};

/// How documents are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Documents {
    /// The external property that holds the id of the attachment.
    pub property: String,
}

impl Documents {
    pub(super) fn compare(
        &self,
        picture: &Picture,
        cases: &[Case<'_>],
        waiting: &Waiting<'_>,
        found: &mut Comparison,
    ) {
        let cases: BTreeMap<i64, &Case<'_>> = cases.iter().map(|case| (case.id, case)).collect();
        let documents = self.by_attachment(picture);
        for file in &picture.files {
            let id = file.id.to_string();
            let waits = ["gis.attachments", "clio.documents"].iter().any(|it| waiting.has_below(it, &id));
            let Some(case) = cases.get(&file.object_id).filter(|_| !waits) else { continue };
            found.compared.documents += 1;
            let documents = documents.get(&(case.matter.id, id)).map_or(&[][..], Vec::as_slice);
            if let Some(difference) = difference(file, documents) {
                found.differences.push(format!("{}: {} {difference}", case.key, file.name));
            }
        }
    }

    /// The documents that are not in the trash, by their matter and the attachment that each came from.
    pub(crate) fn by_attachment<'a>(
        &self,
        picture: &'a Picture,
    ) -> BTreeMap<(i64, String), Vec<&'a DocumentPage>> {
        let mut documents: BTreeMap<(i64, String), Vec<&DocumentPage>> = BTreeMap::new();
        for document in picture.documents.iter().filter(|document| document.deleted_at.is_none()) {
            if let (Some(matter), Some(id)) = (document.matter, document.property(&self.property)) {
                documents.entry((matter, id.to_owned())).or_default().push(document);
            }
        }
        documents
    }
}

fn difference(file: &GisAttachment, documents: &[&DocumentPage]) -> Option<String> {
    let document = match documents {
        [] => return Some("has no document".to_owned()),
        [document] => document,
        several => return Some(format!("has {} documents", several.len())),
    };
    if document.name != file.name {
        return Some(format!("has the document `{}`, which is another name", document.name));
    }
    let Some(version) = document.current() else {
        return Some("has a document without a file".to_owned());
    };
    (version.sha256.as_deref() != Some(file.sha256.as_str()))
        .then(|| "has other bytes than its document".to_owned())
}
