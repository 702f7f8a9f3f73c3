//! What the extension's log says of its spool: with how many lines it was opened, and what had become of them and of the
//! later ones when the extension ended. Whether none is left in it decides whether it may be removed.

/// The books of the last extension that ran.
#[derive(Debug, Default, Clone)]
pub(super) struct SpoolLog {
    /// Lines that were there.
    found: Option<u64>,
    /// Whether as many were done as came.
    is_even: bool,
    delivered_before: u64,
    delivered: u64,
}

impl SpoolLog {
    /// Reads a line of the log.
    pub(super) fn hear(&mut self, line: &str) {
        if line.contains("the spool is open folder=") {
            self.found = count(line, "lines");
            self.is_even = false;
            self.delivered_before += std::mem::take(&mut self.delivered);
        } else if let Some((_, books)) = line.split_once(" ended; lines: ") {
            let of = |name| count(books, name).unwrap_or_default();
            let done = of("delivered") + of("dead_lettered") + of("given_up") + of("damaged");
            self.delivered = of("delivered");
            self.is_even = self.found.is_some_and(|found| found + of("accepted") == done);
        }
    }

    /// Whether every line that was accepted has arrived. Of an extension that did not say how it ended nothing is known.
    pub(super) fn is_empty(&self) -> bool {
        self.is_even
    }

    /// How many have arrived.
    pub(super) fn delivered(&self) -> u64 {
        self.delivered_before + self.delivered
    }
}

/// The number behind `name=`.
fn count(text: &str, name: &str) -> Option<u64> {
    text.split_whitespace()
        .find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: &str =
        "2026-11-29T15:47:04.1Z  INFO the spool is open folder=/p/attached/spool lines=2 bytes=210";
    const ENDED: &str = "2026-11-29T15:47:08.2Z  INFO ended; lines: lines=34 rows=0 accepted=34 not_accepted=0 \
                         delivered=36 dead_lettered=0 dropped=0 given_up=0 damaged=0 lost=0 unroutable=0";

    fn heard(lines: &[&str]) -> SpoolLog {
        let mut log = SpoolLog::default();
        lines.iter().for_each(|line| log.hear(line));
        log
    }

    #[test]
    fn a_spool_is_empty_when_what_was_there_and_what_came_is_done() {
        let log = heard(&[OPEN, "something else", ENDED]);
        assert!(log.is_empty());
        assert_eq!(log.delivered(), 36);
        assert!(!heard(&[OPEN, &ENDED.replace("delivered=36", "delivered=35")]).is_empty());
        let dead = ENDED.replace("delivered=36 dead_lettered=0", "delivered=35 dead_lettered=1");
        assert!(heard(&[OPEN, &dead]).is_empty());
    }

    #[test]
    fn what_is_not_said_is_not_believed() {
        assert!(!heard(&[]).is_empty());
        assert!(!heard(&[OPEN]).is_empty(), "it was killed");
        assert!(!heard(&[ENDED]).is_empty(), "nobody knows what was there");
        assert!(
            !heard(&[OPEN, ENDED, OPEN]).is_empty(),
            "started anew, and killed"
        );
        assert_eq!(heard(&[OPEN, ENDED, OPEN, ENDED]).delivered(), 72);
    }
}
