//! Sources that are told no columns can be made when the hosts have registered their schemas: that is waited for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use osqdemo_registry_client::{Client, Part, Settings, SubjectNames};
use tokio::task::spawn_blocking;

use crate::kafka::registry_settings;
use crate::ksqldb::shipped::SOURCE_TOPICS;
use crate::stack::HttpService;
use crate::waiting::poll;

/// How often the registry is asked.
const POLL: Duration = Duration::from_millis(50);
/// How long one request may take.
const LIMIT: Duration = Duration::from_secs(5);

/// What is waited for.
#[derive(Debug, Clone, Default)]
pub(super) struct Missing(Arc<Mutex<Vec<String>>>);

impl Missing {
    /// What was missing when it was looked last: subjects, or why nobody knows.
    pub(super) fn last(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, missing: Vec<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = missing;
    }
}

/// Returns once the registry has a schema for the lines of each source.
pub(super) async fn until_registered(registry: &HttpService, missing: &Missing) {
    let settings = Settings {
        timeout: LIMIT,
        retries: 0,
        ..registry_settings(registry)
    };
    let wanted = SOURCE_TOPICS.map(|topic| SubjectNames::Topic.subject(topic, Part::Value, None));
    let client = match Client::new(settings) {
        Ok(client) => Arc::new(client),
        Err(error) => {
            missing.set(vec![error.to_string()]);
            return std::future::pending().await;
        }
    };
    poll(POLL, async || {
        let asking = Arc::clone(&client);
        let subjects = spawn_blocking(move || asking.subjects()).await;
        missing.set(match subjects {
            Ok(Ok(subjects)) => wanted
                .iter()
                .filter(|name| !subjects.contains(name))
                .cloned()
                .collect(),
            Ok(Err(error)) => vec![error.to_string()],
            Err(error) => vec![error.to_string()],
        });
        missing.last().is_empty().then_some(())
    })
    .await;
}
