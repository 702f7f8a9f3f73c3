//! A message as plain JSON, for people and for those who look at JSON.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use prost_reflect::{DynamicMessage, Kind, MapKey, ReflectMessage as _, Value};
use serde_json::{Map, Number, Value as Json};

/// A message as JSON, its fields named as in the file: those that are there, and those that need not say that they are.
/// Bytes are base64, as in Protocol Buffers' own JSON; a number that JSON does not have is a text.
pub fn to_json(message: &DynamicMessage) -> Json {
    let descriptor = message.descriptor();
    let fields = descriptor.fields();
    let fields = fields.filter(|field| message.has_field(field) || !field.supports_presence());
    let members = fields.map(|field| {
        let value = message.get_field(&field);
        (field.name().to_owned(), json(&field.kind(), &value))
    });
    Json::Object(members.collect::<Map<_, _>>())
}

fn json(kind: &Kind, value: &Value) -> Json {
    match value {
        Value::Bool(truth) => Json::Bool(*truth),
        Value::I32(number) => Json::from(*number),
        Value::I64(number) => Json::from(*number),
        Value::U32(number) => Json::from(*number),
        Value::U64(number) => Json::from(*number),
        Value::F32(number) => fraction(f64::from(*number), &number.to_string()),
        Value::F64(number) => fraction(*number, &number.to_string()),
        Value::String(text) => Json::String(text.clone()),
        Value::Bytes(bytes) => Json::String(BASE64_STANDARD.encode(bytes)),
        Value::EnumNumber(number) => {
            let symbol = match kind {
                Kind::Enum(symbols) => symbols.get_value(*number),
                _ => None,
            };
            symbol.map_or_else(|| Json::from(*number), |symbol| Json::from(symbol.name()))
        }
        Value::Message(message) => to_json(message),
        Value::List(elements) => elements.iter().map(|element| json(kind, element)).collect(),
        Value::Map(entries) => {
            let Kind::Message(entry) = kind else {
                return Json::Null;
            };
            let kind = entry.map_entry_value_field().kind();
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_by(|one, other| one.0.cmp(other.0));
            let members = entries.into_iter();
            Json::Object(
                members
                    .map(|(key, value)| (key_text(key), json(&kind, value)))
                    .collect(),
            )
        }
    }
}

fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(truth) => truth.to_string(),
        MapKey::I32(number) => number.to_string(),
        MapKey::I64(number) => number.to_string(),
        MapKey::U32(number) => number.to_string(),
        MapKey::U64(number) => number.to_string(),
        MapKey::String(text) => text.clone(),
    }
}

/// As short as it was as what it was: the nearest `f64` of an `f32` has digits that nobody wrote.
fn fraction(value: f64, shown: &str) -> Json {
    let near = shown.parse().unwrap_or(value);
    Number::from_f64(near).map_or_else(|| Json::String(shown.to_owned()), Json::Number)
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use serde_json::json;

    use super::*;
    use crate::Linked;

    const FILE: &str = r#"
        syntax = "proto3";
        enum Colour { RED = 0; GREEN = 1; }
        message Line {
          string host = 1; int64 big = 2; optional int32 maybe = 3; float part = 4; bytes raw = 5;
          Colour colour = 6; repeated Colour all = 7; map<string, Inner> inner = 8; Inner one = 9;
          oneof either { string word = 10; double none = 11; }
          message Inner { uint64 n = 1; }
        }"#;

    fn shown(bytes: &[u8]) -> Json {
        let file = Linked::of(FILE, Vec::new()).unwrap();
        let (_, descriptor) = file.message(None).unwrap();
        let mut message = DynamicMessage::new(descriptor);
        message.merge(bytes).unwrap();
        to_json(&message)
    }

    #[test]
    fn a_message_is_the_json_that_one_expects() {
        assert_eq!(
            shown(b""),
            json!({"host": "", "big": 0, "part": 0.0, "raw": "", "colour": "RED", "all": [], "inner": {}})
        );
        // Wire types and numbers of fields by hand: the file's text is what they are read by.
        let bytes = [
            &b"\x0a\x02h1"[..],
            b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
            b"\x18\x00",
            &[0x25],
            &0.1_f32.to_le_bytes(),
            b"\x2a\x01\xff",
            b"\x30\x07",
            b"\x3a\x02\x00\x01",
            b"\x42\x07\x0a\x01k\x12\x02\x08\x05",
            b"\x4a\x00",
            &[0x59],
            &f64::NAN.to_le_bytes(),
        ]
        .concat();
        assert_eq!(
            shown(&bytes),
            json!({"host": "h1", "big": i64::MAX, "maybe": 0, "part": 0.1, "raw": "/w==", "colour": 7,
                "all": ["RED", "GREEN"], "inner": {"k": {"n": 5}}, "one": {"n": 0}, "none": "NaN"})
        );
    }
}
