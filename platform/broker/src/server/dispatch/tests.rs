//! Every request in every version, made up as its decoder asks for it; and frames that are no requests at all.
//!
//! Long because it makes up a request of every kind, and each field's kind needs its own making.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut, TryGetError};
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::buf::ByteBuf;
use kafka_protocol::protocol::{Request, StrBytes};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use uuid::Uuid;

use super::*;
use crate::config::{Config, WithoutAcl};
use crate::node::Node;
use crate::storage::batch::tests::Sample;

/// Makes up requests: mostly small numbers and known names, so that handlers get past their first check.
struct Inventor {
    rng: TestRng,
    topic_id: Uuid,
}

/// Names that stand in requests; a length stands for the name that has it.
const NAMES: [&str; 7] = ["", "1", "5000", "lines", "client", "readers", "retention.ms"];

impl Inventor {
    fn new(rng: TestRng, fixture: &Fixture) -> Self {
        Self {
            rng,
            topic_id: fixture.topic_id,
        }
    }

    fn below(&mut self, end: u32) -> u32 {
        self.rng.next_u32() % end
    }

    fn frame(&mut self, key: ApiKey, version: i16) -> BytesMut {
        let flexible = key.request_header_version(version) >= 2;
        let mut frame = BytesMut::new();
        frame.put_i16(key as i16);
        frame.put_i16(version);
        frame.put_i32(7);
        frame.put_i16(6);
        frame.put_slice(b"client");
        if flexible {
            frame.put_u8(0);
        }
        // Not every number can stand everywhere.
        for _ in 0..100_000 {
            let mut body = Invented {
                inventor: &mut *self,
                flexible,
                bytes: BytesMut::new(),
            };
            if fuzzing::with_type(key, Invent(&mut body, version)) {
                frame.put_slice(&body.bytes);
                return frame;
            }
        }
        panic!("no {key:?} version {version} comes about");
    }
}

/// What may stand where records belong.
fn sample() -> Vec<u8> {
    Sample::of(&["value"]).encode()
}

/// The body of a request that is made up while it is decoded: the decoder says what comes next.
struct Invented<'a> {
    inventor: &'a mut Inventor,
    flexible: bool,
    bytes: BytesMut,
}

struct Invent<'a, 'b>(&'a mut Invented<'b>, i16);

impl fuzzing::WithType for Invent<'_, '_> {
    type Output = bool;

    fn run<Q: Request>(self) -> bool {
        Q::decode(self.0, self.1).is_ok()
    }
}

impl Invented<'_> {
    fn number(&mut self) -> i64 {
        match self.inventor.below(16) {
            0 => i64::from(self.inventor.rng.next_u32()),
            1 => -2,
            2 => 6000,
            3 => sample().len() as i64,
            4..7 => -1,
            other => i64::from(other % 4),
        }
    }

    /// A number that may be a list's: then as many elements would have to follow.
    fn count(&mut self) -> i64 {
        match self.inventor.below(64) {
            0 => 6000,
            1..4 => sample().len() as i64,
            4..12 => -1,
            other => i64::from(other % 3),
        }
    }

    fn name_length(&mut self) -> u8 {
        let which = self.inventor.below(NAMES.len() as u32);
        NAMES[which as usize].len() as u8
    }
}

impl Buf for Invented<'_> {
    fn remaining(&self) -> usize {
        4000usize.saturating_sub(self.bytes.len())
    }

    fn chunk(&self) -> &[u8] {
        &[]
    }

    fn advance(&mut self, count: usize) {
        assert_eq!(count, 0, "every kind of field is made up by itself");
    }

    fn try_get_u8(&mut self) -> Result<u8, TryGetError> {
        // One more than a length, and none: what follows is nothing, empty, a few elements, a name or a batch.
        let value = match self.inventor.below(32) {
            0..9 => 0,
            9..20 => 1,
            20..25 => 2 + self.inventor.below(2) as u8,
            25 => 1 + sample().len() as u8,
            _ => 1 + self.name_length(),
        };
        self.bytes.put_u8(value);
        Ok(value)
    }

    fn try_get_i8(&mut self) -> Result<i8, TryGetError> {
        let value = self.inventor.below(6) as i8 - 1;
        self.bytes.put_i8(value);
        Ok(value)
    }

    fn try_get_i16(&mut self) -> Result<i16, TryGetError> {
        let value = match self.inventor.below(6) {
            0 => -1,
            _ => i16::from(self.name_length()),
        };
        self.bytes.put_i16(value);
        Ok(value)
    }

    fn try_get_i32(&mut self) -> Result<i32, TryGetError> {
        let value = match self.flexible {
            true => self.number() as i32,
            false => self.count() as i32,
        };
        self.bytes.put_i32(value);
        Ok(value)
    }

    fn try_get_i64(&mut self) -> Result<i64, TryGetError> {
        let value = self.number();
        self.bytes.put_i64(value);
        Ok(value)
    }

    fn try_copy_to_slice(&mut self, id: &mut [u8]) -> Result<(), TryGetError> {
        if id.len() == 16 && self.inventor.below(2) == 0 {
            id.copy_from_slice(self.inventor.topic_id.as_bytes());
        } else {
            id.fill(self.inventor.below(2) as u8);
        }
        self.bytes.put_slice(id);
        Ok(())
    }
}

