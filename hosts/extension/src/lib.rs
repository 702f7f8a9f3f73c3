//! The osquery extension that carries osquery's results to Kafka.
//!
//! It registers two plugins with osqueryd: `osquery_confluent_config` hands osqueryd its configuration,
//! `confluent_logger` takes the result lines and produces them to Kafka.
//!
//! One rule stands above the others: **osqueryd ends when a logger answers anything but success, or does
//! not answer.** So every line is answered with success at once. What then happens to it (delivered,
//! refused by Kafka, dropped because there is no room, too large for Kafka) is counted and said in the log,
//! never told to osqueryd.
//!
//! The way of a line: `plugins` → `route` (topic and key) → `outbox` → `spool` (disk) and `encoding` → librdkafka → Kafka.
//! The outbox and the spool are state machines; `courier` drives them. `session` is the extension's life with osqueryd:
//! registration, watch, end.
//!
//! It must not know ksqlDB, the command line `osqdemo`, or what is in osquery's tables.

mod arguments;
mod check;
mod configuration;
mod connection_check;
mod courier;
mod encoding;
mod error;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod json;
mod key_expression;
mod line_facts;
mod log_writer;
mod options;
mod outbox;
mod placeholders;
mod plugins;
mod registration;
mod route;
mod secrets;
mod session;
mod signals;
mod spool;
mod statistics;
mod throttle;
mod topic_template;

use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use osquery_resident_set::limit_arenas;
use tracing::level_filters::LevelFilter;

use arguments::Arguments;
use error::ExtensionError;
use log_writer::LogWriter;

/// The names under which the extension registers: its own, and the one that the original had.
pub const EXTENSION_NAMES: [&str; 2] = ["confluent", "confluent_cloud"];
/// The version it registers with.
pub const EXTENSION_VERSION: &str = "1.0.0";
/// The configuration plugin (`--config_plugin`).
pub const CONFIG_PLUGIN: &str = "osquery_confluent_config";
/// The logger plugin (`--logger_plugin`).
pub const LOGGER_PLUGIN: &str = "confluent_logger";

/// How long threads that still wait for osqueryd may keep the process at its end.
const RUNTIME_PATIENCE: Duration = Duration::from_millis(200);
/// How long the last log lines may take to be written.
const LOG_PATIENCE: Duration = Duration::from_millis(500);

/// How many of the extension's threads the allocator keeps memory for apart: two of them allocate much, osqueryd's calls
/// and the delivery.
const ARENAS: u16 = 2;

/// Runs the extension with the process's arguments.
pub fn main() -> ExitCode {
    limit_arenas(ARENAS);
    let arguments = Arguments::parse();
    let Some(socket) = &arguments.socket else {
        return check::run(arguments.json, arguments.connect);
    };
    let log = start_log(&arguments);
    let code = match run(&arguments, socket) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            if let Some(hint) = error.hint() {
                tracing::error!("hint: {hint}");
            }
            error.exit_code()
        }
    };
    log.drain(LOG_PATIENCE);
    code
}

fn run(arguments: &Arguments, socket: &Path) -> Result<(), ExtensionError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| ExtensionError::Runtime { source })?;
    let result = runtime.block_on(session::run(arguments, socket));
    runtime.shutdown_timeout(RUNTIME_PATIENCE);
    result
}

/// Log lines go to standard error, which osqueryd leaves connected to its own.
fn start_log(arguments: &Arguments) -> LogWriter {
    let level = if arguments.verbose {
        LevelFilter::DEBUG
    } else {
        LevelFilter::INFO
    };
    let writer = LogWriter::start(io::stderr());
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(writer.clone())
        .init();
    writer
}
