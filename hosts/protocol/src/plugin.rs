//! The requests that osqueryd puts into a plugin call, for the registries an output needs:
//! `config` and `logger`; a table's are its own. The agent makes them; the extension reads them.

use crate::ByteString;
use crate::types::PluginRequest;

/// The registry of configuration plugins.
pub const CONFIG_REGISTRY: &str = "config";
/// The registry of logger plugins.
pub const LOGGER_REGISTRY: &str = "logger";

/// The registry of tables.
pub const TABLE_REGISTRY: &str = "table";

/// The bit of a logger's answer to [`LoggerRequest::Features`] that asks for status logs.
pub const LOGGER_FEATURE_STATUS: i32 = 1;
/// The bit of a logger's answer to [`LoggerRequest::Features`] that asks for events as they happen.
pub const LOGGER_FEATURE_EVENT: i32 = 2;

/// What osqueryd asks of a logger plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoggerRequest {
    /// Logging starts; the process's name. The answer's status is ignored.
    Init(ByteString),
    /// Which further logs the plugin wants. The answer is a bit mask in the status code.
    Features,
    /// A JSON array of osqueryd's own log lines. The answer's status is ignored.
    Status(ByteString),
    /// A result line. A status other than success ends osqueryd.
    Line(ByteString),
    /// A snapshot line. A status other than success ends osqueryd.
    Snapshot(ByteString),
    /// An event, sent only to plugins with [`LOGGER_FEATURE_EVENT`]. The answer's status is ignored.
    Event(ByteString),
    /// A JSON array of result lines. osqueryd itself sends none; other extensions may.
    Batch(ByteString),
    /// Anything else.
    Unknown,
}

impl LoggerRequest {
    /// Reads a request.
    pub fn read(request: PluginRequest) -> Self {
        let mut request = request;
        if request
            .get(b"action".as_slice())
            .is_some_and(|action| *action == "features")
        {
            return Self::Features;
        }
        if request.contains_key(b"status".as_slice()) {
            return Self::Status(request.remove(b"log".as_slice()).unwrap_or_default());
        }
        let mut take = |name: &str| request.remove(name.as_bytes());
        if let Some(line) = take("string") {
            Self::Line(line)
        } else if let Some(line) = take("snapshot") {
            Self::Snapshot(line)
        } else if let Some(line) = take("event") {
            Self::Event(line)
        } else if let Some(lines) = take("string_batch") {
            Self::Batch(lines)
        } else if let Some(process) = take("init") {
            Self::Init(process)
        } else {
            Self::Unknown
        }
    }

    /// The request as osqueryd sends it.
    pub fn into_request(self) -> PluginRequest {
        match self {
            Self::Init(name) => request([("init", name)]),
            Self::Features => request([("action", "features".into())]),
            Self::Status(log) => request([("status", "true".into()), ("log", log)]),
            Self::Line(line) => request([("string", line), ("category", "event".into())]),
            Self::Snapshot(line) => request([("snapshot", line)]),
            Self::Event(line) => request([("event", line)]),
            Self::Batch(lines) => request([("string_batch", lines)]),
            Self::Unknown => PluginRequest::new(),
        }
    }
}

/// What osqueryd asks of a configuration plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigRequest {
    /// The configuration: one row, from a source's name to its JSON text.
    Generate,
    /// A pack that the configuration names by `value` instead of spelling it out: one row, from the
    /// pack's name to its JSON text.
    Pack {
        /// The pack's name.
        name: ByteString,
        /// What the configuration has in the pack's place, often a path.
        value: ByteString,
    },
    /// Anything else.
    Unknown,
}

impl ConfigRequest {
    /// Reads a request.
    pub fn read(request: PluginRequest) -> Self {
        let mut request = request;
        match request.get(b"action".as_slice()) {
            Some(action) if *action == "genConfig" => Self::Generate,
            Some(action) if *action == "genPack" => Self::Pack {
                name: request.remove(b"name".as_slice()).unwrap_or_default(),
                value: request.remove(b"value".as_slice()).unwrap_or_default(),
            },
            _ => Self::Unknown,
        }
    }

    /// The request as osqueryd sends it.
    pub fn into_request(self) -> PluginRequest {
        match self {
            Self::Generate => request([("action", "genConfig".into())]),
            Self::Pack { name, value } => {
                request([("action", "genPack".into()), ("name", name), ("value", value)])
            }
            Self::Unknown => PluginRequest::new(),
        }
    }
}

fn request<const N: usize>(entries: [(&str, ByteString); N]) -> PluginRequest {
    entries
        .into_iter()
        .map(|(name, value)| (ByteString::from(name), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logger_request_survives_the_round_trip() {
        for request in [
            LoggerRequest::Init("osqueryd".into()),
            LoggerRequest::Features,
            LoggerRequest::Status("[]".into()),
            LoggerRequest::Line("{}".into()),
            LoggerRequest::Snapshot(vec![0xe9, 0xff].into()),
            LoggerRequest::Event("{}".into()),
            LoggerRequest::Batch("[]".into()),
            LoggerRequest::Unknown,
        ] {
            assert_eq!(LoggerRequest::read(request.clone().into_request()), request);
        }
    }

    #[test]
    fn a_config_request_survives_the_round_trip() {
        for request in [
            ConfigRequest::Generate,
            ConfigRequest::Pack {
                name: "ext".into(),
                value: "/a/pack".into(),
            },
            ConfigRequest::Unknown,
        ] {
            assert_eq!(ConfigRequest::read(request.clone().into_request()), request);
        }
    }
}
