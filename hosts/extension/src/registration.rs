//! Getting onto osqueryd's list.
//!
//! osqueryd starts its extensions before its own socket exists, and holds the name of one that crashed until
//! it next looks. So both, being unreachable and being refused, are tried again until time is up.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use osquery_protocol::client::ManagerClient;
use osquery_protocol::{ByteString, OptionInfo, ProtocolError, Registry, RouteUuid};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout_at};

use crate::EXTENSION_NAMES;
use crate::error::ExtensionError;
use crate::plugins::extension_info;

/// The patience with osqueryd in one call.
pub(crate) const MANAGER_TIMEOUT: Duration = Duration::from_secs(2);
/// The pause before another attempt to reach osqueryd.
const CONNECT_PAUSE: Duration = Duration::from_millis(25);
/// The pause before another attempt to register.
const REGISTER_PAUSE: Duration = Duration::from_millis(250);

enum Attempt {
    Registered(RouteUuid),
    Refused(String),
    Unreachable(ProtocolError),
}

/// Registers `registry` at osqueryd's `socket`; the number it gives. Tries for as long as `patience` says.
pub(crate) async fn register(
    socket: &Path,
    name: Option<&'static str>,
    registry: &Registry,
    patience: Duration,
) -> Result<RouteUuid, ExtensionError> {
    let deadline = Instant::now() + patience;
    let mut said = false;
    loop {
        let path = socket.to_path_buf();
        let plugins = registry.clone();
        let attempt = spawn_blocking(move || attempt(&path, name, plugins)).await;
        let attempt = attempt.map_err(|panic| ExtensionError::Runtime {
            source: io::Error::other(panic),
        })?;
        let socket = socket.to_path_buf();
        let (error, pause) = match attempt {
            Attempt::Registered(uuid) => return Ok(uuid),
            Attempt::Refused(reason) => (
                ExtensionError::Refused {
                    socket,
                    patience,
                    reason,
                },
                REGISTER_PAUSE,
            ),
            Attempt::Unreachable(reason) => (
                ExtensionError::Unreachable {
                    socket,
                    patience,
                    reason,
                },
                CONNECT_PAUSE,
            ),
        };
        if !std::mem::replace(&mut said, true) {
            tracing::debug!("not registered yet: {error}");
        }
        if timeout_at(deadline, sleep(pause)).await.is_err() {
            return Err(error);
        }
    }
}

fn attempt(socket: &Path, name: Option<&'static str>, registry: Registry) -> Attempt {
    let answer = ManagerClient::connect(socket, MANAGER_TIMEOUT).and_then(|mut manager| {
        let name = match name {
            Some(name) => name,
            None => awaited_name(&manager.options()?),
        };
        // osqueryd closes a connection that it has answered, or not.
        ManagerClient::connect(socket, MANAGER_TIMEOUT)?.register(extension_info(name), registry)
    });
    match answer {
        Ok(status) if status.is_success() => Attempt::Registered(status.uuid),
        Ok(status) => Attempt::Refused(status.message.to_text().into_owned()),
        Err(reason) => Attempt::Unreachable(reason),
    }
}

/// The one of our names that osqueryd waits for (`--extensions_require`), else the first.
fn awaited_name(options: &BTreeMap<ByteString, OptionInfo>) -> &'static str {
    let awaited = options
        .get(b"extensions_require".as_slice())
        .map(|option| option.value.to_text());
    let is_awaited = |name: &&&str| {
        let mut names = awaited.iter().flat_map(|names| names.split(','));
        names.any(|awaited| awaited.trim() == **name)
    };
    EXTENSION_NAMES
        .iter()
        .find(is_awaited)
        .unwrap_or(&EXTENSION_NAMES[0])
}
