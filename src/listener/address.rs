//! Where the broker listens for other machines, which is also what they are told.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::stack::KafkaAddress;

/// One `HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenAddress(String);

/// Whether the broker listens for other machines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ListenChoice {
    /// For clients on this machine alone.
    #[default]
    ThisMachine,
    /// Also there.
    Also(ListenAddress),
}

/// Not an address to listen at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an address at which other machines find the broker: {reason}")]
pub struct InvalidListenAddress {
    text: String,
    reason: &'static str,
}

impl Diagnose for InvalidListenAddress {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec![
            "name an address or a name of this machine that the others know, such as `--listen 192.168.1.5:9093`; `none` \
             is without"
                .to_owned(),
        ]
    }
}

impl ListenAddress {
    /// As clients take it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name or address, without brackets.
    pub fn host(&self) -> &str {
        let host = self.0.rsplit_once(':').map_or("", |(host, _)| host);
        host.trim_start_matches('[').trim_end_matches(']')
    }

    fn port(&self) -> &str {
        self.0.rsplit_once(':').map_or("", |(_, port)| port)
    }

    /// Where the broker binds: to the address; of a name, to every one.
    pub fn bind(&self) -> String {
        match self.host().parse::<IpAddr>() {
            Ok(_) => self.0.clone(),
            Err(_) => format!("0.0.0.0:{}", self.port()),
        }
    }
}

impl FromStr for ListenAddress {
    type Err = InvalidListenAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = |reason| InvalidListenAddress {
            text: text.to_owned(),
            reason,
        };
        if text.contains(',') || KafkaAddress::from_str(text).is_err() {
            return Err(refused("it is not of the form `HOST:PORT`"));
        }
        let address = Self(text.to_owned());
        let is_v6 = text.starts_with('[');
        match address.host().parse::<IpAddr>() {
            Ok(host) if host.is_unspecified() => Err(refused("it stands for every address, and is none")),
            Err(_) if is_v6 => Err(refused("what is in brackets is no address of IPv6")),
            _ => Ok(address),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl ListenChoice {
    /// Its word for clients on this machine alone.
    pub const NONE: &str = "none";

    /// The address for other machines.
    pub fn address(&self) -> Option<&ListenAddress> {
        match self {
            Self::ThisMachine => None,
            Self::Also(address) => Some(address),
        }
    }
}

impl FromStr for ListenChoice {
    type Err = InvalidListenAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == Self::NONE {
            return Ok(Self::ThisMachine);
        }
        text.parse().map(Self::Also)
    }
}

impl fmt::Display for ListenChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ThisMachine => formatter.write_str(Self::NONE),
            Self::Also(address) => address.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_is_one_that_others_can_use() {
        for (text, host, bind) in [
            ("192.168.1.5:9093", "192.168.1.5", "192.168.1.5:9093"),
            ("[fd00::5]:9093", "fd00::5", "[fd00::5]:9093"),
            ("kafka.example.org:443", "kafka.example.org", "0.0.0.0:443"),
        ] {
            let address: ListenAddress = text.parse().expect(text);
            assert_eq!((address.host(), address.bind().as_str()), (host, bind));
        }
        for text in [
            "0.0.0.0:9093",
            "[::]:9093",
            "9093",
            "a:0",
            "a:1,b:2",
            "[a.b]:1",
            "",
            "none:",
        ] {
            assert!(text.parse::<ListenAddress>().is_err(), "{text}");
        }
        assert_eq!("none".parse(), Ok(ListenChoice::ThisMachine));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            if let Ok(address) = text.parse::<ListenAddress>() {
                prop_assert_eq!(address.as_str(), text);
                // It stands in a file of TOML.
                prop_assert!(!address.as_str().contains(['"', '\\', '\n']));
                prop_assert!(address.bind().parse::<std::net::SocketAddr>().is_ok());
            }
        }
    }
}
