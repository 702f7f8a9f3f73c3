//! A stream of rows, read from the bytes of an answer as they come.
//!
//! `/query` answers with one JSON array that may never end: a header, then rows, then perhaps a final message
//! or an error. Servers differ in where they put newlines, and idle ones send bare newlines as a sign of life;
//! chunks end anywhere, also inside a character. So the bytes are cut into the array's objects here, and only
//! whole objects are parsed. `PRINT` answers with lines of text instead. Pure: knows nothing of HTTP.

use std::collections::VecDeque;

use serde_json::Value;

use super::cell::{Cell, cells_of_row};
use super::error::ServerError;
use super::object_scanner::ObjectScanner;
use super::schema::{self, Column};

/// An item of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// The query runs; always the first item of a query.
    Header(Header),
    /// A row.
    Row(Row),
    /// A line of `PRINT`.
    Line(String),
    /// The server ended the query and says why, such as `Limit Reached`.
    Final(String),
    /// The query failed after it had started.
    Failed(ServerError),
}

/// What comes before the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The server's name for the running query; 0.6 says `none`.
    pub query_id: String,
    /// The columns of every row.
    pub columns: Vec<Column>,
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The values, in the order of the header's columns.
    pub cells: Vec<Cell>,
    /// Whether the row says that its key is gone (push queries on tables).
    pub is_tombstone: bool,
}

/// Why bytes are not an answer of ksqlDB.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Something other than an object of the array.
    #[error("`{excerpt}` where a row was expected")]
    NotAnObject {
        /// The first bytes of it.
        excerpt: String,
    },
    /// An object of the array that is not JSON.
    #[error("a row is not JSON: {reason}")]
    NotJson {
        /// What the JSON parser says.
        reason: String,
    },
    /// An object that is none of the known items.
    #[error("`{excerpt}` is neither a header nor a row")]
    UnknownItem {
        /// The first bytes of it.
        excerpt: String,
    },
    /// An item too large to be one.
    #[error("an item of more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
}

/// Far above any row that a Kafka record can carry; keeps a broken server from filling the memory.
const ITEM_LIMIT: usize = 128 << 20;

/// Reads items from chunks of bytes.
#[derive(Debug)]
pub struct Decoder {
    format: Format,
    buffer: Vec<u8>,
    items: VecDeque<Item>,
}

#[derive(Debug)]
enum Format {
    Array(ObjectScanner),
    Lines,
}

impl Decoder {
    /// For the answer to a query.
    pub fn rows() -> Self {
        Self::new(Format::Array(ObjectScanner::default()))
    }

    /// For the answer to `PRINT`.
    pub fn lines() -> Self {
        Self::new(Format::Lines)
    }

    fn new(format: Format) -> Self {
        Self {
            format,
            buffer: Vec::new(),
            items: VecDeque::new(),
        }
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), Malformed> {
        self.buffer.extend_from_slice(chunk);
        match &mut self.format {
            Format::Array(scanner) => {
                let mut consumed = 0;
                while let Some((start, end)) = scanner.next_object(&self.buffer)? {
                    push_item(&self.buffer[start..end], &mut self.items)?;
                    consumed = end;
                }
                if consumed == 0 {
                    consumed = scanner.seen_between();
                }
                self.buffer.drain(..consumed);
                scanner.shift(consumed);
            }
            Format::Lines => {
                let Some(last) = self.buffer.iter().rposition(|&byte| byte == b'\n') else {
                    return check_size(self.buffer.len());
                };
                for line in self.buffer[..last].split(|&byte| byte == b'\n') {
                    push_line(line, &mut self.items);
                }
                self.buffer.drain(..=last);
            }
        }
        check_size(self.buffer.len())
    }

    /// The next whole item.
    pub fn next_item(&mut self) -> Option<Item> {
        self.items.pop_front()
    }

    /// Says that no more bytes come. Whether the answer was complete: an array that was closed, or text.
    pub fn finish(&mut self) -> bool {
        match &self.format {
            Format::Array(scanner) => scanner.is_closed(),
            Format::Lines => {
                let line = std::mem::take(&mut self.buffer);
                push_line(&line, &mut self.items);
                true
            }
        }
    }
}

