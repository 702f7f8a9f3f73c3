//! What has to be done, as data: a pure function from what is wanted and what there is to a [`Plan`], every
//! operation with its cause. Knows nothing of how an operation is carried out.

mod observed;
mod resolve;

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use crate::stack::{ImageRef, Service, ServiceName};

pub use observed::{
    Attachment, Exit, Leftover, NetworkState, Observed, ObservedContainer, ObservedImage, ObservedService,
    Publisher, ServiceState, SupervisorState,
};
pub use resolve::{Choices, ContainerSpec, Reach, ResolveError, ServiceSpec, resolve};

/// What has to be done. Empty when everything is as wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The operations. One may only start when those of its `after` are done; they stand before it.
    pub operations: Vec<Operation>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Operation {
    /// What.
    pub action: Action,
    /// Why.
    pub cause: Cause,
    /// The operations, by index, that must be done first.
    pub after: Vec<usize>,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Make an image from this repository.
    MakeImage(ImageRef),
    /// Get an image from its registry.
    PullImage(ImageRef),
    /// Make the network between the services.
    CreateNetwork,
    /// Start the process that looks after the services.
    StartSupervisor,
    /// End a process that nobody looks after.
    EndLeftover(ServiceName),
    /// Stop a service.
    Stop(ServiceName),
    /// Remove what a service that ended has left, and what it wrote is kept.
    Remove(ServiceName),
    /// Start a service and wait until it is healthy.
    Start(ServiceName),
    /// Start again what a service that ended has left, as it is, and wait until it is healthy.
    Resume(ServiceName),
}

/// Why something is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// It is wanted and not there.
    NotRunning,
    /// It ended unasked.
    Ended(Exit),
    /// Somebody stopped it without ending it.
    Paused,
    /// The process that looked after it is gone.
    SupervisorLost(u32),
    /// It is to listen on another port.
    PortChanged {
        /// The port it has.
        from: Option<u16>,
        /// The port it should have.
        to: Option<u16>,
    },
    /// There is none.
    NotThere,
    /// Its definition, or a program it runs, is another one.
    DefinitionChanged,
    /// It is a host, and the hosts get another configuration.
    HostConfigChanged,
    /// The image is not on the machine.
    NoImage,
    /// The programs or files in the image are other ones.
    ImageOutdated,
    /// It runs an image that was replaced, or is about to be.
    ImageChanged,
    /// It is not on the network of the project, which was removed.
    NetworkRemoved,
    /// It is there and not wanted.
    NotInStack,
    /// It is there, and the user left it out of the stack.
    LeftOut,
    /// The user asked for it.
    Requested,
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MakeImage(image) => write!(formatter, "build image {image}"),
            Self::PullImage(image) => write!(formatter, "pull image {image}"),
            Self::CreateNetwork => formatter.write_str("create the network"),
            Self::StartSupervisor => formatter.write_str("start the supervisor"),
            Self::EndLeftover(service) => write!(formatter, "end what is left of {service}"),
            Self::Stop(service) => write!(formatter, "stop {service}"),
            Self::Remove(service) => write!(formatter, "remove what is left of {service}"),
            Self::Start(service) => write!(formatter, "start {service}"),
            Self::Resume(service) => write!(formatter, "start {service} again"),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = |port: &Option<u16>| port.map_or_else(|| "none".to_owned(), |port| port.to_string());
        match self {
            Self::NotRunning => formatter.write_str("not running"),
            Self::Ended(exit) => write!(formatter, "ended unexpectedly: {exit}"),
            Self::Paused => formatter.write_str("it was paused"),
            Self::SupervisorLost(pid) => write!(formatter, "the supervisor (process {pid}) is gone"),
            Self::PortChanged { from, to } => {
                write!(formatter, "port changed from {} to {}", port(from), port(to))
            }
            Self::DefinitionChanged => formatter.write_str("its definition or program changed"),
            Self::HostConfigChanged => formatter.write_str("the host configuration changed"),
            Self::NotThere => formatter.write_str("not there"),
            Self::NoImage => formatter.write_str("not on this machine"),
            Self::ImageOutdated => formatter.write_str("its content changed"),
            Self::ImageChanged => formatter.write_str("its image changed"),
            Self::NetworkRemoved => formatter.write_str("its network was removed"),
            Self::NotInStack => formatter.write_str("not in the stack"),
            Self::LeftOut => formatter.write_str("left out by `without`"),
            Self::Requested => formatter.write_str("requested"),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, operation) in self.operations.iter().enumerate() {
            writeln!(formatter, "{}", operation.numbered(index))?;
        }
        Ok(())
    }
}

impl Operation {
    /// The operation as a line of a plan in which it has this index, such as `2. start broker (not running), after 1`.
    pub fn numbered(&self, index: usize) -> String {
        let Self { action, cause, after } = self;
        let mut line = format!("{}. {action} ({cause})", index + 1);
        if !after.is_empty() {
            let after: Vec<String> = after.iter().map(|index| (index + 1).to_string()).collect();
            line.push_str(&format!(", after {}", after.join(", ")));
        }
        line
    }
}

impl Plan {
    /// What makes `observed` into `desired`. The services of `desired` must stand in an order in which
    /// dependencies come first, as [`resolve()`] gives them.
    pub fn make(desired: &[ServiceSpec], observed: &Observed) -> Self {
        Self::make_without(&[], desired, observed)
    }

