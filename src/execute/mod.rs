//! Carries out a plan: every operation as soon as those it comes after are done, services up to their health.
//! What was started is known whatever happens, so that it can be taken back.

mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::error::{Diagnose, Failure, Result};
use crate::events::Listener;
use crate::exit_code::ExitCode;
use crate::health::Prober;
use crate::plan::{Operation, Plan, ServiceSpec};
use crate::quantity::duration;
use crate::shutdown::Shutdown;
use crate::stack::{ImageRef, ServiceName};

/// How long waiting for a service that is there already may take without being told.
const UNFELT: Duration = Duration::from_millis(500);

/// How long making or getting one image may take.
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);

/// A step of the work ended in a way that the work itself does not know.
#[derive(Debug, thiserror::Error)]
enum ExecuteError {
    #[error("a task of the execution ended unexpectedly: {source}")]
    Task { source: tokio::task::JoinError },
    #[error("image `{image}` was not ready within {}", duration(BUILD_LIMIT))]
    ImageTooSlow { image: ImageRef },
}

impl Diagnose for ExecuteError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Internal
    }
}

/// Carries out plans for one set of services. A cheap clone.
#[derive(Clone)]
pub struct Execution {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Arc<dyn Engine>,
    prober: Arc<dyn Prober>,
    events: Arc<dyn Listener>,
    shutdown: Shutdown,
    desired: Vec<ServiceSpec>,
    deadline: Mutex<Instant>,
    limit: Duration,
    /// Cancelled when something failed: what has not begun does not begin.
    failed: CancellationToken,
    /// Cancelled for each service that is healthy.
    healthy: BTreeMap<ServiceName, CancellationToken>,
    begun: Mutex<Begun>,
    /// What the plan starts or lets go on: nobody complains of it before it is its turn.
    in_hand: Mutex<BTreeSet<ServiceName>>,
}

/// What came of making or getting an image.
enum Provided {
    Ready,
    GivenUp,
}

/// What an execution has begun, and what must be taken back should it fail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Begun {
    /// Whether what the services stand on, the supervisor or the network, was made.
    pub ground: Option<GroundMade>,
    /// The services that were started.
    pub services: Vec<ServiceName>,
}

/// What the services stand on was made by this execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroundMade;

/// How waiting for a service ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// It is healthy.
    Healthy,
    /// Something else failed, or the user wants to end.
    Cancelled,
}

/// What an execution needs.
pub struct ExecutionSettings {
    /// Runs the services.
    pub engine: Arc<dyn Engine>,
    /// Asks for their health.
    pub prober: Arc<dyn Prober>,
    /// Is told what happens.
    pub events: Arc<dyn Listener>,
    /// Ends the waiting.
    pub shutdown: Shutdown,
    /// The services as they should be.
    pub desired: Vec<ServiceSpec>,
    /// How long everything together may take.
    pub limit: Duration,
}

impl Execution {
    /// An execution whose time begins now.
    pub fn new(settings: ExecutionSettings) -> Self {
        let names = settings.desired.iter().map(|spec| spec.name.clone());
        Self {
            inner: Arc::new(Inner {
                healthy: names.map(|name| (name, CancellationToken::new())).collect(),
                engine: settings.engine,
                prober: settings.prober,
                events: settings.events,
                shutdown: settings.shutdown,
                desired: settings.desired,
                deadline: Mutex::new(Instant::now() + settings.limit),
                limit: settings.limit,
                failed: CancellationToken::new(),
                begun: Mutex::default(),
                in_hand: Mutex::default(),
            }),
        }
    }

    /// What was begun so far.
    pub fn begun(&self) -> Begun {
        self.inner
            .begun
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// When the time is over.
    pub fn deadline(&self) -> Instant {
        self.inner.deadline()
    }

    /// Returns once the service is healthy, or it is clear that it will not be.
    pub async fn healthy(&self, service: &ServiceName) -> Waited {
        let Some(healthy) = self.inner.healthy.get(service) else {
            return Waited::Cancelled;
        };
        tokio::select! {
            () = healthy.cancelled() => Waited::Healthy,
            () = self.inner.given_up() => Waited::Cancelled,
        }
    }

    /// Stops what is still being waited for; nothing more is begun.
    pub fn give_up(&self) {
        self.inner.failed.cancel();
    }

    /// Carries out one operation of a plan ahead of the others, with those that it comes after, to see whether it can be
    /// done. A failure that is expected is not shown as one. Returns what is done then.
    ///
    /// # Errors
    /// The failure, expected or not, or [`crate::shutdown::Interrupted`].
    pub async fn try_operation(
        &self,
        plan: &Plan,
        index: usize,
        is_expected: fn(&Failure) -> bool,
    ) -> Result<Vec<usize>> {
        let operation = plan.operations.get(index);
        let before = operation.map_or(&[][..], |operation| &operation.after);
        let done: Vec<usize> = before.iter().copied().chain([index]).collect();
        for index in &done {
            if let Some(Operation { action, cause, .. }) = plan.operations.get(*index) {
                self.inner.carry_out(action, cause, is_expected).await?;
            }
            if self.inner.shutdown.token().is_cancelled() {
                return Err(self.inner.shutdown.interrupted().into());
            }
        }
        Ok(done)
    }

    /// Carries out the plan, and waits until the services of `also` are healthy, which the plan leaves alone.
    ///
    /// # Errors
    /// The first failure, or [`crate::shutdown::Interrupted`].
    pub async fn run(&self, plan: &Plan, also: &[ServiceName]) -> Result<()> {
        self.inner.take_in_hand(plan.started());
        let done: Vec<CancellationToken> = plan.operations.iter().map(|_| CancellationToken::new()).collect();
        let mut tasks = JoinSet::new();
        for (index, operation) in plan.operations.iter().enumerate() {
            let after: Vec<CancellationToken> = operation
                .after
                .iter()
                .filter_map(|index| done.get(*index).cloned())
                .collect();
            let (inner, own) = (Arc::clone(&self.inner), done.get(index).cloned());
            let (action, cause) = (operation.action.clone(), operation.cause.clone());
            tasks.spawn(async move {
                for earlier in after {
                    tokio::select! {
                        () = earlier.cancelled() => {}
                        () = inner.given_up() => return Ok(()),
                    }
                }
                inner.carry_out(&action, &cause, |_| false).await?;
                if let Some(own) = own {
                    own.cancel();
                }
                Ok(())
            });
        }
        for spec in self.inner.desired.iter().filter(|spec| also.contains(&spec.name)) {
            let (inner, spec) = (Arc::clone(&self.inner), spec.clone());
            tasks.spawn(async move { inner.look_at(&spec).await });
        }
        self.inner.join(tasks).await
    }
}
