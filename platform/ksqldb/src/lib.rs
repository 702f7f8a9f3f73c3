//! A ksqlDB server for one machine.
//!
//! The rooms, in the order a statement walks through them:
//!
//! - [`syntax`]: text → [`syntax::ast`], and back;
//! - [`types`] and [`value`]: SQL types and the values of a row;
//! - [`functions`]: the scalar functions;
//! - [`metastore`]: the sources that were declared;
//! - [`plan`]: a statement's meaning, checked: what it reads, computes and writes;
//! - `expression`: typed expressions, and their evaluation over a row;
//! - [`serde`]: rows to and from the bytes of records;
//! - [`task`]: a running plan: records in, rows and records out.
//!
//! Nothing in here knows osquery, the CLI or the other services beyond Kafka's public protocol.

mod expression;
pub mod functions;
pub mod metastore;
pub mod plan;
pub mod serde;
pub mod syntax;
pub mod task;
pub mod types;
pub mod value;
