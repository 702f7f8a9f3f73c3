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
