//! A client that speaks the protocol directly, for what librdkafka would never send.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{MetadataRequest, ProduceRequest, RequestHeader, ResponseHeader, TopicName};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use kafka_protocol::records::{Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::DEADLINE;

/// One connection.
pub(crate) struct RawClient {
    pub(crate) stream: TcpStream,
}

impl RawClient {
    pub(crate) async fn connect(address: &str) -> Self {
        Self {
            stream: TcpStream::connect(address).await.unwrap(),
        }
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn call<Q: Request>(&mut self, version: i16, request: Q) -> Q::Response {
        self.send_request(version, &request).await;
        let mut answer = self.read_frame().await.expect("an answer");
        ResponseHeader::decode(&mut answer, Q::Response::header_version(version)).unwrap();
        let response = Q::Response::decode(&mut answer, version).unwrap();
        assert!(!answer.has_remaining());
        response
    }

    /// Sends a request.
    pub(crate) async fn send_request<Q: Request>(&mut self, version: i16, request: &Q) {
        let mut body = BytesMut::new();
        RequestHeader::default()
            .with_request_api_key(Q::KEY)
            .with_request_api_version(version)
            .with_correlation_id(1)
            .with_client_id(Some(StrBytes::from_static_str("raw")))
            .encode(&mut body, Q::header_version(version))
            .unwrap();
        request.encode(&mut body, version).unwrap();
        self.send_frame(&body).await;
    }

    pub(crate) async fn send_frame(&mut self, body: &[u8]) {
        let mut frame = BytesMut::new();
        frame.put_u32(u32::try_from(body.len()).unwrap());
        frame.put_slice(body);
        self.stream.write_all(&frame).await.unwrap();
    }

    /// The next answer; `None` when the broker has closed the connection.
    pub(crate) async fn read_frame(&mut self) -> Option<Bytes> {
        let read = async {
            let length = self.stream.read_u32().await.ok()?;
            let mut frame = vec![0; length as usize];
            self.stream.read_exact(&mut frame).await.ok()?;
            Some(Bytes::from(frame))
        };
        tokio::time::timeout(DEADLINE, read).await.expect("in time")
    }

    /// Sends one batch to partition 0 of a topic, which is created when it is missing.
    pub(crate) async fn produce(&mut self, topic: &str, batch: Bytes) -> PartitionProduceResponse {
        let name = TopicName(StrBytes::from_string(topic.to_owned()));
        let wanted = MetadataRequestTopic::default().with_name(Some(name));
        let ask = MetadataRequest::default()
            .with_topics(Some(vec![wanted]))
            .with_allow_auto_topic_creation(true);
        self.call(9, ask).await;
        self.produce_only(topic, batch).await
    }

    /// Sends one batch to partition 0 of a topic.
    pub(crate) async fn produce_only(&mut self, topic: &str, batch: Bytes) -> PartitionProduceResponse {
        let partition = PartitionProduceData::default().with_records(Some(batch));
        let topic = TopicProduceData::default()
            .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
            .with_partition_data(vec![partition]);
        let request = ProduceRequest::default()
            .with_acks(-1)
            .with_timeout_ms(5000)
            .with_topic_data(vec![topic]);
        let mut response = self.call(9, request).await;
        response.responses.remove(0).partition_responses.remove(0)
    }
}

/// A batch of a numbered producer (`-1`: of one that does not number).
pub(crate) fn batch(producer_id: i64, sequence: i32, values: &[&str]) -> Bytes {
    batch_at(&vec![1_000_000; values.len()], producer_id, sequence, values)
}

/// The same, with a time for each record.
pub(crate) fn batch_at(times: &[i64], producer_id: i64, sequence: i32, values: &[&str]) -> Bytes {
    let records: Vec<Record> = values
        .iter()
        .zip(0..)
        .map(|(value, position)| Record {
            transactional: false,
            control: false,
            partition_leader_epoch: -1,
            producer_id,
            producer_epoch: if producer_id < 0 { -1 } else { 0 },
            timestamp_type: TimestampType::Creation,
            delete_horizon: false,
            offset: i64::from(position),
            // The encoder starts a new batch where the numbers do not follow on, also when there are none.
            sequence: if producer_id < 0 {
                position - 1
            } else {
                sequence + position
            },
            timestamp: times[position as usize],
            key: None,
            value: Some(Bytes::copy_from_slice(value.as_bytes())),
            headers: Default::default(),
        })
        .collect();
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    RecordBatchEncoder::encode(&mut bytes, &records, &options).unwrap();
    bytes.freeze()
}

/// The error code as a name.
pub(crate) fn error(code: i16) -> Option<ResponseError> {
    kafka_protocol::error::ParseResponseErrorCode::err(code)
}
