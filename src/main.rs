//! The `osqdemo` binary: everything it does lives in the library, where it can be tested.
use std::process::ExitCode;

fn main() -> ExitCode {
    osqdemo::main()
}
