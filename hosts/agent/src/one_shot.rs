//! `--query`: one statement, its rows as JSON on stdout, as `osqueryi --json` prints them.

use std::io::{self, Write as _};

use osquery_protocol::result_log::{EncodedRow, Numerics};

use crate::row_encoder::{Escaping, RowEncoder};
use crate::sql::{Database, QueryError};

/// Why a statement gave no rows.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OneShotError {
    #[error("{0}")]
    Query(#[from] QueryError),
    #[error("cannot write the rows: {0}")]
    Output(#[from] io::Error),
}

/// Runs a statement and prints its rows.
pub(crate) fn run(database: &Database, sql: &str, numerics: Numerics) -> Result<(), OneShotError> {
    let mut encoder = RowEncoder::new(numerics, Escaping::Escaped);
    database.query(sql, &mut encoder)?;
    let mut output = io::stdout().lock();
    output.write_all(&array(&encoder.rows))?;
    Ok(output.flush()?)
}

fn array(rows: &[EncodedRow]) -> Vec<u8> {
    let lines: Vec<Vec<u8>> = rows.iter().map(|row| [b"  ", row.as_bytes()].concat()).collect();
    [b"[\n", lines.join(&b",\n"[..]).as_slice(), b"\n]\n"].concat()
}
