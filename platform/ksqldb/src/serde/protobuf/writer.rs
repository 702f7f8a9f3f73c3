//! From values to a record's bytes, by the file that is registered for them.
//!
//! Usually that is the one made of the columns; with `VALUE_SCHEMA_ID` it is anybody's, whose fields are looked for
//! among the columns.

use std::collections::HashMap;

use jiff::Span;
use jiff::civil::Date;
use osqdemo_protobuf::{
    Cardinality, Codec, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, Linked, MapKey,
    MessageDescriptor, Value as Written,
};
use osqdemo_registry_client::wire::write_message_indexes;

use super::super::SerdeError;
use super::inference::choices;
use super::{Nulls, Shape, VALUE};
use crate::types::{SqlType, StructField};
use crate::value::Value;

/// The milliseconds that Protocol Buffers' timestamps may have: of the years 1 to 9999.
const MILLISECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

/// Writes the values of one source.
#[derive(Debug)]
pub(in super::super) struct RecordWriter {
    /// What says which message follows.
    head: Vec<u8>,
    message: Members,
    /// Whether the message is the only value, a struct, instead of all of them.
    is_struct: bool,
}

#[derive(Debug)]
struct Members {
    descriptor: MessageDescriptor,
    /// A field, the place of what it takes, and how that is written.
    fields: Vec<(FieldDescriptor, usize, Writer)>,
    /// The place of a struct with at most one field that is not null, and how each of them is written.
    choices: Vec<(usize, Vec<(FieldDescriptor, Writer)>)>,
}

#[derive(Debug)]
enum Writer {
    Plain(Kind),
    Symbol(EnumDescriptor),
    Decimal(MessageDescriptor),
    Date(MessageDescriptor),
    Time(MessageDescriptor),
    Timestamp(MessageDescriptor),
    Wrapped(MessageDescriptor, Kind),
    Message(Members),
    Array(Box<Writer>),
    Entries {
        entry: MessageDescriptor,
        key: (FieldDescriptor, Box<Writer>),
        value: (FieldDescriptor, Box<Writer>),
    },
}

impl RecordWriter {
    /// Writes records that say which message of the file they are: the one of that name, or the first.
    pub(in super::super) fn of_file(
        file: &Linked,
        full_name: Option<&str>,
        columns: &[(String, SqlType)],
        nulls: Nulls,
    ) -> Result<Self, String> {
        let found = file.message(full_name).or_else(|| file.message(None));
        let (path, descriptor) = found.ok_or("the schema has no message")?;
        let mut head = Vec::new();
        write_message_indexes(&path, &mut head);
        Ok(Self {
            head,
            message: members(descriptor, &fields_of(columns), nulls)?,
            is_struct: false,
        })
    }

    /// Writes records that say nothing: they are what the columns are.
    pub(in super::super) fn of_columns(
        columns: &[(String, SqlType)],
        is_bare: bool,
        nulls: Nulls,
    ) -> Result<Self, String> {
        let file = super::linked(columns, is_bare, nulls)?;
        let (_, descriptor) = file.message(None).ok_or("the columns make no message")?;
        let (fields, is_struct) = match columns {
            [(_, SqlType::Struct(fields))] if is_bare => (fields.clone(), true),
            [(_, sql_type)] if is_bare => (fields_of(&[(VALUE.to_owned(), sql_type.clone())]), false),
            columns => (fields_of(columns), false),
        };
        Ok(Self {
            head: Vec::new(),
            message: members(descriptor, &fields, nulls)?,
            is_struct,
        })
    }

    pub(in super::super) fn write(&self, values: &[Value], out: &mut Vec<u8>) -> Result<(), SerdeError> {
        let message = match values {
            [Value::Struct(values)] if self.is_struct => self.message.written(values)?,
            values => self.message.written(values)?,
        };
        out.extend_from_slice(&self.head);
        out.extend_from_slice(&message.encode_to_vec());
        Ok(())
    }
}

