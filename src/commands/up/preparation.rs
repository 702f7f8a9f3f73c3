//! What `up` does before anything starts: what is wanted, whether the machine can have it, the images that decide about
//! the plan, and the plan.

use super::{Prepared, Up};
use crate::commands::images::{self, ImagesChanged};
use crate::commands::osquery::{self, Tried};
use crate::commands::project::{Means, Request, Resolved};
use crate::doctor::{memory_for, preflight};
use crate::engine::docker::Support;
use crate::engine::native::isolation::Isolation;
use crate::error::Result;
use crate::events::{Detail, Note, Warning};
use crate::host_config::{self, Finding};
use crate::listener::ListenerFolder;
use crate::plan::Plan;
use crate::report::Reporter;

/// How many parts of the hosts' configuration that count for nothing are named at `up`.
const FINDINGS_SHOWN: usize = 10;

impl Up<'_> {
    pub(super) async fn prepare(&self) -> Result<Prepared> {
        let there = self.check_outside_kafka().await?;
        let resolved = self.project.resolve(&self.request).await?;
        let plan = self.plan(&resolved).await?;
        preflight(&self.project.folder, &plan, &resolved.ports)?;
        self.check_memory(&resolved, &plan)?;
        // From here on there is a project, and what becomes of it can be looked into.
        self.project.keep_client()?;
        if let Some(address) = self.request.settings.listen.value.address() {
            ListenerFolder::of(&self.project.folder).write_broker_config(address)?;
        }
        resolved.remembered.save(&self.project.folder)?;
        self.tell_ports(&resolved);
        self.tell_gone(&resolved);
        let plan = match images::provide_before_plan(self.context, &resolved).await? {
            ImagesChanged::Yes => self.plan(&resolved).await?,
            ImagesChanged::No => plan,
        };
        let prepared = Prepared { resolved, plan };
        let prepared = self.with_osquery_or_agent(prepared).await?;
        // Last: what goes on record as about to be made is made next.
        if let Some(there) = there {
            self.note_kafka(&there)?;
        }
        Ok(prepared)
    }

    /// The plan for what is wanted, as things are now.
    pub(super) async fn plan(&self, resolved: &Resolved) -> Result<Plan> {
        let observed = resolved.engine.observe().await?;
        Ok(Plan::make_of(&self.project.stack, &resolved.desired, &observed))
    }

    /// The same once it is known whether the hosts can run osquery.
    async fn with_osquery_or_agent(&self, prepared: Prepared) -> Result<Prepared> {
        let Prepared { resolved, plan } = prepared;
        let attempt = self.execution(&resolved);
        let hosts = resolved.daemon().map(|daemon| &daemon.hosts);
        let resolved = match osquery::try_image(&attempt, &resolved.desired, &plan, hosts).await? {
            Tried::Nothing => return Ok(Prepared { resolved, plan }),
            Tried::Made(_) => resolved,
            Tried::Unavailable(error) => {
                let osquery_unavailable = Some(error.to_string());
                let request = Request {
                    osquery_unavailable,
                    ..self.request.clone()
                };
                // Its ports are chosen once more, and would be in use by itself.
                drop(resolved);
                let resolved = self.project.resolve(&request).await?;
                resolved.remembered.save(&self.project.folder)?;
                resolved
            }
        };
        let plan = self.plan(&resolved).await?;
        Ok(Prepared { resolved, plan })
    }

    /// Containers that do not fit into the memory of the daemon's machine are killed at some point; better told before
    /// anything starts.
    fn check_memory(&self, resolved: &Resolved, plan: &Plan) -> Result<()> {
        let Some(daemon) = resolved.daemon().filter(|_| !plan.is_empty()) else {
            return Ok(());
        };
        let tight = match daemon.facts.memory {
            Some(there) => memory_for(&self.project.stack, there)?,
            None => None,
        };
        if let Some(tight) = tight {
            self.context.reporter.emit(Warning::TightMemory(tight));
        }
        if daemon.facts.memory_limits == Support::No {
            self.context.reporter.emit(Warning::NoMemoryLimits);
        }
        Ok(())
    }

    /// Which services get other ports than they would have, and why.
    pub(super) fn tell_ports(&self, resolved: &Resolved) {
        for moved in resolved.ports.moved() {
            self.context.reporter.emit(Warning::PortMoved(moved.told()));
        }
    }

    /// That what `auto` found once is gone.
    pub(super) fn tell_gone(&self, resolved: &Resolved) {
        if let Some(gone) = resolved.osqueryd_gone.clone() {
            self.context.reporter.emit(gone);
        }
    }

    /// What will be done. When the hosts are less than they should be, that is told, and told only when something
    /// changes.
    pub(super) fn tell_plan(&self, prepared: &Prepared) {
        let Prepared { resolved, plan } = prepared;
        let reporter = &self.context.reporter;
        for (index, operation) in plan.operations.iter().enumerate() {
            let operation = operation.clone();
            reporter.emit(Detail::Planned { index, operation });
        }
        if plan.is_empty() {
            return;
        }
        for (service, instead_of) in self.project.stack.in_place_of() {
            reporter.emit(Note::InPlaceOf {
                service: service.clone(),
                instead_of: instead_of.clone(),
            });
        }
        match &resolved.means {
            _ if !self.project.stack.has_hosts() => {}
            Means::Processes {
                isolation: Isolation::Marked { reason },
            } => {
                let reason = reason.clone();
                reporter.emit(Warning::SharedNamespaces { reason });
            }
            Means::Processes { .. } | Means::Nothing => {}
            Means::Containers(daemon) => reporter.emit(daemon.hosts.told()),
        }
        if let Some(own) = &resolved.remembered.host_config {
            let mut given = resolved.desired.iter();
            let given = given.find_map(|spec| spec.bootstrap_servers.as_deref());
            let is_replaced =
                |servers| ![given, Some(host_config::BROKER_IN_CONTAINERS)].contains(&Some(servers));
            reporter.emit(Note::HostConfig {
                file: own.path.clone(),
                broker_replaced: own.servers().is_some_and(is_replaced),
            });
            tell_findings(reporter, &own.findings);
        }
    }
}

/// Names the parts of a host's configuration that count for nothing.
pub fn tell_findings(reporter: &Reporter, findings: &[Finding]) {
    for Finding { place, message } in findings.iter().take(FINDINGS_SHOWN).cloned() {
        reporter.emit(Warning::HostConfigFinding { place, message });
    }
    let count = findings.len().saturating_sub(FINDINGS_SHOWN);
    if count > 0 {
        reporter.emit(Warning::MoreHostConfigFindings { count });
    }
}
