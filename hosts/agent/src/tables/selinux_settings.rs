//! `selinux_settings`: SELinux's settings, as its file system shows them.

use super::{Machine, table, text_file};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    SCOPE "scope" Text,
    KEY "key" Text,
    VALUE "value" Text,
}

table! { SelinuxSettings "selinux_settings" fill }

const ROOT: &str = "/sys/fs/selinux";
/// The folders whose files are settings.
const SCOPES: [&str; 3] = ["booleans", "policy_capabilities", "initial_contexts"];
const OWN: [&str; 7] = [
    "checkreqprot",
    "deny_unknown",
    "enforce",
    "mls",
    "policyvers",
    "reject_unknown",
    "status",
];

fn fill(machine: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let root = machine.path(ROOT);
    let mut add = |scope: &str, path: &std::path::Path| {
        if !path.is_file() {
            return;
        }
        rows.start_row();
        rows.text(SCOPE, scope);
        rows.text(KEY, path.file_name().unwrap_or_default().as_encoded_bytes());
        let value = text_file::text(path);
        // A boolean is `current pending`.
        rows.text(
            VALUE,
            value
                .trim_end_matches(['\0', '\n'])
                .split(' ')
                .next()
                .unwrap_or_default(),
        );
    };
    for name in OWN {
        add("", &root.join(name));
    }
    for scope in SCOPES {
        for path in text_file::entries(&root.join(scope)) {
            add(scope, &path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn settings_have_a_scope() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(
            folder.path(),
            &[
                ("/sys/fs/selinux/enforce", "1"),
                ("/sys/fs/selinux/booleans/httpd_can_network_connect", "0 1"),
            ],
        );
        assert_eq!(
            database.values("scope,key,value", "selinux_settings"),
            ["|enforce|1", "booleans|httpd_can_network_connect|0"]
        );
    }
}
