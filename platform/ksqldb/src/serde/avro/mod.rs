//! The `AVRO` format: columns as Avro schemas and back, and records straight to and from the engine's values.
//!
//! Kafka Connect stands between ksqlDB and Avro, and its ways show: names, nullability, maps as lists of entries.

mod declaration;
mod inference;
mod reader;
mod shape;
#[cfg(test)]
mod tests;
mod text;
mod writer;

pub(super) use declaration::{declare, supports};
pub(super) use inference::infer;
pub(super) use reader::RecordReader;
pub(super) use shape::{CONNECT, DEFAULT_PRECISION};
pub(super) use text::text;
pub(super) use writer::RecordWriter;
