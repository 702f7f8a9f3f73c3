//! The registry as its clients see it, over HTTP, with the broker of this repository.

mod cases;
mod compatibility;
mod deletion;
mod faults;
mod formats;
mod recorded;
mod store;
mod support;