fn fields_of(columns: &[(String, SqlType)]) -> Vec<StructField> {
    let columns = columns.iter().map(|(name, sql_type)| StructField {
        name: name.clone(),
        sql_type: sql_type.clone(),
    });
    columns.collect()
}

fn members(descriptor: MessageDescriptor, columns: &[StructField], nulls: Nulls) -> Result<Members, String> {
    let find = |name: &str| {
        descriptor
            .get_field_by_name(name)
            .ok_or_else(|| format!("Schema from Schema Registry misses field with name: {name}"))
    };
    let is_choice = |name: &str| choices(&descriptor).any(|(choice, _)| choice == name);
    let (mut fields, mut of_choices) = (Vec::with_capacity(columns.len()), Vec::new());
    for (place, column) in columns.iter().enumerate() {
        match &column.sql_type {
            SqlType::Struct(inner) if is_choice(&column.name) => {
                let inner = inner.iter().map(|wanted| {
                    let field = find(&wanted.name)?;
                    let writer = writer(&field, &wanted.sql_type, nulls)?;
                    Ok((field, writer))
                });
                of_choices.push((place, inner.collect::<Result<_, String>>()?));
            }
            sql_type => {
                let field = find(&column.name)?;
                let writer = writer(&field, sql_type, nulls)?;
                fields.push((field, place, writer));
            }
        }
    }
    Ok(Members {
        descriptor,
        fields,
        choices: of_choices,
    })
}

fn writer(field: &FieldDescriptor, sql_type: &SqlType, nulls: Nulls) -> Result<Writer, String> {
    let unfit = |found: &str| {
        Err(format!(
            "the field `{}` is of the type {found}, its column of {sql_type}",
            field.name()
        ))
    };
    let shape = Shape::of(field, nulls);
    let is_repeated = field.cardinality() == Cardinality::Repeated;
    match (shape, sql_type) {
        (Shape::Entry(key, value), SqlType::Map(key_type, value_type)) => {
            let Kind::Message(entry) = field.kind() else {
                return unfit("map");
            };
            let key_writer = Box::new(writer(&key, key_type, nulls)?);
            let value_writer = Box::new(writer(&value, value_type, nulls)?);
            Ok(Writer::Entries {
                entry,
                key: (key, key_writer),
                value: (value, value_writer),
            })
        }
        (shape, SqlType::Array(element)) if is_repeated => {
            Ok(Writer::Array(Box::new(one(field, &shape, element, nulls)?)))
        }
        (_, _) if is_repeated => unfit("array"),
        (shape, sql_type) => one(field, &shape, sql_type, nulls),
    }
}

fn one(field: &FieldDescriptor, shape: &Shape, sql_type: &SqlType, nulls: Nulls) -> Result<Writer, String> {
    let kind = field.kind();
    Ok(match (shape, sql_type, kind) {
        (Shape::Boolean, SqlType::Boolean, kind)
        | (Shape::Integer | Shape::Bigint, SqlType::Integer, kind)
        | (Shape::Bigint, SqlType::Bigint, kind)
        | (Shape::Float | Shape::Double, SqlType::Double, kind)
        | (Shape::String, SqlType::String, kind)
        | (Shape::Bytes, SqlType::Bytes, kind) => Writer::Plain(kind),
        (Shape::Enum, SqlType::String, Kind::Enum(symbols)) => Writer::Symbol(symbols),
        (Shape::Decimal, SqlType::Decimal { .. }, Kind::Message(message)) => Writer::Decimal(message),
        (Shape::Date, SqlType::Date, Kind::Message(message)) => Writer::Date(message),
        (Shape::Time, SqlType::Time, Kind::Message(message)) => Writer::Time(message),
        (Shape::Timestamp, SqlType::Timestamp, Kind::Message(message)) => Writer::Timestamp(message),
        (Shape::Wrapped(_), sql_type, Kind::Message(message)) => {
            let value = message
                .get_field_by_name(VALUE)
                .ok_or("a message without a value")?;
            match one(&value, &Shape::of(&value, nulls), sql_type, nulls)? {
                Writer::Plain(kind) => Writer::Wrapped(message, kind),
                other => other,
            }
        }
        (Shape::Message, SqlType::Struct(fields), Kind::Message(message)) => {
            Writer::Message(members(message, fields, nulls)?)
        }
        (shape, sql_type, _) => {
            return Err(format!(
                "the field `{}` is of the type {}, its column of {sql_type}",
                field.name(),
                shape.name()
            ));
        }
    })
}

