//! ksqlDB's answers as text: lists as tables, descriptions as blocks, messages as they are.
//!
//! Servers of different versions answer with different fields, so every field is optional here, and an answer
//! of a shape that is not known is shown as JSON rather than hidden. One function a kind of answer.

mod connectors;
mod functions;

use serde_json::{Map, Value};

use super::printable::printable;
use super::table::table;
use super::wrapping::wrap;
use crate::ksqldb::Entity;

/// The answer as it is shown, without a line break at the end.
pub fn entity_text(entity: &Entity, width: Option<usize>) -> String {
    let body = entity.body();
    let text = match entity.kind() {
        "currentStatus" | "warning_entity" => entity.message().map(printable),
        "assert_topic" => Some(asserted(body, format!("Topic {}", field(body, "topicName")))),
        "assert_schema" => {
            let named = [("subject", "subject"), ("id", "ID")].map(|(name, said)| (said, field(body, name)));
            let given = named.iter().filter(|(_, value)| !value.is_empty());
            let given: Vec<String> = given.map(|(said, value)| format!("{said} {value}")).collect();
            Some(asserted(body, format!("Schema with {}", given.join(", "))))
        }
        "connector_info" => connectors::made(body),
        "connector_list" => connectors::all(body, width),
        "connector_plugins_list" => connectors::plugins(body, width),
        "connector_description" => connectors::description(body, width),
        "drop_connector" => Some(connectors::dropped(body)),
        "streams" => sources(body, "streams", width),
        "tables" => sources(body, "tables", width),
        "kafka_topics" | "kafka_topics_extended" => topics(body, width),
        "queries" => queries(body, width),
        "sourceDescription" => body
            .get("sourceDescription")
            .map(|source| source_description(source, width)),
        "source_descriptions" => all(body, "sourceDescriptions", width, source_description),
        "queryDescription" => body
            .get("queryDescription")
            .map(|query| query_description(query, width)),
        "query_descriptions" => all(body, "queryDescriptions", width, query_description),
        "properties" => properties(body, width),
        "type_list" => types(body, width),
        "function_names" => functions::all(body, width),
        "describe_function" => Some(functions::description(body, width)),
        "terminate_query" => Some(format!(
            "Query {} {}.",
            field(body, "queryId"),
            match body.get("wasTerminated").and_then(Value::as_bool) {
                Some(true) => "terminated",
                _ => "was not terminated",
            }
        )),
        "executionPlan" => Some(field(body, "executionPlan")),
        _ => None,
    };
    let mut text = text.unwrap_or_else(|| {
        serde_json::to_string_pretty(body).unwrap_or_else(|_| Value::from(body.clone()).to_string())
    });
    for warning in entity.warnings() {
        text.push_str("\nwarning: ");
        text.push_str(&printable(&one_line(warning)));
    }
    text
}

/// A value in a cell: text without quotes, everything else as compact JSON.
pub fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn field(object: &Map<String, Value>, name: &str) -> String {
    match object.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::Array(values)) => values.iter().map(cell).collect::<Vec<_>>().join(", "),
        Some(value) => cell(value),
    }
}

fn objects<'a>(
    body: &'a Map<String, Value>,
    name: &str,
) -> Option<impl Iterator<Item = &'a Map<String, Value>> + use<'a>> {
    let list = body.get(name)?.as_array()?;
    Some(list.iter().filter_map(Value::as_object))
}

/// A list as a table: each column a header and how its cell is read.
fn list<const N: usize>(
    body: &Map<String, Value>,
    name: &str,
    headers: [&str; N],
    width: Option<usize>,
    row: impl Fn(&Map<String, Value>) -> [String; N],
) -> Option<String> {
    let rows: Vec<Vec<String>> = objects(body, name)?.map(|item| row(item).into()).collect();
    if rows.is_empty() {
        return Some(format!("no {}", name.replace('_', " ")));
    }
    Some(table(&headers, &rows, width))
}

/// What an `ASSERT` found.
fn asserted(body: &Map<String, Value>, what: String) -> String {
    match body.get("exists").and_then(Value::as_bool) {
        Some(false) => format!("{what} does not exist."),
        _ => format!("{what} exists."),
    }
}

