//! Who asks: the client's side of SASL, as `security` has the broker's.

use std::io;
use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use kafka_protocol::messages::{SaslAuthenticateRequest, SaslHandshakeRequest};
use kafka_protocol::protocol::StrBytes;
use subtle::ConstantTimeEq;

use super::connection::Connection;
use crate::config::{Mechanism, Secret};
use crate::security::credentials::{Hash, salt_password};
use crate::security::scram::nonce;

/// What announces a mechanism, and what carries its messages, since Kafka 1.0.
const HANDSHAKE: i16 = 1;
const AUTHENTICATE: i16 = 0;

/// A broker that asks for more rounds of PBKDF2 would keep this machine busy; Kafka's own never ask for more than 16,384.
const MAX_ROUNDS: u32 = 200_000;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// SASL PLAIN: a user with a password, which the broker is told.
    Plain {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
    /// SCRAM-SHA-256: a user with a password, which the broker is shown to be known.
    ScramSha256 {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
    /// SCRAM-SHA-512.
    ScramSha512 {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
    /// OAUTHBEARER: a token.
    Token(Secret),
}

impl Login {
    fn mechanism(&self) -> Mechanism {
        match self {
            Self::Plain { .. } => Mechanism::Plain,
            Self::ScramSha256 { .. } => Mechanism::ScramSha256,
            Self::ScramSha512 { .. } => Mechanism::ScramSha512,
            Self::Token(_) => Mechanism::OauthBearer,
        }
    }

    /// Has the broker let the connection in.
    pub(super) async fn log_in(&self, connection: &mut Connection) -> io::Result<()> {
        let ours = self.mechanism().name();
        let ask = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(ours));
        let answer = connection.call(HANDSHAKE, &ask).await?;
        if answer.error_code != 0 {
            let theirs: Vec<&str> = answer.mechanisms.iter().map(StrBytes::as_str).collect();
            let told = format!("the broker has no {ours}, but {}", theirs.join(", "));
            return Err(refused(told));
        }
        match self {
            Self::Plain { user, password } => {
                let message = [b"\0", user.as_bytes(), b"\0", password.as_bytes()].concat();
                say(connection, message).await.map(drop)
            }
            Self::ScramSha256 { user, password } => scram(connection, Hash::Sha256, user, password).await,
            Self::ScramSha512 { user, password } => scram(connection, Hash::Sha512, user, password).await,
            Self::Token(token) => {
                let message = [b"n,,\x01auth=Bearer ", token.as_bytes(), b"\x01\x01"].concat();
                let answer = say(connection, message).await?;
                if answer.is_empty() {
                    return Ok(());
                }
                // Who is told what is wrong with a token says that it was understood (RFC 7628, section 3.2.3).
                say(connection, b"\x01".to_vec()).await?;
                Err(refused("the broker does not believe the token".to_owned()))
            }
        }
    }
}

/// Sends one message; what the broker says to it.
async fn say(connection: &mut Connection, message: Vec<u8>) -> io::Result<Bytes> {
    let ask = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from(message));
    let answer = connection.call(AUTHENTICATE, &ask).await?;
    if answer.error_code != 0 {
        let told = answer.error_message.filter(|told| !told.is_empty());
        let told = told.map_or_else(
            || "the broker refuses the login".to_owned(),
            |told| told.to_string(),
        );
        return Err(refused(told));
    }
    Ok(answer.auth_bytes)
}

async fn scram(connection: &mut Connection, hash: Hash, user: &str, password: &Secret) -> io::Result<()> {
    let begun = Begun::new(user, &nonce());
    let challenge = say(connection, begun.message().into_bytes()).await?;
    let (proof, proven) = begun.prove(hash, &challenge, password).map_err(refused_for)?;
    let answer = say(connection, proof.into_bytes()).await?;
    proven.check(&answer).map_err(refused_for)
}

/// An exchange of SCRAM (RFC 5802) as its client sees it; without channel binding, as all of Kafka's clients.
struct Begun {
    bare: String,
    nonce: String,
}

/// What the broker has to answer to a proof.
struct Proven(Vec<u8>);

