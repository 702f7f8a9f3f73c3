//! What a scenario watches: the topics on the way, and the two joins.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{self, Instant};

use super::error::ScenarioError;
use super::observation::{Join, JoinedRow, Sighting, Source};
use super::push_query::{PushQuery, QueryEvent};
use super::steady_clock::SteadyClock;
use crate::error::Result;
use crate::events::{Doubtful, Listener, Warning};
use crate::kafka::{Decoder, KafkaError, Start, Tail};
use crate::ksqldb::session::Session;
use crate::ksqldb::statement::Script;
use crate::ksqldb::{Client, Error, shipped};
use crate::stack::Endpoints;

/// How long ksqlDB may take from accepting a push query to reading for it.
const RUNNING_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// More than any burst of rows that is of interest; a full channel makes the queries wait.
const EVENTS: usize = 1024;

/// How long ksqlDB may be away before that is told: a restart of the one of stack `lite` takes less.
const TOLD_AFTER: Duration = Duration::from_secs(2);
/// How long it may be away before the queries ever ran. One of Confluent's needs half of that to start.
const AWAY_AT_MOST: Duration = Duration::from_secs(40);

/// Something that came along the pipeline.
#[derive(Debug)]
pub(super) enum Seen {
    /// A record about a process or a file.
    Sighting(Sighting),
    /// A row of a join.
    Row(Join, JoinedRow, Timestamp),
    /// A push query is away.
    Trouble(Join, String),
    /// A push query runs again.
    Recovered(Join),
}

/// The open ends of the pipeline. Dropping it ends the push queries.
pub(super) struct Pipeline {
    tail: Tail,
    clock: SteadyClock,
    events: mpsc::Receiver<QueryEvent>,
    reopen: HashMap<Join, Arc<Notify>>,
    /// Ended when dropped.
    _queries: JoinSet<()>,
}

impl Pipeline {
    /// Opens everything and returns once both push queries run. Has no deadline of its own.
    ///
    /// # Errors
    /// When something of the pipeline is missing or stands still.
    pub(super) async fn open(
        endpoints: &Endpoints,
        clock: &SteadyClock,
        listener: &dyn Listener,
    ) -> Result<Self> {
        let client = Client::of(&endpoints.ksqldb)?;
        let topics = Source::ALL.map(|(topic, _)| topic);
        let decoder = endpoints.registry.as_ref().and_then(Decoder::new);
        let tail = match Tail::open(&endpoints.kafka, &topics, Start::End).await {
            Ok(tail) => tail.decoded_by(decoder),
            Err(KafkaError::UnknownTopic { topic, .. }) => {
                return Err(match stream_over(&client, &topic).await {
                    Some(stream) => ScenarioError::DeletedTopic { topic, stream },
                    None => incomplete(&client, ScenarioError::MissingTopic { topic }).await,
                }
                .into());
            }
            Err(error) => return Err(error.into()),
        };
        let (sender, events) = mpsc::channel(EVENTS);
        let mut queries = JoinSet::new();
        let mut reopen = HashMap::new();
        for (join, statement) in [
            (Join::Original, shipped::original_query()),
            (Join::Precise, shipped::precise_query()),
        ] {
            let notify = Arc::new(Notify::new());
            reopen.insert(join, Arc::clone(&notify));
            let query = PushQuery {
                client: client.clone(),
                join,
                statement,
                reopen: notify,
                events: sender.clone(),
            };
            queries.spawn(query.follow());
        }
        let mut pipeline = Self {
            tail,
            clock: clock.clone(),
            events,
            reopen,
            _queries: queries,
        };
        let ids = pipeline.running_queries(&client, listener).await?;
        let stopped = stopped_queries(&client).await?;
        if !stopped.is_empty() {
            return Err(ScenarioError::StoppedQueries { stopped }.into());
        }
        wait_until_reading(&client, &ids).await;
        Ok(pipeline)
    }

