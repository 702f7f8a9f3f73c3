//! A connection to a broker: frames there and back, with deadlines and bounds.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiVersionsRequest, MetadataRequest, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::login::Login;

/// A broker that takes longer is not waited for.
const LIMIT: Duration = Duration::from_secs(5);
/// An answer that is larger is not read.
const MAX_ANSWER: u32 = 64 * 1024 * 1024;
/// What Kafka has listed its brokers with since 0.11.
const METADATA: i16 = 4;

/// A cluster, as it is asked.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Where it listens: `HOST:PORT`, or several of them with commas between.
    pub bootstrap: String,
    /// What puts TLS around a connection, where the cluster wants it.
    pub tls: Option<Arc<dyn Securing>>,
    /// Who asks, where the cluster wants to know.
    pub login: Option<Login>,
}

impl Cluster {
    /// One that wants neither TLS nor a login.
    pub fn plain(bootstrap: impl Into<String>) -> Self {
        Self {
            bootstrap: bootstrap.into(),
            tls: None,
            login: None,
        }
    }
}

/// What a connection consists of.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection that is being secured.
pub type Secured<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send + 'a>>;

/// Puts TLS around connections.
pub trait Securing: fmt::Debug + Send + Sync {
    /// Shakes hands with who calls itself `host`.
    fn secure<'a>(&'a self, host: &'a str, stream: TcpStream) -> Secured<'a>;
}

/// Every broker of the cluster.
pub(super) async fn brokers(cluster: &Cluster) -> io::Result<Vec<String>> {
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "there is no address");
    for address in cluster.bootstrap.split(',').map(str::trim) {
        let answer = async {
            let mut connection = Connection::open(address, cluster).await?;
            let ask = MetadataRequest::default().with_topics(Some(Vec::new()));
            connection.call(METADATA, &ask).await
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

pub(super) struct Connection {
    stream: Box<dyn Stream>,
}

impl Connection {
    /// Connects, shakes hands and logs in, as the cluster wants it.
    pub(super) async fn open(address: &str, cluster: &Cluster) -> io::Result<Self> {
        let stream = within(TcpStream::connect(address)).await?;
        let stream = match &cluster.tls {
            None => Box::new(stream),
            Some(tls) => within(tls.secure(host_of(address), stream)).await?,
        };
        let mut connection = Self { stream };
        if let Some(login) = &cluster.login {
            login.log_in(&mut connection).await?;
        }
        Ok(connection)
    }

    /// The newest version of a request that both sides know.
    pub(super) async fn newest<Q: Request>(&mut self) -> io::Result<i16> {
        let answer = self.call(0, &ApiVersionsRequest::default()).await?;
        let found = answer.api_keys.iter().find(|api| api.api_key == Q::KEY);
        let newest = found.map_or(Q::VERSIONS.min, |api| api.max_version);
        Ok(newest.min(Q::VERSIONS.max))
    }

    pub(super) async fn call<Q: Request>(&mut self, version: i16, request: &Q) -> io::Result<Q::Response> {
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
        self.stream.flush().await?;
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

/// The name that a broker's certificate has to be of.
fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

async fn within<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match tokio::time::timeout(LIMIT, work).await {
        Ok(done) => done,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")),
    }
}
