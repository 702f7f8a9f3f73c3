//! `osqdemo probe`: asks one service for its health, for the health checks of plain `docker compose`.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::timeout;

use crate::error::{Diagnose, Result};
use crate::exit_code::ExitCode;
use crate::health::{LastAnswer, Prober, ProtocolProber, Target};
use crate::settings::ProbeSettings;
use crate::stack::ServiceName;

/// How long the answer may take: less than the health check itself may.
const LIMIT: Duration = Duration::from_secs(4);

#[derive(Debug, thiserror::Error)]
#[error("`{address}` is not healthy: {last_answer}")]
struct NotHealthy {
    address: String,
    last_answer: String,
}

impl Diagnose for NotHealthy {
    fn exit_code(&self) -> ExitCode {
        ExitCode::NotHealthy
    }
}

/// Fails when the service is not healthy.
pub(super) async fn run(settings: ProbeSettings) -> Result<()> {
    let ProbeSettings { probe, address } = settings;
    let target = Target {
        service: ServiceName::new(&address),
        probe,
        address: address.clone(),
        hostname: String::new(),
        started_at: 0,
        lines_from: BTreeMap::new(),
    };
    let last = LastAnswer::default();
    let last_answer = match timeout(LIMIT, ProtocolProber::default().until_healthy(&target, &last)).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(hopeless)) => hopeless.answer,
        Err(_) => last.get(),
    };
    Err(NotHealthy { address, last_answer }.into())
}
