//! Which options were typed or stand in the environment: what a default must not be mistaken for.

use std::collections::BTreeMap;

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches};

use crate::cli::Cli;

/// Where the value of an option came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The command line.
    Option,
    /// A variable of the environment.
    Environment,
}

/// The options that were typed or stand in the environment, by their long names.
#[derive(Debug, Clone, Default)]
pub struct Typed(BTreeMap<String, (Source, Vec<String>)>);

impl Typed {
    /// Where the option's value came from, if it was given.
    pub fn source(&self, option: &str) -> Option<Source> {
        self.0.get(option).map(|(source, _)| *source)
    }

    /// Its values.
    pub fn values(&self, option: &str) -> &[String] {
        self.0.get(option).map_or(&[], |(_, values)| values)
    }

    fn collect(&mut self, command: &clap::Command, matches: &ArgMatches) {
        for argument in command.get_arguments() {
            let id = argument.get_id().as_str();
            let (Some(long), Ok(true)) = (argument.get_long(), matches.try_contains_id(id)) else {
                continue;
            };
            let source = match matches.value_source(id) {
                Some(ValueSource::CommandLine) => Source::Option,
                Some(ValueSource::EnvVariable) => Source::Environment,
                _ => continue,
            };
            let values = matches.get_raw(id).into_iter().flatten();
            let values = values.map(|value| value.to_string_lossy().into_owned()).collect();
            self.0.insert(long.to_owned(), (source, values));
        }
        if let Some((name, matches)) = matches.subcommand()
            && let Some(command) = command.find_subcommand(name)
        {
            self.collect(command, matches);
        }
    }
}

impl Cli {
    /// Reads these arguments, the first of which is the name of the program.
    ///
    /// # Errors
    /// When they are wrong, or ask for help.
    pub fn read_from<T: Into<std::ffi::OsString> + Clone>(
        arguments: impl IntoIterator<Item = T>,
    ) -> Result<(Self, Typed), clap::Error> {
        let mut command = Self::command();
        let matches = command.try_get_matches_from_mut(arguments)?;
        let mut typed = Typed::default();
        typed.collect(&command, &matches);
        let cli = Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
        Ok((cli, typed))
    }
}
