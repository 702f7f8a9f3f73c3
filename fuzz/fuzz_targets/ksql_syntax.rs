//! ksqlDB's SQL: no text panics, and the canonical text of a statement is its own canonical text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osqdemo_fuzz as _;
use osqdemo_ksqldb::syntax::{format_statement, parse, split};

fuzz_target!(|text: &str| {
    let Ok(statements) = parse(text) else { return };
    assert_eq!(split(text).map(|raw| raw.len()), Ok(statements.len()));
    for parsed in statements {
        let canonical = format_statement(&parsed.statement);
        let again = parse(&canonical).unwrap_or_else(|error| panic!("{canonical}: {error}"));
        assert_eq!(again.len(), 1, "{canonical}");
        assert_eq!(format_statement(&again[0].statement), canonical);
    }
});
