//! Functions of regular expressions. Patterns are Java's as far as the `regex` crate has their like; those with
//! look-around, back-references or atomic groups go to `fancy-regex`, whose search is bounded. Parts are found one
//! after the other as Java finds them: behind one that is not empty there may be an empty one.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use super::arguments::{Kind, accepts, array_of, text, whole};
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
            let input = text(arguments, 1)?;
            let found = pattern.find(input, 0)?;
            Ok(found.map_or(Value::Null, |groups| group_value(input, &groups, group)))
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
            let input = text(arguments, 1)?;
            let mut values = Vec::new();
            pattern.each(input, |groups| values.push(group_value(input, groups, group)))?;
            Ok(Value::Array(values.into()))
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

/// A pattern, ready.
enum Pattern {
    Plain(regex::Regex),
    Fancy(fancy_regex::Regex),
}

/// Where the groups of a match lie; the first is the whole match.
type Groups = Vec<Option<Range<usize>>>;

impl Pattern {
    fn new(pattern: &str) -> Result<Self, FunctionError> {
        let translated = translated(pattern);
        let invalid = |error| FunctionError::new(format!("invalid regular expression `{pattern}`: {error}"));
        let fancy = || fancy_regex::Regex::new(&translated.replace(PLAIN_BOUNDARY, "\\b"));
        if has_possessive(&translated) {
            let fancy = fancy();
            return fancy.map(Self::Fancy).map_err(|error| {
                FunctionError::new(format!("invalid regular expression `{pattern}`: {error}"))
            });
        }
        match regex::Regex::new(&translated) {
            Ok(plain) => Ok(Self::Plain(plain)),
            // What it does not know may be what the other one knows.
            Err(error @ regex::Error::Syntax(_)) => fancy().map(Self::Fancy).map_err(|_| invalid(error)),
            Err(error) => Err(invalid(error)),
        }
    }

    /// How many groups there are, the whole match included.
    fn groups(&self) -> usize {
        match self {
            Self::Plain(pattern) => pattern.captures_len(),
            Self::Fancy(pattern) => pattern.captures_len(),
        }
    }

    fn group_of(&self, name: &str) -> Option<usize> {
        match self {
            Self::Plain(pattern) => pattern.capture_names().position(|known| known == Some(name)),
            Self::Fancy(pattern) => pattern.capture_names().position(|known| known == Some(name)),
        }
    }

    /// The first match that begins at a place or behind it.
    fn find(&self, input: &str, from: usize) -> Result<Option<Groups>, FunctionError> {
        match self {
            Self::Plain(pattern) => {
                let captures = pattern.captures_at(input, from);
                Ok(captures.map(|found| found.iter().map(|group| group.map(|part| part.range())).collect()))
            }
            Self::Fancy(pattern) => {
                let captures = pattern.captures_from_pos(input, from);
                let captures = captures.map_err(|error| FunctionError::new(error.to_string()))?;
                Ok(captures.map(|found| found.iter().map(|group| group.map(|part| part.range())).collect()))
            }
        }
    }

    /// Looks at all matches.
    fn each(&self, input: &str, mut look: impl FnMut(&Groups)) -> Result<(), FunctionError> {
        let mut from = Some(0);
        while let Some(place) = from
            && let Some(groups) = self.find(input, place)?
        {
            let whole = whole_of(&groups);
            from = match whole.is_empty() {
                false => Some(whole.end),
                true => behind(input, whole.end),
            };
            look(&groups);
        }
        Ok(())
    }
}

fn whole_of(groups: &Groups) -> Range<usize> {
    groups.first().cloned().flatten().unwrap_or_default()
}

/// The place behind the character at a place.
fn behind(input: &str, place: usize) -> Option<usize> {
    input[place..].chars().next().map(|next| place + next.len_utf8())
}

fn compiled(pattern: &str) -> Result<Rc<Pattern>, FunctionError> {
    thread_local! {
        static PATTERNS: RefCell<Cache<Pattern>> = RefCell::new(Cache::new());
    }
    PATTERNS.with_borrow_mut(|patterns| patterns.get_or_compile(pattern, Pattern::new))
}

