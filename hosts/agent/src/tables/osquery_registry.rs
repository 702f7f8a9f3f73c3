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
