//! Who may use an HTTP service of the platform: clients that call it by a name of its own, and no page of a foreign
//! origin. One rule for all services. Beside it, how much of its callers a service takes at a time: their [`connections`]
//! and the [`bodies`] of their requests.
//!
//! A browser sends a page's requests wherever the page asks, and says where the page came from in `Origin` and
//! `Sec-Fetch-Site`. A page whose own name suddenly resolves to this machine (DNS rebinding) shows in `Host`.
//! Content types say nothing: `curl -d` sends what a form sends.

pub mod bodies;
pub mod connections;

use std::net::{IpAddr, SocketAddr};

use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// Why a request is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It was called by a name that is not its own.
    #[error("the host `{host}` is not one of this server's names; hint: `--allow-host {host}` adds it")]
    Host {
        /// The name.
        host: String,
    },
    /// The page is of a foreign origin.
    #[error(
        "pages of the origin `{origin}` may not use this server; hint: `--allow-origin {origin}` lets them"
    )]
    Origin {
        /// The origin.
        origin: String,
    },
    /// The page is of another site, and of no origin that was let in.
    #[error(
        "pages of other sites may not use this server; hint: `--allow-origin ORIGIN` lets those of one in"
    )]
    CrossSite,
}

/// The names and origins that are let in.
#[derive(Debug, Clone)]
pub struct Callers {
    hosts: Vec<String>,
    origins: Vec<String>,
    /// Where it listens, unless that is everywhere.
    own_address: Option<IpAddr>,
}

impl Callers {
    /// The rule of a service that is called `service_name` where containers call each other, and listens on `address`.
    pub fn new(
        service_name: &str,
        address: SocketAddr,
        allowed_hosts: &[String],
        allowed_origins: &[String],
    ) -> Self {
        let allowed = allowed_hosts.iter().map(|host| host_name(host));
        Self {
            hosts: allowed.chain([service_name.to_owned()]).collect(),
            origins: allowed_origins
                .iter()
                .map(|origin| origin.trim_end_matches('/').to_ascii_lowercase())
                .collect(),
            own_address: Some(address.ip()).filter(|ip| !ip.is_unspecified()),
        }
    }

    /// Whether a request may be answered.
    ///
    /// # Errors
    /// [`Refusal`] says why not, and names the switch.
    pub fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        // HTTP/2 says it in the address. Who says it nowhere is no browser.
        let named = uri.authority().map(Authority::as_str);
        let headed = headers.get_all(HOST).iter().map(text);
        let hosts: Vec<&str> = named.into_iter().chain(headed).collect();
        for host in &hosts {
            if !self.knows(host) {
                let host = host_name(host);
                return Err(Refusal::Host { host });
            }
        }
        let mut allowed_page = false;
        for origin in headers.get_all(ORIGIN).iter().map(text) {
            let lower = origin.to_ascii_lowercase();
            let own = lower
                .strip_prefix("http://")
                .is_some_and(|rest| hosts.iter().any(|host| host.eq_ignore_ascii_case(rest)));
            if !own && !self.origins.contains(&lower) {
                let origin = origin.to_owned();
                return Err(Refusal::Origin { origin });
            }
            allowed_page = true;
        }
        let mut sites = headers.get_all("sec-fetch-site").iter().map(text);
        if !allowed_page && sites.any(|site| site.eq_ignore_ascii_case("cross-site")) {
            return Err(Refusal::CrossSite);
        }
        Ok(())
    }

    /// Tells browsers that pages of the allowed origins may see the answers.
    pub fn cors(&self) -> CorsLayer {
        let origins = self.origins.iter();
        let origins: Vec<HeaderValue> = origins
            .filter_map(|origin| HeaderValue::from_str(origin).ok())
            .collect();
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins))
            .allow_methods([Method::GET, Method::POST])
            .allow_headers([header::ACCEPT, header::CONTENT_TYPE])
    }

    fn knows(&self, host: &str) -> bool {
        let name = host_name(host);
        if let Ok(ip) = name.parse::<IpAddr>() {
            let ip = ip.to_canonical();
            return ip.is_loopback()
                || self.own_address.map(|own| own.to_canonical()) == Some(ip)
                || self.hosts.contains(&name);
        }
        name == "localhost" || self.hosts.contains(&name)
    }
}

