//! What the embedded broker costs when it has much: memory after a volume, the start after a kill, rest, many
//! partitions, and clients that behave badly beside one that does not.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Resource, getrlimit, setrlimit};

use super::{RECORDS, create_topics, latencies, produce_to, wire};
use crate::figure::{Figure, Report, quantile};
use crate::peers::{Broker, Peer};

/// Records before memory and the start are looked at: 5 GB of them, which is what a part of the figures may take.
const VOLUME: u32 = 16_000_000;
/// How long the broker is left alone, and before that until what was begun is done.
const REST: Duration = Duration::from_secs(5);
const SETTLING: Duration = Duration::from_secs(3);
/// Partitions of the broker that has many.
const MANY: i32 = 3_000;

/// Clients that keep a connection open and ask for nothing.
const IDLE: usize = 2_000;
/// Clients that ask for megabytes again and again, and read none of it.
const DEAF: usize = 100;
/// Clients that begin a frame of a megabyte and do not go on.
const HALF: usize = 100;
/// Connections a second that are opened and closed at once.
const STORM: u32 = 500;

/// Every sample of each figure.
#[derive(Default)]
struct Samples {
    memory: Vec<f64>,
    start: Vec<f64>,
    rest: Vec<f64>,
    many: Vec<f64>,
    beside: Vec<f64>,
    hostile_memory: Vec<f64>,
}

/// Measures the embedded broker alone.
pub(super) fn measure(runs: usize, report: &mut Report) -> Result<()> {
    raise_descriptors()?;
    let mut samples = Samples::default();
    let mut full = Broker::start(Peer::Osqdemo)?;
    create_topics(&full, &["volume"])?;
    for run in 0..runs {
        // The volume grows by its share with each run.
        let share = VOLUME / u32::try_from(runs)?;
        produce_to(&full, "volume", share).with_context(|| format!("volume, run {}", run + 1))?;
        samples.memory.push(full.resident_mib());
        samples.start.push(full.start_again()?.as_secs_f64());
        crate::waiting::leave_alone(SETTLING);
        let before = full.running_time();
        crate::waiting::leave_alone(REST);
        let busy = full.running_time().saturating_sub(before);
        samples.rest.push(100.0 * busy.as_secs_f64() / REST.as_secs_f64());
    }
    drop(full);
    let mut wide = Broker::start(Peer::Osqdemo)?;
    super::create_topic(&wide, "many", MANY)?;
    for _ in 0..runs {
        samples.many.push(wide.start_again()?.as_secs_f64());
    }
    drop(wide);
    for run in 0..runs {
        let broker = Broker::start(Peer::Osqdemo)?;
        create_topics(&broker, &["ping", "bait"])?;
        produce_to(&broker, "bait", RECORDS / 10)?;
        let (beside, memory) = among_hostile(&broker).with_context(|| format!("hostile, run {}", run + 1))?;
        samples.beside.push(quantile(&beside, 0.99));
        samples.hostile_memory.push(memory);
    }
    let name = Peer::Osqdemo.name();
    let figure = |what: &str, unit, samples| Figure::new(format!("{name}: {what}"), unit, samples);
    report.add(figure("resident, up to 5 GB produced", "MiB", samples.memory).at_most(40.0));
    report.add(figure("start after SIGKILL, up to 5 GB", "s", samples.start).at_most(0.1));
    report.add(figure("at rest, one topic", "% of a core", samples.rest).at_most(0.1));
    report.add(figure("start after SIGKILL, 3,000 partitions", "s", samples.many).at_most(0.1));
    report.add(figure(
        "produce to consume beside hostile clients, p99",
        "ms",
        samples.beside,
    ));
    report.add(figure("resident with hostile clients", "MiB", samples.hostile_memory).at_most(256.0));
    report.note(format!(
        "Hostile clients, all at once: {IDLE} idle connections, {DEAF} that ask for megabytes and read nothing, {HALF} half frames, {STORM} new connections a second."
    ));
    Ok(())
}

/// Latencies of a good client while others misbehave, and the broker's memory at the end of it.
fn among_hostile(broker: &Broker) -> Result<(Vec<f64>, f64)> {
    let address = broker.address();
    let mut held = Vec::with_capacity(IDLE + DEAF + HALF);
    for _ in 0..IDLE {
        held.push(TcpStream::connect(address)?);
    }
    for _ in 0..DEAF {
        let mut stream = TcpStream::connect(address)?;
        for _ in 0..20 {
            wire::send(&mut stream, &wire::fetch("bait", 0))?;
        }
        held.push(stream);
    }
    for _ in 0..HALF {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(&(1u32 << 20).to_be_bytes())?;
        stream.write_all(&[0; 1000])?;
        held.push(stream);
    }
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let storm = {
        let address = address.to_owned();
        std::thread::spawn(move || {
            let pause = Duration::from_secs(1) / STORM;
            // The channel is closed when the measurement is over.
            while let Err(std::sync::mpsc::RecvTimeoutError::Timeout) = stopped.recv_timeout(pause) {
                drop(TcpStream::connect(&address));
            }
        })
    };
    let measured = latencies(broker);
    let memory = broker.resident_mib();
    drop(stop);
    let _ = storm.join();
    Ok((measured?, memory))
}

/// As many open files as the system allows: a descriptor for each hostile client.
fn raise_descriptors() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("failed to raise the limit of open files")
}

/// How long a broker takes until it answers, from a moment on.
pub(crate) fn until_it_answers(address: &str, begun: Instant, patience: Duration) -> Result<Duration> {
    loop {
        match wire::answers(address) {
            Ok(()) => return Ok(begun.elapsed()),
            Err(error) if begun.elapsed() > patience => return Err(error),
            // A refused connection comes back at once; this is fine enough for what is measured.
            Err(_) => crate::waiting::leave_alone(Duration::from_millis(1)),
        }
    }
}
