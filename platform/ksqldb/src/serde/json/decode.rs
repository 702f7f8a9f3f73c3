//! JSON to values, by ksqlDB's rules of coercion.
//!
//! A member belongs to the column of exactly its name, else to the column of its upper-cased name; of several
//! such members the last one counts, and an exact one before all others. What is missing is `NULL`.
//! A value that cannot be coerced fails the whole record, even where no query looks at it.

use std::cell::RefCell;
use std::sync::Arc;

use super::super::number::time_of_day;
use super::super::{Demand, SerdeError};
use super::field_names::{FieldNames, find, find_upper};
use super::reader::{Kind, Reader};
use super::scalars::{cannot_convert, read_bytes, read_decimal, read_double, read_integer, read_long};
use super::text::read_as_text;
use crate::types::{SqlType, StructField};
use crate::value::{Row, Value};

/// A named column or field.
pub(in super::super) trait Field {
    fn name(&self) -> &str;
    fn sql_type(&self) -> &SqlType;
    /// How much is wanted; `None`: nothing, but it must be right.
    fn demand(&self) -> Option<&Demand>;
}

impl Field for StructField {
    fn name(&self) -> &str {
        &self.name
    }

    fn sql_type(&self) -> &SqlType {
        &self.sql_type
    }

    fn demand(&self) -> Option<&Demand> {
        Some(&Demand::Whole)
    }
}

/// Whether there was an object at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Members {
    /// An object.
    Read,
    /// `null`
    Null,
}

/// How maps may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Maps {
    /// As objects.
    Objects,
    /// Also as arrays of objects with a `key` and a `value`, as Kafka Connect writes them.
    ObjectsOrEntries,
}

/// Reads an object's members into the places that `store` knows, by the field's index and, where each entry of a map
/// has a place, by its number.
pub(in super::super) fn decode_members<F: Field>(
    bytes: &[u8],
    maps: Maps,
    names: FieldNames,
    fields: &[F],
    store: impl FnMut(usize, usize, Value),
) -> Result<Members, SerdeError> {
    let mut reader = Reader::new(as_text(bytes)?).with_entries(maps == Maps::ObjectsOrEntries);
    if reader.kind()? == Kind::Null {
        reader.word("null")?;
        return Ok(Members::Null);
    }
    read_members(&mut reader, names, fields, store)?;
    Ok(Members::Read)
}

/// Reads a value that stands by itself, of the field 0. One that nobody wants is there all the same, and so is `null`:
/// the column is null then, not the record.
pub(in super::super) fn decode_bare<F: Field>(
    bytes: &[u8],
    maps: Maps,
    field: &F,
    mut store: impl FnMut(usize, usize, Value),
) -> Result<(), SerdeError> {
    let mut reader = Reader::new(as_text(bytes)?).with_entries(maps == Maps::ObjectsOrEntries);
    if reader.kind()? == Kind::Null {
        reader.word("null")?;
        return Ok(());
    }
    read_demanded(&mut reader, field, |number, value| store(0, number, value))
}

fn as_text(bytes: &[u8]) -> Result<&str, SerdeError> {
    std::str::from_utf8(bytes).map_err(|error| SerdeError::new(format!("invalid UTF-8: {error}")))
}

fn read_members<F: Field>(
    reader: &mut Reader<'_>,
    names: FieldNames,
    fields: &[F],
    mut store: impl FnMut(usize, usize, Value),
) -> Result<(), SerdeError> {
    if reader.kind()? != Kind::Object {
        return Err(cannot_convert(reader.kind()?, "STRUCT"));
    }
    // Filled only when a member matches exactly, which lower-case members never do.
    let mut exact = Vec::new();
    // Members mostly come in the order of the columns.
    let mut likely = 0;
    reader.object(|reader, name| {
        let found = match names {
            FieldNames::Upper => find_upper(fields, likely, name),
            FieldNames::Any => find(fields, name),
        };
        let Some((index, is_exact)) = found else {
            return reader.skip();
        };
        likely = index + 1;
        if is_exact {
            exact.resize(fields.len(), false);
            exact[index] = true;
        } else if exact.get(index) == Some(&true) {
            return reader.skip();
        }
        read_demanded(reader, &fields[index], |number, value| {
            store(index, number, value)
        })
        .map_err(|error| error.inside(fields[index].name()))
    })
}

