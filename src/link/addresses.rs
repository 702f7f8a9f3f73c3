//! The broker's address in what it answers, replaced by the link's own. Pure: bytes in, bytes out.
//!
//! Kafka's frames are followed in both directions: a request says which answer is to be looked into, and only those
//! answers are held until they are whole; everything else passes as it comes.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey, DescribeClusterResponse, FindCoordinatorResponse, MetadataResponse, ResponseHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

/// The largest answer that is held: one with addresses is far smaller.
const LARGEST_HELD: usize = 8 << 20;

/// How many answers with addresses a client may wait for at once. Kafka clients wait for five.
const MOST_AWAITED: usize = 1_000;

/// How a frame begins: its length, then in a request its kind, its version and the number of its answer.
const REQUEST_HEAD: usize = 12;

/// How an answer begins: its length, then its number.
const ANSWER_HEAD: usize = 8;

/// The answers of a connection that hold addresses, by their number.
type Awaited = Arc<Mutex<HashMap<i32, (ApiKey, i16)>>>;

/// Both directions of a connection.
pub fn of_connection(own: SocketAddr) -> (Requests, Answers) {
    let awaited = Awaited::default();
    let requests = Requests {
        awaited: Arc::clone(&awaited),
        head: Vec::new(),
        left: 0,
    };
    let answers = Answers {
        awaited,
        own,
        head: Vec::new(),
        passing: 0,
        held: None,
    };
    (requests, answers)
}

/// What a direction does to its bytes.
pub trait Direction: Send {
    /// What goes on for these bytes.
    ///
    /// # Errors
    /// When they are not Kafka's protocol.
    fn pass(&mut self, input: &[u8]) -> io::Result<Bytes>;
}

/// What a client sends: nothing is changed, and what has an address in its answer is noted.
#[derive(Debug)]
pub struct Requests {
    awaited: Awaited,
    head: Vec<u8>,
    left: usize,
}

/// What a broker answers.
#[derive(Debug)]
pub struct Answers {
    awaited: Awaited,
    own: SocketAddr,
    head: Vec<u8>,
    /// How much of a frame that is not looked into is still to come.
    passing: usize,
    /// The frame that is looked into, without its length, as far as it is there.
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    key: ApiKey,
    version: i16,
    length: usize,
    frame: Vec<u8>,
}

impl Direction for Requests {
    fn pass(&mut self, input: &[u8]) -> io::Result<Bytes> {
        let mut rest = input;
        while !rest.is_empty() {
            if self.left > 0 {
                rest = skip(rest, &mut self.left);
                continue;
            }
            rest = fill(&mut self.head, REQUEST_HEAD, rest);
            let [l0, l1, l2, l3, k0, k1, v0, v1, c0, c1, c2, c3] = self.head[..] else {
                break;
            };
            let length = length([l0, l1, l2, l3], REQUEST_HEAD - 4)?;
            self.head.clear();
            self.left = length - (REQUEST_HEAD - 4);
            let key = ApiKey::try_from(i16::from_be_bytes([k0, k1]));
            if let Ok(key @ (ApiKey::Metadata | ApiKey::FindCoordinator | ApiKey::DescribeCluster)) = key {
                let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
                if awaited.len() >= MOST_AWAITED {
                    return Err(nonsense("too many answers are waited for at once"));
                }
                let version = i16::from_be_bytes([v0, v1]);
                awaited.insert(i32::from_be_bytes([c0, c1, c2, c3]), (key, version));
            }
        }
        Ok(Bytes::copy_from_slice(input))
    }
}

