//! Asks a broker, this one or any other, what librdkafka has no call for: how large topics are on its disks, and who is in
//! its groups, those that the broker assigns among them.
//!
//! A connection for each answer: these are questions of people, not of programs. Must not know where a cluster's properties
//! come from, nor what TLS takes: who asks brings that along.

mod connection;
mod login;

use std::collections::BTreeMap;
use std::io;

use bytes::{Buf, Bytes};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::consumer_group_describe_request::ConsumerGroupDescribeRequest;
use kafka_protocol::messages::consumer_group_describe_response::{self as of_consumer, Assignment};
use kafka_protocol::messages::describe_groups_request::DescribeGroupsRequest;
use kafka_protocol::messages::describe_groups_response as of_classic;
use kafka_protocol::messages::describe_log_dirs_request::DescribeLogDirsRequest;
use kafka_protocol::messages::list_groups_request::ListGroupsRequest;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{ConsumerProtocolAssignment, GroupId};
use kafka_protocol::protocol::{Decodable, Message};

pub use self::connection::{Cluster, Secured, Securing, Stream};
use self::connection::{Connection, brokers};
pub use self::login::Login;

/// What describes groups since Kafka 2.4, and topics' sizes since 2.0.
const DESCRIBE_GROUPS: i16 = 5;
const DESCRIBE_LOG_DIRS: i16 = 1;
const CONSUMER_GROUP_DESCRIBE: i16 = 0;

/// How a group that is gone is described before version 6 of the request, without an error.
const DEAD: &str = "Dead";

/// A group of consumers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// What it is doing, in Kafka's words: `Stable`, `Empty`, `PreparingRebalance` … Empty where nobody says.
    pub state: String,
    /// What it speaks, in Kafka's words: `classic`, `consumer` where the broker assigns the partitions (KIP-848), `share`,
    /// `streams`.
    pub protocol: String,
    /// Who is in it; nobody where that is not asked for, as of the kinds `share` and `streams`.
    pub members: Vec<Member>,
    /// Why the broker tells no more of it than its name.
    pub refusal: Option<String>,
}

/// One of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: String,
    /// What its program calls itself.
    pub client_id: String,
    /// Where it runs.
    pub host: String,
    /// The partitions that it reads, by topic.
    pub assigned: BTreeMap<String, Vec<i32>>,
}

