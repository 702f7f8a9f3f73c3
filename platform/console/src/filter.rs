//! Which records are wanted: conditions on key, value, headers, or a path into a JSON value. All must hold.
//!
//! A search looks at a million records, so what is cheap comes first: a text that is looked for at a path must occur in
//! the bytes before they are read as JSON.

use std::borrow::Cow;

use memchr::memmem;
use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;
use serde_json::Value;

/// How many conditions a filter may have.
const CONDITION_LIMIT: usize = 16;
/// How large a compiled regular expression may be.
const REGEX_LIMIT: usize = 256 * 1024;

/// A condition as the page writes it.
#[derive(Debug, Clone, Deserialize)]
pub struct Written {
    /// `key`, `value`, `partition`, `header:NAME`, or a path such as `columns.pid` or `columns['pid']`.
    pub field: String,
    /// How it is compared.
    pub operator: Operator,
    /// What it is compared with.
    #[serde(default)]
    pub text: String,
}

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// The text occurs in it.
    Contains,
    /// The text does not occur in it.
    Lacks,
    /// It is the text.
    Equals,
    /// It is not the text.
    Differs,
    /// The regular expression matches somewhere in it.
    Matches,
    /// It is there.
    Exists,
    /// It is not there.
    Missing,
    /// As a number it is greater.
    Above,
    /// As a number it is smaller.
    Below,
}

/// Why a condition means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Too many conditions.
    #[error("a filter has at most {CONDITION_LIMIT} conditions")]
    TooMany,
    /// Not a field.
    #[error("`{0}` is not a field: write key, value, partition, header:NAME or a path such as columns.pid")]
    Field(String),
    /// Not a regular expression, or too large a one.
    #[error("`{text}` is not a regular expression that can be used: {reason}")]
    Regex {
        /// What was written.
        text: String,
        /// Why.
        reason: String,
    },
    /// Not a number.
    #[error("`{0}` is not a number")]
    Number(String),
}

/// What a condition looks at.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    /// The partition.
    pub partition: i32,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value.
    pub value: Option<&'a [u8]>,
}

#[derive(Debug)]
enum Field {
    Key,
    Value,
    Partition,
    Header(String),
    Path(Vec<String>),
}

#[derive(Debug)]
enum Test {
    Contains(Box<memmem::Finder<'static>>),
    Equals(Vec<u8>),
    Matches(Regex),
    Exists,
    Above(f64),
    Below(f64),
}

#[derive(Debug)]
struct Condition {
    field: Field,
    test: Test,
    is_negated: bool,
}

/// Conditions that must all hold.
#[derive(Debug, Default)]
pub struct Filter {
    conditions: Vec<Condition>,
}

impl Filter {
    /// Reads the conditions.
    ///
    /// # Errors
    /// [`FilterError`] for the first one that means nothing.
    pub fn new(written: &[Written]) -> Result<Self, FilterError> {
        if written.len() > CONDITION_LIMIT {
            return Err(FilterError::TooMany);
        }
        let conditions = written.iter().map(Condition::new).collect::<Result<_, _>>()?;
        Ok(Self { conditions })
    }

    /// Whether every record is wanted.
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// Whether a record is wanted. `header` finds a header's value by its name; the last one of a name counts.
    pub fn wants<'a>(&self, fields: Fields<'a>, header: impl Fn(&str) -> Option<&'a [u8]>) -> bool {
        let mut json: Option<Option<Value>> = None;
        self.conditions.iter().all(|condition| {
            let found = match &condition.field {
                Field::Key => fields.key.map(Cow::Borrowed),
                Field::Value => fields.value.map(Cow::Borrowed),
                Field::Partition => Some(Cow::Owned(fields.partition.to_string().into_bytes())),
                Field::Header(name) => header(name).map(Cow::Borrowed),
                Field::Path(path) => {
                    let value = fields.value.unwrap_or_default();
                    if !condition.may_be_in(value) {
                        None
                    } else {
                        let json = json.get_or_insert_with(|| serde_json::from_slice(value).ok());
                        json.as_ref()
                            .and_then(|json| at(json, path))
                            .map(|found| Cow::Owned(text_of(found).into_bytes()))
                    }
                }
            };
            condition.holds(found.as_deref())
        })
    }
}

