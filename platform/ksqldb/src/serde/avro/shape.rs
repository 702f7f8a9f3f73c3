//! An Avro type as Kafka Connect, and so ksqlDB, sees it: logical types, nullable unions, lists of map entries.

use osqdemo_avro::{Enumeration, Kind, NodeId, Record, Schema};
use serde_json::Value as Json;

/// The digits of a decimal whose schema does not say them.
pub(in super::super) const DEFAULT_PRECISION: u32 = 64;
/// What the names of Connect's logical types begin with.
pub(in super::super) const CONNECT: &str = "org.apache.kafka.connect.data.";

/// What a type is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape<'a> {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    String,
    Enum(&'a Enumeration),
    /// So many, or as many as it says.
    Bytes(Option<usize>),
    Decimal {
        fixed: Option<usize>,
        precision: u32,
        scale: u32,
    },
    Date,
    Time,
    Timestamp,
    Array(NodeId),
    Map(NodeId),
    /// A map as a list of records of a key and a value, in this order or the other one.
    Entries {
        key: NodeId,
        value: NodeId,
        value_first: bool,
    },
    Record(&'a Record),
    /// `null` at one place and a type at the other.
    Nullable {
        null: usize,
        inner: NodeId,
    },
    /// Any other union.
    Union(&'a [NodeId]),
}

impl<'a> Shape<'a> {
    pub(super) fn of(schema: &'a Schema, id: NodeId) -> Self {
        let node = schema.node(id);
        let logical = node.logical_type().unwrap_or_default();
        let connect = node.attributes.get("connect.name").and_then(Json::as_str);
        let is_connect = |name: &str| connect.and_then(|connect| connect.strip_prefix(CONNECT)) == Some(name);
        let number = |name: &str| {
            let number = node.attributes.get(name).and_then(Json::as_u64);
            number.and_then(|number| u32::try_from(number).ok())
        };
        let decimal = |fixed| Self::Decimal {
            fixed,
            precision: number("precision").unwrap_or(DEFAULT_PRECISION),
            scale: number("scale").unwrap_or(0),
        };
        match &node.kind {
            Kind::Null => Self::Null,
            Kind::Boolean => Self::Boolean,
            Kind::Int if logical == "date" || is_connect("Date") => Self::Date,
            Kind::Int if logical == "time-millis" || is_connect("Time") => Self::Time,
            Kind::Int => Self::Int,
            Kind::Long if logical == "timestamp-millis" || is_connect("Timestamp") => Self::Timestamp,
            Kind::Long => Self::Long,
            Kind::Float => Self::Float,
            Kind::Double => Self::Double,
            Kind::Bytes if logical == "decimal" => decimal(None),
            Kind::Bytes => Self::Bytes(None),
            Kind::Fixed(fixed) if logical == "decimal" => decimal(Some(fixed.size)),
            Kind::Fixed(fixed) => Self::Bytes(Some(fixed.size)),
            Kind::String => Self::String,
            Kind::Enum(enumeration) => Self::Enum(enumeration),
            Kind::Array(items) => entries(schema, *items).unwrap_or(Self::Array(*items)),
            Kind::Map(values) => Self::Map(*values),
            Kind::Record(record) => Self::Record(record),
            Kind::Union(branches) => match branches.as_slice() {
                [first, inner] if matches!(schema.kind(*first), Kind::Null) => Self::Nullable {
                    null: 0,
                    inner: *inner,
                },
                [inner, second] if matches!(schema.kind(*second), Kind::Null) => Self::Nullable {
                    null: 1,
                    inner: *inner,
                },
                branches => Self::Union(branches),
            },
        }
    }

    /// Its name in Connect's messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int | Self::Date | Self::Time => "int32",
            Self::Long | Self::Timestamp => "int64",
            Self::Float => "float32",
            Self::Double => "float64",
            Self::String | Self::Enum(_) => "string",
            Self::Bytes(_) | Self::Decimal { .. } => "bytes",
            Self::Array(_) => "array",
            Self::Map(_) | Self::Entries { .. } => "map",
            Self::Record(_) | Self::Union(_) => "struct",
            Self::Nullable { .. } => "union",
        }
    }
}

/// What Connect calls a branch of a union with several.
pub(super) fn branch_name(schema: &Schema, id: NodeId) -> &str {
    let kind = schema.kind(id);
    kind.name().map_or(kind.word(), osqdemo_avro::Name::last)
}

fn entries<'a>(schema: &Schema, items: NodeId) -> Option<Shape<'a>> {
    let node = schema.node(items);
    let Kind::Record(record) = &node.kind else {
        return None;
    };
    let is_marked = node
        .attributes
        .get("connect.internal.type")
        .and_then(Json::as_str)
        == Some("MapEntry");
    if !is_marked && record.name.full() != "io.confluent.connect.avro.MapEntry" {
        return None;
    }
    let [first, second] = record.fields.as_slice() else {
        return None;
    };
    match (first.name.as_str(), second.name.as_str()) {
        ("key", "value") => Some(Shape::Entries {
            key: first.schema,
            value: second.schema,
            value_first: false,
        }),
        ("value", "key") => Some(Shape::Entries {
            key: second.schema,
            value: first.schema,
            value_first: true,
        }),
        _ => None,
    }
}
