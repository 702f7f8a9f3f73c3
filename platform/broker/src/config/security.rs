//! Users, tokens and what happens where no ACL says anything.

use std::fmt;
use std::path::PathBuf;

/// Who may come in where a listener asks for it, and what they may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Security {
    /// Users that are there whatever the broker has been told since; nobody can change them through the protocol.
    pub users: Vec<User>,
    /// Which tokens are believed; without it `OAUTHBEARER` lets nobody in.
    pub tokens: Option<Tokens>,
    /// Principals, as `User:NAME`, that may do everything.
    pub super_users: Vec<String>,
    /// What may be done with a resource that no ACL is about.
    pub without_acl: WithoutAcl,
}

/// A user of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The password.
    pub password: Secret,
}

/// A text that is shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(secret)")
    }
}

/// Which tokens are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// What their signatures are checked with.
    pub keys: TokenKeys,
    /// Who must have issued them (`iss`).
    pub issuer: Option<String>,
    /// Whom one of their `aud` must name.
    pub audience: Option<String>,
    /// The claim that names the user: `sub` in most.
    pub principal_claim: String,
}

/// What the signatures of tokens are checked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenKeys {
    /// Nothing: whoever writes a name into a token is believed. For tests.
    Unsecured,
    /// The keys in this file, a JSON Web Key Set; it is read again when it has changed.
    Jwks(PathBuf),
}

/// What may be done with a resource that no ACL is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WithoutAcl {
    /// Everything, by everybody.
    #[default]
    Allow,
    /// Nothing, except by super users.
    Deny,
}