impl Condition {
    fn new(written: &Written) -> Result<Self, FilterError> {
        let bytes = || written.text.clone().into_bytes();
        let contains = || Test::Contains(Box::new(memmem::Finder::new(&bytes()).into_owned()));
        let number = || {
            written
                .text
                .trim()
                .parse::<f64>()
                .map_err(|_| FilterError::Number(written.text.clone()))
        };
        let (test, is_negated) = match written.operator {
            Operator::Contains => (contains(), false),
            Operator::Lacks => (contains(), true),
            Operator::Equals => (Test::Equals(bytes()), false),
            Operator::Differs => (Test::Equals(bytes()), true),
            Operator::Exists => (Test::Exists, false),
            Operator::Missing => (Test::Exists, true),
            Operator::Above => (Test::Above(number()?), false),
            Operator::Below => (Test::Below(number()?), false),
            Operator::Matches => {
                let regex = RegexBuilder::new(&written.text).size_limit(REGEX_LIMIT).build();
                let regex = regex.map_err(|error| FilterError::Regex {
                    text: written.text.clone(),
                    reason: error
                        .to_string()
                        .lines()
                        .last()
                        .unwrap_or_default()
                        .trim()
                        .to_owned(),
                })?;
                (Test::Matches(regex), false)
            }
        };
        Ok(Self {
            field: Field::new(&written.field)?,
            test,
            is_negated,
        })
    }

    fn holds(&self, found: Option<&[u8]>) -> bool {
        let number = || found.and_then(|bytes| std::str::from_utf8(bytes).ok()?.trim().parse::<f64>().ok());
        let holds = match &self.test {
            Test::Exists => found.is_some(),
            Test::Contains(finder) => found.is_some_and(|bytes| finder.find(bytes).is_some()),
            Test::Equals(wanted) => found.is_some_and(|bytes| bytes == wanted.as_slice()),
            Test::Matches(regex) => found.is_some_and(|bytes| regex.is_match(bytes)),
            Test::Above(limit) => number().is_some_and(|number| number > *limit),
            Test::Below(limit) => number().is_some_and(|number| number < *limit),
        };
        holds != self.is_negated
    }

    /// Whether a JSON text could hold what is looked for; an escape could hide it.
    fn may_be_in(&self, json: &[u8]) -> bool {
        let is_plain = |text: &[u8]| {
            text.iter()
                .all(|byte| byte.is_ascii_graphic() && !br#""\/"#.contains(byte))
        };
        let occurs =
            |text: &[u8], found: bool| found || !is_plain(text) || memchr::memchr(b'\\', json).is_some();
        match &self.test {
            // A number or an object is compared as serde_json writes it, so only what looks like neither is looked for.
            Test::Contains(finder) if has_letter(finder.needle()) => {
                occurs(finder.needle(), finder.find(json).is_some())
            }
            Test::Equals(wanted) if has_letter(wanted) => {
                occurs(wanted, memmem::find(json, wanted).is_some())
            }
            _ => true,
        }
    }
}

/// Whether a text has a letter that neither a number nor a literal is written with.
fn has_letter(text: &[u8]) -> bool {
    text.iter()
        .any(|byte| byte.is_ascii_alphabetic() && !matches!(byte, b'e' | b'E'))
        && !text.iter().any(|byte| br#"{}[]:,""#.contains(byte))
}

impl Field {
    fn new(text: &str) -> Result<Self, FilterError> {
        let wrong = || FilterError::Field(text.to_owned());
        match text.trim() {
            "key" => Ok(Self::Key),
            "value" => Ok(Self::Value),
            "partition" => Ok(Self::Partition),
            header if header.starts_with("header:") => Ok(Self::Header(header["header:".len()..].to_owned())),
            path => steps(path)
                .filter(|steps| !steps.is_empty())
                .map(Self::Path)
                .ok_or_else(wrong),
        }
    }
}

/// The steps of `columns.pid`, `columns['pid']`, `["a"][0].b`; a leading `$` stands for the value.
fn steps(path: &str) -> Option<Vec<String>> {
    let mut rest = path.strip_prefix('$').unwrap_or(path);
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let quote = inner.chars().next().filter(|first| matches!(first, '\'' | '"'));
            let (step, after) = match quote {
                Some(quote) => {
                    let (step, after) = inner[1..].split_once(quote)?;
                    (step, after.strip_prefix(']')?)
                }
                None => inner.split_once(']')?,
            };
            steps.push(step.to_owned());
            rest = after;
        } else {
            let name = rest.strip_prefix('.').unwrap_or(rest);
            let end = name.find(['.', '[']).unwrap_or(name.len());
            if end == 0 {
                return None;
            }
            steps.push(name[..end].to_owned());
            rest = &name[end..];
        }
    }
    Some(steps)
}

