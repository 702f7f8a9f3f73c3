//! The formats `PROTOBUF` and `PROTOBUF_NOSR`: columns as messages and back. One has the id of its schema before the
//! data, the other nothing: there the columns alone say what the bytes are.
//!
//! As for Avro, Kafka Connect's ways show: the messages' names, and what null is.

mod declaration;
mod inference;
mod reader;
#[cfg(test)]
mod tests;
mod text;
mod writer;

use osqdemo_protobuf::{FieldDescriptor, File, Kind, Linked};

pub(super) use declaration::declare;
pub(super) use inference::infer;
pub(super) use reader::RecordReader;
pub(super) use text::text;
pub(super) use writer::RecordWriter;

use crate::types::SqlType;

const DECIMAL: &str = "confluent.type.Decimal";
const DATE: &str = "google.type.Date";
const TIME: &str = "google.type.TimeOfDay";
const TIMESTAMP: &str = "google.protobuf.Timestamp";
/// Where a message that stands for an entry of a map, or for a number that may be null, has its value.
const VALUE: &str = "value";

/// `PROTOBUF_NULLABLE_REPRESENTATION`: how a value says that it is null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Nulls {
    /// Not at all: it is 0, empty, or false.
    #[default]
    Defaults,
    /// `OPTIONAL`: the field says whether it is there.
    Optional,
    /// `WRAPPER`: it stands in a message of its own.
    Wrapper,
}

/// The file that columns alone say.
pub(super) fn linked(columns: &[(String, SqlType)], is_bare: bool, nulls: Nulls) -> Result<Linked, String> {
    let text = declare(columns, is_bare, nulls, None)?;
    let file = File::parse(&text).map_err(|error| error.to_string())?;
    file.link(&[]).map_err(|error| error.to_string())
}

/// What a field is, apart from how often it is there.
enum Shape {
    Boolean,
    /// 32 bits with a sign.
    Integer,
    /// Whole numbers that need more, or have no sign.
    Bigint,
    Float,
    Double,
    String,
    Bytes,
    Enum,
    Decimal,
    Date,
    Time,
    Timestamp,
    /// A message with a value of that shape, which says null by not being there.
    Wrapped(Box<Shape>),
    Message,
    /// An entry of a map, with its key and value.
    Entry(FieldDescriptor, FieldDescriptor),
}

impl Shape {
    fn of(field: &FieldDescriptor, nulls: Nulls) -> Self {
        let message = match field.kind() {
            Kind::Message(message) => message,
            other => return Self::of_simple(&other),
        };
        match message.full_name() {
            DECIMAL => return Self::Decimal,
            DATE => return Self::Date,
            TIME => return Self::Time,
            TIMESTAMP => return Self::Timestamp,
            "google.protobuf.DoubleValue"
            | "google.protobuf.FloatValue"
            | "google.protobuf.Int64Value"
            | "google.protobuf.UInt64Value"
            | "google.protobuf.Int32Value"
            | "google.protobuf.UInt32Value"
            | "google.protobuf.BoolValue"
            | "google.protobuf.StringValue"
            | "google.protobuf.BytesValue"
                if nulls == Nulls::Wrapper =>
            {
                if let Some(value) = message.get_field_by_name(VALUE) {
                    return Self::Wrapped(Box::new(Self::of_simple(&value.kind())));
                }
            }
            _ => {}
        }
        if field.cardinality() == osqdemo_protobuf::Cardinality::Repeated
            && message.name().ends_with("Entry")
            && message.fields().len() == 2
            && let (Some(key), Some(value)) =
                (message.get_field_by_name("key"), message.get_field_by_name(VALUE))
            && key.number() < value.number()
        {
            return Self::Entry(key, value);
        }
        Self::Message
    }

    fn of_simple(kind: &Kind) -> Self {
        match kind {
            Kind::Bool => Self::Boolean,
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Self::Integer,
            Kind::Uint32
            | Kind::Fixed32
            | Kind::Int64
            | Kind::Uint64
            | Kind::Sint64
            | Kind::Fixed64
            | Kind::Sfixed64 => Self::Bigint,
            Kind::Float => Self::Float,
            Kind::Double => Self::Double,
            Kind::String => Self::String,
            Kind::Bytes => Self::Bytes,
            Kind::Enum(_) => Self::Enum,
            Kind::Message(_) => Self::Message,
        }
    }

    /// Its name in Connect's messages.
    fn name(&self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer | Self::Date | Self::Time => "int32",
            Self::Bigint | Self::Timestamp => "int64",
            Self::Float => "float32",
            Self::Double => "float64",
            Self::String | Self::Enum => "string",
            Self::Bytes | Self::Decimal => "bytes",
            Self::Wrapped(value) => value.name(),
            Self::Message => "struct",
            Self::Entry(..) => "map",
        }
    }
}

/// Whether a field says by not being there that it is null.
fn is_null_when_absent(field: &FieldDescriptor) -> bool {
    let is_message = matches!(field.kind(), Kind::Message(_));
    let is_repeated = field.cardinality() == osqdemo_protobuf::Cardinality::Repeated;
    !is_repeated && (is_message || field.field_descriptor_proto().proto3_optional())
}
