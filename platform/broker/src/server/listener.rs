//! Listening sockets and the connections that come through them.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kafka_protocol::protocol::StrBytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use super::connection;
use crate::api::Session;
use crate::config::{HostPort, Listener};
use crate::error::Error;
use crate::node::Node;

/// How long clients have to take their last answers when the broker stops.
pub(crate) const LAST_WRITES: Duration = Duration::from_millis(50);
/// How long to wait when the system cannot take another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound listener.
#[derive(Debug)]
pub(crate) struct BoundListener {
    /// Its configuration.
    pub(crate) listener: Listener,
    /// The address it was bound to.
    pub(crate) local: SocketAddr,
    socket: TcpListener,
}

impl BoundListener {
    /// Binds the listener's address.
    pub(crate) async fn bind(listener: Listener) -> Result<Self, Error> {
        let failed = |source| Error::Bind {
            listener: listener.name.clone(),
            address: listener.bind,
            source,
        };
        let socket = TcpListener::bind(listener.bind).await.map_err(failed)?;
        let local = socket.local_addr().map_err(failed)?;
        Ok(Self {
            listener,
            local,
            socket,
        })
    }

    /// What clients are told to connect to.
    pub(crate) fn advertised(&self) -> HostPort {
        self.listener
            .advertised
            .clone()
            .unwrap_or_else(|| self.local.into())
    }

    /// Takes connections until the broker stops; each is served in a task of `tasks`.
    pub(crate) async fn run(self, node: Arc<Node>, tasks: TaskTracker) {
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = node.shutdown.cancelled() => return,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let Ok(place) = Arc::clone(&node.connections).try_acquire_owned() else {
                        if node.complaints.may_tell(Instant::now()) {
                            tracing::warn!(%peer, limit = node.config.limits.connections, "closing a connection: there are too many");
                        }
                        continue;
                    };
                    let session = self.session(&node, &stream, peer);
                    tasks.spawn(async move {
                        serve(stream, peer, session).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(listener = %self.listener.name, %error, "cannot accept a connection");
                    // Out of descriptors: trying again at once would only spin.
                    tokio::select! {
                        () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                        () = node.shutdown.cancelled() => return,
                    }
                }
            }
        }
    }

    fn session(&self, node: &Arc<Node>, stream: &TcpStream, peer: SocketAddr) -> Session {
        let advertised = match &self.listener.advertised {
            Some(advertised) => advertised.clone(),
            // Bound to every address, the one that worked for this client is the one to tell it.
            None if self.local.ip().is_unspecified() => stream.local_addr().unwrap_or(self.local).into(),
            None => self.local.into(),
        };
        Session {
            node: Arc::clone(node),
            advertised,
            client_host: StrBytes::from_string(format!("/{}", peer.ip())),
            wake_up: Arc::new(Notify::new()),
            answer_memory: Mutex::default(),
        }
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, session: Session) {
    let node = Arc::clone(&session.node);
    match connection::serve(stream, &session).await {
        Ok(()) => {}
        Err(connection::ConnectionError::Io(error))
            if matches!(
                error.kind(),
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof
            ) =>
        {
            tracing::debug!(%peer, %error, "a client went away");
        }
        Err(error) if node.complaints.may_tell(Instant::now()) => {
            tracing::warn!(%peer, error = error.to_string().escape_debug().to_string(), "closing a connection");
        }
        Err(error) => tracing::debug!(%peer, %error, "closing a connection"),
    }
}
