//! The built-in stand-in for osqueryd.

use std::process::ExitCode;

fn main() -> ExitCode {
    osquery_agent::run(std::env::args().skip(1))
}
