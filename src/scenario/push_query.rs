//! A push query that stays open: when ksqlDB goes away it is opened again, from the beginning of the topics,
//! so that no row of this run is missed. Rows may then come again; whoever reads them knows which are its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time;

use super::observation::{Join, JoinedRow};
use super::pipeline::is_started;
use crate::ksqldb::rows::{Header, Item};
use crate::ksqldb::session::Session;
use crate::ksqldb::statement::Statement;
use crate::ksqldb::{Client, Error, RowStream, ServerError};

/// How long to wait before the first attempt to open the query again, and at most.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(800);

/// What a push query has to tell.
#[derive(Debug)]
pub(super) enum QueryEvent {
    /// It runs.
    Running {
        join: Join,
        /// ksqlDB's name for it.
        query_id: String,
    },
    /// A row.
    Row { join: Join, row: JoinedRow },
    /// It ended or could not be opened, and is opened again.
    Away { join: Join, reason: String },
    /// ksqlDB does not accept it.
    Refused { join: Join, error: ServerError },
}

/// A push query and where to tell what it has to tell.
pub(super) struct PushQuery {
    pub(super) client: Client,
    pub(super) join: Join,
    pub(super) statement: Statement,
    /// Asks for the query to be opened again from the beginning.
    pub(super) reopen: Arc<Notify>,
    pub(super) events: mpsc::Sender<QueryEvent>,
}

