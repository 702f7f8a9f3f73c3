//! The client, against the registry of this repository and against what goes wrong.

mod canned;
mod faults;
mod registry;
