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

use osquery_protocol::result_log::topic_name;
use serde_json::{Value, json};

use crate::configuration::Configuration;
use crate::error::ExtensionError;
use crate::outbox::Outbox;

pub(crate) fn run(as_json: bool) -> ExitCode {
    let checked = Configuration::load(&Configuration::path_from_environment())
        .and_then(|configuration| {
            Outbox::check(configuration.properties.clone())?;
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
        .map(|query| json!({ "topic": topic_name(&query.name), "name": query.name, "interval": query.interval }))
        .collect();
    json!({ "usable": true, "error": null, "findings": findings, "queries": queries })
}
