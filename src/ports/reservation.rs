//! A port that an `up` has chosen, and that nothing listens on yet, is reserved: two of them that begin at the same
//! moment choose different ports.
//!
//! A reservation is the name of an abstract Unix socket. As with the port itself, the kernel gives it to one process
//! of the machine (of its network namespace, to be exact) and takes it back when that process ends, however it ends.

use std::fs;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use crate::ports::holder::process_with_socket;

/// A port that no other `up` chooses. Given back when dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    /// Nobody connects to it; nothing where the system has no such names, and then the port is simply not reserved.
    _listener: Option<UnixListener>,
}

/// Another `up` has the port.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reserved {
    /// Its process, when we may know it.
    pub(super) pid: Option<u32>,
}

impl Reservation {
    pub(super) fn take(port: u16) -> Result<Self, Reserved> {
        let name = name(port);
        let listener =
            SocketAddr::from_abstract_name(&name).and_then(|address| UnixListener::bind_addr(&address));
        match listener {
            Ok(listener) => Ok(Self {
                _listener: Some(listener),
            }),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                let table = fs::read_to_string("/proc/net/unix").unwrap_or_default();
                Err(Reserved {
                    pid: process_with_socket(&inodes(&table, &name)),
                })
            }
            Err(_) => Ok(Self { _listener: None }),
        }
    }
}

fn name(port: u16) -> String {
    format!("osqdemo-port-{port}")
}

/// The inodes of the sockets of that abstract name, from the text of `/proc/net/unix` (proc(5)).
fn inodes(table: &str, name: &str) -> Vec<u64> {
    let inode = |line: &str| {
        let mut fields = line.split_whitespace().skip(6);
        let inode = fields.next()?.parse().ok()?;
        (fields.next()?.strip_prefix('@')? == name).then_some(inode)
    };
    table.lines().filter_map(inode).collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_reservation_is_one_at_a_time() {
        // One that the system gives to us, and that no `up` on this machine wants.
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let first = Reservation::take(port).expect("nobody has it");
        let reserved = Reservation::take(port).expect_err("we have it");
        assert_eq!(reserved.pid, Some(std::process::id()));
        drop(first);
        assert!(Reservation::take(port).is_ok());
    }

    #[test]
    fn names_are_found_whole() {
        let table = "Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000: 00000002 00000000 00010000 0001 01 11 @osqdemo-port-909\n\
            0000: 00000002 00000000 00010000 0001 01 12 @osqdemo-port-9092\n\
            0000: 00000002 00000000 00010000 0001 01 13 /run/osqdemo-port-9092\n\
            0000: 00000003 00000000 00000000 0001 03 14\n";
        assert_eq!(inodes(table, &name(9092)), [12]);
        assert_eq!(inodes("", "x"), [] as [u64; 0]);
    }
}
