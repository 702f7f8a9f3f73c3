//! `listening_ports`: sockets with no other end, and named Unix sockets, as osquery derives them from
//! `process_open_sockets`.

use std::sync::Arc;

use super::{Machine, sockets};
use crate::sql::{Column, RowBuffer, Scan, Table, TableError, columns};

columns! {
    PID "pid" Integer,
    PORT "port" Integer,
    PROTOCOL "protocol" Integer,
    FAMILY "family" Integer,
    ADDRESS "address" Text,
    FD "fd" BigInt,
    SOCKET "socket" BigInt,
    PATH "path" Text,
    NET_NAMESPACE "net_namespace" Text,
}

pub(crate) struct ListeningPorts(pub(crate) Arc<Machine>);

impl Table for ListeningPorts {
    fn name(&self) -> &'static str {
        "listening_ports"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
        for socket in sockets::list(&self.0, None)? {
            let unnamed = socket.family == sockets::UNIX && socket.path.is_empty();
            if unnamed || socket.remote.is_some_and(|(_, port)| port != 0) {
                continue;
            }
            rows.start_row();
            rows.integer(PID, socket.pid);
            rows.integer(PROTOCOL, socket.protocol);
            rows.integer(FAMILY, socket.family);
            rows.integer(FD, socket.descriptor);
            rows.integer(SOCKET, socket.inode);
            rows.display(NET_NAMESPACE, socket.namespace);
            match socket.local {
                Some((address, port)) => {
                    rows.display(ADDRESS, address);
                    rows.integer(PORT, i64::from(port));
                }
                None => {
                    rows.text(PATH, &socket.path);
                    rows.integer(PORT, 0);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    use crate::tables::fixture::TestDatabase;

    #[test]
    fn a_listening_socket_is_found_with_its_process() {
        let listener = TcpListener::bind("[::1]:0").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("listening");
        let _unix = UnixListener::bind(&path).unwrap();
        let database = TestDatabase::open();
        let port = listener.local_addr().unwrap().port();
        let rows = database.rows(&format!(
            "select * from listening_ports where port = {port} and family = 10"
        ));
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert_eq!(
            (rows[0]["address"].as_str(), rows[0]["protocol"].as_str()),
            ("::1", "6")
        );
        assert_eq!(rows[0]["pid"], std::process::id().to_string());
        let rows = database.rows(&format!(
            "select pid, port, family from listening_ports where path = '{}'",
            path.display()
        ));
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert_eq!(
            (rows[0]["pid"].clone(), rows[0]["family"].as_str()),
            (std::process::id().to_string(), "1")
        );
    }
}
