//! What the runs of a project did, in a file of its folder: one JSON object a line, appended as it happens, so that it
//! is there however a run ended. For the one who investigates later, and for `osqdemo bundle`. Bounded, without
//! secrets, and never a reason for a run to fail.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

use jiff::Timestamp;

use crate::bundle::redacted_json;
use crate::events::{Change, Event, Line, Run, Step};
use crate::exit_code::ExitCode;
use crate::state::ProjectFolder;

/// The size at which the file becomes the earlier one, in bytes. One earlier file is kept.
const LARGEST_FILE: u64 = 1 << 20;

/// The file of one run of a verb.
pub(super) struct Journal {
    folder: ProjectFolder,
    verb: &'static str,
    /// Whole lines of a project that does not exist yet: a run that never makes one leaves nothing behind.
    waiting: Vec<u8>,
}

impl Journal {
    /// The file for a run of `verb` that begins now.
    pub(super) fn begin(folder: ProjectFolder, verb: &'static str, arguments: &[String]) -> Self {
        let mut journal = Self {
            folder,
            verb,
            waiting: Vec::new(),
        };
        journal.append(&Event::Began {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            arguments: arguments.to_vec(),
        });
        journal
    }

    pub(super) fn event(&mut self, event: &Event) {
        // How far an image is changes all the time; the rest would be lost among it.
        let is_noise = match event {
            Event::StepProgress { step, .. } => matches!(step, Step::Image(_) | Step::Archive(_)),
            Event::PartProgress { news, .. } => news.change == Change::Bytes,
            _ => false,
        };
        if !is_noise {
            self.append(event);
        }
    }

    pub(super) fn end(mut self, code: ExitCode) {
        self.append(&Event::Ended {
            exit_code: code as u8,
        });
    }

    fn append(&mut self, event: &Event) {
        let run = Run {
            verb: self.verb.to_owned(),
            process: std::process::id(),
        };
        let line = Line::at(Timestamp::now(), Some(run), event.clone());
        let Ok(document) = serde_json::to_value(line) else {
            return;
        };
        let text = format!("{}\n", redacted_json(document));
        let size = (self.waiting.len() + text.len()) as u64;
        if size <= LARGEST_FILE {
            self.waiting.extend_from_slice(text.as_bytes());
        }
        // Nothing is written into another user's project; why, the verb tells.
        if self.folder.is_project() && self.folder.check_owner().is_ok() {
            // What cannot be written now will not be written later either.
            let _ = self.write();
            self.waiting.clear();
        }
    }

    /// The file is opened each time: another run may have made it the earlier one, or removed it with its project.
    fn write(&self) -> io::Result<()> {
        let path = self.folder.events_file();
        let size = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        if size > 0 && size + self.waiting.len() as u64 > LARGEST_FILE {
            fs::rename(&path, self.folder.earlier_events_file())?;
        }
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)?
            .write_all(&self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::events::{Ending, News, Note, Outcome, Step};
    use crate::stack::project::ProjectName;
    use crate::stack::{ImageRef, ServiceName};

    fn project(home: &Path) -> ProjectFolder {
        ProjectFolder::new(home, &ProjectName::default())
    }

    fn make(folder: &ProjectFolder) {
        folder.create().expect("a folder");
        fs::write(folder.remembered_file(), "{}").expect("a file");
    }

    fn lines(path: &Path) -> Vec<Value> {
        let text = fs::read_to_string(path).expect("the events");
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).expect("a JSON object"))
            .collect()
    }

    fn note(text: &str) -> Event {
        Event::Note(Note::QueryEnded {
            message: text.to_owned(),
        })
    }

    #[test]
    fn what_happened_before_there_was_a_project_is_told_once_there_is() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = project(home.path());
        let arguments = [
            "up".to_owned(),
            "--registry".to_owned(),
            "https://a:b@c".to_owned(),
        ];
        let mut journal = Journal::begin(folder.clone(), "up", &arguments);
        journal.event(&note("before"));
        assert!(
            !folder.root().exists(),
            "a run that makes no project leaves nothing"
        );
        make(&folder);
        journal.event(&Event::StepFinished {
            step: Step::service(&ServiceName::new("broker")),
            outcome: Outcome::Done,
            ending: Ending::Healthy,
            elapsed: Duration::from_millis(7),
        });
        journal.end(ExitCode::Start);
        let lines = lines(&folder.events_file());
        let events: Vec<&str> = lines.iter().filter_map(|line| line["event"].as_str()).collect();
        assert_eq!(events, ["began", "note", "step_finished", "ended"]);
        assert_eq!(
            lines[0]["arguments"],
            json!(["up", "--registry", "https://[redacted]@c"])
        );
        assert_eq!(lines[2]["step"]["name"], "broker");
        assert_eq!(lines[3]["exit_code"], 13);
        for line in &lines {
            assert_eq!(line["schema_version"], 2);
            assert_eq!(line["verb"], "up");
            assert_eq!(line["process"], std::process::id());
            let time = line["time"].as_str().expect("a time");
            time.parse::<jiff::Timestamp>().expect("RFC 3339");
        }
    }

    #[test]
    fn nothing_comes_back_once_the_project_is_gone() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = project(home.path());
        make(&folder);
        let mut journal = Journal::begin(folder.clone(), "down", &[]);
        journal.event(&note("stopping"));
        folder.remove().expect("it is removed");
        journal.event(&note("it is gone"));
        journal.end(ExitCode::Ok);
        assert!(!folder.root().exists());
    }

    #[test]
    fn it_stays_small_and_the_progress_of_images_stays_out() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = project(home.path());
        make(&folder);
        let mut journal = Journal::begin(folder.clone(), "up", &[]);
        journal.event(&Event::StepProgress {
            step: Step::image(&ImageRef::new("debian")),
            news: News::Queued,
        });
        assert_eq!(lines(&folder.events_file()).len(), 1);
        let long = "x".repeat(64 * 1024);
        for _ in 0..40 {
            journal.event(&note(&long));
        }
        journal.event(&note("the last"));
        for path in [folder.events_file(), folder.earlier_events_file()] {
            let size = fs::metadata(&path).expect("a file").len();
            assert!((1..=LARGEST_FILE).contains(&size), "{size}");
        }
        let last = lines(&folder.events_file()).pop().expect("a line");
        assert_eq!(last["message"], "the last");
    }

    #[test]
    fn a_file_that_cannot_be_written_ends_nothing() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = project(home.path());
        make(&folder);
        fs::create_dir(folder.events_file()).expect("a folder in its place");
        let mut journal = Journal::begin(folder, "up", &[]);
        journal.event(&note("on we go"));
        journal.end(ExitCode::Ok);
    }
}
