//! Typed expressions and their evaluation over a row.
