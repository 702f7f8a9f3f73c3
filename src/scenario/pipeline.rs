//! What a scenario watches: the topics on the way, and the two joins.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time;

use super::error::ScenarioError;
use super::observation::{Join, JoinedRow, Sighting, Source};
use super::push_query::{PushQuery, QueryEvent};
use crate::error::Result;
use crate::kafka::{KafkaError, Start, Tail};
use crate::ksqldb::session::Session;
use crate::ksqldb::statement::Script;
use crate::ksqldb::{Client, ddl};
use crate::stack::Endpoints;

/// How long ksqlDB may take from accepting a push query to reading for it.
const RUNNING_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// More than any burst of rows that is of interest; a full channel makes the queries wait.
const EVENTS: usize = 1024;

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
    pub(super) async fn open(endpoints: &Endpoints) -> Result<Self> {
        let client = Client::new(&endpoints.ksqldb_url)?;
        let topics = Source::ALL.map(|(topic, _)| topic);
        let tail = match Tail::open(&endpoints.bootstrap_servers, &topics, Start::End).await {
            Ok(tail) => tail,
            Err(KafkaError::UnknownTopic { topic, .. }) => {
                return Err(match stream_over(&client, &topic).await {
                    Some(stream) => ScenarioError::DeletedTopic { topic, stream },
                    None => ScenarioError::MissingTopic { topic },
                }
                .into());
            }
            Err(error) => return Err(error.into()),
        };
        let (sender, events) = mpsc::channel(EVENTS);
        let mut queries = JoinSet::new();
        let mut reopen = HashMap::new();
        for (join, statement) in [
            (Join::Original, ddl::original_query()),
            (Join::Precise, ddl::precise_query()),
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
            events,
            reopen,
            _queries: queries,
        };
        let ids = pipeline.running_queries().await?;
        let stopped = ddl::stopped_queries(&client).await?;
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
                    match Sighting::read(&record?, Timestamp::now()) {
                        Some(sighting) => return Ok(Seen::Sighting(sighting)),
                        None => continue,
                    }
                }
                Some(event) = self.events.recv() => event,
            };
            return match event {
                QueryEvent::Row { join, row } => Ok(Seen::Row(join, row, Timestamp::now())),
                QueryEvent::Away { join, reason } => Ok(Seen::Trouble(join, reason)),
                QueryEvent::Running { join, .. } => Ok(Seen::Recovered(join)),
                QueryEvent::Refused { join, error } => {
                    Err(ScenarioError::QueryRejected { join, error }.into())
                }
            };
        }
    }

    /// Opens the push queries again, from the beginning of the topics.
    pub(super) fn reopen(&self) {
        for notify in self.reopen.values() {
            notify.notify_one();
        }
    }

    /// Waits until both queries run.
    async fn running_queries(&mut self) -> Result<Vec<String>> {
        let mut ids = HashMap::new();
        while ids.len() < self.reopen.len() {
            match self.events.recv().await {
                Some(QueryEvent::Running { join, query_id }) => {
                    ids.insert(join, query_id);
                }
                Some(QueryEvent::Refused { join, error }) => {
                    return Err(ScenarioError::QueryRejected { join, error }.into());
                }
                Some(QueryEvent::Row { .. } | QueryEvent::Away { .. }) => {}
                None => break,
            }
        }
        Ok(ids.into_values().collect())
    }
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
