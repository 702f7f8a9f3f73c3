//! Processes by pid and start time: a pid alone may by now belong to somebody else.

use std::fs;
use std::future::ready;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::waiting::poll_within;

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
        let Stat {
            state, start_time, ..
        } = Stat::of(pid)?;
        (state != 'Z' && state != 'X').then_some(Self { pid, start_time })
    }

    /// Whether it is still there (a zombie is not).
    pub fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Whether it is there but does nothing, since somebody stopped it (SIGSTOP, a debugger).
    pub fn is_stopped(self) -> bool {
        Stat::of(self.pid).is_some_and(|stat| stat.start_time == self.start_time && stat.is_stopped())
    }

    /// Those that are stopped, of this process and all below it that are of its session. Of another session is what
    /// somebody began from a terminal and left behind. A system that does not tell who is below whom (a kernel without
    /// `CONFIG_PROC_CHILDREN`) has only the process itself.
    pub fn stopped_below(self) -> Vec<Self> {
        let Some(own) = Stat::of(self.pid).filter(|stat| stat.start_time == self.start_time) else {
            return Vec::new();
        };
        let session = own.session;
        let mut stopped = Vec::new();
        let mut to_see = vec![(self.pid, own)];
        while let Some((pid, stat)) = to_see.pop() {
            let start_time = stat.start_time;
            if stat.is_stopped() {
                stopped.push(Self { pid, start_time });
            }
            let below = children_by_thread(pid);
            let below = below.into_iter().filter_map(|pid| Some((pid, Stat::of(pid)?)));
            // A pid that was given anew meanwhile is no child, and nobody is older than who began it.
            to_see.extend(below.filter(|(_, below)| {
                below.session == session && below.parent == pid && below.start_time >= start_time
            }));
        }
        stopped
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
        let look = || ready((!self.is_alive()).then_some(Ending::Ended));
        poll_within(limit, POLL, look).await.unwrap_or(Ending::StillThere)
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
        .filter(|pid| Stat::of(*pid).is_some_and(|stat| stat.parent == parent))
        .collect()
}

/// A process and all that descend from it, parents first. A look at every process there is for each of them, as on a
/// kernel without `CONFIG_PROC_CHILDREN`, takes a busy machine half a second.
pub fn tree(root: u32) -> Vec<ProcessId> {
    let children = if Path::new("/proc/thread-self/children").exists() {
        children_by_thread
    } else {
        children
    };
    let mut pids = vec![root];
    let mut next = 0;
    while let Some(pid) = pids.get(next) {
        pids.extend(children(*pid));
        next += 1;
    }
    pids.into_iter().filter_map(ProcessId::of).collect()
}

/// The children of a process, without a look at every process there is.
fn children_by_thread(parent: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten();
    let children = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok());
    children
        .flat_map(|pids| {
            let pids = pids.split_whitespace().filter_map(|pid| pid.parse().ok());
            pids.collect::<Vec<u32>>()
        })
        .collect()
}

/// The command line of a process; empty when it cannot be read.
pub fn arguments(pid: u32) -> Vec<String> {
    let text = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    text.split(|byte| *byte == 0)
        .map(|argument| String::from_utf8_lossy(argument).into_owned())
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

/// A variable that tells of which service of its project a process is.
pub const SERVICE_VARIABLE: &str = "OSQDEMO_SERVICE";

/// Kills what is left of a host without namespaces: every process that carries its mark.
pub fn kill_marked(host_folder: &Path) {
    kill_with(HOST_VARIABLE, host_folder);
}

/// Kills what is left of a project: every process that was started for it and carries its mark. Which they are is the
/// answer: a killed process needs a moment to end.
pub fn kill_of_project(project_folder: &Path) -> Vec<ProcessId> {
    kill_with(PROJECT_VARIABLE, project_folder)
}

fn kill_with(variable: &str, folder: &Path) -> Vec<ProcessId> {
    let mut killed = Vec::new();
    // A process may fork while it is being looked for: go on until a look finds nobody, but not for ever.
    for _ in 0..5 {
        let marked = with_environment(variable, &folder.display().to_string());
        if marked.is_empty() {
            break;
        }
        for process in marked {
            process.signal(Signal::KILL);
            killed.push(process);
        }
    }
    killed
}

/// What `/proc/PID/stat` says of a process, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    state: char,
    parent: u32,
    session: u32,
    start_time: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        Self::read(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Reads the text of the file, in which the command in parentheses may contain anything.
    fn read(stat: &str) -> Option<Self> {
        let (_, fields) = stat.rsplit_once(')')?;
        // The first of these is the file's third.
        let fields: Vec<&str> = fields.split_whitespace().collect();
        Some(Self {
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            start_time: fields.get(19)?.parse().ok()?,
        })
    }

    fn is_stopped(self) -> bool {
        matches!(self.state, 'T' | 't')
    }
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
        let stat = "7 (a) b (c) S 1 7 6 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 1 1";
        let read = Stat {
            state: 'S',
            parent: 1,
            session: 6,
            start_time: 4242,
        };
        assert_eq!(Stat::read(stat), Some(read));
    }

    #[test]
    fn who_is_stopped_below_is_found_and_a_session_of_its_own_is_not_looked_into() {
        use std::io::{BufRead, BufReader};
        use std::process::{Child, Command, Stdio};

        /// Ends the processes, whatever became of them.
        struct Shell(Child);
        impl Drop for Shell {
            fn drop(&mut self) {
                // What is stopped ends too.
                let _ = self.0.kill();
                let _ = self.0.wait();
            }
        }

        // Each one tells its pid and waits until its standard input ends; `cat` in another session below too.
        let script = "sh -c 'echo $$; setsid sh -c \"echo \\$\\$; cat\" & exec cat' & echo $$; exec cat";
        let mut shell = Shell(
            Command::new("sh")
                .args(["-c", &format!("exec 3<&0; {}", script.replace("cat", "cat <&3"))])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("a shell"),
        );
        let mut lines = BufReader::new(shell.0.stdout.take().expect("its output")).lines();
        let mut told: Vec<u32> = Vec::new();
        while told.len() < 3 {
            let line = lines.next().expect("a line").expect("it is read");
            told.push(line.parse().expect("a pid"));
        }
        let own = ProcessId::of(shell.0.id()).expect("the shell");
        assert_eq!(own.stopped_below(), Vec::new());
        let stop = |pid: u32| {
            let process = ProcessId::of(pid).expect("a process");
            process.signal(Signal::STOP);
            let deadline = std::time::Instant::now() + Duration::from_secs(20);
            while !process.is_stopped() {
                assert!(std::time::Instant::now() < deadline, "it stops");
                std::thread::yield_now();
            }
            process
        };
        let is_of_session = |pid: &u32| {
            let session = |pid| Stat::of(pid).expect("a process").session;
            session(*pid) == session(own.pid)
        };
        let (same, other): (Vec<u32>, Vec<u32>) = told.into_iter().partition(is_of_session);
        assert_eq!((same.len(), other.len()), (2, 1));
        stop(other[0]);
        assert_eq!(own.stopped_below(), Vec::new());
        let below: Vec<ProcessId> = same.into_iter().filter(|pid| *pid != own.pid).map(stop).collect();
        assert_eq!(own.stopped_below(), below);
        for process in below
            .into_iter()
            .chain(other.into_iter().filter_map(ProcessId::of))
        {
            process.signal(Signal::KILL);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
            let _ = Stat::read(&text);
        }
    }
}
