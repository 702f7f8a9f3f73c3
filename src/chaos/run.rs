//! A run: the work of the hosts, the faults, and the proof, one after the other where they depend on each other.

mod inflict;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::check::{self, Checked, DEAD_LETTERS, Evidence, Finding, FindingKind, Repeats};
use super::fault::{FaultKind, Round};
use super::history::{Line, Row};
use super::join::{self, JoinQuery, NONCE_DIGITS};
use super::ledger::Ledger;
use super::model::Stream;
use super::processes;
use super::recovery::Stopwatch;
use super::report::{ChaosReport, MOST_FINDINGS, Verdict};
use super::work::{self, Told, Work, Worker};
use crate::engine::{Engine, EngineKind, HostExec};
use crate::error::Result;
use crate::events::{Event, Listener, SCHEMA_VERSION};
use crate::execute::{Execution, ExecutionSettings};
use crate::health::Prober;
use crate::kafka::{self, Start, Tail};
use crate::ksqldb::Client;
use crate::ksqldb::session::Session;
use crate::ksqldb::statement::Script;
use crate::link::between::Linked;
use crate::plan::{Plan, ServiceSpec, SupervisorState};
use crate::shutdown::Shutdown;
use crate::stack::{Endpoints, Role, ServiceName, Stack};
use crate::state::ProjectFolder;
use crate::waiting::{before_next_try, poll_within};

/// How long a part may take to be well again. Far longer than it takes on a slow machine.
const RECOVERED_WITHIN: Duration = Duration::from_secs(120);

/// How long what is on its way may take to arrive, once everything is well.
const SETTLED_WITHIN: Duration = Duration::from_secs(90);

/// How long to wait between two looks at everything.
const LOOK: Duration = Duration::from_secs(1);

/// What the group of a persistent query has in its name.
const PERSISTENT_QUERY: &str = "query_C";

/// How long tidying up may take.
const TIDY_WITHIN: Duration = Duration::from_secs(60);

/// What a run is made on.
pub struct Ground<'a, E> {
    /// The services.
    pub stack: &'a Stack,
    /// Runs them.
    pub engine: Arc<dyn Engine>,
    /// Where it runs them.
    pub kind: EngineKind,
    /// Asks for their health.
    pub prober: Arc<dyn Prober>,
    /// The services as they should be during the run.
    pub desired: Vec<ServiceSpec>,
    /// What stands between them and the broker then, where there are faults of the network.
    pub links: Option<Links>,
    /// Where clients find the platform.
    pub endpoints: Endpoints,
    /// Runs commands on the hosts.
    pub hosts: &'a E,
    /// The hosts.
    pub workers: Vec<Worker>,
    /// The topics that the hosts write to.
    pub topics: Vec<String>,
    /// How they are run by another build of osqdemo, where there is one.
    pub upgraded: Option<Upgraded>,
    /// The project's folder.
    pub folder: ProjectFolder,
    /// Is told what happens.
    pub events: &'a dyn Listener,
    /// Ends the run.
    pub shutdown: &'a Shutdown,
}

/// The links of a run.
pub struct Links {
    /// Those of the services.
    pub linked: Linked,
    /// The services as they should be afterwards.
    pub without: Vec<ServiceSpec>,
}

/// How services are run by another build of osqdemo.
pub struct Upgraded {
    /// Runs them.
    pub engine: Arc<dyn Engine>,
    /// The services as they should be then.
    pub desired: Vec<ServiceSpec>,
}

/// Which faults, and how many.
#[derive(Debug, Clone)]
pub struct Course {
    /// What they are drawn from.
    pub seed: u64,
    /// Which sorts.
    pub kinds: Vec<FaultKind>,
    /// The list, where there is one already.
    pub given: Option<Vec<Round>>,
    /// How many at most.
    pub most: u32,
    /// For how long.
    pub lasting: Option<Duration>,
}

