//! `osqdemo logs`: what the services wrote, also those of an earlier run.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use tokio::time::interval;

use crate::cli::LogsArgs;
use crate::commands::Context;
use crate::commands::project::Project;
use crate::commands::request::unknown_service;
use crate::error::Result;
use crate::stack::ServiceName;
use crate::state::StateError;

/// How often a followed log is looked at.
const FOLLOW: Duration = Duration::from_millis(100);

/// How much is read at once, in bytes.
const CHUNK: u64 = 256 * 1024;

/// Runs the verb.
///
/// # Errors
/// When a service is unknown or a log cannot be read.
pub async fn run(context: Context, arguments: LogsArgs) -> Result<()> {
    let project = Project::open(&context)?;
    let names: Vec<ServiceName> = if arguments.services.is_empty() {
        let names = project.stack.services.iter().map(|service| service.name.clone());
        names.chain([ServiceName::new("supervisor")]).collect()
    } else {
        let known = |name: &String| match project.stack.service(name) {
            Some(service) => Ok(service.name.clone()),
            None if name == "supervisor" => Ok(ServiceName::new("supervisor")),
            None => Err(unknown_service(&project.stack, name)),
        };
        arguments
            .services
            .iter()
            .map(known)
            .collect::<std::result::Result<_, _>>()?
    };
    let width = names
        .iter()
        .map(|name| name.as_str().len())
        .max()
        .unwrap_or_default();
    let mut logs: Vec<Log> = names.into_iter().map(|name| Log::new(&project, name)).collect();
    let mut tick = interval(FOLLOW);
    loop {
        for log in &mut logs {
            log.show_new(&context, width)?;
        }
        if !arguments.follow {
            break;
        }
        tokio::select! {
            _ = tick.tick() => {}
            () = context.shutdown.token().cancelled() => return Err(context.shutdown.interrupted().into()),
        }
    }
    for log in &mut logs {
        log.show_rest(&context, width)?;
    }
    Ok(())
}

/// A log and how far it was shown.
struct Log {
    service: ServiceName,
    path: PathBuf,
    shown: u64,
    /// The begin of a line whose end is not written yet.
    partial: Vec<u8>,
}

impl Log {
    fn new(project: &Project, service: ServiceName) -> Self {
        let path = project.engine.log(&service).path;
        Self {
            service,
            path,
            shown: 0,
            partial: Vec::new(),
        }
    }

    /// Shows the whole lines that are new.
    fn show_new(&mut self, context: &Context, width: usize) -> Result<()> {
        loop {
            let bytes = self
                .read()
                .map_err(|error| StateError::io("read", &self.path, error))?;
            if bytes.is_empty() {
                return Ok(());
            }
            self.partial.extend_from_slice(&bytes);
            while let Some(end) = self.partial.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.partial.drain(..=end).collect();
                self.show(context, &line, width)?;
            }
        }
    }

    /// Shows a last line that has no end.
    fn show_rest(&mut self, context: &Context, width: usize) -> Result<()> {
        if self.partial.is_empty() {
            return Ok(());
        }
        let line = std::mem::take(&mut self.partial);
        self.show(context, &line, width)
    }

    fn show(&self, context: &Context, line: &[u8], width: usize) -> Result<()> {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches(['\n', '\r']);
        let service = self.service.as_str();
        context
            .reporter
            .data(&json!({ "service": service, "line": line }), || {
                format!("{service:width$} | {line}")
            })
    }

    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        if file.metadata()?.len() < self.shown {
            // It was rotated.
            self.shown = 0;
        }
        file.seek(SeekFrom::Start(self.shown))?;
        let mut bytes = Vec::new();
        let read = file.take(CHUNK).read_to_end(&mut bytes)?;
        self.shown += read as u64;
        Ok(bytes)
    }
}
