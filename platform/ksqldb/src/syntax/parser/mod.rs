//! Tokens to tree: recursive descent, with precedence climbing for expressions.
//!
//! This file holds the cursor that every part shares; the grammar's parts are in the files beside it.

mod expressions;
mod names;
mod primaries;
mod properties;
mod query;
mod statements;
mod types;

use std::collections::BTreeMap;

use super::ast::{Duration, Expression, ParsedStatement, Position, Statement};
use super::lexer::tokenize;
use super::token::{Keyword, Token, TokenKind};
use super::{SyntaxError, SyntaxFault};
use crate::types::SqlType;
use names::unquote;

#[cfg(test)]
mod tests;

/// The words that statements begin with.
const STATEMENT_WORDS: [&str; 19] = [
    "SET",
    "RUN",
    "SELECT",
    "CREATE",
    "INSERT",
    "DROP",
    "SHOW",
    "LIST",
    "DESCRIBE",
    "EXPLAIN",
    "PRINT",
    "TERMINATE",
    "PAUSE",
    "RESUME",
    "UNSET",
    "DEFINE",
    "UNDEFINE",
    "ALTER",
    "ASSERT",
];

const ORIGIN: Position = Position { line: 1, column: 1 };

/// How deep constructs may stand in one another. Far above what anybody writes, far below what the
/// stack of a small thread holds.
const MAXIMUM_NESTING: usize = 210;

/// What the names of `CREATE TYPE` stand for.
pub type NamedTypes = BTreeMap<String, SqlType>;

static NO_TYPES: NamedTypes = NamedTypes::new();

type Result<T> = std::result::Result<T, SyntaxError>;

/// Reads every statement of a script. Session variables must have been substituted.
pub fn parse(text: &str) -> Result<Vec<ParsedStatement>> {
    let mut parser = Parser::new(text, ORIGIN)?;
    let mut statements = Vec::new();
    loop {
        while parser.accept(TokenKind::Semicolon) {}
        if parser.at(TokenKind::End) {
            return Ok(statements);
        }
        statements.push(parser.parsed_statement()?);
    }
}

/// Reads one statement with its `;`, which begins at `position` of some larger text.
pub fn parse_statement(text: &str, position: Position) -> Result<ParsedStatement> {
    parse_statement_with(text, position, &NO_TYPES)
}

/// The same, where types have names (`CREATE TYPE`).
pub fn parse_statement_with(text: &str, position: Position, types: &NamedTypes) -> Result<ParsedStatement> {
    let mut parser = Parser::new(text, position)?;
    parser.types = types;
    let statement = parser.parsed_statement()?;
    parser.finish()?;
    Ok(statement)
}

/// Reads an expression that stands alone.
pub fn parse_expression(text: &str) -> Result<Expression> {
    let mut parser = Parser::new(text, ORIGIN)?;
    let expression = parser.expression()?;
    parser.finish()?;
    Ok(expression)
}

/// Reads a type that stands alone.
pub fn parse_type(text: &str) -> Result<SqlType> {
    let mut parser = Parser::new(text, ORIGIN)?;
    let sql_type = parser.sql_type()?;
    parser.finish()?;
    Ok(sql_type)
}

/// What the grammar asks for where something else stands. ksqlDB's parser says no more than it knows there.
#[derive(Clone, Copy)]
enum Expected {
    /// Exactly this: `'FROM'`, `STRING`.
    Exactly(&'static str),
    /// One of several beginnings, between which it cannot choose.
    Several,
    /// The end of a query or one of the clauses it may still have.
    Clause,
}

struct Parser<'text> {
    text: &'text str,
    tokens: Vec<Token<'text>>,
    next: usize,
    /// The first token of the statement at hand.
    statement: usize,
    nesting: usize,
    types: &'text NamedTypes,
    /// How many parts the named types of the statement at hand have had so far.
    type_parts: usize,
    /// How many `||`, predicates, subscripts and fields the expression at hand has chained without nesting.
    chained: usize,
    /// How many other operators it has.
    operators: usize,
}

