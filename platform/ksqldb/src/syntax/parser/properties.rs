//! `WITH (…)`: properties and their values.

use super::super::ast::Properties;
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
        if properties.get(&name).is_some() {
            return Err(self.meaningless(position, format!("the property {name} is given twice")));
        }
        properties.0.push((name, value));
        Ok(())
    }
}
