//! `etc_hosts`: the lines of `/etc/hosts`.

use super::mount_namespace::MountNamespace;
use super::{Machine, table, text_file};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    ADDRESS "address" Text,
    HOSTNAMES "hostnames" Text,
    PID_WITH_NAMESPACE "pid_with_namespace" Integer additional hidden,
}

table! { EtcHosts "etc_hosts" fill, alias "hosts" }

fn fill(machine: &Machine, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    for namespace in MountNamespace::of_scan(scan, PID_WITH_NAMESPACE, machine) {
        let text = text_file::text(&namespace.path("/etc/hosts"));
        for line in text_file::lines(&text) {
            let mut words = line.split_whitespace();
            rows.start_row();
            rows.text(ADDRESS, words.next().unwrap_or_default());
            let names: Vec<&str> = words.take_while(|word| !word.starts_with('#')).collect();
            rows.text(HOSTNAMES, names.join(" "));
            namespace.fill(PID_WITH_NAMESPACE, None, rows);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn lines_have_an_address_and_names() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(
            folder.path(),
            &[(
                "/etc/hosts",
                "127.0.0.1 localhost  lo # note\n# none\n\n::1\tip6\n",
            )],
        );
        assert_eq!(
            database.values("address,hostnames", "etc_hosts"),
            ["127.0.0.1|localhost lo", "::1|ip6"]
        );
        // Under its older name, and as a process sees the file.
        for table in ["hosts", "etc_hosts where pid_with_namespace = 0"] {
            assert_eq!(database.values("address", table), ["127.0.0.1", "::1"]);
        }
    }
}
