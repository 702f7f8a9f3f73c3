//! Where one ksqlDB statement ends and the next begins, and what kind of statement it is.
//!
//! The server parses; a client only has to cut a script at the semicolons that stand outside strings, quoted
//! names and comments, to remember where in the file each statement began, and to recognise the few
//! statements that go to another endpoint or nowhere at all. Pure text: knows nothing of HTTP or files.

use std::fmt;

use super::lexer::{LexemeKind, Lexer, Token, tokens};

/// A place in a script. Both numbers start at 1; a column counts characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.line, self.column)
    }
}

/// How many characters of a statement without a name of its own name it.
const TITLE: usize = 60;

/// One statement of a script, without the comments before it, with its `;`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The text that is sent.
    pub text: String,
    /// Where the text begins in the script.
    pub begins: Position,
}

/// What a client does with a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Answers with rows (`SELECT`): a streaming request.
    Query,
    /// Answers with lines of text (`PRINT`): a streaming request.
    Print,
    /// Answers with one result: everything else.
    Command,
}

/// A script cut into statements.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Script {
    /// The complete statements, in order.
    pub statements: Vec<Statement>,
    /// What follows the last `;` and is more than space and finished comments.
    pub unfinished: Option<Statement>,
}

impl Script {
    /// Cuts `source`. Every text is a script; whether its statements mean anything is for the server to say.
    pub fn parse(source: &str) -> Self {
        let mut script = Self::default();
        let mut start: Option<usize> = None;
        let mut positions = Positions::new(source);
        for lexeme in Lexer::new(source) {
            match lexeme.kind {
                LexemeKind::Space => {}
                LexemeKind::Comment if lexeme.closed => {}
                // A lone `;` is an empty statement, which ksqlDB does not have.
                LexemeKind::Semicolon if start.is_none() => {}
                LexemeKind::Semicolon => {
                    if let Some(begin) = start.take() {
                        script.statements.push(positions.statement(begin, lexeme.end));
                    }
                }
                _ => {
                    start.get_or_insert(lexeme.start);
                }
            }
        }
        script.unfinished = start.map(|begin| {
            let text_end = begin + source[begin..].trim_end().len();
            positions.statement(begin, text_end)
        });
        script
    }
}

impl Statement {
    /// The kind, told by the first word.
    pub fn kind(&self) -> Kind {
        match self.first_word().as_deref() {
            Some("SELECT") => Kind::Query,
            Some("PRINT") => Kind::Print,
            _ => Kind::Command,
        }
    }

    /// What a query reads: the names behind `FROM` and `JOIN`, and the topic of a `PRINT`.
    pub fn sources(&self) -> Vec<String> {
        let tokens = self.tokens();
        let follows = |word: &str| match self.kind() {
            Kind::Print => word.eq_ignore_ascii_case("PRINT"),
            _ => word.eq_ignore_ascii_case("FROM") || word.eq_ignore_ascii_case("JOIN"),
        };
        let pairs = tokens.iter().zip(tokens.iter().skip(1));
        let names = pairs.filter_map(|(before, name)| match (before, name) {
            (Token::Word(before), Token::Word(name) | Token::Text(name)) if follows(before) => {
                Some(name.clone())
            }
            _ => None,
        });
        names.collect()
    }

    /// Whether this word is in it, outside of quotations.
    pub fn says(&self, word: &str) -> bool {
        let is_word = |token: &Token| matches!(token, Token::Word(said) if said.eq_ignore_ascii_case(word));
        self.tokens().iter().any(is_word)
    }

    /// The statement on one line, at most `width` characters, for progress and errors.
    pub fn summary(&self, width: usize) -> String {
        let mut words = String::new();
        for lexeme in Lexer::new(&self.text) {
            match lexeme.kind {
                LexemeKind::Space | LexemeKind::Comment => {
                    if !words.is_empty() && !words.ends_with(' ') {
                        words.push(' ');
                    }
                }
                LexemeKind::Semicolon => {}
                _ => words.push_str(&self.text[lexeme.start..lexeme.end]),
            }
        }
        let words = words.trim_end();
        if words.chars().count() <= width {
            return words.to_owned();
        }
        let mut cut: String = words.chars().take(width.saturating_sub(1)).collect();
        cut.push('…');
        cut
    }

    /// What names the statement among others: of one that creates or drops something, the words up to its name.
    pub fn title(&self) -> String {
        let tokens = self.tokens();
        let words: Vec<&str> = tokens
            .iter()
            .map_while(|token| match token {
                Token::Word(word) => Some(word.as_str()),
                Token::Text(_) | Token::Symbol(_) => None,
            })
            .take_while(|word| !matches!(word.to_ascii_uppercase().as_str(), "AS" | "WITH"))
            .collect();
        match words.first().map(|word| word.to_ascii_uppercase()) {
            Some(first) if matches!(first.as_str(), "CREATE" | "DROP") && words.len() > 2 => words.join(" "),
            _ => self.summary(TITLE),
        }
    }

