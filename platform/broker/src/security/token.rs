//! Bearer tokens (RFC 7628): a signed text (JWT, RFC 7519) that says who brings it, and until when that holds.
//!
//! `jsonwebtoken` would bring a second set of signature algorithms along and does not read unsecured tokens, which Kafka's
//! clients make for tests; ring, of which the TLS is, checks the signatures.

mod keys;

use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use self::keys::KeyFile;
use crate::config::{TokenKeys, Tokens};
use crate::error::Error;

/// How far the clock of who issued a token may be off.
const SKEW_MS: i64 = 30_000;

/// Checks tokens.
#[derive(Debug)]
pub(crate) struct TokenVerifier {
    settings: Tokens,
    keys: Option<Mutex<KeyFile>>,
}

/// What a token says that is believed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verified {
    /// Who brings it.
    pub(crate) user: String,
    /// Until when it holds, in milliseconds since the epoch.
    pub(crate) expires_ms: i64,
}

impl TokenVerifier {
    /// Reads the keys.
    pub(crate) fn open(settings: Tokens) -> Result<Self, Error> {
        let keys = match &settings.keys {
            TokenKeys::Unsecured => None,
            TokenKeys::Jwks(path) => Some(Mutex::new(KeyFile::open(path)?)),
        };
        Ok(Self { settings, keys })
    }

    /// Checks a token at a time; may read the file of keys.
    pub(crate) fn verify(&self, token: &str, now_ms: i64) -> Result<Verified, &'static str> {
        let mut parts = token.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err("the token has not the three parts of a JWT");
        };
        let signed = &token[..header.len() + 1 + claims.len()];
        let header = object(header)?;
        let signature = URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| "the token's signature is not base64")?;
        let algorithm = header.get("alg").and_then(Value::as_str);
        let algorithm = algorithm.ok_or("the token does not say how it is signed")?;
        match &self.keys {
            None if algorithm == "none" && signature.is_empty() => {}
            None => return Err("the token is signed, and only unsecured ones are believed here"),
            Some(keys) => {
                let mut keys = keys.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let key = header.get("kid").and_then(Value::as_str);
                keys.check(algorithm, key, signed.as_bytes(), &signature)?;
            }
        }
        self.believe(&object(claims)?, now_ms)
    }

    fn believe(&self, claims: &Map<String, Value>, now_ms: i64) -> Result<Verified, &'static str> {
        let time = |claim: &str| match claims.get(claim) {
            None => Ok(None),
            // Seconds, with fractions in some.
            Some(value) => match value.as_f64() {
                Some(seconds) if seconds.is_finite() => Ok(Some((seconds * 1000.0) as i64)),
                _ => Err("a time of the token is no number"),
            },
        };
        let expires_ms = time("exp")?.ok_or("the token does not say when it expires")?;
        if expires_ms.saturating_add(SKEW_MS) <= now_ms {
            return Err("the token has expired");
        }
        for begins in [time("nbf")?, time("iat")?].into_iter().flatten() {
            if begins > now_ms.saturating_add(SKEW_MS) {
                return Err("the token does not hold yet");
            }
        }
        let text = |claim: &str| claims.get(claim).and_then(Value::as_str);
        if let Some(issuer) = &self.settings.issuer
            && text("iss") != Some(issuer)
        {
            return Err("the token was issued by somebody else");
        }
        if let Some(audience) = &self.settings.audience {
            let is_it = |value: &Value| value.as_str() == Some(audience);
            let is_meant = claims.get("aud").is_some_and(|value| match value {
                Value::Array(values) => values.iter().any(is_it),
                value => is_it(value),
            });
            if !is_meant {
                return Err("the token is for somebody else");
            }
        }
        let user = text(&self.settings.principal_claim).filter(|user| !user.is_empty());
        Ok(Verified {
            user: user.ok_or("the token does not say whose it is")?.to_owned(),
            expires_ms,
        })
    }
}

/// A part of a token.
fn object(text: &str) -> Result<Map<String, Value>, &'static str> {
    let bytes = URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| "a part of the token is not base64")?;
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err("a part of the token is no JSON object"),
    }
}

/// A client's first message of OAUTHBEARER.
#[derive(PartialEq, Eq)]
pub(crate) struct BearerMessage<'a> {
    /// The token.
    pub(crate) token: &'a str,
    /// As whom the client asks to act.
    pub(crate) on_behalf: Option<&'a str>,
}

impl<'a> BearerMessage<'a> {
    /// Reads it; what is wrong with it when it is none, without anything of it.
    pub(crate) fn parse(message: &'a [u8]) -> Result<Self, &'static str> {
        const NONE: &str = "the message is not one of OAUTHBEARER";
        let text = std::str::from_utf8(message).map_err(|_| NONE)?;
        let (header, rest) = text.split_once('\u{1}').ok_or(NONE)?;
        let on_behalf = header
            .strip_prefix("n,")
            .and_then(|header| header.strip_suffix(','))
            .ok_or(NONE)?;
        let on_behalf = match on_behalf {
            "" => None,
            named => Some(named.strip_prefix("a=").ok_or(NONE)?),
        };
        let pairs = rest.strip_suffix("\u{1}\u{1}").ok_or(NONE)?;
        let mut found = pairs.split('\u{1}').filter_map(|pair| pair.strip_prefix("auth="));
        let (Some(credentials), None) = (found.next(), found.next()) else {
            return Err(NONE);
        };
        let (scheme, token) = credentials.split_once(' ').ok_or(NONE)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err("the client brings no bearer token");
        }
        Ok(Self {
            token: token.trim(),
            on_behalf,
        })
    }
}

#[cfg(test)]
mod tests;