impl PushQuery {
    /// Keeps the query open until it is refused or nobody listens any more.
    pub(super) async fn follow(self) {
        // Nothing before the run matters; once the query was away, everything since then does.
        let mut session = Session::default();
        session.set("auto.offset.reset", "latest");
        let mut has_run = false;
        let mut was_refused = false;
        let mut pause = SHORTEST_PAUSE;
        loop {
            let reason = match self.open(&session).await {
                Ok((rows, header)) => {
                    has_run = true;
                    pause = SHORTEST_PAUSE;
                    let running = QueryEvent::Running {
                        join: self.join,
                        query_id: header.query_id,
                    };
                    if self.events.send(running).await.is_err() {
                        return;
                    }
                    match self.read(rows).await {
                        Ok(reason) => reason,
                        Err(NobodyListens) => return,
                    }
                }
                // While it starts, a server may not know its streams yet: only what one refuses that has started, and
                // refuses again, is refused.
                Err(Error::Rejected(error)) if !has_run && error.code / 100 != 503 && was_refused => {
                    let refused = QueryEvent::Refused {
                        join: self.join,
                        error,
                    };
                    let _ = self.events.send(refused).await;
                    return;
                }
                Err(error) => {
                    was_refused =
                        !has_run && matches!(error, Error::Rejected(_)) && is_started(&self.client).await;
                    error.to_string()
                }
            };
            if has_run {
                session = Session::from_earliest();
            }
            let away = QueryEvent::Away {
                join: self.join,
                reason,
            };
            if self.events.send(away).await.is_err() {
                return;
            }
            // A pause between attempts, cut short when there is nobody left to try for.
            if time::timeout(pause, self.events.closed()).await.is_ok() {
                return;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn open(&self, session: &Session) -> Result<(RowStream, Header), Error> {
        let mut rows = self.client.query(&self.statement, session).await?;
        let header = rows.header().await?;
        Ok((rows, header))
    }

    /// Hands rows on until the query ends, and says why it ended.
    async fn read(&self, mut rows: RowStream) -> Result<String, NobodyListens> {
        loop {
            let item = tokio::select! {
                item = rows.next() => item,
                () = self.reopen.notified() => return Ok("opened again from the beginning".to_owned()),
                () = self.events.closed() => return Err(NobodyListens),
            };
            match item {
                Ok(Some(Item::Row(row))) => {
                    if let Some(row) = JoinedRow::read(&row) {
                        let event = QueryEvent::Row { join: self.join, row };
                        self.events.send(event).await.map_err(|_| NobodyListens)?;
                    }
                }
                Ok(Some(Item::Final(message))) => return Ok(message),
                Ok(Some(_)) => {}
                Ok(None) => return Ok("ksqlDB ended the query".to_owned()),
                Err(error) => return Ok(error.to_string()),
            }
        }
    }
}

/// The other end of the channel is gone.
struct NobodyListens;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::Value;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::ksqldb::canned_server::{Answer, CannedServer};
    use crate::ksqldb::shipped;

    const HEADER: &str =
        "[{\"header\":{\"queryId\":\"q\",\"schema\":\"`HOST` STRING, `PROC` STRING, `FILE` STRING\"}},\n";
    const ROW: &str = "{\"row\":{\"columns\":[\"host2\",\"/usr/bin/head\",\"/f\"]}},\n";

    fn follow(server: &CannedServer) -> (mpsc::Receiver<QueryEvent>, JoinHandle<()>) {
        let (events, receiver) = mpsc::channel(16);
        let query = PushQuery {
            client: Client::new(&server.url).unwrap(),
            join: Join::Original,
            statement: shipped::original_query(),
            reopen: Arc::new(Notify::new()),
            events,
        };
        (receiver, tokio::spawn(query.follow()))
    }

    async fn next(receiver: &mut mpsc::Receiver<QueryEvent>) -> QueryEvent {
        time::timeout(Duration::from_secs(10), receiver.recv())
            .await
            .expect("an event within the deadline")
            .expect("the query goes on")
    }

    #[tokio::test]
    async fn a_query_that_was_cut_off_is_opened_again_from_the_beginning() {
        let asked = AtomicUsize::new(0);
        let server = CannedServer::start(move |_, _| match asked.fetch_add(1, Ordering::Relaxed) {
            0 => Answer::cut(HEADER),
            // While it starts again the server knows nothing yet.
            1 => Answer::status(
                400,
                r#"{"@type":"statement_error","error_code":40001,"message":"PROC does not exist."}"#,
            ),
            _ => Answer::cut(format!("{HEADER}{ROW}")),
        })
        .await;
        let (mut receiver, task) = follow(&server);
        assert!(matches!(next(&mut receiver).await, QueryEvent::Running { .. }));
        assert!(matches!(next(&mut receiver).await, QueryEvent::Away { .. }));
        let QueryEvent::Away { reason, .. } = next(&mut receiver).await else {
            panic!("the refusal is not final");
        };
        assert_eq!(reason, "ksqlDB: PROC does not exist. (40001)");
        assert!(matches!(next(&mut receiver).await, QueryEvent::Running { .. }));
        let QueryEvent::Row { row, .. } = next(&mut receiver).await else {
            panic!("a row was expected");
        };
        assert_eq!(row.host, "host2");
        let offsets: Vec<Value> = server
            .requests()
            .into_iter()
            .map(|(_, body)| body["streamsProperties"]["auto.offset.reset"].clone())
            .collect();
        assert_eq!(offsets[..3], ["latest", "earliest", "earliest"]);
        drop(receiver);
        time::timeout(Duration::from_secs(10), task)
            .await
            .unwrap()
            .unwrap();
    }

    #[tokio::test]
    async fn a_query_that_never_ran_and_is_refused_is_given_up() {
        let server = CannedServer::start(|path, _| {
            if path == "/info" {
                return Answer::status(
                    200,
                    r#"{"KsqlServerInfo":{"version":"7.9.0","serverStatus":"RUNNING"}}"#,
                );
            }
            Answer::status(
                400,
                r#"{"@type":"statement_error","error_code":40001,"message":"PROC does not exist."}"#,
            )
        })
        .await;
        let (mut receiver, task) = follow(&server);
        assert!(matches!(next(&mut receiver).await, QueryEvent::Away { .. }));
        assert!(matches!(next(&mut receiver).await, QueryEvent::Refused { .. }));
        task.await.unwrap();
    }

    #[tokio::test]
    async fn a_server_that_starts_does_not_know_what_it_refuses() {
        let asked = AtomicUsize::new(0);
        let server = CannedServer::start(move |path, _| {
            let count = asked.fetch_add(1, Ordering::Relaxed);
            match (path, count) {
                ("/info", _) => Answer::status(
                    200,
                    r#"{"KsqlServerInfo":{"version":"7.9.0","serverStatus":"STARTING"}}"#,
                ),
                (_, 0..5) => Answer::status(
                    400,
                    r#"{"@type":"statement_error","error_code":40001,"message":"PROC does not exist."}"#,
                ),
                _ => Answer::cut(HEADER),
            }
        })
        .await;
        let (mut receiver, _task) = follow(&server);
        loop {
            match next(&mut receiver).await {
                QueryEvent::Away { .. } => {}
                QueryEvent::Running { .. } => break,
                other => panic!("{other:?}"),
            }
        }
    }
}
