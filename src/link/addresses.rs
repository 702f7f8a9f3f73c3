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
mod tests {
    use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
    use kafka_protocol::messages::find_coordinator_response::Coordinator;
    use kafka_protocol::messages::metadata_response::MetadataResponseBroker;
    use kafka_protocol::messages::{BrokerId, RequestHeader};
    use proptest::prelude::*;

    use super::*;

    const OWN: &str = "127.0.0.1:5001";

    fn own() -> SocketAddr {
        OWN.parse().expect("an address")
    }

    fn framed(body: &[u8]) -> Vec<u8> {
        let length = i32::try_from(body.len()).expect("a short frame");
        [&length.to_be_bytes(), body].concat()
    }

    /// A request of that kind: what matters of it is its head.
    fn request(key: i16, version: i16, number: i32) -> Vec<u8> {
        let header = RequestHeader::default()
            .with_request_api_key(key)
            .with_request_api_version(version)
            .with_correlation_id(number);
        let mut body = BytesMut::new();
        header.encode(&mut body, 1).expect("a header");
        body.extend_from_slice(b"whatever is asked");
        framed(&body)
    }

    fn answer<A: Encodable>(key: ApiKey, version: i16, number: i32, answer: &A) -> Vec<u8> {
        let mut body = BytesMut::new();
        ResponseHeader::default()
            .with_correlation_id(number)
            .encode(&mut body, key.response_header_version(version))
            .expect("a header");
        answer.encode(&mut body, version).expect("an answer");
        framed(&body)
    }

    /// What a broker at that address says of itself.
    fn told(key: ApiKey, version: i16, number: i32, host: &str, port: i32) -> Vec<u8> {
        let host = StrBytes::from_string(host.to_owned());
        match key {
            ApiKey::Metadata => {
                let broker = MetadataResponseBroker::default()
                    .with_node_id(BrokerId(1))
                    .with_host(host)
                    .with_port(port);
                let said = MetadataResponse::default().with_brokers(vec![broker]);
                answer(key, version, number, &said)
            }
            ApiKey::FindCoordinator if version >= 4 => {
                let coordinator = Coordinator::default().with_host(host).with_port(port);
                let said = FindCoordinatorResponse::default().with_coordinators(vec![coordinator]);
                answer(key, version, number, &said)
            }
            ApiKey::FindCoordinator => {
                let said = FindCoordinatorResponse::default().with_host(host).with_port(port);
                answer(key, version, number, &said)
            }
            _ => {
                let broker = DescribeClusterBroker::default().with_host(host).with_port(port);
                let said = DescribeClusterResponse::default().with_brokers(vec![broker]);
                answer(key, version, number, &said)
            }
        }
    }

    /// Every kind of answer with an address, in every version.
    fn kinds() -> Vec<(ApiKey, i16)> {
        [ApiKey::Metadata, ApiKey::FindCoordinator, ApiKey::DescribeCluster]
            .into_iter()
            .flat_map(|key| {
                let versions = key.valid_versions();
                (versions.min..=versions.max).map(move |version| (key, version))
            })
            .collect()
    }

    #[test]
    fn every_answer_with_an_address_gets_the_links_own_in_every_version() {
        for (key, version) in kinds() {
            let (mut requests, mut answers) = of_connection(own());
            requests
                .pass(&request(key as i16, version, 7))
                .expect("a request");
            let passed = answers
                .pass(&told(key, version, 7, "broker.example.org", 9092))
                .expect("an answer");
            let wanted = told(key, version, 7, "127.0.0.1", 5001);
            assert_eq!(passed, wanted, "{key:?} {version}");
        }
    }

    #[test]
    fn an_answer_that_failed_or_cannot_be_read_stays_as_it_is() {
        let (mut requests, mut answers) = of_connection(own());
        let failed = told(ApiKey::FindCoordinator, 2, 1, "", -1);
        let broken = framed(&[0, 0, 0, 2, 9, 9, 9]);
        let empty = framed(&[0, 0, 0, 3]);
        for (number, said) in [(1, failed), (2, broken), (3, empty)] {
            requests
                .pass(&request(ApiKey::FindCoordinator as i16, 2, number))
                .expect("a request");
            // The end of an answer shows with what comes after it.
            let next = framed(&[0, 0, 0, 9]);
            let passed = answers
                .pass(&[said.clone(), next.clone()].concat())
                .expect("an answer");
            assert_eq!(passed, [said, next].concat());
        }
    }

    #[test]
    fn what_has_no_bound_ends_the_connection() {
        let (mut requests, mut answers) = of_connection(own());
        for number in 0..1_000 {
            requests
                .pass(&request(3, 1, number))
                .expect("a thousand may wait");
        }
        assert!(requests.pass(&request(3, 1, 1_000)).is_err());
        let large = [(9_i32 << 20).to_be_bytes(), 5_i32.to_be_bytes()].concat();
        assert!(answers.pass(&large).is_err());
        for length in [-1_i32, 0, 3] {
            let (mut requests, mut answers) = of_connection(own());
            let head = [&length.to_be_bytes()[..], &[0; 8]].concat();
            assert!(requests.pass(&head).is_err());
            assert!(answers.pass(&head).is_err());
        }
    }

    proptest! {
        #[test]
        fn however_it_is_cut_up_the_same_comes_out(
            frames in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..300, any::<bool>()), 1..12),
            cuts in prop::collection::vec(1_usize..40, 1..50),
        ) {
            let kinds = kinds();
            let (mut sent, mut said, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
            for (number, (at, size, has_address)) in (0..).zip(frames) {
                let (key, version) = *at.get(&kinds);
                if has_address {
                    sent.extend(request(key as i16, version, number));
                    said.extend(told(key, version, number, "broker", 9092));
                    wanted.extend(told(key, version, number, "127.0.0.1", 5001));
                } else {
                    // Of a fetch.
                    sent.extend(request(1, 12, number));
                    let fetched = framed(&[&number.to_be_bytes()[..], &vec![7; size]].concat());
                    said.extend(&fetched);
                    wanted.extend(&fetched);
                }
            }
            let (mut requests, mut answers) = of_connection(own());
            let cut = |direction: &mut dyn Direction, mut input: &[u8]| {
                let mut out = Vec::new();
                let mut cuts = cuts.iter().cycle();
                while !input.is_empty() {
                    let at = (*cuts.next().expect("a cycle")).min(input.len());
                    out.extend(direction.pass(&input[..at]).expect("it is Kafka's"));
                    input = &input[at..];
                }
                out
            };
            prop_assert_eq!(cut(&mut requests, &sent), sent);
            prop_assert_eq!(cut(&mut answers, &said), wanted);
        }

        #[test]
        fn nonsense_is_passed_or_refused(input in prop::collection::vec(any::<u8>(), 0..200)) {
            let (mut requests, mut answers) = of_connection(own());
            let _ = requests.pass(&input);
            let _ = answers.pass(&input);
        }
    }
}
