//! The topic `_schemas`, and what is known from it.
//!
//! `record` is the topic's language, `state` what its records add up to, `log` the clients that write and read it. A
//! record that a registry of Confluent's would not understand stops that registry for good: no kind of record is
//! invented here. Who wrote a record stands in a header, which it does not look at.

mod log;
mod record;
mod state;
mod writer;

pub(crate) use log::{Log, LogError};
pub(crate) use record::{Mode, Record, SETTINGS, SchemaRecord, Settings};
pub(crate) use state::{State, Stored};
