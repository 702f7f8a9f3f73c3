//! Whether what stands under a statement's name already is what the statement would make.
//!
//! ksqlDB answers a second `CREATE` only by the name. What is there may be another definition, or a stream
//! whose query was terminated or paused; then the pipeline stands still and nothing says why. `DESCRIBE` gives
//! the definition as the server writes it: other spaces, brackets, names of types, aliases, and a `WITH` with
//! what was left out. So what the statements mean is compared, and where one of them is in a language that the parser at
//! hand does not read, their words. What cannot be told is not doubted.

use std::collections::BTreeSet;

use osqdemo_ksqldb::syntax::{ast, parse_statement, same_definition};
use serde_json::Value;

use super::client::Client;
use super::error::Error;
use super::lexer::Token;
use super::session::Session;
use super::statement::{Position, Script, Statement};
use crate::events::{Doubt, Doubtful};

/// Words that the server may leave out or put in without a change of meaning.
const NOISE: [&str; 6] = ["AS", "CHANGES", "EMIT", "INNER", "OUTER", "KSQL"];

/// What stops `name`, of the queries that write into it; nothing when one of them may run.
fn stop_of(name: &str, kind: &str, queries: &[&Value]) -> Option<Doubtful> {
    let doubt = match queries {
        [] => Doubt::QueryTerminated,
        _ => {
            let paused = queries.iter().find(|query| query["state"] == "PAUSED")?;
            Doubt::QueryPaused {
                query_id: paused["id"].as_str()?.to_owned(),
            }
        }
    };
    Some(doubtful(name, kind, doubt))
}

fn doubtful(name: &str, kind: &str, doubt: Doubt) -> Doubtful {
    Doubtful {
        name: name.to_owned(),
        kind: kind.to_owned(),
        doubt,
    }
}

/// Those of the streams and tables that `statements` fill by a query whose query does not run, by one question to the
/// server. That they are there is taken for granted.
///
/// # Errors
/// When the server does not answer.
pub(super) async fn stopped_queries(
    client: &Client,
    statements: &[Statement],
) -> Result<Vec<Doubtful>, Error> {
    let list = Script::parse("LIST QUERIES;").statements.remove(0);
    let entities = client.execute(&list, &Session::default()).await?;
    let queries: Vec<&Value> = entities
        .iter()
        .filter_map(|entity| entity.body().get("queries")?.as_array())
        .flatten()
        .collect();
    Ok(stopped(statements, &queries))
}

fn stopped(statements: &[Statement], queries: &[&Value]) -> Vec<Doubtful> {
    let filled = statements
        .iter()
        .filter(|statement| Words::of(statement).all.contains("SELECT"));
    filled
        .filter_map(|statement| {
            let name = statement.created_name()?;
            let of_name: Vec<&Value> = queries
                .iter()
                .copied()
                .filter(|query| writes_into(query, name))
                .collect();
            stop_of(name, "STREAM", &of_name)
        })
        .collect()
}

fn writes_into(query: &Value, name: &str) -> bool {
    let sinks = query["sinks"].as_array();
    sinks
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .any(|sink| sink.eq_ignore_ascii_case(name))
}

/// What is wrong with the stream or table that `statement` found under its name; nothing when it is the
/// same, or when the server does not tell.
pub(super) async fn doubt(client: &Client, statement: &Statement) -> Option<Doubtful> {
    let name = statement.created_name()?;
    let describe = Statement {
        text: format!("DESCRIBE {name};"),
        begins: Position { line: 1, column: 1 },
    };
    let entities = client.execute(&describe, &Session::default()).await.ok()?;
    let description = entities.first()?.body().get("sourceDescription")?;
    judge(statement, name, description)
}

fn judge(statement: &Statement, name: &str, description: &Value) -> Option<Doubtful> {
    let kind = match description.get("type")?.as_str()? {
        "TABLE" => "TABLE",
        _ => "STREAM",
    };
    let theirs = Statement {
        text: description.get("statement")?.as_str()?.to_owned(),
        begins: statement.begins,
    };
    let (wanted, found) = (Words::of(statement), Words::of(&theirs));
    let is_same = || parsed_the_same(statement, &theirs).unwrap_or_else(|| wanted.mean_the_same_as(&found));
    if !found.all.is_empty() && !is_same() {
        return Some(doubtful(name, kind, Doubt::OtherDefinition));
    }
    if !wanted.all.contains("SELECT") {
        return None;
    }
    let queries: Vec<&Value> = description.get("writeQueries")?.as_array()?.iter().collect();
    stop_of(name, kind, &queries)
}

/// Whether the parsed statements mean the same; `None` where one cannot be parsed.
fn parsed_the_same(wanted: &Statement, found: &Statement) -> Option<bool> {
    let begin = ast::Position { line: 1, column: 1 };
    let parsed = |statement: &Statement| Some(parse_statement(&statement.text, begin).ok()?.statement);
    same_definition(&parsed(wanted)?, &parsed(found)?)
}

/// What operators that compare are made of.
const COMPARING: &str = "<>=!";

