//! `osqdemo serve link`: listens for clients, and carries each of their connections to the broker.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::control::Told;
use super::{Condition, addresses, connection};
use crate::error::{Diagnose, Result};
use crate::exit_code::ExitCode;
use crate::state::remove_file;
use crate::waiting::before_next_try;

/// How many connections a link carries at once; more wait to be accepted.
const MOST_CONNECTIONS: usize = 512;

/// How long to wait before the next connection is accepted when one could not be.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Between what a link stands.
#[derive(Debug, Clone)]
pub struct LinkSettings {
    /// Where clients find it.
    pub listen: SocketAddr,
    /// The broker.
    pub to: String,
    /// The socket over which it is told what the way is like.
    pub control: PathBuf,
}

/// A link cannot do its work.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// An address is taken, most likely.
    #[error("failed to listen on `{address}`: {source}")]
    Listen {
        /// The address.
        address: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Diagnose for LinkError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Start
    }

    fn hints(&self) -> Vec<String> {
        vec!["run it again: a port that another program took meanwhile is chosen anew".to_owned()]
    }
}

/// Carries connections until it is asked to end.
///
/// # Errors
/// When it cannot listen.
pub async fn serve(settings: LinkSettings, shutdown: CancellationToken) -> Result<()> {
    let failed = |address: String| move |source| LinkError::Listen { address, source };
    let listener = TcpListener::bind(settings.listen)
        .await
        .map_err(failed(settings.listen.to_string()))?;
    let own = listener
        .local_addr()
        .map_err(failed(settings.listen.to_string()))?;
    // What a link that was killed has left.
    remove_file(&settings.control)?;
    let control =
        UnixListener::bind(&settings.control).map_err(failed(settings.control.display().to_string()))?;
    let told = Told::nothing();
    let condition = told.condition();
    tracing::info!("a link from {own} to {}", settings.to);
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = told.listen(control) => {}
        () = accept(&listener, own, Arc::from(settings.to.as_str()), condition) => {}
    }
    Ok(remove_file(&settings.control)?)
}

async fn accept(
    listener: &TcpListener,
    own: SocketAddr,
    to: Arc<str>,
    condition: watch::Receiver<Condition>,
) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((client, _)) => {
                let (to, condition) = (Arc::clone(&to), condition.clone());
                tokio::spawn(async move {
                    if let Err(error) = carry_to(client, own, &to, condition).await {
                        tracing::debug!("a connection ended: {error}");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("failed to accept a connection: {error}");
                before_next_try(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Carries a client's connection to the broker. Where the broker is not there the client's connection ends, as it would
/// without a link.
async fn carry_to(
    client: TcpStream,
    own: SocketAddr,
    to: &str,
    mut condition: watch::Receiver<Condition>,
) -> io::Result<()> {
    let delay = condition.borrow().delay_ms;
    sleep_until(Instant::now() + Duration::from_millis(delay)).await;
    connection::open(&mut condition).await;
    let broker = TcpStream::connect(to).await?;
    client.set_nodelay(true)?;
    broker.set_nodelay(true)?;
    connection::both(
        client.into_split(),
        broker.into_split(),
        addresses::of_connection(own),
        condition,
    )
    .await
}
