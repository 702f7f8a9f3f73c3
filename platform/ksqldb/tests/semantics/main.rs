//! What statements mean, record by record: statements and records in, records out, no broker.

mod original;
mod script;
