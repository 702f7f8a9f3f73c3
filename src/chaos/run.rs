//! A run: the work of the hosts, the faults, and the proof, one after the other where they depend on each other.

mod inflict;
mod proof;
mod tidying;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use self::proof::{sinks, sources};
use self::tidying::{remove_leftovers, submit};
use super::check::{Checked, Evidence, Finding, FindingKind};
use super::clocks;
use super::error::ChaosError;
use super::fault::{FaultKind, Round};
use super::join::{self, JoinQuery};
use super::ledger::Ledger;
use super::recovery::Stopwatch;
use super::report::{ChaosReport, Verdict};
use super::work::{self, Told, Work, Worker};
use crate::engine::{Engine, EngineKind, HostExec};
use crate::error::Result;
use crate::events::{Event, Failed, Listener, Warning};
use crate::execute::{Execution, ExecutionSettings};
use crate::health::Prober;
use crate::kafka::{self, Start, Tail};
use crate::link::insertion::Linked;
use crate::plan::{Plan, ServiceSpec};
use crate::ports::FreePorts;
use crate::shutdown::Shutdown;
use crate::stack::{Endpoints, ServiceName, Stack};
use crate::state::ProjectFolder;

/// How long a part may take to be well again. Far longer than it takes on a slow machine.
const RECOVERED_WITHIN: Duration = Duration::from_secs(120);

/// How long to wait between two looks at everything.
const LOOK: Duration = Duration::from_secs(1);

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
    /// The services as they should be afterwards, where that is not the same: without links, and by the machine's clock.
    pub without: Option<Vec<ServiceSpec>>,
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
    /// Nobody else picks the ports of the links meanwhile.
    pub ports: FreePorts,
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
    let ran = match furnish(ground).await {
        Ok(()) => run_on(ground, course).await,
        Err(failure) => Err(failure),
    };
    let left = match timeout(RECOVERED_WITHIN, set_back(ground)).await {
        Ok(Ok(())) => None,
        Ok(Err(failure)) => Some(failure.to_string()),
        Err(_) => Some("they did not come up in time".to_owned()),
    };
    let left = left.map(|why| format!("services that are not as they were before the run: {why}"));
    let mut report = with_left(ran, left.into_iter().collect(), ground.events)?;
    if report.findings_in_all > 0 && report.verdict == Verdict::Passed {
        report.verdict = Verdict::Failed;
    }
    report.smallest_prefix = report.findings.iter().filter_map(|finding| finding.round).min();
    Ok(report)
}

/// The services as they should be during the run.
async fn furnish<E: HostExec>(ground: &Ground<'_, E>) -> Result<()> {
    if ground.without.is_none() {
        return Ok(());
    }
    if ground.desired.iter().any(|spec| spec.clock.is_some()) {
        clocks::set_right(&ground.desired, &ground.folder)?;
    }
    bring_to(ground, &ground.desired, ground.shutdown).await
}

/// The services as they are without a run, whoever wants to end: what was put between them goes.
async fn set_back<E: HostExec>(ground: &Ground<'_, E>) -> Result<()> {
    let desired = match &ground.without {
        Some(without) => without,
        None if ground.upgraded.is_some() => &ground.desired,
        None => return Ok(()),
    };
    bring_to(ground, desired, &Shutdown::default()).await?;
    Ok(clocks::take_away(&ground.folder)?)
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
    let left = tidied.unwrap_or_else(|_| vec!["not everything could be removed in time".to_owned()]);
    with_left(proved, left, ground.events)
}

/// What a part of a run came to, with what it has left behind: findings of its report. Where it failed there is no report,
/// and both are told.
fn with_left(ran: Result<ChaosReport>, left: Vec<String>, events: &dyn Listener) -> Result<ChaosReport> {
    let mut report = match ran {
        Ok(report) => report,
        Err(failure) => {
            if !left.is_empty() {
                events.emit(Warning::Trouble {
                    failure: Failed::of(&ChaosError::LeftBehind { what: left }),
                });
            }
            return Err(failure);
        }
    };
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
}

/// The steps of a restart are part of a fault, and not told one by one.
struct Unheard;

impl Listener for Unheard {
    fn hear(&self, _event: Event) {}
}

#[cfg(test)]
mod tests;
