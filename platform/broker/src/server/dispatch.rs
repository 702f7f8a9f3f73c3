//! From a frame to a handler and back.
//!
//! [`SUPPORTED`] is the one list of what the broker answers: what ApiVersions tells and what is accepted cannot differ.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request};

use super::bounded;
use crate::api::authorization::{Authorized, Permits};
use crate::api::{self, Call, Session};

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
#[cfg(test)]
mod tests;

/// A request the broker answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Supported {
    /// Which.
    pub(crate) key: ApiKey,
    /// The oldest version told to clients.
    pub(crate) advertised_min: i16,
    /// The oldest version really answered.
    pub(crate) min: i16,
    /// The newest version.
    pub(crate) max: i16,
}

const fn supported(key: ApiKey, min: i16, max: i16) -> Supported {
    Supported {
        key,
        advertised_min: min,
        min,
        max,
    }
}

/// Every request the broker answers, with its versions.
pub(crate) const SUPPORTED: &[Supported] = &[
    Supported {
        key: ApiKey::Produce,
        // Kafka 4 does so too: librdkafka before 2.11 takes the message format from it, then speaks a newer version.
        advertised_min: 0,
        min: 3,
        max: 13,
    },
    // Version 17 lets a fixed-size field come tagged inside a list, which only replicas need.
    supported(ApiKey::Fetch, 4, 16),
    supported(ApiKey::ListOffsets, 0, 10),
    supported(ApiKey::Metadata, 0, 13),
    supported(ApiKey::OffsetCommit, 2, 9),
    supported(ApiKey::OffsetFetch, 1, 9),
    supported(ApiKey::FindCoordinator, 0, 5),
    supported(ApiKey::JoinGroup, 0, 9),
    supported(ApiKey::Heartbeat, 0, 4),
    supported(ApiKey::LeaveGroup, 0, 5),
    supported(ApiKey::SyncGroup, 0, 5),
    supported(ApiKey::DescribeGroups, 0, 6),
    supported(ApiKey::ListGroups, 0, 5),
    supported(ApiKey::SaslHandshake, 0, 1),
    supported(ApiKey::ApiVersions, 0, 4),
    supported(ApiKey::CreateTopics, 2, 7),
    supported(ApiKey::DeleteTopics, 1, 6),
    supported(ApiKey::DeleteRecords, 0, 2),
    supported(ApiKey::InitProducerId, 0, 5),
    supported(ApiKey::OffsetForLeaderEpoch, 2, 4),
    // From version 4 on it is spoken between brokers.
    supported(ApiKey::AddPartitionsToTxn, 0, 3),
    supported(ApiKey::AddOffsetsToTxn, 0, 4),
    supported(ApiKey::EndTxn, 0, 5),
    supported(ApiKey::TxnOffsetCommit, 0, 5),
    supported(ApiKey::DescribeConfigs, 1, 4),
    supported(ApiKey::AlterConfigs, 0, 2),
    supported(ApiKey::SaslAuthenticate, 0, 2),
    supported(ApiKey::CreatePartitions, 0, 3),
    supported(ApiKey::DeleteGroups, 0, 2),
    supported(ApiKey::IncrementalAlterConfigs, 0, 1),
    supported(ApiKey::OffsetDelete, 0, 0),
    supported(ApiKey::DescribeCluster, 0, 2),
    supported(ApiKey::DescribeProducers, 0, 0),
    supported(ApiKey::DescribeTransactions, 0, 0),
    supported(ApiKey::ListTransactions, 0, 2),
    supported(ApiKey::ConsumerGroupHeartbeat, 0, 1),
    supported(ApiKey::ConsumerGroupDescribe, 0, 1),
    supported(ApiKey::ListPartitionReassignments, 0, 0),
    supported(ApiKey::AlterPartitionReassignments, 0, 1),
    supported(ApiKey::ElectLeaders, 0, 2),
    supported(ApiKey::DescribeAcls, 1, 3),
    supported(ApiKey::CreateAcls, 1, 3),
    supported(ApiKey::DeleteAcls, 1, 3),
    supported(ApiKey::DescribeClientQuotas, 0, 1),
    supported(ApiKey::AlterClientQuotas, 0, 1),
    supported(ApiKey::DescribeUserScramCredentials, 0, 0),
    supported(ApiKey::AlterUserScramCredentials, 0, 0),
    supported(ApiKey::DescribeLogDirs, 1, 4),
    supported(ApiKey::AlterReplicaLogDirs, 1, 2),
    supported(ApiKey::DescribeTopicPartitions, 0, 0),
    supported(ApiKey::ListConfigResources, 0, 1),
    supported(ApiKey::DescribeQuorum, 0, 2),
    supported(ApiKey::UpdateFeatures, 0, 2),
    supported(ApiKey::UnregisterBroker, 0, 0),
    supported(ApiKey::CreateDelegationToken, 1, 3),
    supported(ApiKey::RenewDelegationToken, 1, 2),
    supported(ApiKey::ExpireDelegationToken, 1, 2),
    supported(ApiKey::DescribeDelegationToken, 1, 3),
];

