//! `osqdemo scenario`: lists the scenarios, or runs one and verifies its result.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio::time::{Instant, interval};

use crate::cli::ScenarioCommand;
use crate::commands::Context;
use crate::commands::project::{Project, ProjectHosts};
use crate::error::{Failure, Result};
use crate::events::{Failed, Note, SCHEMA_VERSION, Warning};
use crate::kafka::Publisher;
use crate::report::output_size::output_width;
use crate::report::report_file::ReportFile;
use crate::report::scenario_text::scenario_text;
use crate::report::table::table;
use crate::scenario::bigfile::{self, Bigfile, Finished};
use crate::scenario::error::ScenarioError;
use crate::scenario::observation::{OPEN_FILES, PROCESSES};
use crate::scenario::{SCENARIOS, restarts};
use crate::settings::{ScenarioSettings, Setting};
use crate::stack::{Endpoints, Role, Service, ServiceName, Stack};
use crate::state::{AtWork, ProjectFolder, ScenarioTurn};

/// How often to look whether a service that is being restarted is there.
const LOOK: Duration = Duration::from_millis(50);

/// How long a restart that another command is at may take.
const RESTARTED_WITHIN: Duration = Duration::from_secs(60);

/// Fails when the scenario cannot be run, or did not pass.
pub(super) async fn run(context: Context, command: ScenarioCommand) -> Result<()> {
    match command {
        ScenarioCommand::List => list(&context),
        ScenarioCommand::Bigfile(arguments) => {
            let settings = ScenarioSettings::resolve(&arguments, &context.settings)?;
            run_bigfile(context, settings).await
        }
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

/// Runs the scenario with what is settled already.
///
/// # Errors
/// As [`run`].
pub(super) async fn run_bigfile(context: Context, settings: ScenarioSettings) -> Result<()> {
    let project = Project::open(&context)?;
    let bigfile = bigfile_on(&project.stack, &settings)?;
    if let Some(config) = &project.remembered.host_config
        && let Some(topic) = config.unfilled(&[PROCESSES, OPEN_FILES])
    {
        return Err(ScenarioError::NoQuery {
            topic: topic.to_owned(),
            config: config.path.clone(),
        }
        .into());
    }
    let report_files = settings
        .reports
        .into_iter()
        .map(ReportFile::open)
        .collect::<std::result::Result<Vec<_>, _>>()?;
    let endpoints = endpoints(&context, &project.folder).await?;
    let hosts = ProjectHosts::of(&project);
    let before = project.engine.observe().await?;
    let turn = begin(&context, &project.folder, &hosts, &bigfile).await?;
    let is_published = settings.publish || has_own_broker(&project.stack);
    let publisher = is_published
        .then(|| publisher(&context, &endpoints))
        .transpose()?;
    let running = bigfile::run(&bigfile, &endpoints, &hosts, &context.reporter, &context.shutdown);
    let Finished { mut report, failure } = Box::pin(running).await;
    drop(turn);
    // What cannot be seen any more is no reason to have no report.
    if let Ok(after) = project.engine.observe().await {
        report.restarts = restarts::between(&before, &after);
    }
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
    Ok(Publisher::start(&endpoints.kafka, run, events)?)
}

/// What the settings mean on a stack, checked before anything runs.
pub(super) fn bigfile_on(stack: &Stack, settings: &ScenarioSettings) -> Result<Bigfile> {
    let host = match &settings.host {
        Some(name) => named_host(stack, name)?,
        None => stack.usual_host().ok_or_else(|| no_host(stack))?,
    };
    Ok(Bigfile {
        host: host.name.clone(),
        host_identifier: host.machine_name(),
        size: settings.size.value,
        timeout: settings.timeout.value,
    })
}

fn named_host<'a>(stack: &'a Stack, host: &Setting<String>) -> Result<&'a Service> {
    let name = host.as_str();
    let mut hosts = stack.with_role(Role::Host);
    if let Some(host) = hosts.find(|host| host.name.as_str() == name) {
        return Ok(host);
    }
    if stack.is_left_out(&ServiceName::new(name)) {
        return Err(stack.no_service(name).into());
    }
    let known = stack.with_role(Role::Host).map(|host| host.name.to_string());
    Err(ScenarioError::UnknownHost {
        host: name.to_owned(),
        known: known.collect(),
        from: host.source.hint(&format!("`{name}`")),
    }
    .into())
}

/// Why there is no host to write.
fn no_host(stack: &Stack) -> Failure {
    let mut left_out = stack.left_out.iter();
    match left_out.find(|service| service.role == Role::Host) {
        Some(host) => stack.no_service(host.name.as_str()).into(),
        None => ScenarioError::NoHost.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::BigfileArgs;
    use crate::settings::Settings;

    fn on(stack: &Stack, host: Option<&str>) -> std::result::Result<Bigfile, Failure> {
        let arguments = BigfileArgs {
            host: host.map(str::to_owned),
            ..BigfileArgs::default()
        };
        let settings = ScenarioSettings::resolve(&arguments, &Settings::silent("/home".into()))?;
        bigfile_on(stack, &settings)
    }

    #[test]
    fn a_host_that_is_none_is_a_usage_error() {
        let stack = Stack::lite().unwrap();
        let error = |host| {
            let failure = on(&stack, Some(host)).unwrap_err();
            let diagnosis = failure.diagnosis();
            let (hints, code) = (diagnosis.hints().join(" "), diagnosis.exit_code() as u8);
            format!("{diagnosis} [{hints}] exit {code}")
        };
        insta::assert_snapshot!(error("host3"), @"there is no host `host3` [the hosts are `host1`, `host2`] exit 2");
        insta::assert_snapshot!(error("broker"), @"there is no host `broker` [the hosts are `host1`, `host2`] exit 2");
    }

    #[test]
    fn a_host_that_is_left_out_writes_nothing() {
        let stack = |left_out: &[&str]| {
            let left_out = left_out.iter().map(|name| ServiceName::new(*name)).collect();
            Stack::lite().unwrap().without(&left_out).unwrap()
        };
        let host = |stack: &Stack, host: Option<&str>| match on(stack, host) {
            Ok(bigfile) => bigfile.host.to_string(),
            Err(failure) => failure.to_string(),
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
    fn what_nobody_says_is_as_usual() {
        let bigfile = on(&Stack::lite().unwrap(), Some("host1")).unwrap();
        assert_eq!((bigfile.size, bigfile.timeout.as_secs()), (1 << 30, 60));
        assert_eq!(bigfile.host_identifier, "host1");
    }
}
