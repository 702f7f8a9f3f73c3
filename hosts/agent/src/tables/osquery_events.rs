//! `osquery_events`: who tells of events, and who asks for them. The agent has one of each: inotify, and `file_events`.

use super::{Machine, table};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    NAME "name" Text,
    PUBLISHER "publisher" Text,
    TYPE "type" Text,
    SUBSCRIPTIONS "subscriptions" Integer,
    EVENTS "events" Integer,
    REFRESHES "refreshes" Integer,
    ACTIVE "active" Integer,
}

table! { OsqueryEvents "osquery_events" fill }

fn fill(machine: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let activity = machine.file_events.activity();
    for (name, kind) in [("inotify", "publisher"), ("file_events", "subscriber")] {
        rows.start_row();
        rows.text(NAME, name);
        rows.text(PUBLISHER, "inotify");
        rows.text(TYPE, kind);
        for (column, number) in [
            (SUBSCRIPTIONS, activity.subscriptions),
            (EVENTS, activity.events),
            (REFRESHES, 0),
        ] {
            rows.integer(column, i64::try_from(number).unwrap_or(i64::MAX));
        }
        rows.integer(ACTIVE, i64::from(activity.is_active));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use osquery_configuration::FilePaths;

    use crate::tables::fixture::TestDatabase;

    #[test]
    fn events_are_counted_once_files_are_watched() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::open();
        let columns = "name,publisher,type,subscriptions,events,active";
        assert_eq!(
            database.values(columns, "osquery_events"),
            [
                "inotify|inotify|publisher|0|0|0",
                "file_events|inotify|subscriber|0|0|0"
            ]
        );
        watch(&database, folder.path());
        std::fs::write(folder.path().join("new"), "").unwrap();
        let machine = database.machine();
        machine.file_events.collect(&machine.status);
        let rows = database.values("type,subscriptions,active", "osquery_events where events > 0");
        assert_eq!(rows, ["publisher|1|1", "subscriber|1|1"]);
    }

    fn watch(database: &TestDatabase, folder: &Path) {
        let machine = database.machine();
        let pattern = folder.canonicalize().unwrap().join("%").display().to_string();
        let file_paths = FilePaths {
            watched: BTreeMap::from([("all".to_owned(), vec![pattern])]),
            ..FilePaths::default()
        };
        machine.file_events.watch(&file_paths, &machine.status);
    }
}
