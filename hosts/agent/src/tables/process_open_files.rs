//! `process_open_files`: the files each process holds open. Sockets, pipes and anonymous inodes are no files, as in osquery.

use std::sync::Arc;

use super::Machine;
use crate::sql::{Column, RowBuffer, Scan, Table, TableError, columns};

columns! {
    PID "pid" BigInt index,
    FD "fd" BigInt,
    PATH "path" Text,
}

const NOT_FILES: [&[u8]; 3] = [b"socket:", b"pipe:", b"anon_inode:"];

pub(crate) struct ProcessOpenFiles(pub(crate) Arc<Machine>);

impl Table for ProcessOpenFiles {
    fn name(&self) -> &'static str {
        "process_open_files"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
        let mut reader = self.0.proc.reader();
        let processes = reader
            .processes(scan.integers(PID).as_deref())
            .map_err(TableError::reading("the list of processes"))?;
        for pid in processes {
            reader.descriptors(pid, |descriptor, path| {
                if NOT_FILES.iter().any(|prefix| path.starts_with(prefix)) {
                    return;
                }
                rows.start_row();
                rows.integer(PID, i64::from(pid));
                rows.integer(FD, descriptor);
                rows.text(PATH, path);
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use crate::tables::fixture::TestDatabase;

    #[test]
    fn an_open_file_is_found_with_its_process_and_descriptor() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (_pipe, _) = std::io::pipe().unwrap();
        let database = TestDatabase::open();
        let path = file.path().to_str().unwrap();
        for narrowed in ["", &format!(" and pid = {}", std::process::id())] {
            let rows = database.rows(&format!(
                "select * from process_open_files where path = '{path}'{narrowed}"
            ));
            assert_eq!(rows.len(), 1, "{rows:?}");
            assert_eq!(rows[0]["pid"], std::process::id().to_string());
            assert_eq!(rows[0]["fd"], file.as_file().as_raw_fd().to_string());
        }
        let own = database.rows(&format!(
            "select path from process_open_files where pid = {}",
            std::process::id()
        ));
        assert!(own.iter().all(|row| !row["path"].starts_with("pipe:")), "{own:?}");
    }

    #[test]
    fn a_join_on_pid_narrows_the_scan() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let rows = TestDatabase::open().rows(&format!(
            "select p.name, f.path from processes p join process_open_files f using (pid) where p.pid = {} and f.path = '{}'",
            std::process::id(),
            file.path().display()
        ));
        assert_eq!(rows.len(), 1);
    }
}
