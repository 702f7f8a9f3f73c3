//! What a query has read and written since it began, as `DESCRIBE … EXTENDED` tells it.

use std::collections::BTreeMap;
use std::sync::Arc;

/// How long a window is that records are counted in. A rate is that of the last one and of what is there of the next.
const WINDOW_MS: i64 = 30_000;

/// Records that are counted and not noted yet: to note each by itself would cost more than the record.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// By topic; a query reads few.
    read: Vec<(Arc<str>, Count)>,
    written: Count,
}

/// How many records, and how many bytes of keys and values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    records: u64,
    bytes: u64,
}

impl Count {
    fn add(&mut self, more: Self) {
        self.records += more.records;
        self.bytes += more.bytes;
    }
}

impl Tally {
    pub(super) fn read(&mut self, topic: &Arc<str>, bytes: usize) {
        let one = Count {
            records: 1,
            bytes: bytes as u64,
        };
        let known = self.read.iter_mut().find(|(known, _)| known == topic);
        match known {
            Some((_, count)) => count.add(one),
            None => self.read.push((Arc::clone(topic), one)),
        }
    }

    pub(super) fn wrote(&mut self, bytes: usize) {
        self.written.add(Count {
            records: 1,
            bytes: bytes as u64,
        });
    }
}

/// Records of a topic over time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Meter {
    total: Count,
    /// When the last of them was counted.
    last_ms: Option<i64>,
    /// The window at hand, by its number, and what was counted in it and in the one before it.
    window: i64,
    counted: [u64; 2],
}

impl Meter {
    fn add(&mut self, count: Count, now_ms: i64) {
        self.turn_to(now_ms);
        self.total.add(count);
        self.counted[0] += count.records;
        self.last_ms = Some(now_ms);
    }

    fn turn_to(&mut self, now_ms: i64) {
        let window = now_ms.div_euclid(WINDOW_MS);
        match window - self.window {
            0 => {}
            1 => self.counted = [0, self.counted[0]],
            _ => self.counted = [0, 0],
        }
        self.window = window;
    }

    /// Of two of them, what is told of both.
    pub(crate) fn and(mut self, mut other: Self, now_ms: i64) -> Self {
        self.turn_to(now_ms);
        other.turn_to(now_ms);
        self.total.add(other.total);
        self.last_ms = self.last_ms.max(other.last_ms);
        self.counted = [
            self.counted[0] + other.counted[0],
            self.counted[1] + other.counted[1],
        ];
        self
    }

    pub(crate) fn records(&self) -> u64 {
        self.total.records
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.total.bytes
    }

    pub(crate) fn last_ms(&self) -> Option<i64> {
        self.last_ms
    }

    /// Records a second.
    pub(crate) fn rate(mut self, now_ms: i64) -> f64 {
        self.turn_to(now_ms);
        let elapsed = WINDOW_MS + now_ms.rem_euclid(WINDOW_MS);
        (self.counted[0] + self.counted[1]) as f64 * 1_000.0 / elapsed as f64
    }
}

/// What a query has to do with its topics.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    read: BTreeMap<Arc<str>, Meter>,
    written: Meter,
}

impl Traffic {
    /// Takes in what was counted, which then is nothing.
    pub(super) fn note(&mut self, tally: &mut Tally, now_ms: i64) {
        for (topic, count) in &mut tally.read {
            let count = std::mem::take(count);
            if count.records > 0 {
                self.read.entry(Arc::clone(topic)).or_default().add(count, now_ms);
            }
        }
        let written = std::mem::take(&mut tally.written);
        if written.records > 0 {
            self.written.add(written, now_ms);
        }
    }

    pub(super) fn read(&self, topic: &str) -> Meter {
        self.read.get(topic).copied().unwrap_or_default()
    }

    pub(super) fn written(&self) -> Meter {
        self.written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_counted_by_topic_and_their_rate_is_that_of_the_last_minute() {
        let (mut tally, mut traffic) = (Tally::default(), Traffic::default());
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        for _ in 0..60 {
            tally.read(&a, 10);
        }
        tally.read(&b, 1);
        tally.wrote(7);
        traffic.note(&mut tally, 60_000);
        // What was noted is not noted again.
        traffic.note(&mut tally, 60_000);
        let read = traffic.read("a");
        assert_eq!(
            (read.records(), read.bytes(), read.last_ms()),
            (60, 600, Some(60_000))
        );
        assert_eq!(traffic.read("b").records(), 1);
        assert_eq!(traffic.written().bytes(), 7);
        assert_eq!(traffic.read("c"), Meter::default());
        assert_eq!(read.rate(60_000), 2.0);
        assert_eq!(read.rate(75_000), 60.0 / 45.0);
        assert_eq!(read.rate(90_000), 2.0);
        assert_eq!(read.rate(120_000), 0.0);
        let both = read.and(traffic.read("b"), 90_000);
        assert_eq!((both.records(), both.rate(90_000)), (61, 61.0 / 30.0));
    }
}