/// Why a frame cannot be answered; the connection ends with it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// It is too short to hold a request.
    #[error("the frame ends before the request header does")]
    Short,
    /// The broker does not answer such requests.
    #[error("request {key} version {version} is not supported")]
    Unsupported {
        /// The API key.
        key: i16,
        /// The version.
        version: i16,
    },
    /// The listener wants to know first who the client is.
    #[error("request {0:?} comes before the client has told who it is, or after its token has expired")]
    Unauthenticated(ApiKey),
    /// It is not what its header says.
    #[error("request {key:?} version {version} cannot be decoded: {reason}")]
    Malformed {
        /// The API key.
        key: ApiKey,
        /// The version.
        version: i16,
        /// What the decoder said.
        reason: String,
    },
    /// The answer does not fit the version; a fault of the broker's own.
    #[error("the answer to request {key} version {version} cannot be encoded: {reason}")]
    Unencodable {
        /// The API key.
        key: i16,
        /// The version.
        version: i16,
        /// What the encoder said.
        reason: String,
    },
}

/// A request that was decoded up to its body.
struct Incoming {
    key: ApiKey,
    correlation_id: i32,
    call: Call,
    body: Bytes,
}

/// Answers one frame; `None` when the request wants no answer.
pub(crate) async fn answer(session: &Session, frame: Bytes) -> Result<Option<BytesMut>, FrameError> {
    let incoming = match open(frame)? {
        Opened::Request(incoming) => incoming,
        Opened::UnknownApiVersions { correlation_id } => {
            let response = api::api_versions::unknown_version();
            return encode::<ApiVersionsRequest>(correlation_id, 0, &response).map(Some);
        }
    };
    if !session.authentication.permits(incoming.key) {
        return Err(FrameError::Unauthenticated(incoming.key));
    }
    session.node.requests.count(incoming.key);
    if incoming.key == ApiKey::ListOffsets && incoming.call.version == 0 {
        let answered = api::list_offsets::answer_oldest(session, incoming.body).await;
        let body = answered.map_err(|error| FrameError::Malformed {
            key: incoming.key,
            version: 0,
            reason: error.to_string(),
        })?;
        let mut frame = BytesMut::with_capacity(8 + body.len());
        frame.put_u32(4 + body.len() as u32);
        frame.put_i32(incoming.correlation_id);
        frame.put_slice(&body);
        return Ok(Some(frame));
    }
    macro_rules! respond {
        ($handler:path) => {
            respond(session, &incoming, async |request| {
                Some($handler(session, &incoming.call, request).await)
            })
            .await
        };
    }
    match incoming.key {
        ApiKey::Produce => {
            respond(session, &incoming, async |request| {
                api::produce::handle(session, &incoming.call, request).await
            })
            .await
        }
        ApiKey::Fetch => respond!(api::fetch::handle),
        ApiKey::ListOffsets => respond!(api::list_offsets::handle),
        ApiKey::Metadata => respond!(api::metadata::handle),
        ApiKey::OffsetCommit => respond!(api::offsets::handle_commit),
        ApiKey::OffsetFetch => respond!(api::offsets::handle_fetch),
        ApiKey::FindCoordinator => respond!(api::coordinator::handle),
        ApiKey::JoinGroup => respond!(api::group_membership::handle_join),
        ApiKey::Heartbeat => respond!(api::group_membership::handle_heartbeat),
        ApiKey::LeaveGroup => respond!(api::group_membership::handle_leave),
        ApiKey::SyncGroup => respond!(api::group_membership::handle_sync),
        ApiKey::DescribeGroups => respond!(api::groups::handle_describe),
        ApiKey::ListGroups => respond!(api::groups::handle_list),
        ApiKey::SaslHandshake => respond!(api::sasl::handle_handshake),
        ApiKey::SaslAuthenticate => respond!(api::sasl::handle_authenticate),
        ApiKey::ApiVersions => respond!(api::api_versions::handle),
        ApiKey::CreateTopics => respond!(api::topics::handle_create),
        ApiKey::DeleteTopics => respond!(api::topics::handle_delete),
        ApiKey::DeleteRecords => respond!(api::records::handle),
        ApiKey::InitProducerId => respond!(api::producers::handle_init),
        ApiKey::OffsetForLeaderEpoch => respond!(api::list_offsets::handle_leader_epoch),
        ApiKey::DescribeConfigs => respond!(api::configs::handle_describe),
        ApiKey::AlterConfigs => respond!(api::configs::handle_alter),
        ApiKey::CreatePartitions => respond!(api::topics::handle_grow),
        ApiKey::DeleteGroups => respond!(api::groups::handle_delete),
        ApiKey::IncrementalAlterConfigs => respond!(api::configs::handle_alter_incrementally),
        ApiKey::OffsetDelete => respond!(api::offsets::handle_delete),
        ApiKey::DescribeCluster => respond!(api::cluster::handle),
        ApiKey::DescribeProducers => respond!(api::producers::handle_describe),
        ApiKey::AddPartitionsToTxn => respond!(api::transactions::handle_add_partitions),
        ApiKey::AddOffsetsToTxn => respond!(api::transactions::handle_add_offsets),
        ApiKey::TxnOffsetCommit => respond!(api::transactions::handle_commit_offsets),
        ApiKey::EndTxn => respond!(api::transactions::handle_end),
        ApiKey::DescribeTransactions => respond!(api::transactions::handle_describe),
        ApiKey::ListTransactions => respond!(api::transactions::handle_list),
        ApiKey::ConsumerGroupHeartbeat => respond!(api::consumer_groups::handle_heartbeat),
        ApiKey::ConsumerGroupDescribe => respond!(api::consumer_groups::handle_describe),
        ApiKey::ListPartitionReassignments => respond!(api::reassignments::handle_list),
        ApiKey::AlterPartitionReassignments => respond!(api::reassignments::handle_alter),
        ApiKey::ElectLeaders => respond!(api::reassignments::handle_elect),
        ApiKey::DescribeAcls => respond!(api::acls::handle_describe),
        ApiKey::CreateAcls => respond!(api::acls::handle_create),
        ApiKey::DeleteAcls => respond!(api::acls::handle_delete),
        ApiKey::DescribeClientQuotas => respond!(api::quotas::handle_describe),
        ApiKey::AlterClientQuotas => respond!(api::quotas::handle_alter),
        ApiKey::DescribeUserScramCredentials => respond!(api::users::handle_describe),
        ApiKey::AlterUserScramCredentials => respond!(api::users::handle_alter),
        ApiKey::DescribeLogDirs => respond!(api::log_dirs::handle_describe),
        ApiKey::AlterReplicaLogDirs => respond!(api::log_dirs::handle_alter),
        ApiKey::DescribeTopicPartitions => respond!(api::metadata::handle_partitions),
        ApiKey::ListConfigResources => respond!(api::configs::handle_list),
        ApiKey::DescribeQuorum => respond!(api::cluster::handle_quorum),
        ApiKey::UpdateFeatures => respond!(api::features::handle),
        ApiKey::UnregisterBroker => respond!(api::cluster::handle_unregister),
        ApiKey::CreateDelegationToken => respond!(api::tokens::handle_create),
        ApiKey::RenewDelegationToken => respond!(api::tokens::handle_renew),
        ApiKey::ExpireDelegationToken => respond!(api::tokens::handle_expire),
        ApiKey::DescribeDelegationToken => respond!(api::tokens::handle_describe),
        key => Err(FrameError::Unsupported {
            key: key as i16,
            version: incoming.call.version,
        }),
    }
}

