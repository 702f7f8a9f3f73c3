//! osquery where it can be had, else the built-in agent: with `--osqueryd auto`, only building the hosts' image tells
//! which, so that image is made ahead of everything that depends on the answer. Where it is there already, nothing is
//! asked.

use std::error::Error;

use crate::engine::docker::image::{HostVariant, Otherwise, PackageError};
use crate::error::{Failure, Result};
use crate::execute::Execution;
use crate::plan::{Action, Operation, Plan, ServiceSpec};
use crate::stack::Recipe;

/// What came of trying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tried {
    /// There was nothing to try.
    Nothing,
    /// The image is there now: these operations of the plan are done, by index.
    Made(Vec<usize>),
    /// The agent has to stand in.
    Unavailable(PackageError),
}

/// Makes the hosts' image, where the plan says so and the agent may stand in for osquery.
///
/// # Errors
/// Whatever else keeps the image from being made.
pub(super) async fn try_image(
    execution: &Execution,
    desired: &[ServiceSpec],
    plan: &Plan,
    variant: Option<&HostVariant>,
) -> Result<Tried> {
    let Some(HostVariant::Osquery {
        otherwise: Otherwise::Agent,
        ..
    }) = variant
    else {
        return Ok(Tried::Nothing);
    };
    let of_hosts = |wanted: &&ServiceSpec| {
        let container = wanted.container.as_ref();
        container.is_some_and(|container| container.recipe == Some(Recipe::Host))
    };
    let host = desired
        .iter()
        .find(of_hosts)
        .and_then(|spec| spec.container.as_ref());
    let makes_host = |operation: &Operation| match &operation.action {
        Action::MakeImage(image) => host.is_some_and(|host| host.image == *image),
        _ => false,
    };
    let Some(index) = plan.operations.iter().position(makes_host) else {
        return Ok(Tried::Nothing);
    };
    let is_expected = |failure: &Failure| package_error(failure).is_some();
    match execution.try_operation(plan, index, is_expected).await {
        Ok(done) => Ok(Tried::Made(done)),
        Err(failure) => match package_error(&failure) {
            Some(error) => Ok(Tried::Unavailable(error.clone())),
            None => Err(failure),
        },
    }
}

fn package_error(failure: &Failure) -> Option<&PackageError> {
    let error: &dyn Error = failure.diagnosis();
    error.downcast_ref()
}
