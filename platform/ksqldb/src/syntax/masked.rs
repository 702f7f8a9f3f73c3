//! What of a statement may be shown to anybody: what a connector is told may be secrets.

use std::borrow::Cow;

use super::ast::Position;
use super::lexer::tokenize;
use super::token::{Keyword, Token, TokenKind};

/// The setting that names a connector's class.
const CLASS: &str = "connector.class";
/// What stands for a value.
const MASK: &str = "'[string]'";

/// A statement without the values that it tells a connector, but for its class; another one is as it was.
pub(crate) fn without_settings(statement: &str) -> Cow<'_, str> {
    let Ok(tokens) = tokenize(statement, Position::default()) else {
        return cut_short(statement);
    };
    let keyword = |index: usize| tokens.get(index).and_then(keyword);
    let is_about_a_connector = keyword(0) == Some(Keyword::Create)
        && matches!(keyword(1), Some(Keyword::Sink | Keyword::Source))
        && keyword(2) == Some(Keyword::Connector);
    let with = tokens
        .iter()
        .position(|token| self::keyword(token) == Some(Keyword::With));
    let Some(with) = with.filter(|_| is_about_a_connector) else {
        return Cow::Borrowed(statement);
    };
    let mut masked = statement[..tokens[with].end()].to_owned();
    for (index, token) in tokens.iter().enumerate().skip(with + 1) {
        // What is more than blanks is a comment.
        let gap = &statement[tokens[index - 1].end()..token.start];
        masked.push_str(if gap.trim().is_empty() { gap } else { " " });
        let follows = |kind| tokens.get(index + 1).is_some_and(|next| next.kind == kind);
        let is_value = tokens[index - 1].kind == TokenKind::Equal
            || (is_literal(token.kind) && !follows(TokenKind::Equal));
        let is_class = || tokens[index - 1].kind == TokenKind::Equal && is_class(&tokens[index - 2]);
        masked.push_str(if is_value && !is_class() { MASK } else { token.text });
    }
    Cow::Owned(masked)
}

fn keyword(token: &Token<'_>) -> Option<Keyword> {
    match token.kind {
        TokenKind::Word(keyword) => keyword,
        _ => None,
    }
}

fn is_literal(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::String | TokenKind::Integer | TokenKind::Decimal | TokenKind::Double
    )
}

fn is_class(name: &Token<'_>) -> bool {
    let name = name.text.trim_matches(['\'', '"', '`']);
    name.eq_ignore_ascii_case(CLASS)
}

/// One in which something is not closed: nothing behind its `WITH`.
fn cut_short(statement: &str) -> Cow<'_, str> {
    let lower = statement.to_ascii_lowercase();
    match lower.find("with").filter(|_| lower.contains("connector")) {
        Some(with) => Cow::Owned(format!("{}…", &statement[..with + "with".len()])),
        None => Cow::Borrowed(statement),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_connector_is_told_is_not_shown() {
        for (statement, masked) in [
            (
                "CREATE SOURCE CONNECTOR c WITH ('a'='b');",
                "CREATE SOURCE CONNECTOR c WITH ('a'='[string]');",
            ),
            (
                "CREATE SINK CONNECTOR c WITH ('connector.class' = 'x', \"pw\"='it''s', 'q'=-17, 'r'=secret);",
                "CREATE SINK CONNECTOR c WITH ('connector.class' = 'x', \"pw\"='[string]', 'q'='[string]''[string]', \
                 'r'='[string]');",
            ),
            // An apostrophe that is not that of a text turns nothing round.
            (
                "CREATE SINK CONNECTOR \"don't\" WITH ( -- the worker's own\n 'pw'='secret');",
                "CREATE SINK CONNECTOR \"don't\" WITH ( 'pw'='[string]');",
            ),
            // Not a statement: a comma is missing, a text is not closed.
            (
                "CREATE SINK CONNECTOR c WITH ('a'='b' 'secret');",
                "CREATE SINK CONNECTOR c WITH ('a'='[string]' '[string]');",
            ),
            (
                "CREATE SINK CONNECTOR c WITH ('pw'='secret);",
                "CREATE SINK CONNECTOR c WITH…",
            ),
            ("SHOW CONNECTORS;", "SHOW CONNECTORS;"),
            (
                "CREATE STREAM s WITH (KAFKA_TOPIC='t');",
                "CREATE STREAM s WITH (KAFKA_TOPIC='t');",
            ),
        ] {
            assert_eq!(without_settings(statement), masked);
        }
    }
}