/// The words of a definition, from behind its name on.
struct Words {
    all: BTreeSet<String>,
    /// Without those of `WITH (…)`, to which the server adds what was left out.
    outside_with: BTreeSet<String>,
}

impl Words {
    fn of(statement: &Statement) -> Self {
        let tokens = statement.tokens_after_name();
        let mut words = Self {
            all: BTreeSet::new(),
            outside_with: BTreeSet::new(),
        };
        let mut tokens = tokens.iter().peekable();
        // How many brackets of a WITH are open.
        let mut depth: Option<usize> = None;
        while let Some(token) = tokens.next() {
            let word = match token {
                Token::Word(word) if is_with(word) && tokens.peek() == Some(&&Token::Symbol('(')) => {
                    depth = Some(0);
                    continue;
                }
                Token::Word(word) => canonical(word),
                Token::Text(text) if depth.is_some() => text.to_ascii_uppercase(),
                Token::Text(text) => format!("'{text}'"),
                Token::Symbol('(') => {
                    depth = depth.map(|depth| depth + 1);
                    continue;
                }
                Token::Symbol(')') => {
                    depth = depth.map(|depth| depth - 1).filter(|depth| *depth > 0);
                    continue;
                }
                Token::Symbol(symbol) if depth.is_none() && COMPARING.contains(*symbol) => {
                    let mut operator = symbol.to_string();
                    while let Some(Token::Symbol(next)) = tokens.next_if(|next| is_comparing(next)) {
                        operator.push(*next);
                    }
                    if operator == "!=" {
                        "<>".to_owned()
                    } else {
                        operator
                    }
                }
                // What remains of symbols separates words, or is written in two ways.
                Token::Symbol(_) => continue,
            };
            if NOISE.contains(&word.as_str()) {
                continue;
            }
            if depth.is_none() {
                words.outside_with.insert(word.clone());
            }
            words.all.insert(word);
        }
        words
    }

    fn mean_the_same_as(&self, found: &Self) -> bool {
        self.all.is_subset(&found.all) && found.outside_with.is_subset(&self.all)
    }
}

fn is_comparing(token: &Token) -> bool {
    matches!(token, Token::Symbol(symbol) if COMPARING.contains(*symbol))
}

fn is_with(word: &str) -> bool {
    word.eq_ignore_ascii_case("WITH")
}

