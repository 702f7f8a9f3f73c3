//! osqueryd's command-line flags, in gflags' syntax, so that one flag file starts osqueryd or this agent.
//!
//! `--name=value`, `--name value` for what is no switch, `--name` and `--noname` for switches, one or two dashes, and
//! `--flagfile` anywhere; a later flag wins. The `options` of the configuration win over flags, but for those that matter
//! before there is a configuration.

mod definitions;

use std::path::{Path, PathBuf};

pub(crate) use definitions::{Flags, help};
use definitions::{Kind, Slot};
use osquery_configuration::regular_file;

/// How deep flag files may name further flag files.
const NESTED_FLAG_FILES: usize = 8;

/// What was typed, resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandLine {
    pub(crate) flags: Flags,
    /// The flags as they were given, which count again when an option is gone.
    given: Flags,
}

/// A flag nobody can act on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FlagError {
    #[error("unknown flag `{flag}`{place}")]
    Unknown { flag: String, place: String },
    #[error("the flag `--{flag}` needs a value{place}")]
    NoValue { flag: String, place: String },
    #[error("the flag `--{flag}` takes {wanted}, not `{value}`{place}")]
    BadValue {
        flag: String,
        wanted: &'static str,
        value: String,
        place: String,
    },
    #[error(
        "The CLI only flag --{flag} set via config file will be ignored, please use a flagfile or pass it to the \
         process at startup"
    )]
    CommandLineOnly { flag: String },
    #[error("unexpected argument `{argument}`{place}; every setting is a flag that begins with `--`")]
    NotAFlag { argument: String, place: String },
    #[error("cannot read the flag file `{}`{place}: {reason}", path.display())]
    FlagFile {
        path: PathBuf,
        reason: String,
        place: String,
    },
}

impl FlagError {
    /// What may help, if anything is known to.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { flag, .. } => {
                let name = flag.trim_start_matches('-').split('=').next().unwrap_or_default();
                let near = definitions::names().min_by_key(|known| distance(name, known))?;
                let close = distance(name, near) <= 2 || near.starts_with(name);
                Some(if close {
                    format!("did you mean `--{near}`?")
                } else {
                    "`--help` lists the flags".to_owned()
                })
            }
            _ => None,
        }
    }
}

