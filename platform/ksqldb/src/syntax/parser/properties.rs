//! `WITH (…)`: properties and their values.

use super::super::ast::{Expression, ExpressionKind, Literal, Properties};
use super::super::format_expression;
use super::super::token::{Keyword, TokenKind};
use super::{Parser, Result};

/// How the names in a `WITH` clause are taken.
#[derive(Debug, Clone, Copy)]
pub(super) enum Letters {
    Upper,
    /// Kafka Connect tells `topics` from `TOPICS`.
    AsWritten,
}

impl<'text> Parser<'text> {
    /// `[WITH (name=literal, …)]`
    pub(super) fn optional_properties(&mut self) -> Result<Properties> {
        if !self.accept_keyword(Keyword::With) {
            return Ok(Properties::default());
        }
        self.properties(Letters::Upper)
    }

    /// What stands behind `WITH`.
    pub(super) fn properties(&mut self, letters: Letters) -> Result<Properties> {
        self.expect(TokenKind::LeftParenthesis, "'('")?;
        let mut properties = Properties::default();
        if !self.at(TokenKind::RightParenthesis) {
            self.comma_separated(|parser| parser.property(letters, &mut properties))?;
        }
        self.expect(TokenKind::RightParenthesis, "')'")?;
        Ok(properties)
    }

    fn property(&mut self, letters: Letters, properties: &mut Properties) -> Result<()> {
        let position = self.peek().position;
        let name = if self.at(TokenKind::String) {
            self.string()?
        } else {
            self.identifier()?
        };
        let name = match letters {
            Letters::Upper => name.to_uppercase(),
            Letters::AsWritten => name,
        };
        self.expect(TokenKind::Equal, "'='")?;
        let value = self.literal()?;
        if let Some(earlier) = properties.get(&name) {
            let text = |literal: &Literal| {
                let kind = ExpressionKind::Literal(literal.clone());
                format_expression(&Expression { kind, position })
            };
            let message = format!(
                "Multiple entries with same key: {name}={} and {name}={}",
                text(&value),
                text(earlier)
            );
            return Err(self.meaningless(position, message));
        }
        properties.0.push((name, value));
        Ok(())
    }
}
