//! Writes records whose time is 0.
//!
//! librdkafka takes a time of 0 for none and writes that of now, and has no other way to say 0. So these records go to
//! their broker on a connection of their own, one at a time: each is acknowledged before whatever comes after it. That
//! takes a broker that lets its clients in without TLS and a password; elsewhere they are written with time 1.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiKey, ProduceRequest, ProduceResponse, RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, Record,
    RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use rdkafka::ClientConfig;
use rdkafka::producer::BaseProducer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::producer::{DeliveryContext, Landing, OutgoingRecord};
use crate::task::partition_of;

/// How long a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to try: as long as librdkafka tries with the others.
const MOST_TIME: Duration = Duration::from_secs(20);
/// How long to wait before another try.
const TRY_AGAIN: Duration = Duration::from_millis(100);
/// The last version of the request that every broker since 2018 has.
const VERSION: i16 = 7;
/// Of how many topics it is remembered who leads them.
const MOST_TOPICS: usize = 1_000;
/// An answer is about one record, and small.
const MOST_ANSWER: u32 = 1024 * 1024;

/// Why a record could not be written.
enum Unwritten {
    /// Another try may do.
    ForNow(String),
    /// The broker will never take it.
    ForGood(String),
}

/// Writes to the brokers.
pub(super) struct TimeZero {
    is_usable: bool,
    state: Mutex<State>,
}

/// Where a broker listens.
type Address = (String, u16);

/// What is known of the brokers, and a connection to each.
#[derive(Default)]
struct State {
    /// The addresses of those that lead a topic's partitions.
    leaders: HashMap<String, Vec<Address>>,
    connections: HashMap<Address, TcpStream>,
    /// How many records were written: the next one without a key goes to the next partition.
    written: i32,
}

impl TimeZero {
    pub(super) fn new(config: &ClientConfig) -> Self {
        let protocol = config.get("security.protocol");
        Self {
            is_usable: protocol.is_none_or(|protocol| protocol.eq_ignore_ascii_case("plaintext")),
            state: Mutex::default(),
        }
    }

    /// Whether a record is one for it.
    pub(super) fn takes(&self, record: &OutgoingRecord<'_>) -> bool {
        self.is_usable && record.timestamp == 0
    }

    /// Writes a record and waits until it is acknowledged.
    pub(super) async fn write(
        &self,
        record: OutgoingRecord<'_>,
        producer: &Arc<BaseProducer<DeliveryContext>>,
    ) -> Result<Landing, String> {
        let batch = batch(record).map_err(|reason| unacknowledged(record.topic, &reason))?;
        let deadline = Instant::now() + MOST_TIME;
        // One after the other: in the order in which they were made.
        let mut state = self.state.lock().await;
        loop {
            let written = match timeout(REQUEST_TIMEOUT, state.write(record, batch.clone(), producer)).await {
                Ok(written) => written,
                Err(_) => Err(Unwritten::ForNow(format!("no answer within {REQUEST_TIMEOUT:?}"))),
            };
            let reason = match written {
                Ok(landing) => return Ok(landing),
                Err(Unwritten::ForGood(reason)) => return Err(unacknowledged(record.topic, &reason)),
                Err(Unwritten::ForNow(reason)) => reason,
            };
            state.leaders.remove(record.topic);
            if Instant::now() >= deadline {
                return Err(unacknowledged(record.topic, &reason));
            }
            tracing::debug!("{}", unacknowledged(record.topic, &reason));
            sleep(TRY_AGAIN).await;
        }
    }
}

impl State {
    async fn write(
        &mut self,
        record: OutgoingRecord<'_>,
        batch: Bytes,
        producer: &Arc<BaseProducer<DeliveryContext>>,
    ) -> Result<Landing, Unwritten> {
        if !self.leaders.contains_key(record.topic) {
            let leaders = leaders(producer, record.topic).await.map_err(Unwritten::ForNow)?;
            if self.leaders.len() >= MOST_TOPICS {
                // Most of them are of topics that are long gone.
                self.leaders.clear();
            }
            self.leaders.insert(record.topic.to_owned(), leaders);
        }
        let leaders = &self.leaders[record.topic];
        let partitions = i32::try_from(leaders.len()).unwrap_or(i32::MAX);
        let partition = match record.key {
            Some(key) => partition_of(key, partitions),
            None => self.written.rem_euclid(partitions.max(1)),
        };
        let leader = usize::try_from(partition)
            .ok()
            .and_then(|index| leaders.get(index));
        let Some(leader) = leader.cloned() else {
            return Err(Unwritten::ForNow("its topic has no such partition".to_owned()));
        };
        let (host, port) = &leader;
        let failed = |error: std::io::Error| Unwritten::ForNow(format!("{host}:{port}: {error}"));
        // One whose answer was not read to its end is of no more use: it goes back only after that.
        let mut connection = match self.connections.remove(&leader) {
            Some(connection) => connection,
            None => TcpStream::connect((host.as_str(), *port)).await.map_err(failed)?,
        };
        let request = request(record.topic, partition, batch, self.written).map_err(Unwritten::ForGood)?;
        let answer = ask(&mut connection, &request).await.map_err(failed)?;
        let landing = landing(answer, self.written)?;
        self.connections.insert(leader, connection);
        self.written = self.written.wrapping_add(1);
        Ok(landing)
    }
}

