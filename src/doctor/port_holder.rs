//! Who listens on a port: from `/proc/net/tcp` to the socket's inode, from there to the process that has it
//! open. What belongs to other users stays unnamed when we are not allowed to look.

use std::fmt;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use crate::engine::native::process::{PROJECT_VARIABLE, all, environment_variable};

/// TCP's state LISTEN as `/proc/net/tcp` writes it.
const LISTEN: &str = "0A";

/// Whether a port can be listened on.
#[derive(Debug)]
pub enum PortState {
    /// It can.
    Free,
    /// Somebody listens already.
    Held(Holder),
    /// The system refuses for another reason.
    Unusable(io::Error),
}

/// Who listens on a port.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holder {
    /// The process and its name, when we may know it.
    process: Option<(u32, String)>,
    /// The folder of the osqdemo project that it belongs to.
    project: Option<PathBuf>,
}

impl PortState {
    /// The state of a port on the loopback address.
    pub fn of(port: u16) -> Self {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => Self::Free,
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Self::Held(Holder::of(port)),
            Err(error) => Self::Unusable(error),
        }
    }
}

impl Holder {
    /// The folder of the osqdemo project that the holder belongs to.
    pub fn project(&self) -> Option<&Path> {
        self.project.as_deref()
    }

    fn of(port: u16) -> Self {
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
        let inodes: Vec<u64> = tables
            .iter()
            .flat_map(|table| listening_inodes(&fs::read_to_string(table).unwrap_or_default(), port))
            .collect();
        let Some(pid) = all().find(|pid| has_socket_open(*pid, &inodes)) else {
            return Self::default();
        };
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let project = environment_variable(pid, PROJECT_VARIABLE).map(PathBuf::from);
        Self {
            process: Some((pid, name.trim_end().to_owned())),
            project,
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.process {
            Some((pid, name)) => write!(formatter, "process {pid} (`{name}`)")?,
            None => formatter.write_str("a process of another user")?,
        }
        match &self.project {
            Some(project) => write!(formatter, " of the osqdemo project `{}`", project.display()),
            None => Ok(()),
        }
    }
}

fn has_socket_open(pid: u32, inodes: &[u64]) -> bool {
    fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| {
            fs::read_link(entry.path())
                .ok()
                .and_then(|link| {
                    link.to_str()?
                        .strip_prefix("socket:[")?
                        .strip_suffix(']')?
                        .parse()
                        .ok()
                })
                .is_some_and(|inode: u64| inodes.contains(&inode))
        })
}

/// The inodes of the sockets that listen on `port`, from the text of `/proc/net/tcp` or `tcp6`.
fn listening_inodes(table: &str, port: u16) -> Vec<u64> {
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
            let is_it = u16::from_str_radix(local_port, 16) == Ok(port) && *fields.get(3)? == LISTEN;
            if is_it { fields.get(9)?.parse().ok() } else { None }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_holder_of_a_port_is_named() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let PortState::Held(holder) = PortState::of(port) else {
            panic!("the port is held")
        };
        let (pid, name) = holder.process.clone().expect("our own process may be looked at");
        assert_eq!(pid, std::process::id());
        assert!(!name.is_empty());
        assert!(holder.to_string().starts_with(&format!("process {pid} (`")));
        drop(listener);
        assert!(matches!(PortState::of(port), PortState::Free));
    }

    #[test]
    fn only_listening_sockets_count() {
        let table = "  sl  local_address rem_address st\n\
             0: 0100007F:2384 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1001 1\n\
             1: 0100007F:2384 0100007F:9999 01 00000000:00000000 00:00000000 00000000 0 0 1002 1\n\
             2: 0100007F:2385 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1003 1\n";
        assert_eq!(listening_inodes(table, 0x2384), [1001]);
        assert_eq!(listening_inodes("", 1), [] as [u64; 0]);
    }

    proptest! {
        #[test]
        fn any_table_is_read(table in "([0-9A-F:]{0,14}[ \n]){0,60}", port in 0_u16..) {
            let _ = listening_inodes(&table, port);
        }
    }
}
