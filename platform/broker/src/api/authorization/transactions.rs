//! Requests about transactions and the producers that have them.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::describe_transactions_response::TransactionState;
use kafka_protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequestTopic;
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    DescribeTransactionsRequest, DescribeTransactionsResponse, EndTxnRequest, EndTxnResponse,
    InitProducerIdRequest, InitProducerIdResponse, ListTransactionsRequest, ListTransactionsResponse,
    ProducerId, TransactionalId, TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};

use super::{Authorized, Permits, take_out};
use crate::api::Call;
use crate::security::acls::{Operation, Resource};

const DENIED: i16 = 53; // TRANSACTIONAL_ID_AUTHORIZATION_FAILED
const GROUP_DENIED: i16 = 30; // GROUP_AUTHORIZATION_FAILED
const TOPIC_DENIED: i16 = 29; // TOPIC_AUTHORIZATION_FAILED

fn may_write(permits: &Permits<'_>, id: &TransactionalId) -> bool {
    permits.may(Operation::Write, Resource::TransactionalId, &id.0)
}

impl Authorized for InitProducerIdRequest {
    type Denied = ();

    fn sift(&mut self, permits: &Permits<'_>, _: &Call) -> Result<(), InitProducerIdResponse> {
        let code = match &self.transactional_id {
            Some(id) if may_write(permits, id) => return Ok(()),
            Some(_) => DENIED,
            // Who may write anywhere may count what it writes.
            None if permits.may_any(Operation::Write, Resource::Topic)
                || permits.may_cluster(Operation::IdempotentWrite) =>
            {
                return Ok(());
            }
            None => ResponseError::ClusterAuthorizationFailed.code(),
        };
        Err(InitProducerIdResponse::default()
            .with_error_code(code)
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1))
    }
}

impl Authorized for AddPartitionsToTxnRequest {
    type Denied = ();

    fn sift(&mut self, permits: &Permits<'_>, _: &Call) -> Result<(), AddPartitionsToTxnResponse> {
        let may_transact = may_write(permits, &self.v3_and_below_transactional_id);
        let topics = std::mem::take(&mut self.v3_and_below_topics);
        let may: Vec<bool> = topics
            .iter()
            .map(|topic| may_transact && permits.may(Operation::Write, Resource::Topic, &topic.name.0))
            .collect();
        if may_transact && !may.contains(&false) {
            self.v3_and_below_topics = topics;
            return Ok(());
        }
        // All are added or none is.
        let results = topics.into_iter().zip(may).map(|(topic, may)| {
            let code = match (may_transact, may) {
                (false, _) => DENIED,
                (true, false) => TOPIC_DENIED,
                (true, true) => ResponseError::OperationNotAttempted.code(),
            };
            let partitions = topic.partitions.iter().map(|index| {
                AddPartitionsToTxnPartitionResult::default()
                    .with_partition_index(*index)
                    .with_partition_error_code(code)
            });
            AddPartitionsToTxnTopicResult::default()
                .with_results_by_partition(partitions.collect())
                .with_name(topic.name)
        });
        Err(AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(results.collect()))
    }
}

impl Authorized for AddOffsetsToTxnRequest {
    type Denied = ();

    fn sift(&mut self, permits: &Permits<'_>, _: &Call) -> Result<(), AddOffsetsToTxnResponse> {
        let code = if !may_write(permits, &self.transactional_id) {
            DENIED
        } else if !permits.may(Operation::Read, Resource::Group, &self.group_id.0) {
            GROUP_DENIED
        } else {
            return Ok(());
        };
        Err(AddOffsetsToTxnResponse::default().with_error_code(code))
    }
}

impl Authorized for EndTxnRequest {
    type Denied = ();

    fn sift(&mut self, permits: &Permits<'_>, _: &Call) -> Result<(), EndTxnResponse> {
        match may_write(permits, &self.transactional_id) {
            true => Ok(()),
            false => Err(EndTxnResponse::default()
                .with_error_code(DENIED)
                .with_producer_id(ProducerId(-1))
                .with_producer_epoch(-1)),
        }
    }
}

impl Authorized for TxnOffsetCommitRequest {
    type Denied = Vec<TxnOffsetCommitResponseTopic>;

    fn sift(&mut self, permits: &Permits<'_>, _: &Call) -> Result<Self::Denied, TxnOffsetCommitResponse> {
        let refused = |topic: TxnOffsetCommitRequestTopic, code| {
            let partitions = topic.partitions.iter().map(|partition| {
                TxnOffsetCommitResponsePartition::default()
                    .with_partition_index(partition.partition_index)
                    .with_error_code(code)
            });
            TxnOffsetCommitResponseTopic::default()
                .with_partitions(partitions.collect())
                .with_name(topic.name)
        };
        let code = if !may_write(permits, &self.transactional_id) {
            DENIED
        } else if !permits.may(Operation::Read, Resource::Group, &self.group_id.0) {
            GROUP_DENIED
        } else {
            let denied = take_out(&mut self.topics, |topic| {
                permits.may(Operation::Read, Resource::Topic, &topic.name.0)
            });
            return Ok(denied
                .into_iter()
                .map(|topic| refused(topic, TOPIC_DENIED))
                .collect());
        };
        let topics = self.topics.drain(..).map(|topic| refused(topic, code));
        Err(TxnOffsetCommitResponse::default().with_topics(topics.collect()))
    }

    fn complete(denied: Self::Denied, response: &mut TxnOffsetCommitResponse, _: &Permits<'_>) {
        response.topics.extend(denied);
    }
}

impl Authorized for DescribeTransactionsRequest {
    type Denied = Vec<TransactionState>;

    fn sift(
        &mut self,
        permits: &Permits<'_>,
        _: &Call,
    ) -> Result<Self::Denied, DescribeTransactionsResponse> {
        let denied = take_out(&mut self.transactional_ids, |id| {
            permits.may(Operation::Describe, Resource::TransactionalId, &id.0)
        });
        let denied = denied.into_iter().map(|id| {
            TransactionState::default()
                .with_transactional_id(id)
                .with_error_code(DENIED)
        });
        Ok(denied.collect())
    }

    fn complete(denied: Self::Denied, response: &mut DescribeTransactionsResponse, permits: &Permits<'_>) {
        for state in &mut response.transaction_states {
            state
                .topics
                .retain(|topic| permits.sees(Operation::Describe, Resource::Topic, &topic.topic.0));
        }
        response.transaction_states.extend(denied);
    }
}

impl Authorized for ListTransactionsRequest {
    type Denied = ();

    fn sift(&mut self, _: &Permits<'_>, _: &Call) -> Result<(), ListTransactionsResponse> {
        Ok(())
    }

    fn complete((): (), response: &mut ListTransactionsResponse, permits: &Permits<'_>) {
        response.transaction_states.retain(|state| {
            let id = &state.transactional_id.0;
            permits.sees(Operation::Describe, Resource::TransactionalId, id)
        });
    }
}
