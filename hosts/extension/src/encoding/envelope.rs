//! What all lines have in common, as an Avro record: every kind of line fits, whatever its rows are.
//!
//! Every field can be missing but `numerics`, so that each schema can read what the others wrote, and no line has to be refused
//! for what it lacks.

use osqdemo_avro::write::{Blocks, write_branch, write_string};
use osqdemo_avro::write_long;

use super::line::{Line, Unencodable, misshapen, text};
use crate::json;

/// Where the records' names are.
pub(super) const NAMESPACE: &str = "io.osqdemo.osquery";

/// The schema of a record whose rows are of the type `row`; what stands for that type once it is defined is `row_again`.
pub(super) fn schema(name: &str, attributes: &str, row: &str, row_again: &str) -> String {
    let optional =
        |field: &str, of: &str| format!(r#"{{"name":"{field}","type":["null",{of}],"default":null}}"#);
    let rows = format!(r#"{{"type":"array","items":{row_again}}}"#);
    let differences = format!(
        r#"{{"type":"record","name":"{name}_diffResults","fields":[{{"name":"removed","type":{rows}}},{{"name":"added","type":{rows}}}]}}"#
    );
    let text = r#""string""#;
    let number = r#""long""#;
    let fields = [
        optional("name", text),
        optional("hostIdentifier", text),
        optional("calendarTime", text),
        optional("unixTime", number),
        optional("epoch", number),
        optional("counter", number),
        r#"{"name":"numerics","type":"boolean","default":false}"#.to_owned(),
        optional("decorations", r#"{"type":"map","values":"string"}"#),
        optional("action", text),
        optional("columns", row),
        optional("snapshot", &rows),
        optional("diffResults", &differences),
    ];
    format!(
        r#"{{"type":"record","name":"{name}","namespace":"{NAMESPACE}","fields":[{}]{attributes}}}"#,
        fields.join(",")
    )
}

/// Appends a line. `row` appends the object of a row.
pub(super) fn write(
    line: &Line<'_>,
    out: &mut Vec<u8>,
    mut row: impl FnMut(&[u8], &mut Vec<u8>) -> Result<(), Unencodable>,
) -> Result<(), Unencodable> {
    for value in [&line.name, &line.host_identifier, &line.calendar_time] {
        write_optional_text(value.as_deref(), out);
    }
    for number in [line.unix_time, line.epoch, line.counter] {
        write_branch(u32::from(number.is_some()), out);
        if let Some(number) = number {
            write_long(number, out);
        }
    }
    out.push(u8::from(line.numerics));
    write_decorations(line, out)?;
    write_optional_text(line.action.as_deref(), out);
    write_branch(u32::from(line.columns.is_some()), out);
    if let Some(columns) = line.columns {
        row(columns, out)?;
    }
    write_branch(u32::from(line.snapshot.is_some()), out);
    if let Some(rows) = line.snapshot {
        write_rows("snapshot", rows, out, &mut row)?;
    }
    write_branch(u32::from(line.diff_results.is_some()), out);
    if let Some(results) = line.diff_results {
        for action in ["removed", "added"] {
            let rows = json::member(results, action).unwrap_or(b"[]");
            write_rows("diffResults", rows, out, &mut row)?;
        }
    }
    Ok(())
}

/// Appends an object as a map of text. What is null is left out.
pub(super) fn write_map(member: &'static str, object: &[u8], out: &mut Vec<u8>) -> Result<(), Unencodable> {
    let mut blocks = Blocks::default();
    write_entries(member, object, &mut blocks, out)?;
    blocks.end(out);
    Ok(())
}

fn write_entries(
    member: &'static str,
    object: &[u8],
    blocks: &mut Blocks,
    out: &mut Vec<u8>,
) -> Result<(), Unencodable> {
    for_each_column(member, object, |name, value| {
        if let Some(value) = text(value) {
            blocks.item(out);
            write_string(&super::line::utf8(json::decode(name)), out);
            write_string(&value, out);
        }
        Ok(())
    })
}

/// Visits the members of an object, their names as they stand in it.
pub(super) fn for_each_column<'o>(
    member: &'static str,
    object: &'o [u8],
    mut visit: impl FnMut(&'o [u8], &'o [u8]) -> Result<(), Unencodable>,
) -> Result<(), Unencodable> {
    let wrong = || misshapen(member, object, "an object");
    for column in json::members(object).map_err(|_| wrong())? {
        let (name, value) = column.map_err(|_| wrong())?;
        visit(name, value)?;
    }
    Ok(())
}

fn write_rows(
    member: &'static str,
    rows: &[u8],
    out: &mut Vec<u8>,
    row: &mut impl FnMut(&[u8], &mut Vec<u8>) -> Result<(), Unencodable>,
) -> Result<(), Unencodable> {
    let wrong = || misshapen(member, rows, "an array of rows");
    let mut blocks = Blocks::default();
    for columns in json::elements(rows).map_err(|_| wrong())? {
        blocks.item(out);
        row(columns.map_err(|_| wrong())?, out)?;
    }
    blocks.end(out);
    Ok(())
}

fn write_decorations(line: &Line<'_>, out: &mut Vec<u8>) -> Result<(), Unencodable> {
    let some = line.decorations.is_some() || !line.others.is_empty();
    write_branch(u32::from(some), out);
    if !some {
        return Ok(());
    }
    let mut blocks = Blocks::default();
    if let Some(decorations) = line.decorations {
        write_entries("decorations", decorations, &mut blocks, out)?;
    }
    for (name, value) in &line.others {
        if let Some(value) = text(value) {
            blocks.item(out);
            write_string(name, out);
            write_string(&value, out);
        }
    }
    blocks.end(out);
    Ok(())
}

fn write_optional_text(value: Option<&str>, out: &mut Vec<u8>) {
    write_branch(u32::from(value.is_some()), out);
    if let Some(value) = value {
        write_string(value, out);
    }
}
