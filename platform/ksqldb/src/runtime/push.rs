//! Queries that live as long as a client listens: push queries and `PRINT`.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::positions::Resets;
use super::processing_log::ProcessingLog;
use super::with_input;
use crate::kafka::{Arrival, Reader, Record};
use crate::registry::{QuerySchemas, Registry};
use crate::syntax::ast::Print;
use crate::task::{Collector, OutputRow, Task};
use crate::types::Schema;

use super::print::Printer;

/// How many events wait for a slow client before the query waits too.
pub(super) const WAITING_EVENTS: usize = 64;

/// Which records a query for a client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// The oldest or the newest, and all that come: a push query.
    From(Resets),
    /// Those that are there: a pull query on a stream.
    WhatIsThere,
}

/// What a client that listens gets.
#[derive(Debug)]
pub(crate) enum PushEvent<T> {
    /// Rows, or lines.
    Items(Vec<T>),
    /// `LIMIT` was reached.
    LimitReached,
    /// The query failed.
    Failed(String),
}

/// A running push query as its client sees it. Dropping it ends the query.
#[derive(Debug)]
pub(crate) struct PushQuery {
    /// Its id.
    pub(crate) id: String,
    /// The columns of its rows.
    pub(crate) schema: Schema,
    /// Its rows. The end of the channel is the end of the query.
    pub(crate) events: mpsc::Receiver<PushEvent<OutputRow>>,
}

/// Runs a push query until its limit is reached, its client is gone, or it is stopped.
pub(super) async fn run_query(
    id: String,
    mut task: Task,
    extent: Extent,
    mut reader: Reader,
    events: mpsc::Sender<PushEvent<OutputRow>>,
    processing_log: Arc<ProcessingLog>,
    schemas: QuerySchemas,
) {
    let mut collector = Collector::default();
    let mut records = 0_u64;
    if task.is_complete() {
        let _ = events.send(PushEvent::LimitReached).await;
        return;
    }
    loop {
        let next = async {
            match extent {
                Extent::From(_) => reader.next().await.map(|arrival| match arrival {
                    Arrival::New(record) | Arrival::Replayed(record) => Some(record),
                }),
                Extent::WhatIsThere => reader.next_old().await,
            }
        };
        let arrival = tokio::select! {
            arrival = next => arrival,
            () = events.closed() => return,
        };
        let record = match arrival {
            Ok(Some(record)) => record,
            // The end of the channel is that of the query.
            Ok(None) => return,
            Err(error) => {
                let _ = events.send(PushEvent::Failed(error.to_string())).await;
                return;
            }
        };
        if schemas.misses(&record) {
            tokio::select! {
                () = schemas.learn(&record) => {}
                () = events.closed() => return,
            }
        }
        with_input(&record, |input| task.process(input, &mut collector));
        if let Some(reason) = task.failure() {
            let _ = events.send(PushEvent::Failed(reason)).await;
            return;
        }
        for entry in collector.log.drain(..) {
            processing_log.add(&id, entry);
        }
        if !collector.rows.is_empty() {
            let rows = collector.rows.drain(..).collect();
            if events.send(PushEvent::Items(rows)).await.is_err() {
                return;
            }
        }
        if task.is_complete() {
            let _ = events.send(PushEvent::LimitReached).await;
            return;
        }
        records += 1;
        if records.is_multiple_of(64) {
            tokio::task::yield_now().await;
        }
    }
}

/// Prints a topic until its limit is reached, its client is gone, or it is stopped.
pub(super) async fn run_print(
    print: Print,
    mut reader: Reader,
    lines: mpsc::Sender<PushEvent<String>>,
    registry: Arc<Registry>,
) {
    let mut printer = Printer::default();
    let interval = print.interval.unwrap_or(1).max(1);
    let (mut records, mut printed) = (0_u64, 0_u64);
    loop {
        if print.limit.is_some_and(|limit| printed >= limit) {
            return;
        }
        let arrival = tokio::select! {
            arrival = reader.next() => arrival,
            () = lines.closed() => return,
        };
        let record: Record = match arrival {
            Ok(Arrival::New(record) | Arrival::Replayed(record)) => record,
            Err(error) => {
                let _ = lines.send(PushEvent::Failed(error.to_string())).await;
                return;
            }
        };
        let due = records.is_multiple_of(interval);
        records += 1;
        if due {
            printed += 1;
            while registry.is_configured()
                && let Some(id) = printer.missing(&record)
            {
                let schema = tokio::select! {
                    schema = registry.any_schema(id) => schema,
                    () = lines.closed() => return,
                };
                printer.learn(id, schema.ok());
            }
            if lines
                .send(PushEvent::Items(printer.print(&record)))
                .await
                .is_err()
            {
                return;
            }
        }
        if records.is_multiple_of(64) {
            tokio::task::yield_now().await;
        }
    }
}

/// Ends a query when it is stopped, and turns a panic in it into an error for its client.
pub(super) async fn contain<T: Send + 'static>(
    query: impl Future<Output = ()> + Send + 'static,
    events: mpsc::Sender<PushEvent<T>>,
    stop: CancellationToken,
) {
    let mut running = tokio::spawn(query);
    let ended = tokio::select! {
        ended = &mut running => ended,
        () = stop.cancelled() => {
            running.abort();
            running.await
        }
    };
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!("a push query failed: {error}");
        let message = "internal error: the query panicked".to_owned();
        let _ = events.send(PushEvent::Failed(message)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_for_the_client() {
        let (events, mut received) = mpsc::channel::<PushEvent<OutputRow>>(1);
        contain(async { panic!("oh") }, events, CancellationToken::new()).await;
        let event = received.recv().await;
        assert!(matches!(event, Some(PushEvent::Failed(_))), "{event:?}");
        assert!(received.recv().await.is_none());
    }

    #[tokio::test]
    async fn a_query_that_is_stopped_ends_without_an_error() {
        let (events, mut received) = mpsc::channel::<PushEvent<OutputRow>>(1);
        let stop = CancellationToken::new();
        stop.cancel();
        contain(pending(), events, stop).await;
        assert!(received.recv().await.is_none());
    }
}
