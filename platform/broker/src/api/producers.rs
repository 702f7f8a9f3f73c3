//! InitProducerId and DescribeProducers: the numbers that idempotent and transactional producers count under.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use kafka_protocol::messages::{
    DescribeProducersRequest, DescribeProducersResponse, InitProducerIdRequest, InitProducerIdResponse,
    ProducerId,
};

use kafka_protocol::protocol::StrBytes;

use super::transactions::known_code;
use super::{Call, Session, blocking};

/// The first version in which a producer says who it is.
const EPOCHS_SINCE: i16 = 3;
/// The first version whose clients know what a fenced producer is.
const FENCED_SINCE: i16 = 4;

/// Hands out a new producer id, or the next epoch of a transactional one.
pub(crate) async fn handle_init(
    session: &Session,
    call: &Call,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    let refused = |code: ResponseError| {
        InitProducerIdResponse::default()
            .with_error_code(known_code(code, call.version, FENCED_SINCE))
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1)
    };
    let node = Arc::clone(&session.node);
    if let Some(id) = request.transactional_id {
        if id.is_empty() {
            return refused(ResponseError::InvalidRequest);
        }
        let id = StrBytes::from_string(id.to_string());
        let current = Some((request.producer_id.0, request.producer_epoch));
        // Versions before 3 cannot say it, and are not asked.
        let current = current.filter(|(id, _)| call.version >= EPOCHS_SINCE && *id >= 0);
        let timeout_ms = request.transaction_timeout_ms;
        let taken = blocking(move || {
            let now_ms = osqdemo_clock::unix_ms();
            node.transactions
                .init(node.stores(), &id, timeout_ms, current, now_ms)
        })
        .await;
        session.node.written.notify_one();
        return match taken {
            Some(Ok((id, epoch))) => InitProducerIdResponse::default()
                .with_producer_id(ProducerId(id))
                .with_producer_epoch(epoch),
            Some(Err(code)) => refused(code),
            None => refused(ResponseError::UnknownServerError),
        };
    }
    match blocking(move || node.topics.next_producer_id()).await {
        Some(Ok(id)) => InitProducerIdResponse::default()
            .with_producer_id(ProducerId(id))
            .with_producer_epoch(0),
        Some(Err(error)) => {
            tracing::error!(%error, "cannot reserve producer ids");
            refused(ResponseError::CoordinatorNotAvailable)
        }
        None => refused(ResponseError::UnknownServerError),
    }
}

/// Lists the producers that partitions know.
pub(crate) async fn handle_describe(
    session: &Session,
    _call: &Call,
    request: DescribeProducersRequest,
) -> DescribeProducersResponse {
    let topics = request
        .topics
        .into_iter()
        .map(|wanted| {
            let topic = session.node.topics.by_name(&wanted.name.0);
            let partitions = wanted
                .partition_indexes
                .iter()
                .map(|index| {
                    let response = PartitionResponse::default().with_partition_index(*index);
                    let partition = topic.as_ref().and_then(|topic| topic.partition(*index));
                    let Some(partition) = partition else {
                        return response.with_error_code(ResponseError::UnknownTopicOrPartition.code());
                    };
                    let log = partition.log();
                    let active = log
                        .producers()
                        .iter()
                        .map(|(id, producer)| {
                            ProducerState::default()
                                .with_producer_id(ProducerId(id))
                                .with_producer_epoch(i32::from(producer.epoch))
                                .with_last_sequence(producer.last_sequence())
                                .with_last_timestamp(producer.last_timestamp)
                                .with_coordinator_epoch(-1)
                                .with_current_txn_start_offset(
                                    log.transactions().open_since(id).unwrap_or(-1),
                                )
                        })
                        .collect();
                    response.with_active_producers(active)
                })
                .collect();
            TopicResponse::default()
                .with_name(wanted.name)
                .with_partitions(partitions)
        })
        .collect();
    DescribeProducersResponse::default().with_topics(topics)
}
