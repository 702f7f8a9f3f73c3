//! Carries out a plan: every operation as soon as those it comes after are done, services up to their health.
//! What was started is known whatever happens, so that it can be taken back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, News};
use crate::error::{Diagnose, Failure, Result};
use crate::events::{Doing, Ending, Event, Listener, Outcome, Step};
use crate::exit_code::ExitCode;
use crate::health::wait::{HealthError, HealthWait, exit_of, log_of};
use crate::health::{Prober, Target};
use crate::plan::{Action, Cause, Operation, Plan, ServiceSpec};
use crate::quantity::duration;
use crate::shutdown::Shutdown;
use crate::stack::{ImageRef, Recipe, ServiceName};
use crate::waiting::telling_when_felt;

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

impl Inner {
    /// Waits for every task. The first failure stops the waiting of the others, but what they have begun they
    /// end: a half-started process would be nobody's.
    async fn join(&self, mut tasks: JoinSet<Result<()>>) -> Result<()> {
        let mut first: Option<Failure> = None;
        while let Some(ended) = tasks.join_next().await {
            let result = ended.unwrap_or_else(|source| Err(ExecuteError::Task { source }.into()));
            if let Err(failure) = result {
                self.failed.cancel();
                first.get_or_insert(failure);
            }
        }
        match first {
            Some(failure) => Err(failure),
            None if self.shutdown.token().is_cancelled() => Err(self.shutdown.interrupted().into()),
            None => Ok(()),
        }
    }

    /// Returns when nothing more is to be begun.
    async fn given_up(&self) {
        tokio::select! {
            () = self.failed.cancelled() => {}
            () = self.shutdown.token().cancelled() => {}
        }
    }

    async fn carry_out(
        &self,
        action: &Action,
        cause: &Cause,
        is_expected: fn(&Failure) -> bool,
    ) -> Result<()> {
        if self.failed.is_cancelled() || self.shutdown.token().is_cancelled() {
            return Ok(());
        }
        match action {
            Action::StartSupervisor | Action::CreateNetwork => {
                self.note(|begun| begun.ground = Some(GroundMade));
                self.engine.open().await
            }
            Action::CompilePrograms(image) => {
                let doing = Doing::Building { cause: cause.clone() };
                let work = |news: Box<News>| async move { self.engine.compile_programs(&*news).await };
                self.image(image, doing, BUILD_LIMIT, is_expected, work).await
            }
            Action::MakeImage(image) => {
                let Some(recipe) = self.recipe(image) else {
                    return Ok(());
                };
                let doing = Doing::Building { cause: cause.clone() };
                let work =
                    |news: Box<News>| async move { self.engine.make_image(image, recipe, &*news).await };
                self.image(image, doing, BUILD_LIMIT, is_expected, work).await
            }
            Action::PullImage(image) => {
                let doing = Doing::Pulling { cause: cause.clone() };
                let work = |news: Box<News>| async move { self.engine.pull_image(image, &*news).await };
                // Slow is not stuck: a registry that is silent is given up by the engine.
                self.image(image, doing, Duration::MAX, is_expected, work).await
            }
            Action::EndLeftover(service) => {
                let cause = cause.clone();
                let work = self.engine.end_leftover(service);
                self.stepwise(
                    service,
                    Doing::EndingLeftover { cause },
                    Ending::LeftoverEnded,
                    work,
                )
                .await
            }
            Action::Stop(service) => {
                let cause = Some(cause.clone());
                let work = self.engine.stop(service);
                self.stepwise(service, Doing::Stopping { cause }, Ending::Stopped, work)
                    .await
            }
            Action::Remove(service) => {
                let cause = cause.clone();
                let work = self.engine.remove(service);
                self.stepwise(service, Doing::Removing { cause }, Ending::Removed, work)
                    .await
            }
            Action::Start(service) => match self.spec(service) {
                // Nothing of it was there.
                Some(spec) => self.start(spec, cause, Some(0), self.engine.start(spec)).await,
                None => Ok(()),
            },
            Action::Resume(service) => match self.spec(service) {
                Some(spec) => self.start(spec, cause, None, self.engine.resume(spec)).await,
                None => Ok(()),
            },
        }
    }

    /// How an image is made that the plan says is to be made.
    fn recipe(&self, image: &ImageRef) -> Option<Recipe> {
        let mut containers = self.desired.iter().filter_map(|spec| spec.container.as_ref());
        containers.find(|container| container.image == *image)?.recipe
    }

    /// Makes or gets an image. Unlike a start this is not carried through when something else failed: nothing
    /// is left half-made.
    async fn image<W: Future<Output = Result<()>>>(
        &self,
        image: &ImageRef,
        doing: Doing,
        limit: Duration,
        is_expected: fn(&Failure) -> bool,
        work: impl FnOnce(Box<News>) -> W,
    ) -> Result<()> {
        let began = Instant::now();
        let step = Step::image(image);
        self.events.emit(Event::StepStarted {
            step: step.clone(),
            doing,
        });
        let working = timeout(limit, work(self.news_of(&step)));
        let result = tokio::select! {
            result = working => match result {
                Ok(result) => result.map(|()| Provided::Ready),
                Err(_) => Err(ExecuteError::ImageTooSlow { image: image.clone() }.into()),
            },
            () = self.given_up() => Ok(Provided::GivenUp),
        };
        // The time for the services to become healthy does not count what they had to wait for their images.
        let mut deadline = self.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        *deadline = (*deadline).max(Instant::now() + self.limit);
        drop(deadline);
        let (outcome, ending) = match &result {
            Ok(Provided::Ready) => (Outcome::Done, Ending::Ready),
            Ok(Provided::GivenUp) => (Outcome::Failed, Ending::GivenUp),
            Err(failure) if is_expected(failure) => (Outcome::Unchanged, Ending::NotMade),
            Err(failure) => (Outcome::Failed, Ending::failed(failure.diagnosis())),
        };
        self.events.emit(Event::StepFinished {
            step,
            outcome,
            ending,
            elapsed: began.elapsed(),
        });
        result.map(drop)
    }

