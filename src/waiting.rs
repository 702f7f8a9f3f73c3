//! The one place that lets time pass. Whoever waits for something looks for it, again and again, with a deadline; a bare
//! sleep is either too short or too long, so nothing else here may sleep (`clippy.toml`). And waits that are felt are
//! told: a silence reads as a hang.

#![expect(
    clippy::disallowed_methods,
    reason = "what waits everywhere else is made of this"
)]

use std::thread;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long waiting for an answer may take without being told.
pub const UNFELT: Duration = Duration::from_secs(3);

/// Looks until there is something, with a pause between two looks. Who calls it gives up by dropping it.
pub async fn poll<T, F: Future<Output = Option<T>>>(pause: Duration, mut look: impl FnMut() -> F) -> T {
    loop {
        if let Some(found) = look().await {
            return found;
        }
        sleep(pause).await;
    }
}

/// The same, until the time is over. It is looked once more at the end.
pub async fn poll_within<T, F: Future<Output = Option<T>>>(
    limit: Duration,
    pause: Duration,
    mut look: impl FnMut() -> F,
) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        let is_over = Instant::now() >= deadline;
        match look().await {
            None if !is_over => sleep(pause).await,
            found => return found,
        }
    }
}

/// The same in a thread that may block, for as long as somebody still wants to know.
pub fn poll_blocking<T>(
    pause: Duration,
    is_wanted: impl Fn() -> bool,
    mut look: impl FnMut() -> Option<T>,
) -> Option<T> {
    while is_wanted() {
        if let Some(found) = look() {
            return Some(found);
        }
        thread::sleep(pause);
    }
    None
}

/// Waits before something that failed is tried again: there is nothing to look at that would tell when.
pub async fn before_next_try(pause: Duration) {
    sleep(pause).await;
}

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
    use std::future::ready;

    use tokio::sync::oneshot;

    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn it_is_looked_until_there_is_something() {
        let mut looks = 0;
        let found = poll(MOMENT, || {
            looks += 1;
            ready((looks == 3).then_some(looks))
        });
        assert_eq!(found.await, 3);
        let mut looks = 0;
        let found = poll_blocking(
            MOMENT,
            || true,
            || {
                looks += 1;
                (looks == 3).then_some(looks)
            },
        );
        assert_eq!(found, Some(3));
    }

    #[tokio::test]
    async fn it_is_looked_at_least_once_and_not_for_ever() {
        let mut looks = 0;
        let nothing = poll_within(Duration::ZERO, MOMENT, || {
            looks += 1;
            ready(None::<()>)
        });
        assert_eq!(nothing.await, None);
        assert_eq!(looks, 1);
        assert_eq!(
            poll_within(Duration::ZERO, MOMENT, || ready(Some(1))).await,
            Some(1)
        );
        assert_eq!(
            poll_blocking(MOMENT, || false, || Some(1)),
            None,
            "nobody wants to know"
        );
    }

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
