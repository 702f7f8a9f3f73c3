//! What `serve broker` tells its clients of itself.

use std::net::SocketAddr;

use crate::cli::ServeBrokerArgs;
use crate::settings::SettingsError;

/// An address as clients are told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertised {
    /// A name or an address; one of IPv6 without its brackets.
    pub host: String,
    /// Never 0.
    pub port: u16,
}

/// Where a broker listens, and what it says of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerSettings {
    /// Where.
    pub bind: SocketAddr,
    /// What clients are told, where that is another address.
    pub advertised: Option<Advertised>,
}

/// The listeners of `osqdemo serve broker`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerListeners {
    /// For clients on this machine.
    pub first: ListenerSettings,
    /// For those in other containers.
    pub internal: Option<ListenerSettings>,
}

impl BrokerListeners {
    /// What is typed.
    ///
    /// # Errors
    /// When an address is not of the form `HOST:PORT`.
    pub fn resolve(arguments: &ServeBrokerArgs) -> Result<Self, SettingsError> {
        let listener = |bind, advertised: &Option<String>| -> Result<ListenerSettings, SettingsError> {
            let advertised = advertised.as_deref().map(Advertised::parse).transpose()?;
            Ok(ListenerSettings { bind, advertised })
        };
        Ok(Self {
            first: listener(arguments.listen, &arguments.advertise)?,
            internal: arguments
                .internal_listen
                .map(|bind| listener(bind, &arguments.internal_advertise))
                .transpose()?,
        })
    }
}

impl Advertised {
    fn parse(text: &str) -> Result<Self, SettingsError> {
        let parts = text.rsplit_once(':').and_then(|(host, port)| {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let port: u16 = port.parse().ok()?;
            (!host.is_empty() && port != 0).then(|| Self {
                host: host.to_owned(),
                port,
            })
        });
        parts.ok_or_else(|| SettingsError::HostPort {
            text: text.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for (text, host, port) in [("broker:29092", "broker", 29092), ("[::1]:9092", "::1", 9092)] {
            let advertised = Advertised::parse(text).expect("an address");
            assert_eq!((advertised.host.as_str(), advertised.port), (host, port));
        }
        for wrong in [
            "",
            "broker",
            ":9092",
            "[]:9092",
            "broker:0",
            "broker:70000",
            "broker:x",
        ] {
            let error = Advertised::parse(wrong).expect_err("it is none");
            assert_eq!(
                error.to_string(),
                format!("`{wrong}` is not of the form `HOST:PORT`")
            );
        }
    }
}
