//! The osquery extension `confluent.ext`; see the library for what it does.

use std::process::ExitCode;

fn main() -> ExitCode {
    osquery_confluent::main()
}
