//! `ssh_configs`: the options of the users' and the system's SSH client, with the `host` or `match` block each stands in.

use super::homes::homes;
use super::mount_namespace::MountNamespace;
use super::{Machine, table, text_file};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    UID "uid" BigInt additional,
    BLOCK "block" Text,
    OPTION "option" Text,
    SSH_CONFIG_FILE "ssh_config_file" Text,
}

table! { SshConfigs "ssh_configs" fill }

const SYSTEM: &str = "/etc/ssh/ssh_config";

fn fill(machine: &Machine, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let mut files: Vec<(i64, String)> = homes(scan, UID, &MountNamespace::own(machine))?
        .into_iter()
        .map(|home| (home.uid, format!("{}/.ssh/config", home.directory)))
        .collect();
    files.push((0, SYSTEM.to_owned()));
    for (uid, file) in files {
        let text = text_file::text(&machine.path(&file));
        let mut block = String::new();
        for line in text_file::lines(&text) {
            let line = line.to_lowercase();
            if line.starts_with("host ") || line.starts_with("match ") {
                block = line;
                continue;
            }
            rows.start_row();
            rows.integer(UID, uid);
            rows.text(BLOCK, &block);
            rows.text(OPTION, line);
            rows.text(SSH_CONFIG_FILE, &file);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn options_stand_in_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(
            folder.path(),
            &[
                (
                    "/etc/passwd",
                    "jay:x:1000:1000::/home/jay:\nkim:x:1001:1001::/home/kim:\n",
                ),
                (
                    "/home/jay/.ssh/config",
                    "Compression yes\nHost *.Example\n  User Jay\n",
                ),
                ("/etc/ssh/ssh_config", "Match all\n Port 22\n"),
            ],
        );
        assert_eq!(
            database.values(
                "uid,block,option,ssh_config_file",
                "ssh_configs where uid in (0, 1000) order by uid desc"
            ),
            [
                "1000||compression yes|/home/jay/.ssh/config",
                "1000|host *.example|user jay|/home/jay/.ssh/config",
                "0|match all|port 22|/etc/ssh/ssh_config"
            ]
        );
    }
}
