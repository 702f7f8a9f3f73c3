//! The error that ends a command, as text and as JSON: the cause first, then the evidence, then the hints.

use serde_json::{Value, json};

use crate::error::Failure;
use crate::settings::Colour;
use crate::stack::project::ProjectName;

/// The whole report of an error, several lines without the last line break.
pub(super) fn as_text(failure: &Failure, colour: Colour, project: Option<&ProjectName>) -> String {
    let (red, cyan, plain) = match colour {
        Colour::Always => ("\u{1b}[1;31m", "\u{1b}[1;36m", "\u{1b}[0m"),
        Colour::Never => ("", "", ""),
    };
    let diagnosis = failure.diagnosis();
    let mut text = format!("{red}error{plain}: {diagnosis}");
    for cause in causes(failure) {
        text.push_str("\n  caused by: ");
        text.push_str(&cause);
    }
    for line in diagnosis.details() {
        text.push_str("\n  ");
        text.push_str(&line);
    }
    for hint in diagnosis.hints() {
        text.push_str(&format!("\n{cyan}hint{plain}: {}", addressed(&hint, project)));
    }
    text
}

/// The same as a JSON object.
pub(super) fn as_json(failure: &Failure, project: Option<&ProjectName>) -> Value {
    let diagnosis = failure.diagnosis();
    let hints: Vec<String> = diagnosis
        .hints()
        .iter()
        .map(|hint| addressed(hint, project))
        .collect();
    json!({
        "event": "failed",
        "exit_code": diagnosis.exit_code() as u8,
        "error": diagnosis.to_string(),
        "causes": causes(failure),
        "details": diagnosis.details(),
        "hints": hints,
    })
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

/// The chain of causes, without those whose text the message above already carries.
fn causes(failure: &Failure) -> Vec<String> {
    let mut said = failure.diagnosis().to_string();
    let mut causes = Vec::new();
    let mut next = failure.diagnosis().source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !said.contains(&text) {
            said.clone_from(&text);
            causes.push(text);
        }
        next = cause.source();
    }
    causes
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
