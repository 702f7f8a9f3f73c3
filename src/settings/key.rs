//! The settings that a settings file can have: one table that the parser, the JSON Schema and `osqdemo config show`
//! follow. A key is called as the long option that means the same.

use crate::near_names::near_names;
use crate::stack::EmbeddedStack;

/// A setting of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Which one.
    pub id: Id,
    /// The table that it stands in; none at the top.
    pub table: Option<&'static str>,
    /// Its name there.
    pub name: &'static str,
    /// What it can be.
    pub kind: Kind,
    /// The long option of `osqdemo config show` that means the same.
    pub option: &'static str,
    /// What it is.
    pub about: &'static str,
}

/// The settings, each once: who handles them all is told by the compiler of a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Id {
    /// `project`.
    Project,
    /// `engine`.
    Engine,
    /// `stack`.
    Stack,
    /// `stack-file`.
    StackFile,
    /// `with`.
    With,
    /// `without`.
    Without,
    /// `statements`.
    Statements,
    /// `timeout`.
    Timeout,
    /// `osqueryd`.
    Osqueryd,
    /// `osquery-sha256`.
    OsquerySha256,
    /// `source`.
    Source,
    /// `host-config`.
    HostConfig,
    /// `format`.
    Format,
    /// `ports`.
    Ports,
    /// `listen`.
    Listen,
    /// `kafka.bootstrap-servers`.
    Kafka,
    /// `kafka.config`.
    KafkaConfig,
    /// `images.pull`.
    Pull,
    /// `images.registry`.
    Registry,
    /// `images.pull-silence`.
    PullSilence,
    /// `images.lock-file`.
    LockFile,
    /// `scenario.size`.
    ScenarioSize,
    /// `scenario.host`.
    ScenarioHost,
    /// `scenario.timeout`.
    ScenarioTimeout,
}

/// What a setting can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The name of a project.
    Project,
    /// One of a few words.
    OneOf(&'static [&'static str]),
    /// A duration.
    Duration,
    /// A size of at least one byte.
    Size,
    /// A file; relative to the settings file.
    File,
    /// One of a few words, or a path; relative to the settings file.
    WordOrPath(&'static [&'static str]),
    /// A SHA-256 checksum.
    Checksum,
    /// A registry, perhaps with a path in it.
    Registry,
    /// A service.
    Service,
    /// Several services.
    Services,
    /// The address of a Kafka, or `none`.
    Kafka,
    /// An address to listen at, or `none`.
    Listen,
    /// A table from services to ports.
    Ports,
}

const fn key(id: Id, name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key {
        id,
        table: None,
        name,
        kind,
        option: name,
        about,
    }
}

const fn in_table(table: &'static str, key: Key) -> Key {
    Key {
        table: Some(table),
        ..key
    }
}

/// The names of the stacks that are part of osqdemo.
const STACKS: [&str; EmbeddedStack::ALL.len()] = {
    let mut names = [""; EmbeddedStack::ALL.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = EmbeddedStack::ALL[at].as_str();
        at += 1;
    }
    names
};

