//! Reading `/proc` frugally: one reused buffer, paths relative to one open folder, no process ever an error.
//!
//! Where the hosts of a project share one PID namespace, a [`Scope`] narrows the view to the processes whose environment
//! holds one given `NAME=VALUE`, so that each agent sees its own process tree only.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Mode, OFlags, RawDir, Stat};

/// The longest link target that is read whole; the kernel's own limit for a path is one page.
const LINK_LENGTH: usize = 4096;
/// Room for one read; few files of `/proc` are longer, and no page of the kernel is smaller.
const READ_LENGTH: usize = 4096;
/// No line of a socket list is longer: addresses and numbers, or a path of 108 bytes.
const SOCKET_LINE: usize = 1024;
/// How long a process that does not carry the scope's variable is looked at again on every scan: between `fork` and
/// `exec` it still has its parent's environment.
const UNDECIDED: Duration = Duration::from_secs(5);
/// How often a process outside the scope is looked at again after that.
const RECHECK: Duration = Duration::from_secs(30);

/// The process file system, seen through an optional scope.
#[derive(Debug)]
pub(crate) struct ProcFs {
    root: OwnedFd,
    scope: Option<Scope>,
}

/// Which processes are this host's: those whose environment holds `variable` (`NAME=VALUE`).
#[derive(Debug)]
pub(crate) struct Scope {
    variable: Vec<u8>,
    /// The inode of `/proc/PID` tells a process from a later one with the same id.
    decisions: Mutex<HashMap<(i32, u64), Decision>>,
}

#[derive(Debug, Clone, Copy)]
struct Decision {
    inside: bool,
    first_seen: Instant,
    checked: Instant,
    generation: u64,
}

/// How a file of `/proc` is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pieces {
    One,
    Many,
    /// Each as many lines of a socket list as go into a page.
    Sockets,
}

/// The buffers of one scan.
#[derive(Debug)]
pub(crate) struct Reader<'proc> {
    proc: &'proc ProcFs,
    path: String,
    content: Vec<u8>,
    link: Box<[u8; LINK_LENGTH]>,
}

impl Scope {
    pub(crate) fn new(variable: impl Into<Vec<u8>>) -> Self {
        Self {
            variable: variable.into(),
            decisions: Mutex::default(),
        }
    }

    /// Drops the processes outside the scope.
    fn retain(&self, processes: &mut Vec<(i32, u64)>, reader: &mut Reader<'_>) {
        let now = Instant::now();
        let mut decisions = self.decisions.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = decisions
            .values()
            .next()
            .map_or(0, |decision| decision.generation)
            .wrapping_add(1);
        processes.retain(|&key| {
            let decision = decisions.entry(key).or_insert_with(|| Decision {
                inside: reader.environment_holds(key.0, &self.variable),
                first_seen: now,
                checked: now,
                generation,
            });
            decision.generation = generation;
            let age = now.duration_since(decision.first_seen);
            let due = age < UNDECIDED || now.duration_since(decision.checked) >= RECHECK;
            if !decision.inside && due {
                decision.inside = reader.environment_holds(key.0, &self.variable);
                decision.checked = now;
            }
            decision.inside
        });
        decisions.retain(|_, decision| decision.generation == generation);
    }
}

impl ProcFs {
    pub(crate) fn open(scope: Option<Scope>) -> io::Result<Self> {
        let root = rustix::fs::open(
            "/proc",
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        Ok(Self { root, scope })
    }

    /// Whether only a part of the machine's processes is this host's.
    pub(crate) fn is_scoped(&self) -> bool {
        self.scope.is_some()
    }

    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader {
            proc: self,
            path: String::with_capacity(64),
            content: Vec::with_capacity(4096),
            link: Box::new([0; LINK_LENGTH]),
        }
    }
}

