//! A value of a row, exactly as the server wrote it.
//!
//! A DECIMAL comes as a JSON number with as many digits as its type has. Reading it into a float would change
//! it (`1.10` into `1.1`, the 17th digit into another), so a cell keeps the text of the value and hands it on.

use std::ops::Range;

use serde_json::Value;

/// The JSON text of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell(String);

impl Cell {
    /// The value as JSON text.
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// The value as it is shown: text without quotes, everything else as JSON.
    pub fn to_text(&self) -> String {
        match self.as_string() {
            Some(text) => text,
            None => self.0.clone(),
        }
    }

    /// The value, if it is text.
    pub fn as_string(&self) -> Option<String> {
        serde_json::from_str(&self.0).ok()
    }
}

impl From<Value> for Cell {
    fn from(value: Value) -> Self {
        Self(value.to_string())
    }
}

/// The cells of a row object, `{"row":{"columns":[…]}}`, which must be valid JSON. `None` when it has none.
pub(super) fn cells_of_row(object: &str) -> Option<Vec<Cell>> {
    let row = member(object, "row")?;
    let columns = member(row, "columns")?;
    let mut scanner = Scanner::enter(columns, b'[')?;
    let mut cells = Vec::new();
    while let Some(value) = scanner.value() {
        cells.push(Cell(columns[value].to_owned()));
    }
    Some(cells)
}

/// The value of a member of an object.
fn member<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    let mut scanner = Scanner::enter(object, b'{')?;
    while let Some(key) = scanner.value() {
        let value = scanner.value()?;
        if serde_json::from_str::<String>(&object[key]).is_ok_and(|key| key == name) {
            return Some(&object[value]);
        }
    }
    None
}

/// Walks over the values that an array or an object directly holds; keys count as values.
struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    fn enter(text: &'a str, bracket: u8) -> Option<Self> {
        let bytes = text.as_bytes();
        (bytes.first() == Some(&bracket)).then_some(Self { bytes, at: 1 })
    }

    /// Where the next value stands.
    fn value(&mut self) -> Option<Range<usize>> {
        let is_between = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b':');
        while self.bytes.get(self.at).is_some_and(is_between) {
            self.at += 1;
        }
        let start = self.at;
        let (mut depth, mut in_string) = (0_usize, false);
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b'\\' if in_string => self.at += 1,
                b'"' => in_string = !in_string,
                _ if in_string => {}
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth > 0 => depth -= 1,
                // The bracket of what was entered, or what comes after a number or a word.
                b'}' | b']' => break,
                _ if depth == 0 && is_between(&byte) => break,
                _ => {}
            }
            self.at += 1;
            let is_closed = depth == 0 && !in_string && matches!(byte, b'"' | b'}' | b']');
            if is_closed {
                break;
            }
        }
        let end = self.at.min(self.bytes.len());
        (start < end).then_some(start..end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, json};

    use super::*;

    fn cells(object: &str) -> Option<Vec<String>> {
        let cells = cells_of_row(object)?;
        Some(cells.into_iter().map(|cell| cell.0).collect())
    }

    #[test]
    fn numbers_keep_every_digit() {
        assert_eq!(
            cells(r#"{ "tombstone":false, "row" : {"x":[0], "columns": [1.10, 12345678901234567890.123 ,null, "a\"]b", {"k":[1,{}]}, [] ] } }"#).unwrap(),
            ["1.10", "12345678901234567890.123", "null", r#""a\"]b""#, r#"{"k":[1,{}]}"#, "[]"]
        );
        assert_eq!(cells(r#"{"row":{"columns":[]}}"#).unwrap(), Vec::<String>::new());
        assert_eq!(cells(r#"{"row":{"column":[]}}"#), None);
        assert_eq!(cells(r#"{"finalMessage":"x"}"#), None);
    }

    #[test]
    fn text_is_shown_without_quotes() {
        assert_eq!(Cell::from(json!("a\n")).to_text(), "a\n");
        assert_eq!(Cell::from(json!({"a": 1})).to_text(), r#"{"a":1}"#);
        assert_eq!(Cell::from(json!(null)).as_string(), None);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..4)
                    .prop_map(|members| Value::from(members.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_values_are_found(values in prop::collection::vec(any_value(), 0..5), is_pretty in any::<bool>()) {
            let object = json!({"before": "\\\"", "row": {"columns": values.clone()}});
            let text = if is_pretty { serde_json::to_string_pretty(&object).unwrap() } else { object.to_string() };
            let found: Vec<Value> = cells(&text).unwrap().iter().map(|text| serde_json::from_str(text).unwrap()).collect();
            prop_assert_eq!(found, values);
        }

        #[test]
        fn any_text_is_walked_without_panic(text in any::<String>()) {
            let _ = cells(&text);
            let _ = cells(&format!("{{\"row\":{{\"columns\":[{text}"));
        }
    }
}