impl<'text> Parser<'text> {
    fn new(text: &'text str, origin: Position) -> Result<Self> {
        Ok(Self {
            text,
            tokens: tokenize(text, origin)?,
            next: 0,
            statement: 0,
            nesting: 0,
            types: &NO_TYPES,
            type_parts: 0,
            chained: 0,
            operators: 0,
        })
    }

    fn parsed_statement(&mut self) -> Result<ParsedStatement> {
        self.statement = self.next;
        let first = *self.peek();
        let statement = self.statement()?;
        if self.at(TokenKind::End) {
            return Err(SyntaxError::missing_semicolon(
                self.peek().position,
                self.statement_text(),
            ));
        }
        if !self.at(TokenKind::Semicolon) {
            let is_query = matches!(
                statement,
                Statement::Query(_) | Statement::CreateAsSelect(_) | Statement::InsertInto(_)
            );
            return Err(self.mismatch(if is_query {
                Expected::Clause
            } else {
                Expected::Exactly("';'")
            }));
        }
        let last = *self.advance();
        Ok(ParsedStatement {
            text: self.text[first.start..last.end()].to_owned(),
            position: first.position,
            statement,
        })
    }

    fn finish(&mut self) -> Result<()> {
        match self.at(TokenKind::End) {
            true => Ok(()),
            false => Err(self.mismatch(Expected::Clause)),
        }
    }

