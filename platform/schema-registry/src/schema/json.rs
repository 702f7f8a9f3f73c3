//! JSON Schema: the text without blanks, and what can change without a reader noticing.

use serde_json::Value as Json;

/// Words that describe and restrict nothing.
const ANNOTATIONS: [&str; 9] = [
    "$comment",
    "$id",
    "$schema",
    "default",
    "deprecated",
    "description",
    "examples",
    "id",
    "title",
];

/// Parses a schema.
pub(super) fn parse(text: &str) -> Result<Json, String> {
    let json: Json = serde_json::from_str(text).map_err(|error| error.to_string())?;
    match json {
        Json::Object(_) | Json::Bool(_) => Ok(json),
        other => Err(format!(
            "a schema is an object or a boolean, not {}",
            osqdemo_avro::json_text(&other)
        )),
    }
}

/// The schema with its keys sorted.
pub(super) fn normalized(mut json: Json) -> Json {
    json.sort_all_objects();
    json
}

/// Whether two schemas accept the same, as far as that shows without evaluating them.
pub(super) fn accept_the_same(one: &Json, other: &Json) -> bool {
    without_annotations(one.clone()) == without_annotations(other.clone())
}

/// The schema without what only describes. The names below `properties` are no words of the language.
fn without_annotations(json: Json) -> Json {
    match json {
        Json::Object(object) => object
            .into_iter()
            .filter(|(word, _)| !ANNOTATIONS.contains(&word.as_str()))
            .map(|(word, value)| match (word.as_str(), value) {
                ("properties" | "patternProperties" | "$defs" | "definitions", Json::Object(named)) => {
                    let named = named.into_iter();
                    let named = named.map(|(name, schema)| (name, without_annotations(schema)));
                    (word, Json::Object(named.collect()))
                }
                ("const" | "enum", value) => (word, value),
                (_, value) => (word, without_annotations(value)),
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Json::Array(items) => items.into_iter().map(without_annotations).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_describes_does_not_count() {
        let one = json!({"type": "object", "title": "a", "properties": {"title": {"type": "string", "description": "x"}}});
        let other = json!({"properties": {"title": {"type": "string"}}, "type": "object"});
        assert!(accept_the_same(&one, &other));
        let different = json!({"properties": {"name": {"type": "string"}}, "type": "object"});
        assert!(!accept_the_same(&one, &different));
        assert!(!accept_the_same(
            &json!({"enum": [{"title": 1}]}),
            &json!({"enum": [{"title": 2}]})
        ));
    }

    #[test]
    fn a_schema_is_an_object_or_a_boolean() {
        assert!(parse("true").is_ok() && parse(r#"{"type":"string"}"#).is_ok());
        assert_eq!(
            parse("[1]").unwrap_err(),
            "a schema is an object or a boolean, not [1]"
        );
    }
}
