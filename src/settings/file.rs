//! The settings file, `osqdemo.toml`: what stands in it is checked when it is read, and what is wrong is told with line
//! and column. Which services a stack has is not known here: that is checked against the stack later.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml_edit::{Document, Item, TableLike};

use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::near_names;
use crate::settings::key::{KEYS, Key, Kind};
use crate::stack::{ServiceName, Stack, WithoutError};

/// The file that is looked for in the current folder.
const SETTINGS_FILE: &str = "osqdemo.toml";

/// What a settings file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsFile {
    /// Where it is.
    pub path: PathBuf,
    /// The values that are texts, by the paths of their keys.
    texts: BTreeMap<String, String>,
    /// The services to leave out.
    without: Option<Vec<Entry<()>>>,
    /// The ports of services.
    ports: Vec<Entry<u16>>,
}

/// What the file says about a service.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry<T> {
    service: ServiceName,
    value: T,
    position: Position,
}

/// Whether the stack is the one that the file is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StackOrigin {
    /// It is: a service that it does not have is a mistake.
    OfTheFile,
    /// The user chose another one: what the file says about services that it does not have is passed over.
    ChosenOtherwise,
}

/// A place in the file, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

/// Why a settings file cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("failed to read the settings file `{}`: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something in it is wrong.
    #[error("`{}` {position}: {mistake}", path.display())]
    Mistake {
        /// The file.
        path: PathBuf,
        /// Where in it.
        position: Position,
        /// What.
        mistake: Mistake,
    },
}

/// What is wrong in a settings file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// It is not TOML.
    #[error("{message}")]
    Syntax {
        /// What the parser said.
        message: String,
    },
    /// A setting that does not exist.
    #[error("there is no setting `{path}`")]
    Unknown {
        /// Its name with its table.
        path: String,
    },
    /// A value of another type.
    #[error("`{path}` takes {takes}, not {}", article(found))]
    Type {
        /// The setting.
        path: String,
        /// What it takes.
        takes: String,
        /// What TOML calls the value's type.
        found: &'static str,
    },
    /// A value that cannot be.
    #[error("`{path}`: {reason}")]
    Value {
        /// The setting.
        path: String,
        /// Why not.
        reason: String,
        /// What may have been meant.
        hints: Vec<String>,
    },
    /// Two settings for one thing.
    #[error("`stack` and `stack-file` cannot both be set")]
    TwoStacks,
    /// A service that is not in the stack, listens nowhere, or cannot be left out.
    #[error("`{path}`: {reason}")]
    Service {
        /// The setting.
        path: &'static str,
        /// Why not.
        reason: String,
        /// What to do.
        hints: Vec<String>,
    },
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {} column {}", self.line, self.column)
    }
}

impl Diagnose for FileError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Mistake {
                mistake: Mistake::Unknown { path },
                ..
            } => {
                let known: Vec<String> = KEYS.iter().map(Key::path).collect();
                near_names::hint("settings", path, &known)
            }
            Self::Mistake {
                mistake: Mistake::Value { hints, .. } | Mistake::Service { hints, .. },
                ..
            } => hints.clone(),
            Self::Mistake { .. } => Vec::new(),
            Self::Unreadable { .. } => {
                vec!["`--config FILE` or `OSQDEMO_CONFIG` names another one".to_owned()]
            }
        }
    }
}

