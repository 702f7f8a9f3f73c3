//! Faults for which a service that runs as a process is started anew: of its way to the broker, where a link is put in
//! between, and of its clock, which is then one of its own. When the last such fault is cleared, all is as it was.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::error::FaultError;
use super::record::{Record, SetFault};
use crate::chaos::clocks;
use crate::chaos::fault::{FaultKind, Target};
use crate::commands::Context;
use crate::commands::project::{Project, Request, Resolved, linked};
use crate::engine::EngineKind;
use crate::error::Result;
use crate::execute::{Execution, ExecutionSettings};
use crate::link::insertion::{self, Link, Linked, name_of};
use crate::link::{Condition, control};
use crate::plan::{Observed, Plan, ServiceSpec, ServiceState};
use crate::ports::FreePorts;
use crate::stack::{Role, ServiceName};

/// How long the services may take to be healthy behind their links, or without them.
const LIMIT: Duration = Duration::from_secs(60);

/// Whether the fault is done by a link, or by a clock.
pub(super) fn is_one(project: &Project, kind: FaultKind) -> bool {
    kind.takes_a_link(project.kind) || is_clock(project, kind)
}

fn is_clock(project: &Project, kind: FaultKind) -> bool {
    kind == FaultKind::Clock && project.kind == EngineKind::Native
}

/// Makes the ways and clocks as these faults say: the links that they take are put in, those that nobody takes any more go.
/// `anew` are the services whose clock may be no longer as it was.
pub(super) async fn make_so(
    context: &Context,
    project: &Project,
    record: &Record,
    anew: &[ServiceName],
) -> Result<()> {
    let resolved = project.resolve(&Request::as_it_is(project)?).await?;
    let observed = resolved.engine.observe().await?;
    let ways = Ways::of(project, &resolved.desired, &observed, record)?;
    let Resolved { engine, prober, .. } = resolved;
    let to_replace = ways.to_replace(&observed, anew);
    ways.check_ground(&to_replace, &observed, record)?;
    let plan = Plan::replace(&ways.desired, &observed, &to_replace);
    let execution = Execution::new(ExecutionSettings {
        engine,
        prober,
        events: Arc::new(context.reporter.clone()),
        shutdown: context.shutdown.clone(),
        desired: ways.desired.clone(),
        limit: LIMIT,
    });
    let step_of = |service: &ServiceName| {
        let of_it = |fault: &&SetFault| fault.kind == FaultKind::Clock && fault.target.service == *service;
        record
            .faults
            .iter()
            .find(of_it)
            .and_then(|fault| fault.step_ms)
            .unwrap_or_default()
    };
    let has_clocks = ways.desired.iter().any(|spec| spec.clock.is_some());
    if has_clocks {
        // A host is well when its lines are from after its start: who is started anew is set wrong once it is well.
        let before = |service: &ServiceName| match to_replace.contains(service) {
            true => 0,
            false => step_of(service),
        };
        clocks::set(&ways.desired, &project.folder, before)?;
    }
    // Those that stay, and what is cut now, are open until the services behind them are well.
    execution.run(&plan, &[]).await?;
    if has_clocks {
        clocks::set(&ways.desired, &project.folder, step_of)?;
    } else {
        clocks::take_away(&project.folder)?;
    }
    ways.tell(record).await
}

