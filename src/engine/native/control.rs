//! How `osqdemo` talks to a project's supervisor: JSON lines over a Unix socket, one answer a request.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::plan::ObservedService;
use crate::process::ProcessId;
use crate::stack::ServiceName;

/// What is asked of the supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// Tell what you look after.
    Observe,
    /// Start a service.
    Start(Box<ServiceProcess>),
    /// The service was healthy: start it again when it ends unasked.
    Prove {
        /// The service.
        service: ServiceName,
    },
    /// Stop a service; answered when it is gone.
    Stop {
        /// The service.
        service: ServiceName,
    },
    /// Kill what is being stopped.
    Hurry,
    /// Stop everything and end; answered when everything is gone.
    Close,
}

/// What the supervisor answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "response", rename_all = "snake_case")]
pub enum Response {
    /// What it looks after.
    Observed(Records),
    /// It is done.
    Done,
    /// It could not be done.
    Failed {
        /// Why, as a fragment of a sentence.
        reason: String,
    },
}

/// How to run a service as a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceProcess {
    /// The service.
    pub service: ServiceName,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The whole environment.
    pub environment: BTreeMap<String, String>,
    /// The working folder.
    pub folder: PathBuf,
    /// The file that standard output and standard error go to.
    pub log: PathBuf,
    /// The folder of a host without namespaces, whose processes carry a mark.
    pub marked_host: Option<PathBuf>,
    /// The hash of its definition.
    pub config_hash: String,
    /// Tells the configuration of the user's that it has, where it is a host with one.
    pub host_config: Option<String>,
    /// The port it listens on.
    pub port: Option<u16>,
    /// The services it depends on: stopped after it.
    pub depends_on: Vec<ServiceName>,
    /// How long it may take to end when asked to, in milliseconds.
    pub stop_grace_ms: u64,
}

/// The supervisor and its services: its answer, and the content of `services.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Records {
    /// The supervisor itself.
    pub supervisor: ProcessId,
    /// Its services.
    pub services: BTreeMap<ServiceName, Record>,
}

/// A service of the supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// As engines see it.
    #[serde(flatten)]
    pub service: ObservedService,
    /// Its last process.
    pub process: Option<ProcessId>,
    /// Where its current run begins in its log.
    pub log_starts_at: u64,
    /// The folder of a host without namespaces.
    pub marked_host: Option<PathBuf>,
    /// How long it may take to end when asked to, in milliseconds.
    pub stop_grace_ms: u64,
}

/// A connection to a supervisor.
pub struct Connection {
    stream: BufReader<UnixStream>,
}

impl Connection {
    /// Connects; an error means that there is no supervisor.
    ///
    /// # Errors
    /// When nobody listens on the socket.
    pub async fn open(socket: &Path) -> io::Result<Self> {
        Ok(Self {
            stream: BufReader::new(UnixStream::connect(socket).await?),
        })
    }

    /// Asks and waits for the answer, at most for `limit`.
    ///
    /// # Errors
    /// When the supervisor goes away, answers nonsense or does not answer in time.
    pub async fn ask(&mut self, request: &Request, limit: Duration) -> io::Result<Response> {
        let exchange = async {
            let mut line = serde_json::to_vec(request)?;
            line.push(b'\n');
            self.stream.get_mut().write_all(&line).await?;
            let mut answer = String::new();
            if self.stream.read_line(&mut answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Ok(serde_json::from_str(&answer)?)
        };
        timeout(limit, exchange)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::{Exit, ServiceState};

    fn state() -> impl Strategy<Value = ServiceState> {
        let exit = prop_oneof![
            any::<i32>().prop_map(Exit::Code),
            any::<i32>().prop_map(Exit::Signal)
        ];
        prop_oneof![
            any::<u32>().prop_map(|pid| ServiceState::Running { pid }),
            any::<u32>().prop_map(|pid| ServiceState::Leftover { pid }),
            any::<u32>().prop_map(|pid| ServiceState::Paused { pid }),
            exit.clone().prop_map(|exit| ServiceState::Restarting { exit }),
            exit.prop_map(|exit| ServiceState::Exited { exit }),
        ]
    }

    proptest! {
        #[test]
        fn answers_are_read_back(
            state in state(),
            name in "\\PC{1,20}",
            path in "\\PC{0,40}",
            pid in any::<u32>(),
            number in any::<u64>(),
            port in any::<Option<u16>>(),
        ) {
            let record = Record {
                service: ObservedService {
                    state,
                    config_hash: path.clone(),
                    port,
                    started_at: i64::from(pid),
                    restarts: pid,
                    host_config: Some(path.clone()),
                    container: None,
                },
                process: Some(ProcessId { pid, start_time: number }),
                log_starts_at: number,
                marked_host: Some(PathBuf::from(path)),
                stop_grace_ms: number,
            };
            let response = Response::Observed(Records {
                supervisor: ProcessId { pid, start_time: number },
                services: BTreeMap::from([(ServiceName::new(name), record)]),
            });
            let line = serde_json::to_string(&response).expect("JSON");
            prop_assert!(!line.contains('\n'), "one answer is one line");
            prop_assert_eq!(serde_json::from_str::<Response>(&line).expect("the answer"), response);
        }

        #[test]
        fn any_line_is_a_request_or_refused(line in "\\PC{0,80}") {
            let _ = serde_json::from_str::<Request>(&line);
        }
    }
}