impl SettingsFile {
    /// Reads the file that was named, else the one in the current folder, if there is one.
    ///
    /// # Errors
    /// When it cannot be read, or something in it is wrong.
    pub fn find(named: Option<&Path>) -> Result<Option<Self>, FileError> {
        let path = named.unwrap_or(Path::new(SETTINGS_FILE));
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(path, &text).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => Ok(None),
            Err(source) => Err(FileError::Unreadable {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// Reads the text of a file at that path.
    ///
    /// # Errors
    /// When something in it is wrong.
    pub fn parse(path: &Path, text: &str) -> Result<Self, FileError> {
        let mut reader = Reader {
            text,
            file: Self {
                path: path.to_owned(),
                texts: BTreeMap::new(),
                without: None,
                ports: Vec::new(),
            },
        };
        let document = Document::parse(text).map_err(|error| {
            let message = error.message().lines().collect::<Vec<_>>().join(", ");
            reader.mistake(error.span(), Mistake::Syntax { message })
        })?;
        reader.table(None, document.as_table())?;
        Ok(reader.file)
    }

    /// What it says of a setting that is a text.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// Whether it says which services to leave out.
    pub fn leaves_out(&self) -> bool {
        self.without.is_some()
    }

    /// The ports it gives to services of the stack.
    ///
    /// # Errors
    /// When the stack does not have a service, or it publishes no port.
    pub fn ports(&self, stack: &Stack, origin: StackOrigin) -> Result<BTreeMap<ServiceName, u16>, FileError> {
        let mut ports = BTreeMap::new();
        for entry in &self.ports {
            let reason = match stack.service(entry.service.as_str()) {
                Some(service) if service.port.is_some() => {
                    ports.insert(entry.service.clone(), entry.value);
                    continue;
                }
                Some(_) => format!("service `{}` publishes no port", entry.service),
                None if origin == StackOrigin::ChosenOtherwise || stack.is_left_out(&entry.service) => {
                    continue;
                }
                None => format!("there is no service `{}`", entry.service),
            };
            let hints = near_names::hint("services", entry.service.as_str(), &stack.published());
            return Err(self.about_service("ports", entry.position, reason, hints));
        }
        Ok(ports)
    }

    /// The services it leaves out of the stack.
    ///
    /// # Errors
    /// When the stack does not have one, or it cannot be left out.
    pub fn without(
        &self,
        stack: &Stack,
        origin: StackOrigin,
    ) -> Result<Option<BTreeSet<ServiceName>>, FileError> {
        let Some(entries) = &self.without else {
            return Ok(None);
        };
        let is_meant = |entry: &&Entry<()>| {
            origin == StackOrigin::OfTheFile || stack.service(entry.service.as_str()).is_some()
        };
        let names: BTreeSet<ServiceName> = entries
            .iter()
            .filter(is_meant)
            .map(|entry| entry.service.clone())
            .collect();
        match stack.clone().without(&names) {
            Ok(_) => Ok(Some(names)),
            Err(error) => {
                let position = entries
                    .iter()
                    .find(|entry| entry.service == *error.service())
                    .map_or(Position { line: 1, column: 1 }, |entry| entry.position);
                Err(self.wrong_without(position, &error))
            }
        }
    }

    fn wrong_without(&self, position: Position, error: &WithoutError) -> FileError {
        self.about_service("without", position, error.to_string(), error.hints())
    }

    fn about_service(
        &self,
        path: &'static str,
        position: Position,
        reason: String,
        hints: Vec<String>,
    ) -> FileError {
        FileError::Mistake {
            path: self.path.clone(),
            position,
            mistake: Mistake::Service { path, reason, hints },
        }
    }
}

/// Reads the tables of a file.
struct Reader<'a> {
    text: &'a str,
    file: SettingsFile,
}

impl Reader<'_> {
    fn table(&mut self, table: Option<&'static str>, items: &dyn TableLike) -> Result<(), FileError> {
        for (name, item) in items.iter() {
            let span = || items.get_key_value(name).and_then(|(key, _)| key.span());
            match (Key::find(table, name), table) {
                (Some(key), _) => self.value(key, item, span())?,
                (None, None) if KEYS.iter().any(|key| key.table == Some(name)) => {
                    self.nested(name, item, span())?;
                }
                (None, _) => {
                    let path = table.map_or_else(|| name.to_owned(), |table| format!("{table}.{name}"));
                    return Err(self.mistake(span(), Mistake::Unknown { path }));
                }
            }
        }
        if table.is_none() && items.contains_key("stack") && items.contains_key("stack-file") {
            let span = items.get_key_value("stack-file").and_then(|(key, _)| key.span());
            return Err(self.mistake(span, Mistake::TwoStacks));
        }
        Ok(())
    }

    fn nested(&mut self, name: &str, item: &Item, key: Option<Range<usize>>) -> Result<(), FileError> {
        let table = KEYS
            .iter()
            .filter_map(|key| key.table)
            .find(|table| *table == name);
        match item.as_table_like() {
            Some(items) => self.table(table, items),
            None => {
                let takes = format!("a table, as in `[{name}]`");
                Err(self.wrong_type(name.to_owned(), takes, item, key))
            }
        }
    }

    fn value(&mut self, key: &'static Key, item: &Item, name: Option<Range<usize>>) -> Result<(), FileError> {
        let wrong_type = |reader: &Self| reader.wrong_type(key.path(), key.kind.takes(), item, name.clone());
        match key.kind {
            Kind::Services => {
                let array = item.as_array().ok_or_else(|| wrong_type(self))?;
                let entries: Result<Vec<Entry<()>>, FileError> =
                    array.iter().map(|value| self.left_out(key, value)).collect();
                self.file.without = Some(entries?);
            }
            Kind::Ports => {
                let table = item.as_table_like().ok_or_else(|| wrong_type(self))?;
                for (service, port) in table.iter() {
                    let entry = self.port(key, table, service, port)?;
                    self.file.ports.push(entry);
                }
            }
            kind => {
                let text = item.as_str().ok_or_else(|| wrong_type(self))?;
                kind.check(text).map_err(|reason| {
                    let hints = kind.hints(text);
                    self.wrong_value(key.path(), reason, hints, item.span())
                })?;
                let text = if kind.is_path(text) {
                    beside(&self.file.path, text)
                } else {
                    text.to_owned()
                };
                self.file.texts.insert(key.path(), text);
            }
        }
        Ok(())
    }

    fn left_out(&self, key: &Key, value: &toml_edit::Value) -> Result<Entry<()>, FileError> {
        match value.as_str() {
            Some(service) if !service.is_empty() => Ok(self.entry(service, (), value.span())),
            text => {
                let mistake = Mistake::Type {
                    path: key.path(),
                    takes: key.kind.takes(),
                    found: text.map_or(value.type_name(), |_| "empty string"),
                };
                Err(self.mistake(value.span(), mistake))
            }
        }
    }

    fn port(
        &self,
        key: &Key,
        table: &dyn TableLike,
        service: &str,
        port: &Item,
    ) -> Result<Entry<u16>, FileError> {
        let takes = "a port, 0 to 65535";
        let path = || format!("{}.{service}", key.path());
        let name = table.get_key_value(service).and_then(|(key, _)| key.span());
        let number = port
            .as_integer()
            .ok_or_else(|| self.wrong_type(path(), takes.to_owned(), port, name.clone()))?;
        let number = u16::try_from(number).map_err(|_| {
            let reason = format!("`{number}` is not {takes}");
            self.wrong_value(path(), reason, Vec::new(), port.span())
        })?;
        Ok(self.entry(service, number, name))
    }

    fn entry<T>(&self, service: &str, value: T, span: Option<Range<usize>>) -> Entry<T> {
        Entry {
            service: ServiceName::new(service),
            value,
            position: self.position(span),
        }
    }

    /// A table in place of a value has no span of its own worth showing: its name has.
    fn wrong_type(&self, path: String, takes: String, item: &Item, name: Option<Range<usize>>) -> FileError {
        let span = item.as_value().and_then(toml_edit::Value::span).or(name);
        let found = item.type_name();
        self.mistake(span, Mistake::Type { path, takes, found })
    }

    fn wrong_value(
        &self,
        path: String,
        reason: String,
        hints: Vec<String>,
        span: Option<Range<usize>>,
    ) -> FileError {
        self.mistake(span, Mistake::Value { path, reason, hints })
    }

    fn mistake(&self, span: Option<Range<usize>>, mistake: Mistake) -> FileError {
        FileError::Mistake {
            path: self.file.path.clone(),
            position: self.position(span),
            mistake,
        }
    }

    fn position(&self, span: Option<Range<usize>>) -> Position {
        let start = span.map_or(0, |span| span.start);
        let before = self.text.get(..start).unwrap_or(self.text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Position {
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
        }
    }
}

/// A path that stands in a file: relative to it.
fn beside(file: &Path, path: &str) -> String {
    let folder = file.parent().unwrap_or(Path::new(""));
    folder.join(path).display().to_string()
}

fn article(found: &str) -> String {
    let is_vowel = found.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {found}", if is_vowel { "an" } else { "a" })
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<SettingsFile, FileError> {
        SettingsFile::parse(Path::new("/demo/osqdemo.toml"), text)
    }

    fn error(text: &str) -> String {
        shown(&read(text).expect_err("a wrong file"))
    }

    fn shown(error: &FileError) -> String {
        let hints: Vec<String> = error
            .hints()
            .iter()
            .map(|hint| format!("; hint: {hint}"))
            .collect();
        format!("{error}{}", hints.concat())
    }

    #[test]
    fn every_kind_of_setting_is_read() {
        let file = read(
            "project = \"mine\"\nwithout = [\"host1\"]\nosqueryd = \"bin/osqueryd\"\nsource = \"..\"\n\
             host-config = \"default\"\n\n[ports]\nbroker = 0\n\n\
             [images]\npull = \"never\"\nlock-file = \"/etc/images.lock\"\n",
        )
        .expect("a right file");
        assert_eq!(file.text("project"), Some("mine"));
        assert_eq!(file.text("osqueryd"), Some("/demo/bin/osqueryd"));
        assert_eq!(file.text("source"), Some("/demo/.."));
        assert_eq!(file.text("host-config"), Some("default"), "a word, no path");
        assert_eq!(file.text("images.pull"), Some("never"));
        assert_eq!(file.text("images.lock-file"), Some("/etc/images.lock"));
        assert_eq!(file.text("engine"), None);
        let stack = Stack::lite().expect("the embedded stack");
        let ports = file.ports(&stack, StackOrigin::OfTheFile).expect("ports");
        assert_eq!(ports, BTreeMap::from([(ServiceName::new("broker"), 0)]));
        let without = file.without(&stack, StackOrigin::OfTheFile).expect("services");
        assert_eq!(without, Some(BTreeSet::from([ServiceName::new("host1")])));
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        assert_snapshot!(error("engin = \"docker\""), @"`/demo/osqdemo.toml` line 1 column 1: there is no setting `engin`; hint: did you mean `engine`?");
        assert_snapshot!(error("# ünïcode\n[images]\npul = \"never\""), @"`/demo/osqdemo.toml` line 3 column 1: there is no setting `images.pul`; hint: did you mean `images.pull` or `images.pull-silence`?");
        assert_snapshot!(error("\n  pull = \"never\""), @"`/demo/osqdemo.toml` line 2 column 3: there is no setting `pull`; hint: did you mean `images.pull` or `images.pull-silence`?");
        assert_snapshot!(error("[colours]\nred = 1"), @"`/demo/osqdemo.toml` line 1 column 2: there is no setting `colours`; hint: the settings are `project`, `engine`, `stack`, `stack-file`, `without`, `timeout`, `osqueryd`, `osquery-sha256`, `source`, `host-config`, `ports`, `images.pull`, `images.registry`, `images.pull-silence`, `images.lock-file`, `scenario.size`, `scenario.host`, `scenario.timeout`");
        assert_snapshot!(error("engine = \"vagrant\""), @"`/demo/osqdemo.toml` line 1 column 10: `engine`: `vagrant` is not one of `native`, `docker`");
        assert_snapshot!(error("engine = \"doker\""), @"`/demo/osqdemo.toml` line 1 column 10: `engine`: `doker` is not one of `native`, `docker`; hint: did you mean `docker`?");
        assert_snapshot!(error("without = [\"\"]"), @r#"`/demo/osqdemo.toml` line 1 column 12: `without` takes an array of services, such as ["control-center"], not an empty string"#);
        assert_snapshot!(error("engine = 3"), @"`/demo/osqdemo.toml` line 1 column 10: `engine` takes one of `native`, `docker`, not an integer");
        assert_snapshot!(error("images = 3"), @"`/demo/osqdemo.toml` line 1 column 10: `images` takes a table, as in `[images]`, not an integer");
        assert_snapshot!(error("[timeout]\nlong = true"), @r#"`/demo/osqdemo.toml` line 1 column 2: `timeout` takes a string with a duration, such as "30s" or "2m", not a table"#);
        assert_snapshot!(error("project = \"Mine!\""), @"`/demo/osqdemo.toml` line 1 column 11: `project`: `Mine!` cannot be a project's name: it takes 1 to 40 lower-case letters, digits, `-` and `_`, the first one a letter or a digit");
        assert_snapshot!(error("timeout = \"soon\""), @"`/demo/osqdemo.toml` line 1 column 11: `timeout`: `soon` is not a duration such as `500ms`, `30s`, `2m` or `1m30s`");
        assert_snapshot!(error("[scenario]\nsize = \"0M\""), @"`/demo/osqdemo.toml` line 2 column 8: `scenario.size`: a file of no bytes proves nothing");
        assert_snapshot!(error("osquery-sha256 = \"abc\""), @"`/demo/osqdemo.toml` line 1 column 18: `osquery-sha256`: `abc` is not a SHA-256 checksum: 64 hexadecimal digits");
        assert_snapshot!(error("[images]\nregistry = \"https://x\""), @"`/demo/osqdemo.toml` line 2 column 12: `images.registry`: `https://x` is not a registry, such as `mirror.example.org` or `127.0.0.1:5000/proxy`");
        assert_snapshot!(error("host-config = { source = {} }"), @"`/demo/osqdemo.toml` line 1 column 15: `host-config` takes `default` or a path, not an inline table");
        assert_snapshot!(error("source = \"\""), @"`/demo/osqdemo.toml` line 1 column 10: `source`: `` is not `installed` or a path");
        assert_snapshot!(error("without = \"host1\""), @r#"`/demo/osqdemo.toml` line 1 column 11: `without` takes an array of services, such as ["control-center"], not a string"#);
        assert_snapshot!(error("without = [\"host1\", 2]"), @r#"`/demo/osqdemo.toml` line 1 column 21: `without` takes an array of services, such as ["control-center"], not an integer"#);
        assert_snapshot!(error("[ports]\nbroker = 70000"), @"`/demo/osqdemo.toml` line 2 column 10: `ports.broker`: `70000` is not a port, 0 to 65535");
        assert_snapshot!(error("[ports]\nbroker = \"9092\""), @"`/demo/osqdemo.toml` line 2 column 10: `ports.broker` takes a port, 0 to 65535, not a string");
        assert_snapshot!(error("stack = \"lite\"\nstack-file = \"x\""), @"`/demo/osqdemo.toml` line 2 column 1: `stack` and `stack-file` cannot both be set");
        assert_snapshot!(error("engine = \"docker\"\nengine = \"native\""), @"`/demo/osqdemo.toml` line 2 column 1: duplicate key");
        assert_snapshot!(error("engine = docker"), @"`/demo/osqdemo.toml` line 1 column 10: string values must be quoted, expected literal string");
        assert_snapshot!(error("[ports\n"), @"`/demo/osqdemo.toml` line 1 column 7: unclosed table, expected `]`");
    }

    #[test]
    fn services_are_checked_against_the_stack() {
        let stack = Stack::lite().expect("the embedded stack");
        let ports = |text: &str, origin| match read(text).expect("a right file").ports(&stack, origin) {
            Ok(ports) => format!("{ports:?}"),
            Err(error) => shown(&error),
        };
        let without = |text: &str, origin| match read(text).expect("a right file").without(&stack, origin) {
            Ok(without) => format!("{without:?}"),
            Err(error) => shown(&error),
        };
        assert_snapshot!(ports("[ports]\nbrokr = 1", StackOrigin::OfTheFile), @"`/demo/osqdemo.toml` line 2 column 1: `ports`: there is no service `brokr`; hint: did you mean `broker`?");
        assert_snapshot!(ports("ports.host1 = 1", StackOrigin::OfTheFile), @"`/demo/osqdemo.toml` line 1 column 7: `ports`: service `host1` publishes no port; hint: the services are `broker`, `ksqldb-server`, `console`");
        assert_snapshot!(ports("ports = { control-center = 1 }", StackOrigin::ChosenOtherwise), @"{}");
        assert_snapshot!(without("without = [\n  \"host3\"\n]", StackOrigin::OfTheFile), @"`/demo/osqdemo.toml` line 2 column 3: `without`: there is no service `host3` to leave out; hint: did you mean `host1` or `host2`?");
        assert_snapshot!(without("without = [\"host1\", \"broker\"]", StackOrigin::OfTheFile), @"`/demo/osqdemo.toml` line 1 column 21: `without`: service `broker` cannot be left out: everything goes through it");
        assert_snapshot!(without("without = [\"control-center\"]", StackOrigin::ChosenOtherwise), @"Some({})");
        assert_snapshot!(without("without = []", StackOrigin::OfTheFile), @"Some({})");
        assert_snapshot!(without("", StackOrigin::OfTheFile), @"None");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
            let _ = read(&text);
        }

        #[test]
        fn anything_like_a_file_is_read_or_refused(
            text in "((engine|stack|without|ports|images|scenario|ports\\.broker|images\\.pull) ?= ?(\"[a-z0-9é]{0,6}\"|[0-9]{1,6}|\\[\"[a-z]{0,5}\"?\\]|\\{ ?[a-z]{1,4} = [0-9]{1,3} ?\\})\n|\\[\\[?(ports|images|scenario|x)\\]{1,2}\n){0,6}"
        ) {
            if let Err(error) = read(&text) {
                let FileError::Mistake { position, .. } = &error else {
                    panic!("{error}");
                };
                prop_assert!(position.line <= text.matches('\n').count() + 1, "{error}");
                prop_assert_eq!(error.exit_code(), ExitCode::Usage);
            }
        }
    }
}
