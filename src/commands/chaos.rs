//! `osqdemo chaos`: brings the stack up where it is not, does faults to it while its hosts work, and proves that nothing
//! is lost. A stack that it brought up it takes down again, unless there is something to look at.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::chaos::clocks;
use crate::chaos::error::ChaosError;
use crate::chaos::fault::{self, FaultKind, Round, Target};
use crate::chaos::report::{ChaosReport, Verdict};
use crate::chaos::run::{self, Course, Ground, Links, Upgraded};
use crate::chaos::work::Worker;
use crate::cli::{ChaosArgs, DownArgs};
use crate::commands::project::{Project, ProjectHosts, Request, linked};
use crate::commands::{CommandError, Context, down, up};
use crate::error::{Failure, Result};
use crate::events::{Failed, Note, Warning};
use crate::host_config::{self, LineFormat};
use crate::link::insertion::{self, Linked};
use crate::plan::ServiceSpec;
use crate::report::chaos_text::chaos_text;
use crate::report::output_size::output_width;
use crate::report::report_file::ReportFile;
use crate::settings::{ChaosSettings, OnFailure, UpSettings};
use crate::stack::{Role, ServiceName, Stack};
use crate::state::{ProjectFolder, ProjectLock, write_atomically};

/// How long another build may take to say its version.
const VERSION_WITHIN: Duration = Duration::from_secs(20);

/// What a project was before the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// There was none.
    Nothing,
    /// Its data was there.
    Stopped,
    /// It ran.
    Running,
}

/// Fails when the faults cannot be done, or were not stood.
pub(super) async fn run(context: Context, arguments: ChaosArgs) -> Result<()> {
    let project = Project::open(&context)?;
    let settings = ChaosSettings::resolve(&arguments, &context.settings, &project.remembered)?;
    let stack = &settings.run.target.stack;
    check_roles(&stack.stack, &stack.choice.to_string())?;
    if let Some(given) = &settings.given {
        check_targets(&stack.stack, given)?;
    }
    if let Some(build) = &settings.to {
        check_build(build).await?;
    }
    let format = settings.run.format.value;
    if format != LineFormat::Json {
        return Err(ChaosError::LineFormat { format }.into());
    }
    let reports = settings
        .reports
        .iter()
        .cloned()
        .map(ReportFile::open)
        .collect::<std::result::Result<Vec<_>, _>>()?;
    let before = before(&project).await?;
    let start = UpSettings {
        run: settings.run.clone(),
        on_failure: OnFailure::TakeBack,
    };
    Box::pin(up::as_settled(context.clone(), start)).await?;
    let folder = ProjectFolder::new(&context.settings.home, &context.settings.project);
    let done = {
        let _lock = ProjectLock::take(&folder, "chaos")?;
        Box::pin(under_faults(&context, &settings)).await
    };
    let verdict = match done {
        Ok(report) => tell(&context, &folder, reports, &report),
        Err(failure) => Err(failure),
    };
    match (&verdict, before) {
        (_, Before::Running) => {}
        (Err(_), _) if !context.shutdown.token().is_cancelled() => context.reporter.emit(Note::LeftForALook),
        (_, before) => {
            let arguments = DownArgs {
                volumes: before == Before::Nothing,
                images: false,
                all: false,
            };
            let ended = Box::pin(down::run(context.clone(), arguments)).await;
            return verdict.and(ended);
        }
    }
    verdict
}

async fn before(project: &Project) -> Result<Before> {
    // What runs may have lost its folder.
    if project.engine.observe().await?.is_running() {
        return Ok(Before::Running);
    }
    Ok(if project.folder.exists()? {
        Before::Stopped
    } else {
        Before::Nothing
    })
}

/// The work and the proof need lines, a broker and rows.
fn check_roles(stack: &Stack, name: &str) -> std::result::Result<(), CommandError> {
    for role in [Role::Broker, Role::Ksqldb, Role::Host] {
        let is_outside = role == Role::Broker && stack.kafka.is_some();
        if stack.first(role).is_none() && !is_outside {
            return Err(CommandError::NoRole {
                stack: name.to_owned(),
                role,
            });
        }
    }
    Ok(())
}

fn check_targets(stack: &Stack, rounds: &[Round]) -> std::result::Result<(), ChaosError> {
    let known: BTreeSet<_> = fault::targets(stack).into_iter().collect();
    match rounds.iter().find(|round| !known.contains(&round.target)) {
        Some(round) => Err(ChaosError::UnknownTarget {
            target: round.target.clone(),
        }),
        None => Ok(()),
    }
}