/// Every setting, in the order they are shown in.
pub const KEYS: &[Key] = &[
    key(
        Id::Project,
        "project",
        Kind::Project,
        "The project to work on; several can run side by side.",
    ),
    key(
        Id::Engine,
        "engine",
        Kind::OneOf(&["native", "docker"]),
        "Where the services run: as processes on this machine, or as containers.",
    ),
    key(
        Id::Stack,
        "stack",
        Kind::OneOf(&STACKS),
        "Which services: those built from osqdemo's repository, the same with Apache Kafka's broker, or the real platform.",
    ),
    key(
        Id::StackFile,
        "stack-file",
        Kind::File,
        "A stack of your own: a Compose file, relative to this file.",
    ),
    key(
        Id::With,
        "with",
        Kind::Services,
        "The optional services to start too, such as console.",
    ),
    key(
        Id::Without,
        "without",
        Kind::Services,
        "The services to leave out, such as control-center.",
    ),
    key(
        Id::Statements,
        "statements",
        Kind::OneOf(&["demo", "none"]),
        "Which statements ksqlDB gets: those of the pipeline, or none.",
    ),
    key(
        Id::Timeout,
        "timeout",
        Kind::Duration,
        "How long all services together may take to become healthy.",
    ),
    key(
        Id::Osqueryd,
        "osqueryd",
        Kind::WordOrPath(&["auto", "osquery", "builtin"]),
        "Which osqueryd the hosts run: auto, osquery, builtin, or a file, relative to this file.",
    ),
    key(
        Id::OsquerySha256,
        "osquery-sha256",
        Kind::Checksum,
        "The SHA-256 checksum that osquery's package must have.",
    ),
    key(
        Id::Source,
        "source",
        Kind::WordOrPath(&["installed"]),
        "What images are made of: installed, or a checkout of osqdemo's repository, relative to this file.",
    ),
    key(
        Id::HostConfig,
        "host-config",
        Kind::WordOrPath(&["default"]),
        "What the hosts monitor: default, or an extension configuration of your own, relative to this file.",
    ),
    key(
        Id::Format,
        "format",
        Kind::OneOf(&["json", "avro"]),
        "In which format the hosts publish their lines, and the statements read them.",
    ),
    key(
        Id::Ports,
        "ports",
        Kind::Ports,
        "The published port of each service; 0 picks a free one.",
    ),
    key(
        Id::Listen,
        "listen",
        Kind::Listen,
        "The HOST:PORT at which the stack's own broker also listens for other machines, with TLS and passwords; or none.",
    ),
    in_table(
        "kafka",
        Key {
            option: "kafka",
            ..key(
                Id::Kafka,
                "bootstrap-servers",
                Kind::Kafka,
                "The HOST:PORT of a Kafka that is already there, to run on in place of the stack's own broker; or none.",
            )
        },
    ),
    in_table(
        "kafka",
        Key {
            option: "kafka-config",
            ..key(
                Id::KafkaConfig,
                "config",
                Kind::WordOrPath(&["none"]),
                "How that Kafka is reached: none, or a file of client properties for TLS and passwords, relative to this file.",
            )
        },
    ),
    in_table(
        "images",
        key(
            Id::Pull,
            "pull",
            Kind::OneOf(&["never", "missing", "always"]),
            "When images are pulled.",
        ),
    ),
    in_table(
        "images",
        key(
            Id::Registry,
            "registry",
            Kind::Registry,
            "Pull from this registry instead: a mirror, or one inside your network.",
        ),
    ),
    in_table(
        "images",
        key(
            Id::PullSilence,
            "pull-silence",
            Kind::Duration,
            "How long a registry may be silent during a pull.",
        ),
    ),
    in_table(
        "images",
        key(
            Id::LockFile,
            "lock-file",
            Kind::File,
            "The lock file of the images, relative to this file.",
        ),
    ),
    in_table(
        "scenario",
        key(
            Id::ScenarioSize,
            "size",
            Kind::Size,
            "The size of the scenario's file.",
        ),
    ),
    in_table(
        "scenario",
        key(
            Id::ScenarioHost,
            "host",
            Kind::Service,
            "The host that writes the scenario's file.",
        ),
    ),
    in_table(
        "scenario",
        Key {
            option: "scenario-timeout",
            ..key(
                Id::ScenarioTimeout,
                "timeout",
                Kind::Duration,
                "How long the scenario may take.",
            )
        },
    ),
];

impl Key {
    /// The name with its table, such as `images.pull`.
    pub fn path(&self) -> String {
        match self.table {
            Some(table) => format!("{table}.{}", self.name),
            None => self.name.to_owned(),
        }
    }

    /// The setting of that name in that table.
    pub(super) fn find(table: Option<&str>, name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.table == table && key.name == name)
    }
}

impl Kind {
    /// What it takes, for messages.
    pub(super) fn takes(self) -> String {
        match self {
            Self::Project => "the name of a project".to_owned(),
            Self::OneOf(words) => format!("one of {}", quoted(words)),
            Self::Duration => "a string with a duration, such as \"30s\" or \"2m\"".to_owned(),
            Self::Size => "a string with a size, such as \"64M\" or \"1G\"".to_owned(),
            Self::File => "the path of a file".to_owned(),
            Self::WordOrPath(words) => format!("{} or a path", quoted(words)),
            Self::Checksum => "a SHA-256 checksum: 64 hexadecimal digits".to_owned(),
            Self::Registry => "a registry, such as \"mirror.example.org\"".to_owned(),
            Self::Service => "the name of a service".to_owned(),
            Self::Services => "an array of services, such as [\"control-center\"]".to_owned(),
            Self::Kafka => "`none` or the address of a Kafka, such as \"kafka.example.org:9092\"".to_owned(),
            Self::Listen => "`none` or an address of this machine, such as \"192.168.1.5:9093\"".to_owned(),
            Self::Ports => "a table of services and their ports".to_owned(),
        }
    }

    /// What a text that is not one may have meant.
    pub(super) fn hints(self, text: &str) -> Vec<String> {
        let Self::OneOf(words) = self else {
            return Vec::new();
        };
        let near: Vec<String> = near_names(text, words.iter().copied())
            .iter()
            .map(|word| format!("did you mean `{word}`?"))
            .collect();
        near.into_iter().take(1).collect()
    }
}

fn quoted(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}
