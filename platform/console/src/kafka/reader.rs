//! Reading partitions from given offsets on, without a group.

use std::time::Duration;

use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::KafkaError;

/// A record as it lies in the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Raw {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

/// An owned copy of a record.
pub(crate) fn raw_of(message: &BorrowedMessage<'_>) -> Raw {
    Raw {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: message
            .headers()
            .map(|headers| {
                headers
                    .iter()
                    .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
                    .collect()
            })
            .unwrap_or_default(),
    }
}

/// A client that reads.
pub(crate) struct Reader {
    consumer: StreamConsumer,
}

impl Reader {
    pub(super) fn new(config: &ClientConfig) -> Result<Self, KafkaError> {
        let consumer = config
            .create()
            .map_err(|error| KafkaError::Client(error.to_string()))?;
        Ok(Self { consumer })
    }

    /// Reads on from these offsets, and from nothing else.
    pub(crate) fn seek(&self, positions: &[(String, i32, i64)]) -> Result<(), KafkaError> {
        let mut assignment = TopicPartitionList::new();
        for (topic, partition, offset) in positions {
            assignment.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
        }
        self.consumer.assign(&assignment)?;
        Ok(())
    }

    /// The offsets of the first records at or after a time, in milliseconds; the end where there is none.
    pub(crate) fn offsets_at(
        &self,
        topic: &str,
        partitions: &[i32],
        time_ms: i64,
        timeout: Duration,
    ) -> Result<Vec<(i32, Option<i64>)>, KafkaError> {
        let mut times = TopicPartitionList::new();
        for &partition in partitions {
            times.add_partition_offset(topic, partition, Offset::Offset(time_ms))?;
        }
        let found = self.consumer.offsets_for_times(times, timeout)?;
        Ok(found
            .elements()
            .iter()
            .map(|element| match element.offset() {
                Offset::Offset(offset) => (element.partition(), Some(offset)),
                _ => (element.partition(), None),
            })
            .collect())
    }

    /// The next record. May wait for ever; dropping the future loses nothing. Kafka being away is waited for.
    pub(crate) async fn next(&self) -> Result<BorrowedMessage<'_>, KafkaError> {
        loop {
            match self.consumer.recv().await {
                Ok(message) => return Ok(message),
                Err(error) => match error.rdkafka_error_code() {
                    Some(
                        RDKafkaErrorCode::BrokerTransportFailure
                        | RDKafkaErrorCode::AllBrokersDown
                        | RDKafkaErrorCode::Resolve
                        | RDKafkaErrorCode::OperationTimedOut
                        | RDKafkaErrorCode::RequestTimedOut
                        | RDKafkaErrorCode::NotLeaderForPartition
                        | RDKafkaErrorCode::LeaderNotAvailable,
                    ) => {}
                    _ => return Err(error.into()),
                },
            }
        }
    }
}
