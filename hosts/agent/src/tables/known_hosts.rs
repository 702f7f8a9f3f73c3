//! `known_hosts`: the lines of the users' `known_hosts`.

use super::homes::homes;
use super::mount_namespace::MountNamespace;
use super::{Machine, table, text_file};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    UID "uid" BigInt index,
    KEY "key" Text,
    KEY_FILE "key_file" Text,
}

table! { KnownHosts "known_hosts" fill }

fn fill(machine: &Machine, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    for home in homes(scan, UID, &MountNamespace::own(machine))? {
        let text = text_file::text(&home.path.join(".ssh/known_hosts"));
        for line in text_file::lines(&text) {
            rows.start_row();
            rows.integer(UID, home.uid);
            rows.text(KEY, line);
            rows.display(KEY_FILE, format_args!("{}/.ssh/known_hosts", home.directory));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn each_line_is_a_host() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(
            folder.path(),
            &[
                (
                    "/etc/passwd",
                    "jay:x:1000:1000::/home/jay:\nkim:x:1001:1001::/home/kim:\n",
                ),
                ("/home/jay/.ssh/known_hosts", "# note\n|1|abc= ssh-rsa AAAA\n"),
            ],
        );
        assert_eq!(
            database.values("uid,key,key_file", "known_hosts where uid in (1000, 1001)"),
            ["1000||1|abc= ssh-rsa AAAA|/home/jay/.ssh/known_hosts"]
        );
    }
}
