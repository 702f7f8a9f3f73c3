//! Where the reading of a query's inputs begins.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::config::OffsetReset;
use crate::kafka::{ClosedElsewhere, Cluster, ClusterError, GroupConsumer, Metadata, Reader, StartingPoint};
use crate::plan::QueryPlan;
use crate::queries::PersistentQuery;
use crate::syntax::ast::SourceKind;
use crate::task::StreamTimes;

/// How long a question about positions may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the positions are not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PositionError {
    /// The cluster did not answer.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// An input's topic is gone.
    #[error("topic `{topic}` does not exist")]
    MissingTopic { topic: String },
    /// The group's positions are not known.
    #[error("cannot read the positions of consumer group `{group}`: {source}")]
    Committed { group: String, source: KafkaError },
    /// The thread that asked ended without an answer.
    #[error("cannot read the positions of consumer group `{group}`: the request was abandoned")]
    Abandoned { group: String },
}

/// How many partitions the inputs have.
pub(crate) fn partitions(points: &[StartingPoint]) -> i32 {
    points.iter().map(|point| point.partition + 1).max().unwrap_or(1)
}

/// The first and the next offset of each partition of a query's topics.
type Ends = BTreeMap<String, Vec<(i64, i64)>>;

/// Where a query without positions begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Resets {
    /// With the streams it reads.
    pub(crate) streams: OffsetReset,
    /// With the tables.
    pub(crate) tables: OffsetReset,
}

impl Resets {
    fn of(self, plan: &QueryPlan, topic: &str) -> OffsetReset {
        if is_table(plan, topic) {
            self.tables
        } else {
            self.streams
        }
    }
}

/// Whether a topic is read as a table.
fn is_table(plan: &QueryPlan, topic: &str) -> bool {
    let mut inputs = plan.inputs().iter();
    inputs.any(|input| input.topic == topic && input.kind == SourceKind::Table)
}

/// Where a persistent query reads on.
pub(crate) struct Start {
    pub(crate) consumer: GroupConsumer,
    pub(crate) points: Vec<StartingPoint>,
    /// Whether it has been there before.
    pub(crate) goes_on: bool,
    /// The stream times of its windows then.
    pub(crate) stream_times: StreamTimes,
}

/// Where a new query begins: by topic, an offset for each partition.
pub(crate) async fn starting_offsets(
    cluster: &Cluster,
    plan: &QueryPlan,
    resets: Resets,
) -> Result<BTreeMap<String, Vec<i64>>, PositionError> {
    let ends = ends(cluster, plan).await?;
    let offsets = ends.into_iter().map(|(topic, partitions)| {
        let reset = resets.of(plan, &topic);
        let offsets = partitions.into_iter().map(|(low, high)| match reset {
            OffsetReset::Earliest => low,
            OffsetReset::Latest => high,
        });
        (topic, offsets.collect())
    });
    Ok(offsets.collect())
}

/// Where a query that commits nothing begins.
pub(crate) async fn of_push_query(
    cluster: &Cluster,
    plan: &QueryPlan,
    resets: Resets,
) -> Result<Vec<StartingPoint>, PositionError> {
    let ends = ends(cluster, plan).await?;
    Ok(points(plan, &ends, |topic, _, low, high| {
        Place::at(match resets.of(plan, topic) {
            OffsetReset::Earliest => low,
            OffsetReset::Latest => high,
        })
    }))
}

