//! Asks a broker, this one or any other, what librdkafka has no call for: how large topics are on its disks, and who is in
//! its groups, those that the broker assigns among them.
//!
//! A connection for each answer: these are questions of people, not of programs. Speaks without TLS and SASL.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::consumer_group_describe_request::ConsumerGroupDescribeRequest;
use kafka_protocol::messages::consumer_group_describe_response::Assignment;
use kafka_protocol::messages::describe_groups_request::DescribeGroupsRequest;
use kafka_protocol::messages::describe_log_dirs_request::DescribeLogDirsRequest;
use kafka_protocol::messages::list_groups_request::ListGroupsRequest;
use kafka_protocol::messages::{
    ApiVersionsRequest, ConsumerProtocolAssignment, MetadataRequest, RequestHeader, ResponseHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Message, Request, StrBytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A broker that takes longer is not waited for.
const LIMIT: Duration = Duration::from_secs(5);
/// An answer that is larger is not read.
const MAX_ANSWER: u32 = 64 * 1024 * 1024;
/// What describes groups since Kafka 2.4, and topics' sizes since 2.0.
const DESCRIBE_GROUPS: i16 = 5;
const DESCRIBE_LOG_DIRS: i16 = 1;

/// A group of consumers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// What it is doing, in Kafka's words: `Stable`, `Empty`, `PreparingRebalance` …
    pub state: String,
    /// Whether the broker assigns its partitions (KIP-848).
    pub is_assigned_by_broker: bool,
    /// Who is in it.
    pub members: Vec<Member>,
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

/// The groups of all brokers that `bootstrap` knows, by name.
///
/// # Errors
/// When one of them does not answer, or not in Kafka's protocol.
pub async fn groups(bootstrap: &str) -> io::Result<Vec<Group>> {
    let mut found = Vec::new();
    for broker in brokers(bootstrap).await? {
        let mut connection = Connection::open(&broker).await?;
        let version = connection.newest::<ListGroupsRequest>().await?;
        let listed = connection.call(version, &ListGroupsRequest::default()).await?;
        let (assigned, classic): (Vec<_>, Vec<_>) = listed
            .groups
            .into_iter()
            .partition(|group| group.group_type.eq_ignore_ascii_case("consumer"));
        let classic = classic
            .into_iter()
            .map(|group| group.group_id)
            .collect::<Vec<_>>();
        if !classic.is_empty() {
            let ask = DescribeGroupsRequest::default().with_groups(classic);
            let described = connection.call(DESCRIBE_GROUPS, &ask).await?;
            found.extend(described.groups.into_iter().map(|group| {
                Group {
                    name: group.group_id.to_string(),
                    state: group.group_state.to_string(),
                    is_assigned_by_broker: false,
                    members: group
                        .members
                        .into_iter()
                        .map(|member| Member {
                            id: member.member_id.to_string(),
                            client_id: member.client_id.to_string(),
                            host: host(&member.client_host),
                            assigned: classic_assignment(member.member_assignment),
                        })
                        .collect(),
                }
            }));
        }
        let assigned = assigned
            .into_iter()
            .map(|group| group.group_id)
            .collect::<Vec<_>>();
        if !assigned.is_empty() {
            let ask = ConsumerGroupDescribeRequest::default().with_group_ids(assigned);
            let described = connection.call(0, &ask).await?;
            found.extend(described.groups.into_iter().map(|group| {
                Group {
                    name: group.group_id.to_string(),
                    state: group.group_state.to_string(),
                    is_assigned_by_broker: true,
                    members: group
                        .members
                        .into_iter()
                        .map(|member| Member {
                            id: member.member_id.to_string(),
                            client_id: member.client_id.to_string(),
                            host: host(&member.client_host),
                            assigned: assignment(member.assignment),
                        })
                        .collect(),
                }
            }));
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

/// How many bytes each topic takes on disk, once, however many copies there are.
///
/// # Errors
/// When a broker does not answer, or not in Kafka's protocol.
pub async fn sizes(bootstrap: &str) -> io::Result<BTreeMap<String, u64>> {
    let mut largest: BTreeMap<(String, i32), u64> = BTreeMap::new();
    for broker in brokers(bootstrap).await? {
        let mut connection = Connection::open(&broker).await?;
        let ask = DescribeLogDirsRequest::default().with_topics(None);
        let answer = connection.call(DESCRIBE_LOG_DIRS, &ask).await?;
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

/// Every broker of the cluster.
async fn brokers(bootstrap: &str) -> io::Result<Vec<String>> {
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "there is no address");
    for address in bootstrap.split(',').map(str::trim) {
        let answer = async {
            let mut connection = Connection::open(address).await?;
            let ask = MetadataRequest::default().with_topics(Some(Vec::new()));
            connection.call(4, &ask).await
        };
        match answer.await {
            Ok(metadata) => {
                let brokers = metadata.brokers.iter();
                return Ok(brokers
                    .map(|broker| match broker.host.contains(':') {
                        true => format!("[{}]:{}", broker.host, broker.port),
                        false => format!("{}:{}", broker.host, broker.port),
                    })
                    .collect());
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Kafka writes addresses as `/127.0.0.1`.
fn host(written: &str) -> String {
    written.trim_start_matches('/').to_owned()
}

/// What the leader of a group has written for a member. Other kinds of groups write other things: of those nothing is told.
fn classic_assignment(mut bytes: Bytes) -> BTreeMap<String, Vec<i32>> {
    use bytes::Buf;
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

struct Connection {
    stream: TcpStream,
}

impl Connection {
    async fn open(address: &str) -> io::Result<Self> {
        let stream = within(TcpStream::connect(address)).await?;
        Ok(Self { stream })
    }

    /// The newest version of a request that both sides know.
    async fn newest<Q: Request>(&mut self) -> io::Result<i16> {
        let answer = self.call(0, &ApiVersionsRequest::default()).await?;
        let found = answer.api_keys.iter().find(|api| api.api_key == Q::KEY);
        let newest = found.map_or(Q::VERSIONS.min, |api| api.max_version);
        Ok(newest.min(Q::VERSIONS.max))
    }

    async fn call<Q: Request>(&mut self, version: i16, request: &Q) -> io::Result<Q::Response> {
        within(self.call_for_long(version, request)).await
    }

    async fn call_for_long<Q: Request>(&mut self, version: i16, request: &Q) -> io::Result<Q::Response> {
        let mut body = BytesMut::new();
        RequestHeader::default()
            .with_request_api_key(Q::KEY)
            .with_request_api_version(version)
            .with_client_id(Some(StrBytes::from_static_str("osqdemo")))
            .encode(&mut body, Q::header_version(version))
            .map_err(io::Error::other)?;
        request.encode(&mut body, version).map_err(io::Error::other)?;
        let mut frame = BytesMut::with_capacity(body.len() + 4);
        frame.put_u32(u32::try_from(body.len()).map_err(io::Error::other)?);
        frame.put_slice(&body);
        self.stream.write_all(&frame).await?;
        let length = self.stream.read_u32().await?;
        if length > MAX_ANSWER {
            let told = format!(
                "an answer of {length} bytes: this is no Kafka broker, or it has far too many groups"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, told));
        }
        let mut answer = Vec::new();
        let read = (&mut self.stream)
            .take(length.into())
            .read_to_end(&mut answer)
            .await?;
        if read < length as usize {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut answer = Bytes::from(answer);
        ResponseHeader::decode(&mut answer, Q::Response::header_version(version))
            .map_err(io::Error::other)?;
        Q::Response::decode(&mut answer, version).map_err(io::Error::other)
    }
}

async fn within<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match tokio::time::timeout(LIMIT, work).await {
        Ok(done) => done,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")),
    }
}
