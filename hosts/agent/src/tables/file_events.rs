//! `file_events`: changes of the files that the configuration names under `file_paths`.

use super::{Machine, table};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    TARGET_PATH "target_path" Text,
    CATEGORY "category" Text,
    ACTION "action" Text,
    TRANSACTION_ID "transaction_id" BigInt,
    INODE "inode" BigInt,
    UID "uid" BigInt,
    GID "gid" BigInt,
    MODE "mode" Text,
    SIZE "size" BigInt,
    ATIME "atime" BigInt,
    MTIME "mtime" BigInt,
    CTIME "ctime" BigInt,
    MD5 "md5" Text ignore_case,
    SHA1 "sha1" Text ignore_case,
    SHA256 "sha256" Text ignore_case,
    HASHED "hashed" Integer,
    TIME "time" BigInt additional,
    EID "eid" Text hidden,
}

table! { FileEvents "file_events" fill }

fn fill(machine: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    machine.file_events.collect(&machine.status);
    for event in machine.file_events.read() {
        rows.start_row();
        rows.text(TARGET_PATH, event.path.as_os_str().as_encoded_bytes());
        rows.text(CATEGORY, event.category);
        rows.text(ACTION, event.action);
        rows.integer(TRANSACTION_ID, i64::from(event.transaction_id));
        rows.integer(TIME, event.time);
        rows.display(EID, format_args!("{:010}", event.id));
        rows.integer(HASHED, 0);
        let Some(file) = event.file else { continue };
        let unsigned = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        rows.integer(INODE, unsigned(file.inode));
        rows.integer(UID, i64::from(file.uid));
        rows.integer(GID, i64::from(file.gid));
        rows.display(MODE, format_args!("{:04o}", file.mode & 0o7777));
        rows.integer(SIZE, unsigned(file.size));
        rows.integer(ATIME, file.atime);
        rows.integer(MTIME, file.mtime);
        rows.integer(CTIME, file.ctime);
        match file.digests {
            Some(Ok(digests)) => {
                for (column, digest) in [MD5, SHA1, SHA256].into_iter().zip(digests) {
                    rows.text(column, digest.unwrap_or_default());
                }
                rows.integer(HASHED, 1);
            }
            Some(Err(())) => rows.integer(HASHED, -1),
            None => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use osquery_configuration::FilePaths;

    use crate::tables::fixture::TestDatabase;

    #[test]
    fn changes_of_watched_files_are_told_once_to_each_query() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("deep/er")).unwrap();
        fs::create_dir(root.join("flat")).unwrap();
        let database = TestDatabase::open();
        let machine = database.machine();
        let path = |name: &str| root.join(name).display().to_string();
        let file_paths = FilePaths {
            watched: BTreeMap::from([
                ("all".to_owned(), vec![path("deep/%%")]),
                ("conf".to_owned(), vec![path("flat/%.conf")]),
            ]),
            excluded: BTreeMap::from([("all".to_owned(), vec![path("deep/er/no%")])]),
            accesses: Vec::new(),
        };
        machine.file_events.watch(&file_paths, &machine.status);
        fs::write(root.join("deep/er/abc"), "abc").unwrap();
        fs::write(root.join("deep/er/nothing"), "").unwrap();
        fs::write(root.join("flat/x.conf"), "").unwrap();
        fs::write(root.join("flat/x.txt"), "").unwrap();
        fs::rename(root.join("flat/x.conf"), root.join("flat/y.conf")).unwrap();
        fs::create_dir(root.join("deep/new")).unwrap();
        let events = |database: &TestDatabase| -> Vec<String> {
            let rows = database.values("category,action,target_path,size,sha1,hashed", "file_events");
            rows.into_iter().map(|row| row.replace(&path(""), "")).collect()
        };
        let seen = events(&database);
        let sha1 = "a9993e364706816aba3e25717850c26c9cd0d89d";
        assert!(
            seen.contains(&format!("all|CREATED|deep/er/abc|3|{sha1}|1")),
            "{seen:#?}"
        );
        assert!(
            seen.contains(&format!("all|UPDATED|deep/er/abc|3|{sha1}|1")),
            "{seen:#?}"
        );
        let told = |action: &str| seen.iter().filter(|row| row.contains(action)).count();
        assert_eq!(
            (told("|MOVED_FROM|flat/x.conf|"), told("|MOVED_TO|flat/y.conf|0|")),
            (1, 1),
            "{seen:#?}"
        );
        assert_eq!((told("nothing"), told("x.txt")), (0, 0), "{seen:#?}");

        // A folder that is new below a deep one is watched, too.
        fs::write(root.join("deep/new/file"), "").unwrap();
        let seen = events(&database);
        assert!(
            seen.iter()
                .any(|row| row.starts_with("all|CREATED|deep/new/file")),
            "{seen:#?}"
        );

        // A scheduled query has each event once, when it is acknowledged.
        let ask = || {
            machine.file_events.begin("q");
            let rows = events(&database).len();
            (rows, machine.file_events.end().unwrap())
        };
        let (first, last) = ask();
        assert_eq!(first, seen.len());
        assert_eq!(ask(), (first, last), "it was not acknowledged");
        machine.file_events.acknowledge("q", last);
        assert_eq!(ask().0, 0);
        fs::remove_file(root.join("deep/new/file")).unwrap();
        machine.file_events.begin("q");
        let seen = events(&database);
        machine.file_events.end();
        assert_eq!(seen, ["all|DELETED|deep/new/file|||0"]);
    }

    /// A folder whose `%%` is watched, and what was told of it since it was asked last.
    struct Deep {
        folder: tempfile::TempDir,
        database: TestDatabase,
    }

    impl Deep {
        fn watched() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path().canonicalize().unwrap();
            fs::create_dir(root.join("in")).unwrap();
            fs::create_dir(root.join("out")).unwrap();
            let database = TestDatabase::open();
            let machine = database.machine();
            let file_paths = FilePaths {
                watched: BTreeMap::from([("all".to_owned(), vec![root.join("in/%%").display().to_string()])]),
                ..FilePaths::default()
            };
            machine.file_events.watch(&file_paths, &machine.status);
            Self { folder, database }
        }

        fn path(&self, name: &str) -> std::path::PathBuf {
            self.folder.path().canonicalize().unwrap().join(name)
        }

        fn write(&self, name: &str) {
            let path = self.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }

        /// Actions and paths, without what merely changes.
        fn told(&self) -> Vec<String> {
            let events = &self.database.machine().file_events;
            events.begin("told");
            let rows = self.database.values("action,target_path", "file_events");
            events.acknowledge("told", events.end().unwrap());
            let root = self.path("");
            let rows = rows
                .into_iter()
                .map(|row| row.replace(root.to_str().unwrap(), ""));
            rows.filter(|row| !row.starts_with("UPDATED") && !row.starts_with("ATTRIBUTES"))
                .collect()
        }
    }

    #[test]
    fn what_a_new_folder_has_in_it_is_told_once() {
        let deep = Deep::watched();
        deep.write("in/first");
        deep.write("in/a/b/c/file");
        deep.write("in/a/other");
        let mut told = deep.told();
        told.sort();
        assert_eq!(
            told,
            [
                "CREATED|in/a",
                "CREATED|in/a/b",
                "CREATED|in/a/b/c",
                "CREATED|in/a/b/c/file",
                "CREATED|in/a/other",
                "CREATED|in/first"
            ]
        );
        // It is watched from then on; what is gone and comes back is told again.
        deep.write("in/a/b/c/later");
        fs::remove_file(deep.path("in/a/other")).unwrap();
        deep.write("in/a/other");
        assert_eq!(
            deep.told(),
            [
                "CREATED|in/a/b/c/later",
                "DELETED|in/a/other",
                "CREATED|in/a/other"
            ]
        );
        // A folder that was there for a moment, and one in its place.
        deep.write("in/moment/file");
        fs::remove_dir_all(deep.path("in/moment")).unwrap();
        deep.write("in/moment/file");
        let told = deep.told();
        let files = told.iter().filter(|row| row.ends_with("CREATED|in/moment/file"));
        assert_eq!(files.count(), 1, "{told:?}");
    }

    #[test]
    fn events_of_a_folder_that_was_renamed_bear_its_new_name() {
        let deep = Deep::watched();
        deep.write("in/old/below/file");
        deep.told();
        fs::rename(deep.path("in/old"), deep.path("in/new")).unwrap();
        deep.write("in/new/below/other");
        assert_eq!(
            deep.told(),
            [
                "MOVED_FROM|in/old",
                "MOVED_TO|in/new",
                "CREATED|in/new/below/other"
            ]
        );
        deep.write("in/new/third");
        assert_eq!(deep.told(), ["CREATED|in/new/third"]);
        // One in the place of the old one is another one.
        deep.write("in/old/file");
        assert_eq!(deep.told(), ["CREATED|in/old", "CREATED|in/old/file"]);

        // What is moved away is no longer watched, and what is moved here is told with what is in it.
        fs::rename(deep.path("in/new"), deep.path("out/new")).unwrap();
        assert_eq!(deep.told(), ["MOVED_FROM|in/new"]);
        deep.write("out/new/below/unseen");
        assert_eq!(deep.told(), [""; 0]);
        fs::rename(deep.path("out/new/below"), deep.path("in/back")).unwrap();
        let mut told = deep.told();
        told.sort();
        assert_eq!(
            told,
            [
                "CREATED|in/back/file",
                "CREATED|in/back/other",
                "CREATED|in/back/unseen",
                "MOVED_TO|in/back"
            ]
        );
    }
}