fn unacknowledged(topic: &str, reason: &str) -> String {
    format!("a record for topic `{topic}` was not acknowledged: {reason}")
}

/// The addresses of the brokers that lead a topic's partitions, in order.
async fn leaders(producer: &Arc<BaseProducer<DeliveryContext>>, topic: &str) -> Result<Vec<Address>, String> {
    let (asked, topic) = (Arc::clone(producer), topic.to_owned());
    let asking = move || {
        let told = super::returned::ask(&asked, Some(&topic));
        let told = told.map_err(|error| error.to_string())?;
        let address = |id: i32| {
            let broker = told.brokers().iter().find(|broker| broker.id() == id)?;
            Some((broker.host().to_owned(), u16::try_from(broker.port()).ok()?))
        };
        let mut partitions: Vec<_> = told
            .topics()
            .iter()
            .flat_map(|topic| topic.partitions())
            .map(|partition| (partition.id(), partition.leader()))
            .collect();
        partitions.sort_unstable();
        let addresses: Option<Vec<Address>> = partitions
            .into_iter()
            .map(|(_, leader)| address(leader))
            .collect();
        addresses
            .filter(|addresses| !addresses.is_empty())
            .ok_or_else(|| "its topic has no leader".to_owned())
    };
    let asked = tokio::task::spawn_blocking(asking).await;
    asked.unwrap_or_else(|error| Err(error.to_string()))
}

/// The record as Kafka keeps it.
fn batch(record: OutgoingRecord<'_>) -> Result<Bytes, String> {
    let owned = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
    let headers = record.carried();
    let headers =
        headers.map(|(name, value)| (StrBytes::from_string(name.clone()), value.as_deref().map(owned)));
    let record = Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        timestamp_type: TimestampType::Creation,
        offset: 0,
        sequence: NO_SEQUENCE,
        timestamp: record.timestamp,
        key: record.key.map(owned),
        value: record.value.map(owned),
        headers: headers.collect(),
    };
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    let mut bytes = BytesMut::new();
    RecordBatchEncoder::encode(&mut bytes, [&record], &options).map_err(|error| error.to_string())?;
    Ok(bytes.freeze())
}

/// A request to write a batch, with its length before it.
fn request(topic: &str, partition: i32, batch: Bytes, number: i32) -> Result<Vec<u8>, String> {
    let header = RequestHeader::default()
        .with_request_api_key(ApiKey::Produce as i16)
        .with_request_api_version(VERSION)
        .with_correlation_id(number)
        .with_client_id(Some(StrBytes::from_static_str("ksqldb-producer")));
    let data = PartitionProduceData::default()
        .with_index(partition)
        .with_records(Some(batch));
    let data = TopicProduceData::default()
        .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
        .with_partition_data(vec![data]);
    let timeout_ms = i32::try_from(REQUEST_TIMEOUT.as_millis()).unwrap_or(i32::MAX);
    let body = ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(timeout_ms)
        .with_topic_data(vec![data]);
    let mut bytes = BytesMut::new();
    let header_version = ApiKey::Produce.request_header_version(VERSION);
    header
        .encode(&mut bytes, header_version)
        .and_then(|()| body.encode(&mut bytes, VERSION))
        .map_err(|error| error.to_string())?;
    let length = u32::try_from(bytes.len()).map_err(|error| error.to_string())?;
    Ok([&length.to_be_bytes()[..], &bytes].concat())
}

/// Sends a request and returns the answer to it.
async fn ask(connection: &mut TcpStream, request: &[u8]) -> std::io::Result<Bytes> {
    connection.write_all(request).await?;
    let length = connection.read_u32().await?;
    if length > MOST_ANSWER {
        let reason = format!("an answer of {length} bytes");
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, reason));
    }
    let mut answer = vec![0; usize::try_from(length).unwrap_or_default()];
    connection.read_exact(&mut answer).await?;
    Ok(answer.into())
}

/// Where the record landed, if it did.
fn landing(mut answer: Bytes, number: i32) -> Result<Landing, Unwritten> {
    let odd = |error: String| Unwritten::ForNow(format!("an answer that means nothing: {error}"));
    let header_version = ApiKey::Produce.response_header_version(VERSION);
    let header =
        ResponseHeader::decode(&mut answer, header_version).map_err(|error| odd(error.to_string()))?;
    if header.correlation_id != number {
        return Err(odd(format!("it is to request {}", header.correlation_id)));
    }
    let response = ProduceResponse::decode(&mut answer, VERSION).map_err(|error| odd(error.to_string()))?;
    let mut told = response
        .responses
        .iter()
        .flat_map(|topic| &topic.partition_responses);
    let Some(told) = told.next() else {
        return Err(odd("it is about no partition".to_owned()));
    };
    match ResponseError::try_from_code(told.error_code) {
        None => Ok(Landing {
            offset: told.base_offset,
        }),
        Some(error) if error.is_retriable() => Err(Unwritten::ForNow(error.to_string())),
        Some(error) => Err(Unwritten::ForGood(error.to_string())),
    }
}
