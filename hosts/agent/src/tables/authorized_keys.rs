//! `authorized_keys`: the keys that may log in as a user.

use super::homes::homes;
use super::mount_namespace::MountNamespace;
use super::{Machine, table, text_file};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    UID "uid" BigInt additional,
    ALGORITHM "algorithm" Text,
    KEY "key" Text,
    OPTIONS "options" Text,
    COMMENT "comment" Text,
    KEY_FILE "key_file" Text,
    PID_WITH_NAMESPACE "pid_with_namespace" Integer additional hidden,
}

table! { AuthorizedKeys "authorized_keys" fill }

const FILES: [&str; 2] = ["authorized_keys", "authorized_keys2"];

fn fill(machine: &Machine, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    for namespace in MountNamespace::of_scan(scan, PID_WITH_NAMESPACE, machine) {
        for home in homes(scan, UID, &namespace)? {
            for name in FILES {
                let text = text_file::text(&home.path.join(".ssh").join(name));
                for line in text_file::lines(&text) {
                    let [options, algorithm, key, comment] = parts(line);
                    rows.start_row();
                    rows.integer(UID, home.uid);
                    rows.text(ALGORITHM, algorithm);
                    rows.text(KEY, key);
                    rows.text(OPTIONS, options);
                    rows.text(COMMENT, comment);
                    rows.display(KEY_FILE, format_args!("{}/.ssh/{name}", home.directory));
                    namespace.fill(PID_WITH_NAMESPACE, None, rows);
                }
            }
        }
    }
    Ok(())
}

/// `[options] algorithm key [comment]`; blanks in quotes are a part of the options.
fn parts(line: &str) -> [&str; 4] {
    let is_algorithm = |word: &str| {
        ["ssh-", "ecdsa-", "sk-"]
            .iter()
            .any(|prefix| word.starts_with(prefix))
    };
    let first_end = line.find(char::is_whitespace).unwrap_or(line.len());
    let (options, rest) = if is_algorithm(&line[..first_end]) {
        ("", line)
    } else {
        let mut in_quotes = false;
        let end = line.find(|character: char| {
            in_quotes ^= character == '"';
            character.is_whitespace() && !in_quotes
        });
        let (options, rest) = line.split_at(end.unwrap_or(line.len()));
        (options, rest.trim_start())
    };
    let (algorithm, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let rest = rest.trim_start();
    let (key, comment) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    [options, algorithm, key, comment.trim()]
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn options_may_hold_blanks() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(
            folder.path(),
            &[
                (
                    "/etc/passwd",
                    "jay:x:1000:1000::/home/jay:\nkim:x:1001:1001::/home/kim:\n",
                ),
                (
                    "/home/jay/.ssh/authorized_keys",
                    "# note\nssh-ed25519 AAAAC3 jay at home\ncommand=\"ls -l\",no-pty ssh-rsa AAAAB3\n",
                ),
                ("/home/kim/.ssh/authorized_keys", "ssh-rsa KIM\n"),
            ],
        );
        assert_eq!(
            database.values(
                "uid,algorithm,key,options,comment,key_file",
                "authorized_keys where uid = 1000"
            ),
            [
                "1000|ssh-ed25519|AAAAC3||jay at home|/home/jay/.ssh/authorized_keys",
                "1000|ssh-rsa|AAAAB3|command=\"ls -l\",no-pty||/home/jay/.ssh/authorized_keys"
            ]
        );
        assert_eq!(
            database.values(
                "username,key",
                "users join authorized_keys using (uid) where username = 'kim'"
            ),
            ["kim|KIM"]
        );
    }
}
