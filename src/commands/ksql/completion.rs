//! What the prompt knows while a statement is typed: whether it is finished, and what a word may become.

use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use super::pieces::Command;
use crate::ksqldb::statement::Script;

/// The words that statements are made of. Not a grammar: a help for the fingers.
const KEYWORDS: &[&str] = &[
    "AND",
    "AS",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "CHANGES",
    "CREATE",
    "DEFINE",
    "DELETE",
    "DESCRIBE",
    "DROP",
    "EMIT",
    "EXISTS",
    "EXPLAIN",
    "EXTENDED",
    "FROM",
    "FULL",
    "FUNCTIONS",
    "GRACE",
    "GROUP",
    "HAVING",
    "HOURS",
    "INNER",
    "INSERT",
    "INTO",
    "JOIN",
    "LEFT",
    "LIKE",
    "LIMIT",
    "LIST",
    "MINUTES",
    "NOT",
    "NULL",
    "OUTER",
    "PARTITION",
    "PAUSE",
    "PERIOD",
    "PRINT",
    "PROPERTIES",
    "QUERIES",
    "RESUME",
    "SECONDS",
    "SELECT",
    "SET",
    "SHOW",
    "STREAM",
    "STREAMS",
    "TABLE",
    "TABLES",
    "TERMINATE",
    "TOPIC",
    "TOPICS",
    "UNDEFINE",
    "UNSET",
    "VALUES",
    "VARIABLES",
    "WHERE",
    "WITH",
    "WITHIN",
];

/// The helper of the line editor.
#[derive(Debug, Default)]
pub(super) struct StatementHelper {
    /// The streams, tables and queries there are.
    pub(super) names: Vec<String>,
}

impl StatementHelper {
    /// The words that `typed` may become.
    fn candidates(&self, typed: &str) -> Vec<String> {
        if typed.is_empty() {
            return Vec::new();
        }
        let is_lower = typed.chars().all(|c| !c.is_uppercase());
        let typed = typed.to_uppercase();
        let words = KEYWORDS
            .iter()
            .copied()
            .chain(self.names.iter().map(String::as_str));
        let mut candidates: Vec<String> = words
            .filter(|word| word.to_uppercase().starts_with(&typed))
            .map(|word| {
                if is_lower {
                    word.to_lowercase()
                } else {
                    word.to_owned()
                }
            })
            .collect();
        candidates.sort();
        candidates.dedup();
        candidates
    }
}

/// Whether what was typed can be run: whole statements, or a command to the prompt.
pub(super) fn is_finished(input: &str) -> bool {
    input.trim().is_empty() || Command::read(input).is_some() || Script::parse(input).unfinished.is_none()
}

impl Completer for StatementHelper {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = &line[..position];
        let start = before
            .rfind(|c: char| !c.is_alphanumeric() && c != '_')
            .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        let pairs = self
            .candidates(&before[start..])
            .into_iter()
            .map(|word| Pair {
                display: word.clone(),
                replacement: word,
            })
            .collect();
        Ok((start, pairs))
    }
}

/// Lines are asked for one by one, each with its prompt.
impl Validator for StatementHelper {}

impl Hinter for StatementHelper {
    type Hint = String;
}

impl Highlighter for StatementHelper {}

impl Helper for StatementHelper {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_complete_in_the_case_they_are_typed_in() {
        let helper = StatementHelper {
            names: ["PROC", "PROCESSES", "CSAS_PROC_4"].map(str::to_owned).to_vec(),
        };
        assert_eq!(helper.candidates("proc"), ["proc", "processes"]);
        assert_eq!(helper.candidates("CSAS"), ["CSAS_PROC_4"]);
        assert_eq!(helper.candidates("STRE"), ["STREAM", "STREAMS"]);
        assert!(helper.candidates("").is_empty());
    }

    #[test]
    fn a_statement_goes_on_until_its_semicolon() {
        for finished in [
            "",
            "  ",
            "LIST STREAMS;",
            "EXIT",
            "quit ",
            "LIST STREAMS; -- all",
            "spool off",
        ] {
            assert!(is_finished(finished), "{finished}");
        }
        for unfinished in ["LIST", "LIST STREAMS; SELECT", "SELECT ';", "/* what"] {
            assert!(!is_finished(unfinished), "{unfinished}");
        }
    }
}