/// Whether services are still behind the links that this fault takes, and these still know of it. Who started one of them
/// anew has ended it.
pub(super) async fn is_in_force(
    project: &Project,
    observed: &Observed,
    fault: &SetFault,
    record: &Record,
) -> Result<bool> {
    let resolved = project.resolve(&Request::as_it_is(project)?).await?;
    // What else is set on a service makes it another one, too.
    let Ok(ways) = Ways::of(project, &resolved.desired, observed, record) else {
        return Ok(false);
    };
    if is_clock(project, fault.kind) {
        return Ok(!ways.differs(&fault.target.service, observed));
    }
    let links = ways.linked.iter().flat_map(|linked| {
        let is_meant = move |(service, _): &(&ServiceName, &Link)| {
            [*service, &linked.broker].contains(&&fault.target.service)
        };
        linked.links.iter().filter(is_meant)
    });
    for (service, link) in links {
        let is_behind = observed.services.contains_key(&link.name) && !ways.differs(service, observed);
        // One that does not answer has not lost what it was told.
        if is_behind && !matches!(control::kept(&link.control).await, Ok(kept) if kept.is_clear()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The services as they should be with the links that some faults take.
struct Ways {
    desired: Vec<ServiceSpec>,
    linked: Option<Linked>,
    /// Nobody else picks the ports of the links until they listen.
    _ports: FreePorts,
    /// All services that could have a link.
    with_a_way: Vec<ServiceName>,
}

impl Ways {
    fn of(project: &Project, desired: &[ServiceSpec], observed: &Observed, record: &Record) -> Result<Self> {
        let with_a_way = insertion::with_a_way(desired);
        let mut chosen = BTreeSet::new();
        let has_own_clock = |service: &ServiceName| {
            let is_it = |fault: &SetFault| is_clock(project, fault.kind) && fault.target.service == *service;
            record.faults.iter().any(is_it)
        };
        let desired = clocks::give_to(desired, &project.folder, has_own_clock);
        let of_ways = |fault: &&SetFault| fault.kind.takes_a_link(project.kind);
        for fault in record.faults.iter().filter(of_ways) {
            let target = &fault.target.service;
            let is_broker = desired
                .iter()
                .any(|spec| spec.name == *target && spec.role == Role::Broker);
            if is_broker {
                chosen.extend(with_a_way.iter().cloned());
            } else if with_a_way.contains(target) {
                chosen.insert(target.clone());
            }
            if chosen.is_empty() || !is_broker && !chosen.contains(target) {
                let service = target.clone();
                return Err(FaultError::NoWay { service }.into());
            }
        }
        let linked = if chosen.is_empty() {
            None
        } else {
            linked(&project.folder, &desired, observed, &chosen)?
        };
        let (linked, ports) = linked.unzip();
        let all = linked.as_ref().map(|linked| linked.desired.clone());
        Ok(Self {
            desired: all.unwrap_or(desired),
            with_a_way,
            linked,
            _ports: ports.unwrap_or_default(),
        })
    }

    /// Whether a service, or a link, is not there as it should be.
    fn differs(&self, name: &ServiceName, observed: &Observed) -> bool {
        let seen = observed.services.get(name).map(|seen| &seen.config_hash);
        let wanted = self.desired.iter().find(|spec| spec.name == *name);
        seen != wanted.map(|spec| &spec.config_hash)
    }

    /// The services, and links, that are not there as they should be. Of the others whatever is wrong stays as it is.
    fn to_replace(&self, observed: &Observed, anew: &[ServiceName]) -> Vec<ServiceName> {
        let both = self
            .with_a_way
            .iter()
            .flat_map(|service| [service.clone(), name_of(service)]);
        let others = anew.iter().filter(|service| !self.with_a_way.contains(service));
        both.chain(others.cloned())
            .filter(|name| self.differs(name, observed))
            .collect()
    }

    /// Who is started anew cannot be well while somebody that it stands on is stopped: that is told before anything is done.
    fn check_ground(
        &self,
        to_replace: &[ServiceName],
        observed: &Observed,
        record: &Record,
    ) -> std::result::Result<(), FaultError> {
        let is_stopped = |name: &&ServiceName| {
            let seen = observed.services.get(*name);
            !to_replace.contains(name)
                && seen.is_some_and(|seen| matches!(seen.state, ServiceState::Paused { .. }))
        };
        let started = self.desired.iter().filter(|spec| to_replace.contains(&spec.name));
        for spec in started {
            if let Some(ground) = spec.depends_on.iter().find(is_stopped) {
                let is_it =
                    |fault: &SetFault| fault.kind == FaultKind::Stop && fault.target == Target::whole(ground);
                return Err(FaultError::GroundStopped {
                    service: spec.name.clone(),
                    ground: ground.clone(),
                    is_fault: record.faults.iter().any(is_it),
                });
            }
        }
        Ok(())
    }

    /// Tells each link what its way is like.
    async fn tell(&self, record: &Record) -> Result<()> {
        let Some(linked) = &self.linked else {
            return Ok(());
        };
        for (service, link) in &linked.links {
            let concerns = |fault: &&SetFault| [service, &linked.broker].contains(&&fault.target.service);
            let condition = record
                .faults
                .iter()
                .filter(|fault| fault.kind.takes_a_link(EngineKind::Native))
                .filter(concerns)
                .map(|fault| fault.way.map_or(Condition::CUT, Condition::from))
                .fold(Condition::default(), Condition::or_worse);
            control::keep(&link.control, condition)
                .await
                .map_err(|source| FaultError::Link {
                    service: service.clone(),
                    source,
                })?;
        }
        Ok(())
    }
}
