//! `osqdemo scenario`: lists the scenarios, or runs one and verifies its result.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio::time::{Instant, interval};

use crate::cli::{BigfileArgs, ScenarioCommand};
use crate::commands::Context;
use crate::commands::project::{Project, ProjectHosts};
use crate::commands::request::unknown_service;
use crate::error::{Failure, Result};
use crate::events::{Failed, Note, SCHEMA_VERSION, Warning};
use crate::kafka::Publisher;
use crate::report::report_file::ReportFile;
use crate::report::scenario::scenario_text;
use crate::report::table::{output_width, table};
use crate::scenario::SCENARIOS;
use crate::scenario::bigfile::{self, Bigfile, Finished};
use crate::scenario::error::ScenarioError;
use crate::settings::{parse_duration, parse_size};
use crate::stack::{Endpoints, Role, Service, ServiceName, Stack};
use crate::state::{AtWork, ProjectFolder, ScenarioTurn};

/// How often to look whether a service that is being restarted is there.
const LOOK: Duration = Duration::from_millis(50);

/// How long a restart that another command is at may take.
const RESTARTED_WITHIN: Duration = Duration::from_secs(60);

/// Runs the verb.
///
/// # Errors
/// When the scenario cannot be run, or did not pass.
pub async fn run(context: Context, command: ScenarioCommand) -> Result<()> {
    match command {
        ScenarioCommand::List => list(&context),
        ScenarioCommand::Bigfile(arguments) => run_bigfile(context, &arguments).await,
    }
}

fn list(context: &Context) -> Result<()> {
    let document = json!({ "schema_version": SCHEMA_VERSION, "scenarios": SCENARIOS });
    context.reporter.data(&document, || {
        let rows: Vec<Vec<String>> = SCENARIOS
            .iter()
            .map(|scenario| vec![scenario.name.to_owned(), scenario.about.to_owned()])
            .collect();
        table(&["SCENARIO", "ABOUT"], &rows, output_width())
    })
}

async fn run_bigfile(context: Context, arguments: &BigfileArgs) -> Result<()> {
    let project = Project::open(&context)?;
    let bigfile = resolve(arguments, &project.stack)?;
    let report_files = arguments
        .report
        .iter()
        .map(|argument| ReportFile::open(argument))
        .collect::<std::result::Result<Vec<_>, _>>()?;
    let endpoints = endpoints(&context, &project.folder).await?;
    let hosts = ProjectHosts::of(&project);
    let turn = begin(&context, &project.folder, &hosts, &bigfile).await?;
    let is_published = arguments.publish || has_own_broker(&project.stack);
    let publisher = is_published
        .then(|| publisher(&context, &endpoints))
        .transpose()?;
    let running = bigfile::run(&bigfile, &endpoints, &hosts, &context.reporter, &context.shutdown);
    let Finished { report, failure } = Box::pin(running).await;
    drop(turn);
    context.reporter.part();
    if let Some(publisher) = publisher
        && let Err(error) = publisher.finish(&report).await
    {
        context.reporter.emit(Warning::Trouble {
            failure: Failed::of(&error),
        });
    }
    let shown = context
        .reporter
        .data(&report, || scenario_text(&report, output_width()));
    let written = report_files.into_iter().try_for_each(|file| file.write(&report));
    match (failure, written) {
        (None, Ok(())) => shown,
        (None, Err(error)) => Err(error.into()),
        (Some(failure), Ok(())) => Err(failure),
        // What the scenario found matters more than a full disk under its report.
        (Some(failure), Err(error)) => {
            context.reporter.emit(Warning::Trouble {
                failure: Failed::of(&error),
            });
            Err(failure)
        }
    }
}

/// Takes a turn beside the other scenarios; the first one removes what killed ones have left.
async fn begin(
    context: &Context,
    folder: &ProjectFolder,
    hosts: &ProjectHosts,
    bigfile: &Bigfile,
) -> Result<Option<ScenarioTurn>> {
    let cancel = context.shutdown.token();
    let beginning = async {
        let mut turn = ScenarioTurn::take(folder).await;
        if let Some(turn) = turn.as_mut().filter(|turn| turn.is_alone()) {
            // Why a host cannot do that, it cannot write either, and that is told.
            let removed = bigfile::remove_leftovers(bigfile, hosts)
                .await
                .unwrap_or_default();
            if !removed.is_empty() {
                let host = bigfile.host.clone();
                context
                    .reporter
                    .emit(Note::LeftoversRemoved { host, files: removed });
            }
            turn.share();
        }
        turn
    };
    tokio::select! {
        turn = beginning => Ok(turn),
        () = cancel.cancelled() => Err(context.shutdown.interrupted().into()),
    }
}

/// Where the clients find the platform. A service that is being restarted just now is waited for.
async fn endpoints(context: &Context, folder: &ProjectFolder) -> Result<Endpoints> {
    let mut look = interval(LOOK);
    let deadline = Instant::now() + RESTARTED_WITHIN;
    loop {
        look.tick().await;
        let is_restarted = AtWork::on(folder).is_some_and(|at_work| at_work.verb == "restart");
        match context.endpoints().await {
            Err(_) if is_restarted && Instant::now() < deadline => {}
            endpoints => return endpoints,
        }
        if context.shutdown.token().is_cancelled() {
            return Err(context.shutdown.interrupted().into());
        }
    }
}

