//! The folder of an attached machine, below the project's: its osqueryd's database and configuration, and the spool. One
//! `attach` has it at a time.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::future::ready;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::error::AttachError;
use crate::engine::native::host_folder::{self, FLAGS, HostSpec};
use crate::engine::native::isolation::Isolation;
use crate::engine::native::programs::Programs;
use crate::error::Result;
use crate::process::{self, HOST_VARIABLE};
use crate::state::{ProjectFolder, StateError, private_folder, write_atomically};
use crate::waiting::poll_within;

/// What a killed `attach` had started ends within its grace, once it sees that it is alone.
const FORMER_ENDS_WITHIN: Duration = Duration::from_secs(20);

const LOOK: Duration = Duration::from_millis(50);

/// How long osqueryd may take to end: its extension flushes what it has to Kafka.
const GRACE_MS: u64 = 10_000;

/// The folder, and the right to it.
pub(super) struct AttachFolder {
    root: PathBuf,
    spool: PathBuf,
    socket: PathBuf,
    /// The folder itself is locked; the kernel gives it free with the process.
    _lock: File,
}

impl AttachFolder {
    /// Where it is.
    pub(super) fn of(project: &ProjectFolder) -> PathBuf {
        project.root().join("attached")
    }

    /// Takes it, once what a killed one had started is gone.
    pub(super) async fn take(project: &ProjectFolder) -> Result<Self> {
        project.check_owner()?;
        let root = Self::of(project);
        private_folder(&root)?;
        let lock = File::open(&root).map_err(|error| StateError::io("open", &root, error))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(AttachError::Attached.into());
        }
        let mark = root.display().to_string();
        let is_alone = || {
            ready(
                process::with_environment(HOST_VARIABLE, &mark)
                    .is_empty()
                    .then_some(()),
            )
        };
        let limit = FORMER_ENDS_WITHIN;
        poll_within(limit, LOOK, is_alone)
            .await
            .ok_or(AttachError::NotEnded { limit })?;
        Ok(Self {
            spool: root.join("spool"),
            socket: project.socket("attach.em")?,
            root,
            _lock: lock,
        })
    }

    /// Where lines wait.
    pub(super) fn spool(&self) -> &Path {
        &self.spool
    }

    /// What the first process is told.
    pub(super) fn spec_file(&self) -> PathBuf {
        self.root.join("init.json")
    }

    /// Writes everything that osqueryd needs, and what the process that looks after it is told.
    pub(super) fn furnish(&self, name: &str, programs: &Programs, configuration: &str) -> Result<HostSpec> {
        let place = |file: &str| self.root.join(file);
        let text = |path: &Path| path.display().to_string();
        let extension = place("confluent.ext");
        host_folder::install(&programs.extension, &extension)?;
        let (autoload, flags) = (place("extensions.load"), place("osqueryd.flags"));
        let (config, pidfile) = (place("osquery_confluent_config.json"), place("osqueryd.pid"));
        write_atomically(&autoload, format!("{}\n", extension.display()).as_bytes())?;
        write_atomically(&config, configuration.as_bytes())?;
        let values = [
            ("database_path", text(&place("osquery.db"))),
            ("pidfile", text(&pidfile)),
            ("extensions_socket", text(&self.socket)),
            ("extensions_autoload", text(&autoload)),
            ("host_identifier", "specified".to_owned()),
            ("specified_identifier", name.to_owned()),
        ];
        write_atomically(&flags, host_folder::with_flags(FLAGS, &values).as_bytes())?;
        let own = |variable: &str| env::var(variable).ok().map(|value| (variable.to_owned(), value));
        let mut environment: BTreeMap<String, String> =
            ["USER", "LOGNAME"].into_iter().filter_map(own).collect();
        environment.insert("OSQUERY_CONFIG".to_owned(), text(&config));
        environment.insert("OSQDEMO_SPOOL_DIR".to_owned(), text(&self.spool));
        let spec = HostSpec {
            hostname: name.to_owned(),
            isolation: Isolation::Marked {
                reason: "it is this machine".to_owned(),
            },
            folder: self.root.clone(),
            home: env::home_dir().unwrap_or_else(|| PathBuf::from("/")),
            mounts: Vec::new(),
            stale: vec![pidfile, self.socket.clone()],
            argv: vec![
                text(programs.osqueryd.path()),
                format!("--flagfile={}", flags.display()),
            ],
            environment,
            stop_grace_ms: GRACE_MS,
        };
        host_folder::write_spec(&self.spec_file(), &spec)?;
        Ok(spec)
    }

    /// Whether it is still there.
    pub(super) fn exists(&self) -> bool {
        self.root.exists()
    }

    /// Whether the extension has put lines aside that no topic takes.
    pub(super) fn has_dead_letters(&self) -> bool {
        ["dead-letters", "dead-letters.old"]
            .iter()
            .any(|file| self.spool.join(file).exists())
    }

    /// Removes it.
    pub(super) fn remove(self) -> Result<()> {
        Ok(fs::remove_dir_all(&self.root).map_err(|error| StateError::io("remove", &self.root, error))?)
    }
}
