//! Functions of URLs, by the grammar of RFC 3986.

use super::arguments::{Kind, accepts, text};
use super::{Call, FunctionError, ScalarFunction};
use crate::types::SqlType;
use crate::value::Value;

pub(super) static FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        "URL_ENCODE_PARAM",
        "The text as a parameter of a URL's query, form-encoded.",
        of_string,
        |arguments| Ok(Value::string(encoded(text(arguments, 0)?))),
    ),
    ScalarFunction::new(
        "URL_DECODE_PARAM",
        "The text that a parameter of a URL's query stands for.",
        of_string,
        |arguments| {
            let encoded = text(arguments, 0)?;
            let invalid = || FunctionError::new(format!("`{encoded}` is not URL-encoded"));
            decoded(encoded, Plus::IsSpace)
                .map(Value::string)
                .ok_or_else(invalid)
        },
    ),
    extract(
        "URL_EXTRACT_FRAGMENT",
        "The URL's fragment, decoded.",
        |arguments| part(arguments, |url| decoded(url.fragment?, Plus::IsPlus)),
    ),
    extract("URL_EXTRACT_HOST", "The URL's host.", |arguments| {
        part(arguments, |url| url.host.map(str::to_owned))
    }),
    extract("URL_EXTRACT_PATH", "The URL's path, decoded.", |arguments| {
        part(arguments, |url| decoded(url.path, Plus::IsPlus))
    }),
    extract("URL_EXTRACT_PROTOCOL", "The URL's scheme.", |arguments| {
        part(arguments, |url| url.scheme.map(str::to_owned))
    }),
    extract("URL_EXTRACT_QUERY", "The URL's query, decoded.", |arguments| {
        part(arguments, |url| decoded(url.query?, Plus::IsPlus))
    }),
    ScalarFunction::new(
        "URL_EXTRACT_PORT",
        "The URL's port, where it names one.",
        |arguments| accepts(arguments, &[Kind::String], &[]).then_some(SqlType::Integer),
        |arguments| {
            let port = Url::parse(text(arguments, 0)?).and_then(|url| url.port);
            Ok(port.map_or(Value::Null, |port| Value::Integer(i32::from(port))))
        },
    ),
    ScalarFunction::new(
        "URL_EXTRACT_PARAMETER",
        "The value of a parameter in the URL's query, decoded.",
        |arguments| accepts(arguments, &[Kind::String; 2], &[]).then_some(SqlType::String),
        |arguments| {
            let wanted = text(arguments, 1)?;
            let found = Url::parse(text(arguments, 0)?).and_then(|url| parameter(url.query?, wanted));
            Ok(found.map_or(Value::Null, Value::string))
        },
    ),
];

fn of_string(arguments: &[Option<SqlType>]) -> Option<SqlType> {
    accepts(arguments, &[Kind::String], &[]).then_some(SqlType::String)
}

const fn extract(name: &'static str, description: &'static str, call: Call) -> ScalarFunction {
    ScalarFunction::new(name, description, of_string, call)
}

fn part(arguments: &[Value], part: fn(Url<'_>) -> Option<String>) -> Result<Value, FunctionError> {
    let found = Url::parse(text(arguments, 0)?).and_then(part);
    Ok(found.map_or(Value::Null, Value::string))
}

fn parameter(query: &str, wanted: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let is_wanted = decoded(name, Plus::IsSpace).as_deref() == Some(wanted);
        is_wanted.then(|| decoded(value, Plus::IsSpace))?
    })
}

/// A URL's parts, still encoded.
struct Url<'text> {
    scheme: Option<&'text str>,
    host: Option<&'text str>,
    port: Option<u16>,
    path: &'text str,
    query: Option<&'text str>,
    fragment: Option<&'text str>,
}

impl<'text> Url<'text> {
    /// The parts, or `None` where the text is no URL.
    fn parse(text: &'text str) -> Option<Self> {
        if !is_well_formed(text) {
            return None;
        }
        let (rest, fragment) = cut(text, '#');
        let (rest, query) = cut(rest, '?');
        let (scheme, rest) = match rest.split_once(':') {
            Some((scheme, after)) if is_scheme(scheme) => (Some(scheme), after),
            // A first segment with a colon that follows no scheme.
            Some((before, _)) if !before.contains('/') => return None,
            _ => (None, rest),
        };
        let (mut host, mut port) = (None, None);
        let mut path = rest;
        if let Some(hierarchy) = rest.strip_prefix("//") {
            let (authority, after) = hierarchy.split_at(hierarchy.find('/').unwrap_or(hierarchy.len()));
            path = after;
            let address = authority
                .rsplit_once('@')
                .map_or(authority, |(_, address)| address);
            let (name, after_name) = match address.find(']') {
                Some(bracket) => address.split_at(bracket + 1),
                None => address.split_at(address.find(':').unwrap_or(address.len())),
            };
            host = (!name.is_empty()).then_some(name);
            let digits = after_name.strip_prefix(':').unwrap_or("");
            if !digits.is_empty() {
                port = Some(digits.parse().ok()?);
            }
        }
        Some(Self {
            scheme,
            host,
            port,
            path,
            query,
            fragment,
        })
    }
}

