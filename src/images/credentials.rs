//! Docker's own credentials: `config.json` with `auths`, and the helper programs of `credHelpers` and `credsStore`
//! (<https://docs.docker.com/reference/cli/docker/login/#credential-helpers>). What was typed into `docker login`
//! works here. Secrets are handed to the daemon and appear nowhere else.

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

/// What Docker Hub is called in `config.json`.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// How long a helper program may take. Some ask the user.
const HELPER_LIMIT: Duration = Duration::from_secs(60);

/// The user name by which helpers say that the secret is a token.
const TOKEN_USER: &str = "<token>";

/// Who pulls.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A user with a password.
    User {
        /// The name.
        name: String,
        /// The password.
        password: String,
    },
    /// A token that stands for a user.
    Token(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User { name, .. } => write!(formatter, "User({name})"),
            Self::Token(_) => formatter.write_str("Token"),
        }
    }
}

/// Credentials are there and cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The file cannot be read.
    #[error("failed to read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not Docker's configuration.
    #[error("`{}` is not Docker's configuration: {source}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// An entry cannot be decoded.
    #[error("the entry for `{registry}` in `{}` cannot be decoded", path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// Whose entry.
        registry: String,
    },
    /// A helper program does not work.
    #[error("`{helper}` gave no credentials for `{registry}`: {reason}")]
    Helper {
        /// The program.
        helper: String,
        /// For which registry.
        registry: String,
        /// Why.
        reason: String,
    },
}

/// The part of `config.json` that is about credentials.
#[derive(Deserialize, Default)]
struct Configuration {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default, rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
}

#[derive(Deserialize, Default)]
struct Entry {
    #[serde(default)]
    auth: Option<String>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<String>,
    #[serde(default, rename = "identitytoken")]
    identity_token: Option<String>,
}

#[derive(Deserialize)]
struct HelperAnswer {
    #[serde(rename = "Username")]
    username: String,
    #[serde(rename = "Secret")]
    secret: String,
}

/// Where credentials come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialSource {
    /// `config.json`; none where neither `DOCKER_CONFIG` nor `HOME` is set.
    path: Option<PathBuf>,
}

impl CredentialSource {
    /// `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`.
    pub fn of_environment() -> Self {
        let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let folder = variable("DOCKER_CONFIG")
            .map(PathBuf::from)
            .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".docker")));
        Self {
            path: folder.map(|folder| folder.join("config.json")),
        }
    }

    /// The credentials for a registry; none where there are none, which is no error.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub async fn find(&self, registry: &str) -> Result<Option<Credentials>, CredentialError> {
        let Some(path) = &self.path else {
            return Ok(None);
        };
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(CredentialError::Read {
                    path: path.clone(),
                    source,
                });
            }
        };
        let configuration: Configuration =
            serde_json::from_slice(&text).map_err(|source| CredentialError::Syntax {
                path: path.clone(),
                source,
            })?;
        let key = key_of(registry);
        let helper = configuration.helpers.iter().find(|(name, _)| is_same(name, key));
        let helper = helper.map(|(_, helper)| helper).or(configuration.store.as_ref());
        if let Some(helper) = helper
            && let Some(credentials) = ask(helper, key).await?
        {
            return Ok(Some(credentials));
        }
        let entry = configuration.auths.iter().find(|(name, _)| is_same(name, key));
        match entry {
            Some((_, entry)) => entry.credentials(path, registry),
            None => Ok(None),
        }
    }
}

impl Entry {
    fn credentials(&self, path: &Path, registry: &str) -> Result<Option<Credentials>, CredentialError> {
        if let Some(token) = self.identity_token.as_ref().filter(|token| !token.is_empty()) {
            return Ok(Some(Credentials::Token(token.clone())));
        }
        if let (Some(name), Some(password)) = (&self.username, &self.password) {
            return Ok(Some(Credentials::User {
                name: name.clone(),
                password: password.clone(),
            }));
        }
        // With a store there is an empty entry for each registry.
        let Some(auth) = self.auth.as_ref().filter(|auth| !auth.is_empty()) else {
            return Ok(None);
        };
        let decoded = STANDARD
            .decode(auth.trim())
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = decoded.as_deref().and_then(|pair| pair.split_once(':'));
        match pair {
            Some((name, password)) => Ok(Some(Credentials::User {
                name: name.to_owned(),
                password: password.trim_end_matches('\0').to_owned(),
            })),
            None => Err(CredentialError::Entry {
                path: path.to_owned(),
                registry: registry.to_owned(),
            }),
        }
    }
}

/// What a registry is called in `config.json`.
fn key_of(registry: &str) -> &str {
    match registry {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB_KEY,
        other => other,
    }
}

