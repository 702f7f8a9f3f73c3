//! The embedded broker beside Apache Kafka: the same clients, the same records, one after the other in each run.
//!
//! Clients are librdkafka, which the extension and ksqlDB use, and Kafka's own Java producer. Records have 300 bytes;
//! producers are idempotent with `acks=all`. Long because what is compared is measured in one run, turn by turn.

mod encrypted;
mod groups;
mod standing;
mod wire;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::ToBytes;
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::figure::{Figure, Report, quantile};
use crate::peers::{Broker, Peer, fetch_kafka, kafka_tool};
use crate::pipeline::processes::TICKS_PER_SECOND;

pub(crate) use self::standing::until_it_answers;

/// Records of one sample of a rate.
const RECORDS: u32 = 1_000_000;

/// Records that are sent before the clock runs: connections are made then, and the producer has its id.
const WARM_UP: u32 = 1_000;

/// Records sent one after the other in one sample of the latency.
const PINGS: u32 = 500;

/// Bytes of a record.
const SIZE: usize = 300;

/// How often the transactional producer commits.
const COMMIT_INTERVAL: Duration = Duration::from_millis(100);

/// A producer whose own thread reports what was delivered.
pub(crate) type Producing = ThreadedProducer<rdkafka::producer::DefaultProducerContext>;

/// How long anything may take before the measurement gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// What one run found of one broker.
#[derive(Default)]
struct Samples {
    produced: Vec<f64>,
    cpu_in: Vec<f64>,
    consumed: Vec<f64>,
    fetched: Vec<f64>,
    cpu_out: Vec<f64>,
    /// With a stop every 100 milliseconds, until all that was sent is acknowledged.
    paused: Vec<f64>,
    transactional: Vec<f64>,
    java: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
}

/// Rates and latencies of both brokers; of the embedded one alone where Kafka cannot be had.
pub(crate) fn measure(runs: usize, report: &mut Report) -> Result<()> {
    let mut peers = vec![Peer::Osqdemo, Peer::OsqdemoEveryBatch];
    if fetch_kafka() {
        peers.push(Peer::Kafka);
    } else {
        report.note("Apache Kafka could not be fetched here: there is nothing to compare with.");
    }
    let with_java = peers.contains(&Peer::Kafka);
    let mut samples: Vec<Samples> = peers.iter().map(|_| Samples::default()).collect();
    for run in 0..runs {
        for (peer, samples) in peers.iter().zip(&mut samples) {
            let broker = Broker::start(*peer)?;
            one_run(&broker, with_java, samples)
                .with_context(|| format!("{}, run {}", peer.name(), run + 1))?;
        }
    }
    let shares = shares(&peers, &samples);
    for (peer, samples) in peers.into_iter().zip(samples) {
        let name = peer.name();
        let mut add = |what: &str, unit, samples: Vec<f64>, bound: Option<&'static str>| {
            if samples.is_empty() {
                return;
            }
            let figure = Figure::new(format!("{name}: {what}"), unit, samples);
            let figure = match (peer, what) {
                (Peer::Osqdemo, "produce, librdkafka") => figure.at_least(1_000_000.0),
                (Peer::Osqdemo, "fetch loop without a client library") => figure.at_least(1_500_000.0),
                (Peer::Osqdemo, "broker's processor time, a million in") => figure.at_most(0.5),
                (Peer::Osqdemo, "broker's processor time, a million out") => figure.at_most(0.3),
                (Peer::Osqdemo, "produce to consume, p50") => figure.at_most(0.25),
                (Peer::Osqdemo, "produce to consume, p99") => figure.at_most(1.0),
                _ => figure,
            };
            report.add(match bound {
                Some(bound) => figure.bound_by(bound),
                None => figure,
            });
        };
        add(
            "produce, librdkafka",
            "records/s",
            samples.produced,
            Some("the client"),
        );
        add(
            "consume, librdkafka",
            "records/s",
            samples.consumed,
            Some("the client"),
        );
        add(
            "produce, waiting every 100 ms for all, librdkafka",
            "records/s",
            samples.paused,
            Some("the client"),
        );
        add(
            "produce in transactions of 100 ms, librdkafka",
            "records/s",
            samples.transactional,
            Some("the client"),
        );
        add("broker's processor time, a million in", "s", samples.cpu_in, None);
        add(
            "fetch loop without a client library",
            "records/s",
            samples.fetched,
            None,
        );
        add(
            "broker's processor time, a million out",
            "s",
            samples.cpu_out,
            None,
        );
        add("produce, Kafka's Java client", "records/s", samples.java, None);
        add("produce to consume, p50", "ms", samples.p50, None);
        add("produce to consume, p99", "ms", samples.p99, None);
    }
    for share in shares {
        report.add(share);
    }
    encrypted::measure(runs, report)?;
    standing::measure(runs, report)?;
    groups::measure(runs, report)?;
    report.note(format!(
        "Records of {SIZE} bytes, `acks=all`, idempotent producers, one partition, brokers and clients on the same cores."
    ));
    Ok(())
}