/// Reads what is wanted of a value. `store` takes it with its number: 0, unless each entry of a map has a place.
fn read_demanded<F: Field>(
    reader: &mut Reader<'_>,
    field: &F,
    mut store: impl FnMut(usize, Value),
) -> Result<(), SerdeError> {
    match (field.demand(), field.sql_type()) {
        (Some(Demand::Each(keys)), SqlType::Map(_, value_type)) => {
            return read_each(reader, value_type, keys, store);
        }
        (Some(Demand::Entries(keys)), SqlType::Map(_, value_type)) => {
            store(0, read_map(reader, value_type, Some(keys))?);
        }
        (Some(_), sql_type) => store(0, read_value(reader, sql_type)?),
        (None, sql_type) => check_value(reader, sql_type)?,
    }
    Ok(())
}

/// Makes sure a value can be coerced, at the least cost.
fn check_value(reader: &mut Reader<'_>, sql_type: &SqlType) -> Result<(), SerdeError> {
    match sql_type {
        SqlType::String => reader.skip(),
        SqlType::Map(_, value_type) => read_each(reader, value_type, &[], |_, _| {}),
        other => read_value(reader, other).map(|_| ()),
    }
}

fn read_value(reader: &mut Reader<'_>, sql_type: &SqlType) -> Result<Value, SerdeError> {
    let kind = reader.kind()?;
    if kind == Kind::Null {
        reader.word("null")?;
        return Ok(Value::Null);
    }
    match sql_type {
        SqlType::String => read_string(reader, kind).map(Value::String),
        SqlType::Boolean => match kind {
            Kind::True => reader.word("true").map(|()| Value::Boolean(true)),
            Kind::False => reader.word("false").map(|()| Value::Boolean(false)),
            _ => Err(cannot_convert(kind, "BOOLEAN")),
        },
        SqlType::Integer => read_integer(reader, kind, "INTEGER").map(Value::Integer),
        SqlType::Date => read_integer(reader, kind, "DATE").map(Value::Date),
        SqlType::Time => read_long(reader, kind, "TIME")
            .and_then(time_of_day)
            .map(Value::Time),
        SqlType::Bigint => read_long(reader, kind, "BIGINT").map(Value::Bigint),
        SqlType::Timestamp => read_long(reader, kind, "TIMESTAMP").map(Value::Timestamp),
        SqlType::Double => read_double(reader, kind).map(Value::Double),
        SqlType::Decimal { precision, scale } => {
            read_decimal(reader, kind, *precision, *scale).map(Value::Decimal)
        }
        SqlType::Bytes => read_bytes(reader, kind),
        SqlType::Array(element) => {
            if kind != Kind::Array {
                return Err(cannot_convert(kind, "ARRAY"));
            }
            let mut elements = Vec::new();
            reader.array(|reader| {
                elements.push(read_value(reader, element)?);
                Ok(())
            })?;
            Ok(Value::Array(elements.into()))
        }
        SqlType::Map(_, value_type) => read_map(reader, value_type, None),
        SqlType::Struct(fields) => {
            let mut values: Row = vec![Value::Null; fields.len()];
            read_members(reader, FieldNames::Any, fields, |index, _, value| {
                values[index] = value
            })?;
            Ok(Value::Struct(values.into()))
        }
    }
}

fn read_string(reader: &mut Reader<'_>, kind: Kind) -> Result<Arc<str>, SerdeError> {
    if kind == Kind::String {
        return Ok(Arc::from(reader.string()?.as_ref()));
    }
    let mut text = String::new();
    read_as_text(reader, &mut text)?;
    Ok(text.into())
}