fn cut(text: &str, separator: char) -> (&str, Option<&str>) {
    match text.split_once(separator) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Whether every character may stand in a URL, and every `%` has its two digits.
fn is_well_formed(text: &str) -> bool {
    let escapes_are_whole = text.split('%').skip(1).all(|after| {
        let digits = after.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    let forbidden =
        |character: char| character <= ' ' || r#""<>\^`{|}"#.contains(character) || character == '\u{7f}';
    escapes_are_whole && !text.contains(forbidden)
}

/// As `application/x-www-form-urlencoded` says.
fn encoded(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => result.push('+'),
            b'*' | b'-' | b'.' | b'_' => result.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => result.push(char::from(byte)),
            _ => result.push_str(&format!("%{byte:02X}")),
        }
    }
    result
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Plus {
    IsSpace,
    IsPlus,
}

/// The text without its escapes, or `None` where an escape is broken. What is no UTF-8 becomes U+FFFD.
fn decoded(text: &str, plus: Plus) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high << 4 | low).ok()?
            }
            b'+' if plus == Plus::IsSpace => b' ',
            _ => byte,
        });
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{call, failing_call, i, s};
    use super::*;

    #[test]
    fn parameters() {
        assert_eq!(
            call("URL_ENCODE_PARAM", [s("url encoded/ż*")]),
            s("url+encoded%2F%C5%BC*")
        );
        assert_eq!(call("URL_DECODE_PARAM", [s("url%20enc+oded")]), s("url enc oded"));
        assert!(failing_call("URL_DECODE_PARAM", [s("%2")]).is_err());
        assert!(failing_call("URL_DECODE_PARAM", [s("%zz")]).is_err());
        let get = |url: &str, name: &str| call("URL_EXTRACT_PARAMETER", [s(url), s(name)]);
        assert_eq!(get("http://test.com?a%20b=c%20d", "a b"), s("c d"));
        assert_eq!(get("http://test.com?a=foo&b=bar", "b"), s("bar"));
        assert_eq!(get("http://test.com?a&b=bar", "a"), Value::Null);
        assert_eq!(get("http://test.com", "a"), Value::Null);
    }

    #[test]
    fn parts() {
        let url = s("https://user:pw@test.com:8080/a%20b/c?x=1%202&y=z#frag%20space");
        for (name, expected) in [
            ("URL_EXTRACT_PROTOCOL", "https"),
            ("URL_EXTRACT_HOST", "test.com"),
            ("URL_EXTRACT_PATH", "/a b/c"),
            ("URL_EXTRACT_QUERY", "x=1 2&y=z"),
            ("URL_EXTRACT_FRAGMENT", "frag space"),
        ] {
            assert_eq!(call(name, [url.clone()]), s(expected), "{name}");
            assert_eq!(call(name, [s("http://a b")]), Value::Null, "{name}");
            assert_eq!(call(name, [Value::Null]), Value::Null);
        }
        assert_eq!(call("URL_EXTRACT_PORT", [url]), i(8080));
        assert_eq!(
            call("URL_EXTRACT_PORT", [s("http://localhost/path")]),
            Value::Null
        );
        assert_eq!(
            call("URL_EXTRACT_PORT", [s("http://localhost:99999")]),
            Value::Null
        );
        assert_eq!(call("URL_EXTRACT_PATH", [s("http://test.com")]), s(""));
        assert_eq!(call("URL_EXTRACT_HOST", [s("http://[::1]:80/")]), s("[::1]"));
        assert_eq!(call("URL_EXTRACT_PORT", [s("http://[::1]:80/")]), i(80));
        assert_eq!(call("URL_EXTRACT_PROTOCOL", [s("/path:x")]), Value::Null);
        assert_eq!(call("URL_EXTRACT_HOST", [s("mailto:a@b.c")]), Value::Null);
        assert_eq!(call("URL_EXTRACT_FRAGMENT", [s("http://test.com")]), Value::Null);
    }

    proptest! {
        #[test]
        fn a_parameter_reads_back(text in any::<String>()) {
            let encoded = call("URL_ENCODE_PARAM", [s(&text)]);
            prop_assert_eq!(call("URL_DECODE_PARAM", [encoded]), s(&text));
        }

        #[test]
        fn no_url_panics(text in "[a:/?#@%\\[\\]0-9ż ]{0,20}") {
            for function in FUNCTIONS {
                let _ = (function.call)(&[s(&text), s("a")]);
            }
        }
    }
}
