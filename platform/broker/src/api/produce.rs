//! Produce: batches of records go to the end of a partition's log.

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse, TransactionalId};
use kafka_protocol::protocol::StrBytes;

use super::{Call, NO_ERROR, Session, blocking};
use crate::config::FlushPolicy;
use crate::node::Node;
use crate::storage::batch::acceptance::Refusal;
use crate::storage::batch::compression::Compression;
use crate::storage::batch::{BatchFault, BatchHeader};
use crate::storage::log::AppendError;
use crate::topics::Topic;
use crate::topics::partition::{Partition, Written};
use crate::transactions::{Producer, Protocol};

/// The first version that names topics by id.
const TOPIC_IDS_SINCE: i16 = 13;
/// The first version whose producers may use zstd: older consumers would not know it.
const ZSTD_SINCE: i16 = 7;
/// The first version that clients of the second protocol of transactions send.
const SECOND_PROTOCOL_SINCE: i16 = 12;
/// A larger batch is worked on beside the other requests when it has to be decompressed.
const INLINE_BYTES: usize = 32 * 1024;

/// Appends every batch of the request; `None` when the producer wants no answer.
pub(crate) async fn handle(
    session: &Session,
    call: &Call,
    request: ProduceRequest,
) -> Option<ProduceResponse> {
    let wants_answer = request.acks != 0;
    if !matches!(request.acks, -1..=1) {
        return Some(refuse_all(request, ResponseError::InvalidRequiredAcks));
    }
    let every_batch = session.node.config.flush == FlushPolicy::EveryBatch;
    let mut touched = 0;
    let mut to_sync = Vec::new();
    let mut responses = Vec::with_capacity(request.topic_data.len());
    for topic_data in request.topic_data {
        // Only looked up: a producer that goes on with a deleted topic must not bring it back.
        let topic = find_topic(session, call, &topic_data);
        let mut partitions = Vec::with_capacity(topic_data.partition_data.len());
        for partition_data in topic_data.partition_data {
            let appended = match &topic {
                Ok(topic) => {
                    let id = request.transactional_id.as_ref();
                    append(session, topic, &partition_data, id, call).await
                }
                Err(code) => Err(refusal(partition_data.index, *code, None)),
            };
            partitions.push(match appended {
                Ok((partition, response)) => {
                    touched += 1;
                    if every_batch || partition.is_due(topic.as_ref().map_or(i64::MAX, flush_messages)) {
                        to_sync.push(partition);
                    }
                    response
                }
                Err(response) => response,
            });
        }
        responses.push(
            TopicProduceResponse::default()
                .with_name(topic_data.name)
                .with_topic_id(topic_data.topic_id)
                .with_partition_responses(partitions),
        );
    }
    if touched > 0 {
        session.node.written.notify_one();
    }
    if !to_sync.is_empty() && !session.node.committer.sync(to_sync).await {
        for partition in responses
            .iter_mut()
            .flat_map(|topic| &mut topic.partition_responses)
            .filter(|partition| partition.error_code == NO_ERROR)
        {
            *partition = refusal(partition.index, ResponseError::KafkaStorageError, None);
        }
    }
    wants_answer.then(|| ProduceResponse::default().with_responses(responses))
}

fn flush_messages(topic: &Arc<Topic>) -> i64 {
    topic.settings.log().flush_messages
}

fn find_topic(session: &Session, call: &Call, data: &TopicProduceData) -> Result<Arc<Topic>, ResponseError> {
    if call.version >= TOPIC_IDS_SINCE {
        let found = session.node.topics.by_id(data.topic_id);
        return found.ok_or(ResponseError::UnknownTopicId);
    }
    let found = session.node.topics.by_name(&data.name.0);
    found.ok_or(ResponseError::UnknownTopicOrPartition)
}

async fn append(
    session: &Session,
    topic: &Arc<Topic>,
    data: &PartitionProduceData,
    transactional_id: Option<&TransactionalId>,
    call: &Call,
) -> Result<(Arc<Partition>, PartitionProduceResponse), PartitionProduceResponse> {
    let index = data.index;
    let Some(partition) = topic
        .partition(index)
        .filter(|partition| !partition.is_retired())
        .cloned()
    else {
        return Err(refusal(index, ResponseError::UnknownTopicOrPartition, None));
    };
    let records = data.records.clone().unwrap_or_default();
    let header = BatchHeader::parse(&records);
    let codec = header.and_then(|header| header.compression());
    if codec == Ok(Compression::Zstd) && call.version < ZSTD_SINCE {
        return Err(refusal(index, ResponseError::UnsupportedCompressionType, None));
    }
    let transaction = match header {
        Ok(header) if header.is_transactional() => {
            let Some(id) = transactional_id else {
                return Err(refusal(index, ResponseError::InvalidTxnState, None));
            };
            let protocol = Protocol::of(call.version, SECOND_PROTOCOL_SINCE);
            Some(Belonging {
                id: id.0.clone(),
                producer: (header.producer_id, header.producer_epoch),
                protocol,
            })
        }
        _ => None,
    };
    let recompresses = topic.settings.log().acceptance.compression.is_some();
    // What belongs to a transaction waits for whoever brings its end to the disk.
    let is_slow = transaction.is_some()
        || records.len() > INLINE_BYTES && (recompresses || codec != Ok(Compression::None));
    let batch = Batch {
        topic: Arc::clone(topic),
        partition: Arc::clone(&partition),
        index,
        records,
        transaction,
    };
    let stored = if is_slow {
        let node = Arc::clone(&session.node);
        blocking(move || batch.store(&node))
            .await
            .unwrap_or(Err(ResponseError::UnknownServerError))
    } else {
        batch.store(&session.node)
    };
    match stored.map_err(|code| refusal(index, code, None))? {
        Ok(Written {
            base_offset,
            append_time,
            filled,
        }) => {
            if filled && topic.settings.log().retention_bytes.is_some() {
                session.node.filled.notify_one();
            }
            let response = PartitionProduceResponse::default()
                .with_index(index)
                .with_base_offset(base_offset)
                .with_log_append_time_ms(append_time.unwrap_or(-1))
                .with_log_start_offset(partition.bounds().start);
            Ok((partition, response))
        }
        Err(error) => Err(refusal(index, code_of(&error), Some(error.to_string()))
            .with_record_errors(refused_records(&error))),
    }
}

