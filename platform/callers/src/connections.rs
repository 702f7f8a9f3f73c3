//! Connections: how many there may be, and how long each may take to say what it wants. For all HTTP services.
//!
//! Knows nothing of the routes. A connection whose request has been read may stay as long as its answer takes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, join};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How many connections there may be. More wait in the system's queue until one ends.
const MOST_CONNECTIONS: usize = 1_000;
/// The buffer of a connection, and so the longest head of a request.
const MOST_BUFFERED: usize = 64 * 1024;
/// How long to wait where the system has no room for a connection.
const NO_ROOM: Duration = Duration::from_millis(200);
/// How often an open HTTP/2 connection is asked whether it is still there.
const ASK: Duration = Duration::from_secs(30);
/// What a client says first where it speaks HTTP/2 (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Serves until the token is cancelled and every connection has ended; dropped, it ends them.
/// A client that has not sent the head of its request by the deadline is hung up on.
pub async fn serve(listener: TcpListener, router: Router, deadline: Duration, close: CancellationToken) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    // Dropped with this future, and its connections with it.
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accepted => accepted,
            Some(_) = connections.join_next() => continue,
            () = close.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = serve_one(stream, router.clone(), deadline, close.clone());
                connections.spawn(async move {
                    let _place = place;
                    if let Err(error) = connection.await {
                        tracing::debug!("a connection ended: {error}");
                    }
                });
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!("no connection can be accepted: {error}");
                tokio::time::sleep(NO_ROOM).await;
            }
        }
    }
    while connections.join_next().await.is_some() {}
}

async fn serve_one(
    mut stream: TcpStream,
    router: Router,
    deadline: Duration,
    close: CancellationToken,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    let begin = tokio::select! {
        begin = timeout(deadline, read_begin(&mut stream)) => begin??,
        () = close.cancelled() => return Ok(()),
    };
    let is_http2 = begin == PREFACE;
    let (reader, writer) = stream.into_split();
    let io = TokioIo::new(join(io::Cursor::new(begin).chain(reader), writer));
    let service = TowerToHyperService::new(router);
    // Both kinds of connection take the same care, but have no trait in common.
    macro_rules! until_closed {
        ($connection:expr) => {{
            let mut connection = std::pin::pin!($connection);
            tokio::select! {
                ended = connection.as_mut() => ended?,
                () = close.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await?;
                }
            }
        }};
    }
    if is_http2 {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(ASK)
            .keep_alive_timeout(deadline)
            .max_concurrent_streams(100);
        until_closed!(builder.serve_connection(io, service));
    } else {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(deadline)
            .max_buf_size(MOST_BUFFERED);
        until_closed!(builder.serve_connection(io, service).with_upgrades());
    }
    Ok(())
}

/// Reads until it is clear whether a client speaks HTTP/2.
async fn read_begin(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut begin = Vec::with_capacity(PREFACE.len());
    while begin.len() < PREFACE.len() && PREFACE.starts_with(&begin) {
        let left = PREFACE.len() - begin.len();
        if (&mut *stream).take(left as u64).read_buf(&mut begin).await? == 0 {
            break;
        }
    }
    Ok(begin)
}

/// Whether an error is about one connection, and not about accepting any.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use axum::routing::get;
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn who_does_not_finish_the_head_of_a_request_is_hung_up_on() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let close = CancellationToken::new();
        let router = Router::new().route("/", get(|| async { "well" }));
        let deadline = Duration::from_millis(200);
        let serving = tokio::spawn(serve(listener, router, deadline, close.clone()));
        let began = Instant::now();
        let mut stalled = Vec::new();
        for begin in [
            "",
            "PRI * HTT",
            "GET / HTT",
            "GET / HTTP/1.1\r\nHost: localhost\r\n",
        ] {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(begin.as_bytes()).await.unwrap();
            stalled.push(client);
        }
        let mut client = TcpStream::connect(address).await.unwrap();
        let asked = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        client.write_all(asked).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("well"), "{answer}");
        for mut client in stalled {
            let mut rest = Vec::new();
            let ended = timeout(Duration::from_secs(20), client.read_to_end(&mut rest)).await;
            let _ = ended.expect("the connection stays open");
        }
        assert!(began.elapsed() >= deadline);
        close.cancel();
        timeout(Duration::from_secs(20), serving).await.unwrap().unwrap();
    }
}
