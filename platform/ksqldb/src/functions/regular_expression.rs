//! Functions of regular expressions. Patterns are Java's as far as the `regex` crate has their like;
//! look-around, back-references and possessive quantifiers are errors.

use std::cell::RefCell;
use std::fmt::Write;
use std::rc::Rc;

use regex::{Captures, Regex};

use super::arguments::{Kind, accepts, text, whole};
use super::cache::Cache;
use super::{FunctionError, ScalarFunction};
use crate::types::SqlType;
use crate::value::Value;

pub(super) static FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        "REGEXP_EXTRACT",
        "The first part of a text that a pattern matches, or a group of it; NULL where it does not match.",
        |arguments| accepts(arguments, &[Kind::String; 2], &[Kind::Integer]).then_some(SqlType::String),
        |arguments| {
            let pattern = compiled(text(arguments, 0)?)?;
            let Some(group) = group(&pattern, arguments)? else {
                return Ok(Value::Null);
            };
            let captures = pattern.captures(text(arguments, 1)?);
            Ok(captures.map_or(Value::Null, |captures| group_value(&captures, group)))
        },
    ),
    ScalarFunction::new(
        "REGEXP_EXTRACT_ALL",
        "All parts of a text that a pattern matches, or a group of each.",
        |arguments| {
            let array = || SqlType::Array(Box::new(SqlType::String));
            accepts(arguments, &[Kind::String; 2], &[Kind::Integer]).then(array)
        },
        |arguments| {
            let pattern = compiled(text(arguments, 0)?)?;
            let Some(group) = group(&pattern, arguments)? else {
                return Ok(Value::Null);
            };
            let all = pattern.captures_iter(text(arguments, 1)?);
            Ok(Value::Array(
                all.map(|captures| group_value(&captures, group)).collect(),
            ))
        },
    ),
    ScalarFunction::new(
        "REGEXP_REPLACE",
        "The text with every part that a pattern matches replaced; $1 in the replacement is the first group.",
        |arguments| accepts(arguments, &[Kind::String; 3], &[]).then_some(SqlType::String),
        |arguments| replace(text(arguments, 0)?, text(arguments, 1)?, text(arguments, 2)?),
    ),
    ScalarFunction::new(
        "REGEXP_SPLIT_TO_ARRAY",
        "The parts between the matches of a pattern; an empty pattern splits every character.",
        |arguments| {
            let array = || SqlType::Array(Box::new(SqlType::String));
            accepts(arguments, &[Kind::String; 2], &[]).then(array)
        },
        |arguments| split(text(arguments, 0)?, text(arguments, 1)?),
    ),
];

fn compiled(pattern: &str) -> Result<Rc<Regex>, FunctionError> {
    thread_local! {
        static PATTERNS: RefCell<Cache<Regex>> = RefCell::new(Cache::new());
    }
    PATTERNS.with_borrow_mut(|patterns| {
        patterns.get_or_compile(pattern, |pattern| {
            let invalid =
                |error| FunctionError::new(format!("invalid regular expression `{pattern}`: {error}"));
            Regex::new(&translated(pattern)).map_err(invalid)
        })
    })
}

/// The pattern with Java's meaning where the `regex` crate reads it otherwise: `\d`, `\w`, `\s` and
/// `\b` know ASCII alone, `\Q…\E` quotes.
fn translated(pattern: &str) -> String {
    let mut result = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(backslash) = rest.find('\\') {
        result.push_str(&rest[..backslash]);
        let escape = &rest[backslash..];
        let Some(escaped) = escape[1..].chars().next() else {
            return result + escape;
        };
        rest = &escape[1 + escaped.len_utf8()..];
        match escaped {
            'd' => result.push_str("[0-9]"),
            'D' => result.push_str("[^0-9]"),
            'w' => result.push_str("[a-zA-Z0-9_]"),
            'W' => result.push_str("[^a-zA-Z0-9_]"),
            's' => result.push_str(r"[ \t\n\x0B\f\r]"),
            'S' => result.push_str(r"[^ \t\n\x0B\f\r]"),
            'h' => result.push_str(r"[ \t\x{A0}\x{1680}\x{180e}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}]"),
            'b' => result.push_str(r"(?-u:\b)"),
            'Q' => {
                let (quoted, after) = rest.split_once("\\E").unwrap_or((rest, ""));
                result.push_str(&regex::escape(quoted));
                rest = after;
            }
            'Z' => result.push_str(r"\n?\z"),
            '<' | '>' => result.push(escaped),
            _ => result.push_str(&escape[..1 + escaped.len_utf8()]),
        }
    }
    result + rest
}

