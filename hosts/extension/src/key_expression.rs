//! The expression that says which part of a line is the record's key: `['hostIdentifier']`,
//! `['columns']['path']`.
//!
//! It is written as subscripts of Python, because it once was Python. Here it is a path and nothing else.

use std::borrow::Cow;

use crate::json;

/// A path into a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyExpression {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Element(usize),
}

/// Why an expression is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} at column {column}")]
pub(crate) struct KeyExpressionError {
    /// Counted from 1, in characters.
    column: usize,
    expected: &'static str,
}

impl KeyExpression {
    /// Reads an expression: one or more subscripts, each a quoted name or a number.
    pub(crate) fn parse(text: &str) -> Result<Self, KeyExpressionError> {
        let mut parser = Parser {
            characters: text.chars().collect(),
            at: 0,
        };
        let mut steps = Vec::new();
        loop {
            parser.skip_space();
            if parser.peek().is_none() && !steps.is_empty() {
                return Ok(Self { steps });
            }
            steps.push(parser.subscript()?);
        }
    }

    /// What the path leads to in `line`, as plain text. `None` when it leads nowhere, or to null.
    pub(crate) fn find<'l>(&self, line: &'l [u8]) -> Option<Cow<'l, [u8]>> {
        let mut value = line;
        for step in &self.steps {
            value = match step {
                Step::Member(name) => json::member(value, name)?,
                Step::Element(index) => json::elements(value).ok()?.nth(*index)?.ok()?,
            };
        }
        json::text(value)
    }
}

struct Parser {
    characters: Vec<char>,
    at: usize,
}

impl Parser {
    fn subscript(&mut self) -> Result<Step, KeyExpressionError> {
        self.take('[', "`[`")?;
        self.skip_space();
        let step = match self.peek() {
            Some(quote @ ('\'' | '"')) => Step::Member(self.name(quote)?),
            Some('0'..='9') => Step::Element(self.index()?),
            _ => return Err(self.expected("a quoted name or a number")),
        };
        self.skip_space();
        self.take(']', "`]`")?;
        Ok(step)
    }

    fn name(&mut self, quote: char) -> Result<String, KeyExpressionError> {
        self.at += 1;
        let mut name = String::new();
        loop {
            match self.peek() {
                None => return Err(self.expected("the closing quote")),
                Some(character) if character == quote => {
                    self.at += 1;
                    return Ok(name);
                }
                Some('\\') => {
                    self.at += 1;
                    let escaped = self
                        .peek()
                        .filter(|character| matches!(character, '\\' | '\'' | '"'));
                    name.push(escaped.ok_or_else(|| self.expected("a quote or a backslash after `\\`"))?);
                }
                Some(character) => name.push(character),
            }
            self.at += 1;
        }
    }

    fn index(&mut self) -> Result<usize, KeyExpressionError> {
        let start = self.at;
        while self.peek().is_some_and(|character| character.is_ascii_digit()) {
            self.at += 1;
        }
        let digits: String = self.characters[start..self.at].iter().collect();
        digits.parse().map_err(|_| KeyExpressionError {
            column: start + 1,
            expected: "a smaller number",
        })
    }

    fn take(&mut self, character: char, expected: &'static str) -> Result<(), KeyExpressionError> {
        if self.peek() != Some(character) {
            return Err(self.expected(expected));
        }
        self.at += 1;
        Ok(())
    }

    fn expected(&self, expected: &'static str) -> KeyExpressionError {
        KeyExpressionError {
            column: self.at + 1,
            expected,
        }
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: &[u8] =
        br#"{"name":"q","hostIdentifier":"host1","counter":3,"none":null,"columns":{"path":"/a\"b","o":{"x":1}},"list":["a","b"]}"#;

    fn find(expression: &str) -> Option<String> {
        let found = KeyExpression::parse(expression).unwrap().find(LINE)?;
        Some(String::from_utf8(found.into_owned()).unwrap())
    }

    #[test]
    fn paths_lead_to_values() {
        assert_eq!(find("['hostIdentifier']").as_deref(), Some("host1"));
        assert_eq!(find(r#" [ "columns" ] ['path'] "#).as_deref(), Some("/a\"b"));
        assert_eq!(find("['list'][1]").as_deref(), Some("b"));
        assert_eq!(find("['counter']").as_deref(), Some("3"));
        assert_eq!(find("['columns']['o']").as_deref(), Some(r#"{"x":1}"#));
    }

    #[test]
    fn paths_that_lead_nowhere_are_no_key() {
        for expression in [
            "['x']",
            "['none']",
            "['name']['x']",
            "['list'][2]",
            "[0]",
            "['columns'][0]",
        ] {
            assert_eq!(find(expression), None, "{expression}");
        }
    }

    #[test]
    fn mistakes_are_shown_with_their_column() {
        for (expression, expected) in [
            ("", "expected `[` at column 1"),
            ("hostIdentifier", "expected `[` at column 1"),
            ("['a'", "expected `]` at column 5"),
            ("['a", "expected the closing quote at column 4"),
            ("['é'] x", "expected `[` at column 7"),
            ("[a]", "expected a quoted name or a number at column 2"),
            (
                r"['\x']",
                r"expected a quote or a backslash after `\` at column 4",
            ),
            ("['a'].pop()", "expected `[` at column 6"),
            (
                "[99999999999999999999999]",
                "expected a smaller number at column 2",
            ),
        ] {
            assert_eq!(
                KeyExpression::parse(expression).unwrap_err().to_string(),
                expected,
                "{expression}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_path_can_be_written_and_read(names in proptest::collection::vec(".{0,10}", 1..5)) {
            let escape = |name: &str| name.replace('\\', r"\\").replace('\'', r"\'");
            let text: String = names.iter().map(|name| format!("['{}']", escape(name))).collect();
            let steps = names.into_iter().map(Step::Member).collect();
            prop_assert_eq!(KeyExpression::parse(&text), Ok(KeyExpression { steps }));
        }

        #[test]
        fn no_text_panics(text in "(?s)[\\[\\]'\"\\\\0-9a-zé ]{0,20}|.{0,20}", line in ".{0,60}") {
            if let Ok(expression) = KeyExpression::parse(&text) {
                let _ = expression.find(line.as_bytes());
            }
        }
    }
}
