//! Requests: at one address after the other, and again, as long as that may help.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value as Json;
use ureq::Agent;
use ureq::http::{Method, Request};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider, parse_pem};

use crate::error::{ClientError, SettingsError};
use crate::settings::{Credentials, Settings};

const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";
/// The most bytes of an answer.
const ANSWER_LIMIT: u64 = 64 * 1024 * 1024;
/// The longest wait between two attempts.
const LONGEST_BACKOFF: Duration = Duration::from_secs(20);
/// What stands in a path as it is.
const KEPT: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The addresses of a registry, and how to ask them.
pub(crate) struct Http {
    agent: Agent,
    urls: Vec<String>,
    authorization: Option<String>,
    retries: u32,
    backoff: Duration,
}

/// A step of a path, whatever it holds.
pub(crate) fn step(text: &str) -> String {
    utf8_percent_encode(text, &KEPT).to_string()
}

impl Http {
    pub(crate) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let urls: Vec<String> = settings
            .urls
            .iter()
            .map(|url| url.trim_end_matches('/').to_owned())
            .collect();
        if urls.is_empty() {
            return Err(SettingsError::NoUrl);
        }
        for url in &urls {
            let host = url
                .strip_prefix("http://")
                .or_else(|| url.strip_prefix("https://"));
            let is_url = host.is_some_and(|host| !host.is_empty() && !host.contains(['@', ' ']));
            if !is_url || url.parse::<ureq::http::Uri>().is_err() {
                // What stands before an `@` is a secret.
                let shown = url.rsplit('@').next().unwrap_or_default();
                return Err(SettingsError::Url(shown.to_owned()));
            }
        }
        let mut tls = TlsConfig::builder().provider(TlsProvider::NativeTls);
        if let Some(path) = &settings.certificates {
            tls = tls.root_certs(RootCerts::new_with_certs(&certificates(path)?));
        }
        let config = Agent::config_builder()
            .timeout_global(Some(settings.timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .tls_config(tls.build())
            .build();
        Ok(Self {
            agent: config.into(),
            urls,
            authorization: settings
                .credentials
                .as_ref()
                .map(|credentials| match credentials {
                    Credentials::Basic { user, password } => {
                        format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
                    }
                    Credentials::Bearer(token) => format!("Bearer {token}"),
                }),
            retries: settings.retries,
            backoff: settings.backoff,
        })
    }

    pub(crate) fn get(&self, path: &str) -> Result<Json, ClientError> {
        self.ask(Method::GET, path, None)
    }

    pub(crate) fn post(&self, path: &str, body: &Json) -> Result<Json, ClientError> {
        self.ask(Method::POST, path, Some(body.to_string()))
    }

    pub(crate) fn delete(&self, path: &str) -> Result<Json, ClientError> {
        self.ask(Method::DELETE, path, None)
    }

    fn ask(&self, method: Method, path: &str, body: Option<String>) -> Result<Json, ClientError> {
        let mut attempt = 0;
        loop {
            let mut answer = self.ask_once(&self.urls[0], &method, path, body.as_deref());
            for url in self.urls.iter().skip(1) {
                if !answer.as_ref().is_err_and(ClientError::is_away) {
                    break;
                }
                answer = self.ask_once(url, &method, path, body.as_deref());
            }
            let may_help = answer.as_ref().is_err_and(ClientError::is_away) && attempt < self.retries;
            if !may_help {
                return answer;
            }
            thread::sleep(jittered(self.backoff.saturating_mul(1 << attempt.min(16))));
            attempt += 1;
        }
    }

    fn ask_once(
        &self,
        url: &str,
        method: &Method,
        path: &str,
        body: Option<&str>,
    ) -> Result<Json, ClientError> {
        let away = |reason: String| ClientError::Away {
            url: url.to_owned(),
            reason,
        };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{url}{path}"))
            .header("accept", CONTENT_TYPE)
            // Newer registries then tell GUIDs.
            .header("confluent-accept-unknown-properties", "true");
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let sent = match body {
            Some(body) => request
                .header("content-type", CONTENT_TYPE)
                .body(body)
                .map_err(|error| away(error.to_string()))
                .and_then(|request| self.agent.run(request).map_err(|error| away(error.to_string()))),
            None => request
                .body(())
                .map_err(|error| away(error.to_string()))
                .and_then(|request| self.agent.run(request).map_err(|error| away(error.to_string()))),
        };
        let mut response = sent?;
        let status = response.status().as_u16();
        let read = response
            .body_mut()
            .with_config()
            .limit(ANSWER_LIMIT)
            .read_to_string();
        let text = read.map_err(|error| away(error.to_string()))?;
        let json: Option<Json> = serde_json::from_str(&text).ok();
        match (status, json) {
            (200, Some(json)) => Ok(json),
            (408 | 429 | 500..=599, json) => {
                let message = json
                    .as_ref()
                    .and_then(|json| json["message"].as_str())
                    .unwrap_or_default();
                Err(away(format!("status {status} {message}").trim_end().to_owned()))
            }
            (400..=499, Some(json)) if json["error_code"].is_u64() => Err(ClientError::Refused {
                status,
                code: json["error_code"]
                    .as_u64()
                    .and_then(|code| u32::try_from(code).ok())
                    .unwrap_or_default(),
                message: json["message"].as_str().unwrap_or_default().to_owned(),
            }),
            (401 | 403, _) => Err(ClientError::Refused {
                status,
                code: u32::from(status),
                message: format!("status {status}; hint: the registry wants other credentials"),
            }),
            (status, _) => Err(ClientError::Foreign {
                url: url.to_owned(),
                reason: format!("status {status}, and no JSON of a registry"),
            }),
        }
    }
}

fn certificates(path: &str) -> Result<Vec<Certificate<'static>>, SettingsError> {
    let wrong = |reason: String| SettingsError::Certificates {
        path: path.to_owned(),
        reason,
    };
    let pem = fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let mut found = Vec::new();
    for item in parse_pem(&pem) {
        if let ureq::tls::PemItem::Certificate(certificate) =
            item.map_err(|error| wrong(error.to_string()))?
        {
            found.push(certificate);
        }
    }
    if found.is_empty() {
        Err(wrong("no certificate is in it".to_owned()))
    } else {
        Ok(found)
    }
}

/// Some part of the wait, so that clients that failed together do not come back together.
fn jittered(longest: Duration) -> Duration {
    let longest = longest.min(LONGEST_BACKOFF);
    // Differs from call to call, which is all that is asked of it.
    let chance = RandomState::new().hash_one(0u8) % 1_000;
    longest.mul_f64(chance as f64 / 1_000.0)
}
