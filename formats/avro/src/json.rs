//! A value as plain JSON, for people and for those who look at JSON: no branch of a union is named.

use serde_json::{Map, Number, Value as Json};

use crate::{Kind, NodeId, Schema, Value};

/// A value of this schema as JSON. Bytes are a text of a character each, as in Avro's own JSON; a number that JSON does not
/// have is a text.
pub fn to_json(schema: &Schema, value: &Value) -> Json {
    node(schema, schema.root(), value)
}

fn node(schema: &Schema, id: NodeId, value: &Value) -> Json {
    match (schema.kind(id), value) {
        (Kind::Union(branches), Value::Union(place, value)) => match branches.get(*place as usize) {
            Some(branch) => node(schema, *branch, value),
            None => Json::Null,
        },
        (Kind::Record(record), Value::Record(values)) => {
            let fields = record.fields.iter().zip(values);
            let members =
                fields.map(|(field, value)| (field.name.clone(), node(schema, field.schema, value)));
            Json::Object(members.collect::<Map<_, _>>())
        }
        (Kind::Map(of), Value::Map(entries)) => {
            let members = entries.iter();
            Json::Object(
                members
                    .map(|(key, value)| (key.clone(), node(schema, *of, value)))
                    .collect(),
            )
        }
        (Kind::Array(of), Value::Array(items)) => items.iter().map(|item| node(schema, *of, item)).collect(),
        (Kind::Enum(enumeration), Value::Enum(place)) => enumeration
            .symbols
            .get(*place as usize)
            .cloned()
            .map_or(Json::Null, Json::String),
        (_, Value::Boolean(value)) => Json::Bool(*value),
        (_, Value::Int(value)) => Json::from(*value),
        (_, Value::Long(value)) => Json::from(*value),
        (_, Value::Float(value)) => number(f64::from(*value), &value.to_string()),
        (_, Value::Double(value)) => number(*value, &value.to_string()),
        (_, Value::String(text)) => Json::String(text.clone()),
        (_, Value::Bytes(bytes) | Value::Fixed(bytes)) => {
            Json::String(bytes.iter().copied().map(char::from).collect())
        }
        // A null; or a value of another schema.
        _ => Json::Null,
    }
}

/// As short as it was as what it was: the nearest `f64` of an `f32` has digits that nobody wrote.
fn number(value: f64, shown: &str) -> Json {
    let near = shown.parse().unwrap_or(value);
    Number::from_f64(near).map_or_else(|| Json::String(shown.to_owned()), Json::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{decode, encode};

    #[test]
    fn a_value_is_the_json_that_one_expects() {
        let schema = Schema::parse(
            r#"{"type":"record","name":"R","fields":[
                {"name":"text","type":["null","string"]},{"name":"none","type":["null","string"]},
                {"name":"map","type":{"type":"map","values":"long"}},{"name":"list","type":{"type":"array","items":"float"}},
                {"name":"door","type":{"type":"enum","name":"E","symbols":["OPEN","SHUT"]}},
                {"name":"bytes","type":"bytes"},{"name":"yes","type":"boolean"},{"name":"double","type":"double"}]}"#,
        )
        .unwrap();
        let value = Value::Record(vec![
            Value::Union(1, Box::new(Value::String("é".to_owned()))),
            Value::Union(0, Box::new(Value::Null)),
            Value::Map(vec![("a".to_owned(), Value::Long(-7))]),
            Value::Array(vec![Value::Float(0.1)]),
            Value::Enum(1),
            Value::Bytes(vec![b'a', 0xff]),
            Value::Boolean(true),
            Value::Double(f64::NAN),
        ]);
        let mut bytes = Vec::new();
        encode(&schema, &value, &mut bytes).unwrap();
        let read = decode(&schema, &bytes).unwrap();
        assert_eq!(
            to_json(&schema, &read),
            json!({ "text": "é", "none": null, "map": { "a": -7 }, "list": [0.1], "door": "SHUT", "bytes": "aÿ",
                "yes": true, "double": "NaN" })
        );
    }
}
