//! Changes to the list of topics: one at a time, in the file before they show.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, MutexGuard, PoisonError};

use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::catalog::{Catalog, CatalogTopic};
use super::settings::{InvalidSetting, TopicSettings};
use super::{Commitment, DELETED_SUFFIX, Place, ProducerIds, Topic, TopicError, Topics};
use crate::identity::random_uuid;
use crate::storage::directory::Replaced;

/// More partitions than this in one topic are a mistake on one machine.
const MAX_PARTITIONS: i32 = 10_000;
/// Kafka's own limit; the name becomes part of a folder's name.
const MAX_NAME_LEN: usize = 249;
/// Topics of Kafka's own: whoever reads them would wait for ever for what is not written there.
const INTERNAL: &[&str] = &["__consumer_offsets", "__transaction_state", "__cluster_metadata"];
/// Producer ids taken from the catalog at once, so that handing one out rarely touches the disk.
const PRODUCER_ID_BLOCK: i64 = 1000;

impl Topics {
    /// Creates a topic; `-1` partitions stands for the default.
    pub(crate) fn create(
        &self,
        name: &StrBytes,
        partitions: i32,
        overrides: BTreeMap<String, String>,
        commitment: Commitment,
    ) -> Result<Arc<Topic>, TopicError> {
        check_name(name)?;
        let changing = self.change();
        if self.by_name(name).is_some() {
            return Err(TopicError::Exists {
                name: name.to_string(),
            });
        }
        // Kafka makes one name of both in its metrics.
        let alike = |other: &str| other.replace('.', "_") == name.replace('.', "_");
        if self.listed().by_name.keys().any(|other| alike(other)) {
            return Err(TopicError::Name {
                name: name.to_string(),
                reason: "it differs from another topic's in nothing but `.` and `_`",
            });
        }
        let partitions = match partitions {
            -1 => self.default_partitions,
            1..=MAX_PARTITIONS => partitions,
            _ => return Err(TopicError::Partitions(partitions)),
        };
        let entry = CatalogTopic {
            id: random_uuid(),
            partitions,
            settings: overrides,
        };
        let settings = TopicSettings::new(entry.settings.clone(), &self.defaults())?;
        if commitment == Commitment::ValidateOnly {
            return Ok(Arc::new(Topic {
                id: Uuid::nil(),
                name: name.clone(),
                partitions: Vec::new(),
                settings,
            }));
        }
        let opened = self.open_topic(name, &entry);
        let folder = self.topic_folder(name, entry.id);
        let stored = opened.and_then(|topic| {
            self.disk.sync_folder(&folder)?;
            self.disk.sync_folder(&self.folder)?;
            let mut catalog = self.catalog(&changing);
            catalog.topics.insert(name.to_string(), entry);
            Ok((topic, catalog.write(&*self.disk, &self.catalog_path)?))
        });
        match stored {
            Ok((topic, replaced)) => {
                // The list names it now, so it exists whatever became of the sync.
                let topic = self.list_topic(topic);
                replaced.done()?;
                Ok(topic)
            }
            Err(error) => {
                // A stray folder without records is removed at the next start too.
                let _ = self.disk.remove_folder(&folder);
                Err(error.into())
            }
        }
    }

    /// Deletes a topic and its records.
    pub(crate) fn delete(&self, name: &StrBytes) -> Result<Arc<Topic>, TopicError> {
        let changing = self.change();
        let topic = self.by_name(name).ok_or(TopicError::Unknown)?;
        let mut catalog = self.catalog(&changing);
        catalog.topics.remove(name.as_str());
        let replaced = catalog.write(&*self.disk, &self.catalog_path)?;
        {
            let mut listed = self.listed.write().unwrap_or_else(PoisonError::into_inner);
            listed.by_name.remove(name);
            listed.by_id.remove(&topic.id);
            listed.version += 1;
        }
        for partition in &topic.partitions {
            partition.retire();
        }
        // While the list may come back with the topic in it, its records stay.
        replaced.done()?;
        let folder = self.topic_folder(name, topic.id);
        // Renamed first: only a folder of that name may be removed at the next start with records in it.
        let doomed = folder.with_extension(DELETED_SUFFIX);
        let removed = self
            .disk
            .rename(&folder, &doomed)
            .and_then(|()| self.disk.remove_folder(&doomed));
        if let Err(error) = removed {
            tracing::warn!(path = %folder.display(), %error, "cannot remove a deleted topic's folder; it goes at the next start");
        }
        Ok(topic)
    }

