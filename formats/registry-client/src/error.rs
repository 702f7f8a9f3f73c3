//! What a registry's client can fail with. No message holds credentials.

/// Why a client cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// No address was given.
    #[error("no address of a Schema Registry")]
    NoUrl,
    /// An address is not one.
    #[error("`{0}` is not an address of the form `http://HOST:PORT`")]
    Url(String),
    /// The certificates cannot be read.
    #[error("cannot read the certificates of `{path}`: {reason}")]
    Certificates {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
}

/// Why a registry did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers, or answers that it cannot now: it may pass.
    #[error("the Schema Registry at `{url}` does not answer: {reason}")]
    Away {
        /// The address.
        url: String,
        /// What happened.
        reason: String,
    },
    /// It refuses: asking again the same is of no use.
    #[error("the Schema Registry refuses: {message}; error code: {code}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The registry's own code.
        code: u32,
        /// Its words.
        message: String,
    },
    /// What answers is no Schema Registry.
    #[error("what answers at `{url}` is no Schema Registry: {reason}")]
    Foreign {
        /// The address.
        url: String,
        /// What it answered.
        reason: String,
    },
    /// A schema of the registry cannot be read here.
    #[error("the schema {id} cannot be read: {reason}")]
    Schema {
        /// Its id, or its GUID.
        id: String,
        /// Why.
        reason: String,
    },
}

impl ClientError {
    /// Whether it may pass.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Away { .. })
    }

    /// Whether the registry does not have what was asked for.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }
}
