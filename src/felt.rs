//! Waits that are felt: a silence reads as a hang, so work that takes long says what it waits for.

use std::time::Duration;

use tokio::time::sleep;

/// How long waiting for an answer may take without being told.
pub const UNFELT: Duration = Duration::from_secs(3);

/// Does `work`; calls `tell` once when it takes longer than `unfelt`.
pub async fn telling_when_felt<T>(unfelt: Duration, tell: impl FnOnce(), work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    tokio::select! {
        biased;
        done = &mut work => done,
        () = sleep(unfelt) => {
            tell();
            work.await
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_is_done_at_once_is_not_told() {
        let done = telling_when_felt(Duration::MAX, || panic!("nobody feels that"), async { 1 });
        assert_eq!(done.await, 1);
    }

    #[tokio::test]
    async fn what_takes_long_is_told_while_it_lasts() {
        // The work ends when it was told, and not before.
        let (sender, told) = oneshot::channel();
        let tell = || sender.send(2).expect("the work is not done");
        let done = telling_when_felt(Duration::from_millis(1), tell, told);
        assert_eq!(done.await, Ok(2));
    }
}
