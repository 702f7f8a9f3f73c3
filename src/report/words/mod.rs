//! The sentences: how an event is told to people, on a terminal and in plain lines. Knows nothing of where the text
//! goes; programs get the events themselves.

mod notice;
mod step;

pub(super) use notice::{detail, note, warning};
pub(super) use step::{doing, ending, finished, news, part};

use crate::events::Failed;
use crate::report::printable::printable_line;
use crate::settings::Colour;
use crate::stack::project::ProjectName;

/// The whole report of a failure, several lines without the last line break: the cause first, then the evidence, then
/// the hints.
pub(super) fn failure(failed: &Failed, colour: Colour) -> String {
    let (red, cyan, plain) = match colour {
        Colour::Always => ("\u{1b}[1;31m", "\u{1b}[1;36m", "\u{1b}[0m"),
        Colour::Never => ("", "", ""),
    };
    let Failed {
        error,
        causes,
        details,
        hints,
        ..
    } = failed;
    let mut text = format!("{red}error{plain}: {}", harmless(error));
    for cause in causes {
        text.push_str("\n  caused by: ");
        text.push_str(&harmless(cause));
    }
    for line in details {
        text.push_str("\n  ");
        text.push_str(&harmless(line));
    }
    for hint in hints {
        text.push_str(&format!("\n{cyan}hint{plain}: {}", harmless(hint)));
    }
    text
}

/// What others wrote stands in failures, too: nothing of it may steer the terminal.
fn harmless(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(printable_line).collect();
    lines.join("\n")
}

/// Advice whose commands, `` `osqdemo …` ``, reach the project that was asked for. A command that names a
/// project itself stays as it is.
pub(super) fn addressed(advice: &str, project: Option<&ProjectName>) -> String {
    const COMMAND: &str = "`osqdemo ";
    let Some(project) = project.filter(|project| **project != ProjectName::default()) else {
        return advice.to_owned();
    };
    let mut parts = advice.split(COMMAND);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for rest in parts {
        text.push_str(COMMAND);
        if !rest.starts_with("-p ") && !rest.starts_with("--project ") {
            text.push_str(&format!("-p {project} "));
        }
        text.push_str(rest);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_names_a_project_that_is_not_the_default_one() {
        let advice = "start it with `osqdemo up`, or see `osqdemo ps`";
        let other: ProjectName = "other".parse().unwrap();
        assert_eq!(
            addressed(advice, Some(&other)),
            "start it with `osqdemo -p other up`, or see `osqdemo -p other ps`"
        );
        assert_eq!(addressed(advice, Some(&ProjectName::default())), advice);
        assert_eq!(addressed(advice, None), advice);
        let third = "`osqdemo --project third down` stops it";
        assert_eq!(addressed(third, Some(&other)), third);
    }
}
