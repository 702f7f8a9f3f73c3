//! AddPartitionsToTxn, AddOffsetsToTxn, TxnOffsetCommit, EndTxn, DescribeTransactions, ListTransactions: batches and
//! offsets that count together or not at all.
//!
//! Only what clients send is answered; the versions that brokers send each other are not told of.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::describe_transactions_response::{TopicData, TransactionState};
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    DescribeTransactionsRequest, DescribeTransactionsResponse, EndTxnRequest, EndTxnResponse,
    ListTransactionsRequest, ListTransactionsResponse, ProducerId, TopicName, TransactionalId,
    TxnOffsetCommitRequest, TxnOffsetCommitResponse, list_transactions_response,
};
use kafka_protocol::protocol::StrBytes;

use super::offsets::{check, sync};
use super::{Call, NO_ERROR, Session, blocking};
use crate::config::FlushPolicy;
use crate::groups::group::{Claim, Commit};
use crate::groups::offsets::{Committed, TopicPartition};
use crate::groups::transaction::Transaction;
use crate::pattern;
use crate::storage::batch::marker::Outcome;
use crate::transactions::{Ended, Protocol};

/// The first versions whose clients know what a fenced producer is, but for InitProducerId.
const FENCED_SINCE: i16 = 2;

/// The first versions of TxnOffsetCommit and of EndTxn that clients of the second protocol send.
const SECOND_PROTOCOL_SINCE: i16 = 5;

/// A code as a client of that version knows it.
pub(super) fn known_code(code: ResponseError, version: i16, fenced_since: i16) -> i16 {
    match code {
        ResponseError::ProducerFenced if version < fenced_since => ResponseError::InvalidProducerEpoch.code(),
        code => code.code(),
    }
}

/// Adds partitions to a transaction, all or none.
pub(crate) async fn handle_add_partitions(
    session: &Session,
    call: &Call,
    request: AddPartitionsToTxnRequest,
) -> AddPartitionsToTxnResponse {
    let topics = request.v3_and_below_topics;
    let mut wanted = Vec::new();
    let mut all_exist = true;
    for topic in &topics {
        let Some(found) = session.node.topics.by_name(&topic.name.0) else {
            all_exist = false;
            break;
        };
        all_exist &= topic
            .partitions
            .iter()
            .all(|index| found.partition(*index).is_some());
        // Of each name one copy, which the topic has already.
        wanted.extend(topic.partitions.iter().map(|index| (found.name.clone(), *index)));
    }
    wanted.sort_unstable();
    wanted.dedup();
    let producer = (
        request.v3_and_below_producer_id.0,
        request.v3_and_below_producer_epoch,
    );
    let id = owned(&request.v3_and_below_transactional_id.0);
    let code = if all_exist {
        let node = Arc::clone(&session.node);
        let added = blocking(move || {
            let now_ms = osqdemo_clock::unix_ms();
            node.transactions
                .add(node.stores(), (&id, producer), &wanted, &[], now_ms)
        });
        code_of(added.await, call.version)
    } else {
        ResponseError::OperationNotAttempted.code()
    };
    session.node.written.notify_one();
    let results = topics.into_iter().map(|topic| {
        let found = session.node.topics.by_name(&topic.name.0);
        let partitions = topic.partitions.iter().map(|index| {
            let exists = found
                .as_ref()
                .is_some_and(|topic| topic.partition(*index).is_some());
            let code = match exists {
                true => code,
                false => ResponseError::UnknownTopicOrPartition.code(),
            };
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(*index)
                .with_partition_error_code(code)
        });
        AddPartitionsToTxnTopicResult::default()
            .with_results_by_partition(partitions.collect())
            .with_name(topic.name)
    });
    AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(results.collect())
}

/// Adds a group's offsets to a transaction.
pub(crate) async fn handle_add_offsets(
    session: &Session,
    call: &Call,
    request: AddOffsetsToTxnRequest,
) -> AddOffsetsToTxnResponse {
    let node = Arc::clone(&session.node);
    let producer = (request.producer_id.0, request.producer_epoch);
    let id = owned(&request.transactional_id.0);
    let group = owned(&request.group_id.0);
    let added = blocking(move || {
        if group.is_empty() {
            return Err(ResponseError::InvalidGroupId);
        }
        let now_ms = osqdemo_clock::unix_ms();
        node.transactions
            .add(node.stores(), (&id, producer), &[], &[group], now_ms)
    });
    let code = code_of(added.await, call.version);
    session.node.written.notify_one();
    AddOffsetsToTxnResponse::default().with_error_code(code)
}

