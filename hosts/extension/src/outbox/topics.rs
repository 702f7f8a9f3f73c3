//! What is known of the topics: whether Kafka takes their lines now, and if not, which lines wait.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The pause before lines are sent again: the first one, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// All topics that lines went to.
#[derive(Debug, Default)]
pub(super) struct Topics {
    topics: HashMap<Arc<str>, Topic>,
    /// How many have a hold.
    held: usize,
    /// How many lines of a topic are under way before the first of them has arrived.
    unproven_limit: u32,
}

#[derive(Debug, Default)]
struct Topic {
    /// Lines under way.
    in_flight: u32,
    /// A line arrived, and none has failed since.
    proven: bool,
    /// Lines are sent one at a time, to see which of them is too large.
    single: bool,
    pause: Duration,
    hold: Option<Hold>,
    /// The first line of the spool that waits.
    from: u64,
}

/// Why lines of a topic are not sent as they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    /// Something failed; until then nothing is tried.
    Until(Duration),
    /// The first lines have not arrived yet.
    Unproven,
    /// The waiting lines are to be sent.
    Ready,
    /// The waiting lines are being sent.
    Redelivered,
}

/// Whether a line may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Admitted,
    /// It waits with others of its topic.
    Held,
    /// Its topic's lines go one at a time, and one is under way.
    Busy,
}

/// In which turn a line is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is the newest, or follows those that were sent.
    InOrder,
    /// It waited.
    Redelivery,
}

impl Topics {
    pub(super) fn new(unproven_limit: usize) -> Self {
        Self {
            unproven_limit: u32::try_from(unproven_limit.max(1)).unwrap_or(u32::MAX),
            ..Self::default()
        }
    }

    /// Whether a line of `topic` may be sent; one that is held is remembered to be among those that wait, if it has a
    /// number in the spool.
    pub(super) fn admit(&mut self, topic: &str, turn: Turn, spooled: Option<u64>) -> Admission {
        let topic = match self.topics.get_mut(topic) {
            Some(topic) => topic,
            None => self.topics.entry(topic.into()).or_default(),
        };
        let may = match topic.hold {
            None => true,
            Some(hold) => turn == Turn::Redelivery && hold == Hold::Redelivered,
        };
        if may && topic.single && topic.in_flight > 0 {
            return Admission::Busy;
        }
        if may && (topic.proven || topic.in_flight < self.unproven_limit) {
            return Admission::Admitted;
        }
        if may {
            self.held += usize::from(topic.hold.is_none());
            topic.hold = Some(Hold::Unproven);
            topic.from = u64::MAX;
        }
        topic.from = topic.from.min(spooled.unwrap_or(u64::MAX));
        Admission::Held
    }

    /// A line is under way; the topic's name, to be kept with it, and whether the line is sent alone.
    pub(super) fn sent(&mut self, topic: &str) -> (Arc<str>, bool) {
        let name = match self.topics.get_key_value(topic) {
            Some((name, _)) => Arc::clone(name),
            None => Arc::from(topic),
        };
        let topic = self.topics.entry(Arc::clone(&name)).or_default();
        topic.in_flight += 1;
        (name, topic.single)
    }

    /// A line is no longer under way.
    pub(super) fn settled(&mut self, topic: &str) {
        if let Some(topic) = self.topics.get_mut(topic) {
            topic.in_flight = topic.in_flight.saturating_sub(1);
        }
    }

    /// A line arrived.
    pub(super) fn arrived(&mut self, topic: &str) {
        let Some(topic) = self.topics.get_mut(topic) else {
            return;
        };
        topic.proven = true;
        topic.pause = Duration::ZERO;
        if matches!(topic.hold, Some(Hold::Unproven | Hold::Until(_))) {
            topic.hold = Some(Hold::Ready);
        }
    }

    /// A line was refused for good. That is an answer, too: what waited for one need not.
    pub(super) fn refused(&mut self, topic: &str) {
        let topic = self.topics.get_mut(topic);
        if let Some(topic) = topic.filter(|topic| topic.hold == Some(Hold::Unproven)) {
            topic.hold = Some(Hold::Ready);
        }
    }

    /// A line failed and is to be sent again.
    pub(super) fn failed(&mut self, topic: &str, now: Duration, spooled: Option<u64>) {
        let pause = self.hold(topic, spooled);
        let Some(topic) = self.topics.get_mut(topic) else {
            return;
        };
        topic.proven = false;
        topic.pause = (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        topic.hold = Some(Hold::Until(now + topic.pause));
    }

    /// A line was in a batch that was too large: it and all behind it are sent one at a time.
    pub(super) fn refused_in_company(&mut self, topic: &str, now: Duration, spooled: Option<u64>) {
        self.hold(topic, spooled);
        if let Some(topic) = self.topics.get_mut(topic) {
            topic.single = true;
            topic.hold = Some(Hold::Until(now));
        }
    }

    /// Nobody waits for time to pass any longer.
    pub(super) fn retry(&mut self) {
        for topic in self.topics.values_mut() {
            if let Some(Hold::Until(_)) = topic.hold {
                topic.hold = Some(Hold::Ready);
            }
        }
    }

    /// Whether any lines wait.
    pub(super) fn any_held(&self) -> bool {
        self.held > 0
    }

    /// Begins to send the lines that wait and may: the first of them in the spool.
    pub(super) fn begin_redelivery(&mut self, now: Duration) -> Option<u64> {
        if self.held == 0 {
            return None;
        }
        let mut from = None;
        for topic in self.topics.values_mut() {
            let due = match topic.hold {
                Some(Hold::Ready) => true,
                Some(Hold::Until(time)) => time <= now,
                Some(Hold::Unproven | Hold::Redelivered) | None => false,
            };
            // Those under way come before those that wait.
            if due && topic.in_flight == 0 {
                topic.hold = Some(Hold::Redelivered);
                from = Some(from.unwrap_or(u64::MAX).min(topic.from));
            }
        }
        from
    }

    /// All lines that waited for their turn are under way.
    pub(super) fn end_redelivery(&mut self) {
        for topic in self.topics.values_mut() {
            if topic.hold == Some(Hold::Redelivered) {
                topic.hold = None;
                topic.single = false;
                self.held -= 1;
            }
        }
    }

    fn hold(&mut self, topic: &str, spooled: Option<u64>) -> Duration {
        let topic = self.topics.entry(topic.into()).or_default();
        if topic.hold.is_none() {
            self.held += 1;
            topic.from = u64::MAX;
        }
        if topic.hold == Some(Hold::Redelivered) {
            // What was passed over in this turn lies behind what failed.
            topic.from = u64::MAX;
        }
        topic.from = topic.from.min(spooled.unwrap_or(u64::MAX));
        topic.pause
    }
}