/// A batch on its way into a partition.
struct Batch {
    topic: Arc<Topic>,
    partition: Arc<Partition>,
    index: i32,
    records: Bytes,
    /// The transaction that it says it belongs to.
    transaction: Option<Belonging>,
}

/// Whose transaction a batch is of.
struct Belonging {
    id: StrBytes,
    producer: Producer,
    protocol: Protocol,
}

impl Batch {
    /// Appends it; one of a transaction only while that is open and has the partition, or gets it with that.
    fn store(&self, node: &Node) -> Result<Result<Written, AppendError>, ResponseError> {
        let now_ms = osqdemo_clock::unix_ms();
        let append = || {
            let settings = self.topic.settings.log();
            self.partition.append(&self.records, now_ms, settings)
        };
        let Some(belonging) = &self.transaction else {
            return Ok(append());
        };
        let of = (&belonging.id, belonging.producer);
        let place = (self.topic.name.clone(), self.index);
        let stored =
            node.transactions
                .within(node.stores(), of, (&place, belonging.protocol), now_ms, append);
        // The codes that producers know from here; what they try again, they do after the last.
        stored.map_err(|code| match code {
            ResponseError::ProducerFenced => ResponseError::InvalidProducerEpoch,
            ResponseError::ConcurrentTransactions | ResponseError::CoordinatorNotAvailable
                if belonging.protocol == Protocol::Two =>
            {
                ResponseError::NotEnoughReplicas
            }
            code => code,
        })
    }
}

/// The records that a refusal is about, by their positions in the batch.
fn refused_records(error: &AppendError) -> Vec<BatchIndexAndErrorMessage> {
    let AppendError::Refused(Refusal::NoKey { records } | Refusal::Time { records }) = error else {
        return Vec::new();
    };
    let message = StrBytes::from_string(error.to_string());
    records
        .iter()
        .map(|position| {
            BatchIndexAndErrorMessage::default()
                .with_batch_index(*position)
                .with_batch_index_error_message(Some(message.clone()))
        })
        .collect()
}

fn code_of(error: &AppendError) -> ResponseError {
    match error {
        AppendError::Refused(refusal) => match refusal {
            Refusal::Batch(
                BatchFault::Truncated | BatchFault::Length(_) | BatchFault::Magic(_) | BatchFault::Checksum,
            ) => ResponseError::CorruptMessage,
            Refusal::Batch(BatchFault::Codec(_)) => ResponseError::UnsupportedCompressionType,
            // Sent again it would be no better, which producers read out of this code.
            Refusal::Batch(_) | Refusal::Control | Refusal::NoKey { .. } => ResponseError::InvalidRecord,
            Refusal::TooLarge { .. } => ResponseError::MessageTooLarge,
            Refusal::Time { .. } => ResponseError::InvalidTimestamp,
        },
        AppendError::Transaction => ResponseError::InvalidTxnState,
        AppendError::OutOfOrder => ResponseError::OutOfOrderSequenceNumber,
        AppendError::Fenced => ResponseError::InvalidProducerEpoch,
        AppendError::Failed | AppendError::Storage(_) => ResponseError::KafkaStorageError,
    }
}

fn refusal(index: i32, code: ResponseError, message: Option<String>) -> PartitionProduceResponse {
    PartitionProduceResponse::default()
        .with_index(index)
        .with_error_code(code.code())
        .with_base_offset(-1)
        .with_log_append_time_ms(-1)
        .with_log_start_offset(-1)
        .with_error_message(message.map(StrBytes::from_string))
}

fn refuse_all(request: ProduceRequest, code: ResponseError) -> ProduceResponse {
    let responses = request
        .topic_data
        .into_iter()
        .map(|topic| {
            let partitions = topic
                .partition_data
                .iter()
                .map(|partition| refusal(partition.index, code, None))
                .collect();
            TopicProduceResponse::default()
                .with_name(topic.name)
                .with_topic_id(topic.topic_id)
                .with_partition_responses(partitions)
        })
        .collect();
    ProduceResponse::default().with_responses(responses)
}

#[cfg(test)]
mod tests;
