//! DeleteRecords: everything before an offset is given up.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use super::{Call, NO_ERROR, Session, blocking};
use crate::topics::partition::Partition;

/// Stands for the end of the partition.
const TO_THE_END: i64 = -1;

/// Moves the start of partitions forward.
pub(crate) async fn handle(
    session: &Session,
    _call: &Call,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let known = session.node.topics.by_name(&topic.name.0);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for wanted in topic.partitions {
            let found = known
                .as_ref()
                .and_then(|known| known.partition(wanted.partition_index))
                .cloned();
            let deleted = match found {
                // What is only compacted has no beginning that could be given up.
                Some(_) if known.as_ref().is_some_and(|known| !known.settings.log().deletes) => {
                    Err(ResponseError::PolicyViolation)
                }
                Some(partition) => delete(partition, wanted.offset).await,
                None => Err(ResponseError::UnknownTopicOrPartition),
            };
            let (code, low_watermark) = match deleted {
                Ok(start) => (NO_ERROR, start),
                Err(code) => (code.code(), -1),
            };
            partitions.push(
                DeleteRecordsPartitionResult::default()
                    .with_partition_index(wanted.partition_index)
                    .with_low_watermark(low_watermark)
                    .with_error_code(code),
            );
        }
        topics.push(
            DeleteRecordsTopicResult::default()
                .with_name(topic.name)
                .with_partitions(partitions),
        );
    }
    DeleteRecordsResponse::default().with_topics(topics)
}

async fn delete(partition: Arc<Partition>, offset: i64) -> Result<i64, ResponseError> {
    let deleted = blocking(move || {
        let end = partition.bounds().end;
        let offset = if offset == TO_THE_END { end } else { offset };
        if !(0..=end).contains(&offset) {
            return Err(ResponseError::OffsetOutOfRange);
        }
        match partition.delete_before(offset) {
            Ok(()) => Ok(partition.bounds().start),
            Err(error) => {
                tracing::error!(%error, "cannot delete records");
                Err(ResponseError::KafkaStorageError)
            }
        }
    })
    .await;
    deleted.unwrap_or(Err(ResponseError::UnknownServerError))
}
