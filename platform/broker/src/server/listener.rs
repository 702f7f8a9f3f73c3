//! Listening sockets and the connections that come through them.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kafka_protocol::protocol::StrBytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use super::authentication::Authentication;
use super::connection::{self, ConnectionError};
use crate::api::Session;
use crate::config::{HostPort, Listener, Mechanism};
use crate::error::Error;
use crate::node::Node;
use crate::security::{Principal, tls};

/// How long clients have to take their last answers when the broker stops.
pub(crate) const LAST_WRITES: Duration = Duration::from_millis(50);
/// How long to wait when the system cannot take another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound listener.
pub(crate) struct BoundListener {
    /// Its configuration.
    pub(crate) listener: Listener,
    /// The address it was bound to.
    pub(crate) local: SocketAddr,
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl std::fmt::Debug for BoundListener {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("BoundListener");
        shown
            .field("listener", &self.listener)
            .field("local", &self.local);
        shown.finish_non_exhaustive()
    }
}

impl BoundListener {
    /// Reads the listener's files and binds its address.
    pub(crate) async fn bind(listener: Listener) -> Result<Self, Error> {
        let tls = listener.tls.as_ref().map(tls::server_config).transpose()?;
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
            tls: tls.map(TlsAcceptor::from),
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
                    let arrival = self.arrival(&node, &stream, peer);
                    tasks.spawn(async move {
                        serve(stream, arrival).await;
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

    fn arrival(&self, node: &Arc<Node>, stream: &TcpStream, peer: SocketAddr) -> Arrival {
        let advertised = match &self.listener.advertised {
            Some(advertised) => advertised.clone(),
            // Bound to every address, the one that worked for this client is the one to tell it.
            None if self.local.ip().is_unspecified() => stream.local_addr().unwrap_or(self.local).into(),
            None => self.local.into(),
        };
        Arrival {
            node: Arc::clone(node),
            advertised,
            peer,
            tls: self.tls.clone(),
            mechanisms: self.listener.mechanisms.clone(),
            deadline: Instant::now() + node.config.limits.handshake,
        }
    }
}

/// A connection that nothing was read from yet.
struct Arrival {
    node: Arc<Node>,
    advertised: HostPort,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    mechanisms: Vec<Mechanism>,
    /// When its client has to be let in.
    deadline: Instant,
}

impl Arrival {
    /// A place among those that are being let in, where that takes anything.
    async fn place(&self) -> Result<Option<OwnedSemaphorePermit>, ConnectionError> {
        if self.tls.is_none() && self.mechanisms.is_empty() {
            return Ok(None);
        }
        let place = Arc::clone(&self.node.handshakes).acquire_owned();
        match tokio::time::timeout_at(self.deadline.into(), place).await {
            Ok(place) => Ok(place.ok()),
            Err(_) => Err(self.too_late()),
        }
    }

    fn too_late(&self) -> ConnectionError {
        ConnectionError::Handshake(self.node.config.limits.handshake)
    }

    fn session(self, principal: Principal, place: Option<OwnedSemaphorePermit>) -> Session {
        Session {
            advertised: self.advertised,
            authentication: Authentication::new(self.mechanisms, principal, self.deadline, place),
            // One that arrives through a socket for both kinds of addresses is still one of the older kind.
            client_host: StrBytes::from_string(format!("/{}", self.peer.ip().to_canonical())),
            wake_up: Arc::new(Notify::new()),
            answer_memory: Mutex::default(),
            node: self.node,
        }
    }

    /// Agrees on TLS where the listener has it, and serves the client.
    async fn serve(self, stream: TcpStream) -> Result<(), ConnectionError> {
        // Answers are small and waited for.
        stream.set_nodelay(true)?;
        let shutdown = self.node.shutdown.clone();
        let place = tokio::select! {
            place = self.place() => place?,
            () = shutdown.cancelled() => return Ok(()),
        };
        let Some(acceptor) = self.tls.clone() else {
            let session = self.session(Principal::anonymous(), place);
            return connection::serve(stream, &session).await;
        };
        let stream = tokio::select! {
            accepted = tokio::time::timeout_at(self.deadline.into(), acceptor.accept(stream)) => match accepted {
                Ok(accepted) => accepted.map_err(ConnectionError::Tls)?,
                Err(_) => return Err(self.too_late()),
            },
            () = shutdown.cancelled() => return Ok(()),
        };
        let (_, agreed) = stream.get_ref();
        let certificate = agreed.peer_certificates().and_then(<[_]>::first);
        let principal = certificate.and_then(tls::principal);
        let has_certificate = principal.is_some();
        let session = self.session(principal.unwrap_or_else(Principal::anonymous), place);
        if has_certificate {
            session.tell_who("TLS");
        }
        connection::serve(stream, &session).await
    }
}

async fn serve(stream: TcpStream, arrival: Arrival) {
    let (node, peer) = (Arc::clone(&arrival.node), arrival.peer);
    // A connection lives long and is mostly idle: what only its beginning takes is not kept beside it.
    match Box::pin(arrival.serve(stream)).await {
        Ok(()) => {}
        Err(ConnectionError::Io(error) | ConnectionError::Tls(error))
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
