//! A Schema Registry as its clients see it.
//!
//! - [`wire`]: how a record says which schema it was written with;
//! - [`SubjectNames`]: under which name a schema is registered;
//! - [`Client`]: registers, looks up and reads schemas, keeps what never changes, and tries again what may pass.
//!
//! It blocks: an asynchronous caller gives it a thread. Must not know Kafka, or what the data are about.

mod cache;
mod client;
mod error;
mod http;
mod settings;
mod subjects;
pub mod wire;

pub use client::{Client, Reference, Schema, SchemaType, Version};
pub use error::{ClientError, SettingsError};
pub use settings::{Credentials, Settings};
pub use subjects::{Part, SubjectNames};
