//! What a client and the broker say to each other until the broker knows who the client is.
//!
//! The same for both framings that SASL has in Kafka. Why somebody is refused is told to the log, never to the client.

use std::sync::Arc;

use super::credentials::Credentials;
use super::plain::PlainMessage;
use super::scram::{self, Challenge, ClientFirst};
use super::token::{BearerMessage, TokenVerifier};
use crate::config::Mechanism;
use crate::security::credentials::Hash;

/// What the broker answers a token that it does not believe (RFC 7628, section 3.2.2).
const TOKEN_REFUSED: &str = r#"{"status":"invalid_token"}"#;

/// An exchange that waits for the client's next message.
pub(crate) enum Exchange {
    /// For its first.
    Begun(Mechanism),
    /// For its proof.
    Proof(Box<Challenge>),
    /// For what a client says that was told that its token is not believed; then it is refused.
    Acknowledgement(Refusal),
}

/// What came of a message.
pub(crate) enum Outcome {
    /// The client has to go on.
    Continue(Vec<u8>, Exchange),
    /// The broker knows who the client is.
    Known {
        /// What the client is told.
        message: Vec<u8>,
        /// Who it is.
        user: String,
        /// Until when that holds, in milliseconds since the epoch.
        expires_ms: Option<i64>,
    },
}

/// Why a client is not let in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Who it says it is.
    pub(crate) user: Option<String>,
    /// What is wrong, for the log.
    pub(crate) reason: &'static str,
}

impl Refusal {
    fn new(user: Option<&str>, reason: &'static str) -> Self {
        Self {
            user: user.map(str::to_owned),
            reason,
        }
    }
}

/// What clients are checked with.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// Passwords.
    pub(crate) credentials: Arc<Credentials>,
    /// Tokens.
    pub(crate) tokens: Option<Arc<TokenVerifier>>,
}

impl Exchange {
    /// Takes the client's next message; may compute for milliseconds.
    pub(crate) fn step(self, message: &[u8], known: &Known, now_ms: i64) -> Result<Outcome, Refusal> {
        match self {
            Self::Begun(Mechanism::Plain) => check_password(message, known),
            Self::Begun(Mechanism::ScramSha256) => challenge(message, Hash::Sha256, known),
            Self::Begun(Mechanism::ScramSha512) => challenge(message, Hash::Sha512, known),
            Self::Begun(Mechanism::OauthBearer) => Ok(check_token(message, known, now_ms)),
            Self::Proof(challenge) => match challenge.finish(message) {
                Ok(proof) => Ok(Outcome::Known {
                    message: proof.into_bytes(),
                    user: challenge.user().to_owned(),
                    expires_ms: None,
                }),
                Err(reason) => Err(Refusal::new(Some(challenge.user()), reason)),
            },
            Self::Acknowledgement(refusal) => Err(refusal),
        }
    }
}

fn check_password(message: &[u8], known: &Known) -> Result<Outcome, Refusal> {
    let message = PlainMessage::parse(message).map_err(|reason| Refusal::new(None, reason))?;
    let (hash, credential) = known.credentials.to_check_password(message.user);
    if !credential.is_of(hash, message.password.as_bytes()) {
        let reason = "the password is wrong, or there is no such user";
        return Err(Refusal::new(Some(message.user), reason));
    }
    Ok(Outcome::Known {
        message: Vec::new(),
        user: message.user.to_owned(),
        expires_ms: None,
    })
}

fn challenge(message: &[u8], hash: Hash, known: &Known) -> Result<Outcome, Refusal> {
    let first = ClientFirst::parse(message).map_err(|reason| Refusal::new(None, reason))?;
    let credential = known.credentials.to_check(&first.user, hash);
    let (message, challenge) = Challenge::begin(hash, &first, credential, &scram::nonce());
    Ok(Outcome::Continue(
        message.into_bytes(),
        Exchange::Proof(Box::new(challenge)),
    ))
}

fn check_token(message: &[u8], known: &Known, now_ms: i64) -> Outcome {
    let verified = BearerMessage::parse(message).and_then(|message| {
        let tokens = known.tokens.as_ref().ok_or("no tokens are believed here")?;
        let verified = tokens.verify(message.token, now_ms)?;
        match message.on_behalf {
            Some(other) if other != verified.user => Err("the client asks to act as somebody else"),
            _ => Ok(verified),
        }
    });
    match verified {
        Ok(verified) => Outcome::Known {
            message: Vec::new(),
            user: verified.user,
            expires_ms: Some(verified.expires_ms),
        },
        Err(reason) => Outcome::Continue(
            TOKEN_REFUSED.as_bytes().to_vec(),
            Exchange::Acknowledgement(Refusal::new(None, reason)),
        ),
    }
}
