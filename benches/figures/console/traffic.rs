//! Records as osquery writes them, into the topic that the page looks at.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseRecord, Producer};

use super::{PATIENCE, TOPIC};
use crate::broker::{Producing, send_record};
use crate::waiting::leave_alone;

/// How long a record's line is.
const SIZE: usize = 550;

/// Sends records at a steady rate until it is stopped.
pub(super) struct Traffic {
    is_over: Arc<AtomicBool>,
    sender: JoinHandle<Result<()>>,
}

impl Traffic {
    /// So many records a second.
    pub(super) fn start(servers: &str, rate: u32) -> Result<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        let producer = producer(servers)?;
        let over = Arc::clone(&is_over);
        let sender = std::thread::spawn(move || -> Result<()> {
            let (begun, mut sent) = (Instant::now(), 0);
            while !over.load(Ordering::Relaxed) {
                let due = (begun.elapsed().as_secs_f64() * f64::from(rate)) as u64;
                for number in sent..due {
                    send(&producer, number)?;
                }
                sent = sent.max(due);
                leave_alone(Duration::from_millis(1));
            }
            Ok(producer.flush(PATIENCE)?)
        });
        Ok(Self { is_over, sender })
    }

    /// Ends it; an error where it could not send.
    pub(super) fn stop(self) -> Result<()> {
        self.is_over.store(true, Ordering::Relaxed);
        match self.sender.join() {
            Ok(outcome) => outcome,
            Err(_) => bail!("the thread that sends records has panicked"),
        }
    }
}

/// Sends so many records as fast as they go.
pub(super) fn fill(servers: &str, records: u64) -> Result<()> {
    let producer = producer(servers)?;
    (0..records).try_for_each(|number| send(&producer, number))?;
    Ok(producer.flush(PATIENCE)?)
}

fn producer(servers: &str) -> Result<Producing> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers).set("linger.ms", "1");
    Ok(config.create()?)
}

fn send(producer: &Producing, number: u64) -> Result<()> {
    let line = line(number);
    send_record(
        producer,
        BaseRecord::<str, str>::to(TOPIC).key("host1").payload(&line),
    )
}

/// A line of the query `processes`, filled up to its size.
fn line(number: u64) -> String {
    let mut line = format!(
        r#"{{"name":"processes","hostIdentifier":"host1","calendarTime":"Sun Nov 29 12:00:00 2026 UTC","unixTime":1795953600,"epoch":0,"counter":{number},"numerics":false,"action":"added","columns":{{"pid":"{number}","name":"writer","path":"/usr/bin/writer","cmdline":""#
    );
    let end = r#""}}"#;
    line.extend(std::iter::repeat_n(
        'x',
        SIZE.saturating_sub(line.len() + end.len()),
    ));
    line.push_str(end);
    line
}
