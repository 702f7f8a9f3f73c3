//! `sudoers`: the rules of `/etc/sudoers` and of what it includes.

use std::path::Path;

use super::{Machine, table, text_file};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    SOURCE "source" Text,
    HEADER "header" Text,
    RULE_DETAILS "rule_details" Text,
}

table! { Sudoers "sudoers" fill }

/// How deep files may include files, as in sudo itself.
const DEEPEST: usize = 128;
const INCLUDES: [&str; 2] = ["#include", "@include"];
const FOLDER_INCLUDES: [&str; 2] = ["#includedir", "@includedir"];

fn fill(machine: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    fill_file(machine, "/etc/sudoers", DEEPEST, rows);
    Ok(())
}

fn fill_file(machine: &Machine, path: &str, depth: usize, rows: &mut RowBuffer) {
    if depth == 0 {
        return;
    }
    // A rule goes on in the next line behind a backslash.
    let text = text_file::text(&machine.path(path)).replace("\\\n", " ");
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (header, details) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let is_include = INCLUDES.contains(&header);
        let is_folder = FOLDER_INCLUDES.contains(&header);
        if header.starts_with('#') && !is_include && !is_folder {
            continue;
        }
        let details = details.trim();
        rows.start_row();
        rows.text(SOURCE, path);
        rows.text(HEADER, header);
        rows.text(RULE_DETAILS, details);
        // A path without a slash in front begins where the including file is.
        let folder = Path::new(path).parent().unwrap_or(Path::new("/"));
        let included = folder.join(details.trim_matches('"')).display().to_string();
        if is_include {
            fill_file(machine, &included, depth - 1, rows);
        } else if is_folder {
            for file in text_file::entries(&machine.path(&included)) {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                // sudo passes over what editors and package managers leave behind.
                if !name.contains('.') && !name.ends_with('~') {
                    fill_file(machine, &format!("{included}/{name}"), depth - 1, rows);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn rules_and_includes() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(
            folder.path(),
            &[
                (
                    "/etc/sudoers",
                    "# note\nDefaults env_reset\nroot ALL=(ALL:ALL) \\\n ALL\n@includedir /etc/sudoers.d\n#include sudoers\n",
                ),
                ("/etc/sudoers.d/jay", "%sudo\tALL=(ALL) NOPASSWD: ALL\n"),
                ("/etc/sudoers.d/old.bak", "no ALL\n"),
            ],
        );
        assert_eq!(
            database.values("source,header,rule_details", "sudoers limit 5"),
            [
                "/etc/sudoers|Defaults|env_reset",
                "/etc/sudoers|root|ALL=(ALL:ALL)   ALL",
                "/etc/sudoers|@includedir|/etc/sudoers.d",
                "/etc/sudoers.d/jay|%sudo|ALL=(ALL) NOPASSWD: ALL",
                "/etc/sudoers|#include|sudoers"
            ]
        );
    }
}
