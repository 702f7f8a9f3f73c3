//! `osquery_schedule`: the queries that are scheduled now, and what they have cost.

use std::sync::Arc;

use super::Machine;
use crate::sql::{Column, RowBuffer, Scan, Table, TableError, columns};

columns! {
    NAME "name" Text,
    QUERY "query" Text,
    INTERVAL "interval" Integer,
    EXECUTIONS "executions" BigInt,
    LAST_EXECUTED "last_executed" BigInt,
    DENYLISTED "denylisted" Integer,
    OUTPUT_SIZE "output_size" BigInt,
    WALL_TIME "wall_time" BigInt,
    WALL_TIME_MS "wall_time_ms" BigInt,
    LAST_WALL_TIME_MS "last_wall_time_ms" BigInt,
    USER_TIME "user_time" BigInt,
    LAST_USER_TIME "last_user_time" BigInt,
    SYSTEM_TIME "system_time" BigInt,
    LAST_SYSTEM_TIME "last_system_time" BigInt,
    AVERAGE_MEMORY "average_memory" BigInt,
    LAST_MEMORY "last_memory" BigInt,
    BLACKLISTED "blacklisted" Integer hidden,
}

pub(crate) struct OsquerySchedule(pub(crate) Arc<Machine>);

impl Table for OsquerySchedule {
    fn name(&self) -> &'static str {
        "osquery_schedule"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
        for query in self.0.agent.read().schedule {
            let cost = query.performance;
            rows.start_row();
            rows.text(NAME, &query.name);
            rows.text(QUERY, &query.query);
            rows.integer(LAST_EXECUTED, cost.last_executed);
            for (column, value) in [
                (INTERVAL, query.interval),
                (EXECUTIONS, cost.executions),
                (OUTPUT_SIZE, cost.output_size),
                (WALL_TIME, cost.wall_time_ms / 1000),
                (WALL_TIME_MS, cost.wall_time_ms),
                (LAST_WALL_TIME_MS, cost.last_wall_time_ms),
                (USER_TIME, cost.user_time_ms),
                (LAST_USER_TIME, cost.last_user_time_ms),
                (SYSTEM_TIME, cost.system_time_ms),
                (LAST_SYSTEM_TIME, cost.last_system_time_ms),
                (DENYLISTED, u64::from(cost.denylisted)),
                (BLACKLISTED, u64::from(cost.denylisted)),
                // The agent does not measure the memory of a query.
                (AVERAGE_MEMORY, 0),
                (LAST_MEMORY, 0),
            ] {
                rows.integer(column, i64::try_from(value).unwrap_or(i64::MAX));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::agent_status::{Performance, QueryStatus};
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn shows_what_is_scheduled() {
        let database = TestDatabase::open();
        database.machine().agent.update(|agent| {
            agent.schedule.push(QueryStatus {
                name: "pack_ir_files".into(),
                query: "select 1".into(),
                interval: 5,
                performance: Performance {
                    executions: 3,
                    wall_time_ms: 2_500,
                    ..Performance::default()
                },
            });
        });
        let rows = database.rows("select * from osquery_schedule");
        assert_eq!(rows.len(), 1);
        let row = &rows[0];
        assert_eq!(
            (
                row["name"].as_str(),
                row["interval"].as_str(),
                row["executions"].as_str()
            ),
            ("pack_ir_files", "5", "3")
        );
        assert_eq!(
            (row["wall_time"].as_str(), row["denylisted"].as_str()),
            ("2", "0")
        );
        assert_eq!(
            database.rows("select blacklisted from osquery_schedule")[0]["blacklisted"],
            "0"
        );
    }
}
