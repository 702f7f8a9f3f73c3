//! A wrong command line as an error like any other, for those who read lines of JSON.

use std::ffi::{OsStr, OsString};
use std::fmt;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches};

use crate::cli::{Cli, handed_down};
use crate::error::Diagnose;
use crate::exit_code::ExitCode;

/// The command line is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageError {
    message: String,
    details: Vec<String>,
    hints: Vec<String>,
}

impl UsageError {
    /// What clap says, taken apart: its first paragraph is the error, its tips are hints.
    pub fn of(error: &clap::Error) -> Self {
        if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            return Self {
                message: "a command is missing".to_owned(),
                details: Vec::new(),
                hints: vec!["`--help` lists the commands".to_owned()],
            };
        }
        let text = error.render().to_string();
        let mut paragraphs = text.split("\n\n").map(one_line);
        let message = paragraphs.next().unwrap_or_default();
        let mut usage = Self {
            message: message.strip_prefix("error: ").unwrap_or(&message).to_owned(),
            details: Vec::new(),
            hints: Vec::new(),
        };
        for paragraph in paragraphs.filter(|paragraph| !paragraph.is_empty()) {
            match paragraph.strip_prefix("tip: ") {
                Some(tip) => usage.hints.push(tip.to_owned()),
                None if paragraph.starts_with("For more information") => {
                    usage.hints.push("`--help` tells more".to_owned());
                }
                None => usage.details.push(paragraph),
            }
        }
        usage
    }
}

impl Cli {
    /// Reads the command line of this process.
    ///
    /// # Errors
    /// What clap says when it is wrong, or asks for help only.
    pub fn read() -> Result<Self, clap::Error> {
        let command = handed_down(Self::command());
        let matches = command.try_get_matches().map_err(without_hidden)?;
        Self::from_arg_matches(&matches).map_err(without_hidden)
    }
}

/// The same error without the verbs that only osqdemo itself uses: nobody is to be led to them.
fn without_hidden(mut error: clap::Error) -> clap::Error {
    let root = Cli::command();
    let is_hidden = |name: &String| root.find_subcommand(name).is_some_and(clap::Command::is_hide_set);
    for kind in [ContextKind::ValidSubcommand, ContextKind::SuggestedSubcommand] {
        if let Some(ContextValue::Strings(mut names)) = error.remove(kind) {
            names.retain(|name| !is_hidden(name));
            if !names.is_empty() {
                error.insert(kind, ContextValue::Strings(names));
            }
        }
    }
    error
}

fn one_line(paragraph: &str) -> String {
    paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl fmt::Display for UsageError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for UsageError {}

impl Diagnose for UsageError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }

    fn hints(&self) -> Vec<String> {
        self.hints.clone()
    }

    fn details(&self) -> Vec<String> {
        self.details.clone()
    }
}

/// Whether arguments that cannot be read ask for lines of JSON: `--json` before a `--`.
pub fn asks_for_json(arguments: impl IntoIterator<Item = OsString>) -> bool {
    arguments
        .into_iter()
        .take_while(|argument| argument != OsStr::new("--"))
        .any(|argument| argument == OsStr::new("--json"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use proptest::prelude::*;

    use super::*;

    fn told(line: &str) -> UsageError {
        let words = line.split(' ').map(str::to_owned);
        let error = Cli::try_parse_from(std::iter::once("osqdemo".to_owned()).chain(words));
        UsageError::of(&without_hidden(error.expect_err("it is wrong")))
    }

    #[test]
    fn verbs_that_only_osqdemo_itself_uses_are_not_told() {
        let missing = told("--project x").message;
        assert!(
            missing.contains("[subcommands: up, build, ") && missing.contains(" man, help]"),
            "{missing}"
        );
        assert_eq!(
            told("supervise-it").hints,
            [
                "some similar subcommands exist: 'up', 'users', 'serve'",
                "`--help` tells more"
            ]
        );
        assert_eq!(
            told("prob").hints,
            ["a similar subcommand exists: 'projects'", "`--help` tells more"]
        );
    }

    #[test]
    fn what_is_wrong_comes_before_how_it_is_right() {
        let error = told("up --prot x=1");
        assert_eq!(error.message, "unexpected argument '--prot' found");
        assert_eq!(
            error.hints,
            ["a similar argument exists: '--port'", "`--help` tells more"]
        );
        assert!(error.details[0].starts_with("Usage: osqdemo up"), "{error:?}");
        assert_eq!(
            told("tail").message,
            "the following required arguments were not provided: <TOPIC>"
        );
        assert_eq!(told("scenario").message, "a command is missing");
    }

    #[test]
    fn what_comes_after_two_dashes_asks_for_nothing() {
        let asks = |line: &str| asks_for_json(line.split(' ').map(OsString::from));
        assert!(asks("osqdemo up --frob --json"));
        assert!(!asks("osqdemo exec host1 -- jq --json"));
        assert!(!asks("osqdemo up --jsonl"));
    }

    proptest! {
        #[test]
        fn any_wrong_line_is_told(words in prop::collection::vec("(up|tail|--[a-z]{1,4}|\\PC{0,6})", 0..5)) {
            if let Err(error) = Cli::try_parse_from(std::iter::once("osqdemo".to_owned()).chain(words))
                && error.use_stderr()
            {
                prop_assert!(!UsageError::of(&error).message.is_empty());
            }
        }
    }
}
