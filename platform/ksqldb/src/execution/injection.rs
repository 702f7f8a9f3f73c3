//! A `CREATE` in full: with the topic, partitions, replicas and `EMIT CHANGES` it leaves open, in canonical form.
//! That text is what is answered, described and logged, so it says by itself what was made.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::catalog::Catalog;
use super::properties;
use super::topics::{Topics, cleanup_policy, inherited, sink_topic};
use crate::plan::{format_named, written_out};
use crate::serde::Format;
use crate::syntax::ast::{
    ColumnConstraint, CreateAsSelect, CreateSource, Emit, InsertInto, Literal, ParsedStatement, Properties,
    SourceKind, Statement,
};
use crate::syntax::format_statement;

/// The statement in full, or as it is where it is no `CREATE`.
pub(super) fn completed<'a>(
    parsed: &'a ParsedStatement,
    catalog: &Catalog,
    topics: Option<&Topics>,
    properties: &BTreeMap<String, Json>,
) -> Cow<'a, ParsedStatement> {
    let statement = match &parsed.statement {
        Statement::CreateSource(declaration) => {
            let mut declaration = declaration.clone();
            complete_source(&mut declaration, properties);
            declaration.properties = sorted(declaration.properties);
            Statement::CreateSource(declaration)
        }
        Statement::CreateAsSelect(declaration) => {
            let mut declaration = declaration.clone();
            if let Some(topics) = topics {
                complete_sink(&mut declaration, catalog, topics, properties);
            }
            declaration.properties = sorted(declaration.properties);
            declaration.query.emit.get_or_insert(Emit::Changes);
            Statement::CreateAsSelect(declaration)
        }
        Statement::InsertInto(insertion) => {
            let mut insertion = insertion.clone();
            insertion.query.emit.get_or_insert(Emit::Changes);
            Statement::InsertInto(insertion)
        }
        _ => return Cow::Borrowed(parsed),
    };
    Cow::Owned(ParsedStatement {
        text: format_statement(&in_words(&statement, catalog)),
        position: parsed.position,
        statement,
    })
}

/// The statement as it is written down: columns say whose they are, and items what they are called. What is planned
/// stays as the client wrote it, so that errors speak of that.
fn in_words(statement: &Statement, catalog: &Catalog) -> Statement {
    let mut written = statement.clone();
    if let Statement::CreateAsSelect(CreateAsSelect { query, .. })
    | Statement::InsertInto(InsertInto { query, .. }) = &mut written
    {
        *query = written_out(&catalog.metastore, query);
    }
    written
}

/// A declaration with its formats, before what else it leaves open is filled in.
pub(super) fn formats_of(declaration: &CreateSource, settings: &BTreeMap<String, Json>) -> CreateSource {
    let mut declaration = declaration.clone();
    complete_formats(&mut declaration, settings);
    declaration.properties = sorted(declaration.properties);
    declaration
}

fn complete_source(declaration: &mut CreateSource, settings: &BTreeMap<String, Json>) {
    complete_formats(declaration, settings);
    let is_windowed = declaration.properties.get("WINDOW_TYPE").is_some();
    complete_cleanup(&mut declaration.properties, declaration.kind, is_windowed);
}

/// A declaration's formats are those of the properties where it names none.
fn complete_formats(declaration: &mut CreateSource, settings: &BTreeMap<String, Json>) {
    let properties = &mut declaration.properties;
    if properties.get("FORMAT").is_some() {
        return;
    }
    let key_format = properties::default_format(settings, "key").unwrap_or_else(|| "KAFKA".to_owned());
    let defaults = [
        ("KEY_FORMAT", Some(key_format)),
        ("VALUE_FORMAT", properties::default_format(settings, "value")),
    ];
    for (name, format) in defaults {
        if let (None, Some(format)) = (properties.get(name), format) {
            add(properties, name, Literal::String(format));
        }
    }
    if !properties::wrap_single_values(settings)
        && properties.get("WRAP_SINGLE_VALUE").is_none()
        && matches!(
            properties.get("VALUE_FORMAT"),
            Some(Literal::String(format)) if format_named(format).is_some_and(Format::unwraps)
        )
        && declaration
            .columns
            .iter()
            .filter(|column| column.constraint == ColumnConstraint::None)
            .count()
            == 1
    {
        add(properties, "WRAP_SINGLE_VALUE", Literal::Boolean(false));
    }
}

/// What becomes of old records, which follows from the kind of source.
fn complete_cleanup(properties: &mut Properties, kind: SourceKind, is_windowed: bool) {
    let policy = cleanup_policy(kind, is_windowed);
    if properties.get("CLEANUP_POLICY").is_none() {
        add(properties, "CLEANUP_POLICY", Literal::String(policy.to_owned()));
    }
}

/// A sink's topic is named after it and made like the left-most input's, unless the statement says otherwise. One that
/// exists has to be like that too: in a topic with other partitions a key's records would lie elsewhere.
fn complete_sink(
    declaration: &mut CreateAsSelect,
    catalog: &Catalog,
    topics: &Topics,
    settings: &BTreeMap<String, Json>,
) {
    let is_windowed = declaration.query.window.is_some();
    complete_cleanup(&mut declaration.properties, declaration.kind, is_windowed);
    if declaration.properties.get("KAFKA_TOPIC").is_none() {
        let topic = sink_topic(declaration, settings);
        add(&mut declaration.properties, "KAFKA_TOPIC", Literal::String(topic));
    }
    let origin = catalog.metastore.get(&declaration.query.from.name);
    let Some(like) = origin.and_then(|origin| topics.get(&origin.topic)) else {
        return;
    };
    for (name, value) in inherited(like) {
        if declaration.properties.get(name).is_none() {
            add(&mut declaration.properties, name, value);
        }
    }
}

fn add(properties: &mut Properties, name: &str, value: Literal) {
    properties.0.push((name.to_owned(), value));
}

fn sorted(mut properties: Properties) -> Properties {
    properties.0.sort_by(|left, right| left.0.cmp(&right.0));
    properties
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execution::topics::{Retention, Topic};
    use crate::syntax;

    #[test]
    fn a_sink_is_completed_from_its_input() {
        let mut catalog = Catalog::default();
        let declared = syntax::parse(
            "CREATE STREAM processes (pid BIGINT) WITH (VALUE_FORMAT='JSON', KAFKA_TOPIC='processes');",
        )
        .unwrap();
        let topic = Topic {
            replicas: vec![1, 1, 1],
            retention: Retention::Ms(604_800_000),
        };
        let topics = Topics::from([("processes".to_owned(), topic)]);
        let Statement::CreateSource(declaration) = &declared[0].statement else {
            panic!("not a declaration");
        };
        let source = crate::plan::plan_source(declaration, &declared[0].text).unwrap();
        catalog.metastore.insert(source.into());
        let parsed = syntax::parse("create stream proc as select pid from processes;").unwrap();
        assert_eq!(
            completed(&parsed[0], &catalog, Some(&topics), &BTreeMap::new()).text,
            "CREATE STREAM PROC WITH (CLEANUP_POLICY='delete', KAFKA_TOPIC='PROC', PARTITIONS=3, REPLICAS=1, RETENTION_MS=604800000) AS SELECT PROCESSES.PID PID\n\
             FROM PROCESSES PROCESSES\nEMIT CHANGES;"
        );
    }
}
