//! What carries out one operation, and tells what becomes of it: one call of the engine each, and what is said before and
//! after it.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::{BUILD_LIMIT, Begun, ExecuteError, GroundMade, Inner, Provided, UNFELT, Waited};
use crate::engine::News;
use crate::error::{Failure, Result};
use crate::events::{Doing, Ending, Event, Outcome, Step};
use crate::health::Target;
use crate::health::wait::{HealthError, HealthWait, exit_of, log_of};
use crate::plan::{Action, Cause, ServiceSpec};
use crate::stack::{ImageRef, Recipe, ServiceName};
use crate::waiting::telling_when_felt;
impl Inner {
    /// Waits for every task. The first failure stops the waiting of the others, but what they have begun they
    /// end: a half-started process would be nobody's.
    pub(super) async fn join(&self, mut tasks: JoinSet<Result<()>>) -> Result<()> {
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
    pub(super) async fn given_up(&self) {
        tokio::select! {
            () = self.failed.cancelled() => {}
            () = self.shutdown.token().cancelled() => {}
        }
    }

    /// The same, for what is only looked at: what is healthy in that moment is told so, although something else failed.
    async fn given_up_for_good(&self) {
        let failed = async {
            self.failed.cancelled().await;
            sleep_until(Instant::now() + UNFELT).await;
        };
        tokio::select! {
            () = failed => {}
            () = self.shutdown.token().cancelled() => {}
        }
    }

    /// Notes which services the plan starts or lets go on.
    pub(super) fn take_in_hand<'a>(&self, services: impl Iterator<Item = &'a ServiceName>) {
        let mut in_hand = self.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        in_hand.extend(services.cloned());
    }

    /// Those of the services that the plan leaves alone.
    fn not_in_hand(&self, services: &[ServiceName]) -> Vec<ServiceName> {
        let in_hand = self.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        let services = services.iter().filter(|service| !in_hand.contains(*service));
        services.cloned().collect()
    }

    pub(super) async fn carry_out(
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
            Action::Unpause(service) => match self.spec(service) {
                Some(spec) => self.start(spec, cause, None, self.engine.unpause(service)).await,
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
            self.wait_for(spec, restarts_before, self.given_up()).await
        };
        let result = started.await;
        self.tell_end(step, &result, Outcome::Done, began);
        result.map(|_| ())
    }

    /// Waits for a service that the plan leaves alone.
    pub(super) async fn look_at(&self, spec: &ServiceSpec) -> Result<()> {
        let began = Instant::now();
        let step = Step::service(&spec.name);
        let mut is_told = false;
        let tell = || {
            is_told = true;
            self.events.emit(Event::StepStarted {
                step: step.clone(),
                doing: Doing::AwaitingHealth,
            });
        };
        let waiting = self.wait_for(spec, None, self.given_up_for_good());
        let result = telling_when_felt(UNFELT, tell, waiting).await;
        // Nobody asks what became of it who was not told that it is waited for.
        let is_asked = is_told || !matches!(result, Ok(Waited::Cancelled));
        if is_asked {
            self.tell_end(step, &result, Outcome::Unchanged, began);
        }
        result.map(|_| ())
    }

    fn tell_end(&self, step: Step, result: &Result<Waited>, if_healthy: Outcome, began: Instant) {
        let (outcome, ending) = match result {
            Ok(Waited::Healthy) => (if_healthy, Ending::Healthy),
            Ok(Waited::Cancelled) if if_healthy == Outcome::Unchanged => (if_healthy, Ending::GivenUp),
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
    async fn wait_for(
        &self,
        spec: &ServiceSpec,
        restarts_before: Option<u32>,
        given_up: impl Future<Output = ()>,
    ) -> Result<Waited> {
        let observed = self.engine.observe_service(&spec.name).await?;
        let started_at = observed.map_or(0, |service| service.started_at);
        let own_deadline = Instant::now() + spec.deadline;
        let common = self.deadline();
        let is_own = own_deadline < common;
        let stands_on = self.not_in_hand(&spec.depends_on);
        let wait = HealthWait {
            engine: &*self.engine,
            prober: &*self.prober,
            listener: &*self.events,
            deadline: own_deadline.min(common),
            limit: if is_own { spec.deadline } else { self.limit },
            restarts_before,
            stands_on: &stands_on,
        };
        let target = Target::of(spec, started_at);
        let waited = tokio::select! {
            waited = wait.until_healthy(&target) => waited.map(|()| Waited::Healthy),
            () = given_up => Ok(Waited::Cancelled),
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

    pub(super) fn deadline(&self) -> Instant {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, change: impl FnOnce(&mut Begun)) {
        change(&mut self.begun.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
