//! osquery's extension API and its result log.
//!
//! An osquery extension and osqueryd talk Thrift over Unix sockets, in both directions. This crate
//! holds everything the two sides share: the wire codec, a [`server`] and a [`client`] for both of the
//! API's services, the requests that osqueryd puts into a plugin call ([`plugin`]), and the exact shape
//! of the lines that osqueryd hands to a logger ([`result_log`]).
//!
//! It must not know Kafka, the extension's configuration or osquery's tables.
//!
//! Three properties hold everywhere:
//! - a Thrift `string` is bytes ([`ByteString`]): osquery sends text that is not UTF-8;
//! - sizes are bounded before memory is reserved, and no input makes the codec panic;
//! - no wait on a socket is without a deadline.

mod byte_string;
pub mod client;
mod error;
#[cfg(feature = "fake-osqueryd")]
pub mod fake;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod message;
pub mod plugin;
pub mod result_log;
pub mod server;
mod types;
mod unix_socket;
mod wire;

pub use byte_string::ByteString;
pub use error::ProtocolError;
pub use types::{
    ExtensionInfo, OptionInfo, PluginRequest, PluginResponse, Registry, Response, RouteTable, RouteUuid,
    Status, StatusCode,
};
