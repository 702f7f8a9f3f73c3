//! Requests about the cluster as a whole.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_client_quotas_response::{EntityData, EntryData as AlteredEntry};
use kafka_protocol::messages::alter_partition_reassignments_request::AlterPartitionReassignmentsRequest;
use kafka_protocol::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
};
use kafka_protocol::messages::alter_user_scram_credentials_response::AlterUserScramCredentialsResult;
use kafka_protocol::messages::create_acls_response::AclCreationResult;
use kafka_protocol::messages::delete_acls_response::DeleteAclsFilterResult;
use kafka_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_protocol::messages::{
    AlterClientQuotasRequest, AlterClientQuotasResponse, AlterPartitionReassignmentsResponse,
    AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse, AlterUserScramCredentialsRequest,
    AlterUserScramCredentialsResponse, CreateAclsRequest, CreateAclsResponse, DeleteAclsRequest,
    DeleteAclsResponse, DescribeAclsRequest, DescribeAclsResponse, DescribeClientQuotasRequest,
    DescribeClientQuotasResponse, DescribeClusterRequest, DescribeClusterResponse, DescribeLogDirsRequest,
    DescribeLogDirsResponse, DescribeQuorumRequest, DescribeQuorumResponse,
    DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse, ElectLeadersRequest,
    ElectLeadersResponse, ListConfigResourcesRequest, ListConfigResourcesResponse,
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, UnregisterBrokerRequest,
    UnregisterBrokerResponse, UpdateFeaturesRequest, UpdateFeaturesResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::{Authorized, CLUSTER_DENIED, Permits};
use crate::api::{Call, NO_ERROR};
use crate::security::acls::{CLUSTER, Operation, Resource};

const DENIED: ResponseError = ResponseError::ClusterAuthorizationFailed;

fn message() -> Option<StrBytes> {
    Some(StrBytes::from_static_str(CLUSTER_DENIED))
}

/// Requests that are allowed as a whole or not at all, with the answer to those that are not.
macro_rules! as_a_whole {
    ($($request:ident: $operation:ident, |$asked:pat_param, $call:pat_param| $refused:expr;)*) => {
        $(
            impl Authorized for $request {
                type Denied = ();

                fn sift(&mut self, permits: &Permits<'_>, call: &Call) -> Result<(), Self::Response> {
                    if permits.may_cluster(Operation::$operation) {
                        return Ok(());
                    }
                    let ($asked, $call) = (self, call);
                    Err($refused)
                }
            }
        )*
    };
}

as_a_whole! {
    ListPartitionReassignmentsRequest: Describe, |_, _| ListPartitionReassignmentsResponse::default()
        .with_error_code(DENIED.code())
        .with_error_message(message());
    AlterPartitionReassignmentsRequest: Alter, |_, _| AlterPartitionReassignmentsResponse::default()
        .with_error_code(DENIED.code())
        .with_error_message(message());
    ElectLeadersRequest: Alter, |asked, call| {
        let topics = asked.topic_partitions.take().unwrap_or_default().into_iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|index| {
                PartitionResult::default()
                    .with_partition_id(*index)
                    .with_error_code(DENIED.code())
                    .with_error_message(message())
            });
            ReplicaElectionResult::default()
                .with_partition_result(partitions.collect())
                .with_topic(topic.topic)
        });
        // The first version has no code for the whole.
        let code = if call.version > 0 { DENIED.code() } else { NO_ERROR };
        ElectLeadersResponse::default()
            .with_error_code(code)
            .with_replica_election_results(topics.collect())
    };
    DescribeAclsRequest: Describe, |_, _| DescribeAclsResponse::default()
        .with_error_code(DENIED.code())
        .with_error_message(message());
    CreateAclsRequest: Alter, |asked, _| {
        let refused = AclCreationResult::default()
            .with_error_code(DENIED.code())
            .with_error_message(message());
        CreateAclsResponse::default().with_results(vec![refused; asked.creations.len()])
    };
    DeleteAclsRequest: Alter, |asked, _| {
        let refused = DeleteAclsFilterResult::default()
            .with_error_code(DENIED.code())
            .with_error_message(message());
        DeleteAclsResponse::default().with_filter_results(vec![refused; asked.filters.len()])
    };
    DescribeClientQuotasRequest: DescribeConfigs, |_, _| DescribeClientQuotasResponse::default()
        .with_error_code(DENIED.code())
        .with_error_message(message())
        .with_entries(None);
    AlterClientQuotasRequest: AlterConfigs, |asked, _| {
        let entries = asked.entries.drain(..).map(|entry| {
            let entity = entry.entity.into_iter().map(|entity| {
                EntityData::default()
                    .with_entity_type(entity.entity_type)
                    .with_entity_name(entity.entity_name)
            });
            AlteredEntry::default()
                .with_entity(entity.collect())
                .with_error_code(DENIED.code())
                .with_error_message(message())
        });
        AlterClientQuotasResponse::default().with_entries(entries.collect())
    };
    DescribeUserScramCredentialsRequest: Describe, |_, _| DescribeUserScramCredentialsResponse::default()
        .with_error_code(DENIED.code())
        .with_error_message(message());
    AlterUserScramCredentialsRequest: Alter, |asked, _| {
        let deleted = asked.deletions.drain(..).map(|deletion| deletion.name);
        let made = asked.upsertions.drain(..).map(|upsertion| upsertion.name);
        let users: std::collections::BTreeSet<StrBytes> = deleted.chain(made).collect();
        let results = users.into_iter().map(|user| {
            AlterUserScramCredentialsResult::default()
                .with_user(user)
                .with_error_code(DENIED.code())
                .with_error_message(message())
        });
        AlterUserScramCredentialsResponse::default().with_results(results.collect())
    };
    DescribeLogDirsRequest: Describe, |_, _| DescribeLogDirsResponse::default().with_error_code(DENIED.code());
    AlterReplicaLogDirsRequest: Alter, |asked, _| {
        let topics = asked.dirs.drain(..).flat_map(|folder| folder.topics).map(|topic| {
            let partitions = topic.partitions.iter().map(|index| {
                AlterReplicaLogDirPartitionResult::default()
                    .with_partition_index(*index)
                    .with_error_code(DENIED.code())
            });
            AlterReplicaLogDirTopicResult::default()
                .with_partitions(partitions.collect())
                .with_topic_name(topic.name)
        });
        AlterReplicaLogDirsResponse::default().with_results(topics.collect())
    };
    ListConfigResourcesRequest: DescribeConfigs, |_, _| ListConfigResourcesResponse::default()
        .with_error_code(DENIED.code());
    DescribeQuorumRequest: Describe, |_, _| DescribeQuorumResponse::default()
        .with_error_code(DENIED.code());
    UpdateFeaturesRequest: Alter, |_, _| UpdateFeaturesResponse::default()
        .with_error_code(DENIED.code())
        .with_error_message(message());
    UnregisterBrokerRequest: Alter, |_, _| UnregisterBrokerResponse::default()
        .with_error_code(DENIED.code())
        .with_error_message(message());
}

/// Who knows an address of the broker may learn of its cluster; what it may do there is told to who may describe it.
impl Authorized for DescribeClusterRequest {
    type Denied = ();

    fn sift(&mut self, _: &Permits<'_>, _: &Call) -> Result<(), Self::Response> {
        Ok(())
    }

    fn complete((): (), response: &mut DescribeClusterResponse, permits: &Permits<'_>) {
        if response.error_code == NO_ERROR {
            let told = response.cluster_authorized_operations;
            response.cluster_authorized_operations = operations(told, permits);
        }
    }
}

/// What of some operations the client may do with the cluster; as it was where it did not ask.
pub(super) fn operations(told: i32, permits: &Permits<'_>) -> i32 {
    match told {
        i32::MIN => i32::MIN,
        _ if !permits.sees(Operation::Describe, Resource::Cluster, CLUSTER) => 0,
        all => permits.operations(all, Resource::Cluster, CLUSTER),
    }
}