/// What rates are of others of the same runs, in per cent.
fn share(part: &[f64], whole: &[f64]) -> Vec<f64> {
    let pairs = part.iter().zip(whole);
    pairs.map(|(part, whole)| 100.0 * part / whole).collect()
}

/// What one rate is of another of the same run.
fn shares(peers: &[Peer], samples: &[Samples]) -> Vec<Figure> {
    let of = |peer| {
        let position = peers.iter().position(|one| *one == peer);
        position.map(|position| &samples[position])
    };
    let (Some(plain), Some(every_batch)) = (of(Peer::Osqdemo), of(Peer::OsqdemoEveryBatch)) else {
        return Vec::new();
    };
    let name = Peer::Osqdemo.name();
    vec![
        Figure::new(
            format!("{name}: every batch synced, of what it produces otherwise"),
            "%",
            share(&every_batch.produced, &plain.produced),
        )
        .at_least(40.0),
        Figure::new(
            format!("{name}: in transactions, of what it produces without"),
            "%",
            share(&plain.transactional, &plain.produced),
        )
        .at_least(80.0)
        .bound_by("the client"),
        // A commit makes the client wait for all that it has sent; this is what the broker adds to that.
        Figure::new(
            format!("{name}: in transactions, of what it produces when it waits as often for all"),
            "%",
            share(&plain.transactional, &plain.paused),
        )
        .at_least(80.0),
    ]
}

fn one_run(broker: &Broker, with_java: bool, samples: &mut Samples) -> Result<()> {
    create_topics(broker, &["rate", "ping", "java", "paused", "ledger"])?;
    let per_million = |ticks: f64| ticks / TICKS_PER_SECOND * 1e6 / f64::from(RECORDS);
    let before = broker.ticks();
    samples.produced.push(produce_to(broker, "rate", RECORDS)?);
    samples.cpu_in.push(per_million(broker.ticks() - before));
    samples.paused.push(produce_with_pauses(broker)?);
    samples.transactional.push(produce_in_transactions(broker)?);
    samples.consumed.push(consume(broker)?);
    let (before, begun) = (broker.ticks(), Instant::now());
    wire::fetch_loop(broker.address(), "rate", i64::from(RECORDS))?;
    samples
        .fetched
        .push(f64::from(RECORDS) / begun.elapsed().as_secs_f64());
    samples.cpu_out.push(per_million(broker.ticks() - before));
    let latencies = latencies(broker)?;
    samples.p50.push(quantile(&latencies, 0.5));
    samples.p99.push(quantile(&latencies, 0.99));
    if with_java {
        samples.java.push(produce_with_java(broker)?);
    }
    Ok(())
}

fn create_topics(broker: &Broker, names: &[&str]) -> Result<()> {
    names.iter().try_for_each(|name| create_topic(broker, name, 1))
}

fn create_topic(broker: &Broker, name: &str, partitions: i32) -> Result<()> {
    let admin: AdminClient<_> = client(broker).create()?;
    let topics = [NewTopic::new(name, partitions, TopicReplication::Fixed(1))];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    for result in runtime.block_on(admin.create_topics(&topics, &options))? {
        if let Err((topic, code)) = result {
            bail!("failed to create topic `{topic}`: {code}");
        }
    }
    Ok(())
}

/// Records a second until the last one is acknowledged.
fn produce_to(broker: &Broker, topic: &str, records: u32) -> Result<f64> {
    let producer = producer(broker, "5")?;
    let payload = payload();
    let send_many = |count| -> Result<()> {
        (0..count).try_for_each(|_| send(&producer, topic, &payload))?;
        Ok(producer.flush(PATIENCE)?)
    };
    let warm_up = WARM_UP.min(records / 10);
    send_many(warm_up)?;
    let begun = Instant::now();
    send_many(records - warm_up)?;
    Ok(f64::from(records - warm_up) / begun.elapsed().as_secs_f64())
}

/// The same, with a stop every 100 milliseconds until all is acknowledged, as a commit makes it.
fn produce_with_pauses(broker: &Broker) -> Result<f64> {
    let producer = producer(broker, "5")?;
    let payload = payload();
    in_turns(
        || send(&producer, "paused", &payload),
        || Ok(()),
        || Ok(producer.flush(PATIENCE)?),
    )
}

/// The same, committed every 100 milliseconds.
fn produce_in_transactions(broker: &Broker) -> Result<f64> {
    let producer: Producing = client(broker)
        .set("transactional.id", "bench")
        .set("linger.ms", "5")
        .create()?;
    producer.init_transactions(PATIENCE)?;
    let payload = payload();
    in_turns(
        || send(&producer, "ledger", &payload),
        || Ok(producer.begin_transaction()?),
        || Ok(producer.commit_transaction(PATIENCE)?),
    )
}

