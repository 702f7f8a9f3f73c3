//! Every request in every version, made up from its outline; and frames that are no requests at all.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::StrBytes;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use tokio::sync::Notify;
use uuid::Uuid;

use super::super::shape::{Field, Kind, fields};
use super::*;
use crate::config::Config;
use crate::node::Node;
use crate::storage::batch::tests::Sample;

/// Makes up request bodies: mostly small numbers and known names, so that handlers get past their first check.
struct Inventor {
    rng: TestRng,
    topic_id: Uuid,
    version: i16,
    flexible: bool,
}

impl Inventor {
    fn new(rng: TestRng, fixture: &Fixture) -> Self {
        Self {
            rng,
            topic_id: fixture.topic_id,
            version: 0,
            flexible: false,
        }
    }

    fn below(&mut self, end: u32) -> u32 {
        self.rng.next_u32() % end
    }

    fn frame(&mut self, key: ApiKey, version: i16) -> BytesMut {
        self.version = version;
        self.flexible = key.request_header_version(version) >= 2;
        let mut frame = BytesMut::new();
        frame.put_i16(key as i16);
        frame.put_i16(version);
        frame.put_i32(7);
        frame.put_i16(6);
        frame.put_slice(b"client");
        if self.flexible {
            frame.put_u8(0);
        }
        self.structure(&mut frame, fields(key).unwrap());
        frame
    }

    fn structure(&mut self, frame: &mut BytesMut, fields: &[Field]) {
        for field in fields {
            if (field.since..=field.until).contains(&self.version) {
                self.field(frame, field.kind);
            }
        }
        if self.flexible {
            frame.put_u8(0);
        }
    }

    fn field(&mut self, frame: &mut BytesMut, kind: Kind) {
        match kind {
            Kind::Fixed(size) => self.number(frame, size),
            Kind::Text => {
                let names = ["lines", "", "readers", "1", "client", "retention.ms", "5000"];
                let name = names[self.below(names.len() as u32) as usize];
                if self.flexible {
                    frame.put_u8(name.len() as u8 + 1);
                } else {
                    frame.put_i16(name.len() as i16);
                }
                frame.put_slice(name.as_bytes());
            }
            Kind::Bytes => {
                let mut bytes = Sample::of(&["value"]).encode();
                if self.below(3) == 0 {
                    bytes.truncate(self.below(bytes.len() as u32) as usize);
                }
                if self.flexible {
                    // Longer than 126 bytes would need a second byte.
                    bytes.truncate(100);
                    frame.put_u8(bytes.len() as u8 + 1);
                } else {
                    frame.put_i32(bytes.len() as i32);
                }
                frame.put_slice(&bytes);
            }
            Kind::FixedList(size) => {
                for _ in 0..self.count(frame) {
                    self.number(frame, size);
                }
            }
            Kind::TextList => {
                for _ in 0..self.count(frame) {
                    self.field(frame, Kind::Text);
                }
            }
            Kind::List(fields) => {
                for _ in 0..self.count(frame) {
                    self.structure(frame, fields);
                }
            }
        }
    }

    fn number(&mut self, frame: &mut BytesMut, size: usize) {
        if size == 16 && self.below(2) == 0 {
            frame.put_slice(self.topic_id.as_bytes());
            return;
        }
        let number = match self.below(8) {
            0 => -1,
            1 => i64::from(self.rng.next_u32()),
            2 => -2,
            3 => 6000,
            other => i64::from(other) - 4,
        };
        let bytes = i128::from(number).to_be_bytes();
        frame.put_slice(&bytes[16 - size..]);
    }

    fn count(&mut self, frame: &mut BytesMut) -> u32 {
        let count = self.below(3);
        if self.flexible {
            frame.put_u8(count as u8 + 1);
        } else {
            frame.put_i32(count as i32);
        }
        count
    }
}

struct Fixture {
    session: Session,
    /// Of the topic there is in the beginning; a made-up request may well delete it.
    topic_id: Uuid,
    _folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let node = Node::open(Config::new(folder.path())).unwrap();
        // A broker that is stopping answers at once what would otherwise wait.
        node.shutdown.cancel();
        let topic = node
            .topics
            .create(
                &StrBytes::from_static_str("lines"),
                2,
                std::collections::BTreeMap::new(),
                crate::topics::Commitment::Apply,
            )
            .unwrap();
        Self {
            topic_id: topic.id,
            session: Session {
                node: Arc::new(node),
                advertised: SocketAddr::from((Ipv4Addr::LOCALHOST, 9092)).into(),
                client_host: StrBytes::from_static_str("/127.0.0.1"),
                wake_up: Arc::new(Notify::new()),
                answer_memory: std::sync::Mutex::default(),
            },
            _folder: folder,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
        }
    }

    fn answer(&self, frame: Bytes) -> Result<Option<BytesMut>, FrameError> {
        self.runtime.block_on(answer(&self.session, frame))
    }
}

