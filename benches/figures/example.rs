//! The crates' own examples, which measure what has no door to the outside.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;

/// What an example prints, a JSON object a line.
pub(crate) fn run<T: DeserializeOwned>(example: &str, arguments: &[&str]) -> Result<Vec<T>> {
    let folder = Path::new(env!("CARGO_BIN_EXE_osqdemo"))
        .parent()
        .context("the binary lies in no folder")?;
    let program = folder.join("examples").join(example);
    let output = Command::new(&program)
        .args(arguments)
        .output()
        .with_context(|| format!("failed to run `{}`", program.display()))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed: {text}", program.display());
    }
    let lines = String::from_utf8_lossy(&output.stdout);
    lines
        .lines()
        .map(|line| Ok(serde_json::from_str(line)?))
        .collect()
}
