//! Values as the JSON of their schema: where that has lists of entries for maps, so has the text.

use serde_json::Value as Json;

use super::super::json;
use super::meaning::Meaning;
use crate::types::{SqlType, StructField};
use crate::value::Value;

/// Writes the values of one source.
#[derive(Debug)]
pub(in super::super) struct RecordWriter {
    columns: Vec<(String, Written)>,
    is_bare: bool,
}

/// How a column is written.
#[derive(Debug)]
enum Written {
    AsItIs(SqlType),
    /// Its maps are lists of entries; the type is that of the list.
    Entries(SqlType),
}

impl RecordWriter {
    pub(in super::super) fn new(schema: &Json, columns: &[(String, SqlType)], is_bare: bool) -> Self {
        let columns = columns.iter().map(|(name, sql_type)| {
            let own = if is_bare {
                Some(schema)
            } else {
                member(schema, schema, name)
            };
            let text = written_type(schema, own, sql_type);
            let written = if text == *sql_type {
                Written::AsItIs(text)
            } else {
                Written::Entries(text)
            };
            (name.clone(), written)
        });
        Self {
            columns: columns.collect(),
            is_bare,
        }
    }

    pub(in super::super) fn write(&self, values: &[Value], out: &mut Vec<u8>) {
        let entries: Vec<Option<Value>> = self
            .columns
            .iter()
            .zip(values)
            .map(|((_, written), value)| match written {
                Written::AsItIs(_) => None,
                Written::Entries(sql_type) => Some(with_entries(value, sql_type)),
            })
            .collect();
        let columns = self.columns.iter().zip(values).zip(&entries);
        let mut members = columns.map(|(((name, written), value), entries)| {
            let (Written::AsItIs(sql_type) | Written::Entries(sql_type)) = written;
            (name.as_str(), sql_type, entries.as_ref().unwrap_or(value))
        });
        if !self.is_bare {
            json::write_object(members, out);
        } else if let Some((_, sql_type, value)) = members.next() {
            json::write_value(value, sql_type, out);
        }
    }
}

/// The schema of a member of an object.
fn member<'a>(root: &'a Json, schema: &'a Json, name: &str) -> Option<&'a Json> {
    Meaning::of(root, schema)?.member(name)
}

/// The type in which a map is an array of its entries, unless the schema has an object for it.
fn written_type(root: &Json, schema: Option<&Json>, sql_type: &SqlType) -> SqlType {
    let meaning = schema.and_then(|schema| Meaning::of(root, schema));
    let own = meaning.as_ref().map(|meaning| meaning.schema);
    let inside = |sql_type: &SqlType, word: &str| {
        Box::new(written_type(root, own.and_then(|own| own.get(word)), sql_type))
    };
    match sql_type {
        SqlType::Array(element) => SqlType::Array(inside(element, "items")),
        SqlType::Map(key, value) if own.and_then(|own| own["type"].as_str()) == Some("object") => {
            SqlType::Map(key.clone(), inside(value, "additionalProperties"))
        }
        SqlType::Map(key, value) => {
            let items = own.and_then(|own| own.get("items"));
            let part = |name: &str, sql_type: &SqlType| StructField {
                name: name.to_owned(),
                sql_type: written_type(root, items.and_then(|items| member(root, items, name)), sql_type),
            };
            SqlType::Array(Box::new(SqlType::Struct(vec![
                part("key", key),
                part("value", value),
            ])))
        }
        SqlType::Struct(fields) => SqlType::Struct(
            fields
                .iter()
                .map(|field| StructField {
                    name: field.name.clone(),
                    sql_type: written_type(
                        root,
                        meaning.as_ref().and_then(|meaning| meaning.member(&field.name)),
                        &field.sql_type,
                    ),
                })
                .collect(),
        ),
        other => other.clone(),
    }
}

/// The value as one of the written type.
fn with_entries(value: &Value, written: &SqlType) -> Value {
    match (value, written) {
        (Value::Map(entries), SqlType::Array(entry)) => {
            let SqlType::Struct(parts) = &**entry else {
                return value.clone();
            };
            let entries = entries.iter().map(|(key, value)| {
                let value = parts
                    .get(1)
                    .map_or(Value::Null, |part| with_entries(value, &part.sql_type));
                Value::Struct([Value::String(key.clone()), value].into())
            });
            Value::Array(entries.collect())
        }
        (Value::Map(entries), SqlType::Map(_, value_type)) => {
            let entries = entries.iter();
            Value::map(entries.map(|(key, value)| (key.clone(), with_entries(value, value_type))))
        }
        (Value::Array(elements), SqlType::Array(element)) => Value::Array(
            elements
                .iter()
                .map(|value| with_entries(value, element))
                .collect(),
        ),
        (Value::Struct(values), SqlType::Struct(fields)) => Value::Struct(
            values
                .iter()
                .zip(fields)
                .map(|(value, field)| with_entries(value, &field.sql_type))
                .collect(),
        ),
        (value, _) => value.clone(),
    }
}
