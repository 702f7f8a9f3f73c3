//! Unix stream sockets with a deadline on everything, connecting included.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::ProtocolError;

/// How long a probe of a leftover socket may take.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);

/// Connects; `timeout` bounds the connecting and, from then on, each read and each write.
///
/// The standard library cannot bound connecting to a Unix socket, which blocks while the peer's backlog
/// is full. Linux applies the send timeout to it.
pub(crate) fn connect(path: &Path, timeout: Duration) -> Result<UnixStream, ProtocolError> {
    open(path, timeout).map_err(|source| ProtocolError::Connect {
        path: path.to_path_buf(),
        source,
    })
}

fn open(path: &Path, timeout: Duration) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(path)?;
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let stream = UnixStream::from(socket);
    stream.set_write_timeout(Some(timeout))?;
    stream.set_read_timeout(Some(timeout))?;
    rustix::net::connect(&stream, &address)?;
    Ok(stream)
}

/// Listens on `path`, for this user only. A socket file that nobody listens on any more is replaced; one
/// that is in use, or that is not a socket, is left alone.
pub(crate) fn listen(path: &Path) -> Result<UnixListener, ProtocolError> {
    let bind = || -> io::Result<UnixListener> {
        if is_abandoned(path) {
            std::fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
        Ok(listener)
    };
    bind().map_err(|source| ProtocolError::Listen {
        path: path.to_path_buf(),
        source,
    })
}

fn is_abandoned(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    is_socket
        && matches!(open(path, PROBE_TIMEOUT), Err(error) if error.kind() == io::ErrorKind::ConnectionRefused)
}

/// Whether a read or write ended because its time was up.
pub(crate) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
