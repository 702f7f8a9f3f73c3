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
    #[error(
        "there is no probe `{name}`; the probes are kafka, ksqldb, zookeeper, schema-registry, control-center"
    )]
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

/// Runs the verb.
///
/// # Errors
/// When the service is not healthy.
pub async fn run(arguments: &ProbeArgs) -> Result<()> {
    let probe = match arguments.probe.as_str() {
        "kafka" => Probe::Kafka,
        "ksqldb" => Probe::Ksqldb,
        "zookeeper" => Probe::Zookeeper,
        "schema-registry" => Probe::SchemaRegistry,
        "control-center" => Probe::ControlCenter,
        name => {
            return Err(ProbeError::Unknown {
                name: name.to_owned(),
            }
            .into());
        }
    };
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
