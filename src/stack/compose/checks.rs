//! Whether a stack is whole: what services name is there, and they can be started one after the other.

use std::collections::BTreeSet;

use super::StackError;
use crate::stack::{Service, ServiceName, Stack, VolumeMount};

/// A stack must be whole without its optional services, and also with one in the place of another.
pub(super) fn optional(file: &str, stack: &Stack) -> Result<(), StackError> {
    let wrong = |service: &Service, reason: String| {
        Err(StackError::Optional {
            file: file.to_owned(),
            service: service.name.clone(),
            reason,
        })
    };
    for service in &stack.services {
        let is_optional = |name: &ServiceName| {
            stack
                .service(name.as_str())
                .is_some_and(|service| service.optional.is_some())
        };
        let needed = service.depends_on.iter().find(|name| is_optional(name));
        if let (None, Some(needed)) = (&service.optional, needed) {
            return wrong(service, format!("depends on `{needed}`, which is optional"));
        }
        let Some(optional) = &service.optional else {
            continue;
        };
        if let Some(leader) = &optional.along_with {
            let leads = |other: &Service| match &other.optional {
                Some(other) => other.along_with.is_none(),
                None => false,
            };
            if !stack.service(leader.as_str()).is_some_and(leads) {
                let reason = format!("comes along with `{leader}`, which cannot be asked for");
                return wrong(service, reason);
            }
        }
        let mut changed = optional.changes.iter().map(|(name, _)| name);
        if let Some(missing) = changed.find(|name| stack.service(name.as_str()).is_none()) {
            return wrong(service, format!("changes `{missing}`, which is not in the stack"));
        }
        let Some(instead_of) = &optional.instead_of else {
            continue;
        };
        if stack.service(instead_of.as_str()).is_none() || is_optional(instead_of) {
            let reason = format!(
                "runs in place of `{instead_of}`, which is not among the services that are always there"
            );
            return wrong(service, reason);
        }
        let mut others = stack.services.iter();
        if let Some(other) = others.find(|other| other.depends_on.contains(instead_of)) {
            let reason = format!(
                "runs in place of `{instead_of}`, which `{}` depends on",
                other.name
            );
            return wrong(service, reason);
        }
    }
    Ok(())
}

pub(super) fn volumes(file: &str, stack: &Stack, known: &[String]) -> Result<(), StackError> {
    for service in &stack.services {
        let mounts = service.container.iter().flat_map(|container| &container.volumes);
        for VolumeMount { volume, .. } in mounts {
            if !known.contains(volume) {
                return Err(StackError::UnknownVolume {
                    file: file.to_owned(),
                    service: service.name.clone(),
                    volume: volume.clone(),
                });
            }
        }
    }
    Ok(())
}

/// What a container is given is in a volume: a root folder may be read-only, and goes with the container.
pub(super) fn configs(file: &str, stack: &Stack) -> Result<(), StackError> {
    for service in &stack.services {
        for container in &service.container {
            let mut targets = container.configs.iter().map(|config| &config.target);
            let is_elsewhere = |target: &&String| {
                let mut volumes = container.volumes.iter();
                !volumes.any(|volume| volume.file_name(target).is_some())
            };
            if let Some(target) = targets.find(is_elsewhere) {
                return Err(StackError::ConfigElsewhere {
                    file: file.to_owned(),
                    service: service.name.clone(),
                    target: target.clone(),
                });
            }
        }
    }
    Ok(())
}

pub(super) fn dependencies(file: &str, stack: &Stack) -> Result<(), StackError> {
    for service in &stack.services {
        for dependency in &service.depends_on {
            if stack.service(dependency.as_str()).is_none() {
                return Err(StackError::UnknownDependency {
                    file: file.to_owned(),
                    service: service.name.clone(),
                    dependency: dependency.clone(),
                });
            }
        }
    }
    let mut finished = BTreeSet::new();
    for service in &stack.services {
        let mut path = Vec::new();
        if let Some(cycle) = find_cycle(stack, &service.name, &mut path, &mut finished) {
            return Err(StackError::Cycle {
                file: file.to_owned(),
                cycle,
            });
        }
    }
    Ok(())
}

/// Depth first: a service that is met again on the path to itself closes a circle.
fn find_cycle(
    stack: &Stack,
    name: &ServiceName,
    path: &mut Vec<ServiceName>,
    finished: &mut BTreeSet<ServiceName>,
) -> Option<Vec<ServiceName>> {
    if finished.contains(name) {
        return None;
    }
    if let Some(start) = path.iter().position(|visited| visited == name) {
        return Some(path.split_off(start));
    }
    path.push(name.clone());
    for dependency in &stack.service(name.as_str())?.depends_on {
        if let Some(cycle) = find_cycle(stack, dependency, path, finished) {
            return Some(cycle);
        }
    }
    path.pop();
    finished.insert(name.clone());
    None
}
