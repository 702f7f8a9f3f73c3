//! A script cut into statements: each of them cut again is itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osqdemo::ksqldb::statement::{Position, Script};
use osqdemo_fuzz as _;

fuzz_target!(|text: &str| {
    for statement in Script::parse(text).statements {
        let again = Script::parse(&statement.text);
        assert_eq!(again.unfinished, None, "{text:?}");
        assert_eq!(again.statements.len(), 1, "{text:?}");
        assert_eq!(again.statements[0].text, statement.text);
        assert!(statement.summary(20).chars().count() <= 20, "{text:?}");
        let _ = (statement.kind(), statement.title());
        let origin = Position { line: 1, column: 1 };
        assert_eq!(statement.position_in_script(origin), statement.begins);
    }
});
