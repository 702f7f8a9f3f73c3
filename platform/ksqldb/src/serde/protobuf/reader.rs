//! From a record's bytes to values, by the message that it says it is.
//!
//! What is to be done with each field is decided once a message and source.

mod compiler;
mod time;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;
use osqdemo_protobuf::{
    Codec, DynamicMessage, EnumDescriptor, FieldDescriptor, Linked, MapKey, MessageDescriptor,
    Value as Written,
};
use osqdemo_registry_client::wire::split_message_indexes;

use super::super::number::float_text;
use super::super::number::{double_text, fit_exactly};
use super::super::{DecoderColumn, SerdeError};
use super::text::symbol;
use super::{Nulls, VALUE, is_null_when_absent};
use crate::types::{SqlType, StructField};
use crate::value::Value;
use compiler::Compiler;
use time::{days, milliseconds, moment, number};

/// How many messages of one file are remembered.
const MOST_MESSAGES: usize = 1_000;

/// The scale that a number may have.
const LARGEST_SCALE: u64 = 10_000;

/// Reads the records of one source.
#[derive(Debug)]
pub(in super::super) struct RecordReader {
    columns: Vec<StructField>,
    /// Where in the row each column goes; nowhere what is only checked.
    places: Vec<Option<usize>>,
    nulls: Nulls,
    messages: Messages,
}

#[derive(Debug)]
enum Messages {
    /// Each record says which one of a file's it is.
    Said {
        file: Linked,
        known: Mutex<HashMap<Vec<usize>, Arc<Message>>>,
    },
    /// All are of this one.
    One(Message),
}

#[derive(Debug)]
struct Message {
    descriptor: MessageDescriptor,
    root: Reader,
    /// Whether the root is the only column, instead of all of them.
    is_bare: bool,
}

#[derive(Debug)]
enum Reader {
    Boolean,
    Integer,
    Bigint,
    Double,
    String,
    Text,
    Symbol(EnumDescriptor),
    Bytes,
    Decimal {
        precision: u32,
        scale: u32,
    },
    Date,
    Time,
    Timestamp,
    /// A date, a time or a moment, as the number that Connect has for it.
    DateNumber(SqlType),
    TimeNumber(SqlType),
    TimestampNumber,
    /// A message with the value in it.
    Wrapped(Box<Reader>),
    Array(Box<Reader>),
    /// Entries of a map, as messages of their own or as Protocol Buffers have maps.
    Entries {
        key: FieldDescriptor,
        value: Member,
    },
    Struct {
        width: usize,
        members: Vec<(usize, Member)>,
    },
    /// A value that the column cannot have.
    Mismatch(String),
}

/// A field or a choice of some, and how it is read.
#[derive(Debug)]
enum Member {
    Field(Box<FieldDescriptor>, Box<Reader>),
    /// One of several, as a struct of that many fields with at most one that is not null.
    Choice(usize, Vec<(FieldDescriptor, usize, Reader)>),
}

impl RecordReader {
    /// Reads records that say which message of the file they are.
    pub(in super::super) fn of_file(file: Linked, columns: &[DecoderColumn], nulls: Nulls) -> Self {
        let known = Mutex::default();
        Self::new(columns, nulls, Messages::Said { file, known })
    }

    /// Reads records that say nothing: they are what the columns are.
    pub(in super::super) fn of_columns(
        columns: &[DecoderColumn],
        is_bare: bool,
        nulls: Nulls,
    ) -> Result<Self, String> {
        let named: Vec<_> = columns
            .iter()
            .map(|column| (column.name.clone(), column.sql_type.clone()))
            .collect();
        let file = super::linked(&named, is_bare, nulls)?;
        let (_, descriptor) = file.message(None).ok_or("the columns make no message")?;
        let (fields, is_bare) = match columns {
            [column] if is_bare => match &column.sql_type {
                SqlType::Struct(fields) => (fields.clone(), true),
                sql_type => {
                    let name = VALUE.to_owned();
                    let sql_type = sql_type.clone();
                    (vec![StructField { name, sql_type }], false)
                }
            },
            columns => (fields_of(columns), false),
        };
        let root = Compiler { nulls }.message(&descriptor, &fields, "");
        let message = Message {
            descriptor,
            root,
            is_bare,
        };
        Ok(Self::new(columns, nulls, Messages::One(message)))
    }

