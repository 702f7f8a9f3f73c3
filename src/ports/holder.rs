//! Who has a port: the container that publishes it, or from `/proc/net/tcp` to the socket's inode and from there to
//! the process that has it open. What belongs to other users stays unnamed when we are not allowed to look.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tokio::net::TcpSocket;
use tokio::time::timeout;

use crate::events::PortObstacle;
use crate::plan::Publisher;
use crate::ports::{Listens, Obstacle, Publishers};
use crate::process::{PROJECT_VARIABLE, all, environment_variable};

/// TCP's state LISTEN as `/proc/net/tcp` writes it.
const LISTEN: &str = "0A";

/// How long a Docker daemon may take to tell which containers publish ports. Without its answer they are processes.
const DAEMON_LIMIT: Duration = Duration::from_secs(5);

/// Who has a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// A process that listens.
    Process {
        /// The process and its name, when we may know it.
        process: Option<(u32, String)>,
        /// The folder of the osqdemo project that it belongs to.
        project: Option<PathBuf>,
    },
    /// A container, through whatever process its engine uses for that.
    Container(Publisher),
    /// An `up` of another project, which has chosen it.
    Up {
        /// Its process, when we may know it.
        pid: Option<u32>,
    },
}

/// The ports of this machine.
pub(super) struct Machine {
    published: BTreeMap<u16, Publisher>,
    listens: Listens,
}

impl Machine {
    /// The machine, as far as it matters for services that have `wanted` in mind. A Docker daemon is asked where it
    /// is the one to listen, or where one of its containers may stand in the way.
    pub(super) async fn look(
        listens: Listens,
        publishers: &dyn Publishers,
        wanted: impl IntoIterator<Item = u16>,
    ) -> Self {
        let is_taken = |port| bind(port).is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse);
        let is_asked = listens == Listens::Daemon || wanted.into_iter().any(is_taken);
        let published = if is_asked {
            let published = timeout(DAEMON_LIMIT, publishers.published()).await;
            published.unwrap_or_default()
        } else {
            BTreeMap::new()
        };
        Self { published, listens }
    }

    /// The machine without its containers: one that publishes a port listens on it as well.
    pub(super) fn of_processes() -> Self {
        Self {
            published: BTreeMap::new(),
            listens: Listens::Process,
        }
    }

    /// What keeps a service from listening on a port of the loopback address.
    pub(super) fn obstacle(&self, port: u16) -> Option<Obstacle> {
        if let Some(publisher) = self.published.get(&port) {
            return Some(Obstacle::Held(Holder::Container(publisher.clone())));
        }
        let error = bind(port).err()?;
        match error.kind() {
            io::ErrorKind::AddrInUse => Some(Obstacle::Held(Holder::process_at(port))),
            // What we may not, the daemon may.
            io::ErrorKind::PermissionDenied if self.listens == Listens::Daemon => None,
            _ => Some(Obstacle::Unusable(error.to_string())),
        }
    }
}

/// Tries a port without listening on it, so that nobody who begins to listen at this moment is in our way, nor we in
/// theirs.
fn bind(port: u16) -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

impl Holder {
    /// The folder of the osqdemo project that the holder belongs to.
    pub fn project(&self) -> Option<PathBuf> {
        match self {
            Self::Process { project, .. } => project.clone(),
            Self::Container(publisher) => {
                let owner = publisher.owner.as_ref()?;
                Some(owner.home.join(owner.project.as_str()))
            }
            Self::Up { .. } => None,
        }
    }

    /// The holder as it is told.
    pub(super) fn told(&self) -> PortObstacle {
        let project = self.project();
        match self {
            Self::Process { process, .. } => PortObstacle::Process {
                process: process.as_ref().map(|(pid, _)| *pid),
                name: process.as_ref().map(|(_, name)| name.clone()),
                project,
            },
            Self::Container(publisher) => PortObstacle::Container {
                container: publisher.container.clone(),
                compose_project: publisher.compose_project.clone(),
                project,
            },
            Self::Up { pid } => PortObstacle::Up { process: *pid },
        }
    }

    fn process_at(port: u16) -> Self {
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
        let inodes: Vec<u64> = tables
            .iter()
            .flat_map(|table| listening_inodes(&fs::read_to_string(table).unwrap_or_default(), port))
            .collect();
        let pid = process_with_socket(&inodes);
        let name = |pid| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        Self::Process {
            process: pid.map(|pid| (pid, name(pid).trim_end().to_owned())),
            project: pid
                .and_then(|pid| environment_variable(pid, PROJECT_VARIABLE))
                .map(PathBuf::from),
        }
    }
}

/// The process that has one of these sockets open, if we may know it.
pub(super) fn process_with_socket(inodes: &[u64]) -> Option<u32> {
    all().find(|pid| has_socket_open(*pid, inodes))
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
    use std::net::TcpListener;

    use proptest::prelude::*;

    use crate::plan::Leftover;

    use super::*;

    #[tokio::test]
    async fn the_holder_of_a_port_is_named() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let machine = Machine {
            published: BTreeMap::new(),
            listens: Listens::Process,
        };
        let obstacle = machine.obstacle(port).expect("the port is held");
        let ours = format!("in use by process {} (`", std::process::id());
        assert!(obstacle.to_string().starts_with(&ours), "{obstacle}");
        drop(listener);
        assert_eq!(machine.obstacle(port), None);
    }

    #[test]
    fn a_container_is_named_with_its_project() {
        let shown = |compose_project: Option<&str>, owner: Option<Leftover>| {
            Holder::Container(Publisher {
                container: "kafka-1".to_owned(),
                compose_project: compose_project.map(str::to_owned),
                owner,
            })
            .told()
            .to_string()
        };
        assert_eq!(shown(None, None), "in use by container `kafka-1`");
        assert_eq!(
            shown(Some("shop"), None),
            "in use by container `kafka-1` of the Compose project `shop`"
        );
        let owner = Leftover {
            project: "boxes".parse().expect("a name"),
            home: PathBuf::from("/state"),
        };
        assert_eq!(
            shown(Some("boxes"), Some(owner)),
            "in use by container `kafka-1` of the osqdemo project `/state/boxes`"
        );
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
