//! What users are known by: of a password only what SCRAM (RFC 5802) checks a proof with.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, pbkdf2, rand};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

/// Rounds of PBKDF2 where nobody asks for another number, and the fewest: Kafka's own.
pub(crate) const DEFAULT_ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).expect("it is not 0");
/// The most: Kafka's own. A client has to do them all for each connection.
pub(crate) const MAX_ITERATIONS: u32 = 16384;
const SALT_LENGTH: usize = 24;

/// The digest a credential is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Hash {
    /// SCRAM-SHA-256.
    #[serde(rename = "SCRAM-SHA-256")]
    Sha256,
    /// SCRAM-SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    Sha512,
}

impl Hash {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// The number the protocol gives it.
    pub(crate) fn code(self) -> i8 {
        match self {
            Self::Sha256 => 1,
            Self::Sha512 => 2,
        }
    }

    /// The one of that number.
    pub(crate) fn of_code(code: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|hash| hash.code() == code)
    }

    /// The one's of its digests, in bytes.
    pub(crate) fn length(self) -> usize {
        self.digest().output_len()
    }

    fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        }
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }

    fn pbkdf2(self) -> pbkdf2::Algorithm {
        match self {
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Self::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        }
    }

    /// `HMAC(key, data)`.
    pub(crate) fn sign(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        let key = hmac::Key::new(self.hmac(), key);
        hmac::sign(&key, data).as_ref().to_vec()
    }

    /// `H(data)`.
    pub(crate) fn of(self, data: &[u8]) -> Vec<u8> {
        digest::digest(self.digest(), data).as_ref().to_vec()
    }
}

/// What a proof is checked with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Credential {
    /// The salt of the password.
    #[serde(with = "as_base64")]
    pub(crate) salt: Vec<u8>,
    /// Rounds of PBKDF2.
    pub(crate) iterations: NonZeroU32,
    /// The digest of the client's key: who has the key shows it with each proof.
    #[serde(with = "as_base64")]
    pub(crate) stored_key: Vec<u8>,
    /// What the broker proves with that it knows the user.
    #[serde(with = "as_base64")]
    pub(crate) server_key: Vec<u8>,
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Credential({} iterations)", self.iterations)
    }
}

impl Credential {
    /// Of a password, with a salt of its own; takes some milliseconds.
    pub(crate) fn of_password(hash: Hash, password: &[u8]) -> Self {
        let salt = random::<SALT_LENGTH>().to_vec();
        let salted = salt_password(hash, password, &salt, DEFAULT_ITERATIONS);
        Self::of_salted(hash, salt, DEFAULT_ITERATIONS, &salted)
    }

    /// Of a password that its owner has salted.
    pub(crate) fn of_salted(hash: Hash, salt: Vec<u8>, iterations: NonZeroU32, salted: &[u8]) -> Self {
        let client_key = hash.sign(salted, b"Client Key");
        Self {
            salt,
            iterations,
            stored_key: hash.of(&client_key),
            server_key: hash.sign(salted, b"Server Key"),
        }
    }

    /// Whether it is that password's; takes as long whatever the answer is.
    pub(crate) fn is_of(&self, hash: Hash, password: &[u8]) -> bool {
        let salted = salt_password(hash, password, &self.salt, self.iterations);
        let client_key = hash.sign(&salted, b"Client Key");
        self.stored_key.ct_eq(&hash.of(&client_key)).into()
    }

    /// One that no password has, for a user that does not exist: the same each time, so that its salt tells nothing.
    pub(crate) fn decoy(hash: Hash, key: &[u8], user: &str) -> Self {
        let mut salt = hash.sign(key, user.as_bytes());
        salt.truncate(SALT_LENGTH);
        Self {
            salt,
            iterations: DEFAULT_ITERATIONS,
            stored_key: random::<64>()[..hash.length()].to_vec(),
            server_key: random::<64>()[..hash.length()].to_vec(),
        }
    }
}

/// What PBKDF2 makes of a password: what SCRAM calls the salted one.
pub(crate) fn salt_password(hash: Hash, password: &[u8], salt: &[u8], iterations: NonZeroU32) -> Vec<u8> {
    let mut salted = vec![0; hash.length()];
    pbkdf2::derive(hash.pbkdf2(), iterations, salt, password, &mut salted);
    salted
}

