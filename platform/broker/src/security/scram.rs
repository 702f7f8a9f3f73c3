//! SCRAM (RFC 5802, RFC 7677): the client proves that it knows the password, the broker that it knows the user; the
//! password is on no wire.
//!
//! Without channel binding, which Kafka's clients do not have.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

use super::credentials::{Credential, Hash, random};

/// What a client begins with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClientFirst<'a> {
    /// The header of GS2, which comes again in the last message.
    header: &'a str,
    /// All that comes after it, which is signed.
    bare: &'a str,
    /// The user.
    pub(crate) user: String,
    nonce: &'a str,
}

/// No nonce is longer.
const MAX_NONCE: usize = 256;

impl<'a> ClientFirst<'a> {
    /// Reads it; what is wrong with it when it is none.
    pub(crate) fn parse(message: &'a [u8]) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(message).map_err(|_| "the first message is not UTF-8")?;
        let mut parts = text.splitn(3, ',');
        let (Some(binding), Some(on_behalf), Some(bare)) = (parts.next(), parts.next(), parts.next()) else {
            return Err("the first message is not one of SCRAM");
        };
        if !matches!(binding, "n" | "y") {
            return Err("the client asks for channel binding");
        }
        let header = &text[..text.len() - bare.len()];
        let mut attributes = bare.split(',');
        let (Some(user), Some(nonce)) = (
            attributes.next().and_then(|name| name.strip_prefix("n=")),
            attributes.next().and_then(|nonce| nonce.strip_prefix("r=")),
        ) else {
            // An extension that must be understood (`m=`) stands before the name.
            return Err("the first message does not begin with a name and a nonce");
        };
        let user = decode_name(user).ok_or("the name is none of SCRAM")?;
        if !on_behalf.is_empty() && on_behalf.strip_prefix("a=").and_then(decode_name) != Some(user.clone()) {
            return Err("the client asks to act as somebody else");
        }
        if nonce.is_empty() || nonce.len() > MAX_NONCE || !nonce.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("the nonce is none of SCRAM");
        }
        if attributes.any(|extension| extension == "tokenauth=true") {
            return Err("the client has a delegation token, which nobody gives out here");
        }
        Ok(Self {
            header,
            bare,
            user,
            nonce,
        })
    }
}

/// A name, with the two characters put back that cannot stand in it.
fn decode_name(text: &str) -> Option<String> {
    let mut name = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('=') {
        name.push_str(before);
        name.push(match after.get(..2)? {
            "2C" => ',',
            "3D" => '=',
            _ => return None,
        });
        rest = &after[2..];
    }
    name.push_str(rest);
    (!name.is_empty()).then_some(name)
}

/// An exchange that waits for the client's proof.
pub(crate) struct Challenge {
    hash: Hash,
    user: String,
    credential: Credential,
    /// The GS2 header as the proof's message has it.
    binding: String,
    nonce: String,
    /// The first two messages, which are signed.
    said: String,
}

impl Challenge {
    /// Answers a client's first message; what the client is sent, and what it has to answer to.
    pub(crate) fn begin(
        hash: Hash,
        first: &ClientFirst<'_>,
        credential: Credential,
        own_nonce: &str,
    ) -> (String, Self) {
        let nonce = format!("{}{own_nonce}", first.nonce);
        let salt = STANDARD.encode(&credential.salt);
        let message = format!("r={nonce},s={salt},i={}", credential.iterations);
        let challenge = Self {
            hash,
            user: first.user.clone(),
            credential,
            binding: STANDARD.encode(first.header),
            nonce,
            said: format!("{},{message}", first.bare),
        };
        (message, challenge)
    }

    /// Checks the proof; the broker's own when it is right.
    pub(crate) fn finish(&self, message: &[u8]) -> Result<String, &'static str> {
        let text = std::str::from_utf8(message).map_err(|_| "the last message is not UTF-8")?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or("the last message has no proof")?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next().and_then(|binding| binding.strip_prefix("c="));
        let nonce = attributes.next().and_then(|nonce| nonce.strip_prefix("r="));
        if binding != Some(&self.binding) || nonce != Some(&self.nonce) {
            return Err("the last message does not belong to the first");
        }
        let proof = STANDARD.decode(proof).map_err(|_| "the proof is not base64")?;
        let said = format!("{},{without_proof}", self.said);
        let signature = self.hash.sign(&self.credential.stored_key, said.as_bytes());
        if proof.len() != signature.len() {
            return Err("the proof is of another length");
        }
        let client_key: Vec<u8> = proof
            .iter()
            .zip(&signature)
            .map(|(one, other)| one ^ other)
            .collect();
        if !bool::from(self.hash.of(&client_key).ct_eq(&self.credential.stored_key)) {
            return Err("the password is wrong, or there is no such user");
        }
        let own = self.hash.sign(&self.credential.server_key, said.as_bytes());
        Ok(format!("v={}", STANDARD.encode(own)))
    }

    /// The user it is about.
    pub(crate) fn user(&self) -> &str {
        &self.user
    }
}

/// The broker's part of a nonce.
pub(crate) fn nonce() -> String {
    STANDARD.encode(random::<24>())
}

#[cfg(test)]
mod tests;
