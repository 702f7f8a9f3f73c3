//! Protocol Buffers, as Confluent's tools understand them: the files that a Schema Registry holds, what they import, and
//! their messages.
//!
//! Parsing, linking and the bytes of messages are those of `protox-parse` and `prost-reflect`; here stands what
//! Confluent adds: files as descriptors in base64, the imports that nobody has to bring along, and what a field says of
//! itself in `confluent.field_meta`. Knows no registry and no engine.

mod compatibility;
mod file;
mod json;
mod known;
mod linked;

pub use compatibility::Difference;
pub use file::{File, FileError};
pub use json::to_json;
pub use linked::{Linked, field_parameter};
pub use prost_reflect::{
    Cardinality, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey, MessageDescriptor,
    OneofDescriptor, Value,
};

/// Reading a message's bytes, and writing them.
pub use prost::Message as Codec;
