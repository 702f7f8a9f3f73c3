//! The same on the Docker engine, and what making images takes. The images have a tag of their own and are removed in
//! the end; the base image stays.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::figure::{Figure, Report, tell};
use crate::orchestration;
use crate::stack::{BenchStack, Engine, OSQDEMO, name};

/// The images that are made.
const REPOSITORIES: [&str; 2] = ["osqdemo/platform", "osqdemo/host-agent"];

/// The programs of an installation.
const PROGRAMS: [&str; 3] = ["osqdemo", "confluent-ext", "osqdemo-agent"];

/// Orchestration, then the images. Skipped, loudly, where no engine answers.
pub(crate) fn measure(runs: usize, report: &mut Report) -> Result<()> {
    let version = Command::new("docker")
        .args(["version", "--format", "{{.Server.Version}}"])
        .output();
    if !version.is_ok_and(|output| output.status.success()) {
        tell("*** SKIPPED: no Docker engine answers; the figures of the Docker engine are missing ***");
        return Ok(());
    }
    let _images = Images;
    let builder = BenchStack::new(Engine::Docker)?;
    builder.run(&["build", "--osqueryd", "builtin"])?;
    orchestration::measure(Engine::Docker, runs, report)?;
    let mut rebuilt = Vec::new();
    let folder = tempfile::tempdir()?;
    let (osqdemo, extension) = install(folder.path())?;
    for _ in 0..runs {
        // Another build of the extension: the same, and a byte longer.
        OpenOptions::new()
            .append(true)
            .open(&extension)?
            .write_all(b"\n")?;
        let elapsed = builder
            .run_program(&osqdemo, &["build", "--osqueryd", "builtin"])?
            .1;
        rebuilt.push(elapsed.as_secs_f64());
    }
    report.add(Figure::new("docker: hosts' image made anew, its base unchanged", "s", rebuilt).at_most(5.0));
    Ok(())
}

/// Copies the programs into a folder, to be changed there. Returns the binary and the extension.
fn install(folder: &Path) -> Result<(PathBuf, PathBuf)> {
    let installed = Path::new(OSQDEMO)
        .parent()
        .context("the binary lies in no folder")?;
    for program in PROGRAMS {
        let path = installed.join(program);
        fs::copy(&path, folder.join(program))
            .with_context(|| format!("failed to copy `{}`", path.display()))?;
    }
    Ok((folder.join("osqdemo"), folder.join("confluent-ext")))
}

/// Removes the images at the end of the measurement.
struct Images;

impl Drop for Images {
    fn drop(&mut self) {
        for repository in REPOSITORIES {
            let image = format!("{repository}:{}", name());
            // One that was not made is not there.
            let _ = Command::new("docker").args(["image", "rm", &image]).output();
        }
    }
}
