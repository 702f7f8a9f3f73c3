//! A script cut into what it consists of: statements of ksqlDB, and commands to whoever reads the script, as ksqlDB's own
//! command line has them. A command stands where a statement could begin, and ends with its line or a `;`. Pure.

use std::path::PathBuf;

use crate::ksqldb::statement::{Position, Script, Statement};

/// A part of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// For the server.
    Statement(Statement),
    /// For us.
    Command {
        /// What to do.
        command: Command,
        /// Where it stands.
        begins: Position,
    },
}

/// What is for us and not for the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// Leave the prompt, or end the script.
    Exit,
    /// What can be typed.
    Help,
    /// What was typed.
    History,
    /// An empty screen.
    Clear,
    /// The versions of both sides.
    Version,
    /// The address of the server, or another one from now on.
    Server(Option<String>),
    /// How results are shown, or what the choices are.
    Output(Option<String>),
    /// Everything that is shown goes into this file as well; `None` ends that.
    Spool(Option<PathBuf>),
    /// A setting of how rows are shown.
    SetCli {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// The statements of another file.
    RunScript(PathBuf),
}

/// Text that belongs to no statement and no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unfinished {
    /// Where it begins.
    pub(super) begins: Position,
}

/// The words that the prompt understands in the midst of a statement, too.
pub(super) const AT_ANY_TIME: [&str; 4] = ["exit", "quit", "help", "history"];

impl Command {
    /// Reads a line; `None` when it is none, and a part of a statement.
    pub(super) fn read(line: &str) -> Option<Self> {
        let line = line.trim();
        let line = line.strip_suffix(';').unwrap_or(line).trim_end();
        let mut words = line.split_whitespace();
        let first = words.next()?.to_ascii_uppercase();
        let rest: Vec<&str> = words.collect();
        let one = || match rest.as_slice() {
            [] => Some(None),
            [one] => Some(Some(unquoted(one))),
            _ => None,
        };
        match (first.as_str(), rest.as_slice()) {
            ("EXIT" | "QUIT", []) => Some(Self::Exit),
            ("HELP", []) => Some(Self::Help),
            ("HISTORY", []) => Some(Self::History),
            ("CLEAR", []) => Some(Self::Clear),
            ("VERSION", []) => Some(Self::Version),
            ("SERVER", _) => Some(Self::Server(one()?)),
            ("OUTPUT", _) => Some(Self::Output(one()?)),
            ("SPOOL", [off]) if off.eq_ignore_ascii_case("OFF") => Some(Self::Spool(None)),
            ("SPOOL", [_, ..]) => Some(Self::Spool(Some(unquoted(behind(line, 1)?).into()))),
            ("SET", [cli, name, value]) if cli.eq_ignore_ascii_case("CLI") => Some(Self::SetCli {
                name: name.to_ascii_uppercase(),
                value: unquoted(value),
            }),
            ("RUN", [script, _, ..]) if script.eq_ignore_ascii_case("SCRIPT") => {
                Some(Self::RunScript(unquoted(behind(line, 2)?).into()))
            }
            _ => None,
        }
    }
}

/// What stands behind this many words.
fn behind(line: &str, words: usize) -> Option<&str> {
    let mut rest = line;
    for _ in 0..words {
        rest = rest.trim_start().split_once(char::is_whitespace)?.1;
    }
    Some(rest.trim())
}

/// Without the quotes around it, if there are some.
fn unquoted(text: &str) -> String {
    let quotes = ['\'', '"'];
    let inside = quotes
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote));
    inside.unwrap_or(text).to_owned()
}

/// Cuts a script. The last statement needs no `;`.
///
/// # Errors
/// When a quotation or a comment of the last statement has no end.
pub(super) fn cut(source: &str) -> Result<Vec<Piece>, Unfinished> {
    let mut pieces = Vec::new();
    // Where the statements begin that were not cut yet.
    let mut chunk = Place {
        at: 0,
        line: 1,
        column: 1,
    };
    let mut here = chunk;
    for part in source.split_inclusive('\n').flat_map(parts) {
        let is_free = || Script::parse(&source[chunk.at..here.at]).unfinished.is_none();
        let next = here.behind(part);
        if let Some(command) = Command::read(part).filter(|_| is_free()) {
            statements(&source[chunk.at..here.at], chunk, &mut pieces)?;
            let begins = Position {
                line: here.line,
                column: here.column + part.chars().take_while(|c| c.is_whitespace()).count(),
            };
            pieces.push(Piece::Command { command, begins });
            chunk = next;
        }
        here = next;
    }
    statements(&source[chunk.at..], chunk, &mut pieces)?;
    Ok(pieces)
}

/// A place in a script.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// In bytes.
    at: usize,
    line: usize,
    column: usize,
}

