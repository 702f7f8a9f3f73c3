//! JSON as osquery's configurations have it: with comments (`//`, `#`, `/* */`) and with strings continued on the next line
//! after a backslash.
//!
//! What JSON does not know is blanked out, byte for byte, so that an error's place is its place in the original text. A byte
//! order mark, as editors of Windows write it, is blanked out as well.

use std::fmt;

use serde_json::Value;

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    /// What the parser said.
    pub reason: String,
    /// Where, from 1.
    pub line: usize,
    /// Where, from 1; 0 at a line that is empty.
    pub column: usize,
}

impl fmt::Display for JsonError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} at line {} column {}",
            self.reason, self.line, self.column
        )
    }
}

/// Reads a text.
///
/// # Errors
/// When it is not JSON, not even with osquery's additions.
pub fn parse(text: &str) -> Result<Value, JsonError> {
    let plain = blank(text);
    serde_json::from_str(&plain).map_err(|error| {
        let message = error.to_string();
        let reason = message
            .rsplit_once(" at line ")
            .map_or(message.as_str(), |(reason, _)| reason)
            .to_owned();
        // A continued string has one line less in the plain text than in the original, at the same offset.
        let before: usize = plain
            .split_inclusive('\n')
            .take(error.line().saturating_sub(1))
            .map(str::len)
            .sum();
        let offset = (before + error.column()).min(text.len());
        let head = text.get(..offset).unwrap_or(text);
        let line_start = head.rfind('\n').map_or(0, |newline| newline + 1);
        // An error at a line's very end is reported behind the newline; it belongs to the line it ends.
        let (head, line_start) = if line_start == head.len() && error.column() > 0 && line_start > 0 {
            let head = &head[..line_start - 1];
            (head, head.rfind('\n').map_or(0, |newline| newline + 1))
        } else {
            (head, line_start)
        };
        JsonError {
            reason,
            line: head.matches('\n').count() + 1,
            column: head.len() - line_start,
        }
    })
}

/// Reads the content of a file.
///
/// # Errors
/// As [`parse`]; also when it is not UTF-8.
pub fn parse_bytes(bytes: &[u8]) -> Result<Value, JsonError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => parse(text),
        Err(error) => {
            let before = &bytes[..error.valid_up_to()];
            let line_start = before
                .iter()
                .rposition(|&byte| byte == b'\n')
                .map_or(0, |newline| newline + 1);
            Err(JsonError {
                reason: "invalid UTF-8".to_owned(),
                line: before.iter().filter(|&&byte| byte == b'\n').count() + 1,
                column: before.len() - line_start + 1,
            })
        }
    }
}

/// The text with comments and continuations turned into blanks; newlines outside strings stay.
fn blank(text: &str) -> String {
    #[derive(Clone, Copy, PartialEq)]
    enum Inside {
        Nothing,
        Text,
        LineComment,
        BlockComment,
    }
    let mut bytes = text.as_bytes().to_vec();
    if text.starts_with('\u{feff}') {
        bytes[..'\u{feff}'.len_utf8()].fill(b' ');
    }
    let mut inside = Inside::Nothing;
    let mut at = 0;
    while at < bytes.len() {
        let (byte, next) = (bytes[at], bytes.get(at + 1).copied());
        match (inside, byte, next) {
            (Inside::Nothing, b'"', _) => inside = Inside::Text,
            (Inside::Nothing, b'#', _) | (Inside::Nothing, b'/', Some(b'/')) => {
                inside = Inside::LineComment;
                bytes[at] = b' ';
            }
            (Inside::Nothing, b'/', Some(b'*')) => {
                inside = Inside::BlockComment;
                bytes[at..at + 2].fill(b' ');
                at += 1;
            }
            (Inside::Text, b'"', _) => inside = Inside::Nothing,
            (Inside::Text, b'\\', Some(b'\n')) => {
                bytes[at..at + 2].fill(b' ');
                at += 1;
            }
            (Inside::Text, b'\\', Some(b'\r')) if bytes.get(at + 2) == Some(&b'\n') => {
                bytes[at..at + 3].fill(b' ');
                at += 2;
            }
            (Inside::Text, b'\\', Some(_)) => at += 1,
            (Inside::LineComment, b'\n', _) => inside = Inside::Nothing,
            (Inside::BlockComment, b'*', Some(b'/')) => {
                inside = Inside::Nothing;
                bytes[at..at + 2].fill(b' ');
                at += 1;
            }
            (Inside::BlockComment, b'\n', _) => {}
            (Inside::LineComment | Inside::BlockComment, _, _) => bytes[at] = b' ',
            (Inside::Nothing | Inside::Text, _, _) => {}
        }
        at += 1;
    }
    // Comments are blanked byte by byte from end to end, so what is left is still UTF-8.
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn comments_and_continuations_are_no_part_of_the_data() {
        let text = "# head ä\n{\"a\": \"x // y # z /* */\", // tail\n /* two\n lines */ \"b\": \"select \\\n 1\", \"c\\\"\": 1 #end\n}";
        assert_eq!(
            parse(text).unwrap(),
            json!({"a": "x // y # z /* */", "b": "select    1", "c\"": 1})
        );
    }

    #[test]
    fn what_editors_of_windows_write_is_read() {
        assert_eq!(
            parse("\u{feff}{\"a\": \"1 \\\r\n2\"}").unwrap(),
            json!({"a": "1    2"})
        );
        let error = parse_bytes(b"{\n \"a\": \"\xe9\"}").unwrap_err();
        assert_eq!(error.to_string(), "invalid UTF-8 at line 2 column 8");
    }

    #[test]
    fn places_are_those_of_the_original_text() {
        let place = |text| parse(text).unwrap_err().to_string();
        assert_eq!(
            place("{\"a\": \"1\\\n2\\\n3\",\n  \"b\": x}"),
            "expected value at line 4 column 8"
        );
        assert_eq!(place("/* ä\n*/ {,}"), "key must be a string at line 2 column 5");
        assert_eq!(place(""), "EOF while parsing a value at line 1 column 0");
        assert_eq!(
            place("{\"a\": 1"),
            "EOF while parsing an object at line 1 column 7"
        );
    }

    proptest! {
        #[test]
        fn no_text_can_make_it_panic(text in "[ -~\n\"\\\\/*#{}ä]{0,80}") {
            let _ = parse(&text);
        }

        #[test]
        fn plain_json_is_read_as_it_is(value in prop::collection::vec((".{0,8}", any::<i64>()), 0..6)) {
            let object: serde_json::Map<String, Value> =
                value.into_iter().map(|(key, number)| (key, json!(number))).collect();
            let object = Value::Object(object);
            prop_assert_eq!(parse(&serde_json::to_string_pretty(&object).unwrap()).unwrap(), object);
        }
    }
}