fn check_size(length: usize) -> Result<(), Malformed> {
    if length > ITEM_LIMIT {
        return Err(Malformed::TooLarge { limit: ITEM_LIMIT });
    }
    Ok(())
}

fn push_line(line: &[u8], items: &mut VecDeque<Item>) {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if !line.is_empty() {
        items.push_back(Item::Line(String::from_utf8_lossy(line).into_owned()));
    }
}

/// Reads one object of the array. An object may be several items at once: old servers send the header, the
/// row and the messages as fields of one object, most of them null.
fn push_item(bytes: &[u8], items: &mut VecDeque<Item>) -> Result<(), Malformed> {
    let object: Value = serde_json::from_slice(bytes).map_err(|error| Malformed::NotJson {
        reason: error.to_string(),
    })?;
    let unknown = || Malformed::UnknownItem {
        excerpt: excerpt(bytes),
    };
    let before = items.len();
    if let Some(header) = present(&object, "header") {
        items.push_back(Item::Header(read_header(header).ok_or_else(unknown)?));
    }
    if let Some(row) = present(&object, "row") {
        items.push_back(Item::Row(read_row(row, bytes).ok_or_else(unknown)?));
    }
    if let Some(error) = present(&object, "errorMessage") {
        items.push_back(Item::Failed(ServerError::from_json(error).ok_or_else(unknown)?));
    } else if let Some(error) = ServerError::from_json(&object) {
        items.push_back(Item::Failed(error));
    }
    if let Some(message) = present(&object, "finalMessage").and_then(Value::as_str) {
        items.push_back(Item::Final(message.to_owned()));
    }
    if items.len() == before {
        return Err(unknown());
    }
    Ok(())
}

fn present<'a>(object: &'a Value, field: &str) -> Option<&'a Value> {
    object.get(field).filter(|value| !value.is_null())
}

fn read_header(header: &Value) -> Option<Header> {
    Some(Header {
        query_id: header
            .get("queryId")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        columns: schema::parse(header.get("schema")?.as_str()?)?,
    })
}

fn read_row(row: &Value, object: &[u8]) -> Option<Row> {
    Some(Row {
        cells: cells_of_row(std::str::from_utf8(object).ok()?)?,
        is_tombstone: row.get("tombstone").and_then(Value::as_bool) == Some(true),
    })
}

