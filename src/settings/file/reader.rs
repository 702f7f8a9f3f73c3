//! Reads a settings file: its tables by the table of keys, every mistake with its place.

use std::fmt::Display;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use toml_edit::{Document, Item, TableLike};

use super::{Entry, FileError, Mistake, Position, SettingsFile};
use crate::engine::OsquerydChoice;
use crate::settings::key::{Id, KEYS, Key, Kind};
use crate::settings::{
    HostConfigSource, KafkaConfigChoice, ProgramSource, StackName, parse_duration, parse_size,
};
use crate::stack::ServiceName;

/// Reads the text of a file at that path.
pub(super) fn read(path: &Path, text: &str) -> Result<SettingsFile, FileError> {
    let mut reader = Reader {
        text,
        file: SettingsFile {
            path: path.to_owned(),
            ..SettingsFile::default()
        },
    };
    let document = Document::parse(text).map_err(|error| {
        let message = error.message().lines().collect::<Vec<_>>().join(", ");
        reader.mistake(error.span(), Mistake::Syntax { message })
    })?;
    reader.table(None, document.as_table())?;
    Ok(reader.file)
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
                    array.iter().map(|value| self.service(key, value)).collect();
                let entries = Some(entries?);
                match key.id {
                    Id::With => self.file.with = entries,
                    _ => self.file.without = entries,
                }
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
                self.text(key, text).map_err(|reason| {
                    let hints = kind.hints(text);
                    self.wrong_value(key.path(), reason, hints, item.span())
                })?;
            }
        }
        Ok(())
    }

    /// Keeps a value that is a text, or says why it cannot be one.
    fn text(&mut self, key: &Key, text: &str) -> Result<(), String> {
        let file = &mut self.file;
        match key.id {
            Id::Project => file.project = Some(parsed(text)?),
            Id::Engine => file.engine = Some(word(key, text)?),
            Id::Stack => file.stack = Some(StackName::Embedded(word(key, text)?)),
            Id::StackFile => file.stack = Some(StackName::File(file.beside(key, text)?)),
            Id::Statements => file.statements = Some(word(key, text)?),
            Id::Timeout => file.timeout = Some(told(parse_duration(text))?),
            Id::Osqueryd => {
                file.osqueryd = Some(match OsquerydChoice::parse(text) {
                    OsquerydChoice::Path(_) => OsquerydChoice::Path(file.beside(key, text)?),
                    word => word,
                });
            }
            Id::OsquerySha256 => file.osquery_sha256 = Some(checksum(key, text)?),
            Id::Source => {
                file.source = Some(match ProgramSource::parse(text) {
                    ProgramSource::Checkout(_) => ProgramSource::Checkout(file.beside(key, text)?),
                    ProgramSource::Installed => ProgramSource::Installed,
                });
            }
            Id::HostConfig => {
                file.host_config = Some(match HostConfigSource::of(Path::new(text)) {
                    HostConfigSource::File(_) => HostConfigSource::File(file.beside(key, text)?),
                    HostConfigSource::Default => HostConfigSource::Default,
                });
            }
            Id::Format => file.format = Some(word(key, text)?),
            Id::Listen => file.listen = Some(parsed(text)?),
            Id::Kafka => file.kafka = Some(parsed(text)?),
            Id::KafkaConfig => {
                file.kafka_config = Some(match KafkaConfigChoice::of(Path::new(text)) {
                    KafkaConfigChoice::File(_) => KafkaConfigChoice::File(file.beside(key, text)?),
                    KafkaConfigChoice::Plain => KafkaConfigChoice::Plain,
                });
            }
            Id::Pull => file.pull = Some(word(key, text)?),
            Id::Registry => file.registry = Some(parsed(text)?),
            Id::PullSilence => file.pull_silence = Some(told(parse_duration(text))?),
            Id::LockFile => file.lock_file = Some(file.beside(key, text)?),
            Id::ScenarioSize => file.scenario_size = Some(size(text)?),
            Id::ScenarioHost => file.scenario_host = Some(some_text(key, text)?.to_owned()),
            Id::ScenarioTimeout => file.scenario_timeout = Some(told(parse_duration(text))?),
            // These are no texts.
            Id::With | Id::Without | Id::Ports => return Err(not_one(key, text)),
        }
        Ok(())
    }

    fn service(&self, key: &Key, value: &toml_edit::Value) -> Result<Entry<()>, FileError> {
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

impl SettingsFile {
    /// A path that stands in the file: relative to it.
    fn beside(&self, key: &Key, text: &str) -> Result<PathBuf, String> {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        Ok(folder.join(some_text(key, text)?))
    }
}

fn told<T, E: Display>(read: Result<T, E>) -> Result<T, String> {
    read.map_err(|error| error.to_string())
}

fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    told(text.parse())
}

/// One of the words of the key: not every word that an option knows may stand in a file.
fn word<T: FromStr<Err: Display>>(key: &Key, text: &str) -> Result<T, String> {
    match key.kind {
        Kind::OneOf(words) if words.contains(&text) => parsed(text),
        _ => Err(not_one(key, text)),
    }
}

fn some_text<'a>(key: &Key, text: &'a str) -> Result<&'a str, String> {
    if text.is_empty() {
        Err(not_one(key, text))
    } else {
        Ok(text)
    }
}

fn checksum(key: &Key, text: &str) -> Result<String, String> {
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text.to_owned())
    } else {
        Err(not_one(key, text))
    }
}

fn size(text: &str) -> Result<u64, String> {
    match told(parse_size(text))? {
        0 => Err("a file of no bytes proves nothing".to_owned()),
        size => Ok(size),
    }
}

fn not_one(key: &Key, text: &str) -> String {
    format!("`{text}` is not {}", key.kind.takes())
}
