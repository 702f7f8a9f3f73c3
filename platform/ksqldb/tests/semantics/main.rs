//! What statements mean, record by record: statements and records in, records out, no broker.

mod acceptance;
mod crashes;
mod declarations;
mod errors;
mod expressions;
mod formats;
mod functions;
mod insert_values;
mod joins;
mod keys;
mod laws;
mod many_joins;
mod nulls;
mod original;
mod partitions;
mod recorded_tables;
mod robustness;
mod script;
mod table_functions;
mod tables;