/// Runs it. What must not be is in the report.
///
/// # Errors
/// When it cannot be run at all.
pub async fn run<E: HostExec>(ground: &Ground<'_, E>, course: &Course) -> Result<ChaosReport> {
    let ran = match ground.links {
        Some(_) => match bring_to(ground, &ground.desired, ground.shutdown).await {
            Ok(()) => run_on(ground, course).await,
            Err(failure) => Err(failure),
        },
        None => run_on(ground, course).await,
    };
    let set_back = timeout(RECOVERED_WITHIN, set_back(ground)).await;
    let mut report = ran?;
    let left = match set_back {
        Ok(Ok(())) => None,
        Ok(Err(failure)) => Some(failure.to_string()),
        Err(_) => Some("they did not come up in time".to_owned()),
    };
    if let Some(why) = left {
        report.findings_in_all += 1;
        report.findings.push(Finding {
            kind: FindingKind::LeftBehind,
            what: format!("services that are not as they were before the run: {why}"),
            time_ms: Timestamp::now().as_millisecond(),
            round: report.rounds.last().map(|round| round.number),
        });
    }
    if report.findings_in_all > 0 && report.verdict == Verdict::Passed {
        report.verdict = Verdict::Failed;
    }
    report.smallest_prefix = report.findings.iter().filter_map(|finding| finding.round).min();
    Ok(report)
}

/// The services as they are without a run, whoever wants to end: what was put between them goes.
async fn set_back<E: HostExec>(ground: &Ground<'_, E>) -> Result<()> {
    let desired = match &ground.links {
        Some(links) => &links.without,
        None if ground.upgraded.is_some() => &ground.desired,
        None => return Ok(()),
    };
    bring_to(ground, desired, &Shutdown::default()).await
}

/// Brings up what is not as it should be, as `osqdemo up` does.
async fn bring_to<E: HostExec>(
    ground: &Ground<'_, E>,
    desired: &[ServiceSpec],
    shutdown: &Shutdown,
) -> Result<()> {
    let observed = ground.engine.observe().await?;
    let plan = Plan::make_of(ground.stack, desired, &observed);
    execution(ground, &ground.engine, desired, shutdown)
        .run(&plan, &plan.unchanged(desired))
        .await
}

fn execution<E: HostExec>(
    ground: &Ground<'_, E>,
    engine: &Arc<dyn Engine>,
    desired: &[ServiceSpec],
    shutdown: &Shutdown,
) -> Execution {
    Execution::new(ExecutionSettings {
        engine: Arc::clone(engine),
        prober: Arc::clone(&ground.prober),
        events: Arc::new(Unheard),
        shutdown: shutdown.clone(),
        desired: desired.to_vec(),
        limit: RECOVERED_WITHIN,
    })
}

/// The run itself, on services that are as they should be during it.
async fn run_on<E: HostExec>(ground: &Ground<'_, E>, course: &Course) -> Result<ChaosReport> {
    let nonce = join::nonce();
    let query = JoinQuery::new(&nonce);
    let marker = format!("chaos-{nonce}-");
    let ledger = Ledger::new(&marker, query.topic());
    remove_leftovers(ground).await?;
    submit(ground, &query.create()).await?;
    let topics = [sinks(), sources(ground)].concat();
    let starts = kafka::ends(&ground.endpoints.kafka, &topics).await?;
    let began = Instant::now();
    let ran = Run {
        ground,
        course,
        marker: &marker,
        query: &query,
        ledger: &ledger,
        starts,
        began,
        cut_off: Mutex::default(),
    };
    let proved = ran.prove().await;
    let tidied = timeout(TIDY_WITHIN, ran.tidy()).await;
    let mut report = proved?;
    let left = tidied.unwrap_or_else(|_| vec!["not everything could be removed in time".to_owned()]);
    report.findings_in_all += u64::try_from(left.len()).unwrap_or(u64::MAX);
    report.findings.extend(left.into_iter().map(|what| Finding {
        kind: FindingKind::LeftBehind,
        what,
        time_ms: Timestamp::now().as_millisecond(),
        round: report.rounds.last().map(|round| round.number),
    }));
    Ok(report)
}

/// Something did not come back, so that more cannot be said.
fn unwell(what: &str) -> Finding {
    Finding {
        kind: FindingKind::NotRecovered,
        what: what.to_owned(),
        time_ms: Timestamp::now().as_millisecond(),
        round: None,
    }
}

/// Takes away what runs that were killed have left: nobody else makes one now.
async fn remove_leftovers<E: HostExec>(ground: &Ground<'_, E>) -> Result<()> {
    let client = Client::of(&ground.endpoints.ksqldb)?;
    for statement in Script::parse("LIST STREAMS;").statements {
        for entity in client.execute(&statement, &Session::from_earliest()).await? {
            let streams = entity.body().get("streams").and_then(Value::as_array);
            let names = streams
                .into_iter()
                .flatten()
                .filter_map(|stream| stream["name"].as_str());
            for query in names.filter_map(JoinQuery::named) {
                submit(ground, &query.drop()).await?;
            }
        }
    }
    for worker in &ground.workers {
        // A host that cannot be asked says so when it is to work.
        let _ = work::tidy(
            ground.hosts,
            worker,
            &format!("chaos-{}-", "[0-9a-f]".repeat(NONCE_DIGITS)),
        )
        .await;
    }
    Ok(())
}

