//! `osquery_flags`: the agent's flags and their values.

use super::{Machine, table};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    NAME "name" Text,
    TYPE "type" Text,
    DESCRIPTION "description" Text,
    DEFAULT_VALUE "default_value" Text,
    VALUE "value" Text,
    SHELL_ONLY "shell_only" Integer,
}

table! { OsqueryFlags "osquery_flags" fill }

fn fill(machine: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    for flag in machine.agent.read().flags {
        rows.start_row();
        rows.text(NAME, flag.name);
        rows.text(TYPE, flag.kind);
        rows.text(DESCRIPTION, flag.description);
        rows.text(DEFAULT_VALUE, flag.default_value);
        rows.text(VALUE, flag.value);
        rows.integer(SHELL_ONLY, 0);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::flags::Flags;
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn each_flag_has_its_value() {
        let database = TestDatabase::open();
        let flags = Flags {
            logger_numerics: true,
            ..Flags::default()
        };
        database
            .machine()
            .agent
            .update(|agent| agent.flags = flags.status());
        assert_eq!(
            database.values(
                "type,default_value,value",
                "osquery_flags where name = 'logger_numerics'"
            ),
            ["bool|false|true"]
        );
    }
}
