//! The registry as its clients see it, over HTTP, with the broker of this repository.

mod cases;
mod faults;
mod recorded;
mod store;
mod support;
