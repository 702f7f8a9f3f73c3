//! The console: one page that shows the pipeline live, from a host's line to a joined row.
//!
//! The rooms:
//!
//! - `page`: the files of the page, embedded, with their security headers;
//! - `guard`: which hosts and origins are answered, and the token that a change needs;
//! - `api`: what the page asks once, a file a noun;
//! - `live`: what the page watches, over one event stream a page, a file a kind;
//! - `kafka`, [`ksqldb`], `registry`, `access`: clients of the public protocols, so that it runs against a real cluster too;
//! - [`filter`], [`shown`]: which records are wanted, and what of a record is shown;
//! - [`osquery`]: what the hosts' result lines add up to: the one place that knows osquery;
//! - [`propose`]: the columns that a topic's records suggest.
//!
//! It keeps nothing: everything shown is read from Kafka, ksqlDB and the registry. Must not know the CLI or the
//! insides of another service.

mod access;
mod api;
mod config;
pub mod filter;
mod guard;
mod kafka;
pub mod ksqldb;
mod live;
pub mod osquery;
mod page;
pub mod propose;
mod registry;
mod server;
pub mod shown;

pub use config::{Access, Config};
pub use server::{Error, Server, bind, serve};
