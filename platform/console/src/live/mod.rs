//! What a page watches. A page opens one event stream and asks for what it wants to see over it; each thing it watches is
//! a task that ends with the page.
//!
//! A slow browser slows nobody: what it cannot take is left out, and how much is told.

mod crowd;
mod hosts;
mod overview;
mod query;
mod records;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::api::{Answer, Refusal};
use crate::server::App;

pub(crate) use hosts::HostsFeed;
pub(crate) use overview::OverviewFeed;

/// How many pages may be open.
const PAGE_LIMIT: usize = 64;
/// How many things a page may watch at once.
const WATCH_LIMIT: usize = 32;
/// How many events wait for a browser.
const QUEUE: usize = 32;
/// How often a silent stream says that it is there, so that a browser that is gone is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The open pages, and what they share.
#[derive(Default)]
pub(crate) struct Pages {
    open: Mutex<HashMap<u64, Page>>,
    next: std::sync::atomic::AtomicU64,
    pub(crate) overview: OverviewFeed,
    pub(crate) hosts: HostsFeed,
}

struct Page {
    events: mpsc::Sender<String>,
    watches: HashMap<u64, CancellationToken>,
    closed: CancellationToken,
}

/// Something to watch, as the page asks for it.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Wanted {
    /// Services, topics, queries, groups: once a second.
    Overview,
    /// Hosts and their queries: once a second.
    Hosts(hosts::Wanted),
    /// Records of a topic.
    Records(records::Wanted),
    /// The rows of a query.
    Query(query::Wanted),
}

#[derive(Debug, Deserialize)]
pub(crate) struct Watch {
    /// How the page calls it; events carry it.
    id: u64,
    #[serde(flatten)]
    wanted: Wanted,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Unwatch {
    id: u64,
}

/// Where a watch sends its events.
#[derive(Clone)]
struct Sink {
    id: u64,
    events: mpsc::Sender<String>,
}

impl Sink {
    /// Waits until the browser has room. Says whether the page is still there.
    async fn send(&self, kind: &str, body: Value) -> bool {
        self.events.send(self.event(kind, body)).await.is_ok()
    }

    /// Whether the browser has room now.
    fn has_room(&self) -> bool {
        self.events.capacity() > QUEUE / 4
    }

    fn event(&self, kind: &str, body: Value) -> String {
        json!({"id": self.id, "type": kind, "body": body}).to_string()
    }
}

impl Pages {
    fn open(&self) -> MutexGuard<'_, HashMap<u64, Page>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends everything that a page watched, however its stream ends.
struct Open {
    app: App,
    id: u64,
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(page) = self.app.pages.open().remove(&self.id) {
            page.closed.cancel();
        }
    }
}

/// `GET /api/live`: the page's event stream. Its first event names the page.
pub(crate) async fn open(State(app): State<App>) -> Response {
    let (events, receiver) = mpsc::channel(QUEUE);
    let id = app.pages.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    {
        let mut open = app.pages.open();
        if open.len() >= PAGE_LIMIT {
            let refusal = Refusal::busy(format!("{PAGE_LIMIT} pages are open; close one"));
            return (StatusCode::SERVICE_UNAVAILABLE, refusal).into_response();
        }
        let page = Page {
            events,
            watches: HashMap::new(),
            closed: app.stopping.child_token(),
        };
        open.insert(id, page);
    }
    let stopping = app.stopping.clone();
    let first = Event::default().data(json!({"id": null, "type": "page", "body": {"page": id}}).to_string());
    let state = (receiver, Open { app, id }, stopping, Some(first));
    let events = stream::unfold(state, |(mut receiver, open, stopping, first)| async move {
        let event = match first {
            Some(first) => first,
            None => tokio::select! {
                event = receiver.recv() => Event::default().data(event?),
                () = stopping.cancelled() => return None,
            },
        };
        Some((Ok::<_, Infallible>(event), (receiver, open, stopping, None)))
    });
    Sse::new(events)
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response()
}

/// `POST /api/live/{page}/watch`.
pub(crate) async fn watch(State(app): State<App>, Path(page): Path<u64>, Json(watch): Json<Watch>) -> Answer {
    let (sink, ended) = {
        let mut open = app.pages.open();
        let page = open.get_mut(&page).ok_or_else(unknown_page)?;
        page.watches.retain(|_, token| !token.is_cancelled());
        if page.watches.len() >= WATCH_LIMIT {
            return Err(Refusal::busy(format!(
                "a page watches at most {WATCH_LIMIT} things at once"
            )));
        }
        let ended = page.closed.child_token();
        page.watches.insert(watch.id, ended.clone());
        let sink = Sink {
            id: watch.id,
            events: page.events.clone(),
        };
        (sink, ended)
    };
    let task = run(std::sync::Arc::clone(&app), watch.wanted, sink);
    app.tasks.spawn(async move {
        tokio::select! {
            () = task => ended.cancel(),
            () = ended.cancelled() => {}
        }
    });
    Ok(Json(json!({})))
}

/// `POST /api/live/{page}/unwatch`.
pub(crate) async fn unwatch(
    State(app): State<App>,
    Path(page): Path<u64>,
    Json(unwatch): Json<Unwatch>,
) -> Answer {
    let mut open = app.pages.open();
    let page = open.get_mut(&page).ok_or_else(unknown_page)?;
    if let Some(ended) = page.watches.remove(&unwatch.id) {
        ended.cancel();
    }
    Ok(Json(json!({})))
}

fn unknown_page() -> Refusal {
    Refusal::not_found("this page's event stream has ended; load the page again".to_owned())
}

async fn run(app: App, wanted: Wanted, sink: Sink) {
    let ended = match wanted {
        Wanted::Overview => overview::run(&app, &sink).await,
        Wanted::Hosts(wanted) => hosts::run(&app, &wanted, &sink).await,
        Wanted::Records(wanted) => records::run(&app, wanted, &sink).await,
        Wanted::Query(wanted) => query::run(&app, &wanted, &sink).await,
    };
    let body = match ended {
        Ok(()) => json!({}),
        Err(refusal) => json!({"error": refusal.body()}),
    };
    sink.send("end", body).await;
}
