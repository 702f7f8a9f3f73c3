//! Functions of texts that hold JSON. Numbers keep their digits; what follows the first value of a text
//! is not looked at, as in ksqlDB.

use std::cell::RefCell;
use std::rc::Rc;

use super::arguments::{Kind, accepts, accepts_many, argument, text};
use super::cache::Cache;
use super::comparison::same;
use super::json_path::JsonPath;
use super::value_text::write_json;
use super::{FunctionError, ScalarFunction};
use crate::serde::SerdeError;
use crate::serde::json::{Kind as JsonKind, Reader, number_text, write_compact, write_string};
use crate::serde::number::parse_decimal;
use crate::types::SqlType;
use crate::value::Value;

pub(super) static FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        "EXTRACTJSONFIELD",
        "The value at a JSON path: a string as it is, anything else as JSON. NULL where there is none.",
        |arguments| accepts(arguments, &[Kind::String; 2], &[]).then_some(SqlType::String),
        |arguments| {
            let path = compiled(text(arguments, 1)?)?;
            let found = read(text(arguments, 0)?, |reader| extract(reader, &path.steps))?;
            Ok(found.flatten().map_or(Value::Null, Value::string))
        },
    ),
    ScalarFunction::new(
        "IS_JSON_STRING",
        "Whether the text is JSON.",
        |arguments| accepts(arguments, &[Kind::String], &[]).then_some(SqlType::Boolean),
        |arguments| {
            if argument(arguments, 0)?.is_null() {
                return Ok(Value::Boolean(false));
            }
            let is_json = matches!(read(text(arguments, 0)?, Reader::skip), Ok(Some(())));
            Ok(Value::Boolean(is_json))
        },
    )
    .with_own_nulls(),
    ScalarFunction::new(
        "JSON_ARRAY_LENGTH",
        "How many elements a JSON array has; NULL where the text is none.",
        |arguments| accepts(arguments, &[Kind::String], &[]).then_some(SqlType::Integer),
        |arguments| {
            let elements = array_elements(text(arguments, 0)?)?;
            elements.map_or(Ok(Value::Null), |elements| {
                super::arguments::count(elements.len())
            })
        },
    ),
    ScalarFunction::new(
        "JSON_ITEMS",
        "The elements of a JSON array, each as JSON; NULL where the text is none.",
        |arguments| {
            let array = || SqlType::Array(Box::new(SqlType::String));
            accepts(arguments, &[Kind::String], &[]).then(array)
        },
        |arguments| {
            let elements = array_elements(text(arguments, 0)?)?;
            Ok(elements.map_or(Value::Null, |elements| {
                Value::Array(elements.into_iter().map(Value::string).collect())
            }))
        },
    ),
    ScalarFunction::new(
        "JSON_ARRAY_CONTAINS",
        "Whether the value is among the elements of a JSON array.",
        |arguments| accepts(arguments, &[Kind::String, Kind::Any], &[]).then_some(SqlType::Boolean),
        |arguments| {
            if argument(arguments, 0)?.is_null() {
                return Ok(Value::Boolean(false));
            }
            let wanted = argument(arguments, 1)?;
            // A text that is no JSON contains nothing.
            let found = read(text(arguments, 0)?, |reader| contains(reader, wanted));
            Ok(Value::Boolean(matches!(found, Ok(Some(true)))))
        },
    )
    .with_own_nulls(),
    ScalarFunction::new(
        "JSON_KEYS",
        "The names of a JSON object's members; NULL where the text is none.",
        |arguments| {
            let array = || SqlType::Array(Box::new(SqlType::String));
            accepts(arguments, &[Kind::String], &[]).then(array)
        },
        |arguments| {
            let members = object_members(text(arguments, 0)?)?;
            Ok(members.map_or(Value::Null, |members| {
                Value::Array(members.into_iter().map(|(name, _)| Value::string(name)).collect())
            }))
        },
    ),
    ScalarFunction::new(
        "JSON_RECORDS",
        "The members of a JSON object as a map from their names to their values as JSON; NULL where the text \
         is none.",
        |arguments| {
            let map = || SqlType::Map(Box::new(SqlType::String), Box::new(SqlType::String));
            accepts(arguments, &[Kind::String], &[]).then(map)
        },
        |arguments| {
            let members = object_members(text(arguments, 0)?)?;
            Ok(members.map_or(Value::Null, |members| {
                Value::map(
                    members
                        .into_iter()
                        .map(|(name, value)| (name.into(), Value::string(value))),
                )
            }))
        },
    ),
    ScalarFunction::new(
        "JSON_CONCAT",
        "The union of JSON objects, or the concatenation of JSON arrays, other values counting as arrays of \
         one element.",
        |arguments| accepts_many(arguments, &[], Kind::String).then_some(SqlType::String),
        concatenated,
    ),
    ScalarFunction::new(
        "TO_JSON_STRING",
        "The value as JSON.",
        |arguments| (arguments.len() == 1).then_some(SqlType::String),
        // A value does not know the names of a struct's fields; an expression that has them writes the JSON itself.
        |arguments| Ok(json_of(argument(arguments, 0)?, &SqlType::String)),
    )
    .with_own_nulls(),
];

/// A value of a type as JSON.
pub(crate) fn json_of(value: &Value, sql_type: &SqlType) -> Value {
    let mut json = Vec::new();
    write_json(value, sql_type, &mut json);
    // JSON put together from texts is UTF-8.
    Value::string(String::from_utf8_lossy(&json).into_owned())
}

fn compiled(path: &str) -> Result<Rc<JsonPath>, FunctionError> {
    thread_local! {
        static PATHS: RefCell<Cache<JsonPath>> = RefCell::new(Cache::new());
    }
    PATHS.with_borrow_mut(|paths| paths.get_or_compile(path, JsonPath::parse))
}

