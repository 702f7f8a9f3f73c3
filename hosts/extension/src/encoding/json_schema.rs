//! Format `json_schema`: the line as it is, behind the id of a JSON Schema that all lines have in common.

use std::borrow::Cow;

use super::line::{Line, Unencodable, utf8};

/// The schema's name.
pub(super) const TITLE: &str = "io.osqdemo.osquery.Result";
/// The schema. `connect.type` is how Kafka Connect and ksqlDB know an open map.
pub(super) const TEXT: &str = concat!(
    r#"{"$schema":"http://json-schema.org/draft-07/schema#","title":"io.osqdemo.osquery.Result","type":"object","#,
    r#""properties":{"name":{"type":"string"},"hostIdentifier":{"type":"string"},"calendarTime":{"type":"string"},"#,
    r#""unixTime":{"type":"integer","connect.type":"int64"},"epoch":{"type":"integer","connect.type":"int64"},"#,
    r#""counter":{"type":"integer","connect.type":"int64"},"numerics":{"type":"boolean"},"#,
    r#""decorations":{"type":"object","connect.type":"map","additionalProperties":{"type":"string"}},"#,
    r#""action":{"type":"string"},"#,
    r#""columns":{"type":"object","connect.type":"map","additionalProperties":{"type":"string"}},"#,
    r#""snapshot":{"type":"array","items":{"type":"object","connect.type":"map","additionalProperties":{"type":"string"}}},"#,
    r#""diffResults":{"type":"object"}}}"#,
);

/// Appends a line, as it is; bytes that are not UTF-8, which JSON does not have, as osquery would write them.
pub(super) fn write(line: &[u8], out: &mut Vec<u8>) -> Result<(), Unencodable> {
    // Whoever reads the topic relies on the schema, in which values are text.
    if Line::read(line)?.numerics {
        return Err(Unencodable::Numerics);
    }
    match utf8(Cow::Borrowed(line)) {
        Cow::Borrowed(text) => out.extend_from_slice(text.as_bytes()),
        // A backslash stands in a string, where it has to be escaped once more.
        Cow::Owned(_) => out.extend_from_slice(escaped_within_strings(line).as_bytes()),
    }
    Ok(())
}

fn escaped_within_strings(line: &[u8]) -> String {
    use std::fmt::Write as _;

    let mut text = String::with_capacity(line.len() + 16);
    for chunk in line.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a string does not fail.
            let _ = write!(text, "\\\\x{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_line_stays_json() {
        let mut out = Vec::new();
        write(b"{\"name\":\"caf\xe9\"}", &mut out).unwrap();
        let read: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(read, json!({ "name": "caf\\xE9" }));
        let line = "{\"name\":\"café\"}".as_bytes();
        out.clear();
        write(line, &mut out).unwrap();
        assert_eq!(out, line);
        write(b"no object", &mut out).unwrap_err();
        let error = write(br#"{"numerics":true}"#, &mut out).unwrap_err();
        assert_eq!(error, Unencodable::Numerics);
        let schema: Value = serde_json::from_str(TEXT).unwrap();
        assert_eq!(schema["title"], TITLE);
    }
}