/// The group asked for: the third argument, else the whole match. `None` where the pattern has no such
/// group.
fn group(pattern: &Regex, arguments: &[Value]) -> Result<Option<usize>, FunctionError> {
    if arguments.len() < 3 {
        return Ok(Some(0));
    }
    let group = usize::try_from(whole(arguments, 2)?).ok();
    Ok(group.filter(|group| *group < pattern.captures_len()))
}

fn group_value(captures: &Captures<'_>, group: usize) -> Value {
    captures
        .get(group)
        .map_or(Value::Null, |part| Value::string(part.as_str()))
}

fn replace(input: &str, pattern: &str, replacement: &str) -> Result<Value, FunctionError> {
    let pattern = compiled(pattern)?;
    let parts = replacement_parts(replacement, &pattern)?;
    let replaced = pattern.replace_all(input, |captures: &Captures<'_>| {
        parts.iter().fold(String::new(), |mut text, part| {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Group(group) => {
                    let part = captures.get(*group).map_or("", |part| part.as_str());
                    // Writing to a String cannot fail.
                    let _ = text.write_str(part);
                }
            }
            text
        })
    });
    Ok(Value::string(replaced.as_ref()))
}

enum Part {
    Text(String),
    Group(usize),
}

/// Java's replacement text: `$1` and `${name}` are groups, a backslash takes the next character as it is.
/// A group's number goes on as long as the pattern has that many groups.
fn replacement_parts(replacement: &str, pattern: &Regex) -> Result<Vec<Part>, FunctionError> {
    let invalid = |what: &str| FunctionError::new(format!("invalid replacement `{replacement}`: {what}"));
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut characters = replacement.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' => literal.push(
                characters
                    .next()
                    .ok_or_else(|| invalid("nothing follows the backslash"))?,
            ),
            '$' => {
                parts.push(Part::Text(std::mem::take(&mut literal)));
                if characters.next_if_eq(&'{').is_some() {
                    let name: String =
                        std::iter::from_fn(|| characters.next_if(|next| *next != '}')).collect();
                    let closed = characters.next().is_some();
                    let known = pattern
                        .capture_names()
                        .position(|known| known == Some(name.as_str()));
                    let group = known
                        .filter(|_| closed)
                        .ok_or_else(|| invalid("there is no such group"))?;
                    parts.push(Part::Group(group));
                    continue;
                }
                let mut digit = || {
                    characters
                        .next_if(char::is_ascii_digit)
                        .and_then(|digit| digit.to_digit(10))
                };
                let mut group = digit().ok_or_else(|| invalid("no group follows the dollar sign"))? as usize;
                if group >= pattern.captures_len() {
                    return Err(invalid("there is no such group"));
                }
                while let Some(next) = characters.peek().and_then(|next| next.to_digit(10)) {
                    let longer = group * 10 + next as usize;
                    if longer >= pattern.captures_len() {
                        break;
                    }
                    group = longer;
                    characters.next();
                }
                parts.push(Part::Group(group));
            }
            _ => literal.push(character),
        }
    }
    parts.push(Part::Text(literal));
    Ok(parts)
}