impl Reader<'_> {
    /// The processes of a scan, in ascending order: all of them, or those of `wanted` that exist.
    pub(crate) fn processes(&mut self, wanted: Option<&[i64]>) -> io::Result<Vec<i32>> {
        let mut processes = match wanted {
            Some(wanted) => wanted.iter().filter_map(|&pid| self.process(pid)).collect(),
            None => self.all_processes()?,
        };
        let proc = self.proc;
        if let Some(scope) = &proc.scope {
            if wanted.is_none() {
                scope.retain(&mut processes, self);
            } else {
                processes.retain(|&(pid, _)| self.environment_holds(pid, &scope.variable));
            }
        }
        let mut processes: Vec<i32> = processes.into_iter().map(|(pid, _)| pid).collect();
        processes.sort_unstable();
        Ok(processes)
    }

    /// The content of `/proc/PID/NAME`, or `None` when the process is gone or does not let us read it. Only for the
    /// files that the kernel gives in one piece: `stat`, `status`, `cmdline` and the like.
    pub(crate) fn read(&mut self, pid: i32, name: &str) -> Option<&[u8]> {
        self.set_path(pid, name);
        self.read_path(Pieces::One).ok()?;
        Some(&self.content)
    }

    /// The content of a list like `/proc/PID/maps`, which the kernel gives piece by piece.
    pub(crate) fn read_list(&mut self, pid: i32, name: &str) -> Option<&[u8]> {
        self.set_path(pid, name);
        self.read_path(Pieces::Many).ok()?;
        Some(&self.content)
    }

    /// The same of a list of sockets, `/proc/PID/net/NAME`. To say that it has ended, the kernel goes through all of its
    /// table of connections once more: on a machine with large tables that was half of what such a list cost.
    pub(crate) fn read_sockets(&mut self, pid: i32, name: &str) -> Option<&[u8]> {
        self.set_path(pid, "net/");
        self.path.push_str(name);
        self.read_path(Pieces::Sockets).ok()?;
        Some(&self.content)
    }

    /// The content of a file of `/proc` that belongs to no process, like `net/arp`.
    pub(crate) fn read_global(&mut self, path: &str) -> io::Result<&[u8]> {
        self.path.clear();
        self.path.push_str(path);
        self.read_path(Pieces::Many)?;
        Ok(&self.content)
    }

    /// The target of the link `/proc/PID/NAME`.
    pub(crate) fn link(&mut self, pid: i32, name: &str) -> Option<&[u8]> {
        self.set_path(pid, name);
        let length =
            rustix::fs::readlinkat_raw(&self.proc.root, self.path.as_str(), &mut self.link[..]).ok()?;
        Some(&self.link[..length])
    }

    /// What `/proc/PID/NAME` leads to, across namespaces.
    pub(crate) fn stat(&mut self, pid: i32, name: &str) -> Option<Stat> {
        self.set_path(pid, name);
        rustix::fs::statat(&self.proc.root, self.path.as_str(), AtFlags::empty()).ok()
    }

    /// Visits every open descriptor of a process with the text of its link.
    pub(crate) fn descriptors(&mut self, pid: i32, mut visit: impl FnMut(i64, &[u8])) -> Option<()> {
        self.set_path(pid, "fd");
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(&self.proc.root, self.path.as_str(), flags, Mode::empty()).ok()?;
        let mut entries = [MaybeUninit::uninit(); 4096];
        let mut directory = RawDir::new(folder.as_fd(), &mut entries);
        while let Some(Ok(entry)) = directory.next() {
            let Some(descriptor) = entry.file_name().to_str().ok().and_then(|name| name.parse().ok()) else {
                continue;
            };
            if let Ok(length) = rustix::fs::readlinkat_raw(&folder, entry.file_name(), &mut self.link[..]) {
                visit(descriptor, &self.link[..length]);
            }
        }
        Some(())
    }

    fn all_processes(&self) -> io::Result<Vec<(i32, u64)>> {
        // A second open of the folder: reading one shared open folder would move its position under another scan.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(&self.proc.root, ".", flags, Mode::empty())?;
        let mut buffer = vec![MaybeUninit::uninit(); 16 * 1024];
        let mut directory = RawDir::new(folder, &mut buffer);
        let mut processes = Vec::new();
        while let Some(entry) = directory.next() {
            let entry = entry?;
            if let Some(pid) = entry.file_name().to_str().ok().and_then(|name| name.parse().ok()) {
                processes.push((pid, entry.ino()));
            }
        }
        Ok(processes)
    }

    fn process(&mut self, pid: i64) -> Option<(i32, u64)> {
        let pid = i32::try_from(pid).ok().filter(|&pid| pid > 0)?;
        self.stat(pid, "").map(|stat| (pid, stat.st_ino))
    }

    fn environment_holds(&mut self, pid: i32, variable: &[u8]) -> bool {
        self.read(pid, "environ").is_some_and(|environment| {
            environment
                .split(|&byte| byte == 0)
                .any(|entry| entry == variable)
        })
    }

    fn set_path(&mut self, pid: i32, name: &str) {
        self.path.clear();
        // Writing to a string cannot fail.
        let _ = write!(self.path, "{pid}/{name}");
    }

    fn read_path(&mut self, pieces: Pieces) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.proc.root, self.path.as_str(), flags, Mode::empty())?;
        self.content.clear();
        loop {
            self.content.reserve(READ_LENGTH);
            let room = self.content.capacity() - self.content.len();
            let length = rustix::io::read(&file, rustix::buffer::spare_capacity(&mut self.content))?;
            // A read that does not fill the room has met the end; asking again would cost a third of all calls.
            let is_last = match pieces {
                Pieces::One => length < room,
                Pieces::Many => false,
                // Another line would have had its place in this one.
                Pieces::Sockets => length + SOCKET_LINE < READ_LENGTH,
            };
            if length == 0 || is_last {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn finds_this_process_and_its_files() {
        let proc = ProcFs::open(None).unwrap();
        let mut reader = proc.reader();
        let pid = i32::try_from(std::process::id()).unwrap();
        assert!(reader.processes(None).unwrap().contains(&pid));
        assert_eq!(
            reader
                .processes(Some(&[i64::from(pid), -4, 0, i64::MAX]))
                .unwrap(),
            [pid]
        );
        assert!(
            reader
                .read(pid, "stat")
                .unwrap()
                .starts_with(pid.to_string().as_bytes())
        );
        assert_eq!(
            reader.link(pid, "exe").unwrap(),
            std::env::current_exe().unwrap().as_os_str().as_encoded_bytes()
        );
        let mut descriptors = 0;
        reader.descriptors(pid, |_, _| descriptors += 1).unwrap();
        assert!(descriptors > 0);
    }

    #[test]
    fn a_process_that_is_gone_is_no_error() {
        let mut child = Command::new("true").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        child.wait().unwrap();
        let proc = ProcFs::open(None).unwrap();
        let mut reader = proc.reader();
        assert!(reader.processes(Some(&[i64::from(pid)])).unwrap().is_empty());
        assert!(reader.read(pid, "stat").is_none());
        assert!(reader.link(pid, "exe").is_none());
        assert!(reader.descriptors(pid, |_, _| ()).is_none());
    }

    #[test]
    fn a_scope_shows_only_processes_that_carry_its_variable() {
        let inside = Command::new("sleep")
            .arg("30")
            .env("OSQDEMO_TEST_SCOPE", "procfs-a")
            .spawn()
            .unwrap();
        let outside = Command::new("sleep")
            .arg("30")
            .env("OSQDEMO_TEST_SCOPE", "procfs-ab")
            .spawn()
            .unwrap();
        let proc = ProcFs::open(Some(Scope::new("OSQDEMO_TEST_SCOPE=procfs-a"))).unwrap();
        let mut reader = proc.reader();
        let ids = [&inside, &outside].map(|child| i64::from(child.id()));
        // A child that was just spawned takes a moment to get its own environment.
        let deadline = Instant::now() + Duration::from_secs(10);
        let seen = loop {
            let seen = reader.processes(None).unwrap();
            if !seen.is_empty() || Instant::now() > deadline {
                break seen;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let narrowed = reader.processes(Some(&ids)).unwrap();
        let again = reader.processes(None).unwrap();
        for mut child in [inside, outside] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert_eq!(seen, [i32::try_from(ids[0]).unwrap()]);
        assert_eq!(again, seen);
        assert_eq!(narrowed, seen);
    }
}