async fn under_faults(context: &Context, settings: &ChaosSettings) -> Result<ChaosReport> {
    let project = Project::open(context)?;
    let resolved = project.resolve(&Request::as_it_is(&project)?).await?;
    let upgraded = match &settings.to {
        Some(build) => Some(upgraded(context, build).await?),
        None => None,
    };
    let (kinds, links) = links(&project, settings, &resolved.desired).await?;
    let has_clocks = kinds.contains(&FaultKind::Clock);
    let during = |desired: Vec<ServiceSpec>| match has_clocks {
        true => clocks::give(&desired, &project.folder),
        false => desired,
    };
    // Whoever is upgraded stays behind its link.
    let upgraded = upgraded.map(|upgraded| Upgraded {
        desired: during(
            links
                .as_ref()
                .and_then(|links| Some(links.linked.before(&upgraded.desired)?.desired))
                .unwrap_or(upgraded.desired),
        ),
        engine: upgraded.engine,
    });
    let hosts = ProjectHosts::of(&project);
    let workers = project.stack.with_role(Role::Host).map(|host| Worker {
        service: host.name.clone(),
        identifier: host.machine_name(),
    });
    let ground = Ground {
        stack: &project.stack,
        engine: resolved.engine,
        kind: project.kind,
        prober: resolved.prober,
        desired: during(match &links {
            Some(links) => links.linked.desired.clone(),
            None => resolved.desired.clone(),
        }),
        without: (links.is_some() || has_clocks).then_some(resolved.desired),
        links,
        endpoints: context.endpoints().await?,
        hosts: &hosts,
        workers: workers.collect(),
        topics: host_config::topics(project.remembered.host_config.as_ref()),
        upgraded,
        folder: project.folder.clone(),
        events: &context.reporter,
        shutdown: &context.shutdown,
    };
    let course = Course {
        seed: settings.seed,
        kinds,
        given: settings.given.clone(),
        most: settings.most,
        lasting: settings.lasting,
    };
    run::run(&ground, &course).await
}

/// The sorts of faults that are done, and the links that they take. What is not asked for by name is left out where there
/// is nothing to do it to.
async fn links(
    project: &Project,
    settings: &ChaosSettings,
    desired: &[ServiceSpec],
) -> Result<(Vec<FaultKind>, Option<Links>)> {
    let mut kinds = settings.kinds.clone();
    let Some(&kind) = kinds.iter().find(|kind| kind.takes_a_link(project.kind)) else {
        return Ok((kinds, None));
    };
    let observed = project.engine.observe().await?;
    let services = insertion::with_a_way(desired);
    let linked = linked(&project.folder, desired, &observed, &services)?;
    let (linked, ports) = linked.unzip();
    let has_a_way = |linked: &Linked, service: &ServiceName| {
        *service == linked.broker || linked.links.contains_key(service)
    };
    let mut all = project.stack.services.iter().map(|service| &service.name);
    let missing = match &linked {
        Some(linked) => all.find(|service| !has_a_way(linked, service)).map(Some),
        None => Some(None),
    };
    match (missing, linked) {
        (None, Some(linked)) => Ok((
            kinds,
            Some(Links {
                linked,
                ports: ports.unwrap_or_default(),
            }),
        )),
        (missing, _) if settings.is_chosen => Err(ChaosError::NoWay {
            kind,
            target: missing.flatten().map(Target::whole),
        }
        .into()),
        _ => {
            kinds.retain(|kind| !kind.takes_a_link(project.kind));
            Ok((kinds, None))
        }
    }
}

/// How the services are run by another build of osqdemo.
async fn upgraded(context: &Context, build: &Path) -> Result<Upgraded> {
    let build = std::path::absolute(build).unwrap_or_else(|_| build.to_owned());
    let mut project = Project::open(context)?;
    project.other_build = Some(build);
    let resolved = project.resolve(&Request::as_it_is(&project)?).await?;
    Ok(Upgraded {
        engine: resolved.engine,
        desired: resolved.desired,
    })
}

/// Whether it is one.
async fn check_build(build: &Path) -> std::result::Result<(), ChaosError> {
    let failed = |reason: String| ChaosError::NotABuild {
        path: build.to_owned(),
        reason,
    };
    let asking = Command::new(std::path::absolute(build).unwrap_or_else(|_| build.to_owned()))
        .arg("--version")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let answer = timeout(VERSION_WITHIN, asking)
        .await
        .map_err(|_| failed("it does not say its version".to_owned()))?
        .map_err(|error| failed(error.to_string()))?;
    if answer.status.success() && answer.stdout.starts_with(b"osqdemo ") {
        Ok(())
    } else {
        Err(failed("it does not say its version".to_owned()))
    }
}