    fn new(columns: &[DecoderColumn], nulls: Nulls, messages: Messages) -> Self {
        let place = |column: &DecoderColumn| column.target.as_ref().map(|(place, _)| *place);
        Self {
            columns: fields_of(columns),
            places: columns.iter().map(place).collect(),
            nulls,
            messages,
        }
    }

    /// Reads a record's data. None is null as a whole.
    pub(in super::super) fn read(&self, data: &[u8], row: &mut [Value]) -> Result<bool, SerdeError> {
        match &self.messages {
            Messages::One(message) => self.read_message(message, data, row)?,
            Messages::Said { file, known } => {
                let (path, data) =
                    split_message_indexes(data).map_err(|error| SerdeError::new(error.to_string()))?;
                let message = self.known(file, known, path)?;
                self.read_message(&message, data, row)?;
            }
        }
        Ok(true)
    }

    fn known(
        &self,
        file: &Linked,
        known: &Mutex<HashMap<Vec<usize>, Arc<Message>>>,
        path: Vec<usize>,
    ) -> Result<Arc<Message>, SerdeError> {
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(message) = known.get(&path) {
            return Ok(Arc::clone(message));
        }
        let descriptor = file
            .message_at(&path)
            .ok_or_else(|| SerdeError::new(format!("the schema has no message at {path:?}")))?;
        let root = Compiler { nulls: self.nulls }.message(&descriptor, &self.columns, "");
        let message = Arc::new(Message {
            descriptor,
            root,
            is_bare: false,
        });
        if known.len() >= MOST_MESSAGES {
            known.clear();
        }
        known.insert(path, Arc::clone(&message));
        Ok(message)
    }

    fn read_message(&self, message: &Message, data: &[u8], row: &mut [Value]) -> Result<(), SerdeError> {
        let mut written = DynamicMessage::new(message.descriptor.clone());
        written
            .merge(data)
            .map_err(|error| SerdeError::new(format!("Error deserializing Protobuf message: {error}")))?;
        let Value::Struct(values) = read_struct(&message.root, &written)? else {
            return Ok(());
        };
        if message.is_bare {
            if let Some(Some(place)) = self.places.first() {
                row[*place] = Value::Struct(values);
            }
            return Ok(());
        }
        for (place, value) in self.places.iter().zip(values.iter()) {
            if let Some(place) = place {
                row[*place] = value.clone();
            }
        }
        Ok(())
    }
}

fn fields_of(columns: &[DecoderColumn]) -> Vec<StructField> {
    let columns = columns.iter().map(|column| StructField {
        name: column.name.clone(),
        sql_type: column.sql_type.clone(),
    });
    columns.collect()
}

fn read_struct(reader: &Reader, message: &DynamicMessage) -> Result<Value, SerdeError> {
    let Reader::Struct { width, members } = reader else {
        return Err(unfit());
    };
    let mut values = vec![Value::Null; *width];
    for (place, member) in members {
        values[*place] = read_member(member, message)?;
    }
    Ok(Value::Struct(values.into()))
}

fn read_member(member: &Member, message: &DynamicMessage) -> Result<Value, SerdeError> {
    match member {
        Member::Field(field, reader) => {
            if is_null_when_absent(field) && !message.has_field(field) {
                return Ok(Value::Null);
            }
            read_value(reader, &message.get_field(field))
        }
        Member::Choice(width, fields) => {
            let Some((field, place, reader)) = fields.iter().find(|(field, ..)| message.has_field(field))
            else {
                return Ok(Value::Null);
            };
            let mut values = vec![Value::Null; *width];
            values[*place] = read_value(reader, &message.get_field(field))?;
            Ok(Value::Struct(values.into()))
        }
    }
}

