//! `osqdemo top`: a live view of the pipeline: services, rates of lines per topic, lag of the queries, the last joined
//! rows. A screen on a terminal, one block of lines a look where there is none, one document a look with `--json`.

mod screen;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::cli::TopArgs;
use crate::commands::project::Project;
use crate::commands::{CommandError, Context, endpoints};
use crate::error::{Failure, Result};
use crate::events::SCHEMA_VERSION;
use crate::kafka::{GroupLag, TopicSummary, lags, list_topics};
use crate::ksqldb::rows::Item;
use crate::ksqldb::session::Session;
use crate::ksqldb::{Client, shipped};
use crate::plan::{Observed, ServiceState};
use crate::scenario::observation::JoinedRow;
use crate::waiting::before_next_try;
use screen::Screen;

/// The shortest time between two looks: each asks the broker for every topic and group.
const SHORTEST: Duration = Duration::from_millis(100);

/// How many joined rows are kept.
const ROWS: usize = 8;

/// How long to wait before the joined rows are asked for again when ksqlDB went away.
const AGAIN: Duration = Duration::from_secs(1);

/// Rows that wait to be shown; whoever is slower than the query loses none that matter here.
const WAITING: usize = 256;

/// What is seen in one look.
#[derive(Debug, Serialize)]
pub(super) struct Look {
    schema_version: u32,
    pub(super) project: String,
    pub(super) services: Vec<ServiceLine>,
    pub(super) topics: Vec<TopicRate>,
    pub(super) lags: Vec<GroupLag>,
    /// How many joined rows came since the begin.
    pub(super) joined: u64,
    /// The last of them, the newest first.
    pub(super) rows: Vec<JoinedRow>,
    /// What could not be asked, and why.
    pub(super) trouble: Vec<String>,
}

/// A service in a look.
#[derive(Debug, Serialize)]
pub(super) struct ServiceLine {
    pub(super) service: String,
    pub(super) state: &'static str,
    pub(super) restarts: u32,
    pub(super) port: Option<u16>,
}

/// How fast a topic grows.
#[derive(Debug, Serialize)]
pub(super) struct TopicRate {
    pub(super) topic: String,
    /// As `topics` counts them: those that are kept.
    pub(super) records: u64,
    /// Records a second since the look before; nothing at the first one.
    pub(super) per_second: Option<f64>,
}

/// Runs the verb, until the user ends it or it has looked as often as it was to.
///
/// # Errors
/// When the project is not running.
pub async fn run(context: Context, arguments: TopArgs) -> Result<()> {
    let every = arguments.interval.max(SHORTEST);
    let project = Project::open(&context)?;
    if !project.engine.observe().await?.is_running() {
        let project = context.settings.project.value.clone();
        return Err(CommandError::NotRunning { project }.into());
    }
    let (rows, mut arriving) = mpsc::channel(WAITING);
    let mut tasks = JoinSet::new();
    if let Ok(ksqldb) = context.ksqldb().await {
        tasks.spawn(follow_rows(Client::of(&ksqldb)?, rows));
    }
    let mut watch = Watch::new(project);
    let screen = Screen::open(&context.reporter)?;
    let mut look = interval(every);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut left = arguments.looks.unwrap_or(u64::MAX);
    while left > 0 {
        tokio::select! {
            biased;
            // A signal is how it is ended: no error, and the exit code tells of it.
            () = context.shutdown.token().cancelled() => break,
            Some(row) = arriving.recv() => watch.take(row),
            _ = look.tick() => {
                let seen = tokio::select! {
                    seen = watch.look() => seen,
                    () = context.shutdown.token().cancelled() => break,
                };
                screen.show(&seen)?;
                left -= 1;
            }
        }
    }
    screen.close()
}

/// Keeps the precise join open, and hands its rows on.
async fn follow_rows(client: Client, rows: mpsc::Sender<JoinedRow>) {
    let mut session = Session::default();
    session.set("auto.offset.reset", "latest");
    while !rows.is_closed() {
        if let Ok(mut stream) = client.query(&shipped::precise_query(), &session).await {
            while let Ok(Some(item)) = stream.next().await {
                let Item::Row(row) = item else { continue };
                if let Some(row) = JoinedRow::read(&row)
                    && rows.send(row).await.is_err()
                {
                    return;
                }
            }
        }
        tokio::select! {
            () = before_next_try(AGAIN) => {}
            () = rows.closed() => return,
        }
    }
}

