//! Leaving nothing behind: what a run has made, and what runs that were killed had made.

use std::path::PathBuf;

use serde_json::Value;

use super::{Ground, LOOK, Run, TIDY_WITHIN};
use crate::chaos::join::{JoinQuery, NONCE_DIGITS};
use crate::chaos::{processes, work};
use crate::engine::{EngineKind, HostExec};
use crate::error::Result;
use crate::ksqldb::Client;
use crate::ksqldb::session::Session;
use crate::ksqldb::statement::Script;
use crate::plan::SupervisorState;
use crate::waiting::poll_within;

/// Takes away what runs that were killed have left: nobody else makes one now.
pub(super) async fn remove_leftovers<E: HostExec>(ground: &Ground<'_, E>) -> Result<()> {
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

pub(super) async fn submit<E>(ground: &Ground<'_, E>, text: &str) -> Result<()> {
    let client = Client::of(&ground.endpoints.ksqldb)?;
    for statement in Script::parse(text).statements {
        client.execute(&statement, &Session::from_earliest()).await?;
    }
    Ok(())
}

impl<E: HostExec> Run<'_, E> {
    /// Takes away what the run has made. Says what is left.
    pub(super) async fn tidy(&self) -> Vec<String> {
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
