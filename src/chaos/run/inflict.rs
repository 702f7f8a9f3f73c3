//! Doing the faults: one after the other, each until what it hit is well again.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rustix::process::Signal;
use tokio::time::{Instant, timeout};

use super::{Course, Ground, Inflicted, RECOVERED_WITHIN, Run, Upgraded};
use crate::chaos::check::{Finding, FindingKind};
use crate::chaos::clocks::Wrong;
use crate::chaos::error::ChaosError;
use crate::chaos::fault::{Draw, FaultKind, Round, Target};
use crate::chaos::model::PROCESSES;
use crate::chaos::processes::{self, Mark};
use crate::engine::{Engine, HostExec};
use crate::error::Result;
use crate::events::Note;
use crate::health::{self, LastAnswer};
use crate::kafka;
use crate::link::{Condition, control};
use crate::plan::{Plan, ServiceSpec, ServiceState, SupervisorState};
use crate::process::ProcessId;
use crate::stack::ServiceName;
use crate::waiting::{before_next_try, poll_within};

impl<E: HostExec> Run<'_, E> {
    pub(super) async fn inflict_all(&self) -> Result<Inflicted> {
        let mut inflicted = Inflicted::default();
        let Course {
            seed,
            kinds,
            given,
            most,
            lasting,
        } = self.course;
        let rounds: Box<dyn Iterator<Item = Round> + Send> = match given {
            Some(given) => Box::new(given.clone().into_iter()),
            None => Box::new(Draw::new(*seed, kinds, self.ground.stack)),
        };
        let most = usize::try_from(*most).unwrap_or(usize::MAX);
        self.compare_positions(&mut inflicted).await;
        for round in rounds.take(most) {
            let is_over = lasting.is_some_and(|lasting| self.began.elapsed() >= lasting);
            let cancelled = self.ground.shutdown.token().cancelled();
            if is_over
                || timeout(Duration::from_millis(round.after_ms), cancelled)
                    .await
                    .is_ok()
            {
                break;
            }
            inflicted.times.push(Timestamp::now().as_millisecond());
            inflicted.rounds.push(round.clone());
            let took = self.inflict(&round).await?;
            if self.is_interrupted() {
                break;
            }
            match took {
                Some(took) => {
                    inflicted.stopwatch.note(self.ground.stack, &round, took);
                    self.ground.events.emit(Note::FaultRecovered {
                        number: round.number,
                        fault: round.to_string(),
                        took,
                    });
                }
                None => inflicted.findings.push(Finding {
                    kind: FindingKind::NotRecovered,
                    what: format!(
                        "after `{round}`, {} was not well again within {} s",
                        round.target,
                        RECOVERED_WITHIN.as_secs()
                    ),
                    time_ms: Timestamp::now().as_millisecond(),
                    round: Some(round.number),
                }),
            }
            self.compare_positions(&mut inflicted).await;
        }
        Ok(inflicted)
    }

    /// Does a fault and waits until the part is well again. Nothing when it was not in time.
    async fn inflict(&self, round: &Round) -> Result<Option<Duration>> {
        let Round {
            kind,
            target,
            hold_ms,
            ..
        } = round;
        let Ground {
            engine,
            desired,
            upgraded,
            ..
        } = self.ground;
        match (kind, upgraded) {
            (FaultKind::Supervisor, _) => return self.lose_supervisor().await,
            (FaultKind::Restart, _) => return Ok(self.restart(&target.service, engine, desired).await),
            (FaultKind::Upgrade, Some(Upgraded { engine, desired })) => {
                return Ok(self.restart(&target.service, engine, desired).await);
            }
            (FaultKind::Upgrade, None) => return Err(ChaosError::NoOtherBuild.into()),
            (kind, _) if kind.takes_a_link(self.ground.kind) => return self.hamper(round).await,
            (FaultKind::Clock, _) => return self.misset(round).await,
            (FaultKind::Slow | FaultKind::Disk, _) => {
                let (kind, engine) = (*kind, self.ground.kind);
                return Err(ChaosError::NotOn { kind, engine }.into());
            }
            (FaultKind::Kill | FaultKind::Stop | FaultKind::Partition, _) => {}
        }
        if *kind == FaultKind::Partition {
            self.cut_off_for(&target.service, Duration::from_millis(*hold_ms))
                .await?;
            return self.well_within(&target.service).await;
        }
        let Some(processes) = self.found(target).await? else {
            return Ok(None);
        };
        let lines_from = self.ends_of_lines(&target.service).await;
        let (began, since_ms) = if *kind == FaultKind::Kill {
            processes::signal(&processes, Signal::KILL);
            (Instant::now(), Timestamp::now().as_millisecond())
        } else {
            let stopped = Stopped::new(processes.clone());
            let cancelled = self.ground.shutdown.token().cancelled();
            let _ = timeout(Duration::from_millis(*hold_ms), cancelled).await;
            drop(stopped);
            (Instant::now(), Timestamp::now().as_millisecond())
        };
        let recovering = async {
            if *kind == FaultKind::Kill {
                self.replaced(target, &processes).await;
            }
            self.well(&target.service, since_ms, lines_from).await;
        };
        let cancelled = self.ground.shutdown.token().cancelled();
        tokio::select! {
            () = cancelled => Ok(None),
            recovered = timeout(RECOVERED_WITHIN, recovering) => Ok(recovered.ok().map(|()| began.elapsed())),
        }
    }

    /// Stops a service in order and starts it as it is desired; how long that took. Nothing when it was not well in time.
    async fn restart(
        &self,
        service: &ServiceName,
        engine: &Arc<dyn Engine>,
        desired: &[ServiceSpec],
    ) -> Option<Duration> {
        let began = Instant::now();
        let observed = engine.observe().await.ok()?;
        let plan = Plan::restart(desired, &observed, service);
        let done = self.execution_by(engine, desired).run(&plan, &[]).await;
        done.ok().map(|()| began.elapsed())
    }

    /// Kills who looks after the services, with which all of them end, and brings everything up again.
    async fn lose_supervisor(&self) -> Result<Option<Duration>> {
        let observed = self.ground.engine.observe().await?;
        let SupervisorState::Running { pid } = observed.supervisor else {
            return Ok(None);
        };
        let mark = Mark::Folder(self.ground.folder.root().to_owned());
        let process = ProcessId::of(pid).filter(|_| mark.is_on(pid));
        let process = process.ok_or_else(|| ChaosError::OutOfReach {
            service: Target::supervisor().service,
        })?;
        process.signal(Signal::KILL);
        let began = Instant::now();
        let recovering = async {
            process.ended(RECOVERED_WITHIN).await;
            // What is on its way to its end may still be in the way.
            while self.bring_up().await.is_err() {
                before_next_try(self.ground.engine.pace()).await;
            }
        };
        let cancelled = self.ground.shutdown.token().cancelled();
        tokio::select! {
            () = cancelled => Ok(None),
            recovered = timeout(RECOVERED_WITHIN, recovering) => Ok(recovered.ok().map(|()| began.elapsed())),
        }
    }

    /// Brings up what is not as it should be during the run.
    async fn bring_up(&self) -> Result<()> {
        super::bring_to(self.ground, &self.ground.desired, self.ground.shutdown).await
    }

    /// Makes the way between a service and the broker slow, or cuts it, for a while; that of the broker is the way to
    /// everybody. The links let everything through again when this ends, however it does.
    async fn hamper(&self, round: &Round) -> Result<Option<Duration>> {
        let service = &round.target.service;
        let links = self.ground.links.iter().flat_map(|links| {
            let linked = &links.linked;
            let is_meant = move |of: &ServiceName| of == service || *service == linked.broker;
            linked.links.iter().filter(move |(of, _)| is_meant(of))
        });
        let condition = round.way.map_or(Condition::CUT, Condition::from);
        let mut held = Vec::new();
        for (of, link) in links {
            let hold = control::hold(&link.control, condition).await;
            held.push(hold.map_err(|source| ChaosError::Link {
                service: of.clone(),
                source,
            })?);
        }
        if held.is_empty() {
            return Err(ChaosError::NoWay {
                kind: round.kind,
                target: Some(round.target.clone()),
            }
            .into());
        }
        let hold = Duration::from_millis(round.hold_ms);
        let _ = timeout(hold, self.ground.shutdown.token().cancelled()).await;
        drop(held);
        self.well_within(service).await
    }

    /// Makes the clock of a service wrong for a while. It is right again when this ends, however it does.
    async fn misset(&self, round: &Round) -> Result<Option<Duration>> {
        let service = &round.target.service;
        let Some(spec) = self.ground.desired.iter().find(|spec| spec.name == *service) else {
            return Ok(None);
        };
        let wrong = Wrong::by(spec, round.step_ms.unwrap_or_default())?;
        let hold = Duration::from_millis(round.hold_ms);
        let _ = timeout(hold, self.ground.shutdown.token().cancelled()).await;
        drop(wrong);
        self.well_within(service).await
    }

    /// Cuts a service off from the network, and lets it in again even when the run is interrupted.
    async fn cut_off_for(&self, service: &ServiceName, hold: Duration) -> Result<()> {
        let Some(network) = self.ground.engine.network() else {
            let engine = self.ground.kind;
            let kind = FaultKind::Partition;
            return Err(ChaosError::NotOn { kind, engine }.into());
        };
        network.cut_off(service).await?;
        *self.cut_off.lock().unwrap_or_else(PoisonError::into_inner) = Some(service.clone());
        let _ = timeout(hold, self.ground.shutdown.token().cancelled()).await;
        self.rejoin().await
    }

    /// Lets in what is cut off.
    pub(super) async fn rejoin(&self) -> Result<()> {
        let service = self
            .cut_off
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let (Some(service), Some(network)) = (service, self.ground.engine.network()) {
            network.rejoin(&service).await?;
            self.cut_off.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        Ok(())
    }

    /// How long a service takes from now on to be well. Nothing when it is not in time, or the run is interrupted.
    async fn well_within(&self, service: &ServiceName) -> Result<Option<Duration>> {
        let began = Instant::now();
        let lines_from = self.ends_of_lines(service).await;
        let well = self.well(service, Timestamp::now().as_millisecond(), lines_from);
        let cancelled = self.ground.shutdown.token().cancelled();
        tokio::select! {
            () = cancelled => Ok(None),
            well = timeout(RECOVERED_WITHIN, well) => Ok(well.ok().map(|()| began.elapsed())),
        }
    }

    /// The processes of a target, once there are any.
    async fn found(&self, target: &Target) -> Result<Option<Vec<ProcessId>>> {
        let engine = &self.ground.engine;
        let look = || async {
            let seen = engine.observe_service(&target.service).await.ok()??;
            let ServiceState::Running { pid } = seen.state else {
                return None;
            };
            if !Mark::of(&seen, self.ground.folder.root()).is_on(pid) {
                // It may have ended since.
                return ProcessId::of(pid).map(|_| None);
            }
            let processes = processes::of_part(pid, target.part);
            (!processes.is_empty()).then_some(Some(processes))
        };
        match poll_within(RECOVERED_WITHIN, engine.pace(), look).await {
            Some(Some(processes)) => Ok(Some(processes)),
            Some(None) => Err(ChaosError::OutOfReach {
                service: target.service.clone(),
            }
            .into()),
            None => Ok(None),
        }
    }

    /// Returns once other processes do what these did.
    async fn replaced(&self, target: &Target, killed: &[ProcessId]) {
        let engine = &self.ground.engine;
        let look = || async {
            let seen = engine.observe_service(&target.service).await.ok()??;
            let ServiceState::Running { pid } = seen.state else {
                return None;
            };
            let now = processes::of_part(pid, target.part);
            let is_replaced = !now.is_empty() && now.iter().all(|process| !killed.contains(process));
            is_replaced.then_some(())
        };
        crate::waiting::poll(engine.pace(), look).await;
    }

    /// Where the next lines of a host will be. Nothing of another service, or where the broker does not say.
    async fn ends_of_lines(&self, service: &ServiceName) -> BTreeMap<i32, i64> {
        if !self
            .ground
            .workers
            .iter()
            .any(|worker| worker.service == *service)
        {
            return BTreeMap::new();
        }
        let ends = kafka::ends(&self.ground.endpoints.kafka, &[PROCESSES.to_owned()]).await;
        let ends = ends.unwrap_or_default().into_iter();
        ends.map(|((_, partition), end)| (partition, end)).collect()
    }

    /// Returns once a service is healthy, a host with a line that it has made since then and that is behind these ends: a
    /// line of a clock that was ahead has a later time than it was made at.
    async fn well(&self, service: &ServiceName, since_ms: i64, lines_from: BTreeMap<i32, i64>) {
        let desired = &self.ground.desired;
        let Some(spec) = desired.iter().find(|spec| spec.name == *service) else {
            return;
        };
        let target = health::Target {
            lines_from,
            ..health::Target::of(spec, since_ms)
        };
        let last = LastAnswer::default();
        // Who says that it will never be healthy is asked again until the time is over.
        while self.ground.prober.until_healthy(&target, &last).await.is_err() {
            before_next_try(self.ground.engine.pace()).await;
        }
    }
}

/// Processes that are stopped, and go on when this is dropped, whatever happens.
struct Stopped(Vec<ProcessId>);

impl Stopped {
    fn new(processes: Vec<ProcessId>) -> Self {
        processes::signal(&processes, Signal::STOP);
        Self(processes)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        processes::signal(&self.0, Signal::CONT);
    }
}
