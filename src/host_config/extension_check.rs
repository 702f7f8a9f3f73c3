//! Asks the extension what it thinks of a configuration: `confluent.ext --check`.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::host_config::HostConfigError;

/// How long the extension may take: it only reads files.
const LIMIT: Duration = Duration::from_secs(10);

/// The exit status for a configuration that cannot be used.
const UNUSABLE: i32 = 3;

/// Has the extension check a file.
///
/// # Errors
/// [`HostConfigError::Refused`] in the extension's words, or that it cannot be asked.
pub async fn check(extension: &Path, configuration: &Path) -> Result<(), HostConfigError> {
    let unchecked = |reason: String| HostConfigError::Unchecked {
        extension: extension.to_owned(),
        reason,
    };
    let answer = Command::new(extension)
        .arg("--check")
        .env("OSQUERY_CONFIG", configuration)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let answer = timeout(LIMIT, answer)
        .await
        .map_err(|_| unchecked(format!("it did not end within {} s", LIMIT.as_secs())))?
        .map_err(|error| unchecked(error.to_string()))?;
    if answer.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&answer.stderr);
    if answer.status.code() != Some(UNUSABLE) {
        return Err(unchecked(format!("{}: {}", answer.status, text.trim())));
    }
    let (hints, reason): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with("hint: "));
    Err(HostConfigError::Refused {
        path: configuration.to_owned(),
        reason: reason.join("\n"),
        hints: hints
            .into_iter()
            .filter_map(|line| line.strip_prefix("hint: ").map(str::to_owned))
            .collect(),
    })
}
