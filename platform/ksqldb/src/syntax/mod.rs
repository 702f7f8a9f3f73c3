//! ksqlDB's SQL: text to tree and back. Knows nothing of types' meaning, sources or functions.
//!
//! [`parse`] reads a script; [`split`] only cuts it into statements, which is what a caller needs
//! that substitutes session variables ([`variables`]) between one statement and the next.
//! [`format_statement`] gives the canonical text of a tree, and `parse` reads that text back to the
//! same tree. [`same_definition`] tells whether a server wrote down what was submitted to it.

pub mod ast;
mod children;
mod duration;
mod error;
mod format;
mod lexer;
mod masked;
mod parser;
#[cfg(test)]
mod round_trip;
mod same;
mod token;
pub mod variables;

pub use error::{SyntaxError, SyntaxFault};
pub use format::{format_expression, format_identifier, format_statement, format_type};
pub(crate) use masked::without_settings;
pub use parser::{NamedTypes, parse, parse_expression, parse_statement, parse_statement_with, parse_type};
pub use same::same_definition;

use ast::Position;
use token::TokenKind;

/// One statement's text, not parsed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawStatement<'text> {
    /// The statement with its `;`, without what surrounds it.
    pub text: &'text str,
    /// Where it begins in the whole text.
    pub position: Position,
}

/// Cuts a script into statements at the `;` that stand outside strings, quoted names and comments.
pub fn split(text: &str) -> Result<Vec<RawStatement<'_>>, SyntaxError> {
    let tokens = lexer::tokenize(text, Position { line: 1, column: 1 })?;
    let mut statements = Vec::new();
    let mut first = None;
    for token in &tokens {
        match (token.kind, first) {
            (TokenKind::End, None) => {}
            // ksqlDB has no empty statement; the parser says so.
            (TokenKind::Semicolon, None) => statements.push(RawStatement {
                text: &text[token.start..token.end()],
                position: token.position,
            }),
            (TokenKind::End, Some((start, _))) => {
                return Err(SyntaxError::missing_semicolon(token.position, &text[start..]));
            }
            (TokenKind::Semicolon, Some((start, position))) => {
                statements.push(RawStatement {
                    text: &text[start..token.end()],
                    position,
                });
                first = None;
            }
            (_, None) => first = Some((token.start, token.position)),
            (_, Some(_)) => {}
        }
    }
    Ok(statements)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_cut_at_their_own_semicolons() {
        let text = "  set 'a;b'='c'; -- one; two\n/* ; */ drop stream `x;y`;\n";
        let statements = split(text).unwrap();
        let texts: Vec<&str> = statements.iter().map(|statement| statement.text).collect();
        assert_eq!(texts, ["set 'a;b'='c';", "drop stream `x;y`;"]);
        assert_eq!(statements[0].position, Position { line: 1, column: 3 });
        assert_eq!(statements[1].position, Position { line: 2, column: 9 });
    }

    #[test]
    fn a_last_statement_without_semicolon_is_an_error() {
        let error = split("list streams; list tables").unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 1:26: Syntax Error\nmissing ';' at '<EOF>'"
        );
        assert_eq!(error.statement, "list tables");
    }
}
