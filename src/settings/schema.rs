//! The JSON Schema of the settings file, for editors: made from the same table that the parser follows.

use serde_json::{Map, Value, json};

use crate::listener::ListenChoice;
use crate::settings::KafkaChoice;
use crate::settings::key::{KEYS, Key, Kind};
use crate::stack::KafkaAddress;

/// The schema, in the draft that editors of TOML understand.
fn schema() -> Value {
    let mut top = Map::new();
    for key in KEYS {
        let properties = match key.table {
            None => &mut top,
            Some(table) => {
                let nested = top.entry(table).or_insert_with(|| object(Map::new()));
                match nested.get_mut("properties").and_then(Value::as_object_mut) {
                    Some(properties) => properties,
                    None => continue,
                }
            }
        };
        properties.insert(key.name.to_owned(), of_key(key));
    }
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "osqdemo.toml",
        "description": "The settings of osqdemo; an option on the command line wins.",
        "type": "object",
        "additionalProperties": false,
        "properties": top,
        "not": { "required": ["stack", "stack-file"] },
    })
}

/// The schema as it is printed.
pub fn schema_text() -> String {
    format!("{:#}\n", schema())
}

fn object(properties: Map<String, Value>) -> Value {
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

fn of_key(key: &Key) -> Value {
    let mut schema = of_kind(key.kind);
    schema["description"] = json!(key.about);
    schema
}

fn of_kind(kind: Kind) -> Value {
    let pattern = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    match kind {
        Kind::Project => pattern("^[a-z0-9][a-z0-9_-]{0,39}$"),
        Kind::OneOf(words) => json!({ "type": "string", "enum": words }),
        Kind::Duration => pattern("^([0-9]+(ms|s|m|h))+$"),
        Kind::Size => pattern("^0*[1-9][0-9]*([bB]|[kKmMgGtT]([iI]?[bB])?)?$"),
        Kind::Checksum => pattern("^[0-9a-fA-F]{64}$"),
        Kind::Registry => pattern(
            "^(localhost|[A-Za-z0-9][A-Za-z0-9-]*[.:][A-Za-z0-9.:-]*|\\[[0-9A-Fa-f:.]+\\](:[0-9]+)?)(/[a-z0-9]([a-z0-9._-]*[a-z0-9])?)*/*$",
        ),
        Kind::Kafka => pattern(&format!(
            "^({}|{1}(,{1})*)$",
            KafkaChoice::NONE,
            KafkaAddress::PATTERN
        )),
        Kind::Listen => pattern(&format!("^({}|{})$", ListenChoice::NONE, KafkaAddress::PATTERN)),
        Kind::File | Kind::WordOrPath(_) | Kind::Service => json!({ "type": "string", "minLength": 1 }),
        Kind::Services => json!({ "type": "array", "items": { "type": "string", "minLength": 1 } }),
        Kind::Ports => json!({
            "type": "object",
            "additionalProperties": { "type": "integer", "minimum": 0, "maximum": 65535 },
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use proptest::prelude::*;
    use regex::Regex;

    use super::*;
    use crate::settings::SettingsFile;

    /// What the schema uses of JSON Schema, by its rules; a word that is not known fails.
    fn accepts(schema: &Value, value: &Value) -> bool {
        let rules = schema.as_object().expect("a schema is an object");
        let is_additional = |name: &str| {
            rules
                .get("properties")
                .is_none_or(|known| known.get(name).is_none())
        };
        rules.iter().all(|(rule, wanted)| match rule.as_str() {
            "$schema" | "title" | "description" => true,
            "type" => match wanted.as_str().expect("a type") {
                "string" => value.is_string(),
                "integer" => value.is_i64(),
                "array" => value.is_array(),
                "object" => value.is_object(),
                other => panic!("{other}"),
            },
            "enum" => wanted.as_array().expect("values").contains(value),
            "pattern" => {
                let pattern = Regex::new(wanted.as_str().expect("a pattern")).expect("a pattern");
                value.as_str().is_none_or(|text| pattern.is_match(text))
            }
            "minLength" => value
                .as_str()
                .is_none_or(|text| text.chars().count() as u64 >= wanted.as_u64().expect("a number")),
            "minimum" => value
                .as_i64()
                .is_none_or(|number| number >= wanted.as_i64().expect("a number")),
            "maximum" => value
                .as_i64()
                .is_none_or(|number| number <= wanted.as_i64().expect("a number")),
            "items" => value
                .as_array()
                .is_none_or(|items| items.iter().all(|item| accepts(wanted, item))),
            "properties" => value.as_object().is_none_or(|members| {
                let known = wanted.as_object().expect("properties");
                members
                    .iter()
                    .all(|(name, member)| known.get(name).is_none_or(|schema| accepts(schema, member)))
            }),
            "additionalProperties" => value.as_object().is_none_or(|members| {
                let mut additional = members.iter().filter(|(name, _)| is_additional(name));
                match wanted {
                    Value::Bool(false) => additional.next().is_none(),
                    schema => additional.all(|(_, member)| accepts(schema, member)),
                }
            }),
            "not" => !accepts(wanted, value),
            "required" => {
                let names = wanted.as_array().expect("names");
                names
                    .iter()
                    .all(|name| value.get(name.as_str().expect("a name")).is_some())
            }
            other => panic!("the validator does not know `{other}`"),
        })
    }

    /// A document as TOML: what it has of JSON is the same there.
    fn as_toml(document: &Value) -> String {
        let members = document.as_object().expect("an object");
        members
            .iter()
            .map(|(name, value)| format!("{name} = {}\n", inline(value)))
            .collect()
    }

    fn inline(value: &Value) -> String {
        match value {
            Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
            Value::Object(members) => {
                let members: Vec<String> = members
                    .iter()
                    .map(|(name, value)| format!("{name} = {}", inline(value)))
                    .collect();
                format!("{{ {} }}", members.join(", "))
            }
            other => other.to_string(),
        }
    }

    fn reads(document: &Value) -> Result<SettingsFile, String> {
        SettingsFile::parse(Path::new("osqdemo.toml"), &as_toml(document)).map_err(|error| error.to_string())
    }

    /// Values of which some fit and some do not.
    fn value() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            prop::sample::select(vec![
                "",
                "native",
                "docker",
                "lite",
                "confluent",
                "never",
                "missing",
                "always",
                "auto",
                "builtin",
                "./osqueryd",
                "installed",
                "default",
                "30s",
                "1m30s",
                "500ms",
                "30",
                "1.5s",
                "64M",
                "1GiB",
                "0",
                "0M",
                "12b",
                "1X",
                "Mine!",
                "mine",
                "mirror.example.org",
                "127.0.0.1:5000/hub",
                "localhost",
                "localhost/",
                "mirror",
                "mirror/x",
                "https://mirror.example.org",
                "control-center",
                "host1",
            ])
            .prop_map(str::to_owned),
            "[0-9]{1,3}(ms|s|m|h|d)?",
            "[0-9]{1,3}[kmgtbKMGTB]?i?b?",
            "[a-z0-9_-]{38,42}",
            "[0-9a-fA-F]{63,65}",
            "[a-z.:/-]{0,12}",
        ]
        .prop_map(Value::from)
        .boxed();
        let number = prop_oneof![-2_i64..70_000, Just(65_535), Just(65_536)].prop_map(Value::from);
        let scalar = prop_oneof![6 => text, 2 => number, 1 => any::<bool>().prop_map(Value::from)].boxed();
        prop_oneof![
            6 => scalar.clone(),
            1 => prop::collection::vec(scalar.clone(), 0..3).prop_map(Value::from),
            1 => prop::collection::hash_map("[a-z]{1,4}|broker|pull|registry|lock-file|size|host|timeout", scalar, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    }

    fn document() -> impl Strategy<Value = Value> {
        let names: Vec<&str> = vec!["engin", "images", "scenario"];
        let known = KEYS.iter().filter(|key| key.table.is_none()).map(|key| key.name);
        let name = prop::sample::select(known.chain(names).collect::<Vec<_>>());
        prop::collection::hash_map(name.prop_map(str::to_owned), value(), 0..3)
            .prop_map(|members| Value::Object(members.into_iter().collect()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn schema_and_parser_accept_the_same(document in document()) {
            let read = reads(&document);
            prop_assert_eq!(accepts(&schema(), &document), read.is_ok(), "{:?}", read);
        }
    }

    #[test]
    fn every_setting_is_accepted_by_both() {
        let fitting = |kind: Kind| match kind {
            Kind::Project => json!("mine"),
            Kind::OneOf(words) => json!(words.last()),
            Kind::Duration => json!("1m30s"),
            Kind::Size => json!("64M"),
            Kind::File => json!("./file"),
            Kind::WordOrPath(words) => json!(words.last()),
            Kind::Checksum => json!("0aF".repeat(22).get(..64)),
            Kind::Registry => json!("127.0.0.1:5000/hub"),
            Kind::Service => json!("host1"),
            Kind::Services => json!(["control-center"]),
            Kind::Kafka => json!("kafka.example.org:9092,[::1]:9093"),
            Kind::Listen => json!("192.168.1.5:9093"),
            Kind::Ports => json!({ "broker": 0, "ksqldb-server": 65_535 }),
        };
        for key in KEYS {
            let nested = |value: Value| match key.table {
                Some(table) => json!({ table: { key.name: value } }),
                None => json!({ key.name: value }),
            };
            let right = nested(fitting(key.kind));
            assert!(accepts(&schema(), &right), "{right}");
            assert_eq!(reads(&right).map(drop), Ok(()), "{right}");
            for wrong in [json!(true), json!(""), json!({ "broker": 65_536 }), json!([""])] {
                let wrong = nested(wrong);
                assert!(!accepts(&schema(), &wrong), "{wrong}");
                assert!(reads(&wrong).is_err(), "{wrong}");
            }
        }
    }

    #[test]
    fn the_committed_schema_is_this_one() {
        assert_eq!(
            fs::read_to_string("osqdemo.schema.json").expect("the schema"),
            schema_text(),
            "write it anew: `osqdemo config schema >osqdemo.schema.json`"
        );
    }
}
