//! The threads of the courier: *librdkafka* hears what became of messages, *delivery* books that and hands over what waits,
//! *sync* waits for the disk.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::producer::{Producer as _, PurgeConfig};

use super::line_producer::{ask_about_unknown, look_for_brokers, start};
use super::{Shared, lock};
use crate::outbox::Progress;

/// How long librdkafka is listened to at once: a little more than a whole number of milliseconds, since `rdkafka` waits for
/// whole ones and spins through the rest.
const POLL: Duration = Duration::from_micros(250_050);
/// How often to look for brokers where none can be reached.
const LOOK_PERIOD: Duration = Duration::from_secs(2);
/// How long delivery waits for something to arrive when nothing else is to be done, and when something is.
const IDLE_PAUSE: Duration = Duration::from_millis(250);
const BUSY_PAUSE: Duration = Duration::from_millis(50);
/// How long delivery steps aside for calls that wait for the outbox.
const CALLER_PATIENCE: Duration = Duration::from_millis(5);
const CALLER_PAUSE: Duration = Duration::from_micros(50);
/// How often what is done is written down.
const TIDY_PERIOD: Duration = Duration::from_millis(100);
/// How long lines that are under way with an old configuration have.
const SWITCH_PATIENCE: Duration = Duration::from_secs(2);

impl Shared {
    /// The thread in which librdkafka tells what became of messages. `rdkafka` polls until time is up, whatever comes,
    /// so what is to be done about it is done elsewhere.
    pub(super) fn poll(&self) {
        let mut looked = Instant::now();
        while !self.ending.load(Ordering::SeqCst) {
            let producer = Arc::clone(&lock(&self.producers).current);
            producer.poll(POLL);
            ask_about_unknown(&producer, POLL);
            if looked.elapsed() >= LOOK_PERIOD {
                look_for_brokers(&producer, POLL);
                looked = Instant::now();
            }
        }
    }

    /// The thread that brings lines to Kafka.
    pub(super) fn deliver(&self) {
        let mut tidied = Instant::now();
        let mut pause = Duration::ZERO;
        while !self.ending.load(Ordering::SeqCst) {
            let progress = self.hand_over(pause);
            self.switch_producer();
            let mut outbox = lock(&self.outbox);
            self.end_sideline(&mut outbox);
            if tidied.elapsed() >= TIDY_PERIOD {
                outbox.tidy();
                tidied = Instant::now();
            }
            pause = match progress {
                Progress::More => Duration::ZERO,
                Progress::Done if outbox.needs_time() || outbox.needs_tidying() => BUSY_PAUSE,
                Progress::Done => IDLE_PAUSE,
            };
        }
        self.hand_over(Duration::ZERO);
    }

    /// Waits for something to arrive, books it, and hands over what waits.
    fn hand_over(&self, patience: Duration) -> Progress {
        let settled = self.settled.wait(patience);
        let mut outbox = lock(&self.outbox);
        let now = self.now();
        let arrived = settled.len() as u64;
        for (id, outcome) in settled {
            outbox.settle(now, id, outcome);
        }
        let encoder = outbox.kafka.encoder.as_mut();
        if encoder.is_some_and(|encoder| encoder.take_answers(Instant::now())) {
            outbox.retry();
        }
        let progress = outbox.pump(now);
        drop(outbox);
        if arrived > 0 {
            *lock(&self.progress.0) += arrived;
            self.progress.1.notify_all();
        }
        // Who unlocks and locks again at once gets the lock each time, and osqueryd's call would wait for all of it.
        let deadline = Instant::now() + CALLER_PATIENCE;
        while progress == Progress::More
            && self.callers.load(Ordering::Relaxed) > 0
            && Instant::now() < deadline
        {
            thread::park_timeout(CALLER_PAUSE);
        }
        progress
    }

    /// Lets the successor, if there is one, take the producer's place. What was under way comes back first, so that
    /// the order is kept.
    fn switch_producer(&self) {
        let (former, successor) = {
            let mut producers = lock(&self.producers);
            let Some(successor) = producers.successor.take() else {
                return;
            };
            (
                std::mem::replace(&mut producers.current, Arc::clone(&successor)),
                successor,
            )
        };
        lock(&self.outbox).kafka.kafka.0 = None;
        // Its only failure is that time is up, and then what is left comes back.
        let _ = former.flush(SWITCH_PATIENCE);
        former.purge(PurgeConfig::default().queue().inflight());
        while former.in_flight_count() > 0 {
            former.poll(BUSY_PAUSE);
        }
        self.hand_over(Duration::ZERO);
        lock(&self.outbox).kafka.kafka.0 = Some(successor);
        tracing::info!("the librdkafka properties changed and are in force");
    }

    pub(super) fn replace_fatal(&self) {
        let mut producers = lock(&self.producers);
        let Some((_, reason)) = producers.current.client().fatal_error() else {
            return;
        };
        let mut properties = producers.properties.clone();
        properties
            .entry("enable.idempotence".to_owned())
            .or_insert_with(|| "false".to_owned());
        tracing::error!(reason, "librdkafka gave up; starting it anew");
        match start(&properties, &producers.secrets, &self.settled) {
            Ok(fresh) => producers.successor = Some(fresh),
            Err(error) => tracing::error!("cannot start librdkafka anew: {error}"),
        }
    }

    /// The thread that makes lines durable.
    pub(super) fn sync(&self) {
        while let Some(mark) = self.debt.next() {
            let unsynced = {
                let mut outbox = lock(&self.outbox);
                outbox
                    .spool_mut()
                    .map(|spool| (spool.take_unsynced(), spool.disk().clone()))
            };
            let synced = unsynced.map_or(Ok(()), |(unsynced, disk)| unsynced.sync(&disk));
            let is_durable = synced.is_ok();
            if let Err(error) = synced {
                if let Some(spool) = lock(&self.outbox).spool_mut() {
                    spool.owe_again();
                }
                if let Some(times) = self.trouble.sync.pass() {
                    tracing::error!(%error, times, "the spool's disk does not sync; a loss of power may cost lines");
                }
            }
            self.debt.settle(mark, is_durable);
        }
    }
}
