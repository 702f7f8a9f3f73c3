//! The books: every line is counted when it comes and once more for what became of it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Taken;

/// What became of the lines. A record is what Kafka gets: a line, or a row of one that was too large.
#[derive(Debug, Default)]
pub(crate) struct Books {
    /// Lines taken from osqueryd.
    pub(crate) lines: Count,
    /// Records beyond one a line, because lines were taken apart into rows.
    pub(crate) rows: Count,
    /// Records that are in the spool's file, or in memory where there is no spool; with `sync: always`, durable.
    pub(crate) accepted: Count,
    /// Records that the disk did not take, and that are kept in memory; with `sync: always`, also those in the spool's file
    /// that were answered before they were known to be durable.
    pub(crate) not_accepted: Count,
    /// Records that found the spool, or the memory, full.
    pub(crate) dropped: Count,
    /// Accepted records that were given up to make room (`drop_oldest`).
    pub(crate) given_up: Count,
    /// Accepted records that the disk no longer has.
    pub(crate) damaged: Count,
    /// Records that Kafka acknowledged.
    pub(crate) delivered: Count,
    /// Records that Kafka will never take, kept elsewhere.
    pub(crate) dead_lettered: Count,
    /// Records that Kafka will never take, and that could be kept nowhere.
    pub(crate) lost: Count,
    /// Lines without a topic, and lines that could not be read.
    pub(crate) unroutable: Count,
    /// Bytes of the records that Kafka acknowledged.
    pub(crate) delivered_bytes: Count,
    /// From osqueryd's call to the answer.
    pub(crate) answer: Latency,
    /// From osqueryd's call to Kafka's acknowledgement.
    pub(crate) delivery: Latency,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Books {
    /// A record came.
    pub(crate) fn took(&self, taken: Taken) {
        match taken {
            Taken::Accepted => self.accepted.add(1),
            Taken::NotAccepted => self.not_accepted.add(1),
            Taken::Dropped => self.dropped.add(1),
        }
    }

    /// Everything that somebody should look at: what will not reach its topic, and what may not.
    pub(crate) fn troubles(&self) -> u64 {
        let parts = [
            &self.not_accepted,
            &self.dropped,
            &self.given_up,
            &self.damaged,
            &self.dead_lettered,
            &self.lost,
            &self.unroutable,
        ];
        parts.into_iter().map(Count::get).sum()
    }
}

impl fmt::Display for Books {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [
            ("lines", &self.lines),
            ("rows", &self.rows),
            ("accepted", &self.accepted),
            ("not_accepted", &self.not_accepted),
            ("delivered", &self.delivered),
            ("dead_lettered", &self.dead_lettered),
            ("dropped", &self.dropped),
            ("given_up", &self.given_up),
            ("damaged", &self.damaged),
            ("lost", &self.lost),
            ("unroutable", &self.unroutable),
        ];
        for (index, (name, count)) in named.into_iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(formatter, "{space}{name}={}", count.get())?;
        }
        Ok(())
    }
}

/// How often something took how long: four classes for each doubling, up to hours.
#[derive(Debug)]
pub(crate) struct Latency([AtomicU64; Latency::CLASSES]);

impl Default for Latency {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Latency {
    const CLASSES: usize = 4 * 34;

    pub(crate) fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0[Self::class(micros)].fetch_add(1, Ordering::Relaxed);
    }

    /// The microseconds that a share of the occasions did not exceed, to a quarter of their size; `None` when there
    /// were none.
    pub(crate) fn quantile(&self, share: f64) -> Option<u64> {
        let counts = self.0.each_ref().map(|count| count.load(Ordering::Relaxed));
        let total: u64 = counts.iter().sum();
        let wanted = ((total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let class = counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        })?;
        Some(Self::upper_end(class))
    }

    fn class(micros: u64) -> usize {
        if micros < 4 {
            return micros as usize;
        }
        let doubling = micros.ilog2() as usize;
        let quarter = (micros >> (doubling - 2)) as usize & 3;
        (4 * (doubling - 1) + quarter).min(Self::CLASSES - 1)
    }

    fn upper_end(class: usize) -> u64 {
        if class < 4 {
            return class as u64;
        }
        let (doubling, quarter) = (class / 4 + 1, class as u64 % 4);
        ((4 + quarter + 1) << (doubling - 2)) - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_right_to_a_quarter() {
        let latency = Latency::default();
        assert_eq!(latency.quantile(0.5), None);
        for micros in 1..=1000 {
            latency.record(Duration::from_micros(micros));
        }
        for share in [0.01, 0.5, 0.99] {
            let exact = (1000.0 * share) as u64;
            let told = latency.quantile(share).unwrap();
            assert!((exact..=exact + exact / 4 + 1).contains(&told), "{share}: {told}");
        }
        latency.record(Duration::MAX);
        assert!(latency.quantile(1.0).unwrap() > 3_600_000_000);
    }
}
