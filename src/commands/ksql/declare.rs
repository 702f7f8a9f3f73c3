//! `osqdemo ksql --declare`: the source stream of a topic that a query of the hosts fills.

use crate::commands::ksql::KsqlCommandError;
use crate::host_config::LineFormat;
use crate::kafka::{KafkaError, list_topics};
use crate::ksqldb::Client;
use crate::ksqldb::ddl::StatementFile;
use crate::ksqldb::session::Session;
use crate::ksqldb::statement::Script;
use crate::stack::Cluster;

/// What every line of osquery has, as the pipeline's own sources declare it.
const SHAPE: &str = "\
    name VARCHAR,
    hostIdentifier VARCHAR,
    calendarTime VARCHAR,
    unixTime BIGINT,
    epoch BIGINT,
    counter BIGINT,
    columns MAP<VARCHAR, VARCHAR>,
    action VARCHAR";

/// A stream to declare.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Declaration {
    pub(super) stream: String,
    pub(super) statement: StatementFile,
}

/// The stream of a topic with lines in this format, once the broker has the topic.
pub(super) async fn declaration(
    cluster: &Cluster,
    topic: &str,
    format: LineFormat,
) -> Result<Declaration, KsqlCommandError> {
    let topics = list_topics(cluster)
        .await
        .map_err(|error| KsqlCommandError::Topics(Box::new(error)))?;
    let known: Vec<String> = topics.into_iter().map(|topic| topic.name).collect();
    if !known.iter().any(|name| name == topic) {
        return Err(KsqlCommandError::NoTopic(Box::new(KafkaError::UnknownTopic {
            topic: topic.to_owned(),
            known,
        })));
    }
    Ok(of_topic(topic, format))
}

/// The topic that a stream or table of this name reads; nothing where there is none, or where nobody tells.
pub(super) async fn topic_read_by(client: &Client, stream: &str) -> Option<String> {
    let describe = Script::parse(&format!("DESCRIBE {stream};")).statements.pop()?;
    let entities = client.execute(&describe, &Session::default()).await.ok()?;
    let description = entities.first()?.body().get("sourceDescription")?;
    Some(description.get("topic")?.as_str()?.to_owned())
}

fn of_topic(topic: &str, format: LineFormat) -> Declaration {
    let stream = stream_name(topic);
    let (columns, format) = match format {
        LineFormat::Json => (format!(" (\n{SHAPE}\n)"), "JSON"),
        // The registry has the columns.
        LineFormat::Avro => (String::new(), "AVRO"),
    };
    let source = format!(
        "CREATE STREAM IF NOT EXISTS {stream}{columns} WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='{format}');\n"
    );
    Declaration {
        stream,
        statement: StatementFile {
            name: "<declaration>".to_owned(),
            source,
        },
    }
}

/// A topic's name holds letters, digits, `.`, `_` and `-`; an identifier no point and no hyphen, and no digit in front.
fn stream_name(topic: &str) -> String {
    let word = |character: char| {
        if character.is_ascii_alphanumeric() {
            character
        } else {
            '_'
        }
    };
    let name: String = topic.chars().map(word).collect();
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        format!("_{name}")
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ksqldb::shipped;

    #[test]
    fn the_stream_is_named_after_the_topic() {
        for (topic, stream) in [
            (
                "pack_incident-response_remote_connections",
                "pack_incident_response_remote_connections",
            ),
            ("a.b", "a_b"),
            ("7days", "_7days"),
        ] {
            assert_eq!(stream_name(topic), stream);
        }
        let source = of_topic("a-b", LineFormat::Json).statement.source;
        assert!(
            source.starts_with("CREATE STREAM IF NOT EXISTS a_b (\n"),
            "{source}"
        );
        assert!(
            source.ends_with(") WITH (KAFKA_TOPIC='a-b', VALUE_FORMAT='JSON');\n"),
            "{source}"
        );
        assert_eq!(
            of_topic("a-b", LineFormat::Avro).statement.source,
            "CREATE STREAM IF NOT EXISTS a_b WITH (KAFKA_TOPIC='a-b', VALUE_FORMAT='AVRO');\n"
        );
    }

    #[test]
    fn the_shape_is_that_of_the_pipelines_sources() {
        let sources = &shipped::files(LineFormat::Json)[0].source;
        assert_eq!(
            sources.matches(SHAPE).count(),
            sources.matches("CREATE STREAM").count()
        );
    }
}
