//! `up --dry-run`: the plan, and nothing else.

use serde_json::json;

use super::Up;
use crate::error::Result;
use crate::events::SCHEMA_VERSION;

impl Up<'_> {
    pub(super) async fn dry_run(&self) -> Result<()> {
        let resolved = self.project.resolve(&self.request).await?;
        self.tell_ports(&resolved);
        self.tell_gone(&resolved);
        let plan = self.plan(&resolved).await?;
        let operations: Vec<_> = plan
            .operations
            .iter()
            .map(|operation| {
                json!({
                    "action": operation.action.to_string(),
                    "cause": operation.cause.to_string(),
                    "after": operation.after,
                })
            })
            .collect();
        let document = json!({
            "schema_version": SCHEMA_VERSION,
            "project": self.context.settings.project,
            "operations": operations,
        });
        self.context.reporter.data(&document, || {
            if plan.is_empty() {
                "nothing to do\n".to_owned()
            } else {
                plan.to_string()
            }
        })
    }
}
