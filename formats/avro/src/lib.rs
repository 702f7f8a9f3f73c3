//! Avro as Confluent's tools understand it.
//!
//! - [`Schema`]: parsed as leniently as Java's parser does, printed as Java prints it: the text that a Schema Registry
//!   stores, hashes and compares;
//! - [`compatibility`]: what the registry's levels ask, with the messages and paths that Confluent prints;
//! - [`Value`], [`encode()`], [`decode()`]: the binary encoding, by the writer's schema;
//! - [`Cursor`], [`write_long`], [`write_bytes`]: its parts, for those whose values are their own; [`mod@write`]: more of them, for
//!   those who write straight from their data; [`to_json`]: for people;
//! - [`Resolution`]: data of one schema read as another.
//!
//! `apache-avro` is not the base: it refuses schemas that registries hold, its text differs from Java's, and its
//! checker answers otherwise and without paths. It is what the tests compare the codec with.
//!
//! Must not know Kafka, a registry, or what the data are about.

pub mod compatibility;
mod cursor;
mod decode;
mod encode;
mod json;
mod resolution;
mod schema;
mod value;
pub mod write;

pub use cursor::{Block, Cursor};
pub use decode::{DecodeError, decode};
pub use encode::{EncodeError, encode, write_bytes, write_long};
pub use json::to_json;
pub use resolution::{Resolution, ResolveError};
pub use schema::{
    Enumeration, Field, Fixed, Kind, Name, Node, NodeId, Order, ParseError, Record, Schema, json_text,
};
pub use value::Value;
