//! The sentences about steps.

use std::time::Duration;

use crate::events::{Doing, Ending, Evidence, LayerCount, News, Outcome, PartNews, Stage, Step};
use crate::report::duration;
use crate::scenario::error::bytes;

/// What a step does, such as `starting (not running)`.
pub(in crate::report) fn doing(step: &Step, doing: &Doing) -> String {
    match doing {
        Doing::Starting { cause } => format!("starting ({cause})"),
        Doing::Stopping { cause: Some(cause) } => format!("stopping ({cause})"),
        Doing::Stopping { cause: None } => "stopping".to_owned(),
        Doing::Removing { cause } => format!("removing ({cause})"),
        Doing::EndingLeftover { cause } => format!("ending ({cause})"),
        Doing::AwaitingHealth => "waiting".to_owned(),
        Doing::Building { cause } => format!("building ({cause})"),
        Doing::Pulling { cause } => format!("pulling ({cause})"),
        Doing::Looking => "looking".to_owned(),
        Doing::Saving { images } => format!("writing {images} images"),
        Doing::Loading => "reading".to_owned(),
        Doing::AwaitingAnswer { server } => format!("ksqlDB at {server} works on it"),
        Doing::AwaitingStage => match step {
            Step::Stage(stage) => awaiting(*stage).to_owned(),
            _ => "waiting".to_owned(),
        },
    }
}

/// What a stage that is not complete waits for.
fn awaiting(stage: Stage) -> &'static str {
    match stage {
        Stage::WriteStarted => "starting the process",
        Stage::OsqueryLine => "waiting until osquery has seen the process and its file",
        Stage::Topic => "waiting for osquery's lines in their topics",
        Stage::Stream => "waiting for the rows of ksqlDB's streams",
        Stage::JoinedRow => "waiting for a row of the original's join",
        Stage::PreciseRow => "waiting for a row of the precise join",
        Stage::FileSize => "waiting until the file is written",
    }
}

/// How far a step is.
pub(in crate::report) fn news(news: &News) -> String {
    match news {
        News::Answer { answer, .. } => answer.clone(),
        News::Queued => "waiting for other images".to_owned(),
        News::Layers(count) => layers(count),
        News::Retrying { fault, answer, pause } => {
            format!("{fault} ({answer}); trying again in {}", duration(*pause))
        }
        News::BuilderLine { line } => line.clone(),
        News::Written { bytes } => format!("{} MiB", bytes >> 20),
    }
}

fn layers(count: &LayerCount) -> String {
    match (count.layers, count.bytes) {
        (0, _) => "asking the registry".to_owned(),
        (layers, None) => format!("{} of {layers} layers", count.done),
        (layers, Some(bytes)) => format!(
            "{} of {layers} layers, {} of {}",
            count.done,
            megabytes(bytes.current),
            megabytes(bytes.total)
        ),
    }
}

fn megabytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) >> 20;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// The name of a part of a step, and what it does.
pub(in crate::report) fn part(news: &PartNews) -> (String, String) {
    (format!("layer {}", news.layer), news.status.to_lowercase())
}

/// The line of a finished step: `broker: healthy (85 ms)`.
pub(in crate::report) fn finished(
    step: &Step,
    outcome: Outcome,
    ending: &Ending,
    elapsed: Duration,
) -> String {
    let text = self::ending(ending);
    match outcome {
        Outcome::Done => format!("{step}: {text} ({})", duration(elapsed)),
        Outcome::Unchanged => format!("{step}: {text}"),
        Outcome::Failed => {
            // An error names its object, which stands before the colon already.
            let text = text.strip_prefix(&format!("{step} ")).unwrap_or(&text);
            format!("{step}: failed: {text} ({})", duration(elapsed))
        }
    }
}

/// What came of a step.
pub(in crate::report) fn ending(ending: &Ending) -> String {
    match ending {
        Ending::Healthy => "healthy".to_owned(),
        Ending::Stopped => "stopped".to_owned(),
        Ending::NotStopped => "not stopped".to_owned(),
        Ending::Removed => "removed".to_owned(),
        Ending::LeftoverEnded => "ended".to_owned(),
        Ending::GivenUp => "not waited for any longer".to_owned(),
        Ending::Ready => "ready".to_owned(),
        Ending::NotMade => "not made".to_owned(),
        Ending::OnThisMachine => "on this machine".to_owned(),
        Ending::Pulled => "pulled".to_owned(),
        Ending::Transferred => "done".to_owned(),
        Ending::Executed { message, .. } => message.as_deref().unwrap_or("done").to_owned(),
        Ending::AlreadyThere => "already there".to_owned(),
        Ending::Answered => "answered".to_owned(),
        Ending::Refused { message, .. } => message.lines().next().unwrap_or_default().to_owned(),
        Ending::Reached { evidence, .. } => seen(evidence),
        Ending::Failed { failure } => failure.error.clone(),
    }
}

fn seen(evidence: &Evidence) -> String {
    match evidence {
        Evidence::Write {
            host,
            file,
            bytes: size,
        } => format!(
            "{} of random bytes into `{}` on {host}",
            bytes(*size),
            file.display()
        ),
        Evidence::Records { sources } => sources
            .iter()
            .map(|part| format!("{} {}", part.source, part.count))
            .collect::<Vec<_>>()
            .join(", "),
        Evidence::Row { host, proc, file } => format!("{host} {proc} {file}"),
        Evidence::File { bytes: size } => format!("{} as expected", bytes(*size)),
    }
}
