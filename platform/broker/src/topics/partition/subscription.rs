//! Who waits for a partition to grow.

use std::sync::{Arc, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Partition;

/// A consumer's wish to be woken; ends when dropped.
#[derive(Debug)]
pub(crate) struct Subscription {
    partition: Arc<Partition>,
    notify: Arc<Notify>,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut waiting = self.partition.waiting();
        if let Some(position) = waiting
            .iter()
            .position(|notify| Arc::ptr_eq(notify, &self.notify))
        {
            waiting.swap_remove(position);
        }
    }
}

impl Partition {
    /// Has `notify` called whenever the log grows, until the subscription is dropped.
    pub(crate) fn subscribe(self: &Arc<Self>, notify: &Arc<Notify>) -> Subscription {
        self.waiting().push(Arc::clone(notify));
        Subscription {
            partition: Arc::clone(self),
            notify: Arc::clone(notify),
        }
    }

    pub(super) fn wake(&self) {
        for notify in self.waiting().iter() {
            notify.notify_one();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Arc<Notify>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
