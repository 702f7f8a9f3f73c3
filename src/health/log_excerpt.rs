//! The lines of a service's log that matter when it failed: few, of this run, the complaints first.

/// How many of the last lines are shown.
const LAST_LINES: usize = 10;

/// How many complaints from before the last lines are shown.
const EARLIER_COMPLAINTS: usize = 5;

/// The longest line that is shown, in characters.
const LONGEST_LINE: usize = 300;

/// The lines of the end of a log that matter, at most 15.
pub fn excerpt(text: &str) -> Vec<String> {
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
        let lines = excerpt(&text);
        assert_eq!(lines.len(), 11);
        assert_eq!(lines.first().map(String::as_str), Some("ERROR the disk is full"));
        assert_eq!(lines.last().map(String::as_str), Some("line 19"));
    }

    proptest! {
        #[test]
        fn an_excerpt_is_bounded(text in "(\\PC{0,40}\n){0,60}") {
            prop_assert!(excerpt(&text).len() <= LAST_LINES + EARLIER_COMPLAINTS);
        }
    }
}
