//! `startup_items`: what is started with a desktop, the scripts of `/etc/init.d`, and the units of systemd.

use std::path::Path;

use super::systemd::units;
use super::{Machine, table, text_file};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    NAME "name" Text,
    PATH "path" Text,
    ARGS "args" Text,
    TYPE "type" Text,
    SOURCE "source" Text,
    STATUS "status" Text,
    USERNAME "username" Text,
}

table! { StartupItems "startup_items" fill }

/// Below each home and for the whole machine: desktop entries, and scripts.
const HOME_ITEMS: &str = ".config/autostart/";
const HOME_SCRIPTS: &str = ".config/autostart-scripts/";
const SYSTEM_ITEMS: &str = "/etc/xdg/autostart/";
const SYSTEM_SCRIPTS: &str = "/etc/init.d/";

fn fill(machine: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let passwd = text_file::read(&machine.path("/etc/passwd")).unwrap_or_default();
    for account in super::accounts::accounts(&passwd) {
        let home = String::from_utf8_lossy(account.directory);
        let home = home.trim_end_matches('/');
        if !home.is_empty() {
            let user = String::from_utf8_lossy(account.name);
            fill_items(machine, &format!("{home}/{HOME_ITEMS}"), &user, rows);
            fill_scripts(machine, &format!("{home}/{HOME_SCRIPTS}"), &user, rows);
        }
    }
    fill_scripts(machine, SYSTEM_SCRIPTS, "", rows);
    fill_items(machine, SYSTEM_ITEMS, "", rows);
    // A machine without systemd has no units.
    for unit in units(machine).unwrap_or_default() {
        rows.start_row();
        rows.text(NAME, unit.get("Id"));
        rows.text(PATH, unit.get("FragmentPath"));
        rows.text(TYPE, "systemd unit");
        rows.text(SOURCE, unit.get("SourcePath"));
        rows.text(STATUS, unit.get("ActiveState"));
        rows.text(USERNAME, unit.get("User"));
    }
    Ok(())
}

fn files(machine: &Machine, folder: &str) -> impl Iterator<Item = std::path::PathBuf> {
    text_file::entries(&machine.path(folder))
        .into_iter()
        .filter(|path| path.is_file())
}

fn fill_items(machine: &Machine, folder: &str, user: &str, rows: &mut RowBuffer) {
    for file in files(machine, folder) {
        start_item(folder, user, rows);
        let text = text_file::text(&file);
        let value = |key: &str| {
            let mut lines = text.lines();
            lines.find_map(|line| Some(line.strip_prefix(key)?.strip_prefix('=')?.trim()))
        };
        if let Some(name) = value("Name") {
            rows.text(NAME, name);
        }
        // As osquery has it, with its arguments.
        if let Some(command) = value("Exec") {
            rows.text(PATH, command);
        }
    }
}

fn fill_scripts(machine: &Machine, folder: &str, user: &str, rows: &mut RowBuffer) {
    for file in files(machine, folder) {
        let name = name_of(&file);
        start_item(folder, user, rows);
        rows.text(NAME, &*name);
        rows.display(PATH, format_args!("{folder}{name}"));
    }
}

fn start_item(folder: &str, user: &str, rows: &mut RowBuffer) {
    rows.start_row();
    rows.text(TYPE, "Startup Item");
    rows.text(SOURCE, folder);
    rows.text(STATUS, "enabled");
    rows.text(USERNAME, user);
}

fn name_of(file: &Path) -> std::borrow::Cow<'_, str> {
    file.file_name().unwrap_or_default().to_string_lossy()
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;
    use crate::tables::systemd::for_tests::SYSTEMCTL;

    #[test]
    fn items_scripts_and_units_are_listed() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(
            folder.path(),
            &[
                ("/etc/passwd", "jay:x:1000:1000::/home/jay:/bin/sh\n"),
                (
                    "/home/jay/.config/autostart/chat.desktop",
                    "[Desktop Entry]\nName=Chat\nExec=/usr/bin/chat --quiet\n",
                ),
                ("/etc/init.d/cron", "#!/bin/sh\n"),
                ("/usr/bin/systemctl", SYSTEMCTL),
            ],
        );
        database.make_executable("/usr/bin/systemctl");
        assert_eq!(
            database.values("name,path,type,source,status,username", "startup_items"),
            [
                "Chat|/usr/bin/chat --quiet|Startup Item|/home/jay/.config/autostart/|enabled|jay",
                "cron|/etc/init.d/cron|Startup Item|/etc/init.d/|enabled|",
                "ssh.service|/lib/systemd/system/ssh.service|systemd unit||active|jay",
                "dev-sda.device||systemd unit||active|",
            ]
        );
    }
}
