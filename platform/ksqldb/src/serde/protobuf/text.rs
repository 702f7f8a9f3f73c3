//! A record as a line of text, as Java's Protocol Buffers print one.

use osqdemo_protobuf::{Codec, DynamicMessage, EnumDescriptor, Kind, Linked, MapKey, Value};
use osqdemo_registry_client::wire::split_message_indexes;

use super::super::number::double_text;

/// A record's data as text; `None` where they are none of the file's messages.
pub(in super::super) fn text(file: &Linked, data: &[u8]) -> Option<String> {
    let (path, data) = split_message_indexes(data).ok()?;
    let mut message = DynamicMessage::new(file.message_at(&path)?);
    message.merge(data).ok()?;
    let mut words = Vec::new();
    print_message(&message, &mut words);
    Some(words.join(" "))
}

fn print_message(message: &DynamicMessage, words: &mut Vec<String>) {
    for (field, value) in message.fields() {
        let (name, kind) = (field.name(), field.kind());
        match value {
            Value::List(elements) => {
                for element in elements {
                    print_field(name, &kind, element, words);
                }
            }
            Value::Map(entries) => {
                let Kind::Message(entry) = &kind else { continue };
                let value_kind = entry.map_entry_value_field().kind();
                let mut sorted: Vec<_> = entries.iter().collect();
                sorted.sort_by(|one, other| one.0.cmp(other.0));
                for (key, value) in sorted {
                    words.push(format!("{name} {{"));
                    words.push(format!("key: {}", key_text(key)));
                    print_field("value", &value_kind, value, words);
                    words.push("}".to_owned());
                }
            }
            value => print_field(name, &kind, value, words),
        }
    }
}

fn print_field(name: &str, kind: &Kind, value: &Value, words: &mut Vec<String>) {
    let text = match value {
        Value::Message(message) => {
            words.push(format!("{name} {{"));
            print_message(message, words);
            words.push("}".to_owned());
            return;
        }
        Value::Bool(truth) => truth.to_string(),
        Value::I32(number) => number.to_string(),
        Value::I64(number) => number.to_string(),
        Value::U32(number) => number.to_string(),
        Value::U64(number) => number.to_string(),
        Value::F32(number) => super::super::number::float_text(*number),
        Value::F64(number) => double_text(*number),
        Value::String(text) => quoted(text.as_bytes()),
        Value::Bytes(bytes) => quoted(bytes),
        Value::EnumNumber(number) => match kind {
            Kind::Enum(symbols) => symbol(symbols, *number),
            _ => number.to_string(),
        },
        // Neither stands inside of the other.
        Value::List(_) | Value::Map(_) => return,
    };
    words.push(format!("{name}: {text}"));
}

/// The name of a number, or the number where it has none.
pub(super) fn symbol(symbols: &EnumDescriptor, number: i32) -> String {
    match symbols.get_value(number) {
        Some(value) => value.name().to_owned(),
        None => number.to_string(),
    }
}

fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(truth) => truth.to_string(),
        MapKey::I32(number) => number.to_string(),
        MapKey::I64(number) => number.to_string(),
        MapKey::U32(number) => number.to_string(),
        MapKey::U64(number) => number.to_string(),
        MapKey::String(text) => quoted(text.as_bytes()),
    }
}

fn quoted(bytes: &[u8]) -> String {
    let mut out = "\"".to_owned();
    for byte in bytes {
        match byte {
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            b'"' => out.push_str("\\\""),
            b'\'' => out.push_str("\\'"),
            b'\\' => out.push_str("\\\\"),
            0x20..=0x7e => out.push(char::from(*byte)),
            other => out.push_str(&format!("\\{other:03o}")),
        }
    }
    out.push('"');
    out
}
