//! A record as a line of text: as Java's Avro prints one, which is nearly JSON.

use osqdemo_avro::{Kind, NodeId, Schema, Value, decode};

/// A record's data as text; `None` where they are not those of the schema.
pub(in super::super) fn text(schema: &Schema, data: &[u8]) -> Option<String> {
    let value = match decode(schema, data).ok()? {
        // Only inside of others it has quotes.
        Value::String(text) => return Some(text),
        value => value,
    };
    let mut out = String::new();
    print(schema, schema.root(), &value, &mut out);
    Some(out)
}

fn print(schema: &Schema, id: NodeId, value: &Value, out: &mut String) {
    match (value, schema.kind(id)) {
        (Value::Null, _) => out.push_str("null"),
        (Value::Boolean(truth), _) => out.push_str(&truth.to_string()),
        (Value::Int(number), _) => out.push_str(&number.to_string()),
        (Value::Long(number), _) => out.push_str(&number.to_string()),
        (Value::Float(number), _) => out.push_str(&number.to_string()),
        (Value::Double(number), _) => out.push_str(&number.to_string()),
        (Value::Bytes(bytes) | Value::Fixed(bytes), _) => {
            let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
            quote(&text, out);
        }
        (Value::String(text), _) => quote(text, out),
        (Value::Enum(place), Kind::Enum(enumeration)) => {
            let symbol = enumeration.symbols.get(*place as usize);
            quote(symbol.map_or("", String::as_str), out);
        }
        (Value::Array(elements), Kind::Array(items)) => {
            out.push('[');
            for (place, element) in elements.iter().enumerate() {
                separate(place, out);
                print(schema, *items, element, out);
            }
            out.push(']');
        }
        (Value::Map(entries), Kind::Map(values)) => {
            out.push('{');
            for (place, (key, value)) in entries.iter().enumerate() {
                separate(place, out);
                quote(key, out);
                out.push_str(": ");
                print(schema, *values, value, out);
            }
            out.push('}');
        }
        (Value::Record(values), Kind::Record(record)) => {
            out.push('{');
            for (place, (field, value)) in record.fields.iter().zip(values).enumerate() {
                separate(place, out);
                quote(&field.name, out);
                out.push_str(": ");
                print(schema, field.schema, value, out);
            }
            out.push('}');
        }
        (Value::Union(place, value), Kind::Union(branches)) => {
            if let Some(branch) = branches.get(*place as usize) {
                print(schema, *branch, value, out);
            }
        }
        // What was decoded with the schema has its form.
        _ => {}
    }
}

fn separate(place: usize, out: &mut String) {
    if place > 0 {
        out.push_str(", ");
    }
}

fn quote(text: &str, out: &mut String) {
    let mut quoted = Vec::new();
    super::super::json::write_string(text, &mut quoted);
    out.push_str(&String::from_utf8_lossy(&quoted));
}
