//! Names: of sources, columns and all else that a statement may call.

use super::super::SyntaxFault;
use super::super::lexer::is_word_part;
use super::super::token::TokenKind;
use super::{Expected, Parser, Result};

impl<'text> Parser<'text> {
    /// Whether a name can stand here.
    pub(super) fn at_identifier(&self) -> bool {
        self.is_identifier(0)
    }

    pub(super) fn is_identifier(&self, distance: usize) -> bool {
        match self.peek_after(distance).kind {
            TokenKind::Quoted | TokenKind::Word(None) => true,
            TokenKind::Word(Some(keyword)) => !keyword.is_reserved(),
            _ => false,
        }
    }

    /// A name: upper case unless quoted.
    pub(super) fn identifier(&mut self) -> Result<String> {
        let mut name = self.identifier_as_written()?;
        if !matches!(self.tokens[self.next - 1].kind, TokenKind::Quoted) {
            name.make_ascii_uppercase();
        }
        Ok(name)
    }

    /// A name that keeps its case even unquoted, such as a query's id.
    pub(super) fn identifier_as_written(&mut self) -> Result<String> {
        if !self.at_identifier() {
            return Err(self.mismatch(Expected::Several));
        }
        let token = *self.advance();
        let name = match token.kind {
            TokenKind::Quoted => unquote(token.text),
            _ => token.text.to_owned(),
        };
        if name.is_empty() {
            return Err(self.error_at(token.position, "a name must not be empty"));
        }
        Ok(name)
    }

    /// The name of a stream or table.
    pub(super) fn source_name(&mut self) -> Result<String> {
        let position = self.peek().position;
        let name = self.identifier()?;
        let allowed = |character| character == '-' || (is_word_part(character) && character != '@');
        if !name.chars().all(allowed) {
            let message =
                format!("Source names may only contain alphanumeric values, '_' or '-'. Got: '{name}'");
            return Err(self.error_at(position, message).of(SyntaxFault::Name));
        }
        Ok(name)
    }
}

/// The text inside quotes, where two quotes in a row stand for one.
pub(super) fn unquote(quoted: &str) -> String {
    let quote = &quoted[..1];
    quoted[1..quoted.len() - 1].replace(&quote.repeat(2), quote)
}