/// Takes offsets that are committed with the transaction.
pub(crate) async fn handle_commit_offsets(
    session: &Session,
    call: &Call,
    request: TxnOffsetCommitRequest,
) -> TxnOffsetCommitResponse {
    let now_ms = osqdemo_clock::unix_ms();
    // Of several for one partition the last one counts.
    let mut accepted: BTreeMap<TopicPartition, Committed> = BTreeMap::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let name = owned(&topic.name.0);
        let known = session.node.topics.by_name(&name);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            let metadata = partition.committed_metadata.unwrap_or_default();
            let code = if let Err(code) = check(known.as_deref(), partition.partition_index, &metadata) {
                code.code()
            } else {
                let committed = Committed {
                    offset: partition.committed_offset,
                    leader_epoch: partition.committed_leader_epoch,
                    metadata: owned(&metadata),
                    committed_at: now_ms,
                };
                accepted.insert((name.clone(), partition.partition_index), committed);
                NO_ERROR
            };
            partitions.push(
                TxnOffsetCommitResponsePartition::default()
                    .with_partition_index(partition.partition_index)
                    .with_error_code(code),
            );
        }
        topics.push(
            TxnOffsetCommitResponseTopic::default()
                .with_name(topic.name)
                .with_partitions(partitions),
        );
    }
    let claim = Claim {
        member_id: &request.member_id,
        instance_id: request.group_instance_id.as_ref(),
        generation: request.generation_id,
    };
    // A producer that says nothing of its consumer is believed, as versions before 3 cannot.
    let is_member = request.generation_id >= 0 || !request.member_id.is_empty();
    let allowed = match is_member {
        true => session
            .node
            .groups
            .may_commit(&request.group_id.0, claim, Commit::InTransaction),
        false => Ok(()),
    };
    let done = match allowed {
        Ok(()) => {
            let node = Arc::clone(&session.node);
            let id = owned(&request.transactional_id.0);
            let group = owned(&request.group_id.0);
            let producer = (request.producer_id.0, request.producer_epoch);
            let accepted: Vec<_> = accepted.into_iter().collect();
            let protocol = Protocol::of(call.version, SECOND_PROTOCOL_SINCE);
            blocking(move || {
                let (of, group) = ((&id, producer), (&group, protocol));
                node.transactions
                    .commit_offsets(node.stores(), of, group, &accepted, now_ms)
            })
            .await
        }
        // Which this request does not know.
        Err(ResponseError::StaleMemberEpoch) => Some(Err(ResponseError::IllegalGeneration)),
        Err(code) => Some(Err(code)),
    };
    // Of the codes for a fenced producer this request knows the older one.
    let mut code = code_of(done, 0);
    session.node.written.notify_one();
    if code == NO_ERROR && session.node.config.flush == FlushPolicy::EveryBatch && !sync(session).await {
        code = ResponseError::CoordinatorNotAvailable.code();
    }
    if code != NO_ERROR {
        for partition in topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            partition.error_code = code;
        }
    }
    TxnOffsetCommitResponse::default().with_topics(topics)
}

/// Commits a transaction or aborts it.
pub(crate) async fn handle_end(session: &Session, call: &Call, request: EndTxnRequest) -> EndTxnResponse {
    let node = Arc::clone(&session.node);
    let id = owned(&request.transactional_id.0);
    let producer = (request.producer_id.0, request.producer_epoch);
    let outcome = match request.committed {
        true => Outcome::Commit,
        false => Outcome::Abort,
    };
    let protocol = Protocol::of(call.version, SECOND_PROTOCOL_SINCE);
    let ended = blocking(move || {
        let now_ms = osqdemo_clock::unix_ms();
        node.transactions
            .end(node.stores(), (&id, producer), (outcome, protocol), now_ms)
    })
    .await;
    session.node.written.notify_one();
    let every_batch = session.node.config.flush == FlushPolicy::EveryBatch;
    let ended = match ended {
        Some(Ok(Ended { marked, producer })) if every_batch && !marked.is_empty() => {
            let is_safe = session.node.committer.sync(marked).await;
            Some(
                is_safe
                    .then_some(producer)
                    .ok_or(ResponseError::CoordinatorNotAvailable),
            )
        }
        ended => ended.map(|ended| ended.map(|ended| ended.producer)),
    };
    // Only clients of the second protocol are told who they are from now on.
    let next = match (&ended, protocol) {
        (Some(Ok(producer)), Protocol::Two) => *producer,
        _ => (-1, -1),
    };
    let code = code_of(ended.map(|ended| ended.map(|_| ())), call.version);
    EndTxnResponse::default()
        .with_error_code(code)
        .with_producer_id(ProducerId(next.0))
        .with_producer_epoch(next.1)
}