/// The groups of all brokers of a cluster, by name.
///
/// # Errors
/// When one of them does not answer, not in Kafka's protocol, or does not let the one in who asks.
pub async fn groups(cluster: &Cluster) -> io::Result<Vec<Group>> {
    let mut found = Vec::new();
    for broker in brokers(cluster).await? {
        let mut connection = Connection::open(&broker, cluster).await?;
        let version = connection.newest::<ListGroupsRequest>().await?;
        let listed = connection.call(version, &ListGroupsRequest::default()).await?;
        unless_refused(listed.error_code)?;
        let (mut classic, mut assigned) = (Vec::new(), Vec::new());
        for group in listed.groups {
            match group.group_type.to_ascii_lowercase().as_str() {
                // Older brokers have no other kind, and say nothing of it.
                "" | "classic" => classic.push(group.group_id),
                "consumer" => assigned.push(group.group_id),
                other => found.push(Group::listed(other, &group)),
            }
        }
        found.extend(describe_classic(&mut connection, classic).await?);
        found.extend(describe_assigned(&mut connection, assigned).await?);
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

/// Those of the elder protocol; who leads them has assigned their partitions.
async fn describe_classic(connection: &mut Connection, groups: Vec<GroupId>) -> io::Result<Vec<Group>> {
    if groups.is_empty() {
        return Ok(Vec::new());
    }
    let ask = DescribeGroupsRequest::default().with_groups(groups);
    let described = connection.call(DESCRIBE_GROUPS, &ask).await?.groups;
    Ok(described
        .into_iter()
        .filter_map(|group| {
            let members = group.members.into_iter().map(of_classic_member);
            let state = group.group_state.to_string();
            Group::described("classic", &group.group_id, group.error_code, state, members)
        })
        .collect())
}

/// Those whose partitions the broker assigns.
async fn describe_assigned(connection: &mut Connection, groups: Vec<GroupId>) -> io::Result<Vec<Group>> {
    if groups.is_empty() {
        return Ok(Vec::new());
    }
    let ask = ConsumerGroupDescribeRequest::default().with_group_ids(groups);
    let described = connection.call(CONSUMER_GROUP_DESCRIBE, &ask).await?.groups;
    Ok(described
        .into_iter()
        .filter_map(|group| {
            let members = group.members.into_iter().map(of_assigned_member);
            let state = group.group_state.to_string();
            Group::described("consumer", &group.group_id, group.error_code, state, members)
        })
        .collect())
}

impl Group {
    /// One that is known from the list alone.
    fn listed(protocol: &str, group: &ListedGroup) -> Self {
        Self {
            name: group.group_id.to_string(),
            state: group.group_state.to_string(),
            protocol: protocol.to_owned(),
            members: Vec::new(),
            refusal: None,
        }
    }

    /// One as its broker describes it; nothing of one that is gone since it was listed.
    fn described(
        protocol: &str,
        name: &GroupId,
        error_code: i16,
        state: String,
        members: impl Iterator<Item = Member>,
    ) -> Option<Self> {
        let error = ResponseError::try_from_code(error_code);
        if error == Some(ResponseError::GroupIdNotFound) || state == DEAD {
            return None;
        }
        Some(Self {
            name: name.to_string(),
            state,
            protocol: protocol.to_owned(),
            members: members.collect(),
            refusal: error.map(|error| error.to_string()),
        })
    }
}

fn of_classic_member(member: of_classic::DescribedGroupMember) -> Member {
    Member {
        id: member.member_id.to_string(),
        client_id: member.client_id.to_string(),
        host: host(&member.client_host),
        assigned: classic_assignment(member.member_assignment),
    }
}

fn of_assigned_member(member: of_consumer::Member) -> Member {
    Member {
        id: member.member_id.to_string(),
        client_id: member.client_id.to_string(),
        host: host(&member.client_host),
        assigned: assignment(member.assignment),
    }
}

/// How many bytes each topic takes on disk, once, however many copies there are.
///
/// # Errors
/// As [`groups`].
pub async fn sizes(cluster: &Cluster) -> io::Result<BTreeMap<String, u64>> {
    let mut largest: BTreeMap<(String, i32), u64> = BTreeMap::new();
    for broker in brokers(cluster).await? {
        let mut connection = Connection::open(&broker, cluster).await?;
        let ask = DescribeLogDirsRequest::default().with_topics(None);
        let answer = connection.call(DESCRIBE_LOG_DIRS, &ask).await?;
        for folder in &answer.results {
            unless_refused(folder.error_code)?;
        }
        for topic in answer.results.into_iter().flat_map(|folder| folder.topics) {
            for partition in topic.partitions {
                let size = u64::try_from(partition.partition_size).unwrap_or(0);
                let known = largest.entry((topic.name.to_string(), partition.partition_index));
                let known = known.or_default();
                *known = size.max(*known);
            }
        }
    }
    let mut sizes = BTreeMap::new();
    for ((topic, _), size) in largest {
        *sizes.entry(topic).or_default() += size;
    }
    Ok(sizes)
}

/// An answer with an error tells nothing: to show it as if there were nothing would be wrong.
fn unless_refused(code: i16) -> io::Result<()> {
    match ResponseError::try_from_code(code) {
        None => Ok(()),
        Some(error) => Err(io::Error::other(format!("the broker answers {error}"))),
    }
}

/// Kafka writes addresses as `/127.0.0.1`.
fn host(written: &str) -> String {
    written.trim_start_matches('/').to_owned()
}

/// What the leader of a group has written for a member. Other kinds of groups write other things: of those nothing is told.
fn classic_assignment(mut bytes: Bytes) -> BTreeMap<String, Vec<i32>> {
    if bytes.remaining() < 2 {
        return BTreeMap::new();
    }
    let version = bytes.get_i16().min(ConsumerProtocolAssignment::VERSIONS.max);
    let Ok(assignment) = ConsumerProtocolAssignment::decode(&mut bytes, version) else {
        return BTreeMap::new();
    };
    let topics = assignment.assigned_partitions.into_iter();
    topics
        .map(|topic| (topic.topic.to_string(), topic.partitions))
        .collect()
}

fn assignment(assignment: Assignment) -> BTreeMap<String, Vec<i32>> {
    let topics = assignment.topic_partitions.into_iter();
    topics
        .map(|topic| (topic.topic_name.to_string(), topic.partitions))
        .collect()
}

#[cfg(test)]
mod tests;
