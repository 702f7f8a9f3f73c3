//! The system, disk and memory.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{Access, AtFlags, CWD, accessat};

use crate::doctor::{Check, Status};
use crate::stack::Stack;

/// Below this much free disk the stack is not started, in MiB.
const LEAST_DISK: u64 = 64;

/// Below this much free disk the usual scenario (a file of 1 GiB) may not fit, in MiB.
const USUAL_DISK: u64 = 2048;

/// How long a connection of this machine to itself may take.
const LOOPBACK_LIMIT: Duration = Duration::from_secs(2);

/// Why nothing can be written into `folder`, or the nearest one above it that exists; nothing when it can.
pub(super) fn unwritable(folder: &Path) -> Option<io::Error> {
    let existing = folder.ancestors().find(|folder| folder.exists())?;
    accessat(
        CWD,
        existing,
        Access::WRITE_OK | Access::EXEC_OK,
        AtFlags::EACCESS,
    )
    .err()
    .map(io::Error::from)
}

/// Whether this machine reaches itself: every service is asked over that.
pub(super) fn loopback() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    TcpStream::connect_timeout(&listener.local_addr()?, LOOPBACK_LIMIT).map(drop)
}

pub(super) fn check_loopback() -> Check {
    let failure = loopback().err();
    Check {
        category: "machine",
        name: "loopback".to_owned(),
        status: if failure.is_none() {
            Status::Pass
        } else {
            Status::Fail
        },
        message: match &failure {
            None => "127.0.0.1 answers".to_owned(),
            Some(error) => format!("nothing on this machine can be reached at 127.0.0.1: {error}"),
        },
        fix: failure.map(|_| LOOPBACK_UP.to_owned()),
    }
}

/// What helps where a machine does not reach itself.
pub(super) const LOOPBACK_UP: &str = "`ip link set lo up`, as root, starts the loopback interface";

/// Free and needed MiB, when there is too little disk to start.
pub(super) fn disk_shortage(folder: &Path) -> Option<(u64, u64)> {
    free_disk(folder)
        .filter(|free| *free < LEAST_DISK)
        .map(|free| (free, LEAST_DISK))
}

pub(super) fn check_disk(folder: &Path) -> Check {
    if let Some(error) = unwritable(folder) {
        return Check {
            category: "machine",
            name: format!("disk of `{}`", folder.display()),
            status: Status::Fail,
            message: format!("nothing can be written: {error}"),
            fix: Some("set `OSQDEMO_HOME` to a folder that can be written to".to_owned()),
        };
    }
    let free = free_disk(folder);
    let (status, message) = match free {
        None => (Status::Warn, "its size is unknown".to_owned()),
        Some(free) if free < LEAST_DISK => (Status::Fail, format!("only {free} MiB are free")),
        Some(free) if free < USUAL_DISK => (
            Status::Warn,
            format!("{free} MiB are free; a scenario with a file of 1 GiB needs more"),
        ),
        Some(free) => (Status::Pass, format!("{free} MiB are free")),
    };
    Check {
        category: "machine",
        name: format!("disk of `{}`", folder.display()),
        status,
        message,
        fix: (status != Status::Pass)
            .then(|| "free some space, or set `OSQDEMO_HOME` to a folder on another disk".to_owned()),
    }
}

pub(super) fn check_memory(stack: &Stack) -> Check {
    let needed = stack.memory() >> 20;
    let available = available_memory();
    let (status, message) = match available {
        None => (Status::Warn, "it is unknown how much is available".to_owned()),
        Some(available) if available < needed => (
            Status::Warn,
            format!("{available} MiB are available, the stack needs about {needed} MiB"),
        ),
        Some(available) => (
            Status::Pass,
            format!("{available} MiB are available, the stack needs about {needed} MiB"),
        ),
    };
    Check {
        category: "machine",
        name: "memory".to_owned(),
        status,
        message,
        fix: (status != Status::Pass).then(|| "end something else first".to_owned()),
    }
}

/// The system, and whether Windows is below it.
pub(super) fn check_system() -> Check {
    let kernel = rustix::system::uname();
    system(&kernel.release().to_string_lossy())
}

/// WSL 1 has no kernel of Linux, hence no namespaces and no Docker; both name Microsoft in their version.
fn system(release: &str) -> Check {
    let lower = release.to_ascii_lowercase();
    let (status, message, fix) = if !lower.contains("microsoft") {
        (Status::Pass, format!("Linux {release}"), None)
    } else if lower.contains("wsl2") {
        (Status::Pass, format!("Linux {release}, on Windows (WSL 2)"), None)
    } else {
        (
            Status::Warn,
            format!("{release}: WSL 1 runs neither containers nor hosts with namespaces of their own"),
            Some("`wsl --set-version DISTRIBUTION 2` in a terminal of Windows".to_owned()),
        )
    };
    Check {
        category: "machine",
        name: "system".to_owned(),
        status,
        message,
        fix,
    }
}

/// Free disk for this user on the disk of `folder`, or of the nearest folder above it that exists; in MiB.
fn free_disk(folder: &Path) -> Option<u64> {
    let existing = folder.ancestors().find(|folder| folder.exists())?;
    let status = rustix::fs::statvfs(existing).ok()?;
    Some(status.f_bavail.saturating_mul(status.f_frsize) >> 20)
}

/// In MiB.
fn available_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes >> 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_reaches_itself() {
        assert_eq!(check_loopback().status, Status::Pass);
    }

    #[test]
    fn windows_is_recognized() {
        let cases = [
            ("6.1.0-18-amd64", Status::Pass, "Linux 6.1.0-18-amd64"),
            (
                "5.15.153.1-microsoft-standard-WSL2",
                Status::Pass,
                "Linux 5.15.153.1-microsoft-standard-WSL2, on Windows (WSL 2)",
            ),
            (
                "4.4.0-19041-Microsoft",
                Status::Warn,
                "4.4.0-19041-Microsoft: WSL 1 runs neither containers nor hosts with namespaces of their own",
            ),
        ];
        for (release, status, message) in cases {
            let check = system(release);
            assert_eq!((check.status, check.message.as_str()), (status, message));
            assert_eq!(check.fix.is_some(), status != Status::Pass);
        }
    }
}
