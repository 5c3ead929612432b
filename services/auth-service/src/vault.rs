//! The tokens in the KV bucket `tokens`, encrypted.

use databridge_broker::{Broker, Bucket, BucketError, names};
use databridge_seal::{MasterKey, OpenError, SealError, Sealed, SealingKey};
use secrecy::{ExposeSecret as _, SecretString, zeroize::Zeroizing};
use serde::Serialize;

use crate::connection::{Connection, Tokens};

/// The key in the bucket; also what the encryption is bound to.
const CLIO: &str = "clio";

/// The vault cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VaultError {
    /// The bucket cannot be read or written.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// The tokens cannot be opened.
    #[error(
        "the stored tokens of Clio cannot be opened: {0}. Start the auth-service with the key that they were stored \
         under, or run `databridge connect` to store new ones"
    )]
    Closed(#[from] OpenError),
    /// The tokens cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// What was sealed is not what is expected there.
    #[error("the stored tokens of Clio cannot be read; run `databridge connect` to store new ones")]
    Content,
}

impl VaultError {
    /// Whether another wrote first.
    pub(crate) fn is_moved(&self) -> bool {
        matches!(self, Self::Bucket(BucketError::Moved(_)))
    }
}

/// A connection as it was found, with its revision for the compare-and-set.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) connection: Connection,
    pub(crate) revision: u64,
}

/// Keeps the tokens.
pub(crate) struct Vault {
    bucket: Bucket<Connection>,
    key: SealingKey,
}

impl Vault {
    pub(crate) async fn open(broker: &Broker, key: &MasterKey) -> Result<Self, BucketError> {
        Ok(Self { bucket: broker.bucket(names::TOKENS).await?, key: key.derive("vault") })
    }

    /// The stored connection, its tokens still sealed.
    pub(crate) async fn read(&self) -> Result<Option<Held>, BucketError> {
        let found = self.bucket.get(CLIO).await?;
        Ok(found.map(|found| Held { connection: found.value, revision: found.revision }))
    }

    /// Opens the tokens of a connection.
    pub(crate) fn unseal(&self, connection: &Connection) -> Result<Tokens, VaultError> {
        let plain = self.key.open(&connection.tokens, CLIO.as_bytes())?;
        // The parser's own text could show a part of what it read.
        serde_json::from_slice(plain.expose_secret()).map_err(|_| VaultError::Content)
    }

    /// Seals tokens, to be put into a [`Connection`].
    pub(crate) fn seal(&self, tokens: &Tokens) -> Result<Sealed, VaultError> {
        #[derive(Serialize)]
        struct Plain<'a> {
            access_token: &'a str,
            refresh_token: Option<&'a str>,
        }
        let plain = Plain {
            access_token: tokens.access_token.expose_secret(),
            refresh_token: tokens.refresh_token.as_ref().map(SecretString::expose_secret),
        };
        let plain = Zeroizing::new(serde_json::to_vec(&plain).map_err(|_| VaultError::Content)?);
        Ok(self.key.seal(&plain, CLIO.as_bytes())?)
    }

    /// Writes the connection in the place of the one of this revision, or as the first one.
    pub(crate) async fn write(&self, connection: &Connection, over: Option<u64>) -> Result<(), VaultError> {
        match over {
            Some(revision) => self.bucket.update(CLIO, connection, revision).await?,
            None => self.bucket.create(CLIO, connection).await?,
        };
        Ok(())
    }
}
