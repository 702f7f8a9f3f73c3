//! `osqdemo open`: the address of the user interface, and a browser on it where there is one.

use std::env;
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tokio::process::Command;
use tokio::time::timeout;

use crate::cli::OpenArgs;
use crate::commands::project::Project;
use crate::commands::{Context, endpoints};
use crate::error::{Diagnose, Failure, Result};
use crate::events::{SCHEMA_VERSION, Warning};
use crate::exit_code::ExitCode;
use crate::stack::{Service, Stack};

/// How long the program that opens a browser may take: it hands the address on and ends.
const OPENER_LIMIT: Duration = Duration::from_secs(5);

/// There is nothing to open.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error("the stack has no user interface")]
    NoInterface,
    #[error("service `{service}` has no page to look at")]
    NoPage { service: String },
}

impl Diagnose for OpenError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NoInterface => vec![
                "stack `lite` has a console, stack `confluent` Control Center; `osqdemo ksql` is a prompt for every stack".to_owned(),
            ],
            Self::NoPage { .. } => Vec::new(),
        }
    }
}

/// Fails when there is no user interface, or it is not running.
pub(super) async fn run(context: Context, arguments: OpenArgs) -> Result<()> {
    let project = Project::open(&context)?;
    let service = interface(&project.stack, arguments.service.as_deref())?;
    let observed = project.engine.observe().await?;
    let url = format!("http://{}/", endpoints::address_of(&observed, &service.name)?);
    let document = json!({ "schema_version": SCHEMA_VERSION, "service": service.name, "url": url });
    context.reporter.data(&document, || url.clone())?;
    if !arguments.print
        && let Err(reason) = browse(&url).await
    {
        context.reporter.emit(Warning::NoBrowser { reason });
    }
    Ok(())
}

/// The service with pages: the one asked for, else the first user interface.
fn interface<'a>(stack: &'a Stack, name: Option<&str>) -> Result<&'a Service> {
    let Some(name) = name else {
        let mut services = stack.services.iter();
        return services
            .find(|service| service.role.is_interface())
            .ok_or_else(|| no_interface(stack));
    };
    let service = stack.named(name)?;
    if service.role.speaks_http() {
        Ok(service)
    } else {
        let service = name.to_owned();
        Err(OpenError::NoPage { service }.into())
    }
}

/// Why there is nothing to open.
fn no_interface(stack: &Stack) -> Failure {
    let mut left_out = stack.left_out.iter();
    match left_out.find(|service| service.role.is_interface()) {
        Some(service) => stack.no_service(service.name.as_str()).into(),
        None => match stack
            .optional
            .iter()
            .find(|(_, service)| service.role.is_interface())
        {
            Some((_, service)) => stack.no_service(service.name.as_str()).into(),
            None => OpenError::NoInterface.into(),
        },
    }
}

/// The commands that open an address, in the order in which they are tried: those of `BROWSER`, separated by colons,
/// else the desktop's, where there is one. Without any the address is only printed.
fn browsers() -> Vec<String> {
    let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(browsers) = set("BROWSER") {
        return browsers.split(':').map(str::to_owned).collect();
    }
    if cfg!(target_os = "macos") {
        return vec!["open".to_owned()];
    }
    let displays = ["DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"];
    let has_display = displays.into_iter().find_map(set).is_some();
    has_display.then(|| "xdg-open".to_owned()).into_iter().collect()
}

/// Hands the address to the first browser that takes it. The error is that of the last one.
async fn browse(url: &str) -> std::result::Result<(), String> {
    let mut opened = Ok(());
    for browser in browsers() {
        opened = browse_with(&browser, url).await;
        if opened.is_ok() {
            break;
        }
    }
    opened
}

async fn browse_with(browser: &str, url: &str) -> std::result::Result<(), String> {
    let mut words = browser.split_whitespace();
    let program = words.next().unwrap_or_default();
    let mut arguments: Vec<String> = words.map(|word| word.replace("%s", url)).collect();
    if !browser.contains("%s") {
        arguments.push(url.to_owned());
    }
    let opening = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match timeout(OPENER_LIMIT, opening).await {
        // A browser that stays in the foreground is open.
        Err(_) => Ok(()),
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("`{program}` ended with {status}")),
        Ok(Err(error)) => Err(format!("`{program}`: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::ServiceName;

    fn opened(stack: &Stack, name: Option<&str>) -> String {
        match interface(stack, name) {
            Ok(service) => service.name.to_string(),
            Err(failure) => failure.to_string(),
        }
    }

    #[test]
    fn the_interface_is_the_page_of_the_stack() {
        let (lite, confluent) = (Stack::lite().unwrap(), Stack::confluent().unwrap());
        assert_eq!(opened(&confluent, None), "control-center");
        assert_eq!(opened(&confluent, Some("schema-registry")), "schema-registry");
        assert_eq!(
            opened(&confluent, Some("broker")),
            "service `broker` has no page to look at"
        );
        let left_out = [ServiceName::new("control-center")].into();
        let without = confluent.without(&left_out).unwrap();
        assert_eq!(opened(&without, None), "service `control-center` is left out");
        assert_eq!(opened(&lite, None), "console");
        let without = lite.without(&[ServiceName::new("console")].into()).unwrap();
        assert_eq!(opened(&without, None), "service `console` is left out");
    }
}
