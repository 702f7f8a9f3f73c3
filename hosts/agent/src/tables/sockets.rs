//! The sockets of every network namespace a process lives in, matched with the process that holds each one.
//!
//! The kernel lists sockets by inode under `/proc/PID/net/`, once for each namespace; which process holds an inode is only
//! known from the links in `/proc/PID/fd/`.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Machine;
use crate::sql::TableError;

/// osquery's numbers for address families: the kernel's own.
pub(super) const UNIX: i64 = 1;
const INET: i64 = 2;
const INET6: i64 = 10;

/// File under `net/`, family, transport protocol.
const LISTS: [(&str, i64, i64); 10] = [
    ("icmp", INET, 1),
    ("icmp6", INET6, 1),
    ("tcp", INET, 6),
    ("tcp6", INET6, 6),
    ("udp", INET, 17),
    ("udp6", INET6, 17),
    ("udplite", INET, 136),
    ("udplite6", INET6, 136),
    ("raw", INET, 255),
    ("raw6", INET6, 255),
];

const TCP: i64 = 6;
/// The kernel's TCP states, by number.
const TCP_STATES: [&str; 12] = [
    "UNKNOWN",
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSED",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
];

/// One socket; `pid` and `descriptor` are -1 when no process that can be looked at holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) pid: i64,
    pub(super) descriptor: i64,
    pub(super) inode: i64,
    pub(super) family: i64,
    pub(super) protocol: i64,
    pub(super) local: Option<(IpAddr, u16)>,
    pub(super) remote: Option<(IpAddr, u16)>,
    pub(super) path: Vec<u8>,
    pub(super) state: &'static str,
    pub(super) namespace: u64,
}

/// Lists the sockets of the given processes, or of all of them and those nobody holds.
pub(super) fn list(machine: &Machine, wanted: Option<&[i64]>) -> Result<Vec<Socket>, TableError> {
    let mut reader = machine.proc.reader();
    let processes = reader
        .processes(wanted)
        .map_err(TableError::reading("the list of processes"))?;
    let mut holders: HashMap<i64, (i64, i64)> = HashMap::new();
    let mut namespaces = HashSet::new();
    let mut sockets = Vec::new();
    for pid in processes {
        reader.descriptors(pid, |descriptor, link| {
            if let Some(inode) = bracketed(link, b"socket:[") {
                // A socket may be shared; the process with the lowest id stands for all, so that the answer is stable.
                holders.entry(inode).or_insert((i64::from(pid), descriptor));
            }
        });
        // A process that is ending has no namespace any more, but its view of `net/` can still be read: taking that for
        // another namespace would list every socket twice.
        let Some(namespace) = reader
            .link(pid, "ns/net")
            .and_then(|link| bracketed(link, b"net:["))
        else {
            continue;
        };
        let namespace = u64::try_from(namespace).unwrap_or(0);
        if !namespaces.insert(namespace) {
            continue;
        }
        for (file, family, protocol) in LISTS {
            if let Some(content) = reader.read_sockets(pid, file) {
                sockets.extend(lines(content).filter_map(|line| internet(line, family, protocol, namespace)));
            }
        }
        if let Some(content) = reader.read_sockets(pid, "unix") {
            sockets.extend(lines(content).filter_map(|line| unix(line, namespace)));
        }
    }
    // Sockets that none of the processes holds are somebody else's where only some processes are this host's.
    let keep_unheld = wanted.is_none() && !machine.proc.is_scoped();
    sockets.retain_mut(|socket| {
        if let Some(&(pid, descriptor)) = holders.get(&socket.inode) {
            (socket.pid, socket.descriptor) = (pid, descriptor);
            return true;
        }
        keep_unheld
    });
    Ok(sockets)
}

/// The lines after the heading.
fn lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    content
        .split(|&byte| byte == b'\n')
        .skip(1)
        .filter(|line| !line.is_empty())
}

/// `  0: 0100007F:1F90 00000000:0000 0A … INODE …`
fn internet(line: &[u8], family: i64, protocol: i64, namespace: u64) -> Option<Socket> {
    let mut fields = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let local = endpoint(fields.nth(1)?)?;
    let remote = endpoint(fields.next()?)?;
    let state = usize::from_str_radix(fields.next()?, 16).ok()?;
    let inode = fields.nth(5)?.parse().ok()?;
    let state = if protocol == TCP {
        TCP_STATES.get(state).unwrap_or(&TCP_STATES[0])
    } else {
        ""
    };
    Some(Socket {
        pid: -1,
        descriptor: -1,
        inode,
        family,
        protocol,
        local: Some(local),
        remote: Some(remote),
        path: Vec::new(),
        state,
        namespace,
    })
}

