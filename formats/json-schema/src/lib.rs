//! JSON Schema, as a Schema Registry of Confluent's compares it: whether everything that an old schema accepts is accepted
//! by a new one.
//!
//! A schema is looked at as the kinds of values that it takes (`model`), and two schemas kind by kind (`compatibility`),
//! by the words of drafts 4 to 2020-12. Knows no registry.

mod compatibility;
mod model;

pub use compatibility::{Difference, differences};
