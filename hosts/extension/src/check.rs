//! `--check`: what is wrong with the configuration, for whoever asks before osqueryd is started with it.
//!
//! As text, what keeps the extension from starting and what is left out, one a line on standard error. With `--json`, one
//! object on standard output:
//!
//! ```json
//! { "usable": true, "error": null,
//!   "findings": [ { "place": "source.packs.ir.queries.ports.interval", "message": "Query has invalid interval: …" } ],
//!   "queries": [ { "name": "pack_ir_files", "topic": "pack_ir_files", "interval": 60 } ] }
//! ```
//! `error` is `{"message", "hint"}` when `usable` is false, and the exit code is then that of the start. Nothing of it holds
//! a secret.

use std::io::{self, Write as _};
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::configuration::Configuration;
use crate::connection_check::try_connection;
use crate::courier::Courier;
use crate::encoding::registrar;
use crate::error::ExtensionError;
use crate::line_facts::LineFacts;

/// The exit code when `--connect` found that lines would not arrive.
const CONNECTION_FAILED: u8 = 5;

pub(crate) fn run(as_json: bool, connect: bool) -> ExitCode {
    let checked = Configuration::load(&Configuration::path_from_environment())
        .and_then(|configuration| {
            Courier::check(configuration.properties.clone(), &configuration.secrets)?;
            registrar::client(&configuration.formats)?;
            Ok(configuration)
        })
        .map_err(ExtensionError::from);
    // Who does not read it sees the exit code.
    let _ = if as_json {
        writeln!(io::stdout(), "{}", document(&checked))
    } else {
        io::stderr().write_all(text(&checked).as_bytes())
    };
    match checked {
        Ok(configuration) if connect => {
            let report = try_connection(&configuration);
            let _ = io::stderr().write_all(report.to_string().as_bytes());
            match report.is_good() {
                true => ExitCode::SUCCESS,
                false => ExitCode::from(CONNECTION_FAILED),
            }
        }
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => error.exit_code(),
    }
}

fn text(checked: &Result<Configuration, ExtensionError>) -> String {
    match checked {
        Ok(configuration) => configuration
            .findings
            .iter()
            .map(|finding| format!("warning: {finding}\n"))
            .collect(),
        Err(error) => {
            let hint = error.hint().map(|hint| format!("hint: {hint}\n"));
            format!("{error}\n{}", hint.unwrap_or_default())
        }
    }
}

fn document(checked: &Result<Configuration, ExtensionError>) -> Value {
    let configuration = match checked {
        Ok(configuration) => configuration,
        Err(error) => {
            return json!({
                "usable": false,
                "error": { "message": error.to_string(), "hint": error.hint() },
                "findings": [],
                "queries": [],
            });
        }
    };
    let findings: Vec<Value> = configuration
        .findings
        .iter()
        .map(|finding| json!({ "place": finding.place, "message": finding.message }))
        .collect();
    let queries: Vec<Value> = configuration
        .queries()
        .into_iter()
        .map(|query| json!({ "topic": configuration.routing.topic(&LineFacts::of_query(&query.name)), "name": query.name, "interval": query.interval }))
        .collect();
    json!({ "usable": true, "error": null, "findings": findings, "queries": queries })
}