fn split(input: &str, pattern: &str) -> Result<Value, FunctionError> {
    let pattern = compiled(pattern)?;
    let mut parts = Vec::new();
    let mut start = 0;
    for found in pattern.find_iter(input) {
        // Java lets no empty match split at the beginning, nor at the end.
        if found.is_empty() && (found.start() == 0 || found.end() == input.len()) {
            continue;
        }
        parts.push(Value::string(&input[start..found.start()]));
        start = found.end();
    }
    parts.push(Value::string(&input[start..]));
    Ok(Value::Array(parts.into()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{array, call, failing_call, i, s};
    use super::*;

    #[test]
    fn extracting() {
        assert_eq!(
            call("REGEXP_EXTRACT", [s("(.*) (.*)"), s("hello there"), i(2)]),
            s("there")
        );
        assert_eq!(call("REGEXP_EXTRACT", [s(r"\w+"), s("--ab--")]), s("ab"));
        assert_eq!(call("REGEXP_EXTRACT", [s("x"), s("abc")]), Value::Null);
        assert_eq!(call("REGEXP_EXTRACT", [s("a"), s("abc"), i(1)]), Value::Null);
        assert_eq!(call("REGEXP_EXTRACT", [s("a"), s("abc"), i(-1)]), Value::Null);
        assert_eq!(call("REGEXP_EXTRACT", [s("a(x)?"), s("abc"), i(1)]), Value::Null);
        assert_eq!(call("REGEXP_EXTRACT", [Value::Null, s("abc")]), Value::Null);
        assert_eq!(
            call(
                "REGEXP_EXTRACT_ALL",
                [s(r"(\w+) (\w+)"), s("hello there nice day"), i(2)]
            ),
            array([s("there"), s("day")])
        );
        assert_eq!(call("REGEXP_EXTRACT_ALL", [s("x"), s("abc")]), array([]));
    }

    #[test]
    fn replacing() {
        let replace = |input: &str, pattern: &str, replacement: &str| {
            call("REGEXP_REPLACE", [s(input), s(pattern), s(replacement)])
        };
        assert_eq!(replace("axb ayyb", "a.b", "-"), s("- ayyb"));
        assert_eq!(replace("john smith", r"(\w+) (\w+)", "$2 $1"), s("smith john"));
        assert_eq!(replace("ab", "(a)", "$10"), s("a0b"));
        assert_eq!(replace("ab", "(?<first>a)", r"${first}\$"), s("a$b"));
        for bad in ["$", "$9", "${x}", "\\"] {
            assert!(
                failing_call("REGEXP_REPLACE", [s("a"), s("a"), s(bad)]).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn splitting() {
        let split = |input: &str, pattern: &str| call("REGEXP_SPLIT_TO_ARRAY", [s(input), s(pattern)]);
        assert_eq!(split("a1b22c", "[0-9]+"), array(["a", "b", "c"].map(s)));
        assert_eq!(split("xaxbx", "x"), array(["", "a", "b", ""].map(s)));
        assert_eq!(split("abc", "z"), array([s("abc")]));
        assert_eq!(split("abc", ""), array(["a", "b", "c"].map(s)));
        assert_eq!(split("", "x"), array([s("")]));
    }

    #[test]
    fn patterns_mean_what_they_mean_in_java() {
        let extract = |pattern: &str, input: &str| call("REGEXP_EXTRACT", [s(pattern), s(input)]);
        assert_eq!(extract(r"\d+", "٣٤5"), s("5"));
        assert_eq!(extract(r"[\d.]+", "v1.2x"), s("1.2"));
        assert_eq!(extract(r"[^\d]+", "12ab"), s("ab"));
        assert_eq!(extract(r"\Qa.b\E.", "axb a.bc"), s("a.bc"));
        assert_eq!(extract(r"\\d", r"5\d"), s(r"\d"));
        assert_eq!(extract(r"\<b\>", "<b>"), s("<b>"));
        let error = failing_call("REGEXP_EXTRACT", [s("a(?=b)"), s("ab")]).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("invalid regular expression `a(?=b)`"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn no_pattern_panics(pattern in any::<String>(), replacement in any::<String>(), input in any::<String>()) {
            let _ = failing_call("REGEXP_EXTRACT", [s(&pattern), s(&input)]);
            let _ = failing_call("REGEXP_REPLACE", [s(&input), s(&pattern), s(&replacement)]);
            let _ = failing_call("REGEXP_SPLIT_TO_ARRAY", [s(&input), s(&pattern)]);
        }

        #[test]
        fn ascii_patterns_compile_or_say_why(pattern in "[a-c\\\\dwsbQE.*+?()\\[\\]^$|{}0-9]{0,12}") {
            let _ = failing_call("REGEXP_EXTRACT_ALL", [s(&pattern), s("abc 123")]);
        }
    }
}
