//! Keeping what people do by hand.

use databridge_model::Audit;

use crate::{Broker, Envelope, PublishError};

/// Somebody at work, whose name the audit keeps.
#[derive(Clone, Debug)]
pub struct Auditor {
    broker: Broker,
    by: String,
}

impl Auditor {
    /// Over this connection, for `name@host`.
    pub fn new(broker: &Broker, by: &str) -> Self {
        Self { broker: broker.clone(), by: by.to_owned() }
    }

    /// Who it is.
    pub fn by(&self) -> &str {
        &self.by
    }

    /// Notes on `audit.<what>.<action>` that something was done, and to what. Noted twice under one id within ten
    /// minutes, as when it is begun anew after it broke off, it is kept once.
    pub async fn note(
        &self,
        what: &str,
        action: &str,
        about: String,
        more: Option<String>,
        id: &str,
    ) -> Result<(), PublishError> {
        let (at, by) = (self.broker.clock().now(), self.by.clone());
        let audit = Audit { at, by, action: action.to_owned(), about, more };
        let envelope = Envelope::default().with_id(format!("{action}-{id}"));
        self.broker.publish(format!("audit.{what}.{action}"), &audit, &envelope).await?;
        Ok(())
    }
}
