//! osquery's own SQL functions, as far as they need nothing but their arguments: `split`, `regex_split`,
//! `regex_match`, `inet_aton`, `md5`, `sha1`, `sha256`. A null argument makes the result null.

use std::error::Error;
use std::net::Ipv4Addr;
use std::sync::Arc;

use regex::Regex;
use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use sha2::Digest;

type BoxError = Box<dyn Error + Send + Sync>;
type Answer = Result<Option<String>, rusqlite::Error>;

/// Makes the functions known to a connection.
pub(super) fn register(connection: &Connection) -> Result<(), rusqlite::Error> {
    const PURE: FunctionFlags = FunctionFlags::SQLITE_UTF8.union(FunctionFlags::SQLITE_DETERMINISTIC);
    connection.create_scalar_function("split", 3, PURE, split)?;
    connection.create_scalar_function("regex_split", 3, PURE, regex_split)?;
    connection.create_scalar_function("regex_match", 3, PURE, regex_match)?;
    connection.create_scalar_function("inet_aton", 1, PURE, inet_aton)?;
    connection.create_scalar_function("md5", 1, PURE, digest::<md5::Md5>)?;
    connection.create_scalar_function("sha1", 1, PURE, digest::<sha1::Sha1>)?;
    connection.create_scalar_function("sha256", 1, PURE, digest::<sha2::Sha256>)?;
    Ok(())
}

/// `split(text, separators, index)`: the part of that index, from 0. Each character of `separators` separates;
/// parts are trimmed, and empty ones do not count.
fn split(context: &mut Context<'_>) -> Answer {
    let (Some(text), Some(separators)) = (text(context, 0), text(context, 1)) else {
        return Ok(None);
    };
    let parts = text.split(|c| separators.contains(c));
    Ok(nth_part(parts, context.get(2)?))
}

/// `regex_split(text, pattern, index)`: the same, separated by what the pattern matches.
fn regex_split(context: &mut Context<'_>) -> Answer {
    let (Some(text), Some(pattern)) = (text(context, 0), pattern(context)?) else {
        return Ok(None);
    };
    Ok(nth_part(pattern.split(&text), context.get(2)?))
}

fn nth_part<'a>(parts: impl Iterator<Item = &'a str>, index: i64) -> Option<String> {
    let mut parts = parts.map(str::trim).filter(|part| !part.is_empty());
    parts.nth(usize::try_from(index).ok()?).map(str::to_owned)
}

/// `regex_match(text, pattern, group)`: what the group matched; group 0 is the whole match.
fn regex_match(context: &mut Context<'_>) -> Answer {
    let (Some(text), Some(pattern)) = (text(context, 0), pattern(context)?) else {
        return Ok(None);
    };
    let Ok(group) = usize::try_from(context.get::<i64>(2)?) else {
        return Ok(None);
    };
    let group = pattern.captures(&text).and_then(|captures| captures.get(group));
    Ok(group.map(|group| group.as_str().to_owned()))
}

/// `inet_aton(address)`: an IPv4 address as a number.
fn inet_aton(context: &mut Context<'_>) -> Result<Option<i64>, rusqlite::Error> {
    let address = text(context, 0).and_then(|text| text.parse::<Ipv4Addr>().ok());
    Ok(address.map(|address| i64::from(u32::from(address))))
}

fn digest<D: Digest>(context: &mut Context<'_>) -> Answer {
    let Some(text) = text(context, 0) else {
        return Ok(None);
    };
    let digest = D::digest(text.as_bytes());
    Ok(Some(digest.iter().map(|byte| format!("{byte:02x}")).collect()))
}

/// The second argument as a pattern, compiled once a statement where it is constant.
fn pattern(context: &Context<'_>) -> Result<Option<Arc<Regex>>, rusqlite::Error> {
    if context.get_raw(1) == ValueRef::Null {
        return Ok(None);
    }
    let compile = |value: ValueRef<'_>| -> Result<Regex, BoxError> {
        Regex::new(value.as_str()?).map_err(|error| format!("Invalid regex: {error}").into())
    };
    Ok(Some(context.get_or_create_aux(1, compile)?))
}

/// An argument as text, as SQLite's CAST makes it; null is none.
fn text(context: &Context<'_>, index: usize) -> Option<String> {
    match context.get_raw(index) {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(text) | ValueRef::Blob(text) => Some(String::from_utf8_lossy(text).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(expression: &str) -> Result<Option<String>, rusqlite::Error> {
        let connection = Connection::open_in_memory().unwrap();
        register(&connection).unwrap();
        connection.query_row(&format!("select cast({expression} as text)"), [], |row| {
            row.get(0)
        })
    }

    #[test]
    fn functions_answer_as_osquerys() {
        let cases = [
            ("split('/usr/bin/head', '/', 0)", Some("usr")),
            ("split('/usr/bin/head', '/', 2)", Some("head")),
            ("split('/usr/bin/head', '/', 3)", None),
            ("split('a, b;c', ',;', 1)", Some("b")),
            ("split('a', ',', -1)", None),
            ("split(null, ',', 0)", None),
            ("regex_split('a1b22c', '[0-9]+', 2)", Some("c")),
            ("regex_match('pid=42 x', 'pid=([0-9]+)', 1)", Some("42")),
            ("regex_match('pid=42 x', 'pid=([0-9]+)', 0)", Some("pid=42")),
            ("regex_match('nothing', 'pid=([0-9]+)', 0)", None),
            ("regex_match('a', null, 0)", None),
            ("inet_aton('1.2.3.4')", Some("16909060")),
            ("inet_aton('nowhere')", None),
            ("md5('')", Some("d41d8cd98f00b204e9800998ecf8427e")),
            ("sha1('abc')", Some("a9993e364706816aba3e25717850c26c9cd0d89d")),
            (
                "sha256('')",
                Some("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ),
        ];
        for (expression, expected) in cases {
            assert_eq!(value(expression).unwrap().as_deref(), expected, "{expression}");
        }
        let error = value("regex_match('a', '(', 0)").unwrap_err().to_string();
        assert!(error.contains("Invalid regex"), "{error}");
    }
}
