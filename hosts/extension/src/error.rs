//! What ends the extension.
//!
//! Only what happens before osqueryd relies on the extension is an error here: a configuration that
//! cannot be used, an osqueryd that cannot be reached. Afterwards nothing ends it but its peer or a signal.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use osquery_protocol::ProtocolError;

use crate::configuration::ConfigurationError;
use crate::courier::CourierError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ExtensionError {
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    #[error(transparent)]
    Courier(CourierError),
    #[error("cannot reach osqueryd at `{}` within {patience:?}: {reason}", socket.display())]
    Unreachable {
        socket: PathBuf,
        patience: Duration,
        reason: ProtocolError,
    },
    #[error("osqueryd at `{}` refused the registration for {patience:?}: {reason}", socket.display())]
    Refused {
        socket: PathBuf,
        patience: Duration,
        reason: String,
    },
    #[error("cannot serve the extension's socket: {source}")]
    Serve { source: ProtocolError },
    #[error("cannot start the runtime: {source}")]
    Runtime { source: io::Error },
    #[error("cannot watch for signals: {source}")]
    Signals { source: io::Error },
}

impl From<CourierError> for ExtensionError {
    fn from(error: CourierError) -> Self {
        match error {
            CourierError::Configuration(error) => Self::Configuration(error),
            other => Self::Courier(other),
        }
    }
}

impl ExtensionError {
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Runtime { .. } | Self::Signals { .. } => 1,
            Self::Courier(CourierError::Thread { .. }) => 1,
            Self::Configuration(_) | Self::Courier(_) => 3,
            Self::Unreachable { .. } | Self::Refused { .. } | Self::Serve { .. } => 4,
        })
    }

    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Configuration(error) | Self::Courier(CourierError::Configuration(error)) => error.hint(),
            Self::Courier(CourierError::SpoolTaken { .. }) => {
                Some("give each extension a folder of its own: `spool.dir` in its configuration")
            }
            Self::Courier(CourierError::Thread { .. }) => None,
            Self::Unreachable { .. } => {
                Some("is osqueryd running, and is this the path in its --extensions_socket?")
            }
            Self::Refused { .. } => Some("is another copy of this extension registered already?"),
            Self::Serve { .. } => Some("is the socket's folder writable for this user?"),
            Self::Runtime { .. } | Self::Signals { .. } => None,
        }
    }
}
