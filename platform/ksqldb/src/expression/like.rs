//! `LIKE`: `%` is any text, `_` any character, neither crosses a line break; the whole text must match.

use regex::Regex;

use super::evaluate::Frame;
use super::{EvaluationError, Expr};
use crate::value::Value;

/// What Java's `.` matches: anything but a line break.
const ANY_CHARACTER: &str = "[^\\n\\r\\x{85}\\x{2028}\\x{2029}]";

/// `value LIKE pattern`.
#[derive(Debug, Clone)]
pub(crate) struct Like {
    pub(crate) value: Expr,
    pattern: Pattern,
    escape: Option<char>,
}

#[derive(Debug, Clone)]
enum Pattern {
    /// A literal pattern.
    Ready(Matcher),
    /// A pattern that the row gives.
    Computed(Expr),
}

/// A pattern, prepared. The frequent forms need no regular expression, unless the text has a line break.
#[derive(Debug, Clone)]
struct Matcher {
    quick: Option<Quick>,
    regex: Regex,
}

#[derive(Debug, Clone)]
enum Quick {
    Exactly(String),
    Begins(String),
    Ends(String),
    Contains(String),
}

impl Like {
    pub(crate) fn new(value: Expr, pattern: Expr, escape: Option<char>) -> Result<Self, EvaluationError> {
        let pattern = match pattern {
            Expr::Constant(Value::String(text)) => Pattern::Ready(Matcher::new(&text, escape)?),
            computed => Pattern::Computed(computed),
        };
        Ok(Self {
            value,
            pattern,
            escape,
        })
    }

    pub(super) fn operands(&mut self) -> impl Iterator<Item = &mut Expr> {
        let pattern = match &mut self.pattern {
            Pattern::Ready(_) => None,
            Pattern::Computed(expression) => Some(expression),
        };
        std::iter::once(&mut self.value).chain(pattern)
    }

    /// ksqlDB fails on a `NULL` operand, so that the row is dropped even by `NOT LIKE`.
    pub(super) fn matches(&self, row: &[Value], frame: Frame<'_>) -> Result<bool, EvaluationError> {
        let value = self.value.evaluate(row, frame)?;
        let Value::String(text) = value.as_ref() else {
            return Err(EvaluationError::new("LIKE of a value that is null"));
        };
        match &self.pattern {
            Pattern::Ready(matcher) => Ok(matcher.matches(text)),
            Pattern::Computed(expression) => match expression.evaluate(row, frame)?.as_ref() {
                Value::String(pattern) => Ok(Matcher::new(pattern, self.escape)?.matches(text)),
                _ => Err(EvaluationError::new("LIKE with a pattern that is null")),
            },
        }
    }
}

impl Matcher {
    fn new(pattern: &str, escape: Option<char>) -> Result<Self, EvaluationError> {
        let mut expression = String::from("^(?:");
        let mut characters = pattern.chars();
        while let Some(character) = characters.next() {
            match character {
                '%' => {
                    expression.push_str(ANY_CHARACTER);
                    expression.push('*');
                }
                '_' => expression.push_str(ANY_CHARACTER),
                character if Some(character) == escape => match characters.next() {
                    Some(escaped) if matches!(escaped, '%' | '_') || Some(escaped) == escape => {
                        expression.push_str(&regex::escape(&escaped.to_string()));
                    }
                    _ => {
                        return Err(EvaluationError::new(format!(
                            "Escape character must be followed by '%', '_' or itself in LIKE pattern '{pattern}'"
                        )));
                    }
                },
                other => expression.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
            }
        }
        expression.push_str(")$");
        let regex = Regex::new(&expression)
            .map_err(|error| EvaluationError::new(format!("invalid LIKE pattern: {error}")))?;
        Ok(Self {
            quick: Quick::of(pattern, escape),
            regex,
        })
    }

    fn matches(&self, text: &str) -> bool {
        match &self.quick {
            Some(quick) if !has_line_break(text) => quick.matches(text),
            _ => self.regex.is_match(text),
        }
    }
}

fn has_line_break(text: &str) -> bool {
    // Most texts are ASCII and need only the first test.
    text.bytes().any(|byte| matches!(byte, b'\n' | b'\r' | 0x80..))
        && text.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])
}

impl Quick {
    fn of(pattern: &str, escape: Option<char>) -> Option<Self> {
        if pattern.contains('_') || escape.is_some_and(|escape| pattern.contains(escape)) {
            return None;
        }
        let opens = pattern.starts_with('%');
        let closes = pattern.len() > 1 && pattern.ends_with('%');
        let middle = pattern.strip_prefix('%').unwrap_or(pattern);
        let middle = if closes {
            &middle[..middle.len() - 1]
        } else {
            middle
        };
        if middle.contains('%') {
            return None;
        }
        let middle = middle.to_owned();
        Some(match (opens, closes) {
            (false, false) => Self::Exactly(middle),
            (false, true) => Self::Begins(middle),
            (true, false) => Self::Ends(middle),
            (true, true) => Self::Contains(middle),
        })
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exactly(other) => text == other,
            Self::Begins(start) => text.starts_with(start.as_str()),
            Self::Ends(end) => text.ends_with(end.as_str()),
            Self::Contains(part) => text.contains(part.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn like(text: &str, pattern: &str) -> bool {
        Matcher::new(pattern, None).expect("a pattern").matches(text)
    }

    #[test]
    fn wildcards() {
        assert!(like("/usr/bin/osqueryd", "%osqueryd%"));
        assert!(like("", "%"));
        assert!(like("", ""));
        assert!(!like("a", ""));
        assert!(like("/proc/1", "/proc/%"));
        assert!(!like("/PROC/1", "/proc/%"));
        assert!(like("a.c", "a_c") && !like("a.c", "a.d") && like("a+c", "a+c"));
        assert!(like("xay", "%a%") && !like("xay", "a%") && like("abcabc", "a%b%c"));
        assert!(like("%", "%%"));
    }

    #[test]
    fn no_wildcard_crosses_a_line_break() {
        assert!(!like("a\nb", "a%"));
        assert!(!like("a\nb", "a_b"));
        assert!(like("a\nb", "a\nb"));
    }

    #[test]
    fn an_escape_makes_wildcards_ordinary() {
        let matcher = Matcher::new("50!%!_!!", Some('!')).expect("a pattern");
        assert!(matcher.matches("50%_!"));
        assert!(!matcher.matches("50xx!"));
        assert!(Matcher::new("a!b", Some('!')).is_err());
    }

    proptest! {
        #[test]
        fn the_quick_forms_agree_with_the_regular_expression(
            text in "[ab%\n\r\u{e9}]{0,6}", pattern in "%?[ab]{0,3}%?"
        ) {
            let matcher = Matcher::new(&pattern, None).expect("a pattern");
            prop_assert_eq!(matcher.matches(&text), matcher.regex.is_match(&text));
        }
    }
}
