//! What `osqdemo bundle` writes: files for a report of a failure, and a README that says what each is and what is
//! missing. Whatever goes in is redacted on the way: there is no other way in. Knows nothing of where it comes from.

mod redaction;

use std::io;

use serde_json::Value;

use crate::tar::TarArchive;

pub use redaction::{REDACTED, redacted, redacted_json};

/// The folder of everything in the archive.
const FOLDER: &str = "osqdemo-bundle";

/// The files of a report.
#[derive(Debug, Default)]
pub struct Bundle {
    files: Vec<File>,
    missing: Vec<Missing>,
}

#[derive(Debug)]
struct File {
    name: String,
    what: String,
    text: String,
}

/// Something that the report has to do without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The file that is not there.
    pub name: String,
    /// Why.
    pub reason: String,
}

impl Bundle {
    /// Adds a text, without its secrets. `what` is what the README says about it.
    pub fn add_text(&mut self, name: &str, what: &str, text: &str) {
        self.add(name, what, redacted(text));
    }

    /// Adds a document, without its secrets.
    pub fn add_json(&mut self, name: &str, what: &str, document: Value) {
        // The alternate form is the indented one.
        self.add(name, what, format!("{:#}\n", redacted_json(document)));
    }

    /// Notes that a file is missing.
    pub fn miss(&mut self, name: &str, reason: &str) {
        self.missing.push(Missing {
            name: name.to_owned(),
            reason: redacted(reason),
        });
    }

    /// What is missing so far.
    pub fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// The archive, its README first. `title` is the first line of the README, and `made_at` the time of all files in
    /// seconds after the epoch.
    ///
    /// # Errors
    /// When the name of a file cannot be one in an archive.
    pub fn archive(&self, title: &str, made_at: u64) -> io::Result<Vec<u8>> {
        let mut archive = TarArchive::default();
        let readme = redacted(&self.readme(title));
        archive.append(&format!("{FOLDER}/README.md"), 0o644, made_at, readme.as_bytes());
        for file in &self.files {
            let name = format!("{FOLDER}/{}", file.name);
            archive.append(&name, 0o644, made_at, file.text.as_bytes());
        }
        archive.finish()
    }

    fn add(&mut self, name: &str, what: &str, text: String) {
        self.files.push(File {
            name: name.to_owned(),
            what: what.to_owned(),
            text,
        });
    }

    fn readme(&self, title: &str) -> String {
        let mut readme = format!(
            "# {title}\n\n\
             What looked like a secret reads `{REDACTED}`. No program can tell all of them: look through the files \
             before you hand them on.\n\n\
             | file | what it is |\n|---|---|\n"
        );
        for file in &self.files {
            readme.push_str(&format!("| `{}` | {} |\n", file.name, file.what));
        }
        if !self.missing.is_empty() {
            readme.push_str("\nMissing:\n\n");
            for Missing { name, reason } in &self.missing {
                readme.push_str(&format!("- `{name}`: {reason}\n"));
            }
        }
        readme
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_goes_in_unredacted() {
        let mut bundle = Bundle::default();
        bundle.add_text(
            "logs/broker.log",
            "the log of broker",
            "ssl.key.password=planted1\n",
        );
        bundle.add_json(
            "a.json",
            "a document",
            json!({ "token": "planted2", "port": 9092 }),
        );
        bundle.miss("b.json", "failed to ask http://jay:planted3@localhost");
        let archive = bundle.archive("a title", 1_700_000_000).expect("an archive");
        let text = String::from_utf8_lossy(&archive);
        assert!(!text.contains("planted"), "{text}");
        for kept in [
            "# a title",
            "look through the files before you hand them on.",
            "| `logs/broker.log` | the log of broker |",
            "9092",
            "- `b.json`: failed to ask http://[redacted]@localhost",
        ] {
            assert!(text.contains(kept), "`{kept}` is lost: {text}");
        }
    }
}
