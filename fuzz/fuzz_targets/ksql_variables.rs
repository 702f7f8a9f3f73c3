//! Session variables: what is put into a statement stays one token of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osqdemo_fuzz as _;
use osqdemo_ksqldb::syntax::ast::Position;
use osqdemo_ksqldb::syntax::split;
use osqdemo_ksqldb::syntax::variables::{Variables, substitute};

fuzz_target!(|input: (&str, &str)| {
    let (value, text) = input;
    let mut variables = Variables::default();
    variables.define("v", value);
    let Ok(statements) = split(text) else { return };
    let position = Position { line: 1, column: 1 };
    let Ok(substituted) = substitute(text, position, &variables) else {
        return;
    };
    let again = split(&substituted).unwrap_or_else(|error| panic!("{substituted}: {error}"));
    assert_eq!(again.len(), statements.len(), "{substituted}");
});
