//! A client of ksqlDB: its REST API, its scripts, and the statements this project ships.
//!
//! Bytes become items ([`rows`]), scripts become statements ([`statement`]), `SET` and the like become a
//! [`session`]; all of that is pure. [`client`] speaks HTTP, [`ddl`] submits statements, and [`shipped`] has this
//! project's own.
//! Must not know which server it talks to: ours and Confluent's are the same here.

#[cfg(test)]
pub(crate) mod canned_server;
pub mod cell;
pub mod client;
pub mod ddl;
mod entity;
pub mod error;
mod existing;
mod lexer;
mod object_scanner;
mod row_stream;
pub mod rows;
pub mod schema;
pub mod session;
pub mod shipped;
pub mod statement;

pub use client::{Client, ServerInfo};
pub use entity::Entity;
pub use error::{Error, ServerError};
pub use row_stream::RowStream;