impl Direction for Answers {
    fn pass(&mut self, input: &[u8]) -> io::Result<Bytes> {
        let mut out = BytesMut::with_capacity(input.len());
        let mut rest = input;
        while !rest.is_empty() {
            if self.passing > 0 {
                let before = rest;
                rest = skip(rest, &mut self.passing);
                out.extend_from_slice(&before[..before.len() - rest.len()]);
                continue;
            }
            if let Some(held) = &mut self.held {
                rest = fill(&mut held.frame, held.length, rest);
                if held.frame.len() == held.length
                    && let Some(held) = self.held.take()
                {
                    let frame = held.readdressed(self.own);
                    let length =
                        i32::try_from(frame.len()).map_err(|_| nonsense("an answer is too large"))?;
                    out.extend_from_slice(&length.to_be_bytes());
                    out.extend_from_slice(&frame);
                }
                continue;
            }
            rest = fill(&mut self.head, ANSWER_HEAD, rest);
            let [l0, l1, l2, l3, c0, c1, c2, c3] = self.head[..] else {
                break;
            };
            let length = length([l0, l1, l2, l3], ANSWER_HEAD - 4)?;
            let number = i32::from_be_bytes([c0, c1, c2, c3]);
            let awaited = self
                .awaited
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&number);
            match awaited {
                Some((key, version)) => {
                    if length > LARGEST_HELD {
                        return Err(nonsense("an answer with addresses is too large"));
                    }
                    // One that has nothing but its number comes to an end with what is read next, or is the last one.
                    self.held = Some(Held {
                        key,
                        version,
                        length,
                        frame: self.head.split_off(4),
                    });
                }
                None => {
                    out.extend_from_slice(&self.head);
                    self.passing = length - (ANSWER_HEAD - 4);
                }
            }
            self.head.clear();
        }
        Ok(out.freeze())
    }
}

impl Held {
    /// The frame with the link's address in the place of every broker's; as it was, where it cannot be read.
    fn readdressed(self, own: SocketAddr) -> Bytes {
        let frame = Bytes::from(self.frame);
        readdressed(self.key, self.version, &frame, own).unwrap_or_else(|| {
            tracing::warn!(
                "an answer ({:?}, version {}) cannot be read: the client will go past this link",
                self.key,
                self.version
            );
            frame
        })
    }
}

fn readdressed(key: ApiKey, version: i16, frame: &Bytes, own: SocketAddr) -> Option<Bytes> {
    let mut input = frame.clone();
    let header_version = key.response_header_version(version);
    let header = ResponseHeader::decode(&mut input, header_version).ok()?;
    let mut out = BytesMut::with_capacity(frame.len() + 64);
    header.encode(&mut out, header_version).ok()?;
    let put = |host: &mut StrBytes, port: &mut i32| {
        // An answer that failed has no address.
        if *port > 0 {
            (*host, *port) = (StrBytes::from_string(own.ip().to_string()), i32::from(own.port()));
        }
    };
    match key {
        ApiKey::Metadata => {
            let mut answer = MetadataResponse::decode(&mut input, version).ok()?;
            for broker in &mut answer.brokers {
                put(&mut broker.host, &mut broker.port);
            }
            answer.encode(&mut out, version).ok()?;
        }
        ApiKey::FindCoordinator => {
            let mut answer = FindCoordinatorResponse::decode(&mut input, version).ok()?;
            put(&mut answer.host, &mut answer.port);
            for coordinator in &mut answer.coordinators {
                put(&mut coordinator.host, &mut coordinator.port);
            }
            answer.encode(&mut out, version).ok()?;
        }
        _ => {
            let mut answer = DescribeClusterResponse::decode(&mut input, version).ok()?;
            for broker in &mut answer.brokers {
                put(&mut broker.host, &mut broker.port);
            }
            answer.encode(&mut out, version).ok()?;
        }
    }
    Some(out.freeze())
}

/// Takes as much of `rest` as makes `filled` so long; what is left of it.
fn fill<'a>(filled: &mut Vec<u8>, length: usize, rest: &'a [u8]) -> &'a [u8] {
    let wanted = length.saturating_sub(filled.len()).min(rest.len());
    let (taken, rest) = rest.split_at(wanted);
    filled.extend_from_slice(taken);
    rest
}

/// Passes over as much of `rest` as there is of `left`.
fn skip<'a>(rest: &'a [u8], left: &mut usize) -> &'a [u8] {
    let passed = rest.len().min(*left);
    *left -= passed;
    &rest[passed..]
}

/// The length of a frame, which has at least so much in it.
fn length(bytes: [u8; 4], least: usize) -> io::Result<usize> {
    usize::try_from(i32::from_be_bytes(bytes))
        .ok()
        .filter(|length| *length >= least)
        .ok_or_else(|| nonsense("a frame of an impossible length"))
}

fn nonsense(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests;
