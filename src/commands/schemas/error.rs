//! What `osqdemo schemas` can fail with.

use std::path::PathBuf;

use osqdemo_registry_client::{ClientError, SettingsError};

use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::report::printable::printable;

/// Why there is no answer, or not the one that was hoped for.
#[derive(Debug, thiserror::Error)]
pub(super) enum SchemasError {
    /// The registry does not answer, or refuses.
    #[error("{}", printable(&.0.to_string()))]
    Registry(ClientError),
    /// It does not have the subject, or not that version.
    #[error("the registry has no {}", described(.subject, *.version))]
    Unknown {
        /// The subject.
        subject: String,
        /// The version that was asked for.
        version: Option<u32>,
    },
    /// The schema contradicts earlier ones.
    #[error("the schema cannot be registered under `{}`", printable(.subject))]
    Incompatible {
        /// The subject.
        subject: String,
        /// The registry's messages.
        messages: Vec<String>,
    },
    /// The file cannot be read.
    #[error("failed to read the schema from `{}`: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is larger than a schema may be.
    #[error("the schema of `{}` has more than {most} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// How many it may have.
        most: u64,
    },
    /// There is no client for such an address.
    #[error(transparent)]
    Settings(SettingsError),
    /// Asking has ended without an answer.
    #[error("asking the Schema Registry failed: {0}")]
    Internal(String),
}

impl SchemasError {
    /// A question about one subject: that it is not there is said in other words.
    pub(super) fn of_subject(self, subject: &str, version: Option<u32>) -> Self {
        match self {
            Self::Registry(error) if error.is_not_found() => Self::Unknown {
                subject: subject.to_owned(),
                version,
            },
            error => error,
        }
    }
}

impl Diagnose for SchemasError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Registry(ClientError::Away { .. }) => ExitCode::NotRunning,
            Self::Registry(ClientError::Refused {
                status: 404 | 409 | 422,
                ..
            })
            | Self::Unknown { .. }
            | Self::Incompatible { .. }
            | Self::Unreadable { .. }
            | Self::TooLarge { .. } => ExitCode::Usage,
            Self::Registry(_) | Self::Settings(_) | Self::Internal(_) => ExitCode::Internal,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Registry(ClientError::Away { .. }) => {
                vec!["`osqdemo logs schema-registry` shows what it wrote".to_owned()]
            }
            Self::Unknown { .. } => vec!["`osqdemo schemas` lists the subjects".to_owned()],
            Self::Incompatible { .. } => {
                vec!["`osqdemo schemas` shows what may change under each subject".to_owned()]
            }
            _ => Vec::new(),
        }
    }

    fn details(&self) -> Vec<String> {
        match self {
            Self::Incompatible { messages, .. } => {
                messages.iter().map(|message| printable(message)).collect()
            }
            _ => Vec::new(),
        }
    }
}

fn described(subject: &str, version: Option<u32>) -> String {
    let subject = printable(subject);
    match version {
        Some(version) => format!("version {version} of the subject `{subject}`"),
        None => format!("subject `{subject}`"),
    }
}
