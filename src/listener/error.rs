//! Why the broker cannot listen for other machines.

use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::state::StateError;

/// An error of the listener.
#[derive(Debug, thiserror::Error)]
pub enum ListenerError {
    /// Nobody would be kept out, or nobody let in.
    #[error("`--listen` lets other machines in, and there are no {}", missing(*certificates, *users))]
    Missing {
        /// Whether the certificates are missing.
        certificates: bool,
        /// Whether there are no users.
        users: bool,
        /// The name that a certificate must be for.
        host: String,
    },
    /// Clients would refuse the certificate.
    #[error("the broker's certificate is not for `{host}`, but for `{}`", names.join("`, `"))]
    OtherName {
        /// The name that it should be for.
        host: String,
        /// Those it is for.
        names: Vec<String>,
    },
    /// A certificate cannot be made.
    #[error("failed to make a certificate for `{names}`: {source}")]
    Certificate {
        /// The names.
        names: String,
        /// What the library said.
        source: rcgen::Error,
    },
    /// The files cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
}

fn missing(certificates: bool, users: bool) -> &'static str {
    match (certificates, users) {
        (true, true) => "certificates and no users",
        (true, false) => "certificates",
        _ => "users",
    }
}

impl Diagnose for ListenerError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::State(error) => error.exit_code(),
            Self::Missing { .. } | Self::OtherName { .. } | Self::Certificate { .. } => ExitCode::Usage,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Missing {
                certificates,
                users,
                host,
            } => {
                let make = format!("make certificates with `osqdemo certs make --host {host}`");
                let add = "name who may come in with `osqdemo users add NAME`, while the project runs";
                let make = certificates.then_some(make);
                make.into_iter().chain(users.then(|| add.to_owned())).collect()
            }
            Self::OtherName { host, .. } => {
                vec![format!(
                    "make one that is with `osqdemo certs make --host {host}`; the authority stays"
                )]
            }
            Self::Certificate { .. } => vec!["a name is that of a host, or an address".to_owned()],
            Self::State(error) => error.hints(),
        }
    }
}