impl Begun {
    fn new(user: &str, nonce: &str) -> Self {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        Self {
            bare: format!("n={user},r={nonce}"),
            nonce: nonce.to_owned(),
        }
    }

    fn message(&self) -> String {
        format!("n,,{}", self.bare)
    }

    /// Answers the broker's challenge.
    fn prove(
        &self,
        hash: Hash,
        challenge: &[u8],
        password: &Secret,
    ) -> Result<(String, Proven), &'static str> {
        const NONE: &str = "the broker's challenge is none of SCRAM";
        let challenge = std::str::from_utf8(challenge).map_err(|_| NONE)?;
        let attribute = |name: &str| {
            let mut attributes = challenge.split(',');
            attributes
                .find_map(|attribute| attribute.strip_prefix(name))
                .ok_or(NONE)
        };
        let nonce = attribute("r=")?;
        if !nonce.starts_with(&self.nonce) {
            return Err("the broker answers another client's message");
        }
        let salt = STANDARD.decode(attribute("s=")?).map_err(|_| NONE)?;
        let rounds: NonZeroU32 = attribute("i=")?.parse().map_err(|_| NONE)?;
        if rounds.get() > MAX_ROUNDS {
            return Err("the broker asks for far too many rounds of PBKDF2");
        }
        let salted = salt_password(hash, password.as_bytes(), &salt, rounds);
        let client_key = hash.sign(&salted, b"Client Key");
        let without_proof = format!("c=biws,r={nonce}");
        let said = format!("{},{challenge},{without_proof}", self.bare);
        let signature = hash.sign(&hash.of(&client_key), said.as_bytes());
        let proof: Vec<u8> = client_key
            .iter()
            .zip(&signature)
            .map(|(one, other)| one ^ other)
            .collect();
        let theirs = hash.sign(&hash.sign(&salted, b"Server Key"), said.as_bytes());
        Ok((
            format!("{without_proof},p={}", STANDARD.encode(proof)),
            Proven(theirs),
        ))
    }
}

impl Proven {
    /// Whether the broker knows the user as well.
    fn check(&self, answer: &[u8]) -> Result<(), &'static str> {
        let signature = answer
            .strip_prefix(b"v=")
            .and_then(|signature| STANDARD.decode(signature).ok())
            .ok_or("the broker's last message is none of SCRAM")?;
        if bool::from(signature.ct_eq(&self.0)) {
            Ok(())
        } else {
            Err("the broker does not know the user's password itself")
        }
    }
}

fn refused_for(reason: &'static str) -> io::Error {
    refused(reason.to_owned())
}

fn refused(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677, section 3.
    #[test]
    fn the_exchange_of_the_standard_is_led_as_it_is_there() {
        let begun = Begun::new("user", "rOprNGfwEbeRWgbNEkqO");
        assert_eq!(begun.message(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let challenge =
            b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let password = Secret::new("pencil");
        let (proof, proven) = begun.prove(Hash::Sha256, challenge, &password).unwrap();
        assert_eq!(
            proof,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        proven
            .check(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
            .unwrap();
        for lie in [
            &b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5="[..],
            b"v=",
            b"",
            b"e=x",
        ] {
            assert!(proven.check(lie).is_err(), "{lie:?}");
        }
    }

    #[test]
    fn a_challenge_that_is_none_is_refused() {
        let begun = Begun::new("a,b=c", "own");
        assert_eq!(begun.message(), "n,,n=a=2Cb=3Dc,r=own");
        for (challenge, expected) in [
            (&b"\xff"[..], "none of SCRAM"),
            (b"", "none of SCRAM"),
            (b"r=own1,s=!,i=4096", "none of SCRAM"),
            (b"r=own1,s=AAAA,i=0", "none of SCRAM"),
            (b"r=own1,i=4096", "none of SCRAM"),
            (b"r=other,s=AAAA,i=4096", "another client's"),
            (b"r=own1,s=AAAA,i=4000000000", "far too many rounds"),
        ] {
            let error = begun.prove(Hash::Sha512, challenge, &Secret::new("x")).err();
            assert!(
                error.is_some_and(|error| error.contains(expected)),
                "{challenge:?}"
            );
        }
    }
}