enum Opened {
    Request(Incoming),
    /// A newer ApiVersions than the broker knows, which has an answer all the same.
    UnknownApiVersions {
        correlation_id: i32,
    },
}

/// Decodes a frame up to the request's body.
fn open(frame: Bytes) -> Result<Opened, FrameError> {
    let mut prefix = &frame[..];
    if prefix.len() < 8 {
        return Err(FrameError::Short);
    }
    let (key, version, correlation_id) = (prefix.get_i16(), prefix.get_i16(), prefix.get_i32());
    let Some(supported) = SUPPORTED.iter().find(|supported| supported.key as i16 == key) else {
        return Err(FrameError::Unsupported { key, version });
    };
    if !(supported.min..=supported.max).contains(&version) {
        return match supported.key {
            ApiKey::ApiVersions => Ok(Opened::UnknownApiVersions { correlation_id }),
            _ => Err(FrameError::Unsupported { key, version }),
        };
    }
    let key = supported.key;
    let mut body = frame;
    let header = RequestHeader::decode(&mut body, key.request_header_version(version)).map_err(|error| {
        FrameError::Malformed {
            key,
            version,
            reason: error.to_string(),
        }
    })?;
    Ok(Opened::Request(Incoming {
        key,
        correlation_id,
        call: Call {
            version,
            client_id: header.client_id.unwrap_or_default(),
        },
        body,
    }))
}

