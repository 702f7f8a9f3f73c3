//! Whether a service is healthy, asked in its own protocol: one file a probe, and [`wait`] that bounds them.

mod connect;
mod control_center;
mod error;
mod host;
mod http;
mod kafka;
mod ksqldb;
mod log_excerpt;
mod readiness;
mod schema_registry;
pub mod wait;
mod zookeeper;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::plan::ServiceSpec;
use crate::stack::{Probe, Properties, ServiceName};

pub use error::HealthError;
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
    /// Where its lines begin in each partition, where that is known by more than their time.
    pub lines_from: BTreeMap<i32, i64>,
}

impl Target {
    /// What a probe has to know about this service, which was started at that time.
    pub fn of(spec: &ServiceSpec, started_at: i64) -> Self {
        Self {
            service: spec.name.clone(),
            probe: spec.probe,
            address: spec.probe_address.clone(),
            hostname: spec.hostname.clone(),
            started_at,
            lines_from: BTreeMap::new(),
        }
    }
}

/// The last that a probe heard. A cheap clone.
#[derive(Debug, Clone, Default)]
pub struct LastAnswer(Arc<Mutex<String>>);

impl LastAnswer {
    /// What was heard last; empty when nothing was.
    pub fn get(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps what was heard.
    pub fn set(&self, answer: impl Into<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = answer.into();
    }

    /// Hands on what is good, and keeps why nothing was.
    fn heard<T>(&self, answer: Result<T, String>) -> Option<T> {
        answer.map_err(|answer| self.set(answer)).ok()
    }
}

/// The service says that it will never answer the probe as it is: asking again is of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hopeless {
    /// What it answered.
    pub answer: String,
    /// What to do about it.
    pub way_out: String,
}

/// The end of a probe.
pub type Probing<'a> = Pin<Box<dyn Future<Output = Result<(), Hopeless>> + Send + 'a>>;

/// Waits for services to be healthy.
pub trait Prober: Send + Sync {
    /// Returns once the service is healthy or says that it never will be: deadlines are [`wait`]'s. Dropping the
    /// future ends the probe.
    fn until_healthy<'a>(&'a self, target: &'a Target, last: &'a LastAnswer) -> Probing<'a>;
}

/// Asks the services themselves.
#[derive(Debug, Default)]
pub struct ProtocolProber {
    /// What a connection to a Kafka outside of the stack takes.
    pub kafka: Properties,
}

impl Prober for ProtocolProber {
    fn until_healthy<'a>(&'a self, target: &'a Target, last: &'a LastAnswer) -> Probing<'a> {
        let address = &target.address;
        Box::pin(async move {
            match target.probe {
                Probe::Kafka => kafka::until_healthy(address, last).await,
                Probe::Ksqldb => ksqldb::until_healthy(address, last).await,
                Probe::Zookeeper => zookeeper::until_healthy(address, last).await?,
                Probe::SchemaRegistry => schema_registry::until_healthy(address, last).await,
                Probe::ControlCenter => control_center::until_healthy(address, last).await,
                Probe::Connect => connect::until_healthy(address, last).await,
                Probe::Prometheus => readiness::until_prometheus_is_healthy(address, last).await,
                Probe::Alertmanager => readiness::until_alertmanager_is_healthy(address, last).await,
                Probe::Host => host::until_healthy(target, &self.kafka, last).await,
            }
            Ok(())
        })
    }
}
