//! How a link is told what the way is like: JSON lines over a Unix socket, one answer a line. What is told for a while ends
//! with the connection that told it.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::Condition;
use crate::waiting::before_next_try;

/// How long a link may take for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// The longest line that is read.
const LONGEST_LINE: u64 = 4_096;

/// How many may tell at once.
const MOST_TELLERS: usize = 16;

/// How long to wait before the next connection is accepted when one could not be.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a link is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
enum Order {
    /// Be like this as long as this connection lasts.
    Hold { condition: Condition },
    /// Be like this until you are told something else.
    Keep { condition: Condition },
    /// Say what you keep.
    Tell,
}

/// How a way is for a while: it ends when this is dropped.
#[derive(Debug)]
pub struct Held {
    _connection: BufReader<UnixStream>,
}

/// Makes the way of the link with this socket so for as long as what is returned is kept.
///
/// # Errors
/// When the link does not answer.
pub async fn hold(socket: &Path, condition: Condition) -> io::Result<Held> {
    let mut connection = BufReader::new(UnixStream::connect(socket).await?);
    ask(&mut connection, &Order::Hold { condition }).await?;
    Ok(Held {
        _connection: connection,
    })
}

/// Makes it so until it is told something else, or ends.
///
/// # Errors
/// When the link does not answer.
pub async fn keep(socket: &Path, condition: Condition) -> io::Result<()> {
    let mut connection = BufReader::new(UnixStream::connect(socket).await?);
    ask(&mut connection, &Order::Keep { condition }).await.map(drop)
}

/// What a link keeps.
///
/// # Errors
/// When the link does not answer.
pub async fn kept(socket: &Path) -> io::Result<Condition> {
    let mut connection = BufReader::new(UnixStream::connect(socket).await?);
    ask(&mut connection, &Order::Tell).await
}

async fn ask(connection: &mut BufReader<UnixStream>, order: &Order) -> io::Result<Condition> {
    let asking = async {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        connection.get_mut().write_all(&line).await?;
        let mut answer = String::new();
        if connection.read_line(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_str(&answer)?)
    };
    timeout(ANSWER_LIMIT, asking)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// What a link has been told.
#[derive(Debug, Clone)]
pub(super) struct Told {
    state: Arc<Mutex<State>>,
    now: watch::Sender<Condition>,
}

#[derive(Debug, Default)]
struct State {
    kept: Condition,
    held: BTreeMap<u64, Condition>,
    tellers: u64,
}

impl Told {
    pub(super) fn nothing() -> Self {
        Self {
            state: Arc::default(),
            now: watch::Sender::default(),
        }
    }

    /// How the way is.
    pub(super) fn condition(&self) -> watch::Receiver<Condition> {
        self.now.subscribe()
    }

    /// Listens to tellers, for good.
    pub(super) async fn listen(self, listener: UnixListener) {
        let places = Arc::new(Semaphore::new(MOST_TELLERS));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let told = self.clone();
                    tokio::spawn(async move {
                        told.answer(stream).await;
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

    async fn answer(&self, stream: UnixStream) {
        let own = {
            let mut state = self.state();
            state.tellers += 1;
            state.tellers
        };
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        loop {
            line.clear();
            match (&mut stream).take(LONGEST_LINE).read_line(&mut line).await {
                Ok(read) if read > 0 => {}
                _ => break,
            }
            let Ok(order) = serde_json::from_str(&line) else {
                break;
            };
            let Ok(mut answer) = serde_json::to_vec(&self.follow(own, order)) else {
                break;
            };
            answer.push(b'\n');
            if stream.get_mut().write_all(&answer).await.is_err() {
                break;
            }
        }
        self.change(|state| {
            state.held.remove(&own);
        });
    }

    /// What is kept then.
    fn follow(&self, teller: u64, order: Order) -> Condition {
        match order {
            Order::Hold { condition } => self.change(|state| {
                state.held.insert(teller, condition);
            }),
            Order::Keep { condition } => self.change(|state| state.kept = condition),
            Order::Tell => self.state().kept,
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) -> Condition {
        let mut state = self.state();
        change(&mut state);
        let clear = Condition::default();
        let worst = state
            .held
            .values()
            .fold(clear.or_worse(state.kept), |worst, held| worst.or_worse(*held));
        self.now
            .send_if_modified(|now| std::mem::replace(now, worst) != worst);
        state.kept
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: Condition = Condition {
        delay_ms: 80,
        loss_percent: 0,
        is_cut: false,
    };

    #[tokio::test]
    async fn what_is_held_ends_with_its_teller_and_what_is_kept_stays() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("link.sock");
        let told = Told::nothing();
        let mut now = told.condition();
        tokio::spawn(told.listen(UnixListener::bind(&socket).unwrap()));
        let held = hold(&socket, Condition::CUT).await.unwrap();
        keep(&socket, SLOW).await.unwrap();
        assert_eq!(*now.borrow(), SLOW.or_worse(Condition::CUT));
        assert_eq!(kept(&socket).await.unwrap(), SLOW);
        drop(held);
        let only_slow = timeout(Duration::from_secs(60), now.wait_for(|now| *now == SLOW));
        only_slow.await.expect("in time").unwrap();
        keep(&socket, Condition::default()).await.unwrap();
        assert!(now.borrow().is_clear());
    }

    #[tokio::test]
    async fn nonsense_ends_its_connection_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("link.sock");
        tokio::spawn(Told::nothing().listen(UnixListener::bind(&socket).unwrap()));
        for nonsense in [b"slow please\n".to_vec(), vec![b'x'; 10_000]] {
            let mut stream = UnixStream::connect(&socket).await.unwrap();
            // It may be ended before all of it is there.
            let _ = stream.write_all(&nonsense).await;
            let mut answer = Vec::new();
            let _ = timeout(Duration::from_secs(60), stream.read_to_end(&mut answer))
                .await
                .expect("it is ended");
            assert_eq!(answer, b"");
        }
        assert!(kept(&socket).await.unwrap().is_clear());
    }
}