/// Where a persistent query goes on: at its committed positions, where these count, or where it once began.
/// A query with state that has no changelog first replays what that is made of.
pub(crate) async fn of_persistent_query(
    cluster: &Cluster,
    consumer: GroupConsumer,
    group: &str,
    query: &PersistentQuery,
    committed_counts: bool,
) -> Result<Start, PositionError> {
    let ends = ends(cluster, &query.plan).await?;
    let mut asked = TopicPartitionList::new();
    for (topic, partitions) in &ends {
        for index in 0..partitions.len() {
            asked.add_partition(topic, partition_number(index));
        }
    }
    let committed_error = |source| PositionError::Committed {
        group: group.to_owned(),
        source,
    };
    let (consumer, committed) = blocking(group, consumer, move |consumer| {
        consumer.committed_offsets(asked, REQUEST_TIMEOUT)
    })
    .await?;
    let committed = committed.map_err(committed_error)?;
    let position = |topic: &str, partition: i32| match committed.find_partition(topic, partition)?.offset() {
        Offset::Offset(offset) if committed_counts => Some(offset),
        _ => None,
    };

    let metadata = |topic: &str, partition: i32| {
        let element = committed.find_partition(topic, partition);
        element.map_or_else(Metadata::default, |element| Metadata::of_text(element.metadata()))
    };
    let newest = |topic: &str, partition: i32| metadata(topic, partition).newest_timestamp;
    let mut stream_times = BTreeMap::new();
    for element in committed.elements().iter().filter(|_| committed_counts) {
        if let Some(time) = Metadata::of_text(element.metadata()).stream_time {
            // Those of several topics are committed together; where one lags behind, more windows are still open.
            let earliest = stream_times.entry(element.partition()).or_insert(time);
            *earliest = time.min(*earliest);
        }
    }

    let replayed: BTreeSet<&str> = query.plan.replayed_topics().collect();
    let mut replay = TopicPartitionList::new();
    if let Some(retention_ms) = query.plan.retention_ms()
        // Where a column gives the rows' time, the records' own timestamps say nothing about it.
        && query.plan.inputs().iter().all(|input| input.timestamp.is_none())
    {
        for element in committed.elements() {
            if !replayed.contains(element.topic()) {
                continue;
            }
            let newest = newest(element.topic(), element.partition());
            if let (Offset::Offset(_), Some(newest)) = (element.offset(), newest) {
                let since = newest.saturating_sub(retention_ms).max(0);
                replay
                    .add_partition_offset(element.topic(), element.partition(), Offset::Offset(since))
                    .map_err(committed_error)?;
            }
        }
    }
    let (consumer, replay) = if replay.count() == 0 {
        (consumer, replay)
    } else {
        let (consumer, found) = blocking(group, consumer, move |consumer| {
            consumer.offsets_for_times(replay, REQUEST_TIMEOUT)
        })
        .await?;
        (consumer, found.map_err(committed_error)?)
    };

    let mut goes_on = false;
    let points = points(&query.plan, &ends, |topic, partition, low, high| {
        let Some(committed) = position(topic, partition) else {
            let began = query
                .starting_offsets
                .get(topic)
                .and_then(|offsets| offsets.get(usize::try_from(partition).ok()?));
            return Place::at(began.copied().unwrap_or(low).clamp(low, high));
        };
        if committed > high {
            tracing::warn!(
                "query {} was at offset {committed} of `{topic}` partition {partition}, which ends at {high}: \
                 it begins again",
                query.id
            );
            return Place::at(low);
        }
        goes_on = true;
        let new_from = committed.max(low);
        let from = match replay
            .find_partition(topic, partition)
            .map(|found| found.offset())
        {
            _ if !replayed.contains(topic) => new_from,
            Some(Offset::Offset(offset)) => offset.clamp(low, new_from),
            // No record is that young, so none belongs to the state.
            Some(_) => new_from,
            None => low,
        };
        Place {
            from,
            new_from,
            newest_timestamp: newest(topic, partition),
        }
    });
    Ok(Start {
        consumer,
        points,
        goes_on,
        stream_times: stream_times.into_iter().collect(),
    })
}

/// How many partitions each of a query's topics has.
async fn widths(cluster: &Cluster, plan: &QueryPlan) -> Result<BTreeMap<String, usize>, PositionError> {
    let topics = cluster.topics().await?;
    let names: BTreeSet<&str> = plan.inputs().iter().map(|input| input.topic.as_str()).collect();
    let widths = names.into_iter().map(|name| {
        let partitions = topics.get(name).map_or(0, Vec::len);
        if partitions == 0 {
            return Err(PositionError::MissingTopic {
                topic: name.to_owned(),
            });
        }
        Ok((name.to_owned(), partitions))
    });
    widths.collect()
}

async fn ends(cluster: &Cluster, plan: &QueryPlan) -> Result<Ends, PositionError> {
    ends_of(cluster, widths(cluster, plan).await?).await
}