impl Members {
    fn written(&self, values: &[Value]) -> Result<DynamicMessage, SerdeError> {
        let mut message = DynamicMessage::new(self.descriptor.clone());
        for (field, place, writer) in &self.fields {
            let value = &values[*place];
            if !value.is_null() {
                set(&mut message, field, writer.written(value, field.name())?)?;
            }
        }
        for (place, choices) in &self.choices {
            let Value::Struct(values) = &values[*place] else {
                continue;
            };
            let mut chosen = choices.iter().zip(values.iter());
            if let Some(((field, writer), value)) = chosen.find(|(_, value)| !value.is_null()) {
                set(&mut message, field, writer.written(value, field.name())?)?;
            }
        }
        Ok(message)
    }
}

/// A value of another kind is told, where the library would panic.
fn set(message: &mut DynamicMessage, field: &FieldDescriptor, value: Written) -> Result<(), SerdeError> {
    message
        .try_set_field(field, value)
        .map_err(|error| SerdeError::new(error.to_string()))
}

fn set_named(message: &mut DynamicMessage, name: &str, value: Written) -> Result<(), SerdeError> {
    message
        .try_set_field_by_name(name, value)
        .map_err(|error| SerdeError::new(error.to_string()))
}

impl Writer {
    fn written(&self, value: &Value, path: &str) -> Result<Written, SerdeError> {
        let unfit = || {
            let what = if value.is_null() {
                "null"
            } else {
                "a value of another kind"
            };
            SerdeError::new(format!(
                "Invalid value: {what} used for required field: \"{path}\""
            ))
        };
        Ok(match (self, value) {
            (Self::Plain(kind), value) => plain(kind, value).ok_or_else(unfit)?,
            (Self::Wrapped(descriptor, kind), value) => {
                let mut message = DynamicMessage::new(descriptor.clone());
                set_named(&mut message, VALUE, plain(kind, value).ok_or_else(unfit)?)?;
                Written::Message(message)
            }
            (Self::Symbol(symbols), Value::String(text)) => {
                let symbol = symbols.get_value_by_name(text);
                let symbol = symbol.ok_or_else(|| {
                    SerdeError::new(format!(
                        "`{text}` is no symbol of the enum of the field \"{path}\""
                    ))
                })?;
                Written::EnumNumber(symbol.number())
            }
            (Self::Decimal(descriptor), Value::Decimal(number)) => {
                let (digits, scale) = number.as_bigint_and_exponent();
                let scale = i32::try_from(scale).map_err(|_| unfit())?;
                let precision = u32::try_from(number.digits()).map_err(|_| unfit())?;
                let bytes = digits.to_signed_bytes_be();
                let mut message = DynamicMessage::new(descriptor.clone());
                set_named(&mut message, VALUE, Written::Bytes(bytes.into()))?;
                set_named(&mut message, "precision", Written::U32(precision))?;
                set_named(&mut message, "scale", Written::I32(scale))?;
                Written::Message(message)
            }
            (Self::Date(descriptor), Value::Date(days)) => {
                let date = Span::new()
                    .try_days(*days)
                    .and_then(|days| Date::constant(1970, 1, 1).checked_add(days))
                    .map_err(|_| {
                        SerdeError::new(format!("{days} days are no date for the field \"{path}\""))
                    })?;
                let parts = [
                    ("year", i32::from(date.year())),
                    ("month", i32::from(date.month())),
                    ("day", i32::from(date.day())),
                ];
                numbers(descriptor, &parts)?
            }
            (Self::Time(descriptor), Value::Time(ms)) if (0..=86_400_000).contains(ms) => {
                let seconds = ms / 1000;
                let parts = [
                    ("hours", seconds / 3600 % 24),
                    ("minutes", seconds / 60 % 60),
                    ("seconds", seconds % 60),
                    ("nanos", ms % 1000 * 1_000_000),
                ];
                numbers(descriptor, &parts)?
            }
            (Self::Timestamp(descriptor), Value::Timestamp(ms)) if MILLISECONDS.contains(ms) => {
                let mut message = DynamicMessage::new(descriptor.clone());
                set_named(&mut message, "seconds", Written::I64(ms.div_euclid(1000)))?;
                let nanos = i32::try_from(ms.rem_euclid(1000) * 1_000_000).map_err(|_| unfit())?;
                set_named(&mut message, "nanos", Written::I32(nanos))?;
                Written::Message(message)
            }
            (Self::Time(_), Value::Time(out_of_range)) => {
                return Err(SerdeError::new(format!(
                    "Time values must use number of millis greater than 0 and less than 86400000, not {out_of_range}"
                )));
            }
            (Self::Timestamp(_), Value::Timestamp(out_of_range)) => {
                return Err(SerdeError::new(format!(
                    "Timestamp is not valid: {out_of_range} ms are not in the years 1 to 9999"
                )));
            }
            (Self::Message(members), Value::Struct(values)) => Written::Message(members.written(values)?),
            (Self::Array(writer), Value::Array(elements)) => {
                let elements = elements.iter().map(|element| writer.written(element, path));
                Written::List(elements.collect::<Result<_, _>>()?)
            }
            (Self::Entries { entry, key, value }, Value::Map(entries)) => {
                let entries = entries.iter();
                let written = entries.map(|(name, element)| {
                    let name = key.1.written(&Value::String(name.clone()), path)?;
                    Ok((name, value.1.written(element, path)?))
                });
                let written: Vec<(Written, Written)> = written.collect::<Result<_, SerdeError>>()?;
                if entry.is_map_entry() {
                    let entries: Option<HashMap<MapKey, Written>> = written
                        .into_iter()
                        .map(|(name, element)| Some((name.into_map_key()?, element)))
                        .collect();
                    return entries.map(Written::Map).ok_or_else(unfit);
                }
                let messages = written.into_iter().map(|(name, element)| {
                    let mut message = DynamicMessage::new(entry.clone());
                    set(&mut message, &key.0, name)?;
                    set(&mut message, &value.0, element)?;
                    Ok(Written::Message(message))
                });
                Written::List(messages.collect::<Result<_, SerdeError>>()?)
            }
            _ => return Err(unfit()),
        })
    }
}

