use proptest::prelude::*;

use super::*;

fn texts(source: &str) -> Vec<String> {
    Script::parse(source)
        .statements
        .into_iter()
        .map(|statement| statement.text)
        .collect()
}

#[test]
fn semicolons_inside_strings_names_and_comments_do_not_end_a_statement() {
    assert_eq!(
        texts("SELECT 'a;''b;' FROM `x;y` /* ; */ -- ;\n WHERE \"c;\" = 1; LIST TOPICS;"),
        [
            "SELECT 'a;''b;' FROM `x;y` /* ; */ -- ;\n WHERE \"c;\" = 1;",
            "LIST TOPICS;"
        ]
    );
}

#[test]
fn a_statement_begins_after_the_comments_before_it() {
    let script = Script::parse("-- one; two\n/* three */\n  LIST\nTOPICS;\n\n  x");
    assert_eq!(script.statements.len(), 1);
    assert_eq!(script.statements[0].begins, Position { line: 3, column: 3 });
    assert_eq!(
        script.unfinished,
        Some(Statement {
            text: "x".to_owned(),
            begins: Position { line: 6, column: 3 }
        })
    );
}

#[test]
fn only_comments_and_empty_statements_are_nothing() {
    assert_eq!(Script::parse("-- a\n;; /* b */ ;\n"), Script::default());
    assert!(Script::parse("LIST TOPICS; /* open").unfinished.is_some());
    assert!(Script::parse("SELECT 'open;").unfinished.is_some());
}

#[test]
fn the_kind_is_told_by_the_first_word_after_comments() {
    let kind = |source: &str| Script::parse(source).statements[0].kind();
    assert_eq!(kind("select 1;"), Kind::Query);
    assert_eq!(kind("PRINT 'processes' FROM BEGINNING;"), Kind::Print);
    assert_eq!(kind("EXPLAIN SELECT 1;"), Kind::Command);
    assert_eq!(kind("'select';"), Kind::Command);
}

#[test]
fn a_message_position_is_translated_to_the_script() {
    let script = Script::parse("\n\n   CREATE STREM x\n  AS y;");
    let statement = &script.statements[0];
    let inside = position_in_message("line 1:8: Syntax Error\nUnknown").unwrap();
    assert_eq!(
        statement.position_in_script(inside),
        Position { line: 3, column: 11 }
    );
    let second = Position { line: 2, column: 3 };
    assert_eq!(
        statement.position_in_script(second),
        Position { line: 4, column: 3 }
    );
    assert_eq!(position_in_message("deadline x, no line"), None);
}

#[test]
fn both_ways_to_name_a_place_are_understood() {
    let column = "Line: 1, Col: 8: SELECT column 'NOSUCH' cannot be resolved.";
    assert_eq!(position_in_message(column), Some(Position { line: 1, column: 8 }));
    assert_eq!(
        without_position(column),
        "SELECT column 'NOSUCH' cannot be resolved."
    );
    let syntax = "line 2:5: mismatched input 'frm' expecting 'FROM'";
    assert_eq!(position_in_message(syntax), Some(Position { line: 2, column: 5 }));
    assert_eq!(
        without_position(syntax),
        "mismatched input 'frm' expecting 'FROM'"
    );
    assert_eq!(without_position("No place: here"), "No place: here");
}

#[test]
fn a_summary_is_one_line_without_comments() {
    let script = Script::parse("CREATE -- why\n  STREAM   x (a INT);");
    assert_eq!(script.statements[0].summary(80), "CREATE STREAM x (a INT)");
    assert_eq!(script.statements[0].summary(8), "CREATE …");
}

#[test]
fn a_title_ends_with_the_name_of_what_is_created() {
    let title = |source: &str| Script::parse(source).statements[0].title();
    assert_eq!(
        title("CREATE STREAM processes (name VARCHAR) WITH (x='y');"),
        "CREATE STREAM processes"
    );
    assert_eq!(title("create stream proc as select 1;"), "create stream proc");
    assert_eq!(
        title("DROP STREAM IF EXISTS `a b` DELETE TOPIC;"),
        "DROP STREAM IF EXISTS a b DELETE TOPIC"
    );
    assert_eq!(title("LIST STREAMS;"), "LIST STREAMS");
    assert_eq!(title("CREATE;"), "CREATE");
}

#[test]
fn the_shipped_statements_are_complete() {
    for source in [
        include_str!("../../ksql/01-sources.sql"),
        include_str!("../../ksql/02-streams.sql"),
        include_str!("../../ksql/03-precise.sql"),
        include_str!("../../ksql/queries/original.sql"),
        include_str!("../../ksql/queries/precise.sql"),
    ] {
        let script = Script::parse(source);
        assert!(!script.statements.is_empty());
        assert_eq!(script.unfinished, None);
    }
}

/// A piece of a script that holds no statement end of its own.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z_][a-zA-Z0-9_]{0,8}",
        "'[^']{0,8}(''[^']{0,4})?'",
        "`[^`]{0,8}`",
        "\"[^\"]{0,8}\"",
        "[(),.=<>+*\\[\\]]",
        "-- [^\n]{0,8}\n",
        "/\\*[^*/]{0,8}\\*/",
    ]
}

proptest! {
    #[test]
    fn any_text_is_cut_without_loss_and_without_panic(source in any::<String>()) {
        let script = Script::parse(&source);
        let mut rest = source.as_str();
        for statement in script.statements.iter().chain(&script.unfinished) {
            let at = rest.find(&statement.text);
            prop_assert!(at.is_some());
            rest = &rest[at.unwrap_or(0) + statement.text.len()..];
            let line = source.split('\n').nth(statement.begins.line - 1).unwrap_or("");
            let tail: String = line.chars().skip(statement.begins.column - 1).collect();
            prop_assert_eq!(tail.chars().next(), statement.text.chars().next());
        }
    }

    #[test]
    fn statements_joined_are_cut_where_they_were_joined(
        statements in prop::collection::vec(
            ("[a-z]{1,6}", prop::collection::vec(piece(), 0..6)), 0..6)
    ) {
        let statements: Vec<String> = statements
            .into_iter()
            .map(|(word, pieces)| format!("{word} {};", pieces.join(" ")))
            .collect();
        let script = Script::parse(&statements.join("\n"));
        let cut: Vec<String> = script.statements.into_iter().map(|s| s.text).collect();
        prop_assert_eq!(cut, statements);
        prop_assert_eq!(script.unfinished, None);
    }

    #[test]
    fn cutting_again_changes_nothing(source in any::<String>()) {
        for statement in Script::parse(&source).statements {
            let again = Script::parse(&statement.text);
            prop_assert_eq!(again.statements.len(), 1);
            prop_assert_eq!(&again.statements[0].text, &statement.text);
        }
    }
}
