//! Asks who knows what they think of a configuration: the extension what osquery would leave out
//! (`confluent.ext --check --json`), the built-in agent which queries cannot run on its tables
//! (`osqdemo-agent --config_check --json`).

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::timeout;

use crate::host_config::{Finding, HostConfig, HostConfigError};

/// How long a program may take: it only reads files.
const LIMIT: Duration = Duration::from_secs(10);

/// What either answers.
#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    error: Option<AnswerError>,
    #[serde(default)]
    findings: Vec<Finding>,
    /// The queries that the agent cannot run.
    #[serde(default)]
    not_runnable: Vec<Finding>,
}

#[derive(Debug, Deserialize)]
struct AnswerError {
    message: String,
    hint: Option<String>,
}

/// What the extension says is left out: of the file, where there is one, and of the packs that were added to it.
///
/// # Errors
/// [`HostConfigError::Refused`] in the extension's words, or that it cannot be asked.
pub async fn left_out(extension: &Path, own: &HostConfig) -> Result<Vec<Finding>, HostConfigError> {
    let mut findings = if own.path.is_absolute() {
        left_out_of(extension, &own.path, &own.path, "").await?
    } else {
        Vec::new()
    };
    // It is handed over where nobody can read it along: there may be a secret in it.
    let stdin = Path::new("/dev/stdin");
    for finding in left_out_of(extension, stdin, &own.path, &own.document.to_string()).await? {
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    Ok(findings)
}

async fn left_out_of(
    extension: &Path,
    file: &Path,
    configuration: &Path,
    input: &str,
) -> Result<Vec<Finding>, HostConfigError> {
    let mut command = Command::new(extension);
    command.args(["--check", "--json"]).env("OSQUERY_CONFIG", file);
    let answer = ask(extension, &mut command, input).await?;
    match answer.error {
        None => Ok(answer.findings),
        Some(error) => Err(HostConfigError::Refused {
            path: configuration.to_owned(),
            reason: error.message,
            hints: error.hint.into_iter().collect(),
        }),
    }
}

/// What counts for nothing on the built-in agent, the queries that it cannot run among it.
///
/// # Errors
/// When it cannot be asked.
pub async fn not_on_agent(agent: &Path, configuration: &HostConfig) -> Result<Vec<Finding>, HostConfigError> {
    let mut command = Command::new(agent);
    command.args([
        "--config_check",
        "--json",
        "--config_path=/dev/stdin",
        "--disable_extensions",
    ]);
    let source = configuration.document.get("source").map(ToString::to_string);
    let answer = ask(agent, &mut command, &source.unwrap_or_default()).await?;
    let in_document = answer.findings.into_iter().map(|finding| Finding {
        place: format!("source.{}", finding.place),
        ..finding
    });
    Ok(in_document.chain(answer.not_runnable).collect())
}

async fn ask(program: &Path, command: &mut Command, input: &str) -> Result<Answer, HostConfigError> {
    let unchecked = |reason: String| HostConfigError::Unchecked {
        program: program.to_owned(),
        reason,
    };
    let conversation = async {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdin = child.stdin.take();
        let write = async {
            if let Some(mut stdin) = stdin {
                // Who does not want it closes its end.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
        };
        let (output, ()) = tokio::join!(child.wait_with_output(), write);
        output
    };
    let output = timeout(LIMIT, conversation)
        .await
        .map_err(|_| unchecked(format!("it did not end within {} s", LIMIT.as_secs())))?
        .map_err(|error| unchecked(error.to_string()))?;
    let answer: Option<Answer> = serde_json::from_slice(&output.stdout).ok();
    // Who fails without a reason has not looked, whatever it found.
    answer
        .filter(|answer| output.status.success() || answer.error.is_some())
        .ok_or_else(|| unchecked(said(output.status, &output.stderr)))
}

fn said(status: ExitStatus, stderr: &[u8]) -> String {
    format!("{status}: {}", String::from_utf8_lossy(stderr).trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn asked(script: &str) -> Result<Answer, HostConfigError> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        ask(Path::new("sh"), &mut command, "").await
    }

    #[tokio::test]
    async fn who_fails_without_a_reason_has_not_looked() {
        let refused = asked("echo '{\"findings\": []}'; echo no such file >&2; exit 1").await;
        let message = refused.expect_err("it failed").to_string();
        assert!(message.contains("no such file"), "{message}");
        let said = asked("echo '{\"error\": {\"message\": \"no Kafka\"}}'; exit 2").await;
        assert_eq!(said.expect("a reason").error.expect("one").message, "no Kafka");
    }
}