/// Whether the broker is built from this repository, so that a topic of ours disturbs nobody.
fn has_own_broker(stack: &Stack) -> bool {
    stack
        .first(Role::Broker)
        .is_some_and(|broker| broker.native_command.is_some())
}

/// Writes what happens from now on to the topic of runs.
fn publisher(context: &Context, endpoints: &Endpoints) -> Result<Publisher> {
    let run = format!("{}-{}", Timestamp::now().as_millisecond(), std::process::id());
    let events = context.reporter.follow();
    Ok(Publisher::start(&endpoints.bootstrap_servers, run, events)?)
}

/// The host that writes the file, unless the user says otherwise: the second one, as in the original demo, else the
/// only one.
pub(super) fn usual_host(stack: &Stack) -> Option<&Service> {
    stack
        .with_role(Role::Host)
        .nth(1)
        .or_else(|| stack.first(Role::Host))
}

/// What the arguments mean, checked before anything runs.
fn resolve(arguments: &BigfileArgs, stack: &Stack) -> Result<Bigfile> {
    let size = parse_size(&arguments.size)?;
    if size == 0 {
        return Err(ScenarioError::ZeroSize.into());
    }
    let timeout = parse_duration(&arguments.timeout)?;
    let host = match &arguments.host {
        Some(name) => named_host(stack, name)?,
        None => usual_host(stack).ok_or_else(|| no_host(stack))?,
    };
    Ok(Bigfile {
        host: host.name.clone(),
        host_identifier: host.machine_name(),
        size,
        timeout,
    })
}

fn named_host<'a>(stack: &'a Stack, name: &str) -> Result<&'a Service> {
    let mut hosts = stack.with_role(Role::Host);
    if let Some(host) = hosts.find(|host| host.name.as_str() == name) {
        return Ok(host);
    }
    if stack.is_left_out(&ServiceName::new(name)) {
        return Err(unknown_service(stack, name).into());
    }
    let known = stack.with_role(Role::Host).map(|host| host.name.to_string());
    Err(ScenarioError::UnknownHost {
        host: name.to_owned(),
        known: known.collect(),
    }
    .into())
}

/// Why there is no host to write.
fn no_host(stack: &Stack) -> Failure {
    let mut left_out = stack.left_out.iter();
    match left_out.find(|service| service.role == Role::Host) {
        Some(host) => unknown_service(stack, host.name.as_str()).into(),
        None => ScenarioError::NoHost.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(host: &str, size: &str, timeout: &str) -> std::result::Result<Bigfile, String> {
        let arguments = BigfileArgs {
            size: size.to_owned(),
            host: Some(host.to_owned()),
            timeout: timeout.to_owned(),
            publish: false,
            report: Vec::new(),
        };
        let stack = Stack::lite().map_err(|error| error.to_string())?;
        resolve(&arguments, &stack).map_err(|failure| {
            let diagnosis = failure.diagnosis();
            format!(
                "{diagnosis} [{}] exit {}",
                diagnosis.hints().join(" "),
                diagnosis.exit_code() as u8
            )
        })
    }

    #[test]
    fn wrong_arguments_are_usage_errors() {
        let error = |host, size, timeout| resolved(host, size, timeout).unwrap_err();
        insta::assert_snapshot!(error("host3", "1G", "60s"), @"there is no host `host3` [the hosts are `host1`, `host2`] exit 2");
        insta::assert_snapshot!(error("broker", "1G", "60s"), @"there is no host `broker` [the hosts are `host1`, `host2`] exit 2");
        insta::assert_snapshot!(error("host2", "0", "60s"), @"the size of the file must be at least 1 byte [] exit 2");
        insta::assert_snapshot!(error("host2", "1X", "60s"), @"`1X` is not a size such as `4096`, `64M` or `1G` [] exit 2");
        insta::assert_snapshot!(error("host2", "1G", "soon"), @"`soon` is not a duration such as `500ms`, `30s`, `2m` or `1m30s` [] exit 2");
    }

    #[test]
    fn a_host_that_is_left_out_writes_nothing() {
        let stack = |left_out: &[&str]| {
            let left_out = left_out.iter().map(|name| ServiceName::new(*name)).collect();
            Stack::lite().unwrap().without(&left_out).unwrap()
        };
        let host = |stack: &Stack, host: Option<&str>| {
            let arguments = BigfileArgs {
                size: "1G".to_owned(),
                host: host.map(str::to_owned),
                timeout: "60s".to_owned(),
                publish: false,
                report: Vec::new(),
            };
            resolve(&arguments, stack)
                .map_or_else(|failure| failure.to_string(), |bigfile| bigfile.host.to_string())
        };
        assert_eq!(host(&stack(&[]), None), "host2");
        assert_eq!(host(&stack(&["host2"]), None), "host1");
        assert_eq!(
            host(&stack(&["host2"]), Some("host2")),
            "service `host2` is left out"
        );
        assert_eq!(
            host(&stack(&["host1", "host2"]), None),
            "service `host1` is left out"
        );
    }

    #[test]
    fn right_arguments_are_understood() {
        let bigfile = resolved("host2", "64M", "90s").unwrap();
        assert_eq!(bigfile.size, 64 << 20);
        assert_eq!(bigfile.host_identifier, "host2");
    }
}
