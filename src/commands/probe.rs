//! `osqdemo probe`: asks one service for its health, for the health checks of plain `docker compose`.

use std::time::Duration;

use tokio::time::timeout;

use crate::cli::ProbeArgs;
use crate::error::{Diagnose, Result};
use crate::exit_code::ExitCode;
use crate::health::{LastAnswer, Prober, ProtocolProber, Target};
use crate::stack::{Probe, ServiceName};

/// How long the answer may take: less than the health check itself may.
const LIMIT: Duration = Duration::from_secs(4);

#[derive(Debug, thiserror::Error)]
enum ProbeError {
    #[error("there is no probe `{name}`; the probes are {}", names())]
    Unknown { name: String },
    #[error("`{address}` is not healthy: {last_answer}")]
    NotHealthy { address: String, last_answer: String },
}

impl Diagnose for ProbeError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Unknown { .. } => ExitCode::Usage,
            Self::NotHealthy { .. } => ExitCode::NotHealthy,
        }
    }
}

/// Those that an address is enough for.
fn probes() -> impl Iterator<Item = Probe> {
    Probe::ALL.into_iter().filter(|probe| *probe != Probe::Host)
}

fn names() -> String {
    probes().map(Probe::as_str).collect::<Vec<_>>().join(", ")
}

/// Fails when the service is not healthy.
pub(super) async fn run(arguments: &ProbeArgs) -> Result<()> {
    let probe = probes()
        .find(|probe| probe.as_str() == arguments.probe)
        .ok_or_else(|| ProbeError::Unknown {
            name: arguments.probe.clone(),
        })?;
    let target = Target {
        service: ServiceName::new(&arguments.address),
        probe,
        address: arguments.address.clone(),
        hostname: String::new(),
        started_at: 0,
    };
    let last = LastAnswer::default();
    let last_answer = match timeout(LIMIT, ProtocolProber.until_healthy(&target, &last)).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(hopeless)) => hopeless.answer,
        Err(_) => last.get(),
    };
    Err(ProbeError::NotHealthy {
        address: arguments.address.clone(),
        last_answer,
    }
    .into())
}