fn sources(body: &Map<String, Value>, name: &str, width: Option<usize>) -> Option<String> {
    let headers = ["NAME", "TOPIC", "KEY FORMAT", "VALUE FORMAT", "WINDOWED"];
    list(body, name, headers, width, |source| {
        [
            field(source, "name"),
            field(source, "topic"),
            field(source, "keyFormat"),
            // Servers before 0.10 know one format only.
            match source.get("valueFormat") {
                Some(_) => field(source, "valueFormat"),
                None => field(source, "format"),
            },
            field(source, "isWindowed"),
        ]
    })
}

fn topics(body: &Map<String, Value>, width: Option<usize>) -> Option<String> {
    let headers = ["TOPIC", "PARTITIONS", "REPLICAS"];
    list(body, "topics", headers, width, |topic| {
        let replicas = topic.get("replicaInfo").and_then(Value::as_array);
        [
            field(topic, "name"),
            replicas.map_or_else(String::new, |replicas| replicas.len().to_string()),
            replicas
                .and_then(|replicas| replicas.first())
                .map_or_else(String::new, cell),
        ]
    })
}

fn types(body: &Map<String, Value>, width: Option<usize>) -> Option<String> {
    let types = body.get("types")?.as_object()?;
    if types.is_empty() {
        return Some("no types".to_owned());
    }
    let rows = types
        .iter()
        .map(|(name, schema)| vec![name.clone(), schema_type(schema)]);
    Some(table(&["TYPE", "SCHEMA"], &rows.collect::<Vec<_>>(), width))
}

fn queries(body: &Map<String, Value>, width: Option<usize>) -> Option<String> {
    list(body, "queries", QUERY_HEADERS, width, |query| {
        query_row(query, width)
    })
}

/// A value that is described has this many cells at least, however narrow the terminal is.
const NARROWEST_VALUE: usize = 16;

const QUERY_HEADERS: [&str; 5] = ["QUERY ID", "TYPE", "STATE", "SINK", "QUERY"];
/// How much of a query's text a list shows; a description shows all of it.
const QUERY_EXCERPT: usize = 48;

fn query_row(query: &Map<String, Value>, width: Option<usize>) -> [String; 5] {
    let state = match query.get("statusCount").and_then(Value::as_object) {
        Some(counts) => counts
            .iter()
            .map(|(state, count)| format!("{state}:{count}"))
            .collect::<Vec<_>>()
            .join(", "),
        None => field(query, "state"),
    };
    [
        field(query, "id"),
        field(query, "queryType"),
        state,
        field(query, "sinks"),
        match width {
            Some(_) => excerpt(&one_line(&field(query, "queryString")), QUERY_EXCERPT),
            None => one_line(&field(query, "queryString")),
        },
    ]
}

