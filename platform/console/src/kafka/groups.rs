//! Consumer groups: who is in them, and how far they have read.

use std::sync::{Arc, PoisonError};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use serde::Serialize;

use super::{Cluster, GROUP_LIMIT, KafkaError, REQUEST_TIMEOUT, Topic, blocking};

/// A consumer group.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) assignor: String,
    pub(crate) members: Vec<Member>,
}

/// One consumer of a group.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) client: String,
    pub(crate) host: String,
    /// The partitions it reads, `topic` and number.
    pub(crate) partitions: Vec<(String, i32)>,
}

impl Cluster {
    /// Every group, sorted by name.
    pub(crate) async fn groups(&self) -> Result<Vec<Group>, KafkaError> {
        let asking = Arc::clone(&self.asking);
        blocking(move || {
            let list = asking.fetch_group_list(None, REQUEST_TIMEOUT)?;
            let mut groups: Vec<Group> = list
                .groups()
                .iter()
                .map(|group| Group {
                    name: group.name().to_owned(),
                    state: group.state().to_owned(),
                    assignor: group.protocol().to_owned(),
                    members: group
                        .members()
                        .iter()
                        .map(|member| Member {
                            id: member.id().to_owned(),
                            client: member.client_id().to_owned(),
                            host: member.client_host().to_owned(),
                            partitions: member.assignment().and_then(assigned).unwrap_or_default(),
                        })
                        .collect(),
                })
                .collect();
            groups.sort_by(|one, other| one.name.cmp(&other.name));
            Ok(groups)
        })
        .await
    }

    /// The committed offsets of a group in these topics: of the partitions where it has one.
    pub(crate) async fn committed(
        &self,
        group: &str,
        topics: Vec<Topic>,
    ) -> Result<Vec<(String, i32, i64)>, KafkaError> {
        let client = self.group_client(group)?;
        blocking(move || {
            let mut wanted = TopicPartitionList::new();
            for topic in &topics {
                for &partition in &topic.partitions {
                    wanted.add_partition(&topic.name, partition);
                }
            }
            let found = client.committed_offsets(wanted, REQUEST_TIMEOUT)?;
            Ok(found
                .elements()
                .iter()
                .filter_map(|element| match element.offset() {
                    Offset::Offset(offset) => Some((element.topic().to_owned(), element.partition(), offset)),
                    _ => None,
                })
                .collect())
        })
        .await
    }

    fn group_client(&self, group: &str) -> Result<Arc<BaseConsumer>, KafkaError> {
        let mut clients = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(group) {
            return Ok(Arc::clone(client));
        }
        if clients.len() >= GROUP_LIMIT {
            return Err(KafkaError::Refused(format!(
                "the positions of more than {GROUP_LIMIT} groups are not watched"
            )));
        }
        let client: BaseConsumer = self
            .config
            .clone()
            .set("group.id", group)
            .create()
            .map_err(|error| KafkaError::Client(error.to_string()))?;
        let client = Arc::new(client);
        clients.insert(group.to_owned(), Arc::clone(&client));
        Ok(client)
    }
}

/// The partitions in a member's assignment: Kafka's `ConsumerProtocolAssignment`, versions 0 to 3.
fn assigned(bytes: &[u8]) -> Option<Vec<(String, i32)>> {
    let mut rest = Bytes(bytes);
    rest.number::<2>()?;
    let mut partitions = Vec::new();
    for _ in 0..rest.number::<4>()? {
        let length = usize::try_from(rest.number::<2>()?).ok()?;
        let topic = std::str::from_utf8(rest.take(length)?).ok()?;
        for _ in 0..rest.number::<4>()? {
            let partition = i32::try_from(rest.number::<4>()?).ok()?;
            partitions.push((topic.to_owned(), partition));
        }
    }
    Some(partitions)
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// A big-endian whole number of `N` bytes.
    fn number<const N: usize>(&mut self) -> Option<i64> {
        let bytes = self.take(N)?;
        let negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
        let start = if negative { -1 } else { 0 };
        Some(
            bytes
                .iter()
                .fold(start, |number, byte| (number << 8) | i64::from(*byte)),
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_assignment_is_read() {
        let mut bytes = vec![0, 1, 0, 0, 0, 1, 0, 4];
        bytes.extend_from_slice(b"proc");
        bytes.extend_from_slice(&[0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 5, 255, 255, 255, 255]);
        assert_eq!(
            assigned(&bytes),
            Some(vec![("proc".to_owned(), 0), ("proc".to_owned(), 5)])
        );
        assert_eq!(assigned(&bytes[..10]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = assigned(&bytes);
        }
    }
}