/// Whether an entry is the one of a registry: with or without a scheme and a path, as `docker login` has written it
/// over the years.
fn is_same(entry: &str, key: &str) -> bool {
    let host = |text: &str| {
        let text = text.trim_start_matches("https://").trim_start_matches("http://");
        text.split('/').next().unwrap_or_default().to_owned()
    };
    entry == key || host(entry) == host(key)
}

/// Asks a helper program: the registry on its standard input, JSON on its standard output.
async fn ask(helper: &str, registry: &str) -> Result<Option<Credentials>, CredentialError> {
    let program = format!("docker-credential-{helper}");
    let failed = |reason: String| CredentialError::Helper {
        helper: program.clone(),
        registry: registry.to_owned(),
        reason,
    };
    let conversation = async {
        let mut child = Command::new(&program)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut input) = child.stdin.take() {
            // A helper that ends without reading has its reasons on its standard output.
            let _ = input.write_all(registry.as_bytes()).await;
        }
        child.wait_with_output().await
    };
    let output = match timeout(HELPER_LIMIT, conversation).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(failed(error.to_string())),
        Err(_) => return Err(failed(format!("no answer within {} s", HELPER_LIMIT.as_secs()))),
    };
    if !output.status.success() {
        // The registry may well let anybody pull.
        let answer = String::from_utf8_lossy(&output.stdout);
        if answer.trim() == NO_CREDENTIALS {
            return Ok(None);
        }
        return Err(failed(output.status.to_string()));
    }
    // What it wrote holds a secret: the parser's error does not show it.
    let answer: HelperAnswer =
        serde_json::from_slice(&output.stdout).map_err(|_| failed("its answer is not JSON".to_owned()))?;
    Ok(Some(if answer.username == TOKEN_USER {
        Credentials::Token(answer.secret)
    } else {
        Credentials::User {
            name: answer.username,
            password: answer.secret,
        }
    }))
}

/// What a helper answers that has none: the one sentence for it in the protocol of docker-credential-helpers.
const NO_CREDENTIALS: &str = "credentials not found in native keychain";

#[cfg(test)]
mod tests {
    use super::*;

    async fn found(text: &str, registry: &str) -> Result<Option<Credentials>, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.json");
        fs::write(&path, text).expect("a file");
        let source = CredentialSource { path: Some(path) };
        source.find(registry).await.map_err(|error| error.to_string())
    }

    fn user(name: &str, password: &str) -> Result<Option<Credentials>, String> {
        Ok(Some(Credentials::User {
            name: name.to_owned(),
            password: password.to_owned(),
        }))
    }

    #[tokio::test]
    async fn what_docker_login_wrote_is_found() {
        // `jay:secret`
        let text = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "amF5OnNlY3JldA=="},
                       "127.0.0.1:5000": {"username": "neha", "password": "a:b"},
                       "https://ghcr.io/v2/": {"identitytoken": "t"}, "empty.example.org": {}}}"#;
        assert_eq!(found(text, "docker.io").await, user("jay", "secret"));
        assert_eq!(found(text, "127.0.0.1:5000").await, user("neha", "a:b"));
        assert_eq!(
            found(text, "ghcr.io").await,
            Ok(Some(Credentials::Token("t".to_owned())))
        );
        assert_eq!(found(text, "empty.example.org").await, Ok(None));
        assert_eq!(found(text, "other.example.org").await, Ok(None));
        assert_eq!(found("{}", "docker.io").await, Ok(None));
    }

    #[tokio::test]
    async fn a_damaged_entry_is_an_error_without_its_text() {
        let text = r#"{"auths": {"ghcr.io": {"auth": "c2VjcmV0"}}}"#;
        let error = found(text, "ghcr.io").await.expect_err("no colon in it");
        assert!(error.contains("`ghcr.io`"), "{error}");
        assert!(
            !error.contains("c2VjcmV0") && !error.contains("secret"),
            "{error}"
        );
        let error = found("{", "docker.io").await.expect_err("not JSON");
        assert!(error.contains("is not Docker's configuration"), "{error}");
    }

    #[tokio::test]
    async fn a_missing_helper_is_named() {
        let text = r#"{"credHelpers": {"ghcr.io": "osqdemo-none"}}"#;
        let error = found(text, "ghcr.io")
            .await
            .expect_err("there is no such program");
        assert!(
            error.starts_with("`docker-credential-osqdemo-none` gave no credentials for `ghcr.io`"),
            "{error}"
        );
        assert_eq!(found(text, "docker.io").await, Ok(None));
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!(
            "{:?} {:?}",
            Credentials::User {
                name: "jay".to_owned(),
                password: "hush".to_owned()
            },
            Credentials::Token("hush".to_owned())
        );
        assert_eq!(shown, "User(jay) Token");
    }
}
