//! The `JSON_SR` format: JSON behind the id of a JSON Schema.
//!
//! The data are those of the format `JSON`, but for maps, which Kafka Connect writes as lists of their entries; so only
//! writing needs the schema. Here stand the schema of columns, and the columns of a schema.

mod declaration;
mod entries;
mod inference;
mod meaning;
#[cfg(test)]
mod tests;

pub(super) use declaration::declare;
pub(super) use entries::RecordWriter;
pub(super) use inference::infer;
