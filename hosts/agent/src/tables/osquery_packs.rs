//! `osquery_packs`: the packs of the configuration that are for this machine.

use super::{Machine, table};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    NAME "name" Text,
    PLATFORM "platform" Text,
    VERSION "version" Text,
    SHARD "shard" Integer,
    DISCOVERY_CACHE_HITS "discovery_cache_hits" Integer,
    DISCOVERY_EXECUTIONS "discovery_executions" Integer,
    ACTIVE "active" Integer,
}

table! { OsqueryPacks "osquery_packs" fill }

fn fill(machine: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    for pack in machine.agent.read().packs {
        rows.start_row();
        rows.text(NAME, pack.name);
        rows.text(PLATFORM, pack.platform);
        rows.text(VERSION, pack.version);
        rows.integer(ACTIVE, i64::from(pack.is_active));
        for (column, count) in [
            (SHARD, pack.shard),
            (DISCOVERY_CACHE_HITS, pack.discovery_cache_hits),
            (DISCOVERY_EXECUTIONS, pack.discovery_executions),
        ] {
            rows.integer(column, i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::agent_status::PackStatus;
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn each_pack_has_its_conditions() {
        let database = TestDatabase::open();
        let pack = PackStatus {
            name: "ir".to_owned(),
            platform: "linux".to_owned(),
            is_active: true,
            discovery_executions: 2,
            ..PackStatus::default()
        };
        database.machine().agent.update(|agent| agent.packs = vec![pack]);
        assert_eq!(
            database.values("name,platform,shard,discovery_executions,active", "osquery_packs"),
            ["ir|linux|0|2|1"]
        );
    }
}
