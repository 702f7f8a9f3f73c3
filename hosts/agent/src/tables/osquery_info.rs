//! `osquery_info`: the agent itself. `build_distro` says that it is not osqueryd.

use std::sync::Arc;

use super::Machine;
use crate::sql::{Column, RowBuffer, Scan, Table, TableError, columns};
use osquery_configuration::OSQUERY_VERSION;

columns! {
    PID "pid" Integer,
    UUID "uuid" Text ignore_case,
    INSTANCE_ID "instance_id" Text,
    VERSION "version" Text version,
    CONFIG_HASH "config_hash" Text ignore_case,
    CONFIG_VALID "config_valid" Integer,
    EXTENSIONS "extensions" Text,
    BUILD_PLATFORM "build_platform" Text,
    BUILD_DISTRO "build_distro" Text,
    START_TIME "start_time" Integer,
    WATCHER "watcher" Integer,
    PLATFORM_MASK "platform_mask" Integer,
}

/// osquery's bit mask for POSIX and Linux.
const POSIX_LINUX: i64 = 0x01 | 0x08;

pub(crate) struct OsqueryInfo(pub(crate) Arc<Machine>);

impl Table for OsqueryInfo {
    fn name(&self) -> &'static str {
        "osquery_info"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
        let agent = self.0.agent.read();
        rows.start_row();
        rows.integer(PID, i64::from(std::process::id()));
        rows.text(UUID, &agent.host_uuid);
        rows.text(INSTANCE_ID, &agent.instance_id);
        rows.text(VERSION, OSQUERY_VERSION);
        rows.text(CONFIG_HASH, &agent.config_hash);
        rows.integer(CONFIG_VALID, i64::from(agent.config_valid));
        rows.text(
            EXTENSIONS,
            if agent.extensions_active {
                "active"
            } else {
                "inactive"
            },
        );
        rows.text(BUILD_PLATFORM, "linux");
        rows.text(BUILD_DISTRO, concat!("osqdemo-agent ", env!("CARGO_PKG_VERSION")));
        rows.integer(START_TIME, agent.start_time);
        // There is no watcher process; osquery gives -1 then.
        rows.integer(WATCHER, -1);
        rows.integer(PLATFORM_MASK, POSIX_LINUX);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn is_about_this_process() {
        let database = TestDatabase::open();
        let rows = database.rows("select i.pid, p.cmdline from osquery_info i join processes p using (pid)");
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0]["pid"], std::process::id().to_string());
        assert_eq!(
            database.rows("select build_distro from osquery_info")[0]["build_distro"],
            "osqdemo-agent 0.1.0"
        );
    }
}