/// `ADDRESS: REFERENCES PROTOCOL FLAGS TYPE STATE INODE [PATH]`; a path may hold spaces.
fn unix(line: &[u8], namespace: u64) -> Option<Socket> {
    let mut rest = line;
    let mut inode = None;
    for place in 0..7 {
        rest = rest.trim_ascii_start();
        let end = rest.iter().position(|&byte| byte == b' ').unwrap_or(rest.len());
        if place == 6 {
            inode = std::str::from_utf8(&rest[..end]).ok()?.parse().ok();
        }
        rest = &rest[end..];
    }
    Some(Socket {
        pid: -1,
        descriptor: -1,
        inode: inode?,
        family: UNIX,
        protocol: 0,
        local: None,
        remote: None,
        path: rest.strip_prefix(b" ").unwrap_or_default().to_vec(),
        state: "",
        namespace,
    })
}

/// `ADDRESS:PORT` in hexadecimal; the address is a row of 32-bit words in the machine's byte order.
fn endpoint(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = [0; 16];
    if !address.is_ascii() || address.len() % 8 != 0 || address.len() > 32 {
        return None;
    }
    for (place, word) in bytes.chunks_exact_mut(4).zip((0..address.len()).step_by(8)) {
        place.copy_from_slice(
            &u32::from_str_radix(&address[word..word + 8], 16)
                .ok()?
                .to_ne_bytes(),
        );
    }
    let address = match address.len() {
        8 => IpAddr::from(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3])),
        32 => IpAddr::from(Ipv6Addr::from(bytes)),
        _ => return None,
    };
    Some((address, port))
}

fn bracketed(link: &[u8], prefix: &[u8]) -> Option<i64> {
    std::str::from_utf8(link.strip_prefix(prefix)?.strip_suffix(b"]")?)
        .ok()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::*;
    use crate::tables::fixture::TestDatabase;

    #[test]
    #[cfg(target_endian = "little")]
    fn endpoints_are_read_in_the_machines_byte_order() {
        assert_eq!(
            endpoint("0100007F:1F90"),
            Some((IpAddr::from([127, 0, 0, 1]), 8080))
        );
        let mapped = endpoint("0000000000000000FFFF00000100007F:0016").unwrap();
        assert_eq!(mapped.0.to_string(), "::ffff:127.0.0.1");
        assert_eq!(
            endpoint("00000000000000000000000001000000:0000")
                .unwrap()
                .0
                .to_string(),
            "::1"
        );
    }

    #[test]
    fn lists_of_many_pieces_are_whole() {
        let folder = tempfile::tempdir().unwrap();
        let udp: Vec<UdpSocket> = (0..200)
            .map(|_| UdpSocket::bind(("127.0.0.1", 0)).unwrap())
            .collect();
        // As long as a path may be, and short.
        let longest = 107 - folder.path().as_os_str().len() - 1;
        let unix: Vec<(PathBuf, UnixListener)> = (0..200)
            .map(|number| {
                let name = format!(
                    "{number:0width$}",
                    width = if number % 3 == 0 { longest } else { 1 }
                );
                let path = folder.path().join(name);
                (path.clone(), UnixListener::bind(path).unwrap())
            })
            .collect();
        let database = TestDatabase::open();
        let sockets = list(database.machine(), Some(&[i64::from(std::process::id())])).unwrap();
        for socket in &udp {
            let end = socket.local_addr().unwrap();
            let local = Some((end.ip(), end.port()));
            assert!(sockets.iter().any(|socket| socket.local == local), "{end}");
        }
        for (path, _) in &unix {
            let path = path.as_os_str().as_encoded_bytes();
            assert!(sockets.iter().any(|socket| socket.path == path), "{path:?}");
        }
    }

    #[test]
    fn unix_paths_may_hold_spaces_and_may_be_missing() {
        let socket = unix(
            b"0000000000000000: 00000002 00000000 00010000 0001 01 17123 /run/my agent.sock",
            4,
        )
        .unwrap();
        assert_eq!(
            (socket.inode, socket.path.as_slice(), socket.family),
            (17123, &b"/run/my agent.sock"[..], UNIX)
        );
        let unnamed = unix(b"0000000000000000: 00000003 00000000 00000000 0001 03 22", 4).unwrap();
        assert_eq!((unnamed.inode, unnamed.path.len()), (22, 0));
    }

    proptest! {
        #[test]
        fn no_line_of_the_kernel_can_make_it_panic(line in prop::collection::vec(any::<u8>(), 0..120)) {
            internet(&line, INET, TCP, 0);
            unix(&line, 0);
            if let Ok(text) = std::str::from_utf8(&line) {
                endpoint(text);
            }
        }

        #[test]
        fn addresses_survive_the_kernels_notation(bytes in any::<[u8; 16]>(), port in any::<u16>()) {
            let words: String = bytes
                .chunks_exact(4)
                .map(|word| format!("{:08X}", u32::from_ne_bytes([word[0], word[1], word[2], word[3]])))
                .collect();
            prop_assert_eq!(endpoint(&format!("{words}:{port:04X}")), Some((IpAddr::from(bytes), port)));
        }
    }
}
