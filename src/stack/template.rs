//! Compose's variables in the strings of a stack file: `${NAME}`, `${NAME:-default}`, `${NAME-default}`, `$NAME`,
//! and `$$` for a dollar sign (<https://docs.docker.com/reference/compose-file/interpolation/>). Whether a text is
//! well-formed is checked once, when the file is read; filling it in cannot fail.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error};
use serde::{Serialize, Serializer};

/// A text with variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable { name: String, default: Fallback },
}

/// What stands in for a variable that has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fallback {
    /// Nothing: an empty text.
    Nothing,
    /// This, when the variable is not set.
    Unset(String),
    /// This, when the variable is not set or empty.
    Empty(String),
}

/// Why a text is not a template.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{text}` has a variable that is not of the form `${{NAME}}` or `${{NAME:-default}}` (`$$` is a dollar sign)"
)]
pub struct InvalidTemplate {
    /// What was given.
    pub text: String,
}

impl Template {
    /// Reads a text with variables.
    ///
    /// # Errors
    /// When a variable is not well-formed.
    pub fn parse(text: &str) -> Result<Self, InvalidTemplate> {
        let invalid = || InvalidTemplate {
            text: text.to_owned(),
        };
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            let (part, left) = variable(after).ok_or_else(invalid)?;
            parts.push(Part::Text(before.to_owned()));
            parts.push(part);
            rest = left;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self {
            text: text.to_owned(),
            parts,
        })
    }

    /// The text with every variable replaced by what `value_of` knows of it, else by its default.
    pub fn fill(&self, value_of: &dyn Fn(&str) -> Option<String>) -> String {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.clone(),
                Part::Variable { name, default } => match (value_of(name), default) {
                    (Some(value), Fallback::Empty(default)) if value.is_empty() => default.clone(),
                    (Some(value), _) => value,
                    (None, Fallback::Nothing) => String::new(),
                    (None, Fallback::Unset(default) | Fallback::Empty(default)) => default.clone(),
                },
            })
            .collect()
    }

    /// The variable, where the whole text is one.
    pub fn as_variable(&self) -> Option<&str> {
        let mut names = self.parts.iter().filter_map(|part| match part {
            Part::Text(text) if text.is_empty() => None,
            Part::Text(_) => Some(None),
            Part::Variable { name, .. } => Some(Some(name.as_str())),
        });
        match (names.next(), names.next()) {
            (Some(Some(name)), None) => Some(name),
            _ => None,
        }
    }
}

/// What follows a dollar sign, and the rest.
fn variable(after: &str) -> Option<(Part, &str)> {
    if let Some(rest) = after.strip_prefix('$') {
        return Some((Part::Text("$".to_owned()), rest));
    }
    let name_of = |text: &str| {
        let length = text
            .bytes()
            .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
            .count();
        let is_name = text
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        is_name.then_some(length)
    };
    let Some(braced) = after.strip_prefix('{') else {
        let (name, rest) = after.split_at(name_of(after)?);
        return Some((
            Part::Variable {
                name: name.to_owned(),
                default: Fallback::Nothing,
            },
            rest,
        ));
    };
    let (inner, rest) = braced.split_once('}')?;
    let (name, operator) = inner.split_at(name_of(inner)?);
    let default = if operator.is_empty() {
        Fallback::Nothing
    } else if let Some(default) = operator.strip_prefix(":-") {
        Fallback::Empty(default.to_owned())
    } else {
        Fallback::Unset(operator.strip_prefix('-')?.to_owned())
    };
    Some((
        Part::Variable {
            name: name.to_owned(),
            default,
        },
        rest,
    ))
}

impl fmt::Display for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(text: &str) -> Option<String> {
        let value_of = |name: &str| match name {
            "PORT" => Some("19092".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        Template::parse(text)
            .ok()
            .map(|template| template.fill(&value_of))
    }

    #[test]
    fn variables_are_filled_in_as_compose_does() {
        let cases = [
            ("plain", Some("plain")),
            ("localhost:${PORT}/", Some("localhost:19092/")),
            ("$PORT-x", Some("19092-x")),
            ("${NONE}", Some("")),
            ("${NONE:-9092}", Some("9092")),
            ("${NONE-9092}", Some("9092")),
            ("${EMPTY:-9092}", Some("9092")),
            ("${EMPTY-9092}", Some("")),
            ("${PORT:-1}${PORT}", Some("1909219092")),
            ("5 $$ {}", Some("5 $ {}")),
            ("5 $", None),
            ("${", None),
            ("${}", None),
            ("${1A}", None),
            ("${PORT:?needed}", None),
        ];
        for (text, expected) in cases {
            assert_eq!(filled(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_text_that_is_one_variable_is_known() {
        let name = |text: &str| {
            let template = Template::parse(text).expect("a template");
            template.as_variable().map(str::to_owned)
        };
        assert_eq!(name("${PORT:-9092}").as_deref(), Some("PORT"));
        assert_eq!(name("9092"), None);
        assert_eq!(name("1${PORT}"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a-z${}:-]{0,30}") {
            let _ = filled(&text);
        }

        #[test]
        fn text_without_a_dollar_sign_stays_as_it_is(text in "[^$]*") {
            prop_assert_eq!(filled(&text), Some(text));
        }
    }
}
