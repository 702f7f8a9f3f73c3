//! Records that come, as many of them as a page can show.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::FutureExt;
use rdkafka::message::BorrowedMessage;
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::Search;
use crate::api::Refusal;
use crate::kafka::{Raw, raw_of};

/// How long live records are gathered, when few come and when many do: then nobody can read them all anyway.
const GATHER_FEW: Duration = Duration::from_millis(15);
const GATHER_MANY: Duration = Duration::from_millis(200);
/// How long many records are left to pile up before they are taken: each time costs, however few there are.
const PILE: Duration = Duration::from_millis(20);
/// How many records are taken before anything else has its turn.
const TURN: usize = 1000;
/// How many live records an event carries at most; with more, the oldest are left out and counted. The page has as many
/// rows (`page/views/topic.js`).
const BATCH: usize = 50;
/// From how many records a second on there are many.
const MANY: f64 = 4_000.0;

impl Search<'_> {
    /// What comes, until the page has enough of it.
    pub(super) async fn live(mut self, from: &[(i32, i64)]) -> Result<(), Refusal> {
        let from: Vec<(String, i32, i64)> = from
            .iter()
            .map(|(partition, offset)| (self.topic.to_owned(), *partition, *offset))
            .collect();
        let searched = std::mem::replace(&mut self.reader, self.cluster.live_reader()?);
        // It would read on, and takes its time to end.
        tokio::task::spawn_blocking(move || drop(searched));
        let reader = &self.reader;
        reader.seek(&from)?;
        // Most are left out again: only what is sent is copied.
        let mut waiting: VecDeque<BorrowedMessage<'_>> = VecDeque::new();
        let mut left_out = 0u64;
        let mut came = 0u32;
        let mut gather = GATHER_FEW;
        let mut sent = Instant::now();
        let mut tick = interval(GATHER_FEW);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut next = tokio::select! {
                message = reader.next() => Some(message),
                _ = tick.tick(), if !waiting.is_empty() => None,
            };
            let mut are_all_taken = false;
            for _ in 0..TURN {
                let Some(message) = next.take().or_else(|| reader.next().now_or_never()) else {
                    are_all_taken = true;
                    break;
                };
                let message = message?;
                if !self.wants(&message) {
                    continue;
                }
                came = came.saturating_add(1);
                if waiting.len() == BATCH {
                    waiting.pop_front();
                    left_out += 1;
                }
                waiting.push_back(message);
            }
            if are_all_taken && gather == GATHER_MANY {
                sleep(PILE).await;
            }
            if waiting.is_empty() || sent.elapsed() < gather || !self.sink.has_room() {
                continue;
            }
            let rate = f64::from(came) / sent.elapsed().as_secs_f64();
            gather = if rate > MANY { GATHER_MANY } else { GATHER_FEW };
            came = 0;
            sent = Instant::now();
            let records: Vec<Raw> = waiting.drain(..).rev().map(|message| raw_of(&message)).collect();
            let more = json!({"live": true, "left_out": std::mem::take(&mut left_out)});
            if !self.send(&records, more).await {
                return Ok(());
            }
        }
    }
}
