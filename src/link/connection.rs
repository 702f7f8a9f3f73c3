//! Carries one connection: each direction reads, keeps what it read until its time has come, and writes. What is on its
//! way is bounded; a client that sends more waits, as on a real line.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::Condition;
use super::addresses::Direction;

/// How much is read at once, and is late or lost together.
const PIECE: usize = 16 * 1024;

/// How many pieces are on their way at most, in each direction: a megabyte.
const ON_THE_WAY: usize = 64;

/// When TCP sends again for the first time what was lost; each further time it waits twice as long.
const RETRANSMISSION: Duration = Duration::from_millis(200);

/// How often a piece is lost at most.
const MOST_LOSSES: u32 = 5;

/// Something that is on its way, and when it arrives.
type Piece = (Instant, Bytes);

/// Carries both directions until one of them ends. What was read until then is written.
pub(super) async fn both(
    client: (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    broker: (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    directions: (impl Direction, impl Direction),
    condition: watch::Receiver<Condition>,
) -> io::Result<()> {
    let (requests, answers) = directions;
    tokio::select! {
        ended = one(client.0, broker.1, requests, condition.clone()) => ended,
        ended = one(broker.0, client.1, answers, condition) => ended,
    }
}

/// Carries one direction until its source ends.
async fn one(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut direction: impl Direction,
    mut condition: watch::Receiver<Condition>,
) -> io::Result<()> {
    let (send, mut on_the_way) = mpsc::channel::<Piece>(ON_THE_WAY);
    let now = condition.clone();
    let reading = async move {
        let mut piece = vec![0; PIECE];
        let mut last = Instant::now();
        loop {
            let read = from.read(&mut piece).await?;
            if read == 0 {
                return Ok::<(), io::Error>(());
            }
            let passed = direction.pass(&piece[..read])?;
            // Later than the piece before, whatever became of that.
            last = last.max(Instant::now() + lateness(*now.borrow(), &mut fastrand::Rng::new()));
            if !passed.is_empty() && send.send((last, passed)).await.is_err() {
                return Ok(());
            }
        }
    };
    let writing = async {
        while let Some((due, piece)) = on_the_way.recv().await {
            sleep_until(due).await;
            open(&mut condition).await;
            to.write_all(&piece).await?;
        }
        to.shutdown().await
    };
    tokio::try_join!(reading, writing).map(|((), ())| ())
}

/// How much later a piece arrives.
fn lateness(condition: Condition, random: &mut fastrand::Rng) -> Duration {
    let mut late = Duration::from_millis(condition.delay_ms);
    let mut again = RETRANSMISSION;
    for _ in 0..MOST_LOSSES {
        if random.u8(..100) >= condition.loss_percent {
            break;
        }
        late += again;
        again *= 2;
    }
    late
}

/// Returns once something goes through.
pub(super) async fn open(condition: &mut watch::Receiver<Condition>) {
    // Who tells the condition lives as long as the link.
    let _ = condition.wait_for(|condition| !condition.is_cut).await;
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;
    use tokio::time::timeout;

    use super::*;

    /// Changes nothing.
    struct AsItIs;

    impl Direction for AsItIs {
        fn pass(&mut self, input: &[u8]) -> io::Result<Bytes> {
            Ok(Bytes::copy_from_slice(input))
        }
    }

    #[tokio::test]
    async fn what_is_sent_arrives_later_and_in_order() {
        let (_told, condition) = watch::channel(Condition {
            delay_ms: 100,
            ..Condition::default()
        });
        let (mut sender, from) = duplex(64);
        let (to, mut receiver) = duplex(1 << 20);
        let carried = tokio::spawn(one(from, to, AsItIs, condition));
        let began = Instant::now();
        let sent: Vec<u8> = (0..2_000_u32).flat_map(u32::to_be_bytes).collect();
        for part in sent.chunks(40) {
            sender.write_all(part).await.unwrap();
        }
        drop(sender);
        let mut arrived = Vec::new();
        receiver.read_to_end(&mut arrived).await.unwrap();
        assert_eq!(arrived, sent);
        assert!(
            began.elapsed() >= Duration::from_millis(100),
            "{:?}",
            began.elapsed()
        );
        carried.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn nothing_goes_through_what_is_cut_and_what_waits_has_a_bound() {
        let (told, condition) = watch::channel(Condition::CUT);
        let (mut sender, from) = duplex(PIECE);
        let (to, mut receiver) = duplex(1 << 20);
        tokio::spawn(one(from, to, AsItIs, condition));
        let least = ON_THE_WAY * PIECE;
        let (count, mut counted) = watch::channel(0);
        let sending = tokio::spawn(async move {
            // Far more than a link keeps: the sender has to wait.
            for _ in 0..4 * ON_THE_WAY {
                sender.write_all(&[7; PIECE]).await.unwrap();
                count.send_modify(|count| *count += PIECE);
            }
        });
        let full = timeout(Duration::from_secs(60), counted.wait_for(|count| *count >= least));
        full.await.expect("a link keeps so much").unwrap();
        // Besides what is on its way: what is just read, what is just written, and the pipe of this test.
        assert!(*counted.borrow() <= least + 3 * PIECE, "{}", *counted.borrow());
        let mut byte = [0; 1];
        let reading = timeout(Duration::from_millis(50), receiver.read(&mut byte));
        assert!(reading.await.is_err(), "it is cut");
        told.send_replace(Condition::default());
        let mut rest = Vec::new();
        receiver.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest.len(), 4 * least);
        sending.await.unwrap();
    }

    #[test]
    fn lost_pieces_come_with_a_retransmission() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut seen = |loss_percent| {
            let condition = Condition {
                delay_ms: 10,
                loss_percent,
                is_cut: false,
            };
            let mut late: Vec<u128> = (0..1_000)
                .map(|_| lateness(condition, &mut random).as_millis())
                .collect();
            late.sort_unstable();
            late.dedup();
            late
        };
        assert_eq!(seen(0), [10]);
        assert_eq!(seen(100), [10 + 200 + 400 + 800 + 1_600 + 3_200]);
        assert_eq!(seen(50), [10, 210, 610, 1_410, 3_010, 6_210]);
    }
}
