//! What a request does. Reading looks at what is known; a change is decided on what is known, written, and answered
//! after it was read back. One change at a time, so that what one was decided on still holds when it is written.

pub(crate) mod compatibility;
mod delete;
pub(crate) mod lookup;
mod prepared;
mod register;
mod settings;

use std::sync::{Arc, RwLockReadGuard};

use tokio::sync::{Mutex, watch};
use tokio_util::task::TaskTracker;

use crate::refusal::Refusal;
use crate::storage::{Log, LogError, Record, State};

pub(crate) use prepared::SchemaRequest;
pub(crate) use settings::SettingsRequest;

/// A registry over one topic.
pub(crate) struct Registry {
    log: Arc<Log>,
    turn: Mutex<Turn>,
    readiness: watch::Receiver<Readiness>,
    /// Changes, which go on when the client that asked for one is gone.
    changes: TaskTracker,
}

/// Whether the topic was read to its end.
#[derive(Debug, Clone)]
pub(crate) enum Readiness {
    /// Not yet, and why.
    Waiting(String),
    Ready,
}

/// What whoever is about to change something has to know.
#[derive(Debug, Default)]
struct Turn {
    /// Whether a record may be in the topic that was not read yet.
    is_uncertain: bool,
}

impl Registry {
    pub(crate) fn new(
        log: Arc<Log>,
        readiness: watch::Receiver<Readiness>,
        changes: TaskTracker,
    ) -> Arc<Self> {
        Arc::new(Self {
            log,
            turn: Mutex::default(),
            readiness,
            changes,
        })
    }

    /// What is known.
    pub(crate) fn state(&self) -> Result<RwLockReadGuard<'_, State>, Refusal> {
        match &*self.readiness.borrow() {
            Readiness::Ready => Ok(self.log.state()),
            Readiness::Waiting(reason) => Err(Refusal::store(format!(
                "The store is not read to its end yet: {reason}"
            ))),
        }
    }

    /// The id of the Kafka cluster.
    pub(crate) async fn cluster_id(&self) -> Result<String, Refusal> {
        let id = self.log.cluster_id().await;
        id.ok_or_else(|| Refusal::store("Kafka does not say the id of its cluster"))
    }

    /// Decides on a change and carries it out. What is answered holds for everybody who asks from then on.
    pub(crate) async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        decide: impl FnOnce(&State) -> Result<(Vec<Record>, T), Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let registry = Arc::clone(self);
        let changing = self
            .changes
            .spawn(async move { registry.change_in_turn(decide).await });
        changing.await.unwrap_or_else(|error| {
            tracing::error!("a change failed: {error}");
            Err(Refusal::internal())
        })
    }

    async fn change_in_turn<T>(
        &self,
        decide: impl FnOnce(&State) -> Result<(Vec<Record>, T), Refusal>,
    ) -> Result<T, Refusal> {
        let mut turn = self.turn.lock().await;
        // Not ready is no reason to decide on what is half known.
        drop(self.state()?);
        self.is_writer()?;
        if turn.is_uncertain {
            self.log.write(&[Record::Noop]).await.map_err(refusal)?;
            turn.is_uncertain = false;
            self.is_writer()?;
        }
        let repairs = self.log.state().repairs();
        let (changes, answer) = decide(&*self.state()?)?;
        let records: Vec<Record> = repairs.into_iter().chain(changes).collect();
        if records.is_empty() {
            return Ok(answer);
        }
        if let Err(error) = self.log.write(&records).await {
            turn.is_uncertain = true;
            return Err(refusal(error));
        }
        self.is_writer()?;
        Ok(answer)
    }

    fn is_writer(&self) -> Result<(), Refusal> {
        if self.log.state().writer() == Some(self.log.writer()) {
            return Ok(());
        }
        Err(Refusal::not_the_writer(
            "Another Schema Registry writes to this store since it started; this one answers what is asked and changes \
             nothing. hint: stop one of the two",
        ))
    }
}

fn refusal(error: LogError) -> Refusal {
    match error {
        LogError::TooLarge => Refusal::too_large("Write failed because schema is too large"),
        LogError::TimedOut(_) => Refusal::timed_out("Register operation timed out"),
        LogError::Away(_) | LogError::Unusable { .. } => {
            Refusal::store(format!("Error while writing to the backend Kafka store: {error}"))
        }
    }
}
