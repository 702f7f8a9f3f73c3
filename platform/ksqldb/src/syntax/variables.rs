//! Session variables: `${name}` in a statement's text, set by `DEFINE` or by a request.

use std::collections::BTreeMap;

use super::ast::Position;
use super::lexer::{tokenize, variable_length};
use super::token::TokenKind;
use super::{SyntaxError, SyntaxFault};

/// The longest text that a statement may become when its variables are replaced, in bytes: a longer one would not
/// fit into a record of the command topic.
pub const MOST_TEXT: usize = 1024 * 1024;

/// The variables of a session. Their names ignore case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variables {
    /// Name in lower case to name as written, and value.
    entries: BTreeMap<String, (String, String)>,
}

impl Variables {
    /// Sets a variable, whether or not it was set.
    pub fn define(&mut self, name: &str, value: &str) {
        let entry = (name.to_owned(), value.to_owned());
        self.entries.insert(name.to_lowercase(), entry);
    }

    /// Forgets a variable; `false` where it was not set.
    pub fn undefine(&mut self, name: &str) -> bool {
        self.entries.remove(&name.to_lowercase()).is_some()
    }

    /// A variable's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.entries
            .get(&name.to_lowercase())
            .map(|(_, value)| value.as_str())
    }

    /// Names as written, and values, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries
            .values()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Replaces the variables in a statement's text, which begins at `origin`.
///
/// Inside a string or a quoted name the value is inserted as text and cannot end it. Elsewhere the value
/// has to be one name, string, number or keyword, so that a value never brings in further SQL. A
/// variable that is not defined stays as it is: in a string that is a text like any other, elsewhere the
/// parser refuses it. `$${name}` in a string gives the text `${name}`.
///
/// A text that becomes longer than [`MOST_TEXT`] is refused as soon as it does.
pub fn substitute(text: &str, origin: Position, variables: &Variables) -> Result<String, SyntaxError> {
    let mut result = String::with_capacity(text.len());
    let mut copied = 0;
    for token in tokenize(text, origin)? {
        let replacement = match token.kind {
            TokenKind::Variable => match variables.get(&token.text[2..token.text.len() - 1]) {
                Some(value) if is_one_token(value) => value.to_owned(),
                Some(value) => {
                    let message = format!(
                        "Identifier names cannot start with '@' and may only contain alphanumeric values and '_'. Got: '{value}'"
                    );
                    return Err(SyntaxError::new(token.position, message, text).of(SyntaxFault::Name));
                }
                None => continue,
            },
            TokenKind::String | TokenKind::Quoted => inside_quotes(token.text, variables),
            _ => continue,
        };
        result.push_str(&text[copied..token.start]);
        result.push_str(&replacement);
        copied = token.end();
        if result.len() > MOST_TEXT {
            let message = format!("the text has more than {MOST_TEXT} bytes once its variables are replaced");
            return Err(SyntaxError::new(token.position, message, text));
        }
    }
    result.push_str(&text[copied..]);
    Ok(result)
}

fn inside_quotes(quoted: &str, variables: &Variables) -> String {
    let quote = &quoted[..1];
    let mut result = String::with_capacity(quoted.len());
    let mut rest = quoted;
    // What is longer than any text may be is refused by the caller.
    while let Some(dollar) = rest.find('$')
        && result.len() <= MOST_TEXT
    {
        result.push_str(&rest[..dollar]);
        rest = &rest[dollar..];
        let length = variable_length(rest);
        let escaped = variable_length(&rest[1..]);
        if length > 0 {
            let value = variables.get(&rest[2..length - 1]);
            let value = value.map(|value| value.replace(quote, &quote.repeat(2)));
            result.push_str(value.as_deref().unwrap_or(&rest[..length]));
            rest = &rest[length..];
        } else if escaped > 0 {
            result.push_str(&rest[1..=escaped]);
            rest = &rest[1 + escaped..];
        } else {
            result.push('$');
            rest = &rest[1..];
        }
    }
    result + rest
}

