//! Whether a topic is gone that the brokers say they do not know, although it was there.

use std::time::Duration;

use rdkafka::error::KafkaError;
use tokio::time::Instant;

/// How long the brokers may say so before that is believed: those that have just come back say so for a moment.
const MOST_DOUBT: Duration = Duration::from_secs(30);
/// How often to look meanwhile whether the topic is listed, and how many looks without it settle the matter.
const LOOK: (Duration, u32) = (Duration::from_secs(1), 2);

/// What is to be settled.
pub(super) struct Doubt {
    error: KafkaError,
    until: Instant,
    look_at: Instant,
    /// How often in a row it was not in a list of topics.
    unlisted: u32,
}

/// What a look at the list of topics showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// They are all there.
    Known,
    /// Everybody knows them but the client that reads: one that is made anew will.
    KnownToOthers,
    /// One of them is not there.
    Unlisted,
    /// No topic at all: a broker that has not been told yet which there are.
    Nothing,
    /// Nobody answered, so nobody says so now.
    Nobody,
}

/// What that comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Known,
    /// Another look will tell.
    Open,
    Gone(KafkaError),
}

impl Doubt {
    pub(super) fn new(error: KafkaError, now: Instant) -> Self {
        Self {
            error,
            until: now + MOST_DOUBT,
            look_at: now,
            unlisted: 0,
        }
    }

    /// When to look again.
    pub(super) fn look_at(&self) -> Instant {
        self.look_at
    }

    pub(super) fn settle(&mut self, seen: Seen, now: Instant) -> Verdict {
        match seen {
            Seen::Known => return Verdict::Known,
            Seen::KnownToOthers | Seen::Nothing => self.unlisted = 0,
            Seen::Unlisted => self.unlisted += 1,
            Seen::Nobody => self.until = now + MOST_DOUBT,
        }
        if self.unlisted >= LOOK.1 || now >= self.until {
            return Verdict::Gone(self.error.clone());
        }
        self.look_at = now + LOOK.0;
        Verdict::Open
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::error::RDKafkaErrorCode;

    use super::*;

    const ERROR: KafkaError = KafkaError::MessageConsumption(RDKafkaErrorCode::UnknownTopicOrPartition);

    /// After how many seconds of looks that all show the same the topic is gone; `None`: not within two minutes.
    fn gone_after(mut seen: impl FnMut(u64) -> Seen) -> Option<u64> {
        let begin = Instant::now();
        let mut doubt = Doubt::new(ERROR, begin);
        for second in 0..120 {
            let now = begin + Duration::from_secs(second);
            assert_eq!(doubt.look_at(), now);
            match doubt.settle(seen(second), now) {
                Verdict::Open => {}
                Verdict::Known => return None,
                Verdict::Gone(error) => {
                    assert_eq!(error, ERROR);
                    return Some(second);
                }
            }
        }
        None
    }

    #[test]
    fn a_topic_that_no_list_has_is_gone_soon_and_any_other_after_half_a_minute() {
        assert_eq!(gone_after(|_| Seen::Unlisted), Some(1));
        assert_eq!(gone_after(|_| Seen::KnownToOthers), Some(30));
        assert_eq!(gone_after(|_| Seen::Nothing), Some(30));
        // One look without it is none.
        let now_and_then = |second| match second % 2 {
            0 => Seen::Unlisted,
            _ => Seen::Nothing,
        };
        assert_eq!(gone_after(now_and_then), Some(30));
        assert_eq!(gone_after(|_| Seen::Known), None);
    }

    #[test]
    fn while_nobody_answers_nothing_is_said_of_a_topic() {
        assert_eq!(gone_after(|_| Seen::Nobody), None);
        // Half a minute begins when somebody answers again.
        let away_at_first = |second| match second {
            0..=40 => Seen::Nobody,
            _ => Seen::Nothing,
        };
        assert_eq!(gone_after(away_at_first), Some(70));
    }
}
