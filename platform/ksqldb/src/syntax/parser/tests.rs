//! What reads as what, and what is refused how.
//!
//! Long because it follows the grammar: what is taken and what is refused, construct by construct.

use super::super::ast::{
    ColumnConstraint, ConnectorKind, ConnectorStatement, Duration, ExpressionKind, JoinKind, Listing,
    Literal, Properties, SelectItem, Statement, TimeUnit, Within,
};
use super::super::{format_expression, format_statement, parse, parse_expression};

/// The canonical text of the only statement.
fn canonical(text: &str) -> String {
    let statements = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(statements.len(), 1, "{text}");
    format_statement(&statements[0].statement)
}

fn expression(text: &str) -> String {
    format_expression(&parse_expression(text).unwrap_or_else(|error| panic!("{text}: {error}")))
}

fn refusal(text: &str) -> String {
    match parse(text) {
        Ok(statements) => panic!("{text} was read as {statements:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_demo_reads_verbatim() {
    let text = "\
create stream proc as select hostIdentifier as host, COLUMNS['name'] as name, COLUMNS['pid'] as pid, COLUMNS['path'] as path from processes where COLUMNS ['name'] not like '%osqueryd%' and COLUMNS ['name'] <> 'python' and COLUMNS ['name'] <> 'bash';
create stream files as select hostIdentifier as host, COLUMNS ['pid'] as pid, COLUMNS ['path'] as path from OPEN_FILES where COLUMNS['path'] not like '%osquery%' and COLUMNS['path'] not like '/proc/%' and COLUMNS['path'] not like '/dev/%' and len(COLUMNS['path']) <> 0;
select p.host as host, p.path as proc, f.path as file from proc as p join files as f within 1 minute on (f.pid=p.pid) emit changes;
";
    let statements = parse(text).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for (index, statement) in statements.iter().enumerate() {
        assert_eq!(statement.text, lines[index]);
        assert_eq!(
            (statement.position.line, statement.position.column),
            (index as u32 + 1, 1)
        );
    }
    let canonical: Vec<String> = statements
        .iter()
        .map(|parsed| format_statement(&parsed.statement))
        .collect();
    assert_eq!(
        canonical[0],
        "CREATE STREAM PROC AS SELECT
  HOSTIDENTIFIER HOST,
  COLUMNS['name'] NAME,
  COLUMNS['pid'] PID,
  COLUMNS['path'] PATH
FROM PROCESSES PROCESSES
WHERE (((NOT (COLUMNS['name'] LIKE '%osqueryd%')) AND (COLUMNS['name'] <> 'python')) AND (COLUMNS['name'] <> 'bash'));"
    );
    assert_eq!(
        canonical[2],
        "SELECT
  P.HOST HOST,
  P.PATH PROC,
  F.PATH FILE
FROM PROC P
INNER JOIN FILES F WITHIN 1 MINUTES ON ((F.PID = P.PID))
EMIT CHANGES;"
    );
}

#[test]
fn statements_print_canonically() {
    for (text, expected) in [
        (
            "create or replace source table `t-1` (id int primary key, k string key, h array<struct<key string, value bytes>> headers, x bytes header('a''b')) with (kafka_topic='x', partitions=1, 'my.own'=-1.5);",
            "CREATE OR REPLACE SOURCE TABLE `t-1` (ID INTEGER PRIMARY KEY, K STRING KEY, H ARRAY<STRUCT<KEY STRING, VALUE BYTES>> HEADERS, X BYTES HEADER('a''b')) WITH (KAFKA_TOPIC='x', PARTITIONS=1, 'MY.OWN'=-1.5);",
        ),
        ("create stream if not exists s;", "CREATE STREAM IF NOT EXISTS S;"),
        (
            "select * from a join b within 60 seconds grace period 1 day on a.x=b.x emit changes;",
            "SELECT *\nFROM A A\nINNER JOIN B B WITHIN 60 SECONDS GRACE PERIOD 1 DAYS ON ((A.X = B.X))\nEMIT CHANGES;",
        ),
        (
            "select * from a join b within (1 minute, 60 seconds) on a.x=b.x emit changes;",
            "SELECT *\nFROM A A\nINNER JOIN B B WITHIN (1 MINUTES, 60 SECONDS) ON ((A.X = B.X))\nEMIT CHANGES;",
        ),
        (
            "select g, count(*) from a window hopping (size 60 minutes, advance by 120 second, retention 48 hours, grace period 0 days) group by g emit changes;",
            "SELECT\n  G,\n  COUNT(*)\nFROM A A\nWINDOW HOPPING ( SIZE 60 MINUTES , ADVANCE BY 120 SECONDS , RETENTION 48 HOURS , GRACE PERIOD 0 DAYS ) \nGROUP BY G\nEMIT CHANGES;",
        ),
        (
            "insert into s with (query_id='q') select * from t;",
            "INSERT INTO S WITH (QUERY_ID='q') SELECT *\nFROM T T;",
        ),
        (
            "insert into s (a, `b`) values (1, array[1,2]);",
            "INSERT INTO S (A, `b`) VALUES (1, ARRAY[1, 2]);",
        ),
        ("insert into s values (-1);", "INSERT INTO S VALUES (-1);"),
        (
            "print 'my-topic' from beginning interval 2 limit 3;",
            "PRINT 'my-topic' FROM BEGINNING INTERVAL 2 LIMIT 3;",
        ),
        ("print Topic_1 sample 5;", "PRINT 'Topic_1' INTERVAL 5;"),
        (
            "drop stream if exists s delete topic;",
            "DROP STREAM IF EXISTS S DELETE TOPIC;",
        ),
        ("drop table t;", "DROP TABLE T;"),
        ("terminate transient_P_1;", "TERMINATE transient_P_1;"),
        ("terminate all;", "TERMINATE ALL;"),
        ("pause `a b`;", "PAUSE `a b`;"),
        ("resume CSAS_X_1;", "RESUME CSAS_X_1;"),
        ("show all topics extended;", "LIST ALL TOPICS EXTENDED;"),
        ("list streams extended;", "LIST STREAMS EXTENDED;"),
        ("list tables;", "LIST TABLES;"),
        ("show queries;", "LIST QUERIES;"),
        ("show functions;", "LIST FUNCTIONS;"),
        ("show properties;", "LIST PROPERTIES;"),
        ("show types;", "LIST TYPES;"),
        ("show variables;", "LIST VARIABLES;"),
        ("describe s extended;", "DESCRIBE S EXTENDED;"),
        ("describe extended s;", "DESCRIBE S EXTENDED;"),
        ("describe streams;", "DESCRIBE STREAMS;"),
        ("describe tables extended;", "DESCRIBE `TABLES` EXTENDED;"),
        ("describe function len;", "DESCRIBE FUNCTION LEN;"),
        ("describe function;", "DESCRIBE `FUNCTION`;"),
        ("explain CSAS_x_1;", "EXPLAIN CSAS_x_1;"),
        ("explain select * from s;", "EXPLAIN SELECT *\nFROM S S;"),
        ("set 'a'='b''c';", "SET 'a'='b''c';"),
        ("unset 'a';", "UNSET 'a';"),
        ("define Topic = 'x';", "DEFINE Topic='x';"),
        ("undefine Topic;", "UNDEFINE Topic;"),
    ] {
        assert_eq!(canonical(text), expected);
    }
}

#[test]
fn queries_print_canonically() {
    for (text, expected) in [
        (
            "select a.*, b.x y, count(*) from a left join b as b2 within (1 hour, 90 seconds) grace period 0 days on a.id = b2.id full outer join c on a.id=c.id emit final limit 5;",
            "SELECT
  A.*,
  B.X Y,
  COUNT(*)
FROM A A
LEFT OUTER JOIN B B2 WITHIN (1 HOURS, 90 SECONDS) GRACE PERIOD 0 DAYS ON ((A.ID = B2.ID))
FULL OUTER JOIN C C ON ((A.ID = C.ID))
EMIT FINAL
LIMIT 5;",
        ),
        (
            "select * from s window hopping (size 2 days, advance by 1 day, retention 7 days, grace period 5 milliseconds) where x group by (a, b) having c > 1;",
            "SELECT *\nFROM S S\nWINDOW HOPPING ( SIZE 2 DAYS , ADVANCE BY 1 DAYS , RETENTION 7 DAYS , GRACE PERIOD 5 MILLISECONDS ) \nWHERE X\nGROUP BY A, B\nHAVING (C > 1);",
        ),
        (
            "select * from s window session (1500 milliseconds) group by (a), (b) emit changes;",
            "SELECT *\nFROM S S\nWINDOW SESSION ( 1500 MILLISECONDS ) \nGROUP BY A, B\nEMIT CHANGES;",
        ),
        (
            "select * from s partition by len(a), b;",
            "SELECT *\nFROM S S\nPARTITION BY LEN(A), B;",
        ),
    ] {
        assert_eq!(canonical(text), expected);
    }
}

#[test]
fn a_window_may_differ_both_ways() {
    let parsed = parse("select * from a join b within (1 minute, 2 minutes) on a.x=b.x;").unwrap();
    let Statement::Query(query) = &parsed[0].statement else {
        panic!("not a query");
    };
    assert_eq!(query.joins[0].kind, JoinKind::Inner);
    let expected = Within {
        before: Duration::new(1, TimeUnit::Minutes).unwrap(),
        after: Duration::new(2, TimeUnit::Minutes).unwrap(),
        grace: None,
    };
    assert_eq!(query.joins[0].within, Some(expected));
}

#[test]
fn precedence() {
    for (text, expected) in [
        ("a or b and not c = d", "(A OR (B AND (NOT (C = D))))"),
        ("not a and b", "((NOT A) AND B)"),
        ("a + b * c - d / e % f", "((A + (B * C)) - ((D / E) % F))"),
        ("a - (b - c)", "(A - (B - C))"),
        ("-a + -5 - -5", "((-A + -5) - -5)"),
        ("- (5)", "-(5)"),
        ("- - a", "-(-A)"),
        ("a || b || c + d", "CONCAT(CONCAT(A, B), (C + D))"),
        ("a = b + 1 and c", "((A = (B + 1)) AND C)"),
        ("a between 1 + 1 and 3 and b", "((A BETWEEN (1 + 1) AND 3) AND B)"),
        ("a not between 1 and 2", "(NOT (A BETWEEN 1 AND 2))"),
        ("a not in (1, b or c)", "(NOT (A IN (1, (B OR C))))"),
        ("a like b || '%' escape '!'", "(A LIKE CONCAT(B, '%') ESCAPE '!')"),
        ("a is not null or b is null", "((A IS NOT NULL) OR (B IS NULL))"),
        ("a is not distinct from b", "(A IS NOT DISTINCT FROM B)"),
        ("a is distinct from b", "(A IS DISTINCT FROM B)"),
        ("a != b", "(A <> B)"),
        ("a->b->c[1]['x']", "A->B->C[1]['x']"),
        ("t.a[-1]", "T.A[-1]"),
        ("(-a)[1]", "(-A)[1]"),
        ("case when a then b else c end", "(CASE WHEN A THEN B ELSE C END)"),
        (
            "case a when 1 then 'x' when 2 then 'y' end",
            "(CASE A WHEN 1 THEN 'x' WHEN 2 THEN 'y' END)",
        ),
        ("cast(a as decimal(4,2))", "CAST(A AS DECIMAL(4, 2))"),
        ("map('k' := 1, b := null)", "MAP('k':=1, B:=null)"),
        ("struct(x := 1, `y` := true)", "STRUCT(X:=1, `y`:=true)"),
        ("array[]", "ARRAY[]"),
        ("transform(a, x => x + 1)", "TRANSFORM(A, (X) => (X + 1))"),
        (
            "reduce(m, 0, (s, k, v) => s + v)",
            "REDUCE(M, 0, (S, K, V) => (S + V))",
        ),
        ("f((a), (b))", "F(A, B)"),
        ("timestampadd(day, 5, ts)", "TIMESTAMPADD(DAY, 5, TS)"),
        ("datesub(Days, n, d)", "DATESUB(DAYS, N, D)"),
    ] {
        assert_eq!(expression(text), expected, "{text}");
    }
}

#[test]
fn words_that_are_not_reserved_are_names() {
    for name in [
        "COLUMNS",
        "MAP",
        "ARRAY",
        "STRUCT",
        "KEY",
        "TIME",
        "DATE",
        "TIMESTAMP",
        "TYPE",
        "SOURCE",
        "SINK",
        "ID",
        "SCHEMA",
        "HEADERS",
        "CHANGES",
        "EMIT",
        "PARTITION",
        "PARTITIONS",
        "IF",
        "SET",
        "DAY",
        "SECONDS",
        "GRACE",
        "INTEGER",
        "PRIMARY",
        "FINAL",
        "ESCAPE",
        "REPLACE",
        "NAME",
        "PID",
        "PATH",
        "ROWTIME",
    ] {
        let lower = name.to_ascii_lowercase();
        let text = format!("{lower} ['x'] = s.{lower} and {lower} like 'a'");
        parse_expression(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let text =
            format!("select {lower} {lower}, {lower}.{lower} from {lower} as {lower} where {lower} = 1;");
        parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let text = format!("create stream s ({lower} string, x struct<{lower} int>);");
        parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    for reserved in [
        "values", "size", "table", "topic", "stream", "streams", "query", "end", "list", "to", "window", "at",
    ] {
        assert!(
            parse_expression(&format!("{reserved} = 1")).is_err(),
            "{reserved}"
        );
        assert!(
            parse_expression(&format!("`{reserved}` = 1")).is_ok(),
            "{reserved}"
        );
    }
}

#[test]
fn names_fold_unless_quoted() {
    assert_eq!(expression("hostIdentifier"), "HOSTIDENTIFIER");
    assert_eq!(expression("`hostIdentifier`"), "`hostIdentifier`");
    assert_eq!(expression("\"ABC\""), "ABC");
    assert_eq!(expression("`a``b`"), "`a``b`");
    assert_eq!(expression("`SELECT`"), "`SELECT`");
    assert_eq!(expression("`Date`"), "`Date`");
}

#[test]
fn literals() {
    for (text, expected) in [
        ("2147483647", Literal::Integer(i32::MAX)),
        ("-2147483648", Literal::Integer(i32::MIN)),
        ("2147483648", Literal::Bigint(2_147_483_648)),
        ("-9223372036854775808", Literal::Bigint(i64::MIN)),
        ("5.0", Literal::Decimal("5.0".to_owned())),
        ("-5.", Literal::Decimal("-5.".to_owned())),
        ("DECIMAL '7'", Literal::Decimal("7".to_owned())),
        ("decimal '-1.50'", Literal::Decimal("-1.50".to_owned())),
        ("1e3", Literal::Double(1000.0)),
        ("-1.5E-1", Literal::Double(-0.15)),
        ("'it''s'", Literal::String("it's".to_owned())),
        ("NULL", Literal::Null),
        ("True", Literal::Boolean(true)),
    ] {
        assert_eq!(
            parse_expression(text).unwrap().kind,
            ExpressionKind::Literal(expected),
            "{text}"
        );
    }
    for text in ["9223372036854775808", "1e999"] {
        let message = format!("line 1:1: Syntax Error\nInvalid numeric literal: {text}");
        assert_eq!(parse_expression(text).unwrap_err().to_string(), message);
    }
}

#[test]
fn what_a_declaration_says() {
    let parsed = parse("CREATE STREAM s (\n  a INT KEY,\n  b HEADER ('x'));").unwrap_err();
    assert_eq!(
        parsed.to_string(),
        "Failed to prepare statement: Cannot resolve unknown type: HEADER"
    );
    let parsed = parse("CREATE STREAM s (\n  a INT KEY,\n  `b` BYTES HEADER ('x'));").unwrap();
    let Statement::CreateSource(create) = &parsed[0].statement else {
        panic!("not a declaration");
    };
    assert_eq!(create.columns[0].constraint, ColumnConstraint::Key);
    assert_eq!(
        create.columns[1].constraint,
        ColumnConstraint::Header("x".to_owned())
    );
    assert_eq!(create.columns[1].position.to_string(), "3:3");
}

#[test]
fn positions_are_where_things_begin() {
    let parsed = parse("-- c\n  SELECT a,\n    b + c x FROM s;").unwrap();
    assert_eq!(parsed[0].position.to_string(), "2:3");
    let Statement::Query(query) = &parsed[0].statement else {
        panic!("not a query");
    };
    let SelectItem::Expression { expression, .. } = &query.select[1] else {
        panic!("not an expression");
    };
    assert_eq!(expression.position.to_string(), "3:5");
    let ExpressionKind::Binary(_, _, right) = &expression.kind else {
        panic!("not a sum");
    };
    assert_eq!(right.position.to_string(), "3:9");
    assert_eq!(query.from.position.to_string(), "3:18");
}

#[test]
fn refusals_name_the_place_and_the_token() {
    for (text, message) in [
        (
            "SELECT a FORM s;",
            "line 1:15: Syntax Error\nExpecting {',', 'FROM'}",
        ),
        (
            "SELECT FROM s;",
            "line 1:8: Syntax Error\n\"FROM\" is a reserved keyword and it can't be used as an identifier. You can use it as an identifier by escaping it as 'FROM' ",
        ),
        (
            "list streams;\n  selec * from s;",
            "line 2:3: Syntax Error\nUnknown statement 'selec'\nDid you mean 'SELECT'?",
        ),
        (
            "SELECT * FROM s",
            "line 1:16: Syntax Error\nmissing ';' at '<EOF>'",
        ),
        (
            "SELECT * FROM s WHERE;",
            "line 1:22: Syntax Error\nSyntax error at or near ';' at line 1:22",
        ),
        ("SELECT * FROM s WHERE a = b = c;", "line 1:29: Syntax Error\n"),
        (
            "SELECT * FROM s WHERE (a;",
            "line 1:25: Syntax Error\nmissing ')' at ';'",
        ),
        (
            "SELECT * FROM s JOIN t WITHIN 1 parsec ON a=b;",
            "line 1:33: Syntax Error\nSyntax error at or near 'parsec' at line 1:33",
        ),
        (
            "SELECT * FROM s JOIN t;",
            "line 1:23: Syntax Error\nExpecting 'ON'",
        ),
        (
            "CREATE STRAEM s;",
            "line 1:8: Syntax Error\nSyntax error at or near 'STRAEM' at line 1:8",
        ),
        (
            "CREATE STREAM `a.b`;",
            "Illegal argument at Line: 1, Col: 15. Source names may only contain alphanumeric values, '_' or '-'. Got: 'a.b'",
        ),
        (
            "CREATE STREAM s WITH (a='x', A='y');",
            "Failed to prepare statement: Multiple entries with same key: A='y' and A='x'",
        ),
        (
            "CREATE STREAM s (a INT) AS SELECT * FROM t;",
            "line 1:25: Syntax Error\n\"AS\" is a reserved keyword and it can't be used as an identifier. You can use it as an identifier by escaping it as 'AS' ",
        ),
        ("SELECT a ? b FROM s;", "line 1:10: Syntax Error\n"),
        (
            "SELECT * FROM s LIMIT 99999999999999999999;",
            "line 1:23: Syntax Error\nthe number 99999999999999999999 is too large",
        ),
        (
            "SELECT * FROM s WHERE a LIKE 'x' ESCAPE '!!';",
            "line 1:41: Syntax Error\nEscape character must be a single character",
        ),
        (
            "DEFINE 7up='x';",
            "line 1:8: Syntax Error\nSyntax error at or near '7up' at line 1:8",
        ),
        (
            "LIST ALL STREAMS;",
            "line 1:10: Syntax Error\n\"STREAMS\" is a reserved keyword and it can't be used as an identifier. You can use it as an identifier by escaping it as 'STREAMS' ",
        ),
        (
            "SELECT DATESUB(MONTHS, 1, d) FROM s;",
            "line 1:16: Syntax Error\nSyntax error at or near 'MONTHS' at line 1:16",
        ),
        (
            "SELECT POSITION('b' IN 'abc') FROM s;",
            "line 1:24: Syntax Error\nSyntax error at or near ''abc'' at line 1:24",
        ),
        ("SELECT a FROM s ORDER BY a;", "line 1:23: Syntax Error\n"),
        (
            "SELECT * FROM s LIMIT 2.5;",
            "Failed to prepare statement: Value must be integer for command: LIMIT",
        ),
        (
            "SELECT MAP('a' := 1, 'a' := 2) FROM s;",
            "Failed to prepare statement: Multiple entries with same key: 'a'=2 and 'a'=1",
        ),
        (
            "SELECT * FROM s PARTITION BY ();",
            "Failed to prepare statement: PARTITION BY requires at least one expression",
        ),
        (
            "SELECT ``  FROM s;",
            "line 1:8: Syntax Error\na name must not be empty",
        ),
        (
            "CREATE STREAM ${x};",
            "line 1:15: Syntax Error\nthe variable ${x} is not defined",
        ),
        (
            "SELECT * FROM a WINDOW TUMBLING (SIZE 99999999999999 DAYS);",
            "line 1:39: Syntax Error\nthe duration is too long",
        ),
    ] {
        assert_eq!(refusal(text), message, "{text}");
    }
}

#[test]
fn a_refusal_carries_its_statement_alone() {
    let error = parse("LIST STREAMS; DROP x; LIST TABLES;").unwrap_err();
    assert_eq!(error.statement, "DROP x;");
    assert_eq!(error.position.to_string(), "1:20");
}

#[test]
fn what_this_server_lacks_still_parses() {
    for (text, what) in [
        ("RUN SCRIPT 'x.sql';", "RUN SCRIPT"),
        ("alter system 'a' = 'b';", "ALTER SYSTEM"),
    ] {
        let parsed = parse(&format!("{text} LIST TYPES;")).unwrap();
        assert_eq!(
            parsed[0].statement,
            Statement::Unsupported {
                what: what.to_owned()
            }
        );
        assert_eq!(parsed[0].text, text);
        assert_eq!(parsed[1].statement, Statement::List(Listing::Types));
    }
}

#[test]
fn connectors() {
    let settings = [("a.b".to_owned(), Literal::String("c".to_owned()))].to_vec();
    for (text, expected) in [
        (
            "create source connector if not exists c with ('a.b'='c');",
            ConnectorStatement::Create {
                kind: ConnectorKind::Source,
                name: "C".to_owned(),
                if_not_exists: true,
                settings: Properties(settings.clone()),
            },
        ),
        (
            "CREATE SINK CONNECTOR `my-sink` WITH (\"a.b\"='c');",
            ConnectorStatement::Create {
                kind: ConnectorKind::Sink,
                name: "my-sink".to_owned(),
                if_not_exists: false,
                settings: Properties(settings),
            },
        ),
        (
            "DROP CONNECTOR IF EXISTS c;",
            ConnectorStatement::Drop {
                name: "C".to_owned(),
                if_exists: true,
            },
        ),
        (
            "DESCRIBE CONNECTOR \"c\";",
            ConnectorStatement::Describe { name: "c".to_owned() },
        ),
        ("SHOW CONNECTORS;", ConnectorStatement::List(None)),
        (
            "LIST SOURCE CONNECTORS;",
            ConnectorStatement::List(Some(ConnectorKind::Source)),
        ),
        (
            "SHOW SINK CONNECTORS;",
            ConnectorStatement::List(Some(ConnectorKind::Sink)),
        ),
        ("LIST CONNECTOR PLUGINS;", ConnectorStatement::Plugins),
    ] {
        let parsed = parse(text).unwrap();
        assert_eq!(parsed[0].statement, Statement::Connector(expected), "{text}");
    }
    assert!(parse("CREATE SINK CONNECTOR c;").is_err());
}

/// The parser must fit into any thread, and leave room for its callers, unoptimised
/// too: three quarters of a usual stack is what the tests give it.
fn with_a_small_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new()
        .stack_size(3 << 19)
        .spawn(test)
        .unwrap();
    thread.join().unwrap();
}

#[test]
fn deep_nesting_is_refused() {
    with_a_small_stack(|| {
        let parentheses = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
        let calls = |depth: usize| format!("{}a{}", "f(".repeat(depth), ")".repeat(depth));
        let nots = |depth: usize| format!("{}a", "not ".repeat(depth));
        let signs = |depth: usize| format!("{}a", "- ".repeat(depth));
        let cases = |depth: usize| format!("{}a{}", "case when ".repeat(depth), " then 1 end".repeat(depth));
        let right = |depth: usize| format!("{}a{}", "(a - ".repeat(depth), ")".repeat(depth));
        let concatenations = |depth: usize| format!("{}a{}", "(a || ".repeat(depth), ")".repeat(depth));
        let maps = |depth: usize| format!("{}a{}", "map('k' := ".repeat(depth), ")".repeat(depth));
        let likes = |depth: usize| format!("{}a{}", "a like (".repeat(depth), ")".repeat(depth));
        let lists = |depth: usize| format!("{}a{}", "a in (".repeat(depth), ")".repeat(depth));
        let lambdas = |depth: usize| format!("{}a{}", "f(x => ".repeat(depth), ")".repeat(depth));
        let shapes: [&dyn Fn(usize) -> String; 11] = [
            &parentheses,
            &calls,
            &nots,
            &signs,
            &cases,
            &right,
            &concatenations,
            &maps,
            &likes,
            &lists,
            &lambdas,
        ];
        for shape in shapes {
            // A lambda is a level of its own, like the call around it; a `CASE` is two.
            for depth in [39, 79] {
                let text = shape(depth);
                let Ok(tree) = parse_expression(&text) else {
                    assert_eq!(depth, 79);
                    assert!([lambdas(1), cases(1)].contains(&shape(1)));
                    continue;
                };
                let again = parse_expression(&format_expression(&tree)).unwrap();
                assert_eq!(format_expression(&again), format_expression(&tree));
            }
            assert!(parse_expression(&shape(211)).is_err());
            assert!(parse_expression(&shape(5_000)).is_err());
        }
    });
}

#[test]
fn deep_explanations_are_refused() {
    let error = parse(&format!("{} select * from s;", "explain ".repeat(10_000))).unwrap_err();
    assert_eq!(error.message, "the statement is nested too deeply");
}

#[test]
fn long_chains_are_not_deep() {
    let chain = |operators: usize| format!("a{}", " and b = 1".repeat(operators));
    with_a_small_stack(move || {
        for text in [
            chain(118),
            chain(5_000),
            format!("a{}", "->b[1]".repeat(59)),
            format!("a{}", " || b".repeat(78)),
            format!("a{}", " || b".repeat(10_000)),
            format!("a{}", " || (b || c) || concat(d, e)".repeat(2_000)),
            format!("a{}", " + 1".repeat(10_000)),
            format!("a{}", " - b * 2".repeat(5_000)),
            format!("a = 1{}", " and (b = 1 or c + 1 - 2 > 3)".repeat(1_500)),
        ] {
            let tree = parse_expression(&text).unwrap();
            let again = parse_expression(&format_expression(&tree)).unwrap();
            assert_eq!(format_expression(&again), format_expression(&tree));
        }
        for text in [
            chain(5_001),
            format!("a{}", " + 1".repeat(10_001)),
            format!("a{}", " || b".repeat(10_001)),
        ] {
            let error = parse_expression(&text).unwrap_err();
            assert_eq!(error.message, "the expression has more than 10000 operators");
        }
        let error = parse_expression(&format!("a{}", "[1]".repeat(5_000))).unwrap_err();
        assert_eq!(error.message, "the expression chains more than 120 operators");
    });
}

/// Operands keep their order, and what is in parentheses stays one of them.
#[test]
fn a_long_run_of_concatenations_is_few_calls() {
    let run = |operands: usize| {
        (0..operands)
            .map(|operand| format!("'{operand}'"))
            .collect::<Vec<_>>()
    };
    let text = |operands: usize| format_expression(&parse_expression(&run(operands).join(" || ")).unwrap());
    assert_eq!(text(3), "CONCAT(CONCAT('0', '1'), '2')");
    assert!(text(64).starts_with("CONCAT(CONCAT("));
    assert_eq!(text(65), format!("CONCAT({})", run(65).join(", ")));
    assert!(
        text(66).starts_with("CONCAT(CONCAT('0', '1', '2', "),
        "{}",
        text(66)
    );
    assert_eq!(text(129), format!("CONCAT({})", run(129).join(", ")));
    let grouped = format!("('x' || 'y'){}", " || 'z'".repeat(64));
    let grouped = format_expression(&parse_expression(&grouped).unwrap());
    assert!(grouped.starts_with("CONCAT(CONCAT('x', 'y'), 'z', "), "{grouped}");
}

/// Each item is compared with every other: what fits into a statement would take hours.
#[test]
fn what_a_query_may_list_has_bounds() {
    let list = |count: usize, item: &str| vec![item; count].join(", ");
    for (count, more, what) in [
        (4_000, "SELECT {} FROM s EMIT CHANGES;", "items in a SELECT"),
        (
            100,
            "SELECT COUNT(*) FROM s GROUP BY {} EMIT CHANGES;",
            "expressions to group by",
        ),
        (
            100,
            "SELECT * FROM s PARTITION BY {} EMIT CHANGES;",
            "expressions to partition by",
        ),
    ] {
        let of = |count| parse(&more.replace("{}", &list(count, "a + 1")));
        assert!(of(count).is_ok(), "{what}");
        let told = of(count + 1).unwrap_err().message;
        assert_eq!(told, format!("there are more than {count} {what}"));
    }
    let joined = |count| {
        let joins = " JOIN t WITHIN 1 HOUR ON s.a = t.a".repeat(count);
        parse(&format!("SELECT * FROM s{joins} EMIT CHANGES;"))
    };
    assert!(joined(100).is_ok());
    assert_eq!(
        joined(101).unwrap_err().message,
        "there are more than 100 joins in a query"
    );
}

#[test]
fn a_map_of_many_entries_is_read_at_once() {
    let entries: Vec<String> = (0..20_000).map(|key| format!("'k{key}' := {key}")).collect();
    let map = |entries: &[String]| parse_expression(&format!("MAP({})", entries.join(", ")));
    assert!(map(&entries).is_ok());
    let repeated = [&entries[..], &["'k7' := 8".to_owned()]].concat();
    assert_eq!(
        map(&repeated).unwrap_err().message,
        "Multiple entries with same key: 'k7'=8 and 'k7'=7"
    );
}