/// Whether the text is one name, string, number (with its sign) or keyword.
fn is_one_token(value: &str) -> bool {
    let value = value.trim();
    let unsigned = value.strip_prefix('-').unwrap_or(value);
    let Ok(tokens) = tokenize(unsigned, Position { line: 1, column: 1 }) else {
        return false;
    };
    let number = |kind| matches!(kind, TokenKind::Integer | TokenKind::Decimal | TokenKind::Double);
    let name = |kind| matches!(kind, TokenKind::Word(_) | TokenKind::Quoted | TokenKind::String);
    let [token, _end] = tokens.as_slice() else {
        return false;
    };
    let whole = token.text == unsigned;
    whole && (number(token.kind) || (name(token.kind) && unsigned == value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::syntax::parse;

    const ORIGIN: Position = Position { line: 1, column: 1 };

    fn variables() -> Variables {
        let mut variables = Variables::default();
        for (name, value) in [
            ("replicas", "3"),
            ("Format", "JSON"),
            ("topic", "'my_topic'"),
            ("quote", "it's"),
            ("evil", "x; DROP STREAM y"),
            ("low", "-5"),
        ] {
            variables.define(name, value);
        }
        variables
    }

    fn substituted(text: &str) -> String {
        substitute(text, ORIGIN, &variables()).unwrap()
    }

    #[test]
    fn values_take_the_place_of_names_whatever_their_case() {
        assert_eq!(
            substituted("x ${REPLICAS} '${format}' ${topic} ${low} -- ${replicas}"),
            "x 3 'JSON' 'my_topic' -5 -- ${replicas}"
        );
    }

    #[test]
    fn quotes_cannot_be_left() {
        assert_eq!(substituted("'${quote}' `${quote}`"), "'it''s' `it's`");
    }

    #[test]
    fn an_escaped_or_unknown_variable_stays_text() {
        assert_eq!(
            substituted("'$${format} ${nothing} $ $$ ${' ${nothing}"),
            "'${format} ${nothing} $ $$ ${' ${nothing}"
        );
        let error = parse("SET 'a'=${nothing};").unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 1:9: Syntax Error\nthe variable ${nothing} is not defined"
        );
    }

    #[test]
    fn a_value_brings_in_no_further_sql() {
        let error = substitute("TERMINATE ${evil};", ORIGIN, &variables()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "Illegal argument at Line: 1, Col: 11. Identifier names cannot start with '@' and may only contain alphanumeric values and '_'. Got: '{}'",
                variables().get("evil").unwrap()
            )
        );
    }

    #[test]
    fn a_text_grows_to_its_limit_and_no_further() {
        let mut variables = Variables::default();
        let mut value = "0".repeat(100);
        for _ in 0..4 {
            variables.define("v", &value);
            value = substitute(&"'${v}'".repeat(10).replace("''", ""), ORIGIN, &variables).unwrap();
            value = value.trim_matches('\'').to_owned();
        }
        assert_eq!(value.len(), 1_000_000);
        variables.define("v", &value);
        for text in [
            "'${v}${v}'".to_owned(),
            "'${v}' '${v}'".to_owned(),
            format!("'{}'", "${v}".repeat(100_000)),
        ] {
            let error = substitute(&text, ORIGIN, &variables).unwrap_err();
            assert!(error.message.contains("more than 1048576 bytes"), "{error}");
        }
    }

    #[test]
    fn names_are_listed_as_written() {
        let mut variables = variables();
        assert!(variables.undefine("FORMAT"));
        assert!(!variables.undefine("FORMAT"));
        let names: Vec<&str> = variables.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["evil", "low", "quote", "replicas", "topic"]);
    }

    proptest! {
        #[test]
        fn a_string_stays_one_string(value in any::<String>(), before in "[a-z$' ]{0,5}") {
            let mut variables = Variables::default();
            variables.define("v", &value);
            let text = format!("SET 'p'='{}${{v}}';", before.replace('\'', "''"));
            let substituted = substitute(&text, ORIGIN, &variables).unwrap();
            let parsed = parse(&substituted).unwrap();
            prop_assert_eq!(parsed.len(), 1);
        }
    }
}
