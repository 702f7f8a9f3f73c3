//! The command line, driven as a user drives it, on the fake engine: whole outputs, every exit code, one test
//! for each error that a user can meet.

#[path = "../support/docker.rs"]
mod docker_support;
mod ports;
mod remembered;
mod starting;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/system_calls.rs"]
mod system_calls;
mod upkeep;
mod words;

use support::FAKE;

/// The arguments of `up` on the fake engine, and more.
fn up(more: &[&'static str]) -> Vec<&'static str> {
    FAKE.iter().chain(more).copied().collect()
}
