//! What must hold of the parsers for any text, as functions that panic where it does not.
//!
//! For the fuzz targets in `fuzz/`; nothing of this is in a product build.

use std::path::Path;

use osquery_configuration::parse_json_bytes;
use serde_json::Value;

use crate::configuration::Configuration;
use crate::json;
use crate::key_expression::KeyExpression;
use crate::line_facts::LineFacts;
use crate::route::{Routing, split_rows};
use crate::spool::disk::Folder;
use crate::spool::frame::{Header, Record};
use crate::spool::reader::Reader;
use crate::spool::{Identity, Limits, Spool};

/// A configuration is refused or understood; what it hands to osqueryd is JSON.
pub fn configuration(bytes: &[u8]) {
    // A placeholder would lead to a file of this machine.
    if names_a_file(bytes) || bytes.windows(2).any(|pair| pair == b"${") {
        return;
    }
    // In a folder that does not exist no relative path leads to a file.
    if let Ok(configuration) = Configuration::parse(Path::new("/nonexistent/c.json"), bytes)
        && let Some(source) = configuration.source
    {
        serde_json::from_str::<Value>(&source).expect("the source is JSON");
    }
}

/// The files of a spool, in a `folder` of its own: they are read without a panic, and the spool goes on.
///
/// The bytes up to the mark are a segment's frames, those behind it are the position.
pub fn spool(folder: &Path, bytes: &[u8]) {
    const MARK: &[u8] = b"|position|";
    let end = bytes.windows(MARK.len()).position(|window| window == MARK);
    let (frames, position) = match end {
        Some(end) => (&bytes[..end], &bytes[end + MARK.len()..]),
        None => (bytes, &[][..]),
    };
    let header = Header {
        spool: [1; 16],
        boot: [1; 16],
        first: 1,
    };
    let segment = [header.encode().as_slice(), frames].concat();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).expect("a file");
    write("00000000000000000001.log", &segment);
    write("00000000000000001000.log", frames);
    write("position", position);
    let identity = Identity {
        boot: [1; 16],
        fresh: [2; 16],
    };
    let mut spool = Spool::open(Folder::new(folder), identity, Limits::new(1 << 20)).expect("a spool");
    let record = Record {
        unix_ms: 0,
        topic: "t",
        key: None,
        value: b"new",
    };
    let seq = spool.append(&record).expect("room for a line").seq;
    let mut reader = Reader::at(spool.low());
    let mut last = None;
    while let Some(line) = reader.peek(&spool).expect("a readable file") {
        assert!(
            last.is_none_or(|last| last < line.seq),
            "{} after {last:?}",
            line.seq
        );
        last = Some(line.seq);
        reader.advance();
    }
    assert_eq!(last, Some(seq));
}

/// Whether a pack is an absolute path, which could lead to a device that never ends.
fn names_a_file(bytes: &[u8]) -> bool {
    let root: Value = parse_json_bytes(bytes).unwrap_or_default();
    let packs = root["source"]["packs"].as_object();
    packs
        .into_iter()
        .flatten()
        .any(|(_, pack)| pack.as_str().is_some_and(|path| path.starts_with('/')))
}

/// A key expression and, after a line feed, a line: the line gets a route, and its rows are JSON if it is.
pub fn line(bytes: &[u8]) {
    let end = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(bytes.len());
    let (expression, line) = bytes.split_at(end);
    let line = line.get(1..).unwrap_or_default();
    let routing = Routing {
        fallback_topic: Some("lines".to_owned()),
        default_key: KeyExpression::parse(&String::from_utf8_lossy(expression)).ok(),
        ..Routing::default()
    };
    routing
        .route(line, &LineFacts::of(line))
        .expect("there is a topic for every line");
    let rows = split_rows(line).unwrap_or_default();
    if let Ok(whole) = serde_json::from_slice::<Value>(line) {
        for row in rows {
            let text = String::from_utf8_lossy(&row);
            serde_json::from_str::<Value>(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        }
        let name = json::member(line, "name").and_then(json::text);
        assert_eq!(name.is_some(), first_is_not_null(&whole, line), "{whole}");
    }
}

/// A line as a record of Avro and of JSON Schema.
pub fn encoding(line: &[u8]) {
    crate::encoding::fuzzing::check(line);
}

/// Whether the line has a name, as serde_json sees it; the scanner's own answer where a member is repeated.
fn first_is_not_null(whole: &Value, line: &[u8]) -> bool {
    let members = json::members(line).map_or(0, |members| members.flatten().count());
    match whole.as_object() {
        Some(object) if object.len() == members => object.get("name").is_some_and(|name| !name.is_null()),
        _ => json::member(line, "name").and_then(json::text).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn they_hold_for_lines(members in proptest::collection::vec(
            (
                r#"name|hostIdentifier|calendarTime|unixTime|epoch|counter|numerics|columns|decorations|action|snapshot|diffResults"#,
                r#"null|true|-?[0-9]{1,20}|[0-9]\.[0-9]|"[a-zé ]{0,3}"|"\\u[0-9a-f]{4}"|\{("[a-z.-]{0,3}":("[a-zé ]{0,3}"|[0-9]{1,3}|null|\[\])(,"z":1)?)?\}|\[\{"a":"b"\}\]|\{"added":\[\{"a":"1"\}\],"removed":""\}"#,
            ),
            0..9,
        )) {
            let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            encoding(format!("{{{}}}", members.join(",")).as_bytes());
        }

        #[test]
        fn they_hold_for_random_text(text in r#"(\{|"|\[|:|,|name|null|packs|'|\n|[^a]){0,24}"#) {
            configuration(text.as_bytes());
            line(text.as_bytes());
            encoding(text.as_bytes());
            spool(tempfile::tempdir().unwrap().path(), text.as_bytes());
        }
    }
}