/// Reads the text's first value; `None` where the text is blank.
fn read<'json, T>(
    json: &'json str,
    read: impl FnOnce(&mut Reader<'json>) -> Result<T, SerdeError>,
) -> Result<Option<T>, FunctionError> {
    if json.trim().is_empty() {
        return Ok(None);
    }
    let invalid = |error| FunctionError::new(format!("invalid JSON: {error}"));
    read(&mut Reader::new(json)).map(Some).map_err(invalid)
}

fn utf8(json: Vec<u8>) -> Result<String, FunctionError> {
    // JSON put together from texts is UTF-8.
    String::from_utf8(json).map_err(|error| FunctionError::new(error.to_string()))
}

/// The next value as compact JSON.
fn compact(reader: &mut Reader<'_>) -> Result<String, SerdeError> {
    let mut json = Vec::new();
    write_compact(reader, &mut json)?;
    String::from_utf8(json).map_err(|error| SerdeError::new(error.to_string()))
}

fn extract(reader: &mut Reader<'_>, steps: &[String]) -> Result<Option<String>, SerdeError> {
    let kind = reader.kind()?;
    let Some((step, rest)) = steps.split_first() else {
        return Ok(Some(match kind {
            JsonKind::String => reader.string()?.into_owned(),
            JsonKind::Number => number_text(reader.number()?),
            _ => compact(reader)?,
        }));
    };
    let mut found = None;
    match kind {
        // Of several members of one name the last one counts.
        JsonKind::Object => reader.object(|reader, name| {
            if name == step.as_str() {
                found = extract(reader, rest)?;
                Ok(())
            } else {
                reader.skip()
            }
        })?,
        JsonKind::Array => {
            let wanted = step.parse::<usize>().ok();
            let mut index = 0;
            reader.array(|reader| {
                let here = wanted == Some(index);
                index += 1;
                if here {
                    found = extract(reader, rest)?;
                    Ok(())
                } else {
                    reader.skip()
                }
            })?;
        }
        _ => reader.skip()?,
    }
    Ok(found)
}

/// The elements of an array as JSON, or `None` where the text holds none.
fn array_elements(json: &str) -> Result<Option<Vec<String>>, FunctionError> {
    let elements = read(json, |reader| {
        if reader.kind()? != JsonKind::Array {
            return reader.skip().map(|()| None);
        }
        let mut elements = Vec::new();
        reader.array(|reader| {
            elements.push(compact(reader)?);
            Ok(())
        })?;
        Ok(Some(elements))
    });
    Ok(elements?.flatten())
}

/// The members of an object, values as JSON, or `None` where the text holds none. Of several members of
/// one name the last one counts, in the place of the first.
fn object_members(json: &str) -> Result<Option<Vec<(String, String)>>, FunctionError> {
    let members = read(json, |reader| {
        if reader.kind()? != JsonKind::Object {
            return reader.skip().map(|()| None);
        }
        let mut members = Vec::new();
        reader.object(|reader, name| {
            insert(&mut members, name.to_owned(), compact(reader)?);
            Ok(())
        })?;
        Ok(Some(members))
    });
    Ok(members?.flatten())
}

fn insert(members: &mut Vec<(String, String)>, name: String, value: String) {
    match members.iter_mut().find(|(known, _)| *known == name) {
        Some(member) => member.1 = value,
        None => members.push((name, value)),
    }
}

fn contains(reader: &mut Reader<'_>, wanted: &Value) -> Result<bool, SerdeError> {
    if reader.kind()? != JsonKind::Array {
        return Ok(false);
    }
    let mut found = false;
    reader.array(|reader| {
        found |= match reader.kind()? {
            JsonKind::String => {
                let text = reader.string()?;
                matches!(wanted, Value::String(wanted) if **wanted == *text)
            }
            JsonKind::Number => {
                let number = reader.number()?;
                // A whole number is none that has a fraction, even if that is 0.
                let is_whole = !number.contains(['.', 'e', 'E']);
                let fits = matches!(wanted, Value::Integer(_) | Value::Bigint(_)) == is_whole;
                fits && parse_decimal(number).is_some_and(|number| same(&Value::Decimal(number), wanted))
            }
            kind => {
                reader.skip()?;
                match kind {
                    JsonKind::True => *wanted == Value::Boolean(true),
                    JsonKind::False => *wanted == Value::Boolean(false),
                    JsonKind::Null => wanted.is_null(),
                    _ => false,
                }
            }
        };
        Ok(())
    })?;
    Ok(found)
}

fn concatenated(arguments: &[Value]) -> Result<Value, FunctionError> {
    if let [only] = arguments {
        let json = read(text(std::slice::from_ref(only), 0)?, compact)?;
        return Ok(json.map_or(Value::Null, Value::string));
    }
    let mut objects = Vec::new();
    let mut elements = Vec::new();
    let mut all_objects = true;
    for index in 0..arguments.len() {
        let json = text(arguments, index)?;
        if let Some(members) = object_members(json)? {
            members
                .into_iter()
                .for_each(|(name, value)| insert(&mut objects, name, value));
        } else {
            all_objects = false;
        }
        if let Some(items) = array_elements(json)? {
            elements.extend(items);
        } else {
            let Some(value) = read(json, compact)? else {
                return Ok(Value::Null);
            };
            elements.push(value);
        }
    }
    if !all_objects {
        return Ok(Value::string(format!("[{}]", elements.join(","))));
    }
    let mut json = vec![b'{'];
    for (index, (name, value)) in objects.iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        write_string(name, &mut json);
        json.push(b':');
        json.extend_from_slice(value.as_bytes());
    }
    json.push(b'}');
    Ok(Value::string(utf8(json)?))
}

#[cfg(test)]
mod tests;