/// Records a second, sent for 100 milliseconds at a time between a beginning and an end.
fn in_turns(
    send: impl Fn() -> Result<()>,
    begin: impl Fn() -> Result<()>,
    end: impl Fn() -> Result<()>,
) -> Result<f64> {
    let send_many = |count| -> Result<()> {
        let mut sent = 0;
        while sent < count {
            begin()?;
            let turn = Instant::now();
            while sent < count && turn.elapsed() < COMMIT_INTERVAL {
                // The clock is not looked at for each record.
                for _ in 0..100 {
                    send()?;
                }
                sent += 100;
            }
            end()?;
        }
        Ok(())
    };
    send_many(WARM_UP)?;
    let begun = Instant::now();
    send_many(RECORDS - WARM_UP)?;
    Ok(f64::from(RECORDS - WARM_UP) / begun.elapsed().as_secs_f64())
}

fn send(producer: &Producing, topic: &str, payload: &[u8]) -> Result<()> {
    send_record(producer, BaseRecord::<(), [u8]>::to(topic).payload(payload))
}

/// Sends a record, as soon as the producer's queue has room.
pub(crate) fn send_record<K, P>(producer: &Producing, mut record: BaseRecord<'_, K, P>) -> Result<()>
where
    K: ToBytes + ?Sized,
    P: ToBytes + ?Sized,
{
    while let Err((error, back)) = producer.send(record) {
        if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
            return Err(error.into());
        }
        record = back;
        // The queue empties while the producer's own thread reports what was delivered.
        std::thread::yield_now();
    }
    Ok(())
}

/// Records a second, from the first one at the client to the last.
fn consume(broker: &Broker) -> Result<f64> {
    let consumer = consumer(broker, "rate", Offset::Beginning)?;
    let (mut begun, mut count) = (Instant::now(), 0);
    let deadline = Instant::now() + PATIENCE;
    while count < RECORDS {
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            message?;
            if count == 0 {
                begun = Instant::now();
            }
            count += 1;
        } else if Instant::now() > deadline {
            bail!("{count} of {RECORDS} records came within {PATIENCE:?}");
        }
    }
    Ok(f64::from(RECORDS) / begun.elapsed().as_secs_f64())
}

/// Milliseconds from the call that sends a record until the consumer has it, one record at a time.
fn latencies(broker: &Broker) -> Result<Vec<f64>> {
    let consumer = consumer(broker, "ping", Offset::Beginning)?;
    let producer = producer(broker, "0")?;
    let payload = payload();
    let mut samples = Vec::new();
    // The first ones warm connections and caches up.
    for number in 0..PINGS + 50 {
        let begun = Instant::now();
        producer
            .send(BaseRecord::<(), [u8]>::to("ping").payload(&payload))
            .map_err(|(error, _)| error)?;
        consumer.poll(PATIENCE).context("a record did not come")??;
        if number >= 50 {
            samples.push(begun.elapsed().as_secs_f64() * 1000.0);
        }
    }
    Ok(samples)
}

/// What `kafka-producer-perf-test` says.
fn produce_with_java(broker: &Broker) -> Result<f64> {
    let (records, size) = (RECORDS.to_string(), SIZE.to_string());
    let servers = format!("bootstrap.servers={}", broker.address());
    #[rustfmt::skip]
    let text = kafka_tool("org.apache.kafka.tools.ProducerPerformance", &[
        "--topic", "java", "--num-records", &records, "--record-size", &size, "--throughput", "-1",
        "--producer-props", &servers, "acks=all",
    ])?;
    // `300000 records sent, 123456.7 records/sec (…`: the last such line is about all of them.
    let line = text.lines().rev().find(|line| line.contains(" records/sec "));
    line.and_then(|line| line.split(", ").nth(1)?.split(' ').next()?.parse().ok())
        .with_context(|| format!("no rate in `{text}`"))
}

fn client(broker: &Broker) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.address());
    for (name, value) in broker.settings() {
        config.set(*name, value);
    }
    config
}

fn producer(broker: &Broker, linger_ms: &str) -> Result<Producing> {
    let mut config = client(broker);
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", linger_ms);
    Ok(config.create()?)
}

fn consumer(broker: &Broker, topic: &str, from: Offset) -> Result<BaseConsumer> {
    let consumer: BaseConsumer = client(broker)
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        .set("check.crcs", "false")
        .create()?;
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_offset(topic, 0, from)?;
    consumer.assign(&partitions)?;
    Ok(consumer)
}

/// A record that does not repeat itself within a kilobyte.
fn payload() -> Vec<u8> {
    (0..SIZE)
        .map(|index| b"osqdemo measures"[index % 16] ^ u8::try_from(index / 16).unwrap_or(0))
        .collect()
}
