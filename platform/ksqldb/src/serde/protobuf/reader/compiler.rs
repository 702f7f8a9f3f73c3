//! What is decided once a message and its columns: how each field is read.

use osqdemo_protobuf::{Cardinality, FieldDescriptor, Kind, MessageDescriptor, OneofDescriptor};

use super::super::super::registered::{connect_name, owners};
use super::super::inference::{choices, is_choice};
use super::super::{Nulls, Shape};
use super::{Member, Reader};
use crate::types::{SqlType, StructField};

pub(super) struct Compiler {
    pub(super) nulls: Nulls,
}

impl Compiler {
    pub(super) fn message(&self, message: &MessageDescriptor, wanted: &[StructField], path: &str) -> Reader {
        let (choice_names, choices): (Vec<String>, Vec<OneofDescriptor>) = choices(message).unzip();
        let plain: Vec<FieldDescriptor> = message.fields().filter(|field| !is_choice(field)).collect();
        let written = choice_names
            .iter()
            .map(String::as_str)
            .chain(plain.iter().map(FieldDescriptor::name));
        let names: Vec<&str> = wanted.iter().map(|field| field.name.as_str()).collect();
        let places = owners(written, &names);
        let (of_choices, of_plain) = places.split_at(choices.len());
        let mut members = Vec::new();
        for (choice, place) in choices.into_iter().zip(of_choices) {
            if let Some(place) = *place {
                let path = format!("{path}->{}", wanted[place].name);
                members.push((place, self.choice(&choice, &wanted[place].sql_type, &path)));
            }
        }
        for (field, place) in plain.into_iter().zip(of_plain) {
            if let Some(place) = *place {
                let path = format!("{path}->{}", wanted[place].name);
                members.push((place, self.member(field, &wanted[place].sql_type, &path)));
            }
        }
        Reader::Struct {
            width: wanted.len(),
            members,
        }
    }

    fn choice(&self, choice: &OneofDescriptor, sql_type: &SqlType, path: &str) -> Member {
        let fields: Vec<FieldDescriptor> = choice.fields().collect();
        let SqlType::Struct(wanted) = sql_type else {
            let reason = mismatch("struct", sql_type, path);
            let fields = fields
                .into_iter()
                .map(|field| (field, 0, Reader::Mismatch(reason.clone())));
            return Member::Choice(1, fields.collect());
        };
        let names: Vec<&str> = wanted.iter().map(|field| field.name.as_str()).collect();
        let places = owners(fields.iter().map(FieldDescriptor::name), &names);
        let fields = fields.into_iter().zip(places).filter_map(|(field, place)| {
            let place = place?;
            let path = format!("{path}->{}", wanted[place].name);
            let reader = self.reader(&field, &wanted[place].sql_type, &path);
            Some((field, place, reader))
        });
        Member::Choice(wanted.len(), fields.collect())
    }

    fn member(&self, field: FieldDescriptor, sql_type: &SqlType, path: &str) -> Member {
        let reader = self.reader(&field, sql_type, path);
        Member::Field(Box::new(field), Box::new(reader))
    }

    fn reader(&self, field: &FieldDescriptor, sql_type: &SqlType, path: &str) -> Reader {
        let shape = match (Shape::of(field, self.nulls), sql_type) {
            // Entries are also what they look like.
            (Shape::Entry(..), SqlType::Array(_)) => Shape::Message,
            (shape, _) => shape,
        };
        if let Shape::Entry(key, value) = shape {
            return match sql_type {
                SqlType::Map(_, value_type) if matches!(key.kind(), Kind::String) => Reader::Entries {
                    key,
                    value: self.member(value, value_type, path),
                },
                SqlType::Map(_, value_type) if matches!(Shape::of(&key, self.nulls), Shape::Wrapped(inner) if matches!(*inner, Shape::String)) => {
                    Reader::Entries {
                        key,
                        value: self.member(value, value_type, path),
                    }
                }
                other => Reader::Mismatch(mismatch("map", other, path)),
            };
        }
        match (field.cardinality(), sql_type) {
            (Cardinality::Repeated, SqlType::Array(element)) => {
                Reader::Array(Box::new(self.one(field, &shape, element, path)))
            }
            (Cardinality::Repeated, other) => Reader::Mismatch(mismatch("array", other, path)),
            (_, other) => self.one(field, &shape, other, path),
        }
    }

    fn one(&self, field: &FieldDescriptor, shape: &Shape, sql_type: &SqlType, path: &str) -> Reader {
        match (shape, sql_type) {
            (Shape::Wrapped(inner), _) => Reader::Wrapped(Box::new(self.one(field, inner, sql_type, path))),
            (Shape::Boolean, SqlType::Boolean) => Reader::Boolean,
            (Shape::Integer, SqlType::Integer) => Reader::Integer,
            (Shape::Integer | Shape::Bigint, SqlType::Bigint) => Reader::Bigint,
            (Shape::Float | Shape::Double, SqlType::Double) => Reader::Double,
            (Shape::String, SqlType::String) => Reader::String,
            (
                Shape::Boolean | Shape::Integer | Shape::Bigint | Shape::Float | Shape::Double,
                SqlType::String,
            ) => Reader::Text,
            (Shape::Enum, SqlType::String) => match field.kind() {
                Kind::Enum(symbols) => Reader::Symbol(symbols),
                _ => Reader::Text,
            },
            (Shape::Bytes, SqlType::Bytes) => Reader::Bytes,
            (Shape::Decimal, SqlType::Decimal { precision, scale }) => Reader::Decimal {
                precision: *precision,
                scale: *scale,
            },
            (Shape::Date, SqlType::Date) => Reader::Date,
            (Shape::Time, SqlType::Time) => Reader::Time,
            (Shape::Timestamp, SqlType::Timestamp) => Reader::Timestamp,
            (Shape::Date, SqlType::Integer | SqlType::Bigint) => Reader::DateNumber(sql_type.clone()),
            (Shape::Time, SqlType::Integer | SqlType::Bigint) => Reader::TimeNumber(sql_type.clone()),
            (Shape::Timestamp, SqlType::Bigint) => Reader::TimestampNumber,
            (Shape::Message, SqlType::Struct(wanted)) => match field.kind() {
                // As deep as the wanted type goes, whatever contains itself.
                Kind::Message(message) => self.message(&message, wanted, path),
                _ => Reader::Mismatch(mismatch("struct", sql_type, path)),
            },
            (shape, other) => Reader::Mismatch(mismatch(shape.name(), other, path)),
        }
    }
}

fn mismatch(found: &str, sql_type: &SqlType, path: &str) -> String {
    format!(
        "Cannot deserialize type {found} as type {} for path: {path}",
        connect_name(sql_type)
    )
}
