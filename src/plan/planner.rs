//! The decisions of a plan, one after the other: which images, which services, what goes before what.

use std::collections::BTreeMap;

use super::{
    Action, Attachment, Cause, ContainerSpec, NetworkState, Observed, ObservedService, Operation, Plan,
    ProgramsImage, ServiceSpec, ServiceState, SupervisorState,
};
use crate::stack::{Absence, ImageRef, ServiceName, Stack};

/// What a service that ended, or was paused, has left.
enum Remains {
    /// It only has to be started again.
    Ended,
    /// It only has to go on.
    Paused,
    /// It is in the way of what is wanted.
    Useless,
}

fn containers(desired: &[ServiceSpec]) -> impl Iterator<Item = &ContainerSpec> {
    desired.iter().filter_map(|spec| spec.container.as_ref())
}

/// Why an image is to be brought that should have this content, where it should have a certain one.
pub(super) fn image_cause(image: &ImageRef, content: Option<&str>, observed: &Observed) -> Option<Cause> {
    match (observed.images.get(image), content) {
        (None, _) => Some(Cause::NoImage),
        (Some(image), Some(content)) if image.content.as_deref() != Some(content) => {
            Some(Cause::ImageOutdated)
        }
        (Some(_), _) => None,
    }
}

/// A plan that grows.
pub(super) struct Planner<'a> {
    pub(super) desired: &'a [ServiceSpec],
    /// Tells why a service is not wanted.
    pub(super) stack: Option<&'a Stack>,
    pub(super) plan: Plan,
}

