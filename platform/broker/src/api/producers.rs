//! InitProducerId and DescribeProducers: the numbers idempotent producers count under.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use kafka_protocol::messages::{
    DescribeProducersRequest, DescribeProducersResponse, InitProducerIdRequest, InitProducerIdResponse,
    ProducerId,
};

use super::{Call, Session, blocking};

/// Hands out a new producer id; producers with transactions are refused.
pub(crate) async fn handle_init(
    session: &Session,
    _call: &Call,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    let refused = |code: ResponseError| {
        InitProducerIdResponse::default()
            .with_error_code(code.code())
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1)
    };
    if request.transactional_id.is_some() {
        return refused(ResponseError::TransactionalIdAuthorizationFailed);
    }
    let node = Arc::clone(&session.node);
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
                    let active = partition
                        .log()
                        .producers()
                        .iter()
                        .map(|(id, producer)| {
                            ProducerState::default()
                                .with_producer_id(ProducerId(id))
                                .with_producer_epoch(i32::from(producer.epoch))
                                .with_last_sequence(producer.last_sequence())
                                .with_last_timestamp(producer.last_timestamp)
                                .with_coordinator_epoch(-1)
                                .with_current_txn_start_offset(-1)
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