    /// The name of the stream or table that the statement creates, as it is written there.
    pub(super) fn created_name(&self) -> Option<&str> {
        self.created_name_span()
            .map(|(start, end)| &self.text[start..end])
    }

    /// The significant words and symbols behind the name of what the statement creates.
    pub(super) fn tokens_after_name(&self) -> Vec<Token> {
        let behind = self.created_name_span().map_or("", |(_, end)| &self.text[end..]);
        tokens(behind)
    }

    /// Where the name of what the statement creates begins and ends.
    fn created_name_span(&self) -> Option<(usize, usize)> {
        let mut lexemes = Lexer::new(&self.text)
            .filter(|lexeme| !matches!(lexeme.kind, LexemeKind::Space | LexemeKind::Comment))
            .skip_while(|lexeme| {
                let word = self.text[lexeme.start..lexeme.end].to_ascii_uppercase();
                matches!(word.as_str(), "CREATE" | "OR" | "REPLACE" | "SOURCE")
            });
        let kind = lexemes.next()?;
        let kind = self.text[kind.start..kind.end].to_ascii_uppercase();
        if self.first_word()? != "CREATE" || !matches!(kind.as_str(), "STREAM" | "TABLE") {
            return None;
        }
        let name = lexemes.find(|lexeme| {
            let word = self.text[lexeme.start..lexeme.end].to_ascii_uppercase();
            !matches!(word.as_str(), "IF" | "NOT" | "EXISTS")
        })?;
        Some((name.start, name.end))
    }

    /// Translates a position inside [`Statement::text`] into one of the script.
    pub fn position_in_script(&self, inside: Position) -> Position {
        if inside.line <= 1 {
            Position {
                line: self.begins.line,
                column: self.begins.column + inside.column.saturating_sub(1),
            }
        } else {
            Position {
                line: self.begins.line + inside.line - 1,
                column: inside.column,
            }
        }
    }

    /// The significant words and symbols, for the statements a client handles itself.
    pub(super) fn tokens(&self) -> Vec<Token> {
        tokens(&self.text)
    }

    fn first_word(&self) -> Option<String> {
        Lexer::new(&self.text)
            .find(|lexeme| !matches!(lexeme.kind, LexemeKind::Space | LexemeKind::Comment))
            .filter(|lexeme| lexeme.kind == LexemeKind::Word)
            .map(|lexeme| self.text[lexeme.start..lexeme.end].to_ascii_uppercase())
    }
}

/// The two ways in which ksqlDB's messages name a place: before the line, and before the column. The parser
/// writes `line 1:8: …`, the analyzer `Line: 1, Col: 8: …`.
const PLACES: [(&str, &str); 2] = [("line ", ":"), ("Line: ", ", Col: ")];

/// Finds where in the statement ksqlDB found the mistake.
pub fn position_in_message(message: &str) -> Option<Position> {
    message
        .char_indices()
        .find_map(|(at, _)| leading_position(&message[at..]))
        .map(|(position, _)| position)
}

/// A message of ksqlDB without the place it begins with, for when the place is told otherwise.
pub fn without_position(message: &str) -> &str {
    leading_position(message)
        .and_then(|(_, rest)| rest.strip_prefix(": "))
        .unwrap_or(message)
}

/// The place that a text begins with, and what follows it.
fn leading_position(text: &str) -> Option<(Position, &str)> {
    PLACES.iter().find_map(|(before_line, before_column)| {
        let (line, rest) = leading_number(text.strip_prefix(before_line)?)?;
        let (column, rest) = leading_number(rest.strip_prefix(before_column)?)?;
        Some((Position { line, column }, rest))
    })
}

fn leading_number(text: &str) -> Option<(usize, &str)> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number = text[..digits].parse().ok()?;
    Some((number, &text[digits..]))
}

/// Counts lines and columns once, from the front to the back.
struct Positions<'a> {
    source: &'a str,
    at: usize,
    position: Position,
}

impl<'a> Positions<'a> {
    fn new(source: &'a str) -> Self {
        Self {
            source,
            at: 0,
            position: Position { line: 1, column: 1 },
        }
    }

    fn statement(&mut self, begin: usize, end: usize) -> Statement {
        for c in self.source[self.at..begin].chars() {
            if c == '\n' {
                self.position = Position {
                    line: self.position.line + 1,
                    column: 1,
                };
            } else {
                self.position.column += 1;
            }
        }
        self.at = begin;
        Statement {
            text: self.source[begin..end].to_owned(),
            begins: self.position,
        }
    }
}

#[cfg(test)]
#[path = "statement_tests.rs"]
mod tests;
