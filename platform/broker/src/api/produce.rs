//! Produce: batches of records go to the end of a partition's log.

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};
use kafka_protocol::protocol::StrBytes;

use super::metadata::find_or_create;
use super::{Call, NO_ERROR, Session, blocking};
use crate::config::FlushPolicy;
use crate::storage::log::{AppendError, CheckpointWhen};
use crate::topics::Topic;
use crate::topics::partition::Partition;

/// The first version that names topics by id.
const TOPIC_IDS_SINCE: i16 = 13;

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
    let mut touched = Vec::new();
    let mut responses = Vec::with_capacity(request.topic_data.len());
    for topic_data in request.topic_data {
        let topic = find_topic(session, call, &topic_data).await;
        let mut partitions = Vec::with_capacity(topic_data.partition_data.len());
        for partition_data in topic_data.partition_data {
            let appended = match &topic {
                Ok(topic) => append(topic, &partition_data, &mut touched),
                Err(code) => refusal(partition_data.index, *code, None),
            };
            partitions.push(appended);
        }
        responses.push(
            TopicProduceResponse::default()
                .with_name(topic_data.name)
                .with_topic_id(topic_data.topic_id)
                .with_partition_responses(partitions),
        );
    }
    if !touched.is_empty() {
        session.node.written.notify_one();
    }
    if session.node.config.flush == FlushPolicy::EveryBatch && wants_answer && !flush(touched).await {
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

async fn find_topic(
    session: &Session,
    call: &Call,
    data: &TopicProduceData,
) -> Result<Arc<Topic>, ResponseError> {
    if call.version >= TOPIC_IDS_SINCE {
        return session
            .node
            .topics
            .by_id(data.topic_id)
            .ok_or(ResponseError::UnknownTopicId);
    }
    find_or_create(session, &data.name.0, session.node.config.auto_create_topics).await
}

fn append(
    topic: &Topic,
    data: &PartitionProduceData,
    touched: &mut Vec<Arc<Partition>>,
) -> PartitionProduceResponse {
    let Some(partition) = topic
        .partition(data.index)
        .filter(|partition| !partition.is_retired())
    else {
        return refusal(data.index, ResponseError::UnknownTopicOrPartition, None);
    };
    let records = data.records.as_ref().map_or(&[][..], Bytes::as_ref);
    match partition.append(records, topic.settings.log()) {
        Ok(appended) => {
            touched.push(Arc::clone(partition));
            PartitionProduceResponse::default()
                .with_index(data.index)
                .with_base_offset(appended.base_offset)
                .with_log_append_time_ms(-1)
                .with_log_start_offset(partition.bounds().start)
        }
        Err(error) => refusal(data.index, code_of(&error), Some(error.to_string())),
    }
}

fn code_of(error: &AppendError) -> ResponseError {
    match error {
        AppendError::Batch(_) => ResponseError::CorruptMessage,
        AppendError::TooLarge { .. } => ResponseError::MessageTooLarge,
        AppendError::Control => ResponseError::InvalidRecord,
        AppendError::NoTransaction => ResponseError::InvalidTxnState,
        AppendError::OutOfOrder => ResponseError::OutOfOrderSequenceNumber,
        AppendError::Fenced => ResponseError::InvalidProducerEpoch,
        AppendError::Storage(_) => ResponseError::KafkaStorageError,
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

/// Brings the partitions to the disk; false when that failed.
async fn flush(partitions: Vec<Arc<Partition>>) -> bool {
    let flushed = blocking(move || {
        partitions
            .iter()
            .try_for_each(|partition| partition.flush(CheckpointWhen::Never))
    })
    .await;
    match flushed {
        Some(Ok(())) => true,
        Some(Err(error)) => {
            tracing::error!(%error, "cannot sync a log");
            false
        }
        None => false,
    }
}