    /// The same, of a stack that the user left services out of.
    pub fn make_without(left_out: &[Service], desired: &[ServiceSpec], observed: &Observed) -> Self {
        let mut plan = Planner {
            desired,
            left_out,
            plan: Self::default(),
        };
        plan.images(observed);
        let needed = plan.needed(observed);
        plan.end_and_stop(observed, &needed);
        let ground = plan.ground(observed, &needed);
        plan.start(observed, &needed, ground);
        plan.plan
    }

    /// Stop one service and start it again, because the user asked for it.
    pub fn restart(desired: &[ServiceSpec], observed: &Observed, service: &ServiceName) -> Self {
        let mut plan = Planner {
            desired,
            left_out: &[],
            plan: Self::default(),
        };
        let needed = BTreeMap::from([(service.clone(), Cause::Requested)]);
        plan.end_and_stop(observed, &needed);
        let ground = plan.ground(observed, &needed);
        plan.start(observed, &needed, ground);
        plan.plan
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// The services of `desired` that the plan leaves alone.
    pub fn unchanged(&self, desired: &[ServiceSpec]) -> Vec<ServiceName> {
        let names = desired.iter().map(|spec| &spec.name);
        names
            .filter(|name| !self.started().any(|started| started == *name))
            .cloned()
            .collect()
    }

    /// The services that the plan starts.
    pub fn started(&self) -> impl Iterator<Item = &ServiceName> {
        self.operations
            .iter()
            .filter_map(|operation| match &operation.action {
                Action::Start(service) | Action::Resume(service) => Some(service),
                _ => None,
            })
    }
}

/// What a service that ended, or was paused, has left.
enum Remains {
    /// It only has to be started again.
    Usable,
    /// It is in the way of what is wanted.
    Useless,
}

struct Planner<'a> {
    desired: &'a [ServiceSpec],
    left_out: &'a [Service],
    plan: Plan,
}

impl Planner<'_> {
    /// The images that are missing or outdated.
    fn images(&mut self, observed: &Observed) {
        for container in self.desired.iter().filter_map(|spec| spec.container.as_ref()) {
            // An engine without images sees none of them, and says so by what looks after its services.
            if !matches!(observed.supervisor, SupervisorState::Daemon { .. })
                || self.image_operation(&container.image).is_some()
            {
                continue;
            }
            let cause = match (observed.images.get(&container.image), &container.image_content) {
                (None, _) => Cause::NoImage,
                (Some(image), Some(content)) if image.content.as_ref() != Some(content) => {
                    Cause::ImageOutdated
                }
                (Some(_), _) => continue,
            };
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
    fn remains(&self, name: &ServiceName, observed: &Observed) -> Option<Remains> {
        let spec = self.desired.iter().find(|spec| spec.name == *name)?;
        let seen = observed.services.get(name)?;
        match (&seen.state, &seen.container) {
            (ServiceState::Paused { .. }, None) => Some(Remains::Usable),
            (ServiceState::Exited { .. } | ServiceState::Paused { .. }, Some(_)) => {
                Some(match self.difference(spec, seen, observed) {
                    None => Remains::Usable,
                    Some(_) => Remains::Useless,
                })
            }
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
    fn needed(&self, observed: &Observed) -> BTreeMap<ServiceName, Cause> {
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

    /// Ends what must go, dependents before what they depend on.
    fn end_and_stop(&mut self, observed: &Observed, needed: &BTreeMap<ServiceName, Cause>) {
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
                (false, _) if self.left_out.iter().any(|service| service.name == name) => Cause::LeftOut,
                (false, _) => Cause::NotInStack,
                (true, Some(cause)) => cause.clone(),
                (true, None) => continue,
            };
            let action = match service.state {
                ServiceState::Leftover { .. } => Action::EndLeftover(name.clone()),
                ServiceState::Exited { .. } if is_wanted => match self.remains(&name, observed) {
                    Some(Remains::Useless) => Action::Remove(name.clone()),
                    // There is nothing to stop.
                    Some(Remains::Usable) | None => continue,
                },
                ServiceState::Paused { .. }
                    if is_wanted && matches!(self.remains(&name, observed), Some(Remains::Usable)) =>
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
            let mut after = self.operations_on(|other| {
                self.desired
                    .iter()
                    .any(|spec| spec.name == *other && spec.depends_on.contains(&name))
            });
            after.extend(image);
            after.sort_unstable();
            self.plan.operations.push(Operation { action, cause, after });
        }
    }

    /// What the services stand on: the supervisor, or the network.
    fn ground(&mut self, observed: &Observed, needed: &BTreeMap<ServiceName, Cause>) -> Option<usize> {
        let (action, cause) = match observed.supervisor {
            SupervisorState::Running { .. }
            | SupervisorState::Silent { .. }
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

    fn start(&mut self, observed: &Observed, needed: &BTreeMap<ServiceName, Cause>, ground: Option<usize>) {
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
                action: match self.remains(&spec.name, observed) {
                    Some(Remains::Usable) => Action::Resume(spec.name.clone()),
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
                Action::MakeImage(_)
                | Action::PullImage(_)
                | Action::CreateNetwork
                | Action::StartSupervisor => false,
                Action::EndLeftover(name)
                | Action::Stop(name)
                | Action::Remove(name)
                | Action::Start(name)
                | Action::Resume(name) => matches(name),
            })
            .map(|(index, _)| index)
            .collect()
    }
}

#[cfg(test)]
mod tests;