impl Place {
    /// The place behind this part of a line.
    fn behind(self, part: &str) -> Self {
        let at = self.at + part.len();
        if part.ends_with('\n') {
            let line = self.line + 1;
            Self { at, line, column: 1 }
        } else {
            let column = self.column + part.chars().count();
            Self { at, column, ..self }
        }
    }
}

/// A line cut behind every `;` that ends something: a command ends there, too. What follows the last one stays with it
/// when it is only white space.
fn parts(line: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut begins, mut quote) = (0, None);
    for (at, character) in line.char_indices() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"' | '`') => quote = Some(character),
            (None, '-') if line[at..].starts_with("--") => break,
            (None, ';') if !line[at + 1..].trim().is_empty() => {
                parts.push(&line[begins..=at]);
                begins = at + 1;
            }
            (None, _) => {}
        }
    }
    parts.push(&line[begins..]);
    parts
}

/// The statements of a part that begins here.
fn statements(part: &str, from: Place, pieces: &mut Vec<Piece>) -> Result<(), Unfinished> {
    let at = |position: Position| Position {
        line: position.line + from.line - 1,
        column: match position.line {
            1 => position.column + from.column - 1,
            _ => position.column,
        },
    };
    let script = Script::parse(part);
    let script = match script.unfinished {
        None => script,
        // At a shell the statement ends where the text does; a comment at its end must not take the `;` in.
        Some(rest) => {
            let script = Script::parse(&format!("{part}\n;"));
            if script.unfinished.is_some() {
                return Err(Unfinished {
                    begins: at(rest.begins),
                });
            }
            script
        }
    };
    pieces.extend(script.statements.into_iter().map(|statement| {
        Piece::Statement(Statement {
            begins: at(statement.begins),
            ..statement
        })
    }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(source: &str) -> Vec<String> {
        let pieces = cut(source).expect("a script");
        let pieces = pieces.iter().map(|piece| match piece {
            Piece::Statement(statement) => format!("{}: {}", statement.begins, statement.text),
            Piece::Command { command, begins } => format!("{begins}: {command:?}"),
        });
        pieces.collect()
    }

    #[test]
    fn a_script_as_people_pipe_it() {
        assert_eq!(
            shown("SET CLI COLUMN-WIDTH 10\nSHOW STREAMS;\n  exit\n"),
            [
                "1:1: SetCli { name: \"COLUMN-WIDTH\", value: \"10\" }",
                "2:1: SHOW STREAMS;",
                "3:3: Exit"
            ]
        );
        assert_eq!(
            shown("spool '/tmp/a b';\nrun script 'x y.sql';\nserver http://h:1/;\noutput json;\nspool off"),
            [
                "1:1: Spool(Some(\"/tmp/a b\"))",
                "2:1: RunScript(\"x y.sql\")",
                "3:1: Server(Some(\"http://h:1/\"))",
                "4:1: Output(Some(\"json\"))",
                "5:1: Spool(None)"
            ]
        );
    }

    #[test]
    fn a_command_ends_with_its_semicolon() {
        assert_eq!(
            shown("spool 'a;b'; show streams; spool off; exit"),
            [
                "1:1: Spool(Some(\"a;b\"))",
                "1:14: show streams;",
                "1:28: Spool(None)",
                "1:39: Exit"
            ]
        );
        assert_eq!(
            shown("output json; select ';\nexit; ' -- ; exit\nfrom x; run script y"),
            [
                "1:1: Output(Some(\"json\"))",
                "1:14: select ';\nexit; ' -- ; exit\nfrom x;",
                "3:9: RunScript(\"y\")"
            ]
        );
    }

    #[test]
    fn the_same_words_within_a_statement_are_its_own() {
        assert_eq!(
            shown("SELECT\nversion\nFROM help\n;\nSET 'cli'='x';"),
            ["1:1: SELECT\nversion\nFROM help\n;", "5:1: SET 'cli'='x';"]
        );
        assert_eq!(shown("SELECT '\nexit\n';"), ["1:1: SELECT '\nexit\n';"]);
    }

    #[test]
    fn the_last_statement_needs_no_end() {
        assert_eq!(
            shown("LIST STREAMS; LIST TABLES -- all"),
            ["1:1: LIST STREAMS;", "1:15: LIST TABLES -- all\n;"]
        );
        let unfinished = cut("exit\nSELECT 'a").expect_err("a quotation without an end");
        assert_eq!(unfinished.begins, Position { line: 2, column: 1 });
    }

    proptest! {
        #[test]
        fn any_text_is_cut_or_refused(source in "(exit|SET CLI|[;'a \n-]){0,30}") {
            let _ = cut(&source);
        }
    }
}