fn plain(kind: &Kind, value: &Value) -> Option<Written> {
    Some(match (value, kind) {
        (Value::Boolean(truth), Kind::Bool) => Written::Bool(*truth),
        (Value::Integer(number), kind) => whole(kind, i64::from(*number))?,
        (Value::Bigint(number), kind) => whole(kind, *number)?,
        (Value::Double(number), Kind::Double) => Written::F64(*number),
        (Value::Double(number), Kind::Float) => Written::F32(*number as f32),
        (Value::String(text), Kind::String) => Written::String(text.to_string()),
        (Value::Bytes(bytes), Kind::Bytes) => Written::Bytes(bytes.to_vec().into()),
        _ => return None,
    })
}

/// A whole number of that kind; nothing where it is out of its range.
fn whole(kind: &Kind, number: i64) -> Option<Written> {
    Some(match kind {
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Written::I32(i32::try_from(number).ok()?),
        Kind::Uint32 | Kind::Fixed32 => Written::U32(u32::try_from(number).ok()?),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Written::I64(number),
        // As Java has it, which knows no unsigned numbers.
        Kind::Uint64 | Kind::Fixed64 => Written::U64(number.cast_unsigned()),
        _ => return None,
    })
}

fn numbers(descriptor: &MessageDescriptor, parts: &[(&str, i32)]) -> Result<Written, SerdeError> {
    let mut message = DynamicMessage::new(descriptor.clone());
    for (name, number) in parts {
        set_named(&mut message, name, Written::I32(*number))?;
    }
    Ok(Written::Message(message))
}