impl Planner<'_> {
    /// The images of services for which there is a cause, each once.
    pub(super) fn images(&mut self, observed: &Observed, cause: impl Fn(&ContainerSpec) -> Option<Cause>) {
        // An engine without images sees none of them, and says so by what looks after its services.
        if !matches!(observed.supervisor, SupervisorState::Daemon { .. }) {
            return;
        }
        for container in containers(self.desired) {
            if self.image_operation(&container.image).is_some() {
                continue;
            }
            if let Some(cause) = cause(container) {
                let image = container.image.clone();
                self.plan.operations.push(Operation {
                    action: match container.recipe {
                        Some(_) => Action::MakeImage(image),
                        None => Action::PullImage(image),
                    },
                    cause,
                    after: Vec::new(),
                });
            }
        }
        self.programs(observed);
    }

    /// The programs that an image to be made is made of, where they are compiled and are not there yet. So far the plan
    /// has nothing but images.
    fn programs(&mut self, observed: &Observed) {
        let made = containers(self.desired).filter(|container| container.recipe.is_some());
        let programs = made
            .filter(|container| self.image_operation(&container.image).is_some())
            .find_map(|container| container.programs.as_ref());
        let Some(ProgramsImage { image, content }) = programs else {
            return;
        };
        let Some(cause) = image_cause(image, Some(content), observed) else {
            return;
        };
        for operation in &mut self.plan.operations {
            if matches!(operation.action, Action::MakeImage(_)) {
                operation.after = vec![0];
            }
        }
        let compile = Operation {
            action: Action::CompilePrograms(image.clone()),
            cause,
            after: Vec::new(),
        };
        self.plan.operations.insert(0, compile);
    }

    /// The operation so far that brings this image.
    fn image_operation(&self, image: &ImageRef) -> Option<usize> {
        self.plan
            .operations
            .iter()
            .position(|operation| match &operation.action {
                Action::MakeImage(made) | Action::PullImage(made) => made == image,
                _ => false,
            })
    }

    /// Why a service has to be replaced that is there and is not as wanted.
    fn difference(&self, spec: &ServiceSpec, seen: &ObservedService, observed: &Observed) -> Option<Cause> {
        if seen.port != spec.port {
            Some(Cause::PortChanged {
                from: seen.port,
                to: spec.port,
            })
        } else if seen.config_hash != spec.config_hash {
            Some(Cause::DefinitionChanged)
        } else if seen.host_config != spec.host_config {
            Some(Cause::HostConfigChanged)
        } else {
            self.container_cause(spec, seen, observed)
        }
    }

    /// What becomes of the container that a service which ended has left; nothing where it left none, as a process does.
    fn remains(&self, name: &ServiceName, cause: &Cause, observed: &Observed) -> Option<Remains> {
        let spec = self.desired.iter().find(|spec| spec.name == *name)?;
        let seen = observed.services.get(name)?;
        match (&seen.state, &seen.container) {
            (ServiceState::Exited { .. }, None) => None,
            (ServiceState::Exited { .. } | ServiceState::Paused { .. }, _)
                if self.difference(spec, seen, observed).is_some() =>
            {
                Some(Remains::Useless)
            }
            // Who asks for a restart wants it to begin anew.
            (ServiceState::Paused { .. }, _) if *cause == Cause::Requested => Some(Remains::Useless),
            (ServiceState::Paused { .. }, _) => Some(Remains::Paused),
            (ServiceState::Exited { .. }, _) => Some(Remains::Ended),
            _ => None,
        }
    }

    /// Why a container has to be replaced, although its definition is as wanted.
    fn container_cause(
        &self,
        spec: &ServiceSpec,
        seen: &ObservedService,
        observed: &Observed,
    ) -> Option<Cause> {
        let (wanted, seen) = (spec.container.as_ref()?, seen.container.as_ref()?);
        let is_current = observed
            .images
            .get(&wanted.image)
            .is_some_and(|image| image.id == seen.image_id);
        if !is_current || self.image_operation(&wanted.image).is_some() {
            Some(Cause::ImageChanged)
        } else if seen.attachment == Attachment::Detached {
            Some(Cause::NetworkRemoved)
        } else {
            None
        }
    }

    /// The services to start, each with the reason.
    pub(super) fn needed(&self, observed: &Observed) -> BTreeMap<ServiceName, Cause> {
        let cause = |spec: &ServiceSpec| -> Option<Cause> {
            if let SupervisorState::Lost { pid } = observed.supervisor {
                return Some(Cause::SupervisorLost(pid));
            }
            let Some(service) = observed.services.get(&spec.name) else {
                return Some(Cause::NotRunning);
            };
            match service.state {
                ServiceState::Leftover { .. } => Some(Cause::NotRunning),
                ServiceState::Restarting { exit } | ServiceState::Exited { exit } => Some(Cause::Ended(exit)),
                ServiceState::Paused { .. } => {
                    Some(self.difference(spec, service, observed).unwrap_or(Cause::Paused))
                }
                ServiceState::Running { .. } => self.difference(spec, service, observed),
            }
        };
        self.desired
            .iter()
            .filter_map(|spec| Some((spec.name.clone(), cause(spec)?)))
            .collect()
    }

    /// Ends what must go: what runs in order, dependents before what they depend on.
    pub(super) fn end_and_stop(&mut self, observed: &Observed, needed: &BTreeMap<ServiceName, Cause>) {
        let unwanted = observed
            .services
            .keys()
            .filter(|name| self.desired.iter().all(|spec| spec.name != **name));
        let wanted = self.desired.iter().rev().map(|spec| &spec.name);
        let names: Vec<ServiceName> = unwanted.chain(wanted).cloned().collect();
        for name in names {
            let Some(service) = observed.services.get(&name) else {
                continue;
            };
            let is_wanted = self.desired.iter().any(|spec| spec.name == name);
            let cause = match (is_wanted, needed.get(&name)) {
                (false, _) => match self.stack.and_then(|stack| stack.absence(&name)) {
                    Some(Absence::LeftOut) => Cause::LeftOut,
                    Some(Absence::Replaced { by }) => Cause::Replaced { by },
                    Some(Absence::NotAskedFor) => Cause::NotAskedFor,
                    Some(Absence::OutsideKafka { kafka }) => Cause::OutsideKafka { kafka },
                    None => Cause::NotInStack,
                },
                (true, Some(cause)) => cause.clone(),
                (true, None) => continue,
            };
            let action = match service.state {
                ServiceState::Leftover { .. } => Action::EndLeftover(name.clone()),
                ServiceState::Exited { .. } if is_wanted => match self.remains(&name, &cause, observed) {
                    Some(Remains::Useless) => Action::Remove(name.clone()),
                    // There is nothing to stop.
                    Some(Remains::Ended | Remains::Paused) | None => continue,
                },
                ServiceState::Paused { .. }
                    if is_wanted
                        && matches!(self.remains(&name, &cause, observed), Some(Remains::Paused)) =>
                {
                    continue;
                }
                _ => Action::Stop(name.clone()),
            };
            // A service goes on running while its new image is made.
            let image = self
                .desired
                .iter()
                .find(|spec| spec.name == name)
                .and_then(|spec| self.image_operation(&spec.container.as_ref()?.image));
            let mut after = match action {
                // All of it is ending already: the lifelines were cut at once.
                Action::EndLeftover(_) => Vec::new(),
                _ => self.operations_on(|other| {
                    self.desired
                        .iter()
                        .any(|spec| spec.name == *other && spec.depends_on.contains(&name))
                }),
            };
            after.extend(image);
            after.sort_unstable();
            self.plan.operations.push(Operation { action, cause, after });
        }
    }

    /// What the services stand on: the supervisor, or the network.
    pub(super) fn ground(
        &mut self,
        observed: &Observed,
        needed: &BTreeMap<ServiceName, Cause>,
    ) -> Option<usize> {
        let (action, cause) = match observed.supervisor {
            SupervisorState::Running { .. }
            | SupervisorState::Silent { .. }
            | SupervisorState::Unrecorded { .. }
            | SupervisorState::Daemon {
                network: NetworkState::Present,
            } => return None,
            SupervisorState::Absent | SupervisorState::Daemon { .. } if needed.is_empty() => return None,
            SupervisorState::Absent => (Action::StartSupervisor, Cause::NotRunning),
            SupervisorState::Lost { pid } => (Action::StartSupervisor, Cause::SupervisorLost(pid)),
            SupervisorState::Daemon {
                network: NetworkState::Absent,
            } => (Action::CreateNetwork, Cause::NotThere),
        };
        // Not before what stood on the old one is gone.
        let after = self.operations_on(|_| true);
        self.plan.operations.push(Operation { action, cause, after });
        Some(self.plan.operations.len() - 1)
    }

    pub(super) fn start(
        &mut self,
        observed: &Observed,
        needed: &BTreeMap<ServiceName, Cause>,
        ground: Option<usize>,
    ) {
        for spec in self.desired {
            let Some(cause) = needed.get(&spec.name) else {
                continue;
            };
            let mut after =
                self.operations_on(|other| *other == spec.name || spec.depends_on.contains(other));
            after.extend(ground);
            let image = spec.container.as_ref().map(|container| &container.image);
            after.extend(image.and_then(|image| self.image_operation(image)));
            after.sort_unstable();
            self.plan.operations.push(Operation {
                action: match self.remains(&spec.name, cause, observed) {
                    Some(Remains::Ended) => Action::Resume(spec.name.clone()),
                    Some(Remains::Paused) => Action::Unpause(spec.name.clone()),
                    Some(Remains::Useless) | None => Action::Start(spec.name.clone()),
                },
                cause: cause.clone(),
                after,
            });
        }
    }

    /// The operations so far on services that `matches`.
    fn operations_on(&self, matches: impl Fn(&ServiceName) -> bool) -> Vec<usize> {
        self.plan
            .operations
            .iter()
            .enumerate()
            .filter(|(_, operation)| match &operation.action {
                Action::CompilePrograms(_)
                | Action::MakeImage(_)
                | Action::PullImage(_)
                | Action::CreateNetwork
                | Action::StartSupervisor => false,
                Action::EndLeftover(name)
                | Action::Stop(name)
                | Action::Remove(name)
                | Action::Start(name)
                | Action::Resume(name)
                | Action::Unpause(name) => matches(name),
            })
            .map(|(index, _)| index)
            .collect()
    }
}
