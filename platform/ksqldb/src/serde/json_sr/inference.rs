//! From a JSON Schema to columns, as Kafka Connect reads one: its own words (`connect.type` and others) first.

use serde_json::Value as Json;

use super::super::avro::{CONNECT, DEFAULT_PRECISION};
use super::super::registered::{InferredType, Names, TypeCount};
use super::meaning::Meaning;
use crate::types::{SqlType, StructField};

/// The columns of a schema, or why it has none.
pub(in super::super) fn infer(schema: &Json, names: Names) -> Result<InferredType, String> {
    let mut inference = Inference {
        root: schema,
        names,
        open: Vec::new(),
        types: TypeCount::default(),
    };
    match inference.sql_type(schema)? {
        Some(SqlType::Struct(fields)) => Ok(InferredType::Columns(fields)),
        Some(sql_type) => Ok(InferredType::Anonymous(sql_type)),
        None => Err("Schema does not include any columns with types that ksqlDB supports.".to_owned()),
    }
}

struct Inference<'a> {
    root: &'a Json,
    names: Names,
    /// What is being looked into: what contains itself has no type in SQL.
    open: Vec<*const Json>,
    types: TypeCount,
}

impl<'a> Inference<'a> {
    /// The type; `None` where SQL has none.
    fn sql_type(&mut self, schema: &'a Json) -> Result<Option<SqlType>, String> {
        self.types.add_type(self.open.len())?;
        let Some(meaning) = Meaning::of(self.root, schema) else {
            return Ok(None);
        };
        self.types.add_parts(meaning.parts)?;
        // Each place of the text is one schema.
        let place = std::ptr::from_ref(meaning.schema);
        if self.open.contains(&place) {
            return Ok(None);
        }
        self.open.push(place);
        let sql_type = self.inner_type(&meaning);
        self.open.pop();
        sql_type
    }

    fn inner_type(&mut self, meaning: &Meaning<'a>) -> Result<Option<SqlType>, String> {
        let schema = meaning.schema;
        let connect = schema["connect.type"].as_str();
        let logical = schema["title"]
            .as_str()
            .and_then(|title| title.strip_prefix(CONNECT));
        match logical {
            Some("Date") => return Ok(Some(SqlType::Date)),
            Some("Time") => return Ok(Some(SqlType::Time)),
            Some("Timestamp") => return Ok(Some(SqlType::Timestamp)),
            Some("Decimal") => return Ok(Some(decimal(schema))),
            _ => {}
        }
        if schema.get("enum").is_some() {
            return Ok(Some(SqlType::String));
        }
        Ok(match (type_name(schema), connect) {
            (Some("boolean"), _) => Some(SqlType::Boolean),
            (Some("integer"), Some("int8" | "int16" | "int32")) => Some(SqlType::Integer),
            (Some("integer"), _) => Some(SqlType::Bigint),
            (Some("number"), Some("int8" | "int16" | "int32")) => Some(SqlType::Integer),
            (Some("number"), Some("int64")) => Some(SqlType::Bigint),
            (Some("number"), _) => Some(SqlType::Double),
            (Some("string"), Some("bytes")) => Some(SqlType::Bytes),
            (Some("string"), _) => Some(SqlType::String),
            (Some("array"), Some("map")) => {
                let items = Meaning::of(self.root, &schema["items"]);
                let part = |name| items.as_ref().and_then(|items| items.member(name));
                match (part("key"), part("value")) {
                    (Some(key), Some(value)) => {
                        let key = self.sql_type(key)?;
                        self.map(key, value)?
                    }
                    _ => None,
                }
            }
            (Some("array"), _) => match schema.get("items") {
                Some(items) => {
                    let items = self.sql_type(items)?;
                    items.map(|items| SqlType::Array(Box::new(items)))
                }
                None => None,
            },
            (Some("object"), Some("map")) => match schema.get("additionalProperties") {
                Some(values) => self.map(Some(SqlType::String), values)?,
                None => None,
            },
            (Some("object"), _) => self.structure(&meaning.members)?,
            // What has members is an object, though it need not say so.
            (None, _) if schema.get("type").is_none() => self.structure(&meaning.members)?,
            _ => None,
        })
    }

    fn map(&mut self, key: Option<SqlType>, values: &'a Json) -> Result<Option<SqlType>, String> {
        let value = self.sql_type(values)?;
        // Maps have text for keys.
        Ok(match (key, value) {
            (Some(SqlType::String), Some(value)) => {
                Some(SqlType::Map(Box::new(SqlType::String), Box::new(value)))
            }
            _ => None,
        })
    }

    fn structure(&mut self, members: &[(&'a String, &'a Json)]) -> Result<Option<SqlType>, String> {
        let mut members = members.to_vec();
        // Those that say no place keep the one that they have.
        members.sort_by_key(|(_, schema)| schema["connect.index"].as_u64().unwrap_or(u64::MAX));
        let mut known = Vec::new();
        for (name, schema) in members {
            self.types.add_name(name)?;
            if let Some(sql_type) = self.sql_type(schema)? {
                known.push(StructField {
                    name: self.names.of(name),
                    sql_type,
                });
            }
        }
        Ok((!known.is_empty()).then_some(SqlType::Struct(known)))
    }
}

/// `"string"`, or `["null", "string"]`
fn type_name(schema: &Json) -> Option<&str> {
    match &schema["type"] {
        Json::String(name) => Some(name),
        Json::Array(names) => {
            let mut names = names
                .iter()
                .filter_map(Json::as_str)
                .filter(|name| *name != "null");
            names.next().filter(|_| names.next().is_none())
        }
        _ => None,
    }
}

fn decimal(schema: &Json) -> SqlType {
    let number = |name: &str| {
        let number = schema["connect.parameters"][name].as_str();
        number.and_then(|number| number.parse().ok())
    };
    SqlType::Decimal {
        precision: number("connect.decimal.precision").unwrap_or(DEFAULT_PRECISION),
        scale: number("scale").unwrap_or(0),
    }
}
