//! `apparmor_profiles`: the profiles that AppArmor has loaded.

use std::path::Path;

use super::{Machine, table, text_file};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    PATH "path" Text index,
    NAME "name" Text,
    ATTACH "attach" Text,
    MODE "mode" Text,
    SHA1 "sha1" Text ignore_case,
    SHA256 "sha256" Text ignore_case,
}

table! { ApparmorProfiles "apparmor_profiles" fill }

const POLICIES: &str = "/sys/kernel/security/apparmor/policy/profiles";
/// How deep profiles have profiles.
const DEEPEST: usize = 16;

fn fill(machine: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    walk(&machine.path(POLICIES), "", DEEPEST, rows);
    Ok(())
}

fn walk(folder: &Path, parent: &str, depth: usize, rows: &mut RowBuffer) {
    if depth == 0 {
        return;
    }
    for profile in text_file::entries(folder) {
        let line = |name: &str| text_file::line(&profile.join(name));
        let name = line("name");
        let path = if parent.is_empty() {
            name.clone()
        } else {
            format!("{parent}//{name}")
        };
        rows.start_row();
        rows.text(PATH, &path);
        for (column, file) in [
            (ATTACH, "attach"),
            (MODE, "mode"),
            (SHA1, "sha1"),
            (SHA256, "sha256"),
        ] {
            rows.text(column, line(file));
        }
        rows.text(NAME, name);
        walk(&profile.join("profiles"), &path, depth - 1, rows);
    }
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn profiles_have_profiles() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(
            folder.path(),
            &[
                (
                    "/sys/kernel/security/apparmor/policy/profiles/man.1/name",
                    "/usr/bin/man\n",
                ),
                (
                    "/sys/kernel/security/apparmor/policy/profiles/man.1/mode",
                    "enforce\n",
                ),
                ("/sys/kernel/security/apparmor/policy/profiles/man.1/sha1", "ab\n"),
                (
                    "/sys/kernel/security/apparmor/policy/profiles/man.1/profiles/groff.2/name",
                    "groff\n",
                ),
            ],
        );
        assert_eq!(
            database.values("path,name,mode,sha1", "apparmor_profiles"),
            [
                "/usr/bin/man|/usr/bin/man|enforce|ab",
                "/usr/bin/man//groff|groff||"
            ]
        );
    }
}
