//! The topics that sources and sinks need.

use std::collections::BTreeMap;

use super::catalog::Change;
use super::failure::{ErrorCode, Refusal};
use crate::kafka::TopicOptions;
use crate::metastore::Source;
use crate::syntax::ast::{CreateSource, Literal, SourceKind, Statement};
use crate::syntax::format_statement;

/// The topics there are, with the replica count of each partition.
pub(crate) type Topics = BTreeMap<String, Vec<usize>>;

/// Notes what a change does to the topics.
pub(super) fn note(topics: &mut Topics, change: &Change) {
    if let Some((topic, options)) = &change.create_topic {
        let partitions = usize::try_from(options.partitions).unwrap_or(1);
        let replicas = usize::try_from(options.replicas).unwrap_or(1);
        topics.insert(topic.clone(), vec![replicas; partitions]);
    }
    if let Some(topic) = &change.delete_topic {
        topics.remove(topic);
    }
}

/// The topic a declared source needs: checked where it exists, made where the statement says how.
pub(super) fn of_source(
    source: &Source,
    declaration: &CreateSource,
    topics: &Topics,
) -> Result<Option<(String, TopicOptions)>, Refusal> {
    if let Some(replicas) = topics.get(&source.topic) {
        check_existing(source, replicas)?;
        return Ok(None);
    }
    let Some(partitions) = source.partitions else {
        return Err(missing_topic(source, declaration));
    };
    if partitions < 1 {
        let message = format!(
            "Failed to guarantee existence of topic {}\nCaused by: Number of partitions must be larger than 0.",
            source.topic
        );
        return Err(Refusal::new(ErrorCode::ServerError, message));
    }
    Ok(Some((
        source.topic.clone(),
        options(source, partitions, i32::from(source.replicas.unwrap_or(1))),
    )))
}

fn missing_topic(source: &Source, declaration: &CreateSource) -> Refusal {
    let mut example = declaration.clone();
    let properties = &mut example.properties.0;
    properties.retain(|(name, _)| name != "CLEANUP_POLICY");
    properties.push(("PARTITIONS".to_owned(), Literal::Integer(2)));
    properties.sort_by(|left, right| left.0.cmp(&right.0));
    let message = format!(
        "Topic '{}' does not exist. If you want to create a new topic for the stream/table please re-run the \
         statement providing the required 'PARTITIONS' configuration in the WITH clause (and optionally \
         'REPLICAS'). For example: {}",
        source.topic,
        format_statement(&Statement::CreateSource(example))
    );
    Refusal::new(ErrorCode::BadRequest, message)
}

/// The topic a query's sink needs: checked where it exists, made where it does not.
pub(super) fn of_sink(sink: &Source, topics: &Topics) -> Result<Option<(String, TopicOptions)>, Refusal> {
    if let Some(replicas) = topics.get(&sink.topic) {
        check_existing(sink, replicas)?;
        return Ok(None);
    }
    let (partitions, replicas) = (sink.partitions.unwrap_or(1), sink.replicas.unwrap_or(1));
    Ok(Some((
        sink.topic.clone(),
        options(sink, partitions, i32::from(replicas)),
    )))
}

fn options(source: &Source, partitions: i32, replicas: i32) -> TopicOptions {
    let mut settings = vec![(
        "cleanup.policy",
        match source.kind {
            SourceKind::Stream => "delete",
            SourceKind::Table => "compact",
        }
        .to_owned(),
    )];
    if let Some(retention) = source.retention_ms {
        settings.push(("retention.ms", retention.to_string()));
    }
    TopicOptions {
        partitions,
        replicas,
        settings,
    }
}

fn check_existing(source: &Source, replicas: &[usize]) -> Result<(), Refusal> {
    let partitions = replicas.len();
    let replication = replicas.first().copied().unwrap_or(0);
    let fits = source
        .partitions
        .is_none_or(|wanted| usize::try_from(wanted) == Ok(partitions))
        && source
            .replicas
            .is_none_or(|wanted| usize::try_from(wanted) == Ok(replication));
    if fits {
        return Ok(());
    }
    let wanted_partitions = source
        .partitions
        .map_or(partitions.to_string(), |wanted| wanted.to_string());
    let wanted_replicas = source
        .replicas
        .map_or(replication.to_string(), |wanted| wanted.to_string());
    Err(Refusal::new(
        ErrorCode::ServerError,
        format!(
            "A Kafka topic with the name '{}' already exists, with different partition/replica/retention configuration than required. KSQL expects {wanted_partitions} partitions (topic has {partitions}), {wanted_replicas} replication factor (topic has {replication}), and -1 retention (topic has -1).",
            source.topic,
        ),
    ))
}
