//! A ksqlDB server for one machine.
//!
//! The rooms, in the order a statement walks through them:
//!
//! - [`syntax`]: text → [`syntax::ast`], and back;
//! - [`types`] and [`value`]: SQL types and the values of a row;
//! - [`functions`]: the scalar functions;
//! - `aggregates`: the aggregate functions;
//! - [`metastore`]: the sources that were declared;
//! - [`plan`]: a statement's meaning, checked: what it reads, computes and writes;
//! - `expression`: typed expressions, and their evaluation over a row;
//! - `calendar`: dates and times as they are printed;
//! - [`serde`]: rows to and from the bytes of records;
//! - [`task`]: a running plan: records in, rows and records out.
//!
//! Those are synchronous and know no broker. Around them, what [`serve`] runs:
//!
//! - `rest`: HTTP in, JSON out;
//! - `execution`: a request's statements, tried on a copy of what exists, logged, and carried out;
//! - `command_log`: the executed commands, in a topic, replayed at start;
//! - `queries`: the persistent queries, as both of these know them;
//! - `runtime`: the running queries, supervised;
//! - `registry`: the Schema Registry, as statements ask it and queries wait for it;
//! - `connect`: Kafka Connect, which statements about connectors are handed on to;
//! - `kafka`: one client for administration, one producer, a reader a query;
//! - `server`: the socket, the start and the end.
//!
//! Nothing in here knows osquery, the CLI or the other services beyond the public protocols of Kafka, Connect and the registry.

mod aggregates;
mod calendar;
mod expression;
pub mod functions;
pub mod metastore;
pub mod plan;
pub mod serde;
pub mod syntax;
pub mod task;
pub mod types;
pub mod value;

mod command_log;
mod config;
mod connect;
mod execution;
mod kafka;
mod queries;
mod registry;
mod rest;
mod runtime;
mod server;

pub use config::{Config, OffsetReset};
pub use server::{Error, Server, bind, serve};