async fn submit<E>(ground: &Ground<'_, E>, text: &str) -> Result<()> {
    let client = Client::of(&ground.endpoints.ksqldb)?;
    for statement in Script::parse(text).statements {
        client.execute(&statement, &Session::from_earliest()).await?;
    }
    Ok(())
}

/// The topics that the streams are in.
fn sinks() -> Vec<String> {
    Stream::ALL.map(|stream| stream.sink().to_owned()).to_vec()
}

/// The topics that the hosts write to.
fn sources<E>(ground: &Ground<'_, E>) -> Vec<String> {
    let topics = ground.topics.iter().cloned();
    topics.chain([DEAD_LETTERS.to_owned()]).collect()
}

struct Run<'a, E> {
    ground: &'a Ground<'a, E>,
    course: &'a Course,
    marker: &'a str,
    query: &'a JoinQuery,
    ledger: &'a Ledger,
    /// Where each partition ended before.
    starts: BTreeMap<(String, i32), i64>,
    began: Instant,
    /// The service that is cut off just now.
    cut_off: Mutex<Option<ServiceName>>,
}

/// What the faults came to.
#[derive(Default)]
struct Inflicted {
    rounds: Vec<Round>,
    /// When each of them was done, in milliseconds since 1970.
    times: Vec<i64>,
    stopwatch: Stopwatch,
    positions: BTreeMap<(String, String, i32), i64>,
    positions_compared: u64,
    findings: Vec<Finding>,
}