impl CommandLine {
    /// Reads the arguments after the program's name.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, FlagError> {
        let mut line = Self {
            flags: Flags::default(),
            given: Flags::default(),
        };
        let arguments: Vec<String> = arguments.into_iter().collect();
        line.read(&arguments, "", 0)?;
        line.given = line.flags.clone();
        Ok(line)
    }

    /// Takes over the `options` of a configuration, and nothing of those before it. Returns what could not be taken over.
    pub(crate) fn apply_options<'options>(
        &mut self,
        options: impl IntoIterator<Item = (&'options str, String)>,
    ) -> Vec<FlagError> {
        let mut refused = Vec::new();
        self.flags = self.given.clone();
        for (name, value) in options {
            let place = " in the configuration's `options`";
            match definitions::find(name) {
                None => refused.push(FlagError::Unknown {
                    flag: name.to_owned(),
                    place: place.to_owned(),
                }),
                Some((name, _)) if definitions::is_for_command_line(name) => {
                    refused.push(FlagError::CommandLineOnly {
                        flag: name.to_owned(),
                    });
                }
                Some((name, _)) => refused.extend(self.set(name, &value, place).err()),
            }
        }
        refused
    }

    fn read(&mut self, arguments: &[String], place: &str, depth: usize) -> Result<(), FlagError> {
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let Some(text) = argument
                .strip_prefix("--")
                .or_else(|| argument.strip_prefix('-'))
                .filter(|text| !text.is_empty())
            else {
                return Err(FlagError::NotAFlag {
                    argument: argument.clone(),
                    place: place.to_owned(),
                });
            };
            let (name, value) = match text.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (text, None),
            };
            let (name, value) = match (definitions::find(name), value) {
                (Some((name, _)), Some(value)) => (name, value),
                (Some((name, Kind::Switch)), None) => (name, "true".to_owned()),
                (Some((name, _)), None) => match arguments.next() {
                    Some(value) => (name, value.clone()),
                    None => {
                        return Err(FlagError::NoValue {
                            flag: name.to_owned(),
                            place: place.to_owned(),
                        });
                    }
                },
                (None, value) => match (name.strip_prefix("no").and_then(definitions::find), value) {
                    (Some((name, Kind::Switch)), None) => (name, "false".to_owned()),
                    _ => {
                        return Err(FlagError::Unknown {
                            flag: argument.clone(),
                            place: place.to_owned(),
                        });
                    }
                },
            };
            self.set(name, &value, place)?;
            if name == "flagfile" {
                self.read_file(Path::new(&value), place, depth)?;
            }
        }
        Ok(())
    }

    fn read_file(&mut self, path: &Path, place: &str, depth: usize) -> Result<(), FlagError> {
        let failed = |reason: String| FlagError::FlagFile {
            path: path.to_owned(),
            reason,
            place: place.to_owned(),
        };
        if depth == NESTED_FLAG_FILES {
            return Err(failed(
                "it is named by a flag file that is named by a flag file, and so on".into(),
            ));
        }
        let content = regular_file::read_given(path).and_then(regular_file::as_text);
        let content = content.map_err(|error| failed(error.to_string()))?;
        for (number, line) in content.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            // In a flag file a line is one flag; a blank parts it from its value as `=` does.
            let words: Vec<String> = line
                .splitn(2, char::is_whitespace)
                .map(|word| word.trim().to_owned())
                .collect();
            let words = if line.contains('=') {
                vec![line.to_owned()]
            } else {
                words
            };
            self.read(
                &words,
                &format!(" in `{}` line {}", path.display(), number + 1),
                depth + 1,
            )?;
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: &str, place: &str) -> Result<(), FlagError> {
        let bad = |wanted| FlagError::BadValue {
            flag: name.to_owned(),
            wanted,
            value: value.to_owned(),
            place: place.to_owned(),
        };
        match self.flags.slot(name) {
            Some(Slot::Switch(slot)) => *slot = switch(value).ok_or_else(|| bad("true or false"))?,
            Some(Slot::Number(slot)) => *slot = value.parse().map_err(|_| bad("a whole number"))?,
            Some(Slot::Text(slot)) => value.clone_into(slot),
            // A flag of osqueryd's that has no meaning here.
            None => {}
        }
        Ok(())
    }
}

/// gflags' words for yes and no.
fn switch(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "t" | "true" | "y" | "yes" => Some(true),
        "0" | "f" | "false" | "n" | "no" => Some(false),
        _ => None,
    }
}

