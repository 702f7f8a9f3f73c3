//! `osquery_extensions`: the extensions that have registered, after the agent itself.

use osquery_configuration::OSQUERY_VERSION;

use super::{Machine, table};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    UUID "uuid" BigInt,
    NAME "name" Text,
    VERSION "version" Text version,
    SDK_VERSION "sdk_version" Text version,
    PATH "path" Text,
    TYPE "type" Text,
}

table! { OsqueryExtensions "osquery_extensions" fill }

fn fill(machine: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let agent = machine.agent.read();
    rows.start_row();
    rows.integer(UUID, 0);
    rows.text(NAME, "core");
    rows.text(VERSION, OSQUERY_VERSION);
    rows.text(SDK_VERSION, "0.0.0");
    rows.text(PATH, &agent.extensions_socket);
    rows.text(TYPE, "core");
    for extension in agent.extensions {
        rows.start_row();
        rows.integer(UUID, extension.uuid);
        rows.text(NAME, extension.name);
        rows.text(VERSION, extension.version);
        rows.text(SDK_VERSION, extension.sdk_version);
        rows.text(PATH, extension.socket);
        rows.text(TYPE, "extension");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::agent_status::ExtensionStatus;
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn extensions_and_their_plugins_are_listed() {
        let database = TestDatabase::open();
        let extension = ExtensionStatus {
            uuid: 4711,
            name: "confluent".to_owned(),
            version: "1.0".to_owned(),
            sdk_version: "5.0.0".to_owned(),
            socket: "/run/em.4711".to_owned(),
            plugins: vec![("table".to_owned(), "own_table".to_owned())],
        };
        database.machine().agent.update(|agent| {
            agent.extensions_socket = "/run/em".to_owned();
            agent.extensions = vec![extension];
        });
        assert_eq!(
            database.values("uuid,name,sdk_version,path,type", "osquery_extensions"),
            [
                "0|core|0.0.0|/run/em|core",
                "4711|confluent|5.0.0|/run/em.4711|extension"
            ]
        );
        assert_eq!(
            database.values(
                "registry,name,owner_uuid,internal,active",
                "osquery_registry where name in ('own_table', 'osquery_registry', 'stdout')"
            ),
            [
                "logger|stdout|0|0|0",
                "table|osquery_registry|0|0|1",
                "table|own_table|4711|0|1"
            ]
        );
    }
}
