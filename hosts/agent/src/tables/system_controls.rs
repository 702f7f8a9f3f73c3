//! `system_controls`: the settings of `/proc/sys`, and what the configuration of sysctl says of each.

use std::collections::HashMap;
use std::path::Path;

use super::{Machine, table, text_file};
use crate::sql::{Operator, RowBuffer, Scan, TableError, columns};

columns! {
    NAME "name" Text index,
    OID "oid" Text additional,
    SUBSYSTEM "subsystem" Text additional,
    CURRENT_VALUE "current_value" Text,
    CONFIG_VALUE "config_value" Text,
    TYPE "type" Text,
    _FIELD_NAME "field_name" Text hidden,
}

table! { SystemControls "system_controls" fill }

const ROOT: &str = "/proc/sys";
/// Where sysctl reads its configuration; a later file wins.
const CONFIGURATION_FOLDERS: [&str; 4] = [
    "/usr/lib/sysctl.d",
    "/lib/sysctl.d",
    "/run/sysctl.d",
    "/etc/sysctl.d",
];
const CONFIGURATION: &str = "/etc/sysctl.conf";
const DEEPEST: usize = 16;

fn fill(machine: &Machine, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let configured = configuration(machine);
    let root = machine.path(ROOT);
    let mut add = |name: &str, path: &Path| {
        rows.start_row();
        rows.text(NAME, name);
        rows.text(OID, "");
        rows.text(SUBSYSTEM, name.split('.').next().unwrap_or_default());
        rows.text(CURRENT_VALUE, text_file::text(path).trim_end());
        rows.text(CONFIG_VALUE, configured.get(name).map_or("", String::as_str));
        rows.text(TYPE, "string");
    };
    let named: Vec<String> = scan
        .values(NAME, Operator::Equals)
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect();
    if named.is_empty() {
        walk(&root, "", DEEPEST, &mut add);
    }
    for name in named {
        // As in sysctl, `/` in a name stands for a dot in a file's.
        let path: String = name
            .chars()
            .map(|letter| {
                if letter == '.' {
                    '/'
                } else if letter == '/' {
                    '.'
                } else {
                    letter
                }
            })
            .collect();
        let path = root.join(path.trim_matches('/'));
        let is_below = !path
            .components()
            .any(|part| part == std::path::Component::ParentDir);
        if is_below && path.is_file() {
            add(&name, &path);
        }
    }
    Ok(())
}

fn walk(folder: &Path, prefix: &str, depth: usize, add: &mut dyn FnMut(&str, &Path)) {
    if depth == 0 {
        return;
    }
    for path in text_file::entries(folder) {
        let own = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .replace('.', "/");
        let name = if prefix.is_empty() {
            own
        } else {
            format!("{prefix}.{own}")
        };
        if path.is_dir() {
            walk(&path, &name, depth - 1, add);
        } else {
            add(&name, &path);
        }
    }
}

fn configuration(machine: &Machine) -> HashMap<String, String> {
    let folders = CONFIGURATION_FOLDERS.into_iter();
    let files = folders.flat_map(|folder| text_file::entries(&machine.path(folder)));
    let mut configured = HashMap::new();
    for file in files.chain([machine.path(CONFIGURATION)]) {
        let text = text_file::text(&file);
        for line in text_file::lines(&text).filter(|line| !line.starts_with(';')) {
            if let Some((name, value)) = line.split_once('=') {
                let name = name.trim().trim_start_matches('-').replace('/', ".");
                configured.insert(name, value.trim().to_owned());
            }
        }
    }
    configured
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn settings_and_their_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(
            folder.path(),
            &[
                ("/proc/sys/kernel/hostname", "vm\n"),
                ("/proc/sys/net/ipv4/conf/eth0.5/forwarding", "1\n"),
                ("/etc/sysctl.conf", "# note\nkernel.hostname = other\n"),
                ("/etc/sysctl.d/x.conf", "kernel.hostname=first\n"),
            ],
        );
        assert_eq!(
            database.values("name,subsystem,current_value,config_value", "system_controls"),
            [
                "kernel.hostname|kernel|vm|other",
                "net.ipv4.conf.eth0/5.forwarding|net|1|"
            ]
        );
        assert_eq!(
            database.values(
                "current_value",
                "system_controls where name = 'net.ipv4.conf.eth0/5.forwarding'"
            ),
            ["1"]
        );
        assert!(
            database
                .values("name", "system_controls where name = 'kernel.//.net'")
                .is_empty()
        );
    }
}
