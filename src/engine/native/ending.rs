//! Ending what runs, whether the supervisor helps or not.

use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

use super::control::{Record, Records, Request};
use super::observed::Liveness;
use super::{ENDING_LIMIT, NativeEngine, NativeError, STOP_MARGIN};
use crate::error::Result;
use crate::process::{self, Ending, SERVICE_VARIABLE};
use crate::stack::ServiceName;

/// How long what a lost supervisor has left may take to end by itself. Its lifeline was cut when the supervisor went, and
/// the broker's as well: an extension that waits for it to take its lines would wait in vain, and has them in its spool.
const LEFTOVER_GRACE: Duration = Duration::from_millis(100);

/// How long what was killed may take to be gone.
const KILLED_WITHIN: Duration = Duration::from_secs(2);

impl NativeEngine {
    pub(super) async fn end_left_over(&self, service: &ServiceName) -> Result<()> {
        let Some(records) = self.known_records().await? else {
            return Ok(());
        };
        match records.services.get(service) {
            Some(record) => end_recorded(service, record).await,
            None => Ok(()),
        }
    }

    async fn end_leftovers(&self, records: &Records) -> Result<()> {
        for (service, record) in &records.services {
            end_recorded(service, record).await?;
        }
        Ok(())
    }

    /// Ends everything, whether the supervisor helps or not: what it looks after ends with it.
    pub(super) async fn close_project(&self) -> Result<()> {
        match self.records().await {
            Ok(None) => {}
            Ok(Some((Liveness::Answers, records))) => {
                let grace: u64 = records.services.values().map(|record| record.stop_grace_ms).sum();
                let limit = Duration::from_millis(grace) + STOP_MARGIN;
                match self.ask(&Request::Close, limit).await {
                    Ok(_) => {
                        let _ = records.supervisor.ended(STOP_MARGIN).await;
                    }
                    Err(_) => {
                        // It broke off because it ends, or it hangs by now.
                        let _ = records.supervisor.ended(ENDING_LIMIT).await;
                    }
                }
                self.end_without_supervisor(&records).await?;
            }
            Ok(Some((Liveness::Lost, records))) => self.end_without_supervisor(&records).await?,
            Err(_) => {
                if let Ok(Some(records)) = self.written_records() {
                    self.end_without_supervisor(&records).await?;
                }
            }
        }
        // What no record knows, as of a record that a power cut has damaged.
        let deadline = Instant::now() + KILLED_WITHIN;
        for process in process::kill_of_project(self.folder.root()) {
            let service = process::environment_variable(process.pid, SERVICE_VARIABLE);
            let left = deadline.saturating_duration_since(Instant::now());
            if process.ended(left).await == Ending::StillThere {
                return Err(NativeError::Unkillable {
                    service: ServiceName::new(service.as_deref().unwrap_or("supervisor")),
                    pid: process.pid,
                }
                .into());
            }
        }
        if self.folder.exists()? {
            self.folder.remove_run_files()?;
        }
        Ok(())
    }

    async fn end_without_supervisor(&self, records: &Records) -> Result<()> {
        if records.supervisor.is_alive() {
            records.supervisor.signal(Signal::KILL);
            let _ = records.supervisor.ended(ENDING_LIMIT).await;
        }
        self.end_leftovers(records).await
    }
}

/// Ends the process of a service that nobody looks after.
async fn end_recorded(service: &ServiceName, record: &Record) -> Result<()> {
    let mut below = Vec::new();
    if let Some(process) = record.process.filter(|process| process.is_alive()) {
        below = process::tree(process.pid);
        // Its lifeline is cut, so it is ending already; SIGTERM only helps.
        let grace = Duration::from_millis(record.stop_grace_ms).min(LEFTOVER_GRACE);
        if process.end(grace).await == Ending::StillThere {
            return Err(NativeError::Unkillable {
                service: service.clone(),
                pid: process.pid,
            }
            .into());
        }
    }
    if let Some(folder) = &record.marked_host {
        process::kill_marked(folder);
    }
    // A host is more than its first process, and with namespaces the others end right after it. Whoever comes next wants
    // their folders to himself.
    let deadline = Instant::now() + KILLED_WITHIN;
    for process in below {
        let _ = process
            .ended(deadline.saturating_duration_since(Instant::now()))
            .await;
    }
    Ok(())
}