/// How many letters have to change to make one word the other.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (left, letter) in one.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = left + 1;
        for (right, other) in other.bytes().enumerate() {
            let replaced = diagonal + usize::from(letter != other);
            diagonal = row[right + 1];
            row[right + 1] = replaced.min(diagonal + 1).min(row[right] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(arguments: &[&str]) -> Result<CommandLine, FlagError> {
        CommandLine::parse(arguments.iter().map(|&argument| argument.to_owned()))
    }

    #[test]
    fn every_way_to_write_a_flag() {
        let line = parse(&[
            "--config_plugin=osquery_confluent_config",
            "--extensions_socket",
            "/tmp/em",
            "--verbose",
            "--nodisable_watchdog",
            "-allow_unsafe=yes",
            "--logger_event_type=false",
            "--extensions_timeout=10",
            "--extensions_timeout=11",
        ])
        .unwrap();
        let flags = &line.flags;
        assert_eq!(flags.config_plugin, "osquery_confluent_config");
        assert_eq!(flags.extensions_socket, "/tmp/em");
        assert!(flags.verbose && flags.allow_unsafe && !flags.disable_watchdog && !flags.logger_event_type);
        assert_eq!(flags.extensions_timeout, 11);
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(
            parse(&["--colour=red"]).unwrap_err().to_string(),
            "unknown flag `--colour=red`"
        );
        assert_eq!(
            parse(&["--noconfig_path"]).unwrap_err().to_string(),
            "unknown flag `--noconfig_path`"
        );
        assert_eq!(
            parse(&["--config_path"]).unwrap_err().to_string(),
            "the flag `--config_path` needs a value"
        );
        assert_eq!(
            parse(&["--schedule_epoch=soon"]).unwrap_err().to_string(),
            "the flag `--schedule_epoch` takes a whole number, not `soon`"
        );
        assert_eq!(
            parse(&["--verbose=perhaps"]).unwrap_err().to_string(),
            "the flag `--verbose` takes true or false, not `perhaps`"
        );
        assert_eq!(
            parse(&["select 1"]).unwrap_err().to_string(),
            "unexpected argument `select 1`; every setting is a flag that begins with `--`"
        );
        assert_eq!(
            parse(&["--confg_path=x"]).unwrap_err().hint().unwrap(),
            "did you mean `--config_path`?"
        );
    }

    #[test]
    fn a_flag_file_holds_a_flag_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner.flags");
        let outer = folder.path().join("outer.flags");
        std::fs::write(
            &inner,
            "--host_identifier=specified\n--specified_identifier host7\n",
        )
        .unwrap();
        std::fs::write(
            &outer,
            format!(
                "# osquery\n\n--flagfile={}\n--verbose\n  --pidfile=/a b=c\n",
                inner.display()
            ),
        )
        .unwrap();
        let line = parse(&[
            &format!("--flagfile={}", outer.display()),
            "--specified_identifier=host8",
        ])
        .unwrap();
        assert_eq!(line.flags.host_identifier, "specified");
        assert_eq!(line.flags.specified_identifier, "host8");
        assert_eq!(line.flags.pidfile, "/a b=c");
        assert!(line.flags.verbose);
        std::fs::write(&inner, "--verbose\n--nonsense\n").unwrap();
        assert_eq!(
            parse(&["--flagfile", outer.to_str().unwrap()])
                .unwrap_err()
                .to_string(),
            format!("unknown flag `--nonsense` in `{}` line 2", inner.display())
        );
        std::fs::write(&inner, format!("--flagfile={}\n", inner.display())).unwrap();
        assert!(matches!(
            parse(&["--flagfile", inner.to_str().unwrap()]),
            Err(FlagError::FlagFile { .. })
        ));
    }

    #[test]
    fn options_win_while_they_are_there() {
        let mut line = parse(&["--schedule_splay_percent=50"]).unwrap();
        let refused = line.apply_options([
            ("schedule_splay_percent", "7".to_owned()),
            ("logger_numerics", "true".to_owned()),
            ("disable_events", "false".to_owned()),
            ("colour", "red".to_owned()),
            ("config_path", "/elsewhere".to_owned()),
        ]);
        assert_eq!(
            (line.flags.schedule_splay_percent, line.flags.logger_numerics),
            (7, true)
        );
        assert_eq!(line.flags.config_path, Flags::default().config_path);
        assert_eq!(refused.len(), 2);
        assert!(
            refused[1]
                .to_string()
                .starts_with("The CLI only flag --config_path set via"),
            "{}",
            refused[1]
        );
        assert_eq!(
            refused[0].to_string(),
            "unknown flag `colour` in the configuration's `options`"
        );
        // The next configuration has none: the flags count as they were given.
        assert!(line.apply_options([]).is_empty());
        assert_eq!(
            (line.flags.schedule_splay_percent, line.flags.logger_numerics),
            (50, false)
        );
    }

    proptest! {
        #[test]
        fn no_argument_can_make_it_panic(arguments in prop::collection::vec("(-{0,2}[a-z_=]{0,12})|[^\u{0}]{0,8}", 0..5)) {
            // A flag file that does not exist is an error like any other.
            let _ = CommandLine::parse(arguments);
        }

        #[test]
        fn text_is_taken_as_it_is(value in "[^\u{0}]{0,20}") {
            let line = CommandLine::parse([format!("--pidfile={value}")]).unwrap();
            prop_assert_eq!(line.flags.pidfile, value);
        }
    }
}