#[test]
fn every_version_of_every_request_is_understood_and_answered() {
    let fixture = Fixture::new();
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut inventor = Inventor::new(rng, &fixture);
    let mut failures = std::collections::BTreeSet::new();
    for supported in SUPPORTED {
        for version in supported.min..=supported.max {
            for _ in 0..60 {
                let frame = inventor.frame(supported.key, version).freeze();
                match fixture.answer(frame) {
                    Ok(Some(answer)) => assert_eq!(&answer[4..8], 7i32.to_be_bytes()),
                    // Only produce has an "acks" that asks for silence.
                    Ok(None) => assert_eq!(supported.key, ApiKey::Produce),
                    Err(error) => {
                        failures.insert(error.to_string());
                    }
                }
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn api_versions_are_told_without_tagged_fields() {
    let fixture = Fixture::new();
    let mut frame = BytesMut::new();
    frame.put_slice(&[0, 18, 0, 3, 0, 0, 0, 7, 0, 0, 0, 1, 1, 0]);
    let answer = fixture.answer(frame.freeze()).unwrap().unwrap();
    let last = answer.len() - 1;
    // The throttle time and an empty set of tagged fields end it.
    assert_eq!(&answer[last - 4..], [0, 0, 0, 0, 0]);
}

#[test]
fn an_unknown_version_of_api_versions_is_answered_in_version_0() {
    let fixture = Fixture::new();
    let answer = fixture
        .answer(Bytes::from_static(&[0, 18, 0, 99, 0, 0, 0, 7, 0, 0]))
        .unwrap()
        .unwrap();
    assert_eq!(&answer[4..10], [0, 0, 0, 7, 0, 35]);
    let count = u32::from_be_bytes([answer[10], answer[11], answer[12], answer[13]]);
    assert_eq!(count as usize, SUPPORTED.len());
    assert_eq!(answer.len(), 14 + 6 * SUPPORTED.len());
}

#[test]
fn requests_that_are_not_supported_end_the_connection() {
    let fixture = Fixture::new();
    // AddPartitionsToTxn, and a Produce so old that its message format is gone.
    for frame in [[0, 24, 0, 0, 0, 0, 0, 7], [0, 0, 0, 2, 0, 0, 0, 7]] {
        let error = fixture.answer(Bytes::copy_from_slice(&frame)).unwrap_err();
        assert!(matches!(error, FrameError::Unsupported { .. }), "{error}");
    }
}

#[test]
fn damaged_requests_never_panic() {
    let fixture = Fixture::new();
    let seeds = any::<(
        [u8; 32],
        usize,
        Vec<(prop::sample::Index, u8)>,
        prop::sample::Index,
    )>();
    let mut runner = TestRunner::new(ProptestConfig::with_cases(400));
    runner
        .run(&seeds, |(seed, key, flips, cut)| {
            let supported = SUPPORTED[key % SUPPORTED.len()];
            let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
            let mut inventor = Inventor::new(rng, &fixture);
            let mut frame = inventor.frame(supported.key, supported.max);
            // The header stays, so that the body is what is decoded.
            for (position, value) in flips {
                let position = position.index(frame.len());
                if position >= 4 {
                    frame[position] = value;
                }
            }
            frame.truncate(4.max(cut.index(frame.len() * 2)));
            let _ = fixture.answer(frame.freeze());
            Ok(())
        })
        .unwrap();
}

#[test]
fn random_bytes_never_panic() {
    let fixture = Fixture::new();
    let frames = (0i16..40, 0i16..14, proptest::collection::vec(any::<u8>(), 0..300));
    TestRunner::new(ProptestConfig::with_cases(2000))
        .run(&frames, |(key, version, rest)| {
            let mut frame = BytesMut::new();
            frame.put_i16(key);
            frame.put_i16(version);
            frame.put_slice(&rest);
            let _ = fixture.answer(frame.freeze());
            Ok(())
        })
        .unwrap();
}