/// One word for those that mean the same: upper case, the server's names of types, units in the singular.
fn canonical(word: &str) -> String {
    let word = word.to_ascii_uppercase();
    match word.as_str() {
        "VARCHAR" => "STRING".to_owned(),
        "INTEGER" => "INT".to_owned(),
        "DEC" | "NUMERIC" => "DECIMAL".to_owned(),
        "MILLISECONDS" | "SECONDS" | "MINUTES" | "HOURS" | "DAYS" => word.trim_end_matches('S').to_owned(),
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::super::statement::Script;
    use super::*;

    const WANTED: &str = "create stream proc as select hostIdentifier as host, COLUMNS['pid'] as pid from \
                          processes where COLUMNS ['name'] not like '%osqueryd%';";
    const FOUND: &str = "CREATE STREAM PROC WITH (CLEANUP_POLICY='delete', KAFKA_TOPIC='PROC', PARTITIONS=1) AS \
                         SELECT\n  PROCESSES.HOSTIDENTIFIER HOST,\n  PROCESSES.COLUMNS['pid'] PID\nFROM PROCESSES \
                         PROCESSES\nWHERE (NOT (PROCESSES.COLUMNS['name'] LIKE '%osqueryd%'))\nEMIT CHANGES;";

    fn verdict(wanted: &str, found: &str, queries: Value) -> Option<Doubtful> {
        let statement = Script::parse(wanted).statements.remove(0);
        let description = json!({"type": "STREAM", "statement": found, "writeQueries": queries});
        judge(&statement, statement.created_name().unwrap(), &description)
    }

    fn running() -> Value {
        json!([{"id": "CSAS_PROC_4", "state": "RUNNING"}])
    }

    #[test]
    fn the_servers_way_of_writing_is_the_same_definition() {
        assert_eq!(verdict(WANTED, FOUND, running()), None);
        let source = "CREATE STREAM IF NOT EXISTS `Odd` (a VARCHAR KEY, m MAP<VARCHAR, INTEGER>) WITH (kafka_topic='x', \
                      value_format='json', partitions=1);";
        let found = "CREATE STREAM `Odd` (A STRING KEY, M MAP<STRING, INT>) WITH (KAFKA_TOPIC='x', KEY_FORMAT='KAFKA', \
                     PARTITIONS=1, REPLICAS=1, VALUE_FORMAT='JSON');";
        assert_eq!(verdict(source, found, json!([])), None);
        let join = "CREATE STREAM j AS SELECT a.id, b.x FROM a JOIN b WITHIN 1 MINUTE ON a.id = b.id";
        let found = "CREATE STREAM J WITH (PARTITIONS=1) AS SELECT A.ID ID, B.X X FROM A A INNER JOIN B B WITHIN 1 \
                     MINUTES ON ((A.ID = B.ID)) EMIT CHANGES;";
        assert_eq!(verdict(&format!("{join};"), found, running()), None);
    }

    /// What ksqlDB of Confluent Platform 7.9.8 wrote down of statements that were submitted to it.
    #[test]
    fn what_a_real_server_wrote_down_is_recognised() {
        let recorded = include_str!("../../tests/fixtures/ksqldb-7.9.8/written_down.json");
        let recorded: Vec<BTreeMap<String, String>> = serde_json::from_str(recorded).unwrap();
        assert_eq!(recorded.len(), 8);
        for (place, statement) in recorded.iter().enumerate() {
            assert_eq!(
                verdict(&statement["submitted"], &statement["written"], running()),
                None,
                "{statement:?}"
            );
            let other = &recorded[(place + 4) % 8];
            assert!(
                verdict(&statement["submitted"], &other["written"], running()).is_some(),
                "{statement:?}"
            );
        }
    }

    #[test]
    fn another_definition_is_told() {
        let compared = |operator: &str| format!("CREATE STREAM s AS SELECT a FROM t WHERE a {operator} 1;");
        assert_eq!(verdict(&compared("!="), &compared("<>"), running()), None);
        assert!(verdict(&compared("<"), &compared(">"), running()).is_some());
        assert!(verdict(&compared("<"), &compared("<="), running()).is_some());
        for other in [
            WANTED.replace("%osqueryd%", "%bash%"),
            WANTED.replace("COLUMNS['pid'] as pid", "COLUMNS['path'] as pid"),
            WANTED.replace(";", " and action = 'added';"),
            WANTED.replace(", COLUMNS['pid'] as pid", ""),
        ] {
            let doubt = verdict(&other, FOUND, running()).unwrap();
            assert_eq!(doubt, doubtful("proc", "STREAM", Doubt::OtherDefinition));
        }
        let source = "CREATE STREAM s (a INT) WITH (KAFKA_TOPIC='x', VALUE_FORMAT='JSON');";
        assert!(verdict(source, &source.replace("'x'", "'y'"), json!([])).is_some());
        assert!(verdict(source, &source.replace("a INT", "a INT, b INT"), json!([])).is_some());
        // The same words in another order, which the parser tells apart.
        let pair = "CREATE STREAM s AS SELECT c['pid'] AS pid, c['path'] AS path FROM t;";
        let swapped = "CREATE STREAM S AS SELECT T.C['path'] PID, T.C['pid'] PATH FROM T T EMIT CHANGES;";
        assert!(verdict(pair, swapped, running()).is_some());
    }

    #[test]
    fn a_query_that_does_not_run_is_told() {
        assert_eq!(
            verdict(WANTED, FOUND, json!([])),
            Some(doubtful("proc", "STREAM", Doubt::QueryTerminated))
        );
        let query_id = "CSAS_PROC_4".to_owned();
        assert_eq!(
            verdict(WANTED, FOUND, json!([{"id": "CSAS_PROC_4", "state": "PAUSED"}])),
            Some(doubtful("proc", "STREAM", Doubt::QueryPaused { query_id }))
        );
    }

    #[test]
    fn stopped_queries_are_found_in_a_listing() {
        let source = format!(
            "CREATE STREAM s (a INT) WITH (KAFKA_TOPIC='x'); {WANTED} CREATE STREAM files AS SELECT * FROM s;"
        );
        let statements = Script::parse(&source).statements;
        let told = |queries: Value| -> Vec<String> {
            let queries: Vec<&Value> = queries.as_array().unwrap().iter().collect();
            let stopped = stopped(&statements, &queries);
            stopped
                .iter()
                .map(|query| format!("{}: {}", query.name, query.doubt))
                .collect()
        };
        let query = |sink: &str, state: &str| json!({"id": format!("CSAS_{sink}_1"), "sinks": [sink], "state": state});
        assert_eq!(
            told(json!([query("PROC", "RUNNING"), query("FILES", "ERROR")])),
            [""; 0]
        );
        assert_eq!(
            told(
                json!([query("PROC", "PAUSED"), query("OTHER", "RUNNING"), {"id": "transient_1", "sinks": []}])
            ),
            ["proc: its query is paused", "files: its query was terminated"]
        );
        // Old servers list queries without their state.
        assert_eq!(
            told(
                json!([{"id": "CSAS_PROC_1", "sinks": ["PROC"]}, {"id": "CSAS_FILES_1", "sinks": ["FILES"]}])
            ),
            [""; 0]
        );
    }

    #[test]
    fn what_the_server_does_not_tell_is_not_doubted() {
        assert_eq!(verdict(WANTED, "", running()), None);
        // A form that the parser does not read: the words are the same.
        let newer = "CREATE STREAM s AS SELECT a FROM t TABLESAMPLE 4 PERCENT;";
        assert_eq!(verdict(newer, newer, running()), None);
        assert!(verdict(newer, &newer.replace('4', "5"), running()).is_some());
        let statement = Script::parse(WANTED).statements.remove(0);
        assert_eq!(judge(&statement, "proc", &json!({"type": "STREAM"})), None);
    }
}
