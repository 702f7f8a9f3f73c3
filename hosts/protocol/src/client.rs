//! Calls of an extension and of osqueryd.
//!
//! A client is one connection. Its timeout bounds the connecting and each wait for the peer; after an
//! error the connection is of no further use and the client is dropped.

use std::collections::BTreeMap;
use std::io::{BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::message::{Answer, Call};
use crate::types::{ExtensionInfo, OptionInfo, PluginRequest, Registry, Response, RouteUuid, Status};
use crate::unix_socket::{self, is_timeout};
use crate::wire::{Decoder, MESSAGE_LIMIT};
use crate::{ByteString, ProtocolError};

/// The socket of the extension `uuid`, beside osqueryd's socket `manager`.
pub fn extension_socket(manager: &Path, uuid: RouteUuid) -> PathBuf {
    let mut path = manager.as_os_str().to_owned();
    path.push(format!(".{uuid}"));
    path.into()
}

/// Calls a plugin the way osqueryd does: a ping on a connection of its own, then the call on a second one.
///
/// # Errors
/// Whatever [`ExtensionClient::connect`], [`ExtensionClient::ping`] and [`ExtensionClient::call`] return.
pub fn call_like_osqueryd(
    extension: &Path,
    timeout: Duration,
    registry: &str,
    item: &str,
    request: PluginRequest,
) -> Result<Response, ProtocolError> {
    ExtensionClient::connect(extension, timeout)?.ping()?;
    ExtensionClient::connect(extension, timeout)?.call(registry, item, request)
}

/// A connection to an extension.
#[derive(Debug)]
pub struct ExtensionClient {
    connection: Connection,
}

impl ExtensionClient {
    /// Connects to an extension's socket.
    ///
    /// # Errors
    /// [`ProtocolError::Connect`] when nobody accepts within `timeout`.
    pub fn connect(extension: &Path, timeout: Duration) -> Result<Self, ProtocolError> {
        Ok(Self {
            connection: Connection::open(extension, timeout)?,
        })
    }

    /// Asks whether the extension is alive.
    ///
    /// # Errors
    /// Any [`ProtocolError`] of a call.
    pub fn ping(&mut self) -> Result<Status, ProtocolError> {
        self.connection.status(&Call::Ping)
    }

    /// Calls the plugin `item` of `registry`.
    ///
    /// # Errors
    /// Any [`ProtocolError`] of a call. A plugin's own failure is not one; it is in the response's status.
    pub fn call(
        &mut self,
        registry: &str,
        item: &str,
        request: PluginRequest,
    ) -> Result<Response, ProtocolError> {
        self.connection.response(&Call::Plugin {
            registry: registry.into(),
            item: item.into(),
            request,
        })
    }

    /// Asks the extension to end.
    ///
    /// # Errors
    /// Any [`ProtocolError`] of a call.
    pub fn shutdown(&mut self) -> Result<(), ProtocolError> {
        self.connection.ask(&Call::Shutdown).map(drop)
    }
}

/// A connection to osqueryd.
#[derive(Debug)]
pub struct ManagerClient {
    connection: Connection,
}

impl ManagerClient {
    /// Connects to osqueryd's extension socket.
    ///
    /// # Errors
    /// [`ProtocolError::Connect`] when nobody accepts within `timeout`.
    pub fn connect(manager: &Path, timeout: Duration) -> Result<Self, ProtocolError> {
        Ok(Self {
            connection: Connection::open(manager, timeout)?,
        })
    }

    /// Asks whether osqueryd is alive.
    ///
    /// # Errors
    /// Any [`ProtocolError`] of a call.
    pub fn ping(&mut self) -> Result<Status, ProtocolError> {
        self.connection.status(&Call::Ping)
    }

    /// The registered extensions; number 0 is osqueryd itself.
    ///
    /// # Errors
    /// Any [`ProtocolError`] of a call.
    pub fn extensions(&mut self) -> Result<BTreeMap<RouteUuid, ExtensionInfo>, ProtocolError> {
        match self.connection.ask(&Call::Extensions)? {
            Answer::Extensions(extensions) => Ok(extensions),
            _ => Err(OTHER_ANSWER),
        }
    }

    /// osqueryd's flags.
    ///
    /// # Errors
    /// Any [`ProtocolError`] of a call.
    pub fn options(&mut self) -> Result<BTreeMap<ByteString, OptionInfo>, ProtocolError> {
        match self.connection.ask(&Call::Options)? {
            Answer::Options(options) => Ok(options),
            _ => Err(OTHER_ANSWER),
        }
    }

    /// Registers an extension. On success the status carries its number.
    ///
    /// # Errors
    /// Any [`ProtocolError`] of a call. A refusal is not one; it is in the status.
    pub fn register(&mut self, info: ExtensionInfo, registry: Registry) -> Result<Status, ProtocolError> {
        self.connection.status(&Call::Register { info, registry })
    }

    /// Takes an extension off osqueryd's list.
    ///
    /// # Errors
    /// Any [`ProtocolError`] of a call. A refusal is not one; it is in the status.
    pub fn deregister(&mut self, uuid: RouteUuid) -> Result<Status, ProtocolError> {
        self.connection.status(&Call::Deregister { uuid })
    }

    /// Runs a query in osqueryd.
    ///
    /// # Errors
    /// Any [`ProtocolError`] of a call. Bad SQL is not one; it is in the response's status.
    pub fn query(&mut self, sql: &str) -> Result<Response, ProtocolError> {
        self.connection.response(&Call::Query { sql: sql.into() })
    }

    /// The columns a query would have: one row for each, its name and its type.
    ///
    /// # Errors
    /// Any [`ProtocolError`] of a call. Bad SQL is not one; it is in the response's status.
    pub fn query_columns(&mut self, sql: &str) -> Result<Response, ProtocolError> {
        self.connection.response(&Call::QueryColumns { sql: sql.into() })
    }
}

const OTHER_ANSWER: ProtocolError = ProtocolError::Malformed {
    reason: "the answer to another method",
};

#[derive(Debug)]
struct Connection {
    stream: BufReader<UnixStream>,
    timeout: Duration,
    sequence: i32,
}

impl Connection {
    fn open(path: &Path, timeout: Duration) -> Result<Self, ProtocolError> {
        let stream = BufReader::new(unix_socket::connect(path, timeout)?);
        Ok(Self {
            stream,
            timeout,
            sequence: 0,
        })
    }

    fn status(&mut self, call: &Call) -> Result<Status, ProtocolError> {
        match self.ask(call)? {
            Answer::Status(status) => Ok(status),
            _ => Err(OTHER_ANSWER),
        }
    }

    fn response(&mut self, call: &Call) -> Result<Response, ProtocolError> {
        match self.ask(call)? {
            Answer::Response(response) => Ok(response),
            _ => Err(OTHER_ANSWER),
        }
    }

    fn ask(&mut self, call: &Call) -> Result<Answer, ProtocolError> {
        self.exchange(call).map_err(|error| match error {
            ProtocolError::Socket { source } if is_timeout(&source) => ProtocolError::TimedOut {
                method: call.method(),
                timeout: self.timeout,
            },
            other => other,
        })
    }

    fn exchange(&mut self, call: &Call) -> Result<Answer, ProtocolError> {
        self.sequence = self.sequence.wrapping_add(1);
        let message = call.encode(self.sequence);
        if message.len() > MESSAGE_LIMIT {
            return Err(ProtocolError::TooLarge { limit: MESSAGE_LIMIT });
        }
        self.stream.get_mut().write_all(&message)?;
        match Answer::decode(call, &mut Decoder::new(&mut self.stream))? {
            Answer::Exception { message, .. } => Err(ProtocolError::Refused {
                method: call.method(),
                message: message.to_text().into_owned(),
            }),
            answer => Ok(answer),
        }
    }
}
