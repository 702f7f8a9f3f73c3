//! `process_open_sockets`: sockets and the processes that hold them.

use std::sync::Arc;

use super::{Machine, sockets};
use crate::sql::{Column, RowBuffer, Scan, Table, TableError, columns};

columns! {
    PID "pid" Integer additional,
    FD "fd" BigInt,
    SOCKET "socket" BigInt,
    FAMILY "family" Integer,
    PROTOCOL "protocol" Integer,
    LOCAL_ADDRESS "local_address" Text,
    REMOTE_ADDRESS "remote_address" Text,
    LOCAL_PORT "local_port" Integer,
    REMOTE_PORT "remote_port" Integer,
    PATH "path" Text,
    STATE "state" Text,
    NET_NAMESPACE "net_namespace" Text,
}

pub(crate) struct ProcessOpenSockets(pub(crate) Arc<Machine>);

impl Table for ProcessOpenSockets {
    fn name(&self) -> &'static str {
        "process_open_sockets"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
        for socket in sockets::list(&self.0, scan.integers(PID).as_deref())? {
            rows.start_row();
            rows.integer(PID, socket.pid);
            rows.integer(FD, socket.descriptor);
            rows.integer(SOCKET, socket.inode);
            rows.integer(FAMILY, socket.family);
            rows.integer(PROTOCOL, socket.protocol);
            rows.text(PATH, &socket.path);
            rows.text(STATE, socket.state);
            rows.display(NET_NAMESPACE, socket.namespace);
            let ends = [
                (LOCAL_ADDRESS, LOCAL_PORT, socket.local),
                (REMOTE_ADDRESS, REMOTE_PORT, socket.remote),
            ];
            for (address, port, end) in ends {
                rows.integer(port, end.map_or(0, |(_, port)| i64::from(port)));
                match end {
                    Some((end, _)) => rows.display(address, end),
                    None => rows.text(address, ""),
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    use crate::tables::fixture::TestDatabase;

    #[test]
    fn a_connection_is_found_from_both_sides() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (_server, _) = listener.accept().unwrap();
        let database = TestDatabase::open();
        let rows = database.rows(&format!(
            "select * from process_open_sockets where remote_port = {port} and pid = {}",
            std::process::id()
        ));
        assert_eq!(rows.len(), 1, "{rows:?}");
        let row = &rows[0];
        assert_eq!(row["fd"], client.as_raw_fd().to_string());
        assert_eq!(
            (
                row["family"].as_str(),
                row["protocol"].as_str(),
                row["state"].as_str()
            ),
            ("2", "6", "ESTABLISHED")
        );
        assert_eq!(
            (row["local_address"].as_str(), row["remote_address"].as_str()),
            ("127.0.0.1", "127.0.0.1")
        );
        assert_eq!(row["local_port"], client.local_addr().unwrap().port().to_string());
        assert!(row["net_namespace"].parse::<u64>().unwrap() > 0);
    }

    #[test]
    fn the_hosts_configuration_leaves_out_what_stays_within_the_machine() {
        let configuration = concat!(env!("CARGO_MANIFEST_DIR"), "/../image/osqdemo.json");
        let configuration: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(configuration).unwrap()).unwrap();
        let sql = configuration["source"]["schedule"]["open_sockets"]["query"]
            .as_str()
            .unwrap();
        // A socket of both families shows its IPv4 peers as `::ffff:127.0.0.1`.
        let listener = TcpListener::bind("[::]:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (server, _) = listener.accept().unwrap();
        assert_eq!(server.peer_addr().unwrap().ip().to_string(), "::ffff:127.0.0.1");
        let database = TestDatabase::open();
        let told = database.rows(sql);
        let of_these = [client.as_raw_fd(), server.as_raw_fd()].map(|fd| fd.to_string());
        let pid = std::process::id().to_string();
        let is_ours = |row: &&std::collections::BTreeMap<String, String>| {
            row["pid"] == pid && of_these.contains(&row["fd"]) && row["family"] != "1"
        };
        assert_eq!(told.iter().filter(is_ours).count(), 0, "{told:?}");
        let all = database.rows("select * from process_open_sockets");
        assert_eq!(all.iter().filter(is_ours).count(), 2);
    }
}