    /// What comes next. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Result<Seen> {
        loop {
            let event = tokio::select! {
                record = self.tail.next() => {
                    let Some(sighting) = Sighting::read(&record?, self.clock.now()) else {
                        continue;
                    };
                    let made_at = self.clock.fit(sighting.made_at, sighting.seen_at);
                    return Ok(Seen::Sighting(Sighting { made_at, ..sighting }));
                }
                Some(event) = self.events.recv() => event,
            };
            return match event {
                QueryEvent::Row { join, row } => Ok(Seen::Row(join, row, self.clock.now())),
                QueryEvent::Away { join, reason } => Ok(Seen::Trouble(join, reason)),
                QueryEvent::Running { join, .. } => Ok(Seen::Recovered(join)),
                QueryEvent::Refused { join, error } => {
                    Err(ScenarioError::QueryRejected { join, error }.into())
                }
            };
        }
    }

    /// Opens these push queries again, from the beginning of the topics.
    pub(super) fn reopen(&self, joins: &[Join]) {
        for notify in joins.iter().filter_map(|join| self.reopen.get(join)) {
            notify.notify_one();
        }
    }

    /// Waits until both queries run.
    async fn running_queries(&mut self, client: &Client, listener: &dyn Listener) -> Result<Vec<String>> {
        let began = Instant::now();
        let (mut ids, mut reason) = (HashMap::new(), None);
        let mut told = false;
        while ids.len() < self.reopen.len() {
            let event = tokio::select! {
                event = self.events.recv() => event,
                () = time::sleep_until(began + AWAY_AT_MOST) => {
                    return Err(ScenarioError::NoKsqldb {
                        url: client.url().to_owned(),
                        reason: reason.unwrap_or_else(|| "no answer".to_owned()),
                        after: began.elapsed(),
                    }
                    .into());
                }
                () = time::sleep_until(began + TOLD_AFTER), if !told => {
                    told = true;
                    listener.emit(Warning::KsqldbAway {
                        url: client.url().to_owned(),
                        reason: reason.clone().unwrap_or_else(|| "no answer".to_owned()),
                        at_most: AWAY_AT_MOST,
                    });
                    continue;
                }
            };
            match event {
                Some(QueryEvent::Running { join, query_id }) => {
                    ids.insert(join, query_id);
                }
                Some(QueryEvent::Refused { join, error }) => {
                    let rejected = ScenarioError::QueryRejected { join, error };
                    return Err(incomplete(client, rejected).await.into());
                }
                Some(QueryEvent::Away { join, reason: why }) => {
                    ids.remove(&join);
                    reason = Some(why);
                }
                Some(QueryEvent::Row { .. }) => {}
                None => break,
            }
        }
        Ok(ids.into_values().collect())
    }
}

/// What is missing of the pipeline, if that is so and can be told; else what was seen of it.
async fn incomplete(client: &Client, seen: ScenarioError) -> ScenarioError {
    match shipped::missing(client).await {
        Ok(streams) if !streams.is_empty() => ScenarioError::MissingStreams { streams },
        _ => seen,
    }
}

/// Those of the pipeline's queries that do not run. A server that is just being restarted is asked again.
async fn stopped_queries(client: &Client) -> std::result::Result<Vec<Doubtful>, Error> {
    let mut look = time::interval(LOOK_EVERY);
    let deadline = Instant::now() + AWAY_AT_MOST;
    loop {
        look.tick().await;
        match shipped::stopped_queries(client).await {
            Err(error) if error.is_transient() && Instant::now() < deadline => {}
            // While it starts, a server does not know its queries yet.
            Ok(stopped) if !stopped.is_empty() && !is_started(client).await && Instant::now() < deadline => {}
            answer => return answer,
        }
    }
}

/// Whether the server knows all that it is to know.
pub(super) async fn is_started(client: &Client) -> bool {
    let info = client.info().await;
    info.is_ok_and(|info| info.status.is_none_or(|status| status == "RUNNING"))
}

/// The stream that ksqlDB has over a topic, if it tells.
async fn stream_over(client: &Client, topic: &str) -> Option<String> {
    let statement = Script::parse("LIST STREAMS;").statements.remove(0);
    let entities = client.execute(&statement, &Session::default()).await.ok()?;
    let mut streams = entities
        .iter()
        .filter_map(|entity| entity.body().get("streams")?.as_array())
        .flatten();
    let stream = streams.find(|stream| stream["topic"].as_str() == Some(topic))?;
    Some(stream["name"].as_str()?.to_owned())
}

/// ksqlDB accepts a push query before it reads for it: rows in between would be missed. Servers that list
/// their push queries tell; with others the queries are opened again should a row be missed.
async fn wait_until_reading(client: &Client, ids: &[String]) {
    let statement = Script::parse("LIST QUERIES;").statements.remove(0);
    let mut look = time::interval(LOOK_EVERY);
    let reading = async {
        loop {
            look.tick().await;
            let Ok(entities) = client.execute(&statement, &Session::default()).await else {
                return;
            };
            let is_starting = entities
                .iter()
                .filter_map(|entity| entity.body().get("queries")?.as_array())
                .flatten()
                .any(|query| is_one_of(query, ids) && query["state"].as_str() != Some("RUNNING"));
            if !is_starting {
                return;
            }
        }
    };
    let _ = time::timeout(RUNNING_WITHIN, reading).await;
}

fn is_one_of(query: &Value, ids: &[String]) -> bool {
    query["id"]
        .as_str()
        .is_some_and(|id| ids.iter().any(|known| known == id))
}
