//! How to talk to the user: text or JSON, how much of it, with colours and in place or not.

use std::env;
use std::ffi::OsString;
use std::io::{IsTerminal, stderr, stdout};

use crate::cli::GlobalArgs;

/// How to talk to the user.
#[derive(Debug, Clone, Copy)]
pub struct OutputSettings {
    /// Text or JSON lines.
    pub format: Format,
    /// How much to say.
    pub verbosity: Verbosity,
    /// Whether progress and errors may carry colours.
    pub colour: Colour,
    /// Whether data on standard output may carry colours.
    pub data_colour: Colour,
    /// Whether progress is shown on a terminal, where lines can change in place.
    pub progress_on_terminal: bool,
}

/// The form of data and progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// How much to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Errors only.
    Quiet,
    /// What happens.
    Normal,
    /// Why, too.
    Verbose,
    /// Everything.
    Debug,
}

/// Whether to write colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Escape sequences.
    Always,
    /// Plain text.
    Never,
}

/// Where the output goes.
#[derive(Debug, Clone, Copy)]
struct Terminals {
    stdout: bool,
    stderr: bool,
}

impl OutputSettings {
    /// Resolves how to talk to the user; needed before anything that can fail.
    pub fn resolve(arguments: &GlobalArgs) -> Self {
        let terminals = Terminals {
            stdout: stdout().is_terminal(),
            stderr: stderr().is_terminal(),
        };
        Self::of(arguments, &|name| env::var_os(name), terminals)
    }

    fn of(arguments: &GlobalArgs, variable: &dyn Fn(&str) -> Option<OsString>, terminals: Terminals) -> Self {
        // <https://no-color.org>: any value but an empty one.
        let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
        let is_dumb = variable("TERM").is_some_and(|term| term == "dumb");
        // A log that a CI service keeps is no screen, also where the service has a terminal.
        let is_ci = is_set("CI") && variable("CI").is_none_or(|value| value != "false");
        let colour = |is_terminal: bool| {
            if is_terminal && !is_dumb && !is_set("NO_COLOR") {
                Colour::Always
            } else {
                Colour::Never
            }
        };
        Self {
            format: if arguments.json {
                Format::Json
            } else {
                Format::Text
            },
            verbosity: match (arguments.quiet, arguments.verbose) {
                (true, _) => Verbosity::Quiet,
                (false, 0) => Verbosity::Normal,
                (false, 1) => Verbosity::Verbose,
                (false, _) => Verbosity::Debug,
            },
            colour: colour(terminals.stderr),
            data_colour: colour(terminals.stdout),
            progress_on_terminal: terminals.stderr && !is_dumb && !is_ci,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(variables: &[(&str, &str)], stdout: bool, stderr: bool) -> OutputSettings {
        let arguments = GlobalArgs {
            project: None,
            config: None,
            json: false,
            quiet: false,
            verbose: 0,
        };
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        OutputSettings::of(&arguments, &variable, Terminals { stdout, stderr })
    }

    #[test]
    fn colours_are_for_terminals_that_want_them() {
        let colours = |variables: &[(&str, &str)], stdout, stderr| {
            let output = output(variables, stdout, stderr);
            (output.data_colour, output.colour)
        };
        let (always, never) = (Colour::Always, Colour::Never);
        assert_eq!(colours(&[], true, true), (always, always));
        assert_eq!(colours(&[], false, true), (never, always));
        assert_eq!(colours(&[], true, false), (always, never));
        assert_eq!(colours(&[("NO_COLOR", "")], true, true), (always, always));
        assert_eq!(colours(&[("NO_COLOR", "0")], true, true), (never, never));
        assert_eq!(colours(&[("TERM", "dumb")], true, true), (never, never));
        assert_eq!(colours(&[("CI", "true")], true, true), (always, always));
    }

    #[test]
    fn lines_change_in_place_on_a_screen_only() {
        let in_place =
            |variables: &[(&str, &str)], stderr| output(variables, true, stderr).progress_on_terminal;
        assert!(in_place(&[], true));
        assert!(in_place(&[("CI", "")], true));
        assert!(in_place(&[("CI", "false")], true));
        assert!(!in_place(&[], false));
        assert!(!in_place(&[("CI", "true")], true));
        assert!(!in_place(&[("CI", "1")], true));
        assert!(!in_place(&[("TERM", "dumb")], true));
    }
}
