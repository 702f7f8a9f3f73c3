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
/// How many files are read, so that files which include each other twice come to an end.
const MOST_FILES: usize = 1024;
const INCLUDES: [&str; 2] = ["#include", "@include"];
const FOLDER_INCLUDES: [&str; 2] = ["#includedir", "@includedir"];

fn fill(machine: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let mut files = MOST_FILES;
    fill_file(machine, "/etc/sudoers", DEEPEST, &mut files, rows);
    Ok(())
}

fn fill_file(machine: &Machine, path: &str, depth: usize, files: &mut usize, rows: &mut RowBuffer) {
    if depth == 0 || *files == 0 {
        return;
    }
    *files -= 1;
    let text = text_file::text(&machine.path(path));
    for line in logical_lines(&text) {
        let (header, details) = line.split_once(char::is_whitespace).unwrap_or((&line, ""));
        let details = details.trim();
        let is_include = INCLUDES.contains(&header);
        let is_folder = FOLDER_INCLUDES.contains(&header);
        if is_comment(header) || (details.is_empty() && (is_include || is_folder)) {
            continue;
        }
        rows.start_row();
        rows.text(SOURCE, path);
        rows.text(HEADER, header);
        rows.text(RULE_DETAILS, details);
        // A note behind a rule stays with it, as in osquery; it is no part of a path. A path without a slash in front
        // begins where the including file is.
        let target = details
            .split(" #")
            .next()
            .unwrap_or(details)
            .trim()
            .trim_matches('"');
        let folder = Path::new(path).parent().unwrap_or(Path::new("/"));
        let included = folder.join(target).display().to_string();
        if is_include {
            fill_file(machine, &included, depth - 1, files, rows);
        } else if is_folder {
            for file in text_file::entries(&machine.path(&included)) {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                // sudo passes over what editors and package managers leave behind.
                if !name.contains('.') && !name.ends_with('~') {
                    fill_file(machine, &format!("{included}/{name}"), depth - 1, files, rows);
                }
            }
        }
    }
}

/// The lines that are not empty; one with a backslash at its end goes on in the next. A comment ends with its line.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let header = line.split_whitespace().next().unwrap_or_default();
        let (text, continues) = match line.strip_suffix('\\') {
            Some(text) if goes_on || !header.starts_with(['#', '@']) => (text, true),
            _ => (line, false),
        };
        match lines.last_mut() {
            Some(last) if goes_on => last.push_str(text),
            _ => lines.push(text.to_owned()),
        }
        goes_on = continues;
    }
    lines
}

fn is_comment(header: &str) -> bool {
    header.starts_with('#') && !INCLUDES.contains(&header) && !FOLDER_INCLUDES.contains(&header)
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
                    "# note \\\nDefaults env_reset\nroot ALL=(ALL:ALL) \\\n ALL # of old\n@includedir\n\
                     @includedir /etc/sudoers.d # local\n#include sudoers\n#include sudoers\n",
                ),
                ("/etc/sudoers.d/jay", "%sudo\tALL=(ALL) NOPASSWD: ALL\n"),
                ("/etc/sudoers.d/old.bak", "no ALL\n"),
            ],
        );
        assert_eq!(
            database.values("source,header,rule_details", "sudoers limit 5"),
            [
                "/etc/sudoers|Defaults|env_reset",
                "/etc/sudoers|root|ALL=(ALL:ALL) ALL # of old",
                "/etc/sudoers|@includedir|/etc/sudoers.d # local",
                "/etc/sudoers.d/jay|%sudo|ALL=(ALL) NOPASSWD: ALL",
                "/etc/sudoers|#include|sudoers"
            ]
        );
    }
}