    /// Gives a topic more partitions; where replicas were assigned, to each of the new ones.
    pub(crate) fn grow(
        &self,
        name: &StrBytes,
        partitions: i32,
        assigned: Option<usize>,
        commitment: Commitment,
    ) -> Result<(), TopicError> {
        let changing = self.change();
        let topic = self.by_name(name).ok_or(TopicError::Unknown)?;
        let present = topic.partitions.len() as i32;
        if partitions <= present || partitions > MAX_PARTITIONS {
            return Err(TopicError::Partitions(partitions));
        }
        if assigned.is_some_and(|assigned| i32::try_from(assigned) != Ok(partitions - present)) {
            return Err(TopicError::Assignment);
        }
        if commitment == Commitment::ValidateOnly {
            return Ok(());
        }
        let mut grown = topic.partitions.clone();
        for index in present..partitions {
            let (topic, id) = (name.as_str(), topic.id);
            grown.push(Arc::new(self.open_partition(&Place { topic, id, index })?));
        }
        self.disk.sync_folder(&self.topic_folder(name, topic.id))?;
        let mut catalog = self.catalog(&changing);
        if let Some(entry) = catalog.topics.get_mut(name.as_str()) {
            entry.partitions = partitions;
        }
        let replaced = catalog.write(&*self.disk, &self.catalog_path)?;
        self.list_topic(Topic {
            id: topic.id,
            name: topic.name.clone(),
            partitions: grown,
            settings: topic.settings.clone(),
        });
        replaced.done()?;
        Ok(())
    }

    /// Changes a topic's settings: `change` is given the present overrides and edits them.
    pub(crate) fn configure(
        &self,
        name: &StrBytes,
        commitment: Commitment,
        change: impl FnOnce(&mut BTreeMap<String, String>) -> Result<(), InvalidSetting>,
    ) -> Result<(), TopicError> {
        let changing = self.change();
        let topic = self.by_name(name).ok_or(TopicError::Unknown)?;
        let mut overrides = topic.settings.overrides().clone();
        change(&mut overrides)?;
        let settings = TopicSettings::new(overrides.clone(), &self.defaults())?;
        if commitment == Commitment::ValidateOnly {
            return Ok(());
        }
        let mut catalog = self.catalog(&changing);
        if let Some(entry) = catalog.topics.get_mut(name.as_str()) {
            entry.settings = overrides;
        }
        let replaced = catalog.write(&*self.disk, &self.catalog_path)?;
        self.list_topic(Topic {
            id: topic.id,
            name: topic.name.clone(),
            partitions: topic.partitions.clone(),
            settings,
        });
        replaced.done()?;
        Ok(())
    }

    /// Changes what stands for topics that do not say so themselves: `change` is given what was altered so far, by the
    /// topics' names, and edits it.
    pub(crate) fn configure_defaults(
        &self,
        commitment: Commitment,
        change: impl FnOnce(&mut BTreeMap<String, String>) -> Result<(), InvalidSetting>,
    ) -> Result<(), TopicError> {
        let changing = self.change();
        let present = self.defaults();
        let mut altered = present.altered().clone();
        change(&mut altered)?;
        let defaults = present.altered_to(altered)?;
        let mut settings = Vec::new();
        for topic in self.all() {
            let overrides = topic.settings.overrides().clone();
            settings.push((TopicSettings::new(overrides, &defaults)?, topic));
        }
        if commitment == Commitment::ValidateOnly {
            return Ok(());
        }
        let mut catalog = self.catalog(&changing);
        catalog.defaults.clone_from(defaults.altered());
        let replaced = catalog.write(&*self.disk, &self.catalog_path)?;
        *self.defaults.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(defaults);
        for (settings, topic) in settings {
            self.list_topic(Topic {
                id: topic.id,
                name: topic.name.clone(),
                partitions: topic.partitions.clone(),
                settings,
            });
        }
        replaced.done()?;
        Ok(())
    }

    /// A producer id no producer has had before, over restarts too.
    pub(crate) fn next_producer_id(&self) -> io::Result<i64> {
        let mut ids = self.change();
        if ids.next == ids.reserved {
            let mut catalog = self.catalog(&ids);
            catalog.next_producer_id = ids.next + PRODUCER_ID_BLOCK;
            catalog
                .write(&*self.disk, &self.catalog_path)
                .and_then(Replaced::done)?;
            ids.reserved = catalog.next_producer_id;
        }
        ids.next += 1;
        Ok(ids.next - 1)
    }

    fn change(&self) -> MutexGuard<'_, ProducerIds> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The catalog of what is listed now; only whoever is changing it may ask.
    fn catalog(&self, changing: &ProducerIds) -> Catalog {
        let mut catalog = Catalog::new(self.stored_cluster_id.clone());
        catalog.next_producer_id = changing.reserved;
        catalog.defaults.clone_from(self.defaults().altered());
        for (name, topic) in &self.listed().by_name {
            let entry = CatalogTopic {
                id: topic.id,
                partitions: topic.partitions.len() as i32,
                settings: topic.settings.overrides().clone(),
            };
            catalog.topics.insert(name.to_string(), entry);
        }
        catalog
    }
}

fn check_name(name: &str) -> Result<(), TopicError> {
    let reason = if name.is_empty() {
        "it is empty"
    } else if name == "." || name == ".." {
        "it is a folder's name"
    } else if INTERNAL.contains(&name) {
        "it is one that Kafka keeps its own state in; what is in it is asked for by requests here"
    } else if name.len() > MAX_NAME_LEN {
        "it is longer than 249 characters"
    } else if !name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    {
        "only ASCII letters, digits, `.`, `_` and `-` are allowed"
    } else {
        return Ok(());
    };
    Err(TopicError::Name {
        name: name.to_owned(),
        reason,
    })
}