/// Reads a map; of entries that are not wanted only the form of the value is checked.
fn read_map(
    reader: &mut Reader<'_>,
    value_type: &SqlType,
    wanted: Option<&[Arc<str>]>,
) -> Result<Value, SerdeError> {
    match reader.kind()? {
        Kind::Object => {}
        Kind::Null => {
            reader.word("null")?;
            return Ok(Value::Null);
        }
        Kind::Array if reader.takes_entries() => return read_entries(reader, value_type, wanted),
        kind => return Err(cannot_convert(kind, "MAP")),
    }
    let mut entries: Vec<(Arc<str>, Value)> = Vec::with_capacity(wanted.map_or(16, <[Arc<str>]>::len));
    reader.object(|reader, key| {
        let key: Arc<str> = match wanted {
            None => Arc::from(key),
            Some(keys) => match keys.iter().find(|wanted| ***wanted == *key) {
                Some(wanted) => Arc::clone(wanted),
                None => return check_value(reader, value_type),
            },
        };
        entries.push((key, read_value(reader, value_type)?));
        Ok(())
    })?;
    Ok(Value::map(entries))
}

/// Reads the values of some of a map's keys, each into its own place; of the others only the form is checked.
fn read_each(
    reader: &mut Reader<'_>,
    value_type: &SqlType,
    keys: &[Arc<str>],
    mut store: impl FnMut(usize, Value),
) -> Result<(), SerdeError> {
    // What an earlier member of the same name said no longer counts.
    (0..keys.len()).for_each(|number| store(number, Value::Null));
    if reader.kind()? != Kind::Object {
        if let Value::Map(entries) = read_map(reader, value_type, Some(keys))? {
            for (key, value) in entries.iter() {
                if let Some(number) = keys.iter().position(|wanted| wanted == key) {
                    store(number, value.clone());
                }
            }
        }
        return Ok(());
    }
    let marks = keys.iter().fold(0, |marks, key| marks | mark(key.as_bytes()));
    let place = |key: &[u8]| match marks & mark(key) {
        0 => None,
        _ => keys.iter().position(|wanted| wanted.as_bytes() == key),
    };
    // Both ways give to one place.
    let store = RefCell::new(store);
    let member = |reader: &mut Reader<'_>, key: &str| match place(key.as_bytes()) {
        Some(number) => {
            store.borrow_mut()(number, read_value(reader, value_type)?);
            Ok(())
        }
        None => check_value(reader, value_type),
    };
    if *value_type != SqlType::String {
        return reader.object(member);
    }
    let text = |key: &[u8], text: &str| {
        if let Some(number) = place(key) {
            store.borrow_mut()(number, Value::string(text));
        }
    };
    reader.object_of_texts(text, member)
}

/// A bit that texts have in common if they are equal, and seldom otherwise.
fn mark(bytes: &[u8]) -> u64 {
    let end = |byte: Option<&u8>| byte.map_or(0, |byte| usize::from(*byte));
    1 << ((bytes.len() + 3 * end(bytes.first()) + 7 * end(bytes.last())) % 64)
}

/// Reads a map that is a list of its entries. One without a key is none.
fn read_entries(
    reader: &mut Reader<'_>,
    value_type: &SqlType,
    wanted: Option<&[Arc<str>]>,
) -> Result<Value, SerdeError> {
    let part = |name: &str, sql_type: SqlType| StructField {
        name: name.to_owned(),
        sql_type,
    };
    let parts = [part("key", SqlType::String), part("value", value_type.clone())];
    let mut entries = Vec::new();
    reader.array(|reader| {
        let mut entry = [Value::Null, Value::Null];
        read_members(reader, FieldNames::Any, &parts, |index, _, value| {
            entry[index] = value
        })?;
        let [key, value] = entry;
        if let Value::String(key) = key
            && wanted.is_none_or(|wanted| wanted.contains(&key))
        {
            entries.push((key, value));
        }
        Ok(())
    })?;
    Ok(Value::map(entries))
}