fn excerpt(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    text.chars().take(length.saturating_sub(1)).chain(['…']).collect()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn all(
    body: &Map<String, Value>,
    name: &str,
    width: Option<usize>,
    describe: impl Fn(&Value, Option<usize>) -> String,
) -> Option<String> {
    let descriptions: Vec<String> = body
        .get(name)?
        .as_array()?
        .iter()
        .map(|item| describe(item, width))
        .collect();
    Some(descriptions.join("\n\n"))
}

/// `name  value` lines, without those that have no value. A value that does not fit goes on below its beginning.
fn facts(facts: &[(&str, String)], width: Option<usize>) -> String {
    let facts: Vec<&(&str, String)> = facts.iter().filter(|(_, value)| !value.is_empty()).collect();
    let longest = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let wrapped = |value: &str| match width {
        Some(width) => {
            let left = width.saturating_sub(longest + 2).max(NARROWEST_VALUE);
            let lines = wrap(value, left, usize::MAX);
            let lines = lines.iter().map(|line| line.trim_end_matches(' '));
            lines.collect::<Vec<_>>().join(&format!("\n{:longest$}  ", ""))
        }
        None => value.to_owned(),
    };
    facts
        .iter()
        .map(|(name, value)| format!("{name:<longest$}  {}", wrapped(&printable(value))))
        .collect::<Vec<_>>()
        .join("\n")
}

fn source_description(source: &Value, width: Option<usize>) -> String {
    let Some(source) = source.as_object() else {
        return source.to_string();
    };
    let mut parts = vec![facts(
        &[
            ("Name", field(source, "name")),
            ("Type", field(source, "type")),
            ("Topic", field(source, "topic")),
            ("Window", field(source, "windowType")),
            ("Timestamp", field(source, "timestamp")),
            ("Key format", field(source, "keyFormat")),
            ("Value format", field(source, "valueFormat")),
            ("Statement", one_line(&field(source, "statement"))),
        ],
        width,
    )];
    parts.extend(fields(source, width));
    for (title, name) in [
        ("Queries that read it", "readQueries"),
        ("Queries that write it", "writeQueries"),
    ] {
        let rows: Vec<Vec<String>> = objects(source, name)
            .into_iter()
            .flatten()
            .map(|query| query_row(query, width).into())
            .collect();
        if !rows.is_empty() {
            parts.push(format!("{title}\n{}", table(&QUERY_HEADERS, &rows, width)));
        }
    }
    for (title, name) in [("Statistics", "statistics"), ("Errors", "errorStats")] {
        let text = field(source, name);
        if !text.trim().is_empty() {
            parts.push(format!("{title}  {}", printable(text.trim())));
        }
    }
    parts.join("\n\n")
}

fn query_description(query: &Value, width: Option<usize>) -> String {
    let Some(query) = query.as_object() else {
        return query.to_string();
    };
    let mut parts = vec![facts(
        &[
            ("Query", field(query, "id")),
            ("Type", field(query, "queryType")),
            ("State", field(query, "state")),
            ("Sources", field(query, "sources")),
            ("Sinks", field(query, "sinks")),
            ("Statement", one_line(&field(query, "statementText"))),
        ],
        width,
    )];
    parts.extend(fields(query, width));
    for (title, name) in [("Execution plan", "executionPlan"), ("Topology", "topology")] {
        let text = field(query, name);
        if !text.trim().is_empty() {
            // ksqlDB indents the steps by tabs.
            let indented = text.trim_end().replace('\t', "  ");
            let lines: Vec<String> = indented.lines().map(printable).collect();
            parts.push(format!("{title}\n{}", lines.join("\n")));
        }
    }
    parts.join("\n\n")
}

/// The columns of a source or a query.
fn fields(owner: &Map<String, Value>, width: Option<usize>) -> Option<String> {
    let rows: Vec<Vec<String>> = objects(owner, "fields")?
        .map(|column| {
            let schema = column.get("schema").map_or_else(String::new, schema_type);
            let role = field(column, "type");
            let schema = if role.is_empty() {
                schema
            } else {
                format!("{schema} ({})", role.to_lowercase())
            };
            vec![field(column, "name"), schema]
        })
        .collect();
    (!rows.is_empty()).then(|| table(&["FIELD", "TYPE"], &rows, width))
}

/// A type as SQL writes it.
fn schema_type(schema: &Value) -> String {
    let base = schema["type"].as_str().unwrap_or("?");
    match base {
        "STRING" => "VARCHAR".to_owned(),
        "ARRAY" => format!("ARRAY<{}>", schema_type(&schema["memberSchema"])),
        "MAP" => format!("MAP<VARCHAR, {}>", schema_type(&schema["memberSchema"])),
        "STRUCT" => {
            let fields: Vec<String> = schema["fields"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|field| {
                    let name = field["name"].as_str().unwrap_or("?");
                    format!("{name} {}", schema_type(&field["schema"]))
                })
                .collect();
            format!("STRUCT<{}>", fields.join(", "))
        }
        "DECIMAL" => match (&schema["parameters"]["precision"], &schema["parameters"]["scale"]) {
            (Value::Null, _) | (_, Value::Null) => base.to_owned(),
            (precision, scale) => format!("DECIMAL({precision}, {scale})"),
        },
        _ => base.to_owned(),
    }
}

fn properties(body: &Map<String, Value>, width: Option<usize>) -> Option<String> {
    match body.get("properties")? {
        Value::Array(_) => list(
            body,
            "properties",
            ["PROPERTY", "SCOPE", "VALUE"],
            width,
            |property| {
                [
                    field(property, "name"),
                    field(property, "scope"),
                    field(property, "value"),
                ]
            },
        ),
        // 0.6 sends an object.
        Value::Object(properties) => {
            let rows: Vec<Vec<String>> = properties
                .iter()
                .map(|(name, value)| vec![name.clone(), cell(value)])
                .collect();
            Some(table(&["PROPERTY", "VALUE"], &rows, width))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
