//! Whether what stands under a statement's name already is what the statement would make.
//!
//! ksqlDB answers a second `CREATE` only by the name. What is there may be another definition, or a stream
//! whose query was terminated or paused; then the pipeline stands still and nothing says why. `DESCRIBE` gives
//! the definition as the server writes it: other spaces, brackets, names of types, aliases, and a `WITH` with
//! what was left out. What it wrote down of a statement that the project itself submitted is on record, and known again by
//! that, whatever it looks like. Else what the statements mean is compared, and where one of them is in a language that the parser at
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
use crate::state::Submitted;

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

/// Notes what the server wrote down of statements that it has just executed, by one question. Where it does not tell, what
/// they mean is compared later.
pub(super) async fn note(client: &Client, statements: &[&Statement], submitted: &mut Submitted) {
    let named = statements
        .iter()
        .filter_map(|statement| Some((statement.created_name()?, &statement.text)));
    let named: Vec<(&str, &String)> = named.collect();
    if named.is_empty() {
        return;
    }
    let describe = Statement {
        text: named
            .iter()
            .map(|(name, _)| format!("DESCRIBE {name};"))
            .collect(),
        begins: Position { line: 1, column: 1 },
    };
    let Ok(entities) = client.execute(&describe, &Session::default()).await else {
        return;
    };
    for ((name, text), entity) in named.into_iter().zip(entities) {
        let description = &entity.body().get("sourceDescription");
        if let Some(written) = description.and_then(|description| description["statement"].as_str()) {
            submitted.note(name, text, written);
        }
    }
}

/// What is wrong with the stream or table that `statement` found under its name; nothing when it is the
/// same, or when the server does not tell.
pub(super) async fn doubt(client: &Client, statement: &Statement, submitted: &Submitted) -> Option<Doubtful> {
    let name = statement.created_name()?;
    let describe = Statement {
        text: format!("DESCRIBE {name};"),
        begins: Position { line: 1, column: 1 },
    };
    let entities = client.execute(&describe, &Session::default()).await.ok()?;
    let description = entities.first()?.body().get("sourceDescription")?;
    judge(statement, name, description, submitted)
}

fn judge(statement: &Statement, name: &str, description: &Value, submitted: &Submitted) -> Option<Doubtful> {
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
    let is_ours = submitted.is_ours(name, &statement.text, &theirs.text);
    if !is_ours && !found.all.is_empty() && !is_same() {
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
mod tests;
