//! What a project remembers between runs: the choices that a later `up` without flags must not lose.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::host_config::{HostConfig, LineFormat};
use crate::stack::ServiceName;
use crate::state::{ProjectFolder, StateError, write_durably};

/// The form of the file. One that says none is of this form, the first.
const FORMAT: u32 = 1;

/// What every form of the file says.
#[derive(Deserialize)]
struct Head {
    #[serde(default = "first_format")]
    format: u32,
}

/// The file.
#[derive(Serialize)]
struct Written<'a> {
    format: u32,
    #[serde(flatten)]
    remembered: &'a Remembered,
}

const fn first_format() -> u32 {
    1
}

/// The choices of earlier runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// The engine that runs the project.
    pub engine: Option<String>,
    /// The embedded stack that it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    /// The stack file of the user's that it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack_file: Option<StackFile>,
    /// The optional services that were asked for.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub with: BTreeSet<ServiceName>,
    /// The Kafka that it runs on in place of its stack's broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kafka: Option<String>,
    /// The file that said how that is reached; what it said stands in a file of the project's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kafka_config: Option<PathBuf>,
    /// Where its broker listens for other machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// The services that are left out of it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub without: BTreeSet<ServiceName>,
    /// Which statements `up` submits, where that is not the demo's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statements: Option<String>,
    /// The ports that the user asked for.
    #[serde(default)]
    pub ports: BTreeMap<ServiceName, u16>,
    /// The ports that were picked for other services: they make way when they are taken.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub picked_ports: BTreeMap<ServiceName, u16>,
    /// Which osqueryd the hosts run.
    pub osqueryd: Option<String>,
    /// What `auto` turned out to be on the native engine, so that a shell with another PATH changes nothing: the path of
    /// an osqueryd, or `builtin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub osqueryd_found: Option<String>,
    /// The configuration of the user's that the hosts have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_config: Option<HostConfig>,
    /// The format of the hosts' lines. What was up before there was a choice is in JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line_format: Option<String>,
    /// The checksum of osquery's package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub osquery_sha256: Option<String>,
    /// Why osquery's package could not be had, and the hosts run the built-in agent since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub osquery_unavailable: Option<String>,
    /// The checkout that the programs of the images are compiled from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<PathBuf>,
}

/// A stack file of the user's, as it was read: the project can be stopped also when the file is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackFile {
    /// Where it was.
    pub path: PathBuf,
    /// What it said.
    pub text: String,
}

impl Remembered {
    /// The format of the hosts' lines.
    pub fn line_format(&self) -> LineFormat {
        let format = self.line_format.as_deref();
        format.and_then(|format| format.parse().ok()).unwrap_or_default()
    }

    /// What the project remembers; nothing when it is new.
    ///
    /// # Errors
    /// When the file cannot be read, is none, is damaged, was written by a later version, or is another user's.
    pub fn load(folder: &ProjectFolder) -> Result<Self, StateError> {
        folder.check_owner()?;
        let path = folder.remembered_file();
        // A pipe in its place would be waited for.
        if fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
            return Err(StateError::NotAFile { path });
        }
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(StateError::io("read", &path, error)),
        };
        let damaged = |source| StateError::Damaged {
            path: path.clone(),
            source,
        };
        let Head { format } = serde_json::from_slice(&text).map_err(damaged)?;
        if format > FORMAT {
            return Err(StateError::Newer {
                path,
                format,
                known: FORMAT,
            });
        }
        serde_json::from_slice(&text).map_err(damaged)
    }

    /// Remembers.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, folder: &ProjectFolder) -> Result<(), StateError> {
        let path = folder.remembered_file();
        let written = Written {
            format: FORMAT,
            remembered: self,
        };
        let text = serde_json::to_vec_pretty(&written).map_err(|source| StateError::Damaged {
            path: path.clone(),
            source,
        })?;
        write_durably(&path, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::project::ProjectName;

    #[test]
    fn all_that_is_remembered_is_read_again() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = ProjectFolder::new(home.path(), &ProjectName::default());
        folder.create().expect("the folder of the project");
        let broker = ServiceName::new("broker");
        let text = |text: &str| Some(text.to_owned());
        // Every field is named, so that a new one has to be named here too.
        let remembered = Remembered {
            engine: text("native"),
            stack: text("lite"),
            stack_file: Some(StackFile {
                path: "/my/stack.yaml".into(),
                text: "services: {}".to_owned(),
            }),
            with: [ServiceName::new("console")].into(),
            kafka: text("kafka.example.org:9092"),
            kafka_config: Some("/my/client.properties".into()),
            listen: text("192.168.1.5:9093"),
            without: [broker.clone()].into(),
            statements: text("none"),
            ports: [(broker.clone(), 1)].into(),
            picked_ports: [(broker, 2)].into(),
            osqueryd: text("auto"),
            osqueryd_found: text("builtin"),
            host_config: Some(HostConfig {
                path: "/my/hosts.json".into(),
                document: serde_json::json!({ "topic": "t" }),
                findings: Vec::new(),
            }),
            line_format: text("avro"),
            osquery_sha256: text("ab"),
            osquery_unavailable: text("no network"),
            source: Some("/my/checkout".into()),
        };
        remembered.save(&folder).expect("the file is written");
        assert_eq!(Remembered::load(&folder).expect("the file is read"), remembered);
    }
}
