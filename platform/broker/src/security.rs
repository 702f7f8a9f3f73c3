//! Who a client is, and what it may do.
//!
//! A listener with TLS or SASL learns who a client is ([`tls`], [`exchange`]); the [`Principal`] then stands in the
//! session of its connection. What it may do is decided by [`acls`]. Passwords and secrets are in nothing that can be
//! shown: of a user only what SCRAM checks a proof with is kept.
//!
//! It knows neither requests nor sockets.

pub(crate) mod acls;
pub(crate) mod credentials;
pub(crate) mod exchange;
pub(crate) mod plain;
pub(crate) mod scram;
pub(crate) mod store;
pub(crate) mod tls;
pub(crate) mod token;

use std::fmt;
use std::sync::Arc;

/// Who a client is, as ACLs and logs call it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Principal(Arc<str>);

impl Principal {
    /// A user of that name.
    pub(crate) fn user(name: &str) -> Self {
        Self(format!("User:{name}").into())
    }

    /// Somebody who did not say.
    pub(crate) fn anonymous() -> Self {
        Self::user("ANONYMOUS")
    }

    /// `User:NAME`.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A name may hold anything; a line of the log is one line.
        write!(formatter, "{}", self.0.escape_debug())
    }
}
