//! The Schema Registry's REST API: what is there. Read-only.

use std::time::Duration;

use serde_json::Value;

use crate::access;
use crate::config::Access;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistryError {
    /// Not an address.
    #[error("`{0}` is not a URL")]
    Url(String),
    /// No client can be made.
    #[error("{0}")]
    Access(String),
    /// The registry does not answer.
    #[error("the Schema Registry does not answer: {0}")]
    Unreachable(String),
    /// The registry answered with an error.
    #[error("{0}")]
    Refused(String),
}

/// A client of one registry.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    http: reqwest::Client,
    base_url: reqwest::Url,
}

impl Registry {
    pub(crate) fn new(url: &str, access: &Access) -> Result<Self, RegistryError> {
        let base_url = reqwest::Url::parse(url).map_err(|_| RegistryError::Url(url.to_owned()))?;
        let http = access::client(access)
            .map_err(RegistryError::Access)?
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| RegistryError::Access(error.to_string()))?;
        Ok(Self { http, base_url })
    }

    /// The answer at a path, each step of it as it is.
    pub(crate) async fn get(&self, path: &[&str]) -> Result<Value, RegistryError> {
        let mut url = self.base_url.clone();
        if let Ok(mut steps) = url.path_segments_mut() {
            steps.pop_if_empty().extend(path);
        }
        let away = |error: reqwest::Error| RegistryError::Unreachable(error.without_url().to_string());
        let response = self.http.get(url).send().await.map_err(away)?;
        let is_success = response.status().is_success();
        let body: Value = response.json().await.map_err(away)?;
        if is_success {
            Ok(body)
        } else {
            let message = body["message"].as_str().unwrap_or("the Schema Registry refused");
            Err(RegistryError::Refused(message.to_owned()))
        }
    }
}
