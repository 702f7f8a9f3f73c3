//! Keeps extensions alive: restarts a program that has ended, and takes off the list what no longer answers.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use osquery_protocol::RouteUuid;
use osquery_protocol::client::ExtensionClient;

use super::process::ExtensionProcess;
use super::registrations::Registrations;
use super::socket_of;
use crate::shutdown::Shutdown;
use crate::status_log::StatusLog;

/// How often the programs are looked at; asking for an ended child costs one system call.
const LOOK: Duration = Duration::from_millis(250);
/// A program that ends sooner than this after its start is started again only after this time, as osqueryd does it.
const RESPAWN_PAUSE: Duration = Duration::from_secs(3);
/// How long an extension that has just registered is not asked: it may not serve its socket yet.
const YOUTH: Duration = Duration::from_secs(1);
/// How many pings in a row an extension may miss.
const MISSED_PINGS: u32 = 1;
/// How long an extension may take to answer a ping. osqueryd gives it 10 s, and forgives none.
const PING_PATIENCE: Duration = Duration::from_secs(5);

/// The thread that watches.
#[derive(Debug)]
pub(super) struct Watcher {
    stop: Shutdown,
    thread: JoinHandle<Vec<ExtensionProcess>>,
}

struct Watch {
    processes: Vec<ExtensionProcess>,
    socket: PathBuf,
    registrations: Arc<Registrations>,
    interval: Duration,
    status: StatusLog,
    missed: HashMap<RouteUuid, u32>,
}

impl Watcher {
    /// Starts the programs and the thread.
    pub(super) fn start(
        processes: Vec<ExtensionProcess>,
        socket: &Path,
        registrations: Arc<Registrations>,
        interval: Duration,
        status: StatusLog,
    ) -> std::io::Result<Self> {
        let socket = socket.to_owned();
        let mut watch = Watch {
            processes,
            socket,
            registrations,
            interval,
            status,
            missed: HashMap::new(),
        };
        watch.start_programs();
        let stop = Shutdown::default();
        let thread = thread::Builder::new().name("extension-watch".to_owned()).spawn({
            let stop = stop.clone();
            move || watch.run(&stop)
        })?;
        Ok(Self { stop, thread })
    }

    /// Ends the watch and hands the processes over.
    pub(super) fn stop(self) -> Vec<ExtensionProcess> {
        self.stop.request();
        // A watch that panicked has dropped its processes, which ends them.
        self.thread.join().unwrap_or_default()
    }
}

impl Watch {
    fn run(mut self, stop: &Shutdown) -> Vec<ExtensionProcess> {
        let mut next_ping = Instant::now() + self.interval;
        while !stop.wait(LOOK) {
            let mut ended = false;
            for process in &mut self.processes {
                if let Some(how) = process.ended() {
                    ended = true;
                    let program = process.program().display();
                    self.status
                        .warning(&format!("The extension {program} has ended: {how}"));
                }
            }
            if ended || Instant::now() >= next_ping {
                // One of the extensions is known to be gone: whoever misses this ping is it.
                self.ping(if ended { 0 } else { MISSED_PINGS });
                next_ping = Instant::now() + self.interval;
            }
            self.start_programs();
        }
        self.processes
    }

    fn start_programs(&mut self) {
        for process in &mut self.processes {
            let rests = process
                .started
                .is_some_and(|started| started.elapsed() < RESPAWN_PAUSE);
            if process.is_running() || rests {
                continue;
            }
            let again = process.started.is_some();
            match process.start() {
                Ok(pid) => {
                    let verb = if again { "Restarted" } else { "Started" };
                    self.status.info(&format!(
                        "{verb} the extension {} ({pid})",
                        process.program().display()
                    ));
                }
                Err(error) => {
                    process.started = Some(Instant::now());
                    self.status.error(&format!(
                        "Cannot start the extension {}: {error}",
                        process.program().display()
                    ));
                }
            }
        }
    }

    /// Asks each extension on a new connection whether it lives.
    fn ping(&mut self, allowed_misses: u32) {
        let uuids = self.registrations.older_than(YOUTH);
        self.missed.retain(|uuid, _| uuids.contains(uuid));
        for uuid in uuids {
            let answer = ExtensionClient::connect(&socket_of(&self.socket, uuid), PING_PATIENCE)
                .and_then(|mut extension| extension.ping());
            let reason = match answer {
                Ok(status) if status.is_success() => {
                    self.missed.remove(&uuid);
                    continue;
                }
                Ok(status) => status.message.to_text().into_owned(),
                Err(error) => error.to_string(),
            };
            let missed = self.missed.entry(uuid).or_default();
            *missed += 1;
            if *missed > allowed_misses {
                self.registrations.remove(uuid, &reason);
            }
        }
    }
}