async fn respond<Q: Authorized>(
    session: &Session,
    incoming: &Incoming,
    handle: impl AsyncFnOnce(Q) -> Option<Q::Response>,
) -> Result<Option<BytesMut>, FrameError> {
    let version = incoming.call.version;
    let mut request: Q =
        bounded::decode(&incoming.body, version).map_err(|reason| FrameError::Malformed {
            key: incoming.key,
            version,
            reason,
        })?;
    let response = match Permits::of(session) {
        None => handle(request).await,
        Some(permits) => match request.sift(&permits, &incoming.call) {
            Ok(denied) => handle(request).await.map(|mut response| {
                Q::complete(denied, &mut response, &permits);
                response
            }),
            Err(refused) => Some(refused),
        },
    };
    match response {
        Some(response) => encode::<Q>(incoming.correlation_id, version, &response).map(Some),
        None => Ok(None),
    }
}

fn encode<Q: Request>(
    correlation_id: i32,
    version: i16,
    response: &Q::Response,
) -> Result<BytesMut, FrameError> {
    let failed = |reason: String| FrameError::Unencodable {
        key: Q::KEY,
        version,
        reason,
    };
    let header = ResponseHeader::default().with_correlation_id(correlation_id);
    let header_version = Q::Response::header_version(version);
    let size = header
        .compute_size(header_version)
        .and_then(|header| Ok(header + response.compute_size(version)?))
        .map_err(|error| failed(error.to_string()))?;
    let length = u32::try_from(size).map_err(|error| failed(error.to_string()))?;
    let mut frame = BytesMut::with_capacity(4 + size);
    frame.put_u32(length);
    header
        .encode(&mut frame, header_version)
        .and_then(|()| response.encode(&mut frame, version))
        .map_err(|error| failed(error.to_string()))?;
    Ok(frame)
}
