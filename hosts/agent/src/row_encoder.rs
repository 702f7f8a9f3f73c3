//! Turns the rows of a statement into the JSON objects of osquery's lines.
//!
//! Columns are sorted by name, and of two with one name the last counts, because osquery's rows are maps. Nulls are empty
//! text. Without `--logger_numerics` everything is text.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::ops::Range;

use osquery_protocol::result_log::{ColumnRef, EncodedRow, Numerics, escape_bytes};
use rusqlite::Row;
use rusqlite::types::ValueRef;

use crate::sql::{QueryRows, double_text, until_zero};

/// What happens to text that is not printable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escaping {
    /// As differential results are: control characters and what is not UTF-8 become `\xNN`.
    Escaped,
    /// As snapshots are.
    Raw,
}

/// Collects a statement's rows.
#[derive(Debug)]
pub(crate) struct RowEncoder {
    numerics: Numerics,
    escaping: Escaping,
    /// Each column's name and place, sorted by name.
    columns: Vec<(Vec<u8>, usize)>,
    text: Vec<u8>,
    cells: Vec<Cell>,
    pub(crate) rows: Vec<EncodedRow>,
}

#[derive(Debug)]
enum Cell {
    Text(Range<usize>),
    Integer(i64),
    Double(f64),
}

impl RowEncoder {
    pub(crate) fn new(numerics: Numerics, escaping: Escaping) -> Self {
        Self {
            numerics,
            escaping,
            columns: Vec::new(),
            text: Vec::new(),
            cells: Vec::new(),
            rows: Vec::new(),
        }
    }

    fn cell(&mut self, value: ValueRef<'_>) -> Cell {
        let start = self.text.len();
        match (value, self.numerics) {
            (ValueRef::Null, _) => {}
            (ValueRef::Integer(number), Numerics::AsNumbers) => return Cell::Integer(number),
            (ValueRef::Real(number), Numerics::AsNumbers) => return Cell::Double(number),
            (ValueRef::Integer(number), Numerics::AsText) => {
                // Writing to a vector cannot fail.
                let _ = write!(self.text, "{number}");
            }
            (ValueRef::Real(number), Numerics::AsText) => {
                self.text.extend_from_slice(double_text(number).as_bytes())
            }
            (ValueRef::Text(bytes) | ValueRef::Blob(bytes), _) => {
                let bytes = until_zero(bytes);
                match self.escaping {
                    Escaping::Escaped => self.text.extend_from_slice(&escape_bytes(bytes)),
                    Escaping::Raw => self.text.extend_from_slice(bytes),
                }
            }
        }
        Cell::Text(start..self.text.len())
    }
}

impl QueryRows for RowEncoder {
    fn columns(&mut self, names: &[&str]) {
        let places: BTreeMap<&str, usize> = names
            .iter()
            .enumerate()
            .map(|(place, &name)| (name, place))
            .collect();
        self.columns = places
            .into_iter()
            .map(|(name, place)| (name.as_bytes().to_vec(), place))
            .collect();
    }

    fn row(&mut self, row: &Row<'_>) -> Result<(), rusqlite::Error> {
        self.text.clear();
        self.cells.clear();
        for column in 0..self.columns.len() {
            let cell = self.cell(row.get_ref(self.columns[column].1)?);
            self.cells.push(cell);
        }
        let text = &self.text;
        let columns = self.columns.iter().zip(&self.cells).map(|((name, _), cell)| {
            let value = match cell {
                Cell::Text(range) => ColumnRef::Text(&text[range.clone()]),
                Cell::Integer(number) => ColumnRef::Integer(*number),
                Cell::Double(number) => ColumnRef::Double(*number),
            };
            (name.as_slice(), value)
        });
        self.rows.push(EncodedRow::encode(columns));
        Ok(())
    }
}

/// A row of numbers as it is logged without `--logger_numerics`: everything is text.
pub(crate) fn as_text(row: &EncodedRow) -> EncodedRow {
    let bytes = row.as_bytes();
    let mut text = Vec::with_capacity(bytes.len() + 16);
    let (mut in_string, mut at) = (false, 0);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' if in_string => {
                text.extend_from_slice(&bytes[at..(at + 2).min(bytes.len())]);
                at += 2;
                continue;
            }
            b'"' => in_string = !in_string,
            b'-' | b'0'..=b'9' if !in_string => {
                let rest = &bytes[at..];
                let length = rest
                    .iter()
                    .position(|byte| matches!(byte, b',' | b'}'))
                    .unwrap_or(rest.len());
                let number = String::from_utf8_lossy(&rest[..length]);
                text.push(b'"');
                match number.parse::<i64>() {
                    Ok(_) => text.extend_from_slice(number.as_bytes()),
                    Err(_) => text.extend_from_slice(double_text(number.parse().unwrap_or(0.0)).as_bytes()),
                }
                text.push(b'"');
                at += length;
                continue;
            }
            _ => {}
        }
        text.push(byte);
        at += 1;
    }
    EncodedRow::from_bytes(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Database;
    use crate::status_log::StatusLog;

    fn encode(sql: &str, numerics: Numerics, escaping: Escaping) -> Vec<Vec<u8>> {
        let database = Database::open([], &StatusLog::default()).unwrap();
        let mut encoder = RowEncoder::new(numerics, escaping);
        database.query(sql, &mut encoder).unwrap();
        encoder.rows.iter().map(|row| row.as_bytes().to_vec()).collect()
    }

    #[test]
    fn columns_are_sorted_and_the_last_of_a_name_counts() {
        let sql = "select 'x' as b, 1 as a, null as c, 'y' as b, 0.5 as d";
        assert_eq!(
            encode(sql, Numerics::AsText, Escaping::Escaped),
            [br#"{"a":"1","b":"y","c":"","d":"0.5"}"#.to_vec()]
        );
        assert_eq!(
            encode(sql, Numerics::AsNumbers, Escaping::Escaped),
            [br#"{"a":1,"b":"y","c":"","d":0.5}"#.to_vec()]
        );
    }

    #[test]
    fn a_row_of_numbers_becomes_the_row_of_texts() {
        let sql = r#"select 'a"1,2\\' as "k""q", -7 as b, 0.1 as c, 1e300 as d, null as e, -0.0 as f, '{"x":1}' as g"#;
        let numbers = encode(sql, Numerics::AsNumbers, Escaping::Escaped).remove(0);
        let texts = encode(sql, Numerics::AsText, Escaping::Escaped).remove(0);
        let converted = as_text(&EncodedRow::from_bytes(numbers));
        assert_eq!(
            String::from_utf8_lossy(converted.as_bytes()),
            String::from_utf8_lossy(&texts)
        );
    }

    #[test]
    fn text_ends_at_a_zero_byte() {
        let sql = "select cast(x'61006200' as text) as t, x'620063' as u";
        assert_eq!(
            encode(sql, Numerics::AsText, Escaping::Escaped),
            [br#"{"t":"a","u":"b"}"#.to_vec()]
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_escaped_or_not() {
        let sql = "select cast(x'61e9ff' as text) as t";
        assert_eq!(
            encode(sql, Numerics::AsText, Escaping::Escaped),
            [br#"{"t":"a\\xE9\\xFF"}"#.to_vec()]
        );
        assert_eq!(
            encode(sql, Numerics::AsText, Escaping::Raw),
            [b"{\"t\":\"a\xe9\xff\"}".to_vec()]
        );
    }
}
