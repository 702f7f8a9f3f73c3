//! The file of keys (JWKS, RFC 7517) that tokens are signed with.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use serde::Deserialize;

use crate::error::Error;

/// No file of keys is larger.
const FILE_LIMIT: u64 = 1024 * 1024;
/// Nor has more keys; each may be tried for a token that names none.
const MAX_KEYS: usize = 32;

/// The file, as it was read last.
#[derive(Debug)]
pub(crate) struct KeyFile {
    path: PathBuf,
    modified: Option<SystemTime>,
    keys: Vec<Key>,
}

#[derive(Debug)]
struct Key {
    id: Option<String>,
    /// The algorithm it is for, where it says so.
    algorithm: Option<String>,
    material: Material,
}

#[derive(Debug)]
enum Material {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// A point, uncompressed.
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl KeyFile {
    /// Reads the file.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let mut file = Self {
            path: path.to_owned(),
            modified: None,
            keys: Vec::new(),
        };
        match file.read() {
            Ok(()) => Ok(file),
            Err(reason) => Err(Error::Security {
                path: path.to_owned(),
                reason,
            }),
        }
    }

    fn read(&mut self) -> Result<(), String> {
        let text = |error: std::io::Error| error.to_string();
        let file = std::fs::File::open(&self.path).map_err(text)?;
        let modified = file.metadata().and_then(|metadata| metadata.modified()).ok();
        let mut content = Vec::new();
        file.take(FILE_LIMIT).read_to_end(&mut content).map_err(text)?;
        self.keys = parse(&content)?;
        self.modified = modified;
        Ok(())
    }

    /// Reads the file again when it was changed; what was read before holds when it cannot be.
    fn refresh(&mut self) {
        let modified = std::fs::metadata(&self.path).and_then(|metadata| metadata.modified());
        let modified = modified.ok();
        if modified == self.modified {
            return;
        }
        match self.read() {
            Ok(()) => {
                tracing::info!(path = %self.path.display(), keys = self.keys.len(), "read the keys of tokens again")
            }
            Err(reason) => {
                tracing::warn!(path = %self.path.display(), reason, "cannot read the keys of tokens again; the earlier ones hold");
                // Told once for each change.
                self.modified = modified;
            }
        }
    }

    /// Checks a signature with the key that the token names, or with any where it names none.
    pub(crate) fn check(
        &mut self,
        algorithm: &str,
        id: Option<&str>,
        signed: &[u8],
        given: &[u8],
    ) -> Result<(), &'static str> {
        self.refresh();
        let fits = |key: &&Key| {
            id.is_none_or(|id| key.id.as_deref() == Some(id))
                && key.algorithm.as_deref().is_none_or(|only| only == algorithm)
        };
        let mut candidates = self.keys.iter().filter(fits).peekable();
        if candidates.peek().is_none() {
            return Err("the token is signed with a key that is not known here");
        }
        match candidates.any(|key| key.verifies(algorithm, signed, given)) {
            true => Ok(()),
            false => Err("the token's signature is wrong"),
        }
    }
}

impl Key {
    fn verifies(&self, algorithm: &str, signed: &[u8], given: &[u8]) -> bool {
        let with = |algorithm: &'static dyn VerificationAlgorithm, point: &[u8]| {
            UnparsedPublicKey::new(algorithm, point)
                .verify(signed, given)
                .is_ok()
        };
        match (&self.material, algorithm) {
            (Material::P256(point), "ES256") => with(&signature::ECDSA_P256_SHA256_FIXED, point),
            (Material::P384(point), "ES384") => with(&signature::ECDSA_P384_SHA384_FIXED, point),
            (Material::Ed25519(point), "EdDSA" | "Ed25519") => with(&signature::ED25519, point),
            (Material::Rsa { modulus, exponent }, algorithm) => {
                let algorithm = match algorithm {
                    "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
                    "RS384" => &signature::RSA_PKCS1_2048_8192_SHA384,
                    "RS512" => &signature::RSA_PKCS1_2048_8192_SHA512,
                    "PS256" => &signature::RSA_PSS_2048_8192_SHA256,
                    "PS384" => &signature::RSA_PSS_2048_8192_SHA384,
                    "PS512" => &signature::RSA_PSS_2048_8192_SHA512,
                    _ => return false,
                };
                let key = RsaPublicKeyComponents {
                    n: modulus,
                    e: exponent,
                };
                key.verify(algorithm, signed, given).is_ok()
            }
            _ => false,
        }
    }
}

#[derive(Deserialize)]
struct Typed {
    keys: Vec<TypedKey>,
}

#[derive(Deserialize)]
struct TypedKey {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// The keys in a file; kinds that are not known, and keys for encryption, are passed over.
fn parse(content: &[u8]) -> Result<Vec<Key>, String> {
    let typed: Typed =
        serde_json::from_slice(content).map_err(|error| format!("no JSON Web Key Set: {error}"))?;
    let mut keys = Vec::new();
    for typed in typed.keys {
        if typed.purpose.as_deref().is_some_and(|purpose| purpose != "sig") {
            continue;
        }
        let part = |name: &str, text: &Option<String>| {
            let text = text.as_deref().unwrap_or_default();
            let bytes = URL_SAFE_NO_PAD
                .decode(text.trim_end_matches('='))
                .unwrap_or_default();
            match bytes.is_empty() {
                true => Err(format!("the `{name}` of a key is missing or not base64url")),
                false => Ok(bytes),
            }
        };
        let point = || Ok::<_, String>([vec![4], part("x", &typed.x)?, part("y", &typed.y)?].concat());
        let material = match (typed.kty.as_str(), typed.crv.as_deref()) {
            ("RSA", _) => Material::Rsa {
                modulus: part("n", &typed.n)?,
                exponent: part("e", &typed.e)?,
            },
            ("EC", Some("P-256")) => Material::P256(point()?),
            ("EC", Some("P-384")) => Material::P384(point()?),
            ("OKP", Some("Ed25519")) => Material::Ed25519(part("x", &typed.x)?),
            _ => continue,
        };
        keys.push(Key {
            id: typed.kid,
            algorithm: typed.alg,
            material,
        });
    }
    match keys.len() {
        0 => Err("it has no key that signs tokens: RSA, P-256, P-384 and Ed25519 are known".to_owned()),
        count if count > MAX_KEYS => Err(format!("it has {count} keys; {MAX_KEYS} are the most")),
        _ => Ok(keys),
    }
}