impl<E: HostExec> Run<'_, E> {
    async fn prove(&self) -> Result<ChaosReport> {
        let tail = Tail::open(&self.ground.endpoints.kafka, &self.ledger.topics(), Start::End).await?;
        let (mut inflicted, work, last) = tokio::select! {
            broken = self.ledger.follow(&tail) => return Err(broken.err().map_or_else(
                || self.ground.shutdown.interrupted().into(),
                Into::into,
            )),
            worked = self.worked() => worked?,
        };
        drop(tail);
        let seen = self.ledger.taken();
        inflicted.findings.extend(seen.findings);
        let checked = if self.is_interrupted() {
            Checked::default()
        } else {
            let mut evidence = Evidence {
                starts: self.starts.clone(),
                marker: self.marker.to_owned(),
                seen: seen.read,
                repeats: self.repeats(&inflicted.rounds),
                ..Evidence::default()
            };
            for told in last.iter().flatten() {
                inflicted.findings.extend(evidence.require(told));
            }
            self.settled(evidence).await.unwrap_or_else(|failure| Checked {
                findings: vec![unwell(&format!("nothing could be compared: {failure}"))],
                ..Checked::default()
            })
        };
        Ok(self.report(inflicted, work, checked))
    }

    /// The work of the hosts and the faults, until both are over and the last piece of work is all the way through.
    async fn worked(&self) -> Result<(Inflicted, Vec<Work>, Vec<Option<Told>>)> {
        let Self {
            ground,
            ledger,
            marker,
            ..
        } = *self;
        let stop = CancellationToken::new();
        let working = join_all(
            ground
                .workers
                .iter()
                .map(|worker| work::work(ground.hosts, worker, marker, ledger, &stop)),
        );
        let inflicting = async {
            let inflicted = self.inflict_all().await;
            stop.cancel();
            inflicted
        };
        let (work, inflicted) = tokio::join!(working, inflicting);
        let mut inflicted = inflicted?;
        if self.is_interrupted() {
            return Ok((inflicted, work, Vec::new()));
        }
        if let Err(failure) = self.healthy().await {
            inflicted
                .findings
                .push(unwell(&format!("after the last fault: {failure}")));
            return Ok((inflicted, work, Vec::new()));
        }
        if !self.compare_positions(&mut inflicted).await {
            let what = "the committed positions could not be compared once more at the end";
            inflicted.findings.push(unwell(what));
        }
        let cancel = ground.shutdown.token();
        let last = join_all(
            ground
                .workers
                .iter()
                .map(|worker| work::last_piece(ground.hosts, worker, marker, ledger, cancel)),
        );
        let mut told = Vec::new();
        for outcome in last.await {
            match outcome {
                Ok(last) => told.push(last),
                Err(finding) => inflicted.findings.push(finding),
            }
        }
        Ok((inflicted, work, told))
    }

    fn is_interrupted(&self) -> bool {
        self.ground.shutdown.token().is_cancelled()
    }

    fn execution(&self) -> Execution {
        self.execution_by(&self.ground.engine, &self.ground.desired)
    }

    fn execution_by(&self, engine: &Arc<dyn Engine>, desired: &[ServiceSpec]) -> Execution {
        execution(self.ground, engine, desired, self.ground.shutdown)
    }

    /// Waits until every service is.
    async fn healthy(&self) -> Result<()> {
        let services: Vec<ServiceName> = self.ground.desired.iter().map(|spec| spec.name.clone()).collect();
        self.execution().run(&Plan::default(), &services).await
    }

    /// Positions only grow, and those of persistent queries stay. A broker that does not answer just now is asked again
    /// after the next fault. Says whether it answered.
    async fn compare_positions(&self, inflicted: &mut Inflicted) -> bool {
        let Ok(positions) = kafka::positions(&self.ground.endpoints.kafka).await else {
            return false;
        };
        let round = inflicted.rounds.last().map(|round| round.number);
        let mut found = |what| {
            inflicted.findings.push(Finding {
                kind: FindingKind::PositionWentBack,
                what,
                time_ms: Timestamp::now().as_millisecond(),
                round,
            });
        };
        let mut gone = std::mem::take(&mut inflicted.positions);
        for position in positions {
            let key = (position.group, position.topic, position.partition);
            inflicted.positions_compared += 1;
            if let Some(before) = gone.remove(&key).filter(|before| *before > position.offset) {
                found(format!(
                    "group `{}` had committed {before} of `{}`, and then {}",
                    key.0, key.1, position.offset
                ));
            }
            inflicted.positions.insert(key, position.offset);
        }
        for ((group, topic, _), before) in gone {
            // Other groups go with who read in them.
            if group.contains(PERSISTENT_QUERY) {
                found(format!(
                    "group `{group}` had committed {before} of `{topic}`, and then nothing"
                ));
            }
        }
        true
    }

    /// What these faults explain that is there more than once.
    fn repeats(&self, rounds: &[Round]) -> Repeats {
        let mut repeats = Repeats::default();
        for round in rounds {
            if round.kind == FaultKind::Supervisor {
                // All services were killed.
                (repeats.lines, repeats.rows) = (true, true);
                let workers = self.ground.workers.iter();
                repeats
                    .hosts
                    .extend(workers.map(|worker| worker.identifier.clone()));
            }
            let service = &round.target.service;
            match self
                .ground
                .stack
                .service(service.as_str())
                .map(|service| service.role)
            {
                Some(Role::Broker) => (repeats.lines, repeats.rows) = (true, true),
                Some(Role::Ksqldb) => repeats.rows = true,
                Some(Role::Host) => {
                    let workers = self.ground.workers.iter();
                    let worker = workers.filter(|worker| worker.service == *service);
                    repeats
                        .hosts
                        .extend(worker.map(|worker| worker.identifier.clone()));
                }
                _ => {}
            }
        }
        repeats
    }

    /// Reads everything and compares it, until nothing is on its way any more.
    async fn settled(&self, mut evidence: Evidence) -> Result<Checked> {
        let deadline = Instant::now() + SETTLED_WITHIN;
        loop {
            self.read(&mut evidence).await?;
            if evidence.due.is_empty() {
                evidence.require_all();
            }
            let checked = check::check(&evidence);
            let is_waiting = checked.findings.iter().any(|finding| finding.kind.may_pass());
            if !is_waiting || Instant::now() >= deadline || self.is_interrupted() {
                return Ok(checked);
            }
            before_next_try(LOOK).await;
        }
    }

    async fn read(&self, evidence: &mut Evidence) -> Result<()> {
        let servers = &self.ground.endpoints.kafka;
        evidence.lines.clear();
        evidence.rows.clear();
        // Rows first: whatever made them is in the lines that are read after them.
        let sinks = sinks();
        let rows = kafka::read_all(servers, &sinks, |record| {
            let stream = Stream::ALL
                .into_iter()
                .find(|stream| stream.sink() == record.topic);
            stream.map(|stream| (stream, Row::read(record, stream.columns())))
        });
        for (stream, row) in rows.await?.into_iter().flatten() {
            evidence.rows.entry(stream).or_default().push(row);
        }
        let joined = [self.query.topic().to_owned()];
        evidence.joined =
            kafka::read_all(servers, &joined, |record| Row::read(record, &join::COLUMNS)).await?;
        let sources = sources(self.ground);
        for line in kafka::read_all(servers, &sources, Line::read).await? {
            let topic = line.place.topic.clone();
            evidence.lines.entry(topic).or_default().push(line);
        }
        Ok(())
    }

    fn report(&self, inflicted: Inflicted, mut work: Vec<Work>, checked: Checked) -> ChaosReport {
        let mut findings = inflicted.findings;
        for host in &mut work {
            findings.append(&mut host.findings);
        }
        findings.extend(checked.findings);
        findings.sort_by_key(|finding| (finding.time_ms, finding.kind));
        let findings_in_all = u64::try_from(findings.len()).unwrap_or(u64::MAX);
        findings.truncate(MOST_FINDINGS);
        for finding in &mut findings {
            let before = inflicted.times.partition_point(|time| *time <= finding.time_ms);
            let round = before.checked_sub(1).and_then(|at| inflicted.rounds.get(at));
            finding.round = finding.round.or(round.map(|round| round.number));
        }
        ChaosReport {
            schema_version: SCHEMA_VERSION,
            verdict: if self.is_interrupted() {
                Verdict::Interrupted
            } else if findings.is_empty() {
                Verdict::Passed
            } else {
                Verdict::Failed
            },
            seed: self.course.seed,
            faults: self.course.kinds.clone(),
            rounds: inflicted.rounds,
            elapsed_ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            work,
            hosts: checked.hosts,
            streams: checked.streams,
            recoveries: inflicted.stopwatch.recoveries(),
            positions_compared: inflicted.positions_compared,
            findings,
            findings_in_all,
            smallest_prefix: None,
        }
    }

    /// Takes away what the run has made. Says what is left.
    async fn tidy(&self) -> Vec<String> {
        let Self { ground, marker, .. } = *self;
        let mut left = Vec::new();
        if let Err(failure) = self.rejoin().await {
            left.push(format!("a service that is cut off: {failure}"));
        }
        for worker in &ground.workers {
            if work::tidy(ground.hosts, worker, marker).await.is_none() {
                left.push(format!("the files `{marker}*` in the home of {}", worker.service));
            }
        }
        if let Err(failure) = submit(ground, &self.query.drop()).await {
            left.push(format!("the stream of the run, with its topic: {failure}"));
        }
        let hosts: Vec<PathBuf> = ground
            .workers
            .iter()
            .map(|worker| ground.folder.host(&worker.service))
            .collect();
        if ground.kind == EngineKind::Native
            && let Ok(observed) = ground.engine.observe().await
            && let SupervisorState::Running { pid } = observed.supervisor
        {
            let look = || async {
                let strays = processes::strays(ground.folder.root(), &hosts, pid);
                strays.is_empty().then_some(())
            };
            if poll_within(TIDY_WITHIN / 4, LOOK / 4, look).await.is_none() {
                let strays = processes::strays(ground.folder.root(), &hosts, pid);
                left.extend(strays.iter().map(|stray| format!("process {}", stray.pid)));
            }
        }
        left
    }
}

impl Evidence {
    /// Everything up to these lines must be there. A finding when they have no names.
    fn require(&mut self, told: &Told) -> Option<Finding> {
        for line in [&told.file, &told.process] {
            let Some(stamp) = &line.print.stamp else {
                return Some(Finding {
                    kind: FindingKind::LineLost,
                    what: format!(
                        "the lines of {} carry no `osqdemo-spool` and `osqdemo-seq`, so that a lost one cannot be told",
                        line.host.as_deref().unwrap_or("?")
                    ),
                    time_ms: line.time_ms,
                    round: None,
                });
            };
            let last = self.last.entry(stamp.spool.clone()).or_insert(stamp.seq);
            *last = stamp.seq.max(*last);
        }
        None
    }
}

/// The steps of a restart are part of a fault, and not told one by one.
struct Unheard;

impl Listener for Unheard {
    fn hear(&self, _event: Event) {}
}
