//! The lines of a service's log that matter when it failed: few, of this run, the complaints first.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use crate::engine::ServiceLog;

/// How much of the end of a log is looked at, in bytes.
const WINDOW: u64 = 64 * 1024;

/// How many of the last lines are shown.
const LAST_LINES: usize = 10;

/// How many complaints from before the last lines are shown.
const EARLIER_COMPLAINTS: usize = 5;

/// The longest line that is shown, in characters.
const LONGEST_LINE: usize = 300;

/// The lines of the current run that matter, at most 15; none when there is no log.
pub fn excerpt(log: &ServiceLog) -> Vec<String> {
    read_window(log).map_or_else(|_| Vec::new(), |text| select(&text))
}

fn read_window(log: &ServiceLog) -> io::Result<String> {
    let mut file = File::open(&log.path)?;
    let size = file.metadata()?.len();
    // A log that was rotated is shorter than where the run began in it.
    let run_starts_at = if log.run_starts_at > size {
        0
    } else {
        log.run_starts_at
    };
    file.seek(SeekFrom::Start(run_starts_at.max(size.saturating_sub(WINDOW))))?;
    let mut bytes = Vec::new();
    file.take(WINDOW).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn select(text: &str) -> Vec<String> {
    let lines: Vec<String> = text
        .lines()
        .map(shown)
        .filter(|line| !line.trim().is_empty())
        .collect();
    let (earlier, last) = lines.split_at(lines.len().saturating_sub(LAST_LINES));
    let complaints: Vec<&String> = earlier.iter().filter(|line| is_complaint(line)).collect();
    let complaints = complaints
        .iter()
        .rev()
        .take(EARLIER_COMPLAINTS)
        .rev()
        .map(|line| (*line).clone());
    complaints.chain(last.iter().cloned()).collect()
}

fn is_complaint(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    ["error", "warn", "fatal", "panic", "failed", "denied", "cannot"]
        .iter()
        .any(|word| line.contains(word))
}

/// A line without escape sequences and not longer than is good to read.
fn shown(line: &str) -> String {
    let mut text = String::new();
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            // A control sequence ends with a letter.
            for character in characters.by_ref() {
                if character.is_ascii_alphabetic() {
                    break;
                }
            }
        } else if !character.is_control() || character == '\t' {
            text.push(character);
        }
    }
    if text.chars().count() > LONGEST_LINE {
        text = text.chars().take(LONGEST_LINE).chain(['…']).collect();
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn complaints_come_before_the_last_lines() {
        let mut text = String::from("starting\n\u{1b}[31mERROR\u{1b}[0m the disk is full\n");
        for number in 0..20 {
            text.push_str(&format!("line {number}\n"));
        }
        let lines = select(&text);
        assert_eq!(lines.len(), 11);
        assert_eq!(lines.first().map(String::as_str), Some("ERROR the disk is full"));
        assert_eq!(lines.last().map(String::as_str), Some("line 19"));
    }

    proptest! {
        #[test]
        fn an_excerpt_is_bounded(text in "(\\PC{0,40}\n){0,60}") {
            prop_assert!(select(&text).len() <= LAST_LINES + EARLIER_COMPLAINTS);
        }
    }
}
