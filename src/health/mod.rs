//! Whether a service is healthy, asked in its own protocol: one file a probe, and [`wait`] that bounds them.

mod control_center;
mod host;
mod http;
mod kafka;
mod ksqldb;
mod log_excerpt;
mod schema_registry;
pub mod wait;
mod zookeeper;

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::engine::fake::{Behaviour, FakeEngine};
use crate::stack::{Probe, ServiceName};

pub use log_excerpt::excerpt;

/// How long a probe pauses between two attempts.
const POLL: Duration = Duration::from_millis(15);

/// What a probe has to know about a service.
#[derive(Debug, Clone)]
pub struct Target {
    /// The service.
    pub service: ServiceName,
    /// How it is asked.
    pub probe: Probe,
    /// Its address, or that of the service that is asked about it.
    pub address: String,
    /// The name that a host's records carry.
    pub hostname: String,
    /// When it was started, in milliseconds since 1970.
    pub started_at: i64,
}

/// The last that a probe heard. A cheap clone.
#[derive(Debug, Clone, Default)]
pub struct LastAnswer(Arc<Mutex<String>>);

impl LastAnswer {
    /// What was heard last; empty when nothing was.
    pub fn get(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, answer: impl Into<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = answer.into();
    }
}

/// Waits for services to be healthy.
pub trait Prober: Send + Sync {
    /// Returns once the service is healthy, and never otherwise: deadlines are [`wait`]'s. Dropping the future
    /// ends the probe.
    fn until_healthy<'a>(
        &'a self,
        target: &'a Target,
        last: &'a LastAnswer,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
}

/// Asks the services themselves.
pub struct ProtocolProber;

impl Prober for ProtocolProber {
    fn until_healthy<'a>(
        &'a self,
        target: &'a Target,
        last: &'a LastAnswer,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        match target.probe {
            Probe::Kafka => Box::pin(kafka::until_healthy(&target.address, last)),
            Probe::Ksqldb => Box::pin(ksqldb::until_healthy(&target.address, last)),
            Probe::Zookeeper => Box::pin(zookeeper::until_healthy(&target.address, last)),
            Probe::SchemaRegistry => Box::pin(schema_registry::until_healthy(&target.address, last)),
            Probe::ControlCenter => Box::pin(control_center::until_healthy(&target.address, last)),
            Probe::Host => Box::pin(host::until_healthy(target, last)),
        }
    }
}

/// Believes the fake engine's script.
pub struct FakeProber;

impl Prober for FakeProber {
    fn until_healthy<'a>(
        &'a self,
        target: &'a Target,
        last: &'a LastAnswer,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async {
            match FakeEngine::behaviour(&target.service) {
                Behaviour::Sound | Behaviour::LosesPort => {}
                Behaviour::NeverHealthy | Behaviour::Exits | Behaviour::StartFails => {
                    last.set("still starting");
                    std::future::pending::<()>().await;
                }
            }
        })
    }
}
