//! From a message to columns.

use osqdemo_protobuf::{
    Cardinality, FieldDescriptor, Kind, Linked, MessageDescriptor, OneofDescriptor, field_parameter,
};

use super::super::avro::DEFAULT_PRECISION;
use super::super::registered::{InferredType, Names, TypeCount};
use super::{Nulls, Shape};
use crate::types::{SqlType, StructField};

/// The columns of the message of that name, or of the file's first one; or why it has none.
pub(in super::super) fn infer(
    file: &Linked,
    full_name: Option<&str>,
    names: Names,
    nulls: Nulls,
) -> Result<InferredType, String> {
    let Some((_, message)) = file.message(full_name) else {
        return Err(match full_name {
            Some(name) => format!("the schema has no message `{name}`"),
            None => "the schema has no message".to_owned(),
        });
    };
    let mut inference = Inference {
        names,
        nulls,
        open: Vec::new(),
        types: TypeCount::default(),
    };
    match inference.message(&message)? {
        Some(SqlType::Struct(fields)) => Ok(InferredType::Columns(fields)),
        _ => Err("Schema does not include any columns with types that ksqlDB supports.".to_owned()),
    }
}

struct Inference {
    names: Names,
    nulls: Nulls,
    /// What is being looked into: what contains itself has no type in SQL.
    open: Vec<String>,
    types: TypeCount,
}

impl Inference {
    fn message(&mut self, message: &MessageDescriptor) -> Result<Option<SqlType>, String> {
        if self.open.iter().any(|open| open == message.full_name()) {
            return Ok(None);
        }
        self.open.push(message.full_name().to_owned());
        let mut known = Vec::new();
        // What can be one of several things comes first, as a struct of them.
        for (name, choice) in choices(message) {
            let fields: Vec<FieldDescriptor> = choice.fields().collect();
            if let Some(sql_type) = self.structure(&fields)? {
                known.push(StructField {
                    name: self.names.of(&name),
                    sql_type,
                });
            }
        }
        let plain: Vec<FieldDescriptor> = message.fields().filter(|field| !is_choice(field)).collect();
        if let Some(SqlType::Struct(fields)) = self.structure(&plain)? {
            known.extend(fields);
        }
        self.open.pop();
        Ok((!known.is_empty()).then_some(SqlType::Struct(known)))
    }

    fn structure(&mut self, fields: &[FieldDescriptor]) -> Result<Option<SqlType>, String> {
        let mut known = Vec::new();
        for field in fields {
            self.types.add_name(field.name())?;
            if let Some(sql_type) = self.field(field)? {
                known.push(StructField {
                    name: self.names.of(field.name()),
                    sql_type,
                });
            }
        }
        Ok((!known.is_empty()).then_some(SqlType::Struct(known)))
    }

    /// The type; `None` where SQL has none.
    fn field(&mut self, field: &FieldDescriptor) -> Result<Option<SqlType>, String> {
        self.types.add_type()?;
        let shape = Shape::of(field, self.nulls);
        let is_map = matches!(shape, Shape::Entry(..));
        let one = self.one(field, &shape)?;
        Ok(match one {
            Some(one) if field.cardinality() == Cardinality::Repeated && !is_map => {
                Some(SqlType::Array(Box::new(one)))
            }
            one => one,
        })
    }

    fn one(&mut self, field: &FieldDescriptor, shape: &Shape) -> Result<Option<SqlType>, String> {
        Ok(Some(match shape {
            Shape::Boolean => SqlType::Boolean,
            Shape::Integer => SqlType::Integer,
            Shape::Bigint => SqlType::Bigint,
            Shape::Float if self.names == Names::AsWritten => {
                return Err("Unexpected schema type: Schema{FLOAT32}".to_owned());
            }
            Shape::Float | Shape::Double => SqlType::Double,
            Shape::String | Shape::Enum => SqlType::String,
            Shape::Bytes => SqlType::Bytes,
            Shape::Decimal => {
                let number = |name| field_parameter(field, name).and_then(|number| number.parse().ok());
                SqlType::Decimal {
                    precision: number("precision").unwrap_or(DEFAULT_PRECISION),
                    scale: number("scale").unwrap_or(0),
                }
            }
            Shape::Date => SqlType::Date,
            Shape::Time => SqlType::Time,
            Shape::Timestamp => SqlType::Timestamp,
            Shape::Wrapped(value) => return self.one(field, value),
            // Maps have text for keys.
            Shape::Entry(key, value) => match (self.field(key)?, self.field(value)?) {
                (Some(SqlType::String), Some(value)) => {
                    SqlType::Map(Box::new(SqlType::String), Box::new(value))
                }
                _ => return Ok(None),
            },
            Shape::Message => match field.kind() {
                Kind::Message(message) => return self.message(&message),
                _ => return Ok(None),
            },
        }))
    }
}

/// The fields of which only one can be there, by the names that Connect has for them.
pub(super) fn choices(message: &MessageDescriptor) -> impl Iterator<Item = (String, OneofDescriptor)> + '_ {
    let real = message.oneofs().filter(|choice| !choice.is_synthetic());
    real.enumerate()
        .map(|(place, choice)| (format!("{}_{place}", choice.name()), choice))
}

/// Whether a field is one of several that exclude each other.
pub(super) fn is_choice(field: &FieldDescriptor) -> bool {
    field
        .containing_oneof()
        .is_some_and(|choice| !choice.is_synthetic())
}
