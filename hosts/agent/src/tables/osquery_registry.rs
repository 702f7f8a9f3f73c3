//! `osquery_registry`: the plugins there are, the agent's own and those of its extensions.

use std::sync::Arc;

use super::Machine;
use crate::sql::{Column, RowBuffer, Scan, Table, TableError, columns};

columns! {
    REGISTRY "registry" Text,
    NAME "name" Text,
    OWNER_UUID "owner_uuid" Integer,
    INTERNAL "internal" Integer,
    ACTIVE "active" Integer,
}

pub(crate) struct OsqueryRegistry(pub(crate) Arc<Machine>);

impl Table for OsqueryRegistry {
    fn name(&self) -> &'static str {
        "osquery_registry"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
        let agent = self.0.agent.read();
        let chosen = |flag: &str| {
            let flag = agent.flags.iter().find(|known| known.name == flag);
            flag.map_or("", |flag| &flag.value)
        };
        let (config, loggers) = (chosen("config_plugin"), chosen("logger_plugin"));
        // Of these, flags choose; a table is there for whoever asks.
        let is_active = |registry: &str, name: &str| match registry {
            "config" => name == config,
            "logger" => loggers.split(',').any(|logger| logger.trim() == name),
            _ => true,
        };
        let mut add = |registry: &str, name: &str, owner: i64| {
            rows.start_row();
            rows.text(REGISTRY, registry);
            rows.text(NAME, name);
            rows.integer(OWNER_UUID, owner);
            rows.integer(INTERNAL, 0);
            rows.integer(ACTIVE, i64::from(is_active(registry, name)));
        };
        add("config", "filesystem", 0);
        add("logger", "filesystem", 0);
        add("logger", "stdout", 0);
        for table in super::all(&self.0) {
            add("table", table.name(), 0);
        }
        for extension in &agent.extensions {
            for (registry, name) in &extension.plugins {
                add(registry, name, extension.uuid);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::agent_status::{ExtensionStatus, FlagStatus};
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn plugins_are_the_agents_own_and_those_of_extensions_and_flags_choose() {
        let database = TestDatabase::open();
        let flag = |name, value: &str| FlagStatus {
            name,
            kind: "string",
            description: "",
            default_value: String::new(),
            value: value.to_owned(),
        };
        let plugins = [
            ("config", "osquery_confluent_config"),
            ("logger", "confluent_logger"),
            ("table", "own"),
        ];
        database.machine().agent.update(|agent| {
            agent.flags = vec![
                flag("config_plugin", "osquery_confluent_config"),
                flag("logger_plugin", "confluent_logger, filesystem"),
            ];
            agent.extensions = vec![ExtensionStatus {
                uuid: 4711,
                plugins: plugins
                    .map(|(registry, name)| (registry.to_owned(), name.to_owned()))
                    .to_vec(),
                ..ExtensionStatus::default()
            }];
        });
        let columns = "registry,name,owner_uuid,internal,active";
        assert_eq!(
            database.values(columns, "osquery_registry where registry in ('config', 'logger')"),
            [
                "config|filesystem|0|0|0",
                "logger|filesystem|0|0|1",
                "logger|stdout|0|0|0",
                "config|osquery_confluent_config|4711|0|1",
                "logger|confluent_logger|4711|0|1",
            ]
        );
        let tables = crate::tables::all(database.shared_machine());
        let mut names: Vec<String> = tables.iter().map(|table| table.name().to_owned()).collect();
        names.push("own".to_owned());
        let listed = database.values("name", "osquery_registry where registry = 'table' and active = 1");
        assert_eq!(listed, names);
    }
}
