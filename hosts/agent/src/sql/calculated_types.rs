//! The types of a statement's calculated columns, read off SQLite's compiled program as osquery reads them.
//!
//! SQLite declares types for columns of tables only. osquery follows which register of the program holds what when a row
//! is given out: sums and counts are `BIGINT`, comparisons `INTEGER`, joined text is `TEXT`, a cast is what it says. What
//! a function returns, and a number with a point, stay unknown. Unlike osquery, this takes no jump target for a register.

use std::collections::BTreeMap;

use rusqlite::Statement;

/// One step of a compiled statement: what is done, and its first three operands.
struct Instruction {
    operation: String,
    operands: [i64; 3],
}

/// The types that are known, by a column's place. `explained` is the statement behind `EXPLAIN`.
pub(super) fn of(explained: &mut Statement<'_>) -> Result<BTreeMap<usize, &'static str>, rusqlite::Error> {
    let instructions = explained.query_map([], |row| {
        Ok(Instruction {
            operation: row.get("opcode")?,
            operands: [row.get("p1")?, row.get("p2")?, row.get("p3")?],
        })
    })?;
    let mut registers = BTreeMap::new();
    let mut columns = BTreeMap::new();
    for instruction in instructions {
        let Instruction { operation, operands } = instruction?;
        let [first, second, third] = operands;
        match operation.as_str() {
            "ResultRow" => {
                let given = registers.range(first..first.saturating_add(second));
                columns.extend(given.map(|(register, kind)| (place(register - first), *kind)));
            }
            "Copy" => {
                for step in 0..=third {
                    if let Some(kind) = registers.remove(&(first + step)) {
                        registers.insert(second + step, kind);
                    }
                }
            }
            "Cast" => {
                registers.insert(first, cast(second));
            }
            "AggStep" | "AggStep0" | "AggStep1" => {
                registers.insert(third, "BIGINT");
            }
            "BitAnd" | "BitOr" | "ShiftLeft" | "ShiftRight" | "Add" | "Subtract" | "Multiply" | "Divide"
            | "Remainder" => {
                registers.insert(third, "BIGINT");
            }
            "Concat" => {
                registers.insert(third, "TEXT");
            }
            "And" | "Or" => {
                registers.insert(third, "INTEGER");
            }
            "String" | "String8" => {
                registers.insert(second, "TEXT");
            }
            "Integer" | "Not" => {
                registers.insert(second, "INTEGER");
            }
            "Int64" => {
                registers.insert(second, "BIGINT");
            }
            _ => {}
        }
    }
    Ok(columns)
}

fn place(offset: i64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// The type of SQLite's letter for an affinity.
fn cast(affinity: i64) -> &'static str {
    match u8::try_from(affinity) {
        Ok(b'A') => "BLOB",
        Ok(b'B') => "TEXT",
        Ok(b'D') => "BIGINT",
        Ok(b'E') => "DOUBLE",
        _ => "UNKNOWN",
    }
}
