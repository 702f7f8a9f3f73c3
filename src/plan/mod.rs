//! What has to be done, as data: a pure function from what is wanted and what there is to a [`Plan`], every
//! operation with its cause. Knows nothing of how an operation is carried out.

mod observed;
mod own_names;
mod planner;
mod resolve;
mod spec;

use std::collections::BTreeSet;
use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use crate::plan::planner::{Planner, image_cause};
use crate::stack::{ImageRef, KafkaAddress, ServiceName, Stack};

pub use observed::{
    Attachment, Exit, Leftover, NetworkState, Observed, ObservedContainer, ObservedImage, ObservedService,
    Publisher, RecordLoss, ServiceState, SupervisorState,
};
pub use resolve::{ResolveError, resolve};
pub use spec::{
    CLIENT_FOLDER, Choices, ClientCopy, ConfigFileSpec, ContainerSpec, ProgramsImage, Reach, ServiceSpec,
};

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
    /// Compile the programs that images are made of, into an image of their own.
    CompilePrograms(ImageRef),
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
    /// Let a service go on that somebody paused, and wait until it is healthy.
    Unpause(ServiceName),
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
    /// It is there, and another one that the user asked for takes its place.
    Replaced {
        /// The other one.
        by: ServiceName,
    },
    /// It is there and optional, and not asked for any more.
    NotAskedFor,
    /// It is there, and a Kafka outside of the stack takes its place.
    OutsideKafka {
        /// Where that is.
        kafka: KafkaAddress,
    },
    /// The user asked for it.
    Requested,
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CompilePrograms(image) => write!(formatter, "compile the programs in image {image}"),
            Self::MakeImage(image) => write!(formatter, "build image {image}"),
            Self::PullImage(image) => write!(formatter, "pull image {image}"),
            Self::CreateNetwork => formatter.write_str("create the network"),
            Self::StartSupervisor => formatter.write_str("start the supervisor"),
            Self::EndLeftover(service) => write!(formatter, "end what is left of {service}"),
            Self::Stop(service) => write!(formatter, "stop {service}"),
            Self::Remove(service) => write!(formatter, "remove what is left of {service}"),
            Self::Start(service) => write!(formatter, "start {service}"),
            Self::Resume(service) => write!(formatter, "start {service} again"),
            Self::Unpause(service) => write!(formatter, "let {service} go on"),
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
            Self::Replaced { by } => write!(formatter, "{by} takes its place"),
            Self::NotAskedFor => formatter.write_str("not asked for by `with`"),
            Self::OutsideKafka { kafka } => write!(formatter, "the Kafka at {kafka} takes its place"),
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
        Self::make_from(None, desired, observed)
    }

    /// The same, with the stack that tells why a service is not wanted.
    pub fn make_of(stack: &Stack, desired: &[ServiceSpec], observed: &Observed) -> Self {
        Self::make_from(Some(stack), desired, observed)
    }

    fn make_from(stack: Option<&Stack>, desired: &[ServiceSpec], observed: &Observed) -> Self {
        let mut plan = Planner {
            desired,
            stack,
            plan: Self::default(),
        };
        plan.images(observed, |container| {
            image_cause(&container.image, container.image_content.as_deref(), observed)
        });
        let needed = plan.needed(observed);
        plan.end_and_stop(observed, &needed);
        let ground = plan.ground(observed, &needed);
        plan.start(observed, &needed, ground);
        plan.plan
    }

    /// Only what makes images from this repository: those that are not as wanted, or all, because the user asked for it.
    pub fn of_images(desired: &[ServiceSpec], observed: &Observed, which: WhichImages) -> Self {
        let mut plan = Planner {
            desired,
            stack: None,
            plan: Self::default(),
        };
        plan.images(observed, |container| match (container.recipe, which) {
            (None, _) => None,
            (Some(_), WhichImages::All) => Some(Cause::Requested),
            (Some(_), WhichImages::Outdated) => {
                image_cause(&container.image, container.image_content.as_deref(), observed)
            }
        });
        plan.plan
    }

    /// What is left of the plan once these operations are done, by index.
    #[must_use]
    pub fn after(self, done: &[usize]) -> Self {
        let is_left = |index: &usize| !done.contains(index);
        let kept: Vec<usize> = (0..self.operations.len()).filter(is_left).collect();
        let moved = |before: &usize| kept.iter().position(|index| index == before);
        let operations = self.operations.into_iter().enumerate();
        Self {
            operations: operations
                .filter(|(index, _)| is_left(index))
                .map(|(_, operation)| Operation {
                    after: operation.after.iter().filter_map(moved).collect(),
                    ..operation
                })
                .collect(),
        }
    }

    /// Stop one service and start it again, because the user asked for it.
    pub fn restart(desired: &[ServiceSpec], observed: &Observed, service: &ServiceName) -> Self {
        Self::replace(desired, observed, [service])
    }

    /// Stop these services, and start again those of them that are wanted, because the user asked for it. What else there
    /// is goes on.
    pub fn replace<'a>(
        desired: &[ServiceSpec],
        observed: &Observed,
        services: impl IntoIterator<Item = &'a ServiceName>,
    ) -> Self {
        let meant: BTreeSet<&ServiceName> = services.into_iter().collect();
        let mut of_them = observed.clone();
        of_them.services.retain(|name, _| meant.contains(name));
        let wanted = desired.iter().map(|spec| &spec.name);
        let needed = wanted
            .filter(|name| meant.contains(name))
            .map(|name| (name.clone(), Cause::Requested))
            .collect();
        let mut plan = Planner {
            desired,
            stack: None,
            plan: Self::default(),
        };
        plan.end_and_stop(&of_them, &needed);
        let ground = plan.ground(&of_them, &needed);
        plan.start(&of_them, &needed, ground);
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
                Action::Start(service) | Action::Resume(service) | Action::Unpause(service) => Some(service),
                _ => None,
            })
    }
}

/// Which images are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhichImages {
    /// Those that are missing, or have another content than they should.
    Outdated,
    /// All.
    All,
}

#[cfg(test)]
mod tests;