/// Bytes that nobody can guess.
///
/// # Panics
/// When the system has none to give, which no later step could make good.
pub(crate) fn random<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    rand::SecureRandom::fill(&rand::SystemRandom::new(), &mut bytes).expect("the system has random numbers");
    bytes
}

/// The credentials of users, by name.
pub(crate) type Users = BTreeMap<String, BTreeMap<Hash, Credential>>;

/// Who is known, and how: users of the configuration, whom nobody changes, and those that clients have made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Credentials {
    configured: Users,
    made: Users,
    decoy_key: Vec<u8>,
}

impl Credentials {
    /// Those of the configuration and those that were kept.
    pub(crate) fn new(configured: Users, made: Users, decoy_key: Vec<u8>) -> Self {
        Self {
            configured,
            made,
            decoy_key,
        }
    }

    /// The users that clients have made.
    pub(crate) fn made(&self) -> &Users {
        &self.made
    }

    /// The same with other users that clients have made.
    pub(crate) fn with_made(&self, made: Users) -> Self {
        Self { made, ..self.clone() }
    }

    /// The key of the decoys' salts.
    pub(crate) fn decoy_key(&self) -> &[u8] {
        &self.decoy_key
    }

    /// Whether the configuration has the user.
    pub(crate) fn is_configured(&self, user: &str) -> bool {
        self.configured.contains_key(user)
    }

    /// Every user with its credentials, those of the configuration first.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &BTreeMap<Hash, Credential>)> {
        let made = self.made.iter().filter(|(name, _)| !self.is_configured(name));
        let all = self.configured.iter().chain(made);
        all.map(|(name, credentials)| (name.as_str(), credentials))
    }

    /// What a user is known by.
    pub(crate) fn of(&self, user: &str) -> Option<&BTreeMap<Hash, Credential>> {
        self.configured.get(user).or_else(|| self.made.get(user))
    }

    /// What a proof of a user is checked with: one that fits no proof for a user that does not exist.
    pub(crate) fn to_check(&self, user: &str, hash: Hash) -> Credential {
        let known = self.of(user).and_then(|credentials| credentials.get(&hash));
        known
            .cloned()
            .unwrap_or_else(|| Credential::decoy(hash, &self.decoy_key, user))
    }

    /// The same for a password, with a digest that the user has a credential of.
    pub(crate) fn to_check_password(&self, user: &str) -> (Hash, Credential) {
        let known = self
            .of(user)
            .and_then(|credentials| credentials.first_key_value());
        match known {
            Some((hash, credential)) => (*hash, credential.clone()),
            None => (Hash::Sha256, self.to_check(user, Hash::Sha256)),
        }
    }
}

mod as_base64 {
    use super::*;

    pub(super) fn serialize<S: serde::Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_by_what_was_kept_of_it() {
        for hash in Hash::ALL {
            let kept = Credential::of_password(hash, b"secret");
            assert!(kept.is_of(hash, b"secret"));
            assert!(!kept.is_of(hash, b"Secret"));
            let text = serde_json::to_string(&kept).unwrap();
            assert!(!text.contains("secret"), "{text}");
            assert_eq!(serde_json::from_str::<Credential>(&text).unwrap(), kept);
            assert_eq!(format!("{kept:?}"), "Credential(4096 iterations)");
        }
    }

    #[test]
    fn an_unknown_user_has_the_same_salt_each_time_and_no_password() {
        let credentials = Credentials::new(Users::new(), Users::new(), vec![7; 32]);
        let first = credentials.to_check("nobody", Hash::Sha512);
        let second = credentials.to_check("nobody", Hash::Sha512);
        assert_eq!((&first.salt, first.iterations), (&second.salt, second.iterations));
        assert_ne!(first.stored_key, second.stored_key);
        assert_ne!(first.salt, credentials.to_check("somebody", Hash::Sha512).salt);
        let real = Credential::of_password(Hash::Sha512, b"secret");
        assert_eq!(
            (first.salt.len(), first.stored_key.len(), first.server_key.len()),
            (real.salt.len(), real.stored_key.len(), real.server_key.len())
        );
    }
}