async fn ends_of(cluster: &Cluster, widths: BTreeMap<String, usize>) -> Result<Ends, PositionError> {
    let mut ends = Ends::new();
    for (name, partitions) in widths {
        let watermarks = cluster.watermarks(&name, partition_number(partitions)).await?;
        ends.insert(name, watermarks);
    }
    Ok(ends)
}

/// What a group has committed of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) topic: String,
    /// Those partitions that it has committed a position of.
    pub(crate) partitions: Vec<CommittedPartition>,
}

/// What a group has committed of a partition, and what there is of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CommittedPartition {
    pub(crate) partition: i32,
    pub(crate) first: i64,
    pub(crate) end: i64,
    pub(crate) committed: i64,
}

/// What a query's group has committed; `None` where its topics have more partitions than `most`.
pub(crate) async fn committed(
    cluster: &Cluster,
    group: &str,
    plan: &QueryPlan,
    most: usize,
) -> Result<Option<Vec<Committed>>, PositionError> {
    let widths = widths(cluster, plan).await?;
    if widths.values().sum::<usize>() > most {
        return Ok(None);
    }
    let ends = ends_of(cluster, widths).await?;
    let mut asked = TopicPartitionList::new();
    for (topic, partitions) in &ends {
        for index in 0..partitions.len() {
            asked.add_partition(topic, partition_number(index));
        }
    }
    let error = |source| PositionError::Committed {
        group: group.to_owned(),
        source,
    };
    let consumer = Reader::consumer(cluster, group).map_err(error)?;
    let (consumer, answer) = blocking(group, consumer, move |consumer| {
        consumer.committed_offsets(asked, REQUEST_TIMEOUT)
    })
    .await?;
    drop(ClosedElsewhere::new(consumer));
    let answer = answer.map_err(error)?;
    let of_topic = ends.into_iter().map(|(topic, ends)| {
        let partitions = ends.into_iter().enumerate().filter_map(|(index, (first, end))| {
            let partition = partition_number(index);
            match answer.find_partition(&topic, partition)?.offset() {
                Offset::Offset(committed) => Some(CommittedPartition {
                    partition,
                    first,
                    end,
                    committed,
                }),
                _ => None,
            }
        });
        Committed {
            partitions: partitions.collect(),
            topic: topic.clone(),
        }
    });
    // Where it begins, a query commits before the first record; the real server has no position until then.
    let is_read = |topic: &Committed| {
        let mut partitions = topic.partitions.iter();
        partitions.any(|partition| partition.committed > partition.first)
    };
    Ok(Some(of_topic.filter(is_read).collect()))
}

/// Where the reading of one partition begins.
struct Place {
    from: i64,
    new_from: i64,
    newest_timestamp: Option<i64>,
}

impl Place {
    fn at(offset: i64) -> Self {
        Self {
            from: offset,
            new_from: offset,
            newest_timestamp: None,
        }
    }
}

fn points(
    plan: &QueryPlan,
    ends: &Ends,
    mut place: impl FnMut(&str, i32, i64, i64) -> Place,
) -> Vec<StartingPoint> {
    let mut points = Vec::new();
    for (topic, partitions) in ends {
        let is_table = is_table(plan, topic);
        let topic: Arc<str> = topic.as_str().into();
        for (index, (low, high)) in partitions.iter().enumerate() {
            let partition = partition_number(index);
            let place = place(&topic, partition, *low, *high);
            points.push(StartingPoint {
                topic: Arc::clone(&topic),
                partition,
                from: place.from,
                new_from: place.new_from,
                end: *high,
                newest_timestamp: place.newest_timestamp,
                is_table,
            });
        }
    }
    points
}

/// Kafka numbers partitions with 32 bits.
fn partition_number(index: usize) -> i32 {
    i32::try_from(index).unwrap_or(i32::MAX)
}

async fn blocking<T: Send + 'static>(
    group: &str,
    consumer: GroupConsumer,
    question: impl FnOnce(&GroupConsumer) -> T + Send + 'static,
) -> Result<(GroupConsumer, T), PositionError> {
    tokio::task::spawn_blocking(move || {
        let answer = question(&consumer);
        (consumer, answer)
    })
    .await
    .map_err(|_| PositionError::Abandoned {
        group: group.to_owned(),
    })
}
