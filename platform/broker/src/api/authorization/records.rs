//! Requests about the records of topics.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::describe_producers_response::{PartitionResponse, TopicResponse};
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    BrokerId, DeleteRecordsRequest, DeleteRecordsResponse, DescribeProducersRequest,
    DescribeProducersResponse, FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse,
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, ProduceRequest, ProduceResponse,
};

use super::{Authorized, Permits, take_out};
use crate::api::Call;
use crate::security::acls::{CLUSTER, Operation, Resource};

const DENIED: i16 = 29; // TOPIC_AUTHORIZATION_FAILED

impl Authorized for ProduceRequest {
    type Denied = Vec<TopicProduceResponse>;

    fn sift(&mut self, permits: &Permits<'_>, _: &Call) -> Result<Self::Denied, ProduceResponse> {
        let id = self.transactional_id.as_ref();
        let may_transact =
            id.is_none_or(|id| permits.may(Operation::Write, Resource::TransactionalId, &id.0));
        // Even a request of which nothing is left goes on: its producer may want no answer.
        let (denied, code) = match may_transact {
            true => {
                let denied = take_out(&mut self.topic_data, |topic| {
                    permits.may_topic(Operation::Write, &topic.name, topic.topic_id)
                });
                (denied, DENIED)
            }
            false => {
                let code = ResponseError::TransactionalIdAuthorizationFailed.code();
                (std::mem::take(&mut self.topic_data), code)
            }
        };
        let denied = denied.into_iter().map(|topic| {
            let partitions = topic.partition_data.iter().map(|partition| {
                PartitionProduceResponse::default()
                    .with_index(partition.index)
                    .with_error_code(code)
                    .with_base_offset(-1)
                    .with_log_append_time_ms(-1)
                    .with_log_start_offset(-1)
            });
            TopicProduceResponse::default()
                .with_partition_responses(partitions.collect())
                .with_name(topic.name)
                .with_topic_id(topic.topic_id)
        });
        Ok(denied.collect())
    }

    fn complete(denied: Self::Denied, response: &mut ProduceResponse, _: &Permits<'_>) {
        response.responses.extend(denied);
    }
}

impl Authorized for FetchRequest {
    type Denied = Vec<FetchableTopicResponse>;

    fn sift(&mut self, permits: &Permits<'_>, _: &Call) -> Result<Self::Denied, FetchResponse> {
        let denied = take_out(&mut self.topics, |topic| {
            permits.may_topic(Operation::Read, &topic.topic, topic.topic_id)
        });
        let denied = denied.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                PartitionData::default()
                    .with_partition_index(partition.partition)
                    .with_error_code(DENIED)
                    .with_high_watermark(-1)
                    .with_last_stable_offset(-1)
                    .with_log_start_offset(-1)
                    .with_preferred_read_replica(BrokerId(-1))
            });
            FetchableTopicResponse::default()
                .with_partitions(partitions.collect())
                .with_topic(topic.topic)
                .with_topic_id(topic.topic_id)
        });
        Ok(denied.collect())
    }

    fn complete(denied: Self::Denied, response: &mut FetchResponse, _: &Permits<'_>) {
        response.responses.extend(denied);
    }
}

impl Authorized for ListOffsetsRequest {
    type Denied = Vec<ListOffsetsTopicResponse>;

    fn sift(&mut self, permits: &Permits<'_>, _: &Call) -> Result<Self::Denied, ListOffsetsResponse> {
        let denied = take_out(&mut self.topics, |topic| {
            permits.may(Operation::Describe, Resource::Topic, &topic.name.0)
        });
        let denied = denied.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                ListOffsetsPartitionResponse::default()
                    .with_partition_index(partition.partition_index)
                    .with_error_code(DENIED)
                    .with_timestamp(-1)
                    .with_offset(-1)
                    .with_leader_epoch(-1)
            });
            ListOffsetsTopicResponse::default()
                .with_partitions(partitions.collect())
                .with_name(topic.name)
        });
        Ok(denied.collect())
    }

    fn complete(denied: Self::Denied, response: &mut ListOffsetsResponse, _: &Permits<'_>) {
        response.topics.extend(denied);
    }
}

impl Authorized for OffsetForLeaderEpochRequest {
    type Denied = Vec<OffsetForLeaderTopicResult>;

    fn sift(
        &mut self,
        permits: &Permits<'_>,
        _: &Call,
    ) -> Result<Self::Denied, OffsetForLeaderEpochResponse> {
        if permits.sees(Operation::ClusterAction, Resource::Cluster, CLUSTER) {
            return Ok(Vec::new());
        }
        let denied = take_out(&mut self.topics, |topic| {
            permits.may(Operation::Describe, Resource::Topic, &topic.topic.0)
        });
        let denied = denied.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                EpochEndOffset::default()
                    .with_partition(partition.partition)
                    .with_error_code(DENIED)
                    .with_leader_epoch(-1)
                    .with_end_offset(-1)
            });
            OffsetForLeaderTopicResult::default()
                .with_partitions(partitions.collect())
                .with_topic(topic.topic)
        });
        Ok(denied.collect())
    }

    fn complete(denied: Self::Denied, response: &mut OffsetForLeaderEpochResponse, _: &Permits<'_>) {
        response.topics.extend(denied);
    }
}

impl Authorized for DeleteRecordsRequest {
    type Denied = Vec<DeleteRecordsTopicResult>;

    fn sift(&mut self, permits: &Permits<'_>, _: &Call) -> Result<Self::Denied, DeleteRecordsResponse> {
        let denied = take_out(&mut self.topics, |topic| {
            permits.may(Operation::Delete, Resource::Topic, &topic.name.0)
        });
        let denied = denied.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                DeleteRecordsPartitionResult::default()
                    .with_partition_index(partition.partition_index)
                    .with_low_watermark(-1)
                    .with_error_code(DENIED)
            });
            DeleteRecordsTopicResult::default()
                .with_partitions(partitions.collect())
                .with_name(topic.name)
        });
        Ok(denied.collect())
    }

    fn complete(denied: Self::Denied, response: &mut DeleteRecordsResponse, _: &Permits<'_>) {
        response.topics.extend(denied);
    }
}

impl Authorized for DescribeProducersRequest {
    type Denied = Vec<TopicResponse>;

    fn sift(&mut self, permits: &Permits<'_>, _: &Call) -> Result<Self::Denied, DescribeProducersResponse> {
        let denied = take_out(&mut self.topics, |topic| {
            permits.may(Operation::Read, Resource::Topic, &topic.name.0)
        });
        let denied = denied.into_iter().map(|topic| {
            let partitions = topic.partition_indexes.iter().map(|index| {
                PartitionResponse::default()
                    .with_partition_index(*index)
                    .with_error_code(DENIED)
            });
            TopicResponse::default()
                .with_partitions(partitions.collect())
                .with_name(topic.name)
        });
        Ok(denied.collect())
    }

    fn complete(denied: Self::Denied, response: &mut DescribeProducersResponse, _: &Permits<'_>) {
        response.topics.extend(denied);
    }
}
