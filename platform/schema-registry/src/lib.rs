//! A Schema Registry: Confluent's REST API, as version 7.9 answers it.
//!
//! The rooms:
//!
//! - `rest`: requests and answers, a file a noun;
//! - `registry`: what a request does, a file a verb;
//! - `schema`: what a schema is, a file a type;
//! - `storage`: the compacted topic `_schemas`, byte for byte as a registry of Confluent's writes it, so that either can
//!   take over the other's topic; and what is known from it.
//!
//! It keeps nothing but that topic. Every change is a record, and is answered after the record was read back.
//! Must not know osquery, the CLI, or the insides of another service.

mod config;
mod refusal;
mod registry;
mod rest;
mod schema;
mod server;
mod storage;
mod subject;

pub use config::Config;
pub use server::{Error, Server, bind, serve};
