//! `osqdemo`: stands up, runs and verifies an osquery, Kafka and ksqlDB pipeline end to end.

pub mod cli;
pub mod engine;
pub mod error;
pub mod exit_code;
pub mod stack;

use clap::Parser;

/// Runs the command line and returns the process's exit code.
pub fn main() -> std::process::ExitCode {
    let _cli = cli::Cli::parse();
    exit_code::ExitCode::Ok.into()
}
