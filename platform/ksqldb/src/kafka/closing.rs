//! Kafka clients that are closed on a thread of their own.

use std::ops::Deref;

/// A client. Letting go of one blocks until its threads have ended and the broker has answered, so that is done on
/// another thread. Nothing depends on the end of that thread, and nobody waits for it.
pub(crate) struct ClosedElsewhere<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> ClosedElsewhere<T> {
    pub(crate) fn new(client: T) -> Self {
        Self(Some(client))
    }
}

impl<T: Send + 'static> Deref for ClosedElsewhere<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("only `drop` takes the client")
    }
}

impl<T: Send + 'static> Drop for ClosedElsewhere<T> {
    fn drop(&mut self) {
        let client = self.0.take();
        let closing = std::thread::Builder::new().name("kafka-close".to_owned());
        if let Err(error) = closing.spawn(move || drop(client)) {
            tracing::warn!("a Kafka client was closed where it was in the way: {error}");
        }
    }
}
