//! `user_ssh_keys`: the private keys in the users' `.ssh`, and whether a passphrase protects them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::homes::homes;
use super::mount_namespace::MountNamespace;
use super::{Machine, table, text_file};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    UID "uid" BigInt additional,
    PATH "path" Text index,
    ENCRYPTED "encrypted" Integer,
    KEY_TYPE "key_type" Text,
    KEY_GROUP_NAME "key_group_name" Text,
    KEY_LENGTH "key_length" Integer,
    KEY_SECURITY_BITS "key_security_bits" Integer,
    PID_WITH_NAMESPACE "pid_with_namespace" Integer additional hidden,
}

table! { UserSshKeys "user_ssh_keys" fill }

/// How the text of OpenSSH's own keys begins, decoded; the cipher's name follows.
const OPENSSH_MAGIC: &[u8] = b"openssh-key-v1\0";

fn fill(machine: &Machine, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    for namespace in MountNamespace::of_scan(scan, PID_WITH_NAMESPACE, machine) {
        for home in homes(scan, UID, &namespace)? {
            for file in text_file::entries(&home.path.join(".ssh")) {
                let text = text_file::text(&file);
                let Some(key) = PrivateKey::read(&text) else {
                    continue;
                };
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                rows.start_row();
                rows.integer(UID, home.uid);
                rows.display(PATH, format_args!("{}/.ssh/{name}", home.directory));
                rows.integer(ENCRYPTED, i64::from(key.is_encrypted));
                rows.text(KEY_TYPE, key.kind);
                namespace.fill(PID_WITH_NAMESPACE, None, rows);
            }
        }
    }
    Ok(())
}

/// What the armour of a private key says. The numbers in it are not read: `key_length` and its like stay null.
struct PrivateKey {
    kind: &'static str,
    is_encrypted: bool,
}

impl PrivateKey {
    fn read(text: &str) -> Option<Self> {
        let begin = text.lines().find_map(|line| {
            line.trim()
                .strip_prefix("-----BEGIN ")?
                .strip_suffix("PRIVATE KEY-----")
        })?;
        let is_encrypted = match begin.trim() {
            "ENCRYPTED" => true,
            "OPENSSH" => openssh_cipher(text).is_some_and(|cipher| cipher != b"none"),
            _ => text
                .lines()
                .any(|line| line.starts_with("Proc-Type:") && line.contains("ENCRYPTED")),
        };
        let kind = match begin.trim() {
            "RSA" => "rsa",
            "DSA" => "dsa",
            "EC" => "ec",
            _ => "",
        };
        Some(Self { kind, is_encrypted })
    }
}

fn openssh_cipher(text: &str) -> Option<Vec<u8>> {
    let body: String = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("-----"))
        .collect();
    let bytes = STANDARD.decode(body).ok()?;
    let rest = bytes.strip_prefix(OPENSSH_MAGIC)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    rest.get(..length).map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::OPENSSH_MAGIC;
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn keys_are_told_from_other_files() {
        let openssh = |cipher: &str| {
            let length = u32::try_from(cipher.len()).unwrap().to_be_bytes();
            let bytes = [OPENSSH_MAGIC, &length, cipher.as_bytes(), b"rest"].concat();
            let (begin, end) = (
                "-----BEGIN OPENSSH PRIVATE KEY-----",
                "-----END OPENSSH PRIVATE KEY-----",
            );
            format!("{begin}\n{}\n{end}\n", STANDARD.encode(bytes))
        };
        let folder = tempfile::tempdir().unwrap();
        let ssh = |name: &str| format!("/home/jay/.ssh/{name}");
        let files = [
            (
                "/etc/passwd".to_owned(),
                "jay:x:1000:1000::/home/jay:\n".to_owned(),
            ),
            (ssh("config"), "Host *\n".to_owned()),
            (ssh("id_ed25519"), openssh("aes256-ctr")),
            (ssh("id_open"), openssh("none")),
            (
                ssh("id_rsa"),
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n".to_owned(),
            ),
            (
                ssh("pkcs8"),
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n".to_owned(),
            ),
        ];
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect();
        let database = TestDatabase::seeded(folder.path(), &files);
        assert_eq!(
            database.values("path,encrypted,key_type", "user_ssh_keys where uid = 1000"),
            [
                "/home/jay/.ssh/id_ed25519|1|",
                "/home/jay/.ssh/id_open|0|",
                "/home/jay/.ssh/id_rsa|1|rsa",
                "/home/jay/.ssh/pkcs8|1|",
            ]
        );
    }
}