fn read_value(reader: &Reader, written: &Written) -> Result<Value, SerdeError> {
    Ok(match (reader, written) {
        (Reader::Mismatch(reason), _) => return Err(SerdeError::new(reason.clone())),
        (Reader::Wrapped(inner), Written::Message(message)) => {
            let value = message.get_field_by_name(VALUE).ok_or_else(unfit)?;
            read_value(inner, &value)?
        }
        (Reader::Boolean, Written::Bool(truth)) => Value::Boolean(*truth),
        (Reader::Integer, Written::I32(number)) => Value::Integer(*number),
        (Reader::Bigint, number) => Value::Bigint(whole(number).ok_or_else(unfit)?),
        (Reader::Double, Written::F64(number)) => Value::Double(*number),
        (Reader::Double, Written::F32(number)) => Value::Double(f64::from(*number)),
        (Reader::String, Written::String(text)) => Value::string(text.as_str()),
        (Reader::Text, Written::Bool(truth)) => Value::string(truth.to_string()),
        (Reader::Text, Written::F32(number)) => Value::string(float_text(*number)),
        (Reader::Text, Written::F64(number)) => Value::string(double_text(*number)),
        (Reader::Text, number) => Value::string(whole(number).ok_or_else(unfit)?.to_string()),
        (Reader::Symbol(symbols), Written::EnumNumber(number)) => Value::string(symbol(symbols, *number)),
        (Reader::Bytes, Written::Bytes(bytes)) => Value::Bytes(bytes.to_vec().into()),
        (Reader::Decimal { precision, scale }, Written::Message(message)) => {
            let bytes = message.get_field_by_name(VALUE);
            let bytes = bytes.as_ref().and_then(|bytes| bytes.as_bytes());
            let digits = BigInt::from_signed_bytes_be(bytes.ok_or_else(unfit)?);
            let written_scale = self::number(message, "scale");
            // To align it would make as many digits.
            if written_scale.unsigned_abs() > LARGEST_SCALE {
                return Err(SerdeError::new(format!(
                    "the scale {written_scale} of a decimal is too large"
                )));
            }
            let number = BigDecimal::new(digits, written_scale);
            let fitted = fit_exactly(&number, *precision, *scale).ok_or_else(|| {
                SerdeError::new(format!(
                    "Cannot fit decimal '{number}' into DECIMAL({precision}, {scale}) without rounding."
                ))
            })?;
            Value::Decimal(fitted)
        }
        (Reader::Date, Written::Message(message)) => Value::Date(days(message)?),
        (Reader::Time, Written::Message(message)) => Value::Time(milliseconds(message)?),
        (Reader::Timestamp, Written::Message(message)) => Value::Timestamp(moment(message)?),
        (Reader::DateNumber(sql_type), Written::Message(message)) => as_number(days(message)?, sql_type),
        (Reader::TimeNumber(sql_type), Written::Message(message)) => {
            as_number(milliseconds(message)?, sql_type)
        }
        (Reader::TimestampNumber, Written::Message(message)) => Value::Bigint(moment(message)?),
        (Reader::Array(element), Written::List(elements)) => {
            let elements = elements.iter().map(|value| read_value(element, value));
            Value::Array(elements.collect::<Result<Vec<_>, _>>()?.into())
        }
        (Reader::Entries { key, value }, Written::List(entries)) => {
            let mut read = Vec::with_capacity(entries.len());
            for entry in entries {
                let Written::Message(entry) = entry else {
                    return Err(unfit());
                };
                // The engine's maps have no null key.
                let Some(key) = text_key(&entry.get_field(key)) else {
                    continue;
                };
                read.push((key.into(), read_member(value, entry)?));
            }
            Value::map(read)
        }
        (Reader::Entries { value, .. }, Written::Map(entries)) => {
            let Member::Field(_, reader) = value else {
                return Err(unfit());
            };
            let mut read = Vec::with_capacity(entries.len());
            for (key, value) in entries {
                if let MapKey::String(key) = key {
                    read.push((key.as_str().into(), read_value(reader, value)?));
                }
            }
            Value::map(read)
        }
        (Reader::Struct { .. }, Written::Message(message)) => read_struct(reader, message)?,
        _ => return Err(unfit()),
    })
}

fn text_key(key: &Written) -> Option<String> {
    match key {
        Written::String(text) => Some(text.clone()),
        Written::Message(wrapped) => match wrapped.get_field_by_name(VALUE)?.as_ref() {
            Written::String(text) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// What is written is what the message says, so this is said of no record.
fn unfit() -> SerdeError {
    SerdeError::new("the value is not of its field's type")
}

fn whole(number: &Written) -> Option<i64> {
    match number {
        Written::I32(number) => Some(i64::from(*number)),
        Written::U32(number) => Some(i64::from(*number)),
        Written::I64(number) => Some(*number),
        // As Java has it, which knows no unsigned numbers.
        Written::U64(number) => Some(number.cast_signed()),
        _ => None,
    }
}

fn as_number(number: i32, sql_type: &SqlType) -> Value {
    match sql_type {
        SqlType::Integer => Value::Integer(number),
        _ => Value::Bigint(i64::from(number)),
    }
}
