//! JSON Schema: the text without blanks.

use serde_json::Value as Json;

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

/// What keeps readers with a schema from what was written with the old one.
pub(super) fn differences(old: &Json, new: &Json) -> Vec<String> {
    let found = osqdemo_json_schema::differences(old, new);
    found.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_an_object_or_a_boolean() {
        assert!(parse("true").is_ok() && parse(r#"{"type":"string"}"#).is_ok());
        assert_eq!(
            parse("[1]").unwrap_err(),
            "a schema is an object or a boolean, not [1]"
        );
    }
}