/// What is remembered from look to look.
struct Watch {
    project: Project,
    rates: Rates,
    joined: u64,
    rows: VecDeque<JoinedRow>,
}

impl Watch {
    fn new(project: Project) -> Self {
        Self {
            project,
            rates: Rates::default(),
            joined: 0,
            rows: VecDeque::new(),
        }
    }

    fn take(&mut self, row: JoinedRow) {
        self.joined += 1;
        self.rows.push_front(row);
        self.rows.truncate(ROWS);
    }

    async fn look(&mut self) -> Look {
        let mut trouble = Vec::new();
        let observed = match self.project.engine.observe().await {
            Ok(observed) => observed,
            Err(failure) => {
                trouble.push(failure.to_string());
                Observed::nothing()
            }
        };
        let (mut topics, mut behind) = (Vec::new(), Vec::new());
        match endpoints::cluster(&self.project, &observed) {
            Ok(broker) => {
                match list_topics(&broker).await {
                    Ok(found) => topics = self.rates.of(found, Instant::now()),
                    Err(error) => trouble.push(error.to_string()),
                }
                match lags(&broker).await {
                    Ok(found) => behind = found,
                    Err(error) => trouble.push(error.to_string()),
                }
            }
            Err(error) => trouble.push(Failure::from(error).to_string()),
        }
        Look {
            schema_version: SCHEMA_VERSION,
            project: self.project.folder.project.to_string(),
            services: self.services(&observed),
            topics,
            lags: behind,
            joined: self.joined,
            rows: self.rows.iter().cloned().collect(),
            trouble,
        }
    }

    fn services(&self, observed: &Observed) -> Vec<ServiceLine> {
        let services = self.project.stack.services.iter().map(|service| {
            let seen = observed.services.get(&service.name);
            ServiceLine {
                service: service.name.to_string(),
                state: match seen.map(|seen| &seen.state) {
                    None => "stopped",
                    Some(ServiceState::Running { .. }) => "running",
                    Some(ServiceState::Paused { .. }) => "paused",
                    Some(ServiceState::Restarting { .. }) => "restarting",
                    Some(ServiceState::Exited { .. }) => "exited",
                    Some(ServiceState::Leftover { .. }) => "leftover",
                },
                restarts: seen.map_or(0, |seen| seen.restarts),
                port: seen.and_then(|seen| seen.port),
            }
        });
        services.collect()
    }
}

/// How fast topics grow from look to look.
#[derive(Default)]
struct Rates {
    /// When was looked before, and where the topics ended.
    before: Option<(Instant, BTreeMap<String, u64>)>,
}

impl Rates {
    /// The topics of the pipeline with how fast they grow; the broker's own are left out.
    fn of(&mut self, topics: Vec<TopicSummary>, now: Instant) -> Vec<TopicRate> {
        let shown = topics.iter().filter(|topic| !topic.name.starts_with('_'));
        let ends = shown.clone().map(|topic| (topic.name.clone(), topic.end));
        let before = self.before.replace((now, ends.collect()));
        let rates = shown.map(|topic| TopicRate {
            per_second: before.as_ref().map(|(at, ends)| {
                let more = topic
                    .end
                    .saturating_sub(ends.get(&topic.name).copied().unwrap_or(0));
                #[expect(clippy::cast_precision_loss, reason = "one digit behind the point is shown")]
                let more = more as f64;
                more / now.duration_since(*at).as_secs_f64().max(0.001)
            }),
            topic: topic.name.clone(),
            records: topic.records,
        });
        rates.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_counted_and_what_comes_is_the_rate() {
        let topic = |records, end| TopicSummary {
            name: "processes".to_owned(),
            partitions: 1,
            records,
            end,
        };
        let (mut rates, began) = (Rates::default(), Instant::now());
        let first = rates.of(vec![topic(10, 10)], began);
        assert_eq!((first[0].records, first[0].per_second), (10, None));
        // Retention takes away more than comes.
        let second = rates.of(vec![topic(4, 30)], began + Duration::from_secs(2));
        assert_eq!((second[0].records, second[0].per_second), (4, Some(10.0)));
    }
}