pub(super) fn excerpt(bytes: &[u8]) -> String {
    let mut excerpt: String = String::from_utf8_lossy(&bytes[..bytes.len().min(160)])
        .chars()
        .take(60)
        .collect();
    if bytes.len() > excerpt.len() {
        excerpt.push('…');
    }
    excerpt
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn decode(mut decoder: Decoder, chunks: &[&[u8]]) -> (Vec<Item>, bool) {
        for chunk in chunks {
            decoder.feed(chunk).unwrap();
        }
        let complete = decoder.finish();
        (std::iter::from_fn(|| decoder.next_item()).collect(), complete)
    }

    /// What a server of 0.29 sends, with a sign of life, an escaped quote and a bracket in a value.
    const RECENT: &str = concat!(
        "[{\"header\":{\"queryId\":\"transient_P_1\",\"schema\":\"`HOST` STRING, `TAGS` MAP<STRING, STRING>\"}},\n",
        "\n",
        "{\"row\":{\"columns\":[\"höst]}\\\"\",{\"a\":\"b\"}]}},\n",
        "{\"row\":{\"columns\":[null,null],\"tombstone\":true}},\n",
        "{\"finalMessage\":\"Limit Reached\"}]"
    );

    fn recent_items() -> Vec<Item> {
        vec![
            Item::Header(Header {
                query_id: "transient_P_1".to_owned(),
                columns: schema::parse("`HOST` STRING, `TAGS` MAP<STRING, STRING>").unwrap(),
            }),
            Item::Row(Row {
                cells: vec![json!("höst]}\"").into(), json!({"a": "b"}).into()],
                is_tombstone: false,
            }),
            Item::Row(Row {
                cells: vec![json!(null).into(), json!(null).into()],
                is_tombstone: true,
            }),
            Item::Final("Limit Reached".to_owned()),
        ]
    }

    #[test]
    fn a_recent_answer() {
        assert_eq!(
            decode(Decoder::rows(), &[RECENT.as_bytes()]),
            (recent_items(), true)
        );
    }

    #[test]
    fn an_answer_of_0_6_with_nulls_and_signs_of_life() {
        let body = b"[{\"header\":{\"queryId\":\"none\",\"schema\":\"`A` INTEGER\"},\"row\":null,\"errorMessage\":null,\"finalMessage\":null},\n\n\n{\"row\":{\"columns\":[1]}},\n]\n";
        let (items, complete) = decode(Decoder::rows(), &[body]);
        assert!(complete);
        assert_eq!(items.len(), 2);
        assert!(matches!(&items[0], Item::Header(header) if header.query_id == "none"));
    }

    #[test]
    fn an_error_in_the_midst_of_rows() {
        let body = br#"[{"header":{"queryId":"q","schema":"`A` INTEGER"}},
{"errorMessage":{"@type":"generic_error","error_code":50000,"message":"gone"}}]"#;
        let (items, _) = decode(Decoder::rows(), &[body]);
        assert_eq!(
            items[1],
            Item::Failed(ServerError {
                code: 50000,
                message: "gone".to_owned(),
                statement: None
            })
        );
    }

    #[test]
    fn an_array_that_is_not_closed_is_incomplete() {
        let cut = &RECENT.as_bytes()[..RECENT.len() - 1];
        let (items, complete) = decode(Decoder::rows(), &[cut]);
        assert_eq!(items, recent_items());
        assert!(!complete);
    }

    #[test]
    fn what_is_not_an_answer_is_named() {
        let feed = |body: &str| Decoder::rows().feed(body.as_bytes()).unwrap_err();
        insta::assert_snapshot!(feed("<html>"), @"`<html>` where a row was expected");
        insta::assert_snapshot!(feed("[{\"x\":1}]"), @r#"`{"x":1}` is neither a header nor a row"#);
        insta::assert_snapshot!(feed("[{x}]"), @"a row is not JSON: key must be a string at line 1 column 2");
        insta::assert_snapshot!(feed("[[1,2]]"), @"`[1,2]]` where a row was expected");
    }

    #[test]
    fn printed_lines_are_cut_at_newlines_and_need_not_be_utf8() {
        let (items, complete) = decode(
            Decoder::lines(),
            &[b"Key format: KA", b"FKA\r\nrowtime: \xff", b"\n\nlast"],
        );
        assert!(complete);
        assert_eq!(
            items,
            ["Key format: KAFKA", "rowtime: \u{fffd}", "last"].map(|line| Item::Line(line.to_owned()))
        );
    }

    proptest! {
        #[test]
        fn chunks_may_end_anywhere(cuts in prop::collection::vec(0..RECENT.len(), 0..12)) {
            let bytes = RECENT.as_bytes();
            let mut cuts = cuts;
            cuts.sort_unstable();
            let mut chunks = Vec::new();
            let mut from = 0;
            for cut in cuts {
                chunks.push(&bytes[from..cut]);
                from = cut;
            }
            chunks.push(&bytes[from..]);
            prop_assert_eq!(decode(Decoder::rows(), &chunks), (recent_items(), true));
        }

        #[test]
        fn any_row_survives_the_way(values in prop::collection::vec(any::<String>(), 0..6), cut in 0_usize..200) {
            let values: Vec<Value> = values.into_iter().map(Value::from).collect();
            let body = json!([{"row": {"columns": values.clone()}}]).to_string().into_bytes();
            let cut = cut.min(body.len());
            let (items, complete) = decode(Decoder::rows(), &[&body[..cut], &body[cut..]]);
            prop_assert!(complete);
            let cells = values.into_iter().map(Cell::from).collect();
            prop_assert_eq!(items, vec![Item::Row(Row { cells, is_tombstone: false })]);
        }

        #[test]
        fn any_bytes_are_read_without_panic(chunks in prop::collection::vec(any::<Vec<u8>>(), 0..5)) {
            let (mut rows, mut lines) = (Decoder::rows(), Decoder::lines());
            for chunk in &chunks {
                let _ = rows.feed(chunk);
                let _ = lines.feed(chunk);
            }
            rows.finish();
            lines.finish();
        }
    }
}