    async fn stepwise(
        &self,
        service: &ServiceName,
        doing: Doing,
        if_done: Ending,
        work: impl Future<Output = Result<()>>,
    ) -> Result<()> {
        let began = Instant::now();
        let step = Step::service(service);
        self.events.emit(Event::StepStarted {
            step: step.clone(),
            doing,
        });
        let result = work.await;
        let (outcome, ending) = match &result {
            Ok(()) => (Outcome::Done, if_done),
            Err(failure) => (Outcome::Failed, Ending::failed(failure.diagnosis())),
        };
        self.events.emit(Event::StepFinished {
            step,
            outcome,
            ending,
            elapsed: began.elapsed(),
        });
        result
    }

    fn spec(&self, service: &ServiceName) -> Option<&ServiceSpec> {
        self.desired.iter().find(|spec| spec.name == *service)
    }

    async fn start(
        &self,
        spec: &ServiceSpec,
        cause: &Cause,
        restarts_before: Option<u32>,
        work: impl Future<Output = Result<()>>,
    ) -> Result<()> {
        let began = Instant::now();
        let step = Step::service(&spec.name);
        self.events.emit(Event::StepStarted {
            step: step.clone(),
            doing: Doing::Starting { cause: cause.clone() },
        });
        self.note(|begun| begun.services.push(spec.name.clone()));
        let started = async {
            work.await?;
            self.wait_for(spec, restarts_before).await
        };
        let result = started.await;
        self.tell_end(step, &result, Outcome::Done, began);
        result.map(|_| ())
    }

    /// Waits for a service that the plan leaves alone.
    async fn look_at(&self, spec: &ServiceSpec) -> Result<()> {
        let began = Instant::now();
        let step = Step::service(&spec.name);
        let tell = || {
            self.events.emit(Event::StepStarted {
                step: step.clone(),
                doing: Doing::AwaitingHealth,
            });
        };
        let result = telling_when_felt(UNFELT, tell, self.wait_for(spec, None)).await;
        self.tell_end(step, &result, Outcome::Unchanged, began);
        result.map(|_| ())
    }

    fn tell_end(&self, step: Step, result: &Result<Waited>, if_healthy: Outcome, began: Instant) {
        let (outcome, ending) = match result {
            Ok(Waited::Healthy) => (if_healthy, Ending::Healthy),
            Ok(Waited::Cancelled) => (Outcome::Failed, Ending::GivenUp),
            Err(failure) => (Outcome::Failed, Ending::failed(failure.diagnosis())),
        };
        self.events.emit(Event::StepFinished {
            step,
            outcome,
            ending,
            elapsed: began.elapsed(),
        });
    }

    /// Waits until the service is healthy and tells those who wait for that.
    async fn wait_for(&self, spec: &ServiceSpec, restarts_before: Option<u32>) -> Result<Waited> {
        let observed = self.engine.observe_service(&spec.name).await?;
        let started_at = observed.map_or(0, |service| service.started_at);
        let own_deadline = Instant::now() + spec.deadline;
        let common = self.deadline();
        let is_own = own_deadline < common;
        let wait = HealthWait {
            engine: &*self.engine,
            prober: &*self.prober,
            listener: &*self.events,
            deadline: own_deadline.min(common),
            limit: if is_own { spec.deadline } else { self.limit },
            restarts_before,
        };
        let target = Target::of(spec, started_at);
        let waited = tokio::select! {
            waited = wait.until_healthy(&target) => waited.map(|()| Waited::Healthy),
            () = self.given_up() => Ok(Waited::Cancelled),
        };
        match waited {
            Ok(Waited::Healthy) => {
                self.engine.prove(&spec.name).await?;
                if let Some(healthy) = self.healthy.get(&spec.name) {
                    healthy.cancel();
                }
                Ok(Waited::Healthy)
            }
            Ok(Waited::Cancelled) => Ok(Waited::Cancelled),
            Err(failure) => Err(self.cause_of(failure, spec).await),
        }
    }

    /// A service that waits in vain for another one is not the cause: the other one is.
    async fn cause_of(&self, failure: Failure, spec: &ServiceSpec) -> Failure {
        let Ok(observed) = self.engine.observe().await else {
            return failure;
        };
        for dependency in &spec.depends_on {
            let exit = observed.services.get(dependency).and_then(exit_of);
            if let Some(exit) = exit {
                return HealthError::Ended {
                    service: dependency.clone(),
                    exit,
                    after: None,
                    log: log_of(&*self.engine, dependency).await,
                }
                .into();
            }
        }
        failure
    }

    /// Tells the news of a step.
    fn news_of(&self, step: &Step) -> Box<News> {
        let (events, step) = (Arc::clone(&self.events), step.clone());
        Box::new(move |news| events.emit(news.of(&step)))
    }

    fn deadline(&self) -> Instant {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, change: impl FnOnce(&mut Begun)) {
        change(&mut self.begun.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
