//! What `up` tells in the end.

use std::time::Duration;

use serde_json::json;

use super::{Prepared, Up};
use crate::commands::endpoints;
use crate::commands::project::Project;
use crate::error::Result;
use crate::events::{Look, Note, SCHEMA_VERSION};
use crate::listener::ListenerFolder;
use crate::scenario::observation::PROCESSES;
use crate::settings::Statements;
use crate::stack::{Role, Service};

impl Up<'_> {
    pub(super) async fn tell_result(
        &self,
        prepared: &Prepared,
        created: usize,
        elapsed: Duration,
    ) -> Result<()> {
        let Prepared { resolved, plan } = prepared;
        let services = resolved.desired.len();
        self.context.reporter.emit(if plan.is_empty() && created == 0 {
            Note::NothingToDo { services }
        } else {
            Note::Up { services, elapsed }
        });
        if !self.project.has_ksqldb() {
            self.context.reporter.emit(Note::NothingSubmitted);
        } else if self.request.settings.statements.value == Statements::None {
            self.context.reporter.emit(Note::StatementsLeftOut);
        }
        let observed = resolved.engine.observe().await?;
        let hosts: Vec<String> = self
            .project
            .stack
            .with_role(Role::Host)
            .map(Service::machine_name)
            .collect();
        let document = json!({
            "schema_version": SCHEMA_VERSION,
            "project": self.context.settings.project,
            "changed": !plan.is_empty() || created > 0,
            "elapsed_ms": u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            "endpoints": endpoints::as_json(&self.project, &observed),
            "hosts": hosts,
        });
        self.context.reporter.data(&document, || {
            let lines = [
                (
                    "Kafka",
                    endpoints::cluster(&self.project, &observed)
                        .ok()
                        .map(|kafka| kafka.to_string()),
                ),
                (
                    "ksqlDB",
                    endpoints::ksqldb(&self.project, &observed)
                        .ok()
                        .map(|ksqldb| ksqldb.url),
                ),
                ("console", endpoints::interface_url(&self.project, &observed)),
                ("hosts", Some(hosts.join(", ")).filter(|_| !hosts.is_empty())),
            ];
            let lines = lines
                .into_iter()
                .filter_map(|(name, value)| Some(format!("{name:<8}{}\n", value?)));
            lines.collect()
        })?;
        if let Some(address) = self.request.settings.listen.value.address() {
            self.context.reporter.emit(Note::ListensOutside {
                address: address.to_string(),
                authority: ListenerFolder::of(&self.project.folder).authority(),
            });
        }
        let mut commands = looks(&self.project);
        if self.request.settings.statements.value == Statements::None {
            commands.retain(|look| !matches!(look, Look::Scenario));
        }
        self.context.reporter.emit(Note::Next { commands });
        Ok(())
    }
}

/// What there is to look at in a stack: what it has.
fn looks(project: &Project) -> Vec<Look> {
    let stack = &project.stack;
    let host = stack.usual_host().map(|host| &host.name);
    let is_pipeline = host.is_some() && project.has_ksqldb();
    let mut services = stack.services.iter();
    let has_interface = services.any(|service| service.role.is_interface());
    let mut looks = Vec::new();
    looks.extend(is_pipeline.then_some(Look::Scenario));
    looks.extend(host.map(|_| Look::Lines {
        topic: PROCESSES.to_owned(),
    }));
    looks.extend(project.has_ksqldb().then_some(Look::Statements));
    looks.extend(has_interface.then_some(Look::Interface));
    looks.extend(host.map(|host| Look::Shell { host: host.clone() }));
    looks.extend(host.map(|host| Look::HostLog { host: host.clone() }));
    looks.push(Look::Down);
    looks
}
