//! The records of conflicts, kept until a person has looked at them.

use databridge_broker::{Broker, Bucket, BucketError, names};
use databridge_model::{ConflictRecord, RunId};

use crate::link::Link;

/// The bucket `conflicts`.
#[derive(Debug)]
pub(crate) struct Conflicts {
    bucket: Bucket<ConflictRecord>,
}

impl Conflicts {
    /// Opens the bucket.
    pub(crate) async fn open(broker: &Broker) -> Result<Self, BucketError> {
        Ok(Self { bucket: broker.bucket(names::CONFLICTS).await? })
    }

    /// Keeps the records that a link says may not be kept yet. One that is there already, maybe settled, stays as it is.
    pub(crate) async fn keep(&self, link_name: &str, link: &Link) -> Result<(), BucketError> {
        for (number, record) in &link.untold {
            match self.bucket.create(&format!("{link_name}.{number}"), record).await {
                Ok(_) | Err(BucketError::Moved(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Numbers new records in their link, from where they are put into the bucket.
pub(crate) fn number(link: &mut Link, records: &[ConflictRecord], run: Option<RunId>) {
    for record in records {
        link.conflict_count += 1;
        link.untold.insert(link.conflict_count, ConflictRecord { run, ..record.clone() });
    }
}
