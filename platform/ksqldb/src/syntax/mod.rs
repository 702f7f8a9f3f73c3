//! ksqlDB's SQL: text to tree and back. Knows nothing of types' meaning, sources or functions.

pub mod ast;
