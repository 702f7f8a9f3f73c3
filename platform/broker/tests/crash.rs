//! A broker in a process of its own, killed without warning or left without space.

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kafka_protocol::ResponseError;
use rdkafka::Message;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio_util::sync::CancellationToken;

use support::raw::{RawClient, batch, error};
use support::{DEADLINE, client, consumer, receive, send, subscribed};

const FOLDER: &str = "OSQDEMO_TEST_BROKER_FOLDER";
/// What the test's producers compress with; librdkafka as it is built here knows no zstd.
const CODECS: [&str; 4] = ["none", "gzip", "snappy", "lz4"];
const ADDRESS_FILE: &str = "address";

/// Not a test: the broker the others start in a process of its own.
#[test]
#[ignore = "runs a broker until it is killed; the other tests start it"]
fn broker_process() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).expect("a folder"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut config = support::config(&folder.join("data"));
        let address_file = folder.join(ADDRESS_FILE);
        // Started again, it takes the address its clients know.
        if let Ok(address) = std::fs::read_to_string(&address_file) {
            config.listeners[0].bind = address.parse().unwrap();
        }
        let broker = osqdemo_broker::bind(config).await.unwrap();
        let address = broker.addresses()[0].local.to_string();
        let new = folder.join("address.new");
        std::fs::write(&new, address).unwrap();
        std::fs::rename(new, address_file).unwrap();
        broker.run(CancellationToken::new()).await.unwrap();
    });
}

/// A broker in another process, which dies with this value.
struct BrokerProcess {
    child: Child,
    address: String,
}

impl BrokerProcess {
    fn start(folder: &Path) -> Self {
        let known = std::fs::read_to_string(folder.join(ADDRESS_FILE)).ok();
        // With this signal ignored, a write over the size limit fails as one on a full disk does.
        let child = Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "broker_process", "--ignored", "--nocapture"])
            .env(FOLDER, folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut process = Self {
            child,
            address: String::new(),
        };
        let started = Instant::now();
        loop {
            let address = known
                .clone()
                .or_else(|| std::fs::read_to_string(folder.join(ADDRESS_FILE)).ok());
            if let Some(address) = address
                && std::net::TcpStream::connect(&address).is_ok()
            {
                process.address = address;
                return process;
            }
            assert!(started.elapsed() < DEADLINE, "the broker does not start");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Lets its files grow to `bytes` at most, or without limit.
    fn limit_file_size(&self, bytes: Option<u64>) {
        let pid = Pid::from_child(&self.child);
        let limit = Rlimit {
            current: bytes,
            maximum: None,
        };
        prlimit(Some(pid), Resource::Fsize, limit).unwrap();
    }
}

impl Drop for BrokerProcess {
    fn drop(&mut self) {
        // After `kill` it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled_when_the_broker_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut broker = BrokerProcess::start(folder.path());
    let mut producers: Vec<(&str, FutureProducer)> = Vec::new();
    for codec in CODECS {
        let producer = client(&broker.address)
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("compression.type", codec)
            .set("linger.ms", "1")
            .set("reconnect.backoff.ms", "10")
            .set("reconnect.backoff.max.ms", "50")
            .create()
            .unwrap();
        producers.push((codec, producer));
    }
    let mut acknowledged: BTreeMap<String, i64> = BTreeMap::new();
    let mut sent = 0;
    for _ in 0..kills() {
        let mut deliveries = Vec::new();
        for _ in 0..500 {
            for (codec, producer) in &producers {
                let value = format!("{codec} {sent}");
                let record = FutureRecord::<str, str>::to(codec).payload(&value);
                deliveries.push((value.clone(), producer.send_result(record).unwrap()));
            }
            sent += 1;
        }
        // Most of them are still on their way when it dies.
        let rest = deliveries.split_off(100);
        for (value, delivery) in deliveries {
            let delivered = tokio::time::timeout(DEADLINE, delivery).await.unwrap();
            acknowledged.insert(value, delivered.unwrap().unwrap().offset);
        }
        broker.kill();
        broker = BrokerProcess::start(folder.path());
        for (value, delivery) in rest {
            let delivered = tokio::time::timeout(DEADLINE, delivery).await.unwrap();
            acknowledged.insert(value, delivered.unwrap().unwrap().offset);
        }
    }
    assert_eq!(acknowledged.len(), sent * CODECS.len());
    for codec in CODECS {
        let reader = subscribed(consumer(&broker.address, codec, &[]), codec);
        for (offset, message) in (0..).zip(receive(&reader, sent).await) {
            assert_eq!(message.offset(), offset);
            let value = message.payload_view::<str>().unwrap().unwrap();
            assert_eq!(acknowledged.remove(value), Some(offset), "{value}");
        }
        let (_, high) = reader.fetch_watermarks(codec, 0, DEADLINE).unwrap();
        assert_eq!(high, sent as i64);
    }
    assert!(acknowledged.is_empty());
}

/// How often the broker is killed: `make soak` asks for more.
fn kills() -> usize {
    let asked = std::env::var("OSQDEMO_SOAK_KILLS").ok();
    asked.and_then(|asked| asked.parse().ok()).unwrap_or(20)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_goes_on_when_the_broker_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut broker = BrokerProcess::start(folder.path());
    let backoff = [("reconnect.backoff.ms", "10"), ("reconnect.backoff.max.ms", "50")];
    let mut config = client(&broker.address);
    for (name, value) in backoff {
        config.set(name, value);
    }
    let producer: FutureProducer = config.create().unwrap();
    send(&producer, "lines", "before").await;
    let reader = subscribed(consumer(&broker.address, "readers", &backoff), "lines");
    receive(&reader, 1).await;
    reader.commit_consumer_state(CommitMode::Sync).unwrap();
    for round in 1..4 {
        broker.kill();
        broker = BrokerProcess::start(folder.path());
        send(&producer, "lines", "after").await;
        // It goes on where it was, a member still, and need not join again before it commits.
        assert_eq!(receive(&reader, 1).await[0].offset(), round);
        reader.commit_consumer_state(CommitMode::Sync).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_records_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let broker = BrokerProcess::start(folder.path());
    let mut raw = RawClient::connect(&broker.address).await;
    let value = "x".repeat(1000);
    let first = raw.produce("lines", batch(-1, 0, &[&value])).await;
    assert_eq!((first.error_code, first.base_offset), (0, 0));

    broker.limit_file_size(Some(10_000));
    let mut accepted = 1;
    loop {
        let answer = raw.produce("lines", batch(-1, 0, &[&value])).await;
        if answer.error_code != 0 {
            let code = error(answer.error_code);
            assert_eq!(code, Some(ResponseError::KafkaStorageError));
            break;
        }
        accepted += 1;
        assert!(accepted < 20, "the limit does not hold");
    }
    // What fits still goes in, which it would not behind half a batch; and reading goes on.
    let small = raw.produce("lines", batch(-1, 0, &["small"])).await;
    assert_eq!((small.error_code, small.base_offset), (0, accepted));
    let reader = subscribed(consumer(&broker.address, "readers", &[]), "lines");
    receive(&reader, accepted as usize + 1).await;

    broker.limit_file_size(None);
    let after = raw.produce("lines", batch(-1, 0, &[&value])).await;
    assert_eq!((after.error_code, after.base_offset), (0, accepted + 1));
    broker.kill();

    let broker = BrokerProcess::start(folder.path());
    let reader = subscribed(consumer(&broker.address, "others", &[]), "lines");
    let all = receive(&reader, accepted as usize + 2).await;
    assert_eq!(all.last().map(Message::offset), Some(accepted + 1));
}
