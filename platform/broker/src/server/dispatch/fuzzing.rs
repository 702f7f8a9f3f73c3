//! A frame of any bytes, decoded as far as a handler's door. See [`crate::fuzzing`].

use bytes::Bytes;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::Request;

use super::{Opened, bounded, open};

/// A frame is refused or decoded, without more memory than its size explains; whether it was decoded.
pub fn request(frame: &[u8]) -> bool {
    match open(Bytes::copy_from_slice(frame)) {
        Ok(Opened::Request(incoming)) => {
            let version = incoming.call.version;
            with_type(incoming.key, Decode(&incoming.body, version))
        }
        _ => false,
    }
}

struct Decode<'a>(&'a Bytes, i16);

impl WithType for Decode<'_> {
    type Output = bool;

    fn run<Q: Request>(self) -> bool {
        bounded::decode::<Q>(self.0, self.1).is_ok()
    }
}

/// What is to be done with a kind of request.
pub(super) trait WithType {
    /// What comes of it.
    type Output;

    /// Does it.
    fn run<Q: Request>(self) -> Self::Output;
}

/// Does something with the kind of request that a key stands for.
pub(super) fn with_type<W: WithType>(key: ApiKey, what: W) -> W::Output {
    macro_rules! kinds {
        ($($key:ident: $request:ident,)*) => {
            match key {
                $(ApiKey::$key => what.run::<$request>(),)*
                key => panic!("{key:?} is not fuzzed"),
            }
        };
    }
    kinds! {
        Produce: ProduceRequest,
        Fetch: FetchRequest,
        ListOffsets: ListOffsetsRequest,
        Metadata: MetadataRequest,
        OffsetCommit: OffsetCommitRequest,
        OffsetFetch: OffsetFetchRequest,
        FindCoordinator: FindCoordinatorRequest,
        JoinGroup: JoinGroupRequest,
        Heartbeat: HeartbeatRequest,
        LeaveGroup: LeaveGroupRequest,
        SyncGroup: SyncGroupRequest,
        DescribeGroups: DescribeGroupsRequest,
        ListGroups: ListGroupsRequest,
        SaslHandshake: SaslHandshakeRequest,
        SaslAuthenticate: SaslAuthenticateRequest,
        ApiVersions: ApiVersionsRequest,
        CreateTopics: CreateTopicsRequest,
        DeleteTopics: DeleteTopicsRequest,
        DeleteRecords: DeleteRecordsRequest,
        InitProducerId: InitProducerIdRequest,
        OffsetForLeaderEpoch: OffsetForLeaderEpochRequest,
        DescribeConfigs: DescribeConfigsRequest,
        AlterConfigs: AlterConfigsRequest,
        CreatePartitions: CreatePartitionsRequest,
        DeleteGroups: DeleteGroupsRequest,
        IncrementalAlterConfigs: IncrementalAlterConfigsRequest,
        OffsetDelete: OffsetDeleteRequest,
        DescribeCluster: DescribeClusterRequest,
        DescribeProducers: DescribeProducersRequest,
        AddPartitionsToTxn: AddPartitionsToTxnRequest,
        AddOffsetsToTxn: AddOffsetsToTxnRequest,
        TxnOffsetCommit: TxnOffsetCommitRequest,
        EndTxn: EndTxnRequest,
        DescribeTransactions: DescribeTransactionsRequest,
        ListTransactions: ListTransactionsRequest,
        ConsumerGroupHeartbeat: ConsumerGroupHeartbeatRequest,
        ConsumerGroupDescribe: ConsumerGroupDescribeRequest,
        ListPartitionReassignments: ListPartitionReassignmentsRequest,
        AlterPartitionReassignments: AlterPartitionReassignmentsRequest,
        ElectLeaders: ElectLeadersRequest,
        DescribeAcls: DescribeAclsRequest,
        CreateAcls: CreateAclsRequest,
        DeleteAcls: DeleteAclsRequest,
        DescribeClientQuotas: DescribeClientQuotasRequest,
        AlterClientQuotas: AlterClientQuotasRequest,
        DescribeUserScramCredentials: DescribeUserScramCredentialsRequest,
        AlterUserScramCredentials: AlterUserScramCredentialsRequest,
        DescribeLogDirs: DescribeLogDirsRequest,
        AlterReplicaLogDirs: AlterReplicaLogDirsRequest,
        DescribeTopicPartitions: DescribeTopicPartitionsRequest,
        ListConfigResources: ListConfigResourcesRequest,
        DescribeQuorum: DescribeQuorumRequest,
        UpdateFeatures: UpdateFeaturesRequest,
        UnregisterBroker: UnregisterBrokerRequest,
        CreateDelegationToken: CreateDelegationTokenRequest,
        RenewDelegationToken: RenewDelegationTokenRequest,
        ExpireDelegationToken: ExpireDelegationTokenRequest,
        DescribeDelegationToken: DescribeDelegationTokenRequest,
    }
}
