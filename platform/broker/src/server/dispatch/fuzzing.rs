//! A frame of any bytes, decoded as far as a handler's door. See [`crate::fuzzing`].

use bytes::Bytes;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::Decodable;

use super::{Opened, SUPPORTED, open};

/// A frame is refused or decoded, without more memory than its size explains.
pub fn request(frame: &[u8]) {
    let Ok(Opened::Request(incoming)) = open(Bytes::copy_from_slice(frame)) else {
        return;
    };
    let (mut body, version) = (incoming.body, incoming.call.version);
    macro_rules! decode {
        ($($key:ident: $request:ident,)*) => {
            match incoming.key {
                $(ApiKey::$key => drop($request::decode(&mut body, version)),)*
                key => assert!(SUPPORTED.iter().all(|supported| supported.key != key), "{key:?} is not fuzzed"),
            }
        };
    }
    decode! {
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
    }
}