    fn peek(&self) -> &Token<'text> {
        self.peek_after(0)
    }

    /// The token that many places further; the end where there is none.
    fn peek_after(&self, distance: usize) -> &Token<'text> {
        let last = self.tokens.len() - 1;
        &self.tokens[(self.next + distance).min(last)]
    }

    fn advance(&mut self) -> &Token<'text> {
        let current = self.next;
        self.next = (current + 1).min(self.tokens.len() - 1);
        &self.tokens[current]
    }

    fn at(&self, kind: TokenKind) -> bool {
        self.peek().kind == kind
    }

    fn keyword_after(&self, distance: usize) -> Option<Keyword> {
        match self.peek_after(distance).kind {
            TokenKind::Word(keyword) => keyword,
            _ => None,
        }
    }

    fn at_keyword(&self, keyword: Keyword) -> bool {
        self.keyword_after(0) == Some(keyword)
    }

    /// Whether the keywords stand here in this order.
    fn at_keywords(&self, keywords: &[Keyword]) -> bool {
        let mut places = keywords.iter().enumerate();
        places.all(|(distance, keyword)| self.keyword_after(distance) == Some(*keyword))
    }

    fn accept(&mut self, kind: TokenKind) -> bool {
        let found = self.at(kind);
        if found {
            self.advance();
        }
        found
    }

    fn accept_keyword(&mut self, keyword: Keyword) -> bool {
        self.accept_keywords(&[keyword])
    }

    fn accept_keywords(&mut self, keywords: &[Keyword]) -> bool {
        let found = self.at_keywords(keywords);
        if found {
            keywords.iter().for_each(|_| {
                self.advance();
            });
        }
        found
    }

    fn expect(&mut self, kind: TokenKind, expectation: &'static str) -> Result<&Token<'text>> {
        if self.at(kind) {
            Ok(self.advance())
        } else {
            Err(self.mismatch(Expected::Exactly(expectation)))
        }
    }

    fn expect_keyword(&mut self, keyword: Keyword) -> Result<()> {
        if self.accept_keyword(keyword) {
            Ok(())
        } else {
            Err(self.mismatch(Expected::Exactly(keyword.quoted())))
        }
    }

    /// Things between commas, at least one.
    fn comma_separated<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.accept(TokenKind::Comma) {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// The next token is not what the grammar asks for.
    fn mismatch(&self, expected: Expected) -> SyntaxError {
        let token = self.peek();
        let text = match token.kind {
            TokenKind::End => "<EOF>",
            _ => token.text,
        };
        let ends = matches!(token.kind, TokenKind::End | TokenKind::Semicolon);
        let message = match (token.kind, expected) {
            (TokenKind::Variable, _) => format!("the variable {text} is not defined"),
            (TokenKind::Unknown, _) | (_, Expected::Clause) => String::new(),
            (_, Expected::Exactly(closing @ ("')'" | "']'" | "';'"))) if ends => {
                format!("missing {closing} at '{text}'")
            }
            (TokenKind::Word(Some(keyword)), _) if keyword.is_reserved() => format!(
                "\"{text}\" is a reserved keyword and it can't be used as an identifier. You can use it as an identifier by escaping it as '{text}' "
            ),
            (_, Expected::Exactly(wanted)) => format!("Expecting {wanted}"),
            (_, Expected::Several) => {
                format!("Syntax error at or near '{text}' at line {}", token.position)
            }
        };
        SyntaxError::new(token.position, message, self.statement_text())
    }

    /// Something stands here that cannot; what can is too much to say.
    fn unexpected(&self) -> SyntaxError {
        let token = self.peek();
        let message = format!(
            "Syntax error at or near '{}' at line {}",
            token.text, token.position
        );
        SyntaxError::new(token.position, message, self.statement_text())
    }

    /// The statement begins with no word that a statement begins with.
    fn unknown_statement(&self) -> SyntaxError {
        let token = self.peek();
        let upper = token.text.to_uppercase();
        let nearest = STATEMENT_WORDS
            .iter()
            .min_by_key(|word| strsim::levenshtein(word, &upper))
            .unwrap_or(&"SELECT");
        let message = format!("Unknown statement '{}'\nDid you mean '{nearest}'?", token.text);
        SyntaxError::new(token.position, message, self.statement_text())
    }

    /// The grammar has it, but it means nothing.
    fn meaningless(&self, position: Position, message: impl Into<String>) -> SyntaxError {
        self.error_at(position, message).of(SyntaxFault::Meaning)
    }

    fn error_at(&self, position: Position, message: impl Into<String>) -> SyntaxError {
        SyntaxError::new(position, message, self.statement_text())
    }

    fn statement_text(&self) -> &'text str {
        let tokens = &self.tokens[self.statement..];
        let start = tokens[0].start;
        let last = tokens.iter().find(|token| token.kind == TokenKind::Semicolon);
        &self.text[start..last.map_or(self.text.len(), Token::end)]
    }

    /// Begins a part of the grammar that may contain itself.
    fn enter(&mut self) -> Result<()> {
        if self.nesting == MAXIMUM_NESTING {
            return Err(self.error_at(self.peek().position, "the statement is nested too deeply"));
        }
        self.nesting += 1;
        Ok(())
    }

    /// Ends what [`Self::enter`] began. After an error the parser is not used again.
    fn leave(&mut self) {
        self.nesting -= 1;
    }

    fn string(&mut self) -> Result<String> {
        Ok(unquote(self.expect(TokenKind::String, "STRING")?.text))
    }

    /// A whole number without sign.
    fn count(&mut self) -> Result<u64> {
        let token = *self.expect(TokenKind::Integer, "INTEGER_VALUE")?;
        let number = token.text.parse().ok();
        number.ok_or_else(|| self.error_at(token.position, format!("the number {} is too large", token.text)))
    }

    /// The number of a query's `LIMIT`.
    fn limit(&mut self) -> Result<i64> {
        let is_negative = self.accept(TokenKind::Minus);
        let count = self.limit_count()?;
        Ok(match is_negative {
            true => 0_i64.saturating_sub_unsigned(count),
            false => i64::try_from(count).unwrap_or(i64::MAX),
        })
    }

    /// The same without a sign.
    fn limit_count(&mut self) -> Result<u64> {
        let token = *self.peek();
        if matches!(token.kind, TokenKind::Decimal | TokenKind::Double) {
            return Err(self.meaningless(token.position, "Value must be integer for command: LIMIT"));
        }
        self.count()
    }

    /// `n unit`
    fn duration(&mut self) -> Result<Duration> {
        let position = self.peek().position;
        let count = self.count()?;
        let unit = self.keyword_after(0).and_then(Keyword::time_unit);
        let unit = unit.ok_or_else(|| self.mismatch(Expected::Several))?;
        self.advance();
        Duration::new(count, unit).ok_or_else(|| self.error_at(position, "the duration is too long"))
    }
}
