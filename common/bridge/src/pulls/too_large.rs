//! Records that no message can carry.

use databridge_broker::Envelope;
use databridge_model::{DeadLetter, KeyToken, Parked, PullResult, subject};

use super::Part;
use super::trouble::Trouble;
use crate::OutsideSystem;

impl<S: OutsideSystem> Part<'_, S> {
    /// A record that is too large for a message is kept as key, sizes and source.
    pub(super) async fn bury_too_large(&self, records: Vec<PullResult>) -> Result<(), Trouble> {
        for record in records {
            let token = KeyToken::of(record.key.as_ref(), &record.id);
            let mut sizes: Vec<_> =
                record.fields.iter().map(|(name, value)| (value.to_plain().len(), name)).collect();
            sizes.sort_unstable_by(|a, b| b.cmp(a));
            let largest: Vec<_> =
                sizes.iter().take(5).map(|(bytes, name)| format!("{name}: {bytes} bytes")).collect();
            let reason = format!(
                "the record is larger than 512 KiB and cannot be carried; its largest fields: {}. Shorten them in {}",
                largest.join(", "),
                record.system
            );
            let letter = DeadLetter {
                subject: subject::pull(&record.system, &record.collection, &token),
                stream: "PULL".to_owned(),
                sequence: 0,
                body: None,
                body_base64: None,
                error: reason.clone(),
                attempts: Vec::new(),
            };
            let (system, collection) = (record.system.clone(), record.collection.clone());
            let subject =
                subject::dead("pull", Some(system.as_str()), Some(collection.as_str()), Some(token.as_str()));
            self.pulls.broker.publish(subject, &letter, &Envelope::of_run(Some(self.run))).await?;
            let notice =
                Parked { system, collection, id: Some(record.id), key: record.key, field: None, reason };
            self.tell(std::slice::from_ref(&notice)).await?;
        }
        Ok(())
    }
}