/// The value at a path, names of objects in any case where none is equal.
fn at<'a>(json: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(json, |value, step| match value {
        Value::Object(fields) => fields.get(step).or_else(|| {
            fields
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(step))
                .map(|(_, value)| value)
        }),
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        _ => None,
    })
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: &[u8] =
        br#"{"name":"processes","columns":{"pid":"4","path":"\/usr\/bin\/head","n":1.5},"tags":["a","b"]}"#;

    fn wants(field: &str, operator: Operator, text: &str) -> bool {
        let written = Written {
            field: field.to_owned(),
            operator,
            text: text.to_owned(),
        };
        let fields = Fields {
            partition: 3,
            key: Some(b"host2"),
            value: Some(LINE),
        };
        let header = |name: &str| (name == "osqdemo-seq").then_some(b"17".as_slice());
        Filter::new(&[written]).unwrap().wants(fields, header)
    }

    #[test]
    fn every_field_and_operator() {
        use Operator::*;
        assert!(wants("key", Equals, "host2"));
        assert!(wants("key", Differs, "host1"));
        assert!(wants("value", Contains, "processes"));
        assert!(wants("value", Lacks, "open_files"));
        assert!(wants("partition", Equals, "3"));
        assert!(wants("header:osqdemo-seq", Above, "16"));
        assert!(wants("header:nope", Missing, ""));
        assert!(wants("columns.pid", Equals, "4"));
        assert!(wants("$['columns'][\"pid\"]", Below, "5"));
        assert!(wants("COLUMNS.PATH", Equals, "/usr/bin/head"));
        assert!(wants("columns.path", Matches, "head$"));
        assert!(wants("tags[1]", Equals, "b"));
        assert!(wants("columns.n", Equals, "1.5"));
        assert!(wants("columns", Exists, ""));
        assert!(!wants("columns.nope", Equals, "x"));
        assert!(wants("columns.nope", Differs, "x"));
        assert!(wants("columns", Contains, r#""pid":"4""#));
    }

    #[test]
    fn what_means_nothing_is_told() {
        let refused = |field: &str, operator, text: &str| {
            let written = Written {
                field: field.to_owned(),
                operator,
                text: text.to_owned(),
            };
            Filter::new(&[written]).unwrap_err().to_string()
        };
        assert!(refused("", Operator::Exists, "").contains("not a field"));
        assert!(refused("a..b", Operator::Exists, "").contains("`a..b` is not a field"));
        assert!(refused("a['b", Operator::Exists, "").contains("not a field"));
        assert!(refused("key", Operator::Matches, "(").contains("unclosed group"));
        assert!(refused("key", Operator::Above, "many").contains("`many` is not a number"));
        assert!(refused("key", Operator::Matches, &"(a{999}){999}".repeat(3)).contains("size limit"));
    }

    proptest! {
        /// The shortcut never changes an answer.
        #[test]
        fn a_text_at_a_path_is_found_however_it_is_written(text in "[a-zé/\"\\\\ e0-9]{0,6}", other in any::<String>()) {
            let value = serde_json::to_vec(&serde_json::json!({"a": {"b": text, "c": other}})).unwrap();
            let written = |operator| Written { field: "a.b".to_owned(), operator, text: text.clone() };
            for operator in [Operator::Equals, Operator::Contains] {
                let filter = Filter::new(&[written(operator)]).unwrap();
                let fields = Fields { partition: 0, key: None, value: Some(&value) };
                prop_assert!(filter.wants(fields, |_| None));
            }
        }

        #[test]
        fn any_path_is_read_or_refused(path in any::<String>()) {
            let _ = steps(&path);
        }
    }
}
