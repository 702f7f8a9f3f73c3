//! A `CREATE` in full: with the topic, partitions, replicas and `EMIT CHANGES` it leaves open, in canonical form.
//! That text is what is answered, described and logged, so it says by itself what was made.

use std::borrow::Cow;

use super::catalog::Catalog;
use super::topics::Topics;
use crate::syntax::ast::{CreateAsSelect, Emit, Literal, ParsedStatement, Properties, Statement};
use crate::syntax::format_statement;

/// The statement in full, or as it is where it is no `CREATE`.
pub(super) fn completed<'a>(
    parsed: &'a ParsedStatement,
    catalog: &Catalog,
    topics: Option<&Topics>,
) -> Cow<'a, ParsedStatement> {
    let statement = match &parsed.statement {
        Statement::CreateSource(declaration) => {
            let mut declaration = declaration.clone();
            declaration.properties = sorted(declaration.properties);
            Statement::CreateSource(declaration)
        }
        Statement::CreateAsSelect(declaration) => {
            let mut declaration = declaration.clone();
            if let Some(topics) = topics {
                complete_sink(&mut declaration, catalog, topics);
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
        text: format_statement(&statement),
        position: parsed.position,
        statement,
    })
}

/// A sink's topic is named after it and made like the left-most input's, unless the statement says otherwise. One that
/// exists has to be like that too: in a topic with other partitions a key's records would lie elsewhere.
fn complete_sink(declaration: &mut CreateAsSelect, catalog: &Catalog, topics: &Topics) {
    let properties = &mut declaration.properties;
    if properties.get("KAFKA_TOPIC").is_none() {
        add(
            properties,
            "KAFKA_TOPIC",
            Literal::String(declaration.name.clone()),
        );
    }
    let origin = catalog.metastore.get(&declaration.query.from.name);
    let Some(like) = origin.and_then(|origin| topics.get(&origin.topic)) else {
        return;
    };
    let partitions = i32::try_from(like.len()).unwrap_or(1);
    let replicas = like
        .first()
        .and_then(|replicas| i32::try_from(*replicas).ok())
        .unwrap_or(1);
    for (name, value) in [("PARTITIONS", partitions), ("REPLICAS", replicas)] {
        if properties.get(name).is_none() {
            add(properties, name, Literal::Integer(value));
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
    use crate::syntax;

    #[test]
    fn a_sink_is_completed_from_its_input() {
        let mut catalog = Catalog::default();
        let declared = syntax::parse(
            "CREATE STREAM processes (pid BIGINT) WITH (VALUE_FORMAT='JSON', KAFKA_TOPIC='processes');",
        )
        .unwrap();
        let topics = Topics::from([("processes".to_owned(), vec![1, 1, 1])]);
        let Statement::CreateSource(declaration) = &declared[0].statement else {
            panic!("not a declaration");
        };
        let source = crate::plan::plan_source(declaration, &declared[0].text).unwrap();
        catalog.metastore.insert(source.into());
        let parsed = syntax::parse("create stream proc as select pid from processes;").unwrap();
        assert_eq!(
            completed(&parsed[0], &catalog, Some(&topics)).text,
            "CREATE STREAM PROC WITH (KAFKA_TOPIC='PROC', PARTITIONS=3, REPLICAS=1) AS SELECT\n  PID\n\
             FROM PROCESSES PROCESSES\nEMIT CHANGES;"
        );
    }
}
