//! Who is answered. A web page of somebody else must not drive the console, and a name that was made to point at this
//! machine (DNS rebinding) must not reach it.
//!
//! A request's `Host` must be a loopback name or address, the service's own name, or one that was allowed. A request
//! that comes from a page (`Origin`, or `Sec-Fetch-Site: cross-site`) must come from the console's own address or an
//! allowed one. A change needs the token that the page was given as well.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::api::Refusal;
use crate::server::App;

/// The header in which the page returns its token.
pub(crate) const TOKEN_HEADER: &str = "x-osqdemo-token";
/// The service's name between containers.
const OWN_NAME: &str = "console";

/// The rules of one console.
#[derive(Debug)]
pub(crate) struct Guard {
    allowed_hosts: Vec<String>,
    allowed_origins: Vec<String>,
    token: String,
}

impl Guard {
    /// Rules with a fresh token.
    pub(crate) fn new(
        allowed_hosts: Vec<String>,
        allowed_origins: Vec<String>,
    ) -> Result<Self, getrandom::Error> {
        let mut bytes = [0u8; 24];
        getrandom::fill(&mut bytes)?;
        Ok(Self {
            allowed_hosts,
            allowed_origins,
            token: bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }

    /// What the page must send with a change.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Why a request is not answered, if it is not.
    fn refusal(&self, method: &Method, headers: &HeaderMap) -> Option<Refusal> {
        let host = text(headers, header::HOST.as_str()).unwrap_or_default();
        if !self.knows_host(host_name(host)) {
            return Some(Refusal::forbidden(format!(
                "the console is not called `{host}`; `--allow-host NAME` lets it answer to another name"
            )));
        }
        if let Some(origin) = text(headers, header::ORIGIN.as_str()) {
            let own = format!("http://{host}");
            let is_allowed = self.allowed_origins.iter().any(|allowed| allowed == origin);
            if origin != own && !is_allowed {
                return Some(Refusal::forbidden(format!(
                    "a page of `{origin}` may not use the console; `--allow-origin ORIGIN` lets it"
                )));
            }
        } else if text(headers, "sec-fetch-site") == Some("cross-site") && method != Method::GET {
            return Some(Refusal::forbidden(
                "a page of another site may not use the console; `--allow-origin ORIGIN` lets it".to_owned(),
            ));
        }
        let changes = method != Method::GET && method != Method::HEAD;
        if changes && text(headers, TOKEN_HEADER) != Some(self.token.as_str()) {
            return Some(Refusal::forbidden(format!(
                "a change needs the header `{TOKEN_HEADER}` with the page's token; load the page again"
            )));
        }
        None
    }

    fn knows_host(&self, name: &str) -> bool {
        let is_loopback = name == "localhost"
            || name.ends_with(".localhost")
            || name
                .trim_matches(['[', ']'])
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        is_loopback
            || name == OWN_NAME
            || self
                .allowed_hosts
                .iter()
                .any(|allowed| allowed.eq_ignore_ascii_case(name))
    }
}

/// Answers 403 to whoever may not ask.
pub(crate) async fn check(State(app): State<App>, request: Request<Body>, next: Next) -> Response {
    match app.guard.refusal(request.method(), request.headers()) {
        Some(refusal) => (StatusCode::FORBIDDEN, refusal).into_response(),
        None => next.run(request).await,
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A `Host` without its port: `localhost:9021`, `[::1]:9021`.
fn host_name(host: &str) -> &str {
    match host.rfind(':') {
        Some(colon) if !host[colon..].contains(']') => &host[..colon],
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &str, headers: &[(&str, &str)]) -> bool {
        let guard = Guard {
            allowed_hosts: vec!["box.example".to_owned()],
            allowed_origins: vec!["https://page.example".to_owned()],
            token: "secret".to_owned(),
        };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(
                axum::http::HeaderName::from_bytes(name.as_bytes()).unwrap(),
                value.parse().unwrap(),
            );
        }
        guard.refusal(&method.parse().unwrap(), &map).is_none()
    }

    #[test]
    fn only_known_hosts_are_answered() {
        for host in [
            "localhost:9021",
            "127.0.0.1",
            "[::1]:9021",
            "console:9021",
            "BOX.example:80",
        ] {
            assert!(asked("GET", &[("host", host)]), "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example:9021", "10.0.0.1", ""] {
            assert!(!asked("GET", &[("host", host)]), "{host}");
        }
    }

    #[test]
    fn pages_of_others_are_refused_whatever_they_ask() {
        let host = ("host", "localhost:9021");
        assert!(asked("GET", &[host, ("origin", "http://localhost:9021")]));
        assert!(asked("GET", &[host, ("origin", "https://page.example")]));
        for origin in [
            "http://localhost:9022",
            "null",
            "https://evil.example",
            "https://localhost:9021",
        ] {
            assert!(!asked("GET", &[host, ("origin", origin)]), "{origin}");
        }
        let token = ("x-osqdemo-token", "secret");
        assert!(asked("POST", &[host, token]));
        assert!(!asked("POST", &[host, token, ("sec-fetch-site", "cross-site")]));
        assert!(!asked("POST", &[host]));
        assert!(!asked("POST", &[host, ("x-osqdemo-token", "guess")]));
    }
}
