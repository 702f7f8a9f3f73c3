//! The processes that faults are done to. They are found from the process that the engine knows a service by, and
//! nothing is signalled that does not carry the project's mark or is not in the project's container.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::fault::Part;
use crate::plan::ObservedService;
use crate::process::{self, HOST_VARIABLE, PROJECT_VARIABLE, ProcessId, tree};

/// By what a process is known to be the project's.
#[derive(Debug, Clone)]
pub enum Mark {
    /// By the project's folder in its environment.
    Folder(PathBuf),
    /// By its container.
    Container(String),
}

impl Mark {
    /// That of a service of the project with this folder.
    pub fn of(seen: &ObservedService, folder: &Path) -> Self {
        match &seen.container {
            Some(container) => Self::Container(container.id.clone()),
            None => Self::Folder(folder.to_owned()),
        }
    }

    /// Whether the process carries the mark.
    pub fn is_on(&self, pid: u32) -> bool {
        match self {
            Self::Folder(folder) => {
                let marked = process::environment_variable(pid, PROJECT_VARIABLE);
                marked.is_some_and(|marked| Path::new(&marked) == folder)
            }
            // A daemon on another machine has pids that are somebody else's here.
            Self::Container(id) => fs::read_to_string(format!("/proc/{pid}/cgroup"))
                .is_ok_and(|text| !id.is_empty() && text.contains(id)),
        }
    }
}

/// The processes of a part of the service whose first process this is.
pub fn of_part(root: u32, part: Part) -> Vec<ProcessId> {
    let tree = tree(root);
    match part {
        Part::Whole | Part::Supervisor => tree,
        Part::Extension => named(tree, &["confluent.ext"]),
        Part::Osqueryd => named(tree, &["osqueryd", "osqdemo-agent"]),
    }
}

/// Those that run one of these programs.
fn named(processes: Vec<ProcessId>, programs: &[&str]) -> Vec<ProcessId> {
    let is_one = |process: &ProcessId| {
        fs::read_to_string(format!("/proc/{}/comm", process.pid))
            .is_ok_and(|name| programs.contains(&name.trim_end()))
    };
    processes.into_iter().filter(is_one).collect()
}

/// Sends a signal to all of them.
pub fn signal(processes: &[ProcessId], signal: Signal) {
    for process in processes {
        process.signal(signal);
    }
}

/// Processes that carry the mark of the project or of one of its hosts and that its supervisor does not look after.
pub fn strays(project: &Path, hosts: &[PathBuf], supervisor: u32) -> Vec<ProcessId> {
    let looked_after = tree(supervisor);
    let marked = [(PROJECT_VARIABLE, project)]
        .into_iter()
        .chain(hosts.iter().map(|host| (HOST_VARIABLE, host.as_path())));
    marked
        .flat_map(|(variable, folder)| process::with_environment(variable, &folder.display().to_string()))
        .filter(|process| !looked_after.contains(process) && process.is_alive())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_tree_is_found_and_named() {
        let mut shell = Command::new("sh")
            .args(["-c", "cat; true"])
            .env(PROJECT_VARIABLE, "/a/project")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let pid = shell.id();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        let cat = loop {
            let found = named(tree(pid), &["cat"]);
            // A program that is just being started has its name before its environment.
            if let [cat] = found[..]
                && Mark::Folder("/a/project".into()).is_on(cat.pid)
            {
                break cat;
            }
            assert!(std::time::Instant::now() < deadline, "the shell runs `cat`");
            std::thread::yield_now();
        };
        let all: Vec<u32> = tree(pid).iter().map(|process| process.pid).collect();
        assert_eq!(all, [pid, cat.pid]);
        assert!(!Mark::Folder("/a".into()).is_on(cat.pid));
        assert!(!Mark::Container(String::new()).is_on(cat.pid));
        assert!(!Mark::Container("0123456789ab".to_owned()).is_on(cat.pid));
        // Our own test looks after it; nobody else does.
        assert!(strays(Path::new("/a/project"), &[], std::process::id()).is_empty());
        assert_eq!(strays(Path::new("/a/project"), &[], cat.pid).len(), 1);
        signal(&[cat], Signal::KILL);
        shell.wait().unwrap();
        assert!(!cat.is_alive());
    }
}
