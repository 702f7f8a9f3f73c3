//! `crontab`: the lines of the system's and the users' crontabs. In those of the system the user is a part of `command`, as in osquery.

use super::mount_namespace::MountNamespace;
use super::{Machine, table, text_file};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    EVENT "event" Text,
    MINUTE "minute" Text,
    HOUR "hour" Text,
    DAY_OF_MONTH "day_of_month" Text,
    MONTH "month" Text,
    DAY_OF_WEEK "day_of_week" Text,
    COMMAND "command" Text,
    PATH "path" Text,
    PID_WITH_NAMESPACE "pid_with_namespace" Integer additional hidden,
}

table! { Crontab "crontab" fill }

const FOLDERS: [&str; 4] = [
    "/etc/cron.d",
    "/var/at/tabs",
    "/var/spool/cron",
    "/var/spool/cron/crontabs",
];
const FIELDS: [usize; 5] = [MINUTE, HOUR, DAY_OF_MONTH, MONTH, DAY_OF_WEEK];

fn fill(machine: &Machine, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    for namespace in MountNamespace::of_scan(scan, PID_WITH_NAMESPACE, machine) {
        let prefix = namespace.path("").as_os_str().len();
        let folders = FOLDERS.into_iter();
        let files = folders.flat_map(|folder| text_file::entries(&namespace.path(folder)));
        for file in [namespace.path("/etc/crontab")].into_iter().chain(files) {
            let text = text_file::text(&file);
            for line in text_file::lines(&text) {
                if fill_line(line, rows) {
                    rows.text(PATH, &file.as_os_str().as_encoded_bytes()[prefix..]);
                    namespace.fill(PID_WITH_NAMESPACE, None, rows);
                }
            }
        }
    }
    Ok(())
}

/// Begins a row, unless the line has no command: it sets a variable, perhaps.
fn fill_line(line: &str, rows: &mut RowBuffer) -> bool {
    let mut words = line.split_whitespace();
    let event = line.starts_with('@').then(|| words.next()).flatten();
    let fields: Vec<&str> = if event.is_some() {
        Vec::new()
    } else {
        words.by_ref().take(FIELDS.len()).collect()
    };
    let command = words.collect::<Vec<_>>().join(" ");
    if command.is_empty() {
        return false;
    }
    rows.start_row();
    if let Some(event) = event {
        rows.text(EVENT, event);
    }
    for (column, field) in FIELDS.into_iter().zip(fields) {
        rows.text(column, field);
    }
    rows.text(COMMAND, command);
    true
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn of_the_system_and_of_users() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(
            folder.path(),
            &[
                (
                    "/etc/crontab",
                    "# head\nSHELL=/bin/sh\n17 *\t* * *\troot    cd / && run-parts  hourly\n",
                ),
                ("/etc/cron.d/x", "@reboot root /bin/x\n"),
                ("/var/spool/cron/crontabs/jay", "*/5 1 2 3 4 /bin/date\n"),
            ],
        );
        assert_eq!(
            database.values(
                "event,minute,hour,day_of_month,month,day_of_week,command,path",
                "crontab"
            ),
            [
                "|17|*|*|*|*|root cd / && run-parts hourly|/etc/crontab",
                "@reboot||||||root /bin/x|/etc/cron.d/x",
                "|*/5|1|2|3|4|/bin/date|/var/spool/cron/crontabs/jay"
            ]
        );
    }
}
