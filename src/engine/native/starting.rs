//! How the supervisor is started, and a service by it: its command line, its folders, its environment.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, OpenOptions};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use super::{ANSWER_LIMIT, NativeEngine, NativeError, Setup};
use crate::engine::native::control::{Request, ServiceProcess};
use crate::engine::native::host_folder::{self, HostSettings};
use crate::engine::native::isolation::{self, Isolation};
use crate::engine::native::{programs, supervisor};
use crate::error::Result;
use crate::host_config;
use crate::plan::ServiceSpec;
use crate::process::{PROJECT_VARIABLE, SERVICE_VARIABLE};
use crate::stack::Role;
use crate::state::{StateError, private_folder};

/// How long the supervisor may take until it listens.
const OPEN_LIMIT: Duration = Duration::from_secs(10);

/// The variables of the caller that services inherit; everything else stays out of their environment.
const INHERITED: [&str; 9] = [
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "RUST_LOG",
    "RUST_BACKTRACE",
    "LD_LIBRARY_PATH",
    "SSL_CERT_FILE",
];

impl NativeEngine {
    pub(super) async fn start_supervisor(&self) -> Result<()> {
        let failed = |reason: String| NativeError::Supervisor {
            reason,
            log: self.supervisor_log_tail(),
        };
        let log = self.folder.supervisor_log();
        if let Some(folder) = log.parent() {
            private_folder(folder)?;
        }
        let log_file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(|error| StateError::io("open", &log, error))?;
        let mut child = Command::new(programs::own_path()?)
            .args(["--project", self.folder.project.as_str(), "supervise"])
            .env("OSQDEMO_HOME", self.folder.home())
            .env(PROJECT_VARIABLE, self.folder.root())
            // What is a service is said to its services alone.
            .env_remove(SERVICE_VARIABLE)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log_file)
            // A Ctrl-C at `up` is for `up`, from the first moment on.
            .process_group(0)
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let mut line = String::new();
        let ready = match child.stdout.take() {
            Some(stdout) => {
                let mut stdout = BufReader::new(stdout);
                timeout(OPEN_LIMIT, async { stdout.read_line(&mut line).await }).await
            }
            None => Ok(Ok(0)),
        };
        match ready {
            Ok(Ok(_)) if line.trim_end() == supervisor::READY => Ok(()),
            Ok(Ok(_)) => Err(failed("it ended at once".to_owned()).into()),
            Ok(Err(error)) => Err(failed(error.to_string()).into()),
            Err(_) => {
                let _ = child.start_kill();
                Err(failed(format!("it did not listen within {} s", OPEN_LIMIT.as_secs())).into())
            }
        }
    }

    fn supervisor_log_tail(&self) -> Vec<String> {
        let text = fs::read(self.folder.supervisor_log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let mut lines: Vec<String> = text.lines().rev().take(5).map(str::to_owned).collect();
        lines.reverse();
        lines
    }

    pub(super) async fn start_service(&self, spec: &ServiceSpec) -> Result<()> {
        let Some(setup) = &self.setup else {
            return Err(NativeError::Refused {
                action: "start",
                service: spec.name.clone(),
                reason: "the engine was opened without what starting takes".to_owned(),
            }
            .into());
        };
        let process = self.process_for(spec, setup)?;
        self.order(
            "start",
            &spec.name,
            &Request::Start(Box::new(process)),
            ANSWER_LIMIT,
        )
        .await
    }

    /// The command line of a service, and its folders.
    fn process_for(&self, spec: &ServiceSpec, setup: &Setup) -> Result<ServiceProcess> {
        let mut argv: Vec<String> = Vec::new();
        let mut marked_host = None;
        let folder = match spec.role {
            Role::Host => {
                let host = host_folder::prepare(&HostSettings {
                    folder: &self.folder,
                    host: &spec.name,
                    hostname: &spec.hostname,
                    programs: &setup.programs,
                    isolation: &setup.isolation,
                    configuration: &host_config::text_for(
                        setup.host_config.as_ref(),
                        spec.bootstrap_servers.as_deref().unwrap_or_default(),
                        &setup.kafka,
                        setup.registry.as_ref(),
                    ),
                })?;
                match host.isolation {
                    Isolation::Namespaces => argv.extend(isolation::UNSHARE.map(str::to_owned)),
                    Isolation::Marked { .. } => marked_host = Some(host.folder.clone()),
                }
                host.home
            }
            _ => self.folder.root().join("data").join(spec.name.as_str()),
        };
        private_folder(&folder)?;
        argv.push(setup.programs.osqdemo.display().to_string());
        argv.extend(spec.arguments.iter().cloned());
        Ok(ServiceProcess {
            service: spec.name.clone(),
            argv,
            environment: self.environment(spec),
            folder,
            log: self.folder.log_file(&spec.name),
            marked_host,
            config_hash: spec.config_hash.clone(),
            host_config: spec.host_config.clone(),
            port: spec.port,
            depends_on: spec.depends_on.clone(),
            stop_grace_ms: u64::try_from(spec.stop_grace.as_millis()).unwrap_or(u64::MAX),
        })
    }

    fn environment(&self, spec: &ServiceSpec) -> BTreeMap<String, String> {
        let mut environment: BTreeMap<String, String> = INHERITED
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), env::var(name).ok()?)))
            .collect();
        environment.insert(
            PROJECT_VARIABLE.to_owned(),
            self.folder.root().display().to_string(),
        );
        environment.insert(SERVICE_VARIABLE.to_owned(), spec.name.to_string());
        if let Some(clock) = &spec.clock {
            environment.insert(osqdemo_clock::VARIABLE.to_owned(), clock.display().to_string());
        }
        environment.insert(
            "OSQDEMO_HOME".to_owned(),
            self.folder.home().display().to_string(),
        );
        environment
    }
}
