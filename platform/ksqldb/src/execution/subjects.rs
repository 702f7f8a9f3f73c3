//! The subjects of a topic that is dropped with its source: deleted, now or when the registry is back.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::timeout;

use super::executor::Executor;
use crate::command_log::{CommandLog, Leavings};
use crate::metastore::Source;
use crate::plan;
use crate::registry::{Latest, RegistryError};

/// How long a start waits to be told of what earlier commands have left behind.
const HELD_UP: Duration = Duration::from_secs(2);

/// The subjects of a topic that is to go.
pub(super) struct Subjects {
    pub(super) topic: String,
    names: Vec<String>,
    /// What is known to be in them.
    latest: BTreeMap<String, Latest>,
    /// Why the registry could not be asked.
    away: Option<RegistryError>,
}

impl Subjects {
    /// What a crash, or the registry, may leave of them.
    pub(super) fn leavings(&self) -> Option<Leavings> {
        (!self.latest.is_empty()).then(|| Leavings {
            topic: self.topic.clone(),
            latest: self.latest.clone(),
        })
    }
}

impl Executor {
    /// The subjects of a source's topic, which is to go, and what is in them.
    pub(super) async fn subjects_of(&self, topic: &str, source: &Source) -> Subjects {
        let registry = self.runtime().registry();
        let mut subjects = Subjects {
            topic: topic.to_owned(),
            names: Vec::new(),
            latest: BTreeMap::new(),
            away: None,
        };
        for schema in plan::schemas_of(source) {
            let name = &schema.subject;
            subjects.names.push(name.clone());
            if subjects.away.is_none() {
                subjects.away = registry.latest(name).await.err().filter(RegistryError::is_away);
            }
            // While the registry is away, what was there before is all that is known to be the topic's.
            if let Some(latest) = registry.last_seen(name) {
                subjects.latest.insert(name.clone(), latest);
            }
        }
        subjects
    }

    /// Deletes the subjects of a topic that has gone. One that the registry refuses to delete does not keep the others.
    pub(super) async fn clear_away(&self, subjects: Subjects) -> Result<(), RegistryError> {
        if let Some(away) = subjects.away {
            return Err(away);
        }
        let mut refused = None;
        for subject in &subjects.names {
            match self.runtime().registry().delete(subject).await {
                Ok(()) => {}
                Err(error) if error.is_away() => return Err(error),
                Err(error) => refused = Some(error),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Deletes what earlier commands have left behind: not where their topic is there, again or still, and no subject that
    /// has become another. A registry that does not answer holds the start up for a moment only.
    pub(super) async fn clear_rest_away(&self, left: &[(i64, Leavings)]) {
        let mut log = self.commands.lock().await;
        self.clear_all_away(left, &mut log).await;
        log.tidy().await;
    }

    async fn clear_all_away(&self, left: &[(i64, Leavings)], log: &mut CommandLog) {
        let topics = match self.runtime().cluster().topics().await {
            Ok(topics) => topics,
            Err(error) => return tracing::warn!("the subjects of dropped topics are left: {error}"),
        };
        for (sequence, leavings) in left {
            let topic = &leavings.topic;
            if topics.contains_key(topic) {
                // They are the new topic's by now, also at any later start.
                tracing::info!("topic `{topic}` is there: its subjects are not deleted");
                log.note_cleared(*sequence);
                continue;
            }
            match self.clear_left_away(leavings).await {
                Ok(()) => {
                    log.note_cleared(*sequence);
                    tracing::info!("nothing is left of the subjects of the dropped topic `{topic}`");
                }
                Err(error) => {
                    tracing::warn!("the subjects of topic `{topic}` are left: {error}");
                    if error.is_away() {
                        return;
                    }
                }
            }
        }
    }

    /// Deletes the subjects that a topic has left behind, where they are what they were then.
    async fn clear_left_away(&self, leavings: &Leavings) -> Result<(), RegistryError> {
        let registry = self.runtime().registry();
        let mut refused = None;
        for (subject, latest) in &leavings.latest {
            let found = timeout(HELD_UP, registry.latest(subject)).await;
            let found =
                found.map_err(|_| RegistryError::Internal(format!("no answer within {HELD_UP:?}")))?;
            let cleared = match found {
                // A deletion that was asked for is waited for: it must not come after what is registered next.
                Ok(found) if Latest::from(&found) == *latest => registry.delete(subject).await,
                Ok(found) => {
                    let version = found.version;
                    tracing::info!(
                        "the subject `{subject}` is not deleted: somebody has registered its version {version}"
                    );
                    Ok(())
                }
                Err(error) if error.is_not_found() => Ok(()),
                Err(error) => Err(error),
            };
            match cleared {
                Ok(()) => {}
                Err(error) if error.is_away() => return Err(error),
                Err(error) => refused = Some(error),
            }
        }
        refused.map_or(Ok(()), Err)
    }
}
