//! What `up` tells in the end.

use std::time::Duration;

use serde_json::json;

use super::{Prepared, Up};
use crate::commands::endpoints;
use crate::error::Result;
use crate::events::{Note, SCHEMA_VERSION};
use crate::stack::{Role, Service};

impl Up<'_> {
    pub(super) async fn tell_result(
        &self,
        prepared: &Prepared,
        created: usize,
        elapsed: Duration,
    ) -> Result<()> {
        let Prepared { wanted, plan } = prepared;
        let services = wanted.desired.len();
        self.context.reporter.emit(if plan.is_empty() && created == 0 {
            Note::NothingToDo { services }
        } else {
            Note::Up { services, elapsed }
        });
        if self.project.stack.first(Role::Ksqldb).is_none() {
            self.context.reporter.emit(Note::NothingSubmitted);
        }
        let observed = wanted.engine.observe().await?;
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
                    endpoints::bootstrap_servers(&self.project, &observed).ok(),
                ),
                ("ksqlDB", endpoints::ksqldb_url(&self.project, &observed).ok()),
                ("console", endpoints::interface_url(&self.project, &observed)),
                ("hosts", Some(hosts.join(", ")).filter(|_| !hosts.is_empty())),
            ];
            let lines = lines
                .into_iter()
                .filter_map(|(name, value)| Some(format!("{name:<8}{}\n", value?)));
            lines.collect()
        })?;
        let scenario = self
            .project
            .stack
            .first(Role::Ksqldb)
            .map(|_| "scenario bigfile".to_owned());
        if let Some(host) = self.project.stack.usual_host() {
            let commands = scenario
                .into_iter()
                .chain([format!("exec {}", host.name)])
                .collect();
            self.context.reporter.emit(Note::Next { commands });
        }
        Ok(())
    }
}
