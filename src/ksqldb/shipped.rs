//! The statements that make the pipeline, and what of it a server has.

use super::client::Client;
use super::ddl::StatementFile;
use super::entity::Entity;
use super::error::Error;
use super::existing;
use super::lexer::Token;
use super::session::Session;
use super::statement::{Script, Statement};
use crate::events::Doubtful;
use crate::host_config::LineFormat;

/// The topics that the sources of the pipeline read.
pub const SOURCE_TOPICS: [&str; 4] = ["processes", "open_files", "logged_in_users", "listening_ports"];

/// The statements that the pipeline needs, in order, over lines in this format.
pub fn files(format: LineFormat) -> Vec<StatementFile> {
    let sources = match format {
        LineFormat::Json => ("01-sources.sql", include_str!("../../ksql/01-sources.sql")),
        LineFormat::Avro => (
            "avro/01-sources.sql",
            include_str!("../../ksql/avro/01-sources.sql"),
        ),
    };
    [
        sources,
        ("02-streams.sql", include_str!("../../ksql/02-streams.sql")),
        ("03-precise.sql", include_str!("../../ksql/03-precise.sql")),
    ]
    .map(|(name, source)| StatementFile {
        name: name.to_owned(),
        source: source.to_owned(),
    })
    .into()
}

/// Those of the pipeline's streams whose query does not run; all of them must be there.
///
/// # Errors
/// When the server does not answer.
pub async fn stopped_queries(client: &Client) -> Result<Vec<Doubtful>, Error> {
    // The sources, in which alone the formats differ, have no queries.
    let files = files(LineFormat::Json);
    let statements: Vec<Statement> = files
        .iter()
        .flat_map(|file| Script::parse(&file.source).statements)
        .collect();
    existing::stopped_queries(client, &statements).await
}

/// Those of the pipeline's streams and tables that the server does not have, in the order in which they are made.
///
/// # Errors
/// When the server does not answer.
pub async fn missing(client: &Client) -> Result<Vec<String>, Error> {
    let list = Script::parse("LIST STREAMS; LIST TABLES;").statements;
    let mut there = Vec::new();
    for statement in &list {
        let entities = client.execute(statement, &Session::default()).await?;
        there.extend(entities.iter().flat_map(Entity::source_names));
    }
    // The formats differ in the text of the sources, not in what is made.
    let files = files(LineFormat::Json);
    let wanted = files
        .iter()
        .flat_map(|file| Script::parse(&file.source).statements)
        .filter_map(|statement| statement.created_name().map(str::to_uppercase));
    Ok(wanted.filter(|name| !there.contains(name)).collect())
}

/// The topics of the streams that the pipeline's queries write, as a server names them.
pub fn sink_topics() -> Vec<String> {
    let is_as = |token: &Token| matches!(token, Token::Word(word) if word.eq_ignore_ascii_case("AS"));
    files(LineFormat::Json)
        .iter()
        .flat_map(|file| Script::parse(&file.source).statements)
        .filter(|statement| statement.tokens_after_name().first().is_some_and(is_as))
        .filter_map(|statement| statement.created_name().map(str::to_uppercase))
        .collect()
}

/// Drops those of these streams and tables that are there, the last ones first; their topics stay. Returns which.
///
/// # Errors
/// When the server does not answer, or refuses one.
pub async fn drop_existing(client: &Client, names: &[String]) -> Result<Vec<String>, Error> {
    let mut there = Vec::new();
    for (list, kind) in [("LIST STREAMS;", "STREAM"), ("LIST TABLES;", "TABLE")] {
        for statement in &Script::parse(list).statements {
            let entities = client.execute(statement, &Session::default()).await?;
            let found = entities.iter().flat_map(Entity::source_names);
            there.extend(found.map(|name| (name, kind)));
        }
    }
    let mut dropped = Vec::new();
    for name in names.iter().rev() {
        let Some((_, kind)) = there.iter().find(|(found, _)| found == name) else {
            continue;
        };
        for statement in &Script::parse(&format!("DROP {kind} {name};")).statements {
            client.execute(statement, &Session::default()).await?;
        }
        dropped.push(name.clone());
    }
    Ok(dropped)
}

/// The original's push query, word for word.
pub fn original_query() -> Statement {
    only_statement(include_str!("../../ksql/queries/original.sql"))
}

/// The push query that joins on host and pid.
pub fn precise_query() -> Statement {
    only_statement(include_str!("../../ksql/queries/precise.sql"))
}

fn only_statement(source: &str) -> Statement {
    Script::parse(source)
        .statements
        .pop()
        .expect("the embedded queries hold one statement each, as the tests check")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sources_are_the_same_in_each_format() {
        let titles = |format| {
            let files = files(format);
            let statements = files
                .iter()
                .flat_map(|file| Script::parse(&file.source).statements);
            statements.map(|statement| statement.title()).collect::<Vec<_>>()
        };
        assert_eq!(titles(LineFormat::Json), titles(LineFormat::Avro));
        for format in [LineFormat::Json, LineFormat::Avro] {
            let sources = &files(format)[0].source;
            for topic in SOURCE_TOPICS {
                assert!(sources.contains(&format!("KAFKA_TOPIC='{topic}'")), "{topic}");
            }
            assert_eq!(sources.matches("KAFKA_TOPIC").count(), SOURCE_TOPICS.len());
        }
    }

    #[test]
    fn the_queries_are_one_statement_each() {
        assert!(original_query().text.starts_with("select p.host as host"));
        assert!(precise_query().text.contains("p.host_pid = f.host_pid"));
    }
}
