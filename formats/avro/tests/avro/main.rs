//! Schemas, text, compatibility and data from outside.

mod codec;
mod compatibility;
mod support;
mod text;
