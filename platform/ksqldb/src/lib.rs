//! A ksqlDB server for one machine.
//!
//! The rooms, in the order a statement walks through them:
//!
//! - [`syntax`]: text → [`syntax::ast`], and back;
//! - [`types`] and [`value`]: SQL types and the values of a row;
//! - [`functions`]: the scalar functions.
//!
//! Nothing in here knows osquery, the CLI or the other services beyond Kafka's public protocol.

pub mod functions;
pub mod syntax;
pub mod types;
pub mod value;