/// Whether a `+` behind a quantifier makes it keep what it took, as in `a*+`: the `regex` crate repeats `a*` then.
fn has_possessive(pattern: &str) -> bool {
    let mut characters = pattern.chars().peekable();
    let mut classes = 0_u32;
    let mut before = ' ';
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                characters.next();
                if characters.next_if_eq(&'{').is_some() {
                    characters.by_ref().find(|next| *next == '}');
                }
            }
            '[' => classes += 1,
            ']' => classes = classes.saturating_sub(1),
            '*' | '+' | '?' | '}' if classes == 0 && before != '(' => {
                let is_lazy = characters.next_if_eq(&'?').is_some();
                if !is_lazy && characters.next_if_eq(&'+').is_some() {
                    return true;
                }
            }
            _ => {}
        }
        before = character;
    }
    false
}

/// `\b` of ASCII.
const PLAIN_BOUNDARY: &str = r"(?-u:\b)";

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
            'b' => result.push_str(PLAIN_BOUNDARY),
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
fn group(pattern: &Pattern, arguments: &[Value]) -> Result<Option<usize>, FunctionError> {
    if arguments.len() < 3 {
        return Ok(Some(0));
    }
    let group = usize::try_from(whole(arguments, 2)?).ok();
    Ok(group.filter(|group| *group < pattern.groups()))
}

fn group_value(input: &str, groups: &Groups, group: usize) -> Value {
    let part = groups.get(group).cloned().flatten();
    part.map_or(Value::Null, |part| Value::string(&input[part]))
}

fn replace(input: &str, pattern: &str, replacement: &str) -> Result<Value, FunctionError> {
    let pattern = compiled(pattern)?;
    let parts = replacement_parts(replacement, &pattern)?;
    let mut replaced = String::new();
    let mut kept = 0;
    pattern.each(input, |groups| {
        let whole = whole_of(groups);
        replaced.push_str(&input[kept..whole.start]);
        kept = whole.end;
        for part in &parts {
            match part {
                Part::Text(literal) => replaced.push_str(literal),
                Part::Group(group) => {
                    let part = groups.get(*group).cloned().flatten();
                    replaced.push_str(&input[part.unwrap_or_default()]);
                }
            }
        }
    })?;
    replaced.push_str(&input[kept..]);
    Ok(Value::string(replaced.as_str()))
}

enum Part {
    Text(String),
    Group(usize),
}

/// Java's replacement text: `$1` and `${name}` are groups, a backslash takes the next character as it is.
/// A group's number goes on as long as the pattern has that many groups.
fn replacement_parts(replacement: &str, pattern: &Pattern) -> Result<Vec<Part>, FunctionError> {
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
                    let group = pattern
                        .group_of(&name)
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
                if group >= pattern.groups() {
                    return Err(invalid("there is no such group"));
                }
                while let Some(next) = characters.peek().and_then(|next| next.to_digit(10)) {
                    let longer = group * 10 + next as usize;
                    if longer >= pattern.groups() {
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
    let empty = pattern.find("", 0)?;
    let parts = match empty {
        Some(_) => split_at_all(input, &pattern)?,
        None => split_at_separators(input, &pattern)?,
    };
    array_of(parts.into_iter().map(Value::string))
}

/// What Java's own split does, which takes the place of Guava's where a pattern matches nothing: no part before an
/// empty match at the beginning, and no empty parts at the end.
fn split_at_all<'a>(input: &'a str, pattern: &Pattern) -> Result<Vec<&'a str>, FunctionError> {
    let mut parts = Vec::new();
    let mut start = 0;
    pattern.each(input, |groups| {
        let found = whole_of(groups);
        if found != (0..0) {
            parts.push(&input[start..found.start]);
            start = found.end;
        }
    })?;
    if start == 0 {
        return Ok(vec![input]);
    }
    parts.push(&input[start..]);
    while parts.last().is_some_and(|part| part.is_empty()) {
        parts.pop();
    }
    Ok(parts)
}

/// What Guava's does: empty parts stay. Where a separator is a mere place, it parts what lies before from what follows.
fn split_at_separators<'a>(input: &'a str, pattern: &Pattern) -> Result<Vec<&'a str>, FunctionError> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut from = Some(0);
    while let Some(place) = from
        && let Some(groups) = pattern.find(input, place)?
    {
        let found = whole_of(&groups);
        if found.end == start {
            from = behind(input, start);
            if from.is_none() {
                return Ok(parts);
            }
            continue;
        }
        parts.push(&input[start..found.start]);
        start = found.end;
        from = Some(start);
    }
    parts.push(&input[start..]);
    Ok(parts)
}

#[cfg(test)]
mod tests;
