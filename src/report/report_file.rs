//! Report files: asked for before a run, so that a run is not in vain, and written after it.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use quick_junit::SerializeError;
use serde::Serialize;

use super::junit::chaos_junit;
use super::junit::scenario_junit;
use crate::chaos::report::ChaosReport;
use crate::scenario::error::ScenarioError;
use crate::scenario::outcome::ScenarioReport;
use crate::settings::{ReportFormat, ReportTarget};

/// A file that is open for a report.
#[derive(Debug)]
pub struct ReportFile {
    format: ReportFormat,
    path: PathBuf,
    file: File,
}

impl ReportFile {
    /// Opens the file. What it holds stays until the report is written.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn open(target: ReportTarget) -> Result<Self, ScenarioError> {
        let ReportTarget { format, path } = target;
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|source| not_writable(&path, source))?;
        Ok(Self { format, path, file })
    }

    /// Writes the report in place of what the file holds.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(self, report: &ScenarioReport) -> Result<(), ScenarioError> {
        self.write_as(report, || scenario_junit(report))
    }

    /// The same with the report of `osqdemo chaos`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_chaos(self, report: &ChaosReport) -> Result<(), ScenarioError> {
        self.write_as(report, || chaos_junit(report))
    }

    fn write_as(
        mut self,
        report: &impl Serialize,
        junit: impl FnOnce() -> Result<String, SerializeError>,
    ) -> Result<(), ScenarioError> {
        let text = match self.format {
            ReportFormat::Json => serde_json::to_string_pretty(report)
                .map(|text| text + "\n")
                .map_err(io::Error::other),
            ReportFormat::Junit => junit().map_err(io::Error::other),
        };
        let write = || {
            let text = text?;
            // Devices and pipes have no beginning to go back to.
            if self.file.metadata()?.is_file() {
                self.file.set_len(0)?;
                self.file.rewind()?;
            }
            self.file.write_all(text.as_bytes())?;
            self.file.flush()
        };
        write().map_err(|source| not_writable(&self.path, source))
    }
}

fn not_writable(path: &Path, source: io::Error) -> ScenarioError {
    ScenarioError::ReportNotWritable {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::super::scenario_text::tests::passed;
    use super::*;
    use crate::error::Diagnose;
    use crate::exit_code::ExitCode;

    fn target(format: ReportFormat, path: &Path) -> ReportTarget {
        ReportTarget {
            format,
            path: path.to_owned(),
        }
    }

    #[test]
    fn a_report_replaces_what_the_file_held() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        std::fs::write(&path, "x".repeat(100_000)).unwrap();
        let file = ReportFile::open(target(ReportFormat::Json, &path)).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 100_000);
        file.write(&passed()).unwrap();
        let written: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(written["verdict"], "passed");
        assert_eq!(written["rows"][0]["proc"], "/usr/bin/head");
    }

    #[test]
    fn what_cannot_be_written_is_told_before_the_run() {
        let nowhere = target(ReportFormat::Junit, Path::new("/nowhere/report.xml"));
        let error = ReportFile::open(nowhere).unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::Usage);
        insta::assert_snapshot!(error.to_string(), @"failed to write the report `/nowhere/report.xml`: No such file or directory (os error 2)");
    }
}