/// Describes transactional ids.
pub(crate) async fn handle_describe(
    session: &Session,
    _call: &Call,
    request: DescribeTransactionsRequest,
) -> DescribeTransactionsResponse {
    let states = request.transactional_ids.into_iter().map(|id| {
        let known = session.node.groups.transaction(&id.0);
        let described = TransactionState::default().with_transactional_id(id);
        let Some(known) = known else {
            return described.with_error_code(ResponseError::TransactionalIdNotFound.code());
        };
        let mut topics: BTreeMap<StrBytes, Vec<i32>> = BTreeMap::new();
        for (topic, index) in &known.partitions {
            topics.entry(topic.clone()).or_default().push(*index);
        }
        let topics = topics.into_iter().map(|(topic, partitions)| {
            TopicData::default()
                .with_topic(TopicName(topic))
                .with_partitions(partitions)
        });
        described
            .with_transaction_state(StrBytes::from_static_str(state(&known)))
            .with_transaction_timeout_ms(known.timeout_ms)
            .with_transaction_start_time_ms(known.started_ms.unwrap_or(-1))
            .with_producer_id(ProducerId(known.producer_id))
            .with_producer_epoch(known.epoch)
            .with_topics(topics.collect())
    });
    DescribeTransactionsResponse::default().with_transaction_states(states.collect())
}

/// Lists transactional ids, filtered by name, state, producer and age where the client asks for it.
pub(crate) async fn handle_list(
    session: &Session,
    _call: &Call,
    request: ListTransactionsRequest,
) -> ListTransactionsResponse {
    let now_ms = osqdemo_clock::unix_ms();
    // An empty one is none.
    let pattern = request.transactional_id_pattern.filter(|text| !text.is_empty());
    let Ok(pattern) = pattern.map(|text| pattern::whole(&text)).transpose() else {
        let code = ResponseError::InvalidRegularExpression.code();
        return ListTransactionsResponse::default().with_error_code(code);
    };
    let unknown = request
        .state_filters
        .iter()
        .filter(|wanted| !STATES.contains(&wanted.as_str()))
        .cloned()
        .collect();
    let states = request.state_filters;
    let producers = request.producer_id_filters;
    let listed = session
        .node
        .groups
        .transactions()
        .into_iter()
        .filter(|(id, _)| pattern.as_ref().is_none_or(|pattern| pattern.is_match(id)))
        .filter(|(_, known)| {
            let age = known.started_ms.map_or(-1, |started| now_ms - started);
            (states.is_empty() || states.iter().any(|wanted| wanted.as_str() == state(known)))
                && (producers.is_empty() || producers.contains(&ProducerId(known.producer_id)))
                && (request.duration_filter < 0 || age > request.duration_filter)
        });
    let listed = listed.map(|(id, known)| {
        list_transactions_response::TransactionState::default()
            .with_transactional_id(TransactionalId(id))
            .with_producer_id(ProducerId(known.producer_id))
            .with_transaction_state(StrBytes::from_static_str(state(&known)))
    });
    ListTransactionsResponse::default()
        .with_transaction_states(listed.collect())
        .with_unknown_state_filters(unknown)
}

/// Kafka's names for where a transaction stands.
const STATES: [&str; 8] = [
    "Empty",
    "Ongoing",
    "PrepareCommit",
    "PrepareAbort",
    "CompleteCommit",
    "CompleteAbort",
    "Dead",
    "PrepareEpochFence",
];

fn state(known: &Transaction) -> &'static str {
    match (known.started_ms, known.outcome) {
        (Some(_), _) => "Ongoing",
        (None, Some(Outcome::Commit)) => "CompleteCommit",
        (None, Some(Outcome::Abort)) => "CompleteAbort",
        (None, None) => "Empty",
    }
}

fn code_of(done: Option<Result<(), ResponseError>>, version: i16) -> i16 {
    match done {
        Some(Ok(())) => NO_ERROR,
        Some(Err(code)) => known_code(code, version, FENCED_SINCE),
        None => ResponseError::UnknownServerError.code(),
    }
}

/// A copy that does not keep the whole request in memory.
fn owned(text: &StrBytes) -> StrBytes {
    StrBytes::from_string(text.to_string())
}