/// Shows and writes the report; an error where the faults were not stood.
fn tell(
    context: &Context,
    folder: &ProjectFolder,
    reports: Vec<ReportFile>,
    report: &ChaosReport,
) -> Result<()> {
    let shown = context
        .reporter
        .data(report, || chaos_text(report, output_width()));
    let written: Result<()> = reports
        .into_iter()
        .try_for_each(|file| file.write_chaos(report))
        .map_err(Failure::from);
    let failure: Failure = match report.verdict {
        Verdict::Passed => return shown.and(written),
        Verdict::Interrupted => context.shutdown.interrupted().into(),
        Verdict::Failed => failed(report, keep(folder, report)?).into(),
    };
    // What was found matters more than a full disk under its report.
    if let Err(trouble) = written {
        context.reporter.emit(Warning::Trouble {
            failure: Failed::of(trouble.diagnosis()),
        });
    }
    Err(failure)
}

/// Keeps the list of faults with the project.
fn keep(folder: &ProjectFolder, report: &ChaosReport) -> Result<PathBuf> {
    let path = folder.root().join("chaos.json");
    let text = serde_json::to_vec_pretty(report).map_err(|error| ChaosError::NotKept {
        path: path.clone(),
        source: error.into(),
    })?;
    write_atomically(&path, &text)?;
    Ok(path)
}

fn failed(report: &ChaosReport, file: PathBuf) -> ChaosError {
    // A finding from before the first fault shows with one as well.
    let prefix = report.smallest_prefix.unwrap_or(1);
    let faults = report.rounds.iter().filter(|round| round.number <= prefix);
    ChaosError::Failed {
        findings: report.findings_in_all,
        first: report
            .findings
            .first()
            .map(|finding| format!("{}: {}", finding.kind.words(), finding.what))
            .unwrap_or_default(),
        seed: report.seed,
        faults: faults.map(Round::to_string).collect(),
        prefix,
        file,
        is_late: report.findings.iter().all(|finding| finding.kind.is_late()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::check::{Finding, FindingKind};
    use crate::chaos::fault::Draw;
    use crate::error::Diagnose;

    #[test]
    fn a_stack_without_the_roles_is_not_put_under_faults() {
        let lite = Stack::lite().unwrap();
        assert!(check_roles(&lite, "lite").is_ok());
        for (left_out, role) in [("ksqldb-server", Role::Ksqldb), ("broker", Role::Broker)] {
            let mut stack = lite.clone();
            stack.services.retain(|service| service.name.as_str() != left_out);
            let error = check_roles(&stack, "lite").unwrap_err();
            assert_eq!(error.exit_code() as u8, 16);
            assert_eq!(error.to_string(), format!("stack `lite` has no {role}"));
        }
    }

    #[test]
    fn a_list_for_another_stack_is_refused() {
        let lite = Stack::lite().unwrap();
        let rounds: Vec<Round> = Draw::new(3, &FaultKind::ALL, &lite).take(200).collect();
        assert!(check_targets(&lite, &rounds).is_ok());
        let mut stack = lite;
        stack
            .services
            .retain(|service| service.name.as_str() != "console");
        let error = check_targets(&stack, &rounds).unwrap_err();
        assert_eq!(error.exit_code() as u8, 2);
        assert!(
            error.to_string().starts_with("the stack has no `console`"),
            "{error}"
        );
    }

    #[test]
    fn a_failure_names_the_seed_the_faults_and_the_smallest_prefix() {
        let mut report = crate::report::chaos_text::tests::failed();
        let error = failed(&report, "/p/chaos.json".into());
        assert_eq!(error.exit_code() as u8, 20);
        insta::assert_snapshot!(
            format!("{error}\n{}\nhint: {}", error.details().join("\n"), error.hints().join("\n")),
            @r"
        the faults were not stood: line lost: lines 7 to 8 of host1 (spool 0a) are in no topic, and 2 more
        seed 7; the faults up to where it showed:
        1. kill broker
        hint: the same again: `osqdemo chaos --replay /p/chaos.json --rounds 1`
        "
        );
        for kind in FindingKind::ALL {
            report.findings = vec![Finding {
                kind,
                what: String::new(),
                time_ms: 0,
                round: Some(1),
            }];
            let is_late = matches!(kind, FindingKind::NotRecovered | FindingKind::WorkUnseen);
            let code = if is_late { 21 } else { 20 };
            assert_eq!(
                failed(&report, PathBuf::new()).exit_code() as u8,
                code,
                "{kind:?}"
            );
        }
    }
}