impl ByteBuf for Invented<'_> {
    fn peek_bytes(&mut self, _range: std::ops::Range<usize>) -> Bytes {
        unreachable!("requests are not looked ahead in")
    }

    fn get_bytes(&mut self, size: usize) -> Bytes {
        let name = NAMES.iter().find(|name| name.len() == size);
        let bytes = match name {
            Some(name) => name.as_bytes().to_vec(),
            None => {
                let mut bytes = sample();
                bytes.resize(size, 7);
                bytes
            }
        };
        self.bytes.put_slice(&bytes);
        bytes.into()
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
        Self::without_acl(WithoutAcl::Allow)
    }

    fn without_acl(without_acl: WithoutAcl) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new(folder.path());
        config.security.without_acl = without_acl;
        let node = Node::open(config).unwrap();
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
            session: Session::of_anybody(Arc::new(node)),
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
        // The oldest ListOffsets is none of the decoder's.
        let oldest = supported.min.max(i16::from(supported.key == ApiKey::ListOffsets));
        for version in oldest..=supported.max {
            for _ in 0..30 {
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

/// What requests may change.
fn state(node: &Node) -> String {
    let topics = node.topics.all();
    let topics: Vec<_> = topics
        .iter()
        .map(|topic| {
            let ends = topic.partitions.iter().map(|partition| partition.bounds().end);
            let ends: Vec<i64> = ends.collect();
            (topic.name.clone(), ends, topic.settings.overrides().clone())
        })
        .collect();
    let groups: Vec<_> = node
        .groups
        .list()
        .into_iter()
        .map(|group| group.group_id)
        .collect();
    let offsets = node.groups.committed(&StrBytes::from_static_str("readers"));
    let transactions = node.groups.transactions().len();
    let users = node.security.credentials().all().count();
    let acls = node.security.acls().all().len();
    format!("{topics:?} {groups:?} {offsets:?} {transactions} {users} {acls}")
}

/// No request is forgotten by what decides who may do what.
#[test]
fn who_may_do_nothing_changes_nothing_and_learns_of_nothing() {
    const CONCEALED: &str = "concealed";
    let create = |fixture: &Fixture| {
        let name = StrBytes::from_static_str(CONCEALED);
        let settings = std::collections::BTreeMap::new();
        let commitment = crate::topics::Commitment::Apply;
        let topic = fixture.session.node.topics.create(&name, 1, settings, commitment);
        topic.unwrap().id
    };
    // Answered in how many frames with its name or its id.
    let betrayals = |fixture: &Fixture, id: Uuid| {
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut inventor = Inventor::new(rng, fixture);
        let mut found = std::collections::BTreeSet::new();
        for supported in SUPPORTED {
            let oldest = supported.min.max(i16::from(supported.key == ApiKey::ListOffsets));
            for version in oldest..=supported.max {
                for _ in 0..10 {
                    let frame = inventor.frame(supported.key, version).freeze();
                    let answer = fixture.answer(frame).unwrap().unwrap_or_default();
                    let contains = |text: &[u8]| answer.windows(text.len()).any(|part| part == text);
                    if contains(CONCEALED.as_bytes()) || contains(id.as_bytes()) {
                        found.insert(format!("{:?}", supported.key));
                    }
                }
            }
        }
        found
    };
    let open = Fixture::new();
    let id = create(&open);
    let before = state(&open.session.node);
    let found = betrayals(&open, id);
    for key in ["Metadata", "DescribeTopicPartitions", "DescribeLogDirs"] {
        assert!(found.contains(key), "nothing is concealed there: {found:?}");
    }
    assert_ne!(state(&open.session.node), before);

    let closed = Fixture::without_acl(WithoutAcl::Deny);
    let id = create(&closed);
    let before = state(&closed.session.node);
    assert_eq!(betrayals(&closed, id), std::collections::BTreeSet::new());
    assert_eq!(state(&closed.session.node), before);
    // The oldest ListOffsets, which none of the decoder's types is.
    let mut frame = BytesMut::new();
    frame.put_slice(&[
        0, 2, 0, 0, 0, 0, 0, 7, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 5,
    ]);
    frame.put_slice(b"lines");
    frame.put_slice(&[0, 0, 0, 1, 0, 0, 0, 0]);
    frame.put_i64(-1);
    frame.put_i32(1);
    let answer = closed.answer(frame.freeze()).unwrap().unwrap();
    // The code of the partition, and no offsets.
    assert_eq!(answer[answer.len() - 6..], [0, 29, 0, 0, 0, 0]);
}

#[test]
fn the_second_protocol_of_transactions_is_told_where_clients_can_read_it() {
    let fixture = Fixture::new();
    // Clients of version 3 refuse 0 for the least version of a feature.
    for (version, least) in [(2, None), (3, Some(1)), (4, Some(0))] {
        let mut frame = BytesMut::new();
        frame.put_slice(&[0, 18, 0, version as u8, 0, 0, 0, 7, 0, 0]);
        if version >= 3 {
            frame.put_slice(&[0, 2, b'a', 2, b'b', 0]);
        }
        let answer = fixture.answer(frame.freeze()).unwrap().unwrap();
        let mut body = answer.freeze().slice(8..);
        let answer = kafka_protocol::messages::ApiVersionsResponse::decode(&mut body, version).unwrap();
        assert!(body.is_empty());
        let supported: Vec<_> = answer.supported_features.iter().collect();
        let finalized: Vec<_> = answer.finalized_features.iter().collect();
        let Some(least) = least else {
            assert!(supported.is_empty() && finalized.is_empty());
            continue;
        };
        assert_eq!(&*supported[0].name, "transaction.version");
        assert_eq!((supported[0].min_version, supported[0].max_version), (least, 2));
        assert_eq!(&*finalized[0].name, "transaction.version");
        assert_eq!(finalized[0].max_version_level, 2);
        // Clients ignore features of an unknown epoch.
        assert_eq!(answer.finalized_features_epoch, 0);
    }
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
    // LeaderAndIsr, and a Produce so old that its message format is gone.
    for frame in [[0, 4, 0, 0, 0, 0, 0, 7], [0, 0, 0, 2, 0, 0, 0, 7]] {
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
