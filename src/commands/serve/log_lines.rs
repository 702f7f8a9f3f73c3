//! The lines of a service's log: one for each event, and no more of a kind than somebody can read.
//!
//! Whatever clients send ends up in names and reasons. So nothing in a line can begin another one, and of each kind of
//! event (the place in the program that tells it) only the first in a minute are written; the next that is written says
//! how many were left out.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Of each kind in each period.
const SHOWN: u32 = 100;
const PERIOD: Duration = Duration::from_secs(60);

/// Formats as `inner` does, within these bounds.
#[derive(Debug)]
pub(super) struct Bounded<F> {
    inner: F,
    kinds: Kinds<Identifier>,
}

/// What was told of each kind; there are as many as the program has places that tell something.
#[derive(Debug)]
struct Kinds<K>(Mutex<HashMap<K, Period>>);

#[derive(Debug)]
struct Period {
    since: Instant,
    shown: u32,
    left_out: u64,
}

impl<F> Bounded<F> {
    pub(super) fn new(inner: F) -> Self {
        Self {
            inner,
            kinds: Kinds(Mutex::default()),
        }
    }
}

impl<K: Eq + Hash> Kinds<K> {
    /// Whether one more of a kind is written at `now`, and how many were left out before it.
    fn may_tell(&self, kind: K, now: Instant) -> Option<u64> {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Period {
            since: now,
            shown: 0,
            left_out: 0,
        };
        let period = kinds.entry(kind).or_insert_with(fresh);
        let mut left_out = 0;
        if now.duration_since(period.since) >= PERIOD {
            left_out = period.left_out;
            *period = fresh();
        }
        if period.shown == SHOWN {
            period.left_out += 1;
            return None;
        }
        period.shown += 1;
        Some(left_out)
    }
}

impl<S, N, F> FormatEvent<S, N> for Bounded<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(left_out) = self.kinds.may_tell(event.metadata().callsite(), Instant::now()) else {
            return Ok(());
        };
        let mut line = String::new();
        self.inner.format_event(context, Writer::new(&mut line), event)?;
        write_escaped(&mut writer, line.trim_end_matches('\n'))?;
        if left_out > 0 {
            write!(writer, " left_out={left_out}")?;
        }
        writeln!(writer)
    }
}

/// Control characters as they are written in Rust: a terminal must not be told anything either.
fn write_escaped(writer: &mut impl fmt::Write, line: &str) -> fmt::Result {
    for character in line.chars() {
        if character.is_control() {
            write!(writer, "{}", character.escape_default())?;
        } else {
            writer.write_char(character)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use tracing_subscriber::fmt::format;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(tell: impl FnOnce()) -> Vec<String> {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .event_format(Bounded::new(format().without_time()))
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, tell);
        let text = written.0.lock().expect("no panic").clone();
        String::from_utf8(text)
            .expect("text")
            .lines()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn what_a_client_sends_begins_no_line_of_its_own() {
        let lines = lines(|| {
            let group = "a\nERROR osqdemo: the disk is gone\u{1b}[2J";
            tracing::warn!(%group, "a group is gone");
        });
        assert_eq!(lines.len(), 1, "{lines:?}");
        let told = r"a group is gone group=a\nERROR osqdemo: the disk is gone\u{1b}[2J";
        assert!(lines[0].ends_with(told), "{lines:?}");
    }

    #[test]
    fn of_one_kind_only_so_many_are_written() {
        let lines = lines(|| {
            for number in 0..2 * SHOWN {
                tracing::warn!(number, "again");
            }
            tracing::warn!("another");
        });
        assert_eq!(lines.len(), SHOWN as usize + 1);
        assert!(lines.last().is_some_and(|last| last.ends_with("another")));
    }

    #[test]
    fn the_next_period_begins_with_what_was_left_out() {
        let kinds = Kinds(Mutex::default());
        let begin = Instant::now();
        for _ in 0..SHOWN {
            assert_eq!(kinds.may_tell('a', begin), Some(0));
        }
        assert_eq!(kinds.may_tell('a', begin), None);
        assert_eq!(kinds.may_tell('a', begin), None);
        assert_eq!(kinds.may_tell('a', begin + PERIOD), Some(2));
        assert_eq!(kinds.may_tell('a', begin + PERIOD), Some(0));
    }
}
