//! `magic`: what libmagic says of files, by way of its own program, `file`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use super::mount_namespace::MountNamespace;
use super::{Machine, table};
use crate::program::Program;
use crate::sql::{Operator, RowBuffer, Scan, TableError, columns};

columns! {
    PATH "path" Text index required,
    MAGIC_DB_FILES "magic_db_files" Text additional,
    DATA "data" Text,
    MIME_TYPE "mime_type" Text,
    MIME_ENCODING "mime_encoding" Text,
}

table! { Magic "magic" fill }

const PROGRAMS: [&str; 2] = ["/usr/bin/file", "/usr/local/bin/file"];
/// What is asked for each column.
const QUESTIONS: [(usize, &str); 3] = [
    (DATA, "--brief"),
    (MIME_TYPE, "--mime-type"),
    (MIME_ENCODING, "--mime-encoding"),
];

fn fill(machine: &Machine, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let Some(program) = Program::find(PROGRAMS.map(|path| machine.path(path))) else {
        machine
            .status
            .warning("Table magic needs the program `file`, which this machine has not");
        return Ok(());
    };
    let databases: Vec<&[u8]> = scan.values(MAGIC_DB_FILES, Operator::Equals).collect();
    let namespace = MountNamespace::own(machine);
    // Patterns are SQLite's to compare: only files that are named are looked at.
    for path in scan.values(PATH, Operator::Equals) {
        let reached = namespace.reach(path);
        let reached = OsStr::from_bytes(&reached);
        if !std::path::Path::new(reached).exists() {
            continue;
        }
        rows.start_row();
        rows.text(PATH, path);
        let mut arguments: Vec<OsString> = vec!["--brief".into(), "--dereference".into()];
        if let Some(databases) = databases.first() {
            rows.text(MAGIC_DB_FILES, databases);
            arguments.extend(["--magic-file".into(), OsStr::from_bytes(databases).to_owned()]);
        }
        for (column, question) in QUESTIONS {
            if !scan.uses(column) {
                continue;
            }
            let mut arguments = arguments.clone();
            arguments.extend([OsString::from(question), "--".into(), reached.to_owned()]);
            match program.output(&arguments) {
                Ok(answer) => rows.text(column, answer.trim_end()),
                Err(error) => machine.status.verbose(&|| format!("magic: {error}")),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn files_are_what_file_says_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let program = "#!/bin/sh\nfor last; do :; done\ncase \"$*\" in\n  *--mime-type*) echo text/plain ;;\n  *--mime-encoding*) echo us-ascii ;;\n  *) echo \"ASCII text of $(basename \"$last\")\" ;;\nesac\n";
        let database = TestDatabase::seeded(
            folder.path(),
            &[("/usr/bin/file", program), ("/srv/a b", "text\n")],
        );
        database.make_executable("/usr/bin/file");
        assert_eq!(
            database.values(
                "path,data,mime_type,mime_encoding",
                "magic where path in ('/srv/a b', '/srv/none')"
            ),
            ["/srv/a b|ASCII text of a b|text/plain|us-ascii"]
        );
        assert_eq!(database.error("select * from magic"), "constraint failed");
    }

    /// The real program, where the machine has it.
    #[test]
    fn the_machines_own_program_knows_itself() {
        if !std::path::Path::new("/usr/bin/file").exists() {
            return;
        }
        let database = TestDatabase::open();
        assert_eq!(
            database.values("mime_encoding", "magic where path = '/bin/sh'"),
            ["binary"]
        );
    }
}
