//! Functions: the list of them, and one with its forms.

use serde_json::{Map, Value};

use super::{facts, field, list, objects};
use crate::report::table::table;

pub(super) fn all(body: &Map<String, Value>, width: Option<usize>) -> Option<String> {
    list(
        body,
        "functions",
        ["FUNCTION", "CATEGORY", "TYPE"],
        width,
        |function| {
            [
                field(function, "name"),
                field(function, "category"),
                field(function, "type"),
            ]
        },
    )
}

pub(super) fn description(body: &Map<String, Value>, width: Option<usize>) -> String {
    let mut parts = vec![facts(
        &[
            ("Name", field(body, "name")),
            ("Type", field(body, "type")),
            ("Description", field(body, "description")),
        ],
        width,
    )];
    let rows: Vec<Vec<String>> = objects(body, "functions")
        .into_iter()
        .flatten()
        .map(|variant| {
            let arguments: Vec<String> = objects(variant, "arguments")
                .into_iter()
                .flatten()
                .map(|argument| {
                    // Not every server names the arguments.
                    let words = [field(argument, "name"), field(argument, "type")];
                    words.join(" ").trim().to_owned()
                })
                .collect();
            vec![
                arguments.join(", "),
                field(variant, "returnType"),
                field(variant, "description"),
            ]
        })
        .collect();
    if !rows.is_empty() {
        parts.push(table(&["ARGUMENTS", "RETURNS", "DESCRIPTION"], &rows, width));
    }
    parts.join("\n\n")
}