/// A header that is no text names nothing that is known.
fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or("\u{fffd}")
}

/// The host of `host[:port]`, in lower case, without the brackets of an IPv6 address.
fn host_name(host: &str) -> String {
    let host = host.trim();
    let name = if let Some(rest) = host.strip_prefix('[') {
        rest.split(']').next().unwrap_or_default()
    } else if host.parse::<IpAddr>().is_ok() {
        host
    } else {
        host.rsplit_once(':').map_or(host, |(name, _)| name)
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn callers() -> Callers {
        let hosts = ["Ksql.Example.".to_owned()];
        let origins = ["https://Desk.example/".to_owned()];
        Callers::new("ksqldb-server", ([192, 168, 7, 7], 8088).into(), &hosts, &origins)
    }

    fn check(headers: &[(&'static str, &str)]) -> Result<(), Refusal> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        callers().check(&Uri::from_static("/ksql"), &map)
    }

    #[test]
    fn names_of_its_own_are_known_on_any_port() {
        for host in [
            "localhost:8088",
            "LOCALHOST",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:8088",
            "[::ffff:127.0.0.1]",
            "ksqldb-server:8088",
            "ksql.example:80",
            "ksql.example.",
            "192.168.7.7:8088",
        ] {
            assert_eq!(check(&[("host", host)]), Ok(()), "{host}");
        }
        assert_eq!(check(&[]), Ok(()));
    }

    #[test]
    fn other_names_are_refused_and_the_switch_is_named() {
        for host in [
            "evil.example:8088",
            "localhost.evil.example",
            "192.168.7.8",
            "0.0.0.0:8088",
            "",
            "[::2]",
        ] {
            assert!(
                matches!(check(&[("host", host)]), Err(Refusal::Host { .. })),
                "{host}"
            );
        }
        let twice = check(&[("host", "localhost"), ("host", "evil.example")]);
        assert_eq!(
            twice.unwrap_err().to_string(),
            "the host `evil.example` is not one of this server's names; hint: `--allow-host evil.example` adds it"
        );
        let named = Uri::from_static("http://evil.example/ksql");
        assert!(callers().check(&named, &HeaderMap::new()).is_err());
    }

    #[test]
    fn pages_are_let_in_by_their_origin_alone() {
        let host = ("host", "localhost:8088");
        assert_eq!(check(&[host, ("origin", "http://localhost:8088")]), Ok(()));
        assert_eq!(
            check(&[
                host,
                ("origin", "https://desk.example"),
                ("sec-fetch-site", "cross-site")
            ]),
            Ok(())
        );
        for origin in [
            "http://localhost:3000",
            "https://localhost:8088",
            "http://localhost",
            "null",
            "http://evil.example",
            "https://desk.example.evil.example",
        ] {
            let refusal = check(&[host, ("origin", origin)]).unwrap_err();
            assert_eq!(
                refusal,
                Refusal::Origin {
                    origin: origin.to_owned()
                }
            );
            assert!(refusal.to_string().contains("--allow-origin"));
        }
        assert_eq!(
            check(&[host, ("sec-fetch-site", "cross-site")]),
            Err(Refusal::CrossSite)
        );
        assert_eq!(check(&[host, ("sec-fetch-site", "none")]), Ok(()));
    }

    proptest! {
        #[test]
        fn only_known_names_pass(host in "[a-z0-9.:\\[\\]-]{0,30}") {
            if check(&[("host", &host)]).is_ok() {
                let name = host_name(&host);
                let loopback = name.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback());
                prop_assert!(loopback || ["localhost", "ksqldb-server", "ksql.example", "192.168.7.7"].contains(&name.as_str()));
            }
        }
    }
}
