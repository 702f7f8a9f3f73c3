//! Processes by pid and start time: a pid alone may by now belong to somebody else.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

/// How often a process is looked at while it is expected to end.
const POLL: Duration = Duration::from_millis(5);

/// A process that can be told from a later one with the same pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// The pid.
    pub pid: u32,
    /// When it was started, in clock ticks since the machine's start (field 22 of `/proc/PID/stat`).
    pub start_time: u64,
}

/// Whether a process ended in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It is gone.
    Ended,
    /// It is still there.
    StillThere,
}

impl ProcessId {
    /// The process that has `pid` now.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (state, start_time) = state_and_start_time(&stat)?;
        (state != 'Z' && state != 'X').then_some(Self { pid, start_time })
    }

    /// Whether it is still there (a zombie is not).
    pub fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Whether it is there but does nothing, since somebody stopped it (SIGSTOP, a debugger).
    pub fn is_stopped(self) -> bool {
        let state = || {
            let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?;
            state_and_start_time(&stat)
        };
        state().is_some_and(|(state, start_time)| start_time == self.start_time && matches!(state, 'T' | 't'))
    }

    /// Sends a signal to this process and never to another one: the handle is opened first, then checked.
    pub fn signal(self, signal: Signal) {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            return;
        };
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else {
            return;
        };
        if self.is_alive() {
            // It may end between the check and the signal, which is what is wanted anyway.
            let _ = pidfd_send_signal(&handle, signal);
        }
    }

    /// Waits until it is gone, at most for `limit`.
    pub async fn ended(self, limit: Duration) -> Ending {
        let deadline = Instant::now() + limit;
        while self.is_alive() {
            if Instant::now() >= deadline {
                return Ending::StillThere;
            }
            sleep(POLL).await;
        }
        Ending::Ended
    }

    /// Ends it: waits for `grace` after SIGTERM, then kills it. One that was stopped is woken up to see the signal.
    pub async fn end(self, grace: Duration) -> Ending {
        self.signal(Signal::TERM);
        self.signal(Signal::CONT);
        if self.ended(grace).await == Ending::Ended {
            return Ending::Ended;
        }
        self.signal(Signal::KILL);
        self.ended(Duration::from_secs(2)).await
    }
}

/// Every process there is.
pub fn all() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// The children of a process.
pub fn children(parent: u32) -> Vec<u32> {
    all()
        .filter(|pid| {
            fs::read_to_string(format!("/proc/{pid}/stat"))
                .ok()
                .and_then(|stat| {
                    stat.rsplit_once(')')?
                        .1
                        .split_whitespace()
                        .nth(1)?
                        .parse::<u32>()
                        .ok()
                })
                == Some(parent)
        })
        .collect()
}

/// A variable of a process's environment.
pub fn environment_variable(pid: u32, name: &str) -> Option<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    environment.split(|byte| *byte == 0).find_map(|entry| {
        let value = entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        Some(String::from_utf8_lossy(value).into_owned())
    })
}

/// The processes other than our own whose environment carries `name=value`.
pub fn with_environment(name: &str, value: &str) -> Vec<ProcessId> {
    let ours = std::process::id();
    all()
        .filter(|pid| *pid != ours && environment_variable(*pid, name).as_deref() == Some(value))
        .filter_map(ProcessId::of)
        .collect()
}

/// A variable that marks every process of a host without namespaces.
pub const HOST_VARIABLE: &str = "OSQDEMO_HOST";

/// A variable that tells to which project a process belongs.
pub const PROJECT_VARIABLE: &str = "OSQDEMO_PROJECT_FOLDER";

/// Kills what is left of a host without namespaces: every process that carries its mark.
pub fn kill_marked(host_folder: &Path) {
    kill_with(HOST_VARIABLE, host_folder);
}

/// Kills what is left of a project: every process that was started for it and carries its mark.
pub fn kill_of_project(project_folder: &Path) {
    kill_with(PROJECT_VARIABLE, project_folder);
}

fn kill_with(variable: &str, folder: &Path) {
    // A process may fork while it is being looked for: go on until a look finds nobody, but not for ever.
    for _ in 0..5 {
        let marked = with_environment(variable, &folder.display().to_string());
        if marked.is_empty() {
            return;
        }
        for process in marked {
            process.signal(Signal::KILL);
        }
    }
}

/// State and start time from the text of `/proc/PID/stat`; the command in parentheses may contain anything.
fn state_and_start_time(stat: &str) -> Option<(char, u64)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?.chars().next()?;
    // The state is field 3, the start time field 22.
    let start_time = fields.nth(18)?.parse().ok()?;
    Some((state, start_time))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn we_are_alive() {
        let ours = ProcessId::of(std::process::id()).expect("our own process");
        assert!(ours.is_alive());
        let other = ProcessId {
            start_time: ours.start_time + 1,
            ..ours
        };
        assert!(!other.is_alive(), "a reused pid is another process");
    }

    #[test]
    fn a_command_with_parentheses_does_not_confuse() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 1 1";
        assert_eq!(state_and_start_time(stat), Some(('S', 4242)));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
            let _ = state_and_start_time(&text);
        }
    }
}
