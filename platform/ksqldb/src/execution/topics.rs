//! The topics that sources and sinks need.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::catalog::{Catalog, Change};
use super::failure::{ErrorCode, Refusal};
use super::properties;
use crate::kafka::TopicOptions;
use crate::metastore::Source;
use crate::plan::{PlanError, QueryPlan};
use crate::syntax::ast::{CreateAsSelect, CreateSource, Literal, Query, SourceKind, Statement};
use crate::syntax::format_statement;

/// The topics there are, and those that the statements before this one would make.
pub(crate) type Topics = BTreeMap<String, Topic>;

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Topic {
    /// The replica count of each partition.
    pub(crate) replicas: Vec<usize>,
    /// How long it keeps its records.
    pub(crate) retention: Retention,
}

/// How long a topic keeps its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retention {
    /// Nobody has asked.
    Unasked,
    /// The brokers do not say.
    Unknown,
    /// So many milliseconds; -1: for ever.
    Ms(i64),
}

impl Topic {
    /// A topic that the brokers list.
    pub(crate) fn listed(replicas: Vec<usize>) -> Self {
        Self {
            replicas,
            retention: Retention::Unasked,
        }
    }

    fn retention_ms(&self) -> Option<i64> {
        match self.retention {
            Retention::Ms(ms) => Some(ms),
            Retention::Unasked | Retention::Unknown => None,
        }
    }
}

/// The topics whose retention a statement is about: those it declares or fills, and the one a sink is made like.
pub(super) fn of_statement(
    statement: &Statement,
    catalog: &Catalog,
    settings: &BTreeMap<String, Json>,
) -> Vec<String> {
    match statement {
        Statement::CreateSource(declaration) => match declaration.properties.get("KAFKA_TOPIC") {
            Some(Literal::String(topic)) => vec![topic.clone()],
            _ => Vec::new(),
        },
        Statement::CreateAsSelect(declaration) => {
            let origin = catalog.metastore.get(&declaration.query.from.name);
            let origin = origin.map(|origin| origin.topic.clone());
            let sink = sink_topic(declaration, settings);
            origin.into_iter().chain(std::iter::once(sink)).collect()
        }
        _ => Vec::new(),
    }
}

/// The name of a sink's topic.
pub(super) fn sink_topic(declaration: &CreateAsSelect, settings: &BTreeMap<String, Json>) -> String {
    match declaration.properties.get("KAFKA_TOPIC") {
        Some(Literal::String(topic)) => topic.clone(),
        _ => format!("{}{}", properties::topic_prefix(settings), declaration.name),
    }
}

/// What a sink takes over from the topic of its left-most input: partitions, replicas, retention.
pub(super) fn inherited(like: &Topic) -> Vec<(&'static str, Literal)> {
    let partitions = i32::try_from(like.replicas.len()).unwrap_or(1);
    let replicas = like.replicas.first();
    let replicas = replicas.and_then(|replicas| i32::try_from(*replicas).ok());
    let mut inherited = vec![
        ("PARTITIONS", Literal::Integer(partitions)),
        ("REPLICAS", Literal::Integer(replicas.unwrap_or(1))),
    ];
    let retention = like.retention_ms().map(|ms| match i32::try_from(ms) {
        Ok(ms) => Literal::Integer(ms),
        Err(_) => Literal::Bigint(ms),
    });
    inherited.extend(retention.map(|retention| ("RETENTION_MS", retention)));
    inherited
}

/// Notes what a change does to the topics.
pub(super) fn note(topics: &mut Topics, change: &Change) {
    if let Some((topic, options)) = &change.create_topic {
        let partitions = usize::try_from(options.partitions).unwrap_or(1);
        let replicas = usize::try_from(options.replicas).unwrap_or(1);
        let retention = options.settings.iter().find(|(name, _)| *name == "retention.ms");
        let retention = retention.and_then(|(_, ms)| ms.parse().ok());
        let made = Topic {
            replicas: vec![replicas; partitions],
            retention: retention.map_or(Retention::Unknown, Retention::Ms),
        };
        topics.insert(topic.clone(), made);
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
    if let Some(topic) = topics.get(&source.topic) {
        check_existing(source, topic)?;
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
    if let Some(topic) = topics.get(&sink.topic) {
        check_existing(sink, topic)?;
        return Ok(None);
    }
    let (partitions, replicas) = (sink.partitions.unwrap_or(1), sink.replicas.unwrap_or(1));
    Ok(Some((
        sink.topic.clone(),
        options(sink, partitions, i32::from(replicas)),
    )))
}

/// What becomes of a topic's old records: of a row only the newest is kept, of windows those that are not too old.
pub(super) fn cleanup_policy(kind: SourceKind, is_windowed: bool) -> &'static str {
    match kind {
        SourceKind::Stream => "delete",
        SourceKind::Table if is_windowed => "compact,delete",
        SourceKind::Table => "compact",
    }
}

fn options(source: &Source, partitions: i32, replicas: i32) -> TopicOptions {
    let mut settings = vec![(
        "cleanup.policy",
        cleanup_policy(source.kind, source.window.is_some()).to_owned(),
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

/// The inputs of a join have to have as many partitions as each other: equal keys lie in equal ones.
pub(super) fn check_copartitioned(query: &Query, plan: &QueryPlan, topics: &Topics) -> Result<(), PlanError> {
    // What a foreign key refers to is looked up wherever it lies.
    if plan.has_foreign_key() {
        return Ok(());
    }
    let joined = query.joins.iter().map(|join| &join.source);
    let aliases = std::iter::once(&query.from)
        .chain(joined)
        .map(|source| &source.alias);
    let partitions = |source: &Source| topics.get(&source.topic).map(|topic| topic.replicas.len());
    let inputs = plan.inputs().iter().map(|source| partitions(source));
    let mut inputs = aliases.zip(inputs);
    let Some((left, Some(left_partitions))) = inputs.next() else {
        return Ok(());
    };
    for (right, right_partitions) in inputs {
        if let Some(right_partitions) = right_partitions
            && right_partitions != left_partitions
        {
            return Err(PlanError::new(format!(
                "Can't join `{left}` with `{right}` since the number of partitions don't match. `{left}` partitions = {left_partitions}; `{right}` partitions = {right_partitions}. Please repartition either one so that the number of partitions match."
            )));
        }
    }
    Ok(())
}

fn check_existing(source: &Source, topic: &Topic) -> Result<(), Refusal> {
    let partitions = i64::try_from(topic.replicas.len()).unwrap_or(i64::MAX);
    let replicas = topic.replicas.first().copied().unwrap_or(0);
    let replicas = i64::try_from(replicas).unwrap_or(i64::MAX);
    let retention = topic.retention_ms().unwrap_or(-1);
    // What is not asked for is wanted as it is.
    let wanted_partitions = source.partitions.map_or(partitions, i64::from);
    let wanted_replicas = source.replicas.map_or(replicas, i64::from);
    let wanted_retention = match source.retention_ms {
        Some(wanted) if topic.retention_ms().is_some() => wanted,
        _ => retention,
    };
    let wanted = (wanted_partitions, wanted_replicas, wanted_retention);
    if wanted == (partitions, replicas, retention) {
        return Ok(());
    }
    Err(Refusal::new(
        ErrorCode::ServerError,
        format!(
            "A Kafka topic with the name '{}' already exists, with different partition/replica/retention configuration than required. KSQL expects {wanted_partitions} partitions (topic has {partitions}), {wanted_replicas} replication factor (topic has {replicas}), and {wanted_retention} retention (topic has {retention}).",
            source.topic,
        ),
    ))
}
