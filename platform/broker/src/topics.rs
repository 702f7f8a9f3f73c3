//! The topics of the broker: their list, their settings, their partitions.
//!
//! The list lives in memory behind a lock and in one file that is replaced as a whole whenever it changes. Changes are
//! made one at a time; lookups never wait for the disk. Nothing here knows of requests.

pub(crate) mod catalog;
mod change;
mod error;
pub(crate) mod partition;
pub(crate) mod settings;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use self::catalog::{Catalog, CatalogTopic};
pub(crate) use self::error::TopicError;
use self::partition::Partition;
use self::settings::{Defaults, TopicSettings};
use crate::config::Config;
use crate::error::Error;
use crate::identity::random_uuid;
use crate::storage::directory::Replaced;
use crate::storage::disk::{Mode, SharedDisk};
use crate::storage::segment;

const TOPICS_FOLDER: &str = "topics";
/// Partitions for which a thread of their own is worth it.
const FEWEST_FOR_A_THREAD: usize = 100;
/// What the folder of a deleted topic ends in until it is gone; no topic's folder has it, for all end in an id.
const DELETED_SUFFIX: &str = "deleted";

/// A topic as it is at one moment; a change makes a new one.
#[derive(Debug)]
pub(crate) struct Topic {
    /// Its id, different when it is deleted and created again.
    pub(crate) id: Uuid,
    /// Its name.
    pub(crate) name: StrBytes,
    /// Its partitions, by index.
    pub(crate) partitions: Vec<Arc<Partition>>,
    /// Its settings.
    pub(crate) settings: TopicSettings,
}

impl Topic {
    /// One of its partitions.
    pub(crate) fn partition(&self, index: i32) -> Option<&Arc<Partition>> {
        self.partitions.get(usize::try_from(index).ok()?)
    }
}

/// Whether a change is made or only checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Commitment {
    /// It is made.
    Apply,
    /// It is checked, and nothing changes.
    ValidateOnly,
}

/// Which partition, of which topic.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The topic's name.
    pub(crate) topic: &'a str,
    /// The topic's id.
    pub(crate) id: Uuid,
    /// Which of its partitions.
    pub(crate) index: i32,
}

impl<'a> Place<'a> {
    /// Those of a topic.
    fn of(topic: &'a str, entry: &CatalogTopic) -> impl Iterator<Item = Self> + use<'a> {
        let id = entry.id;
        (0..entry.partitions).map(move |index| Self { topic, id, index })
    }
}

/// All topics of the broker.
#[derive(Debug)]
pub(crate) struct Topics {
    disk: SharedDisk,
    folder: PathBuf,
    catalog_path: PathBuf,
    /// What stands for topics that do not say so themselves; changed by whoever is changing the list.
    defaults: RwLock<Arc<Defaults>>,
    default_partitions: i32,
    stored_cluster_id: String,
    cluster_id: String,
    listed: RwLock<Listed>,
    /// Held by whoever changes the list, over the disk's work.
    changing: Mutex<ProducerIds>,
}

#[derive(Debug, Default)]
struct Listed {
    by_name: BTreeMap<StrBytes, Arc<Topic>>,
    by_id: HashMap<Uuid, Arc<Topic>>,
    /// Counts the changes.
    version: u64,
}

/// Producer ids: `next` is the next to hand out, ids below `reserved` may be handed out without asking the disk.
#[derive(Debug)]
struct ProducerIds {
    next: i64,
    reserved: i64,
}

impl Topics {
    /// Opens every topic in the data folder.
    pub(crate) fn open(disk: &SharedDisk, config: &Config) -> Result<Self, Error> {
        let folder = config.data_dir.join(TOPICS_FOLDER);
        let failed = |action, path: &PathBuf| {
            let path = path.clone();
            move |source| Error::Storage { action, path, source }
        };
        disk.create_folder(&folder).map_err(failed("create", &folder))?;
        let catalog_path = config.data_dir.join(catalog::FILE);
        let catalog = match Catalog::read(&**disk, &catalog_path)? {
            Some(catalog) => catalog,
            None => {
                let present = disk.list(&folder).map_err(failed("read", &folder))?;
                if !present.is_empty() {
                    // An empty list would make them strays, and their records are all there is.
                    return Err(Error::CatalogMissing {
                        path: catalog_path,
                        topics: folder,
                        count: present.len(),
                    });
                }
                let catalog = Catalog::new(random_uuid().simple().to_string());
                catalog
                    .write(&**disk, &catalog_path)
                    .and_then(Replaced::done)
                    .map_err(failed("write", &catalog_path))?;
                catalog
            }
        };
        let configured = config.retention.clone();
        let defaults = Defaults::new(configured.clone(), catalog.defaults.clone()).unwrap_or_else(|error| {
            tracing::warn!(%error, "stored settings of the broker ignored");
            Defaults::from(configured)
        });
        let topics = Self {
            disk: disk.clone(),
            defaults: RwLock::new(Arc::new(defaults)),
            default_partitions: config.default_partitions,
            stored_cluster_id: catalog.cluster_id.clone(),
            cluster_id: as_kafka_shows(&catalog.cluster_id),
            listed: RwLock::default(),
            changing: Mutex::new(ProducerIds {
                next: catalog.next_producer_id,
                reserved: catalog.next_producer_id,
            }),
            catalog_path,
            folder,
        };
        let every = catalog
            .topics
            .iter()
            .flat_map(|(name, entry)| Place::of(name, entry));
        let mut opened = topics
            .open_partitions(&every.collect::<Vec<_>>())
            .map_err(|(path, source)| failed("open", &path)(source))?
            .into_iter();
        for (name, entry) in &catalog.topics {
            let partitions = opened.by_ref().take(Place::of(name, entry).count()).collect();
            topics.list_topic(topics.topic(name, entry, partitions));
        }
        topics.remove_strays(&catalog);
        Ok(topics)
    }

    /// The cluster's id, made up when the data folder was, in the form that Kafka's own clients read.
    pub(crate) fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// Partitions of a topic whose creator asked for no particular number.
    pub(crate) fn default_partitions(&self) -> i32 {
        self.default_partitions
    }

    /// The settings that apply where topics do not override them.
    pub(crate) fn defaults(&self) -> Arc<Defaults> {
        let defaults = self.defaults.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&defaults)
    }

    /// The topic of that name.
    pub(crate) fn by_name(&self, name: &StrBytes) -> Option<Arc<Topic>> {
        self.listed().by_name.get(name).cloned()
    }

    /// The topic with that id.
    pub(crate) fn by_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        self.listed().by_id.get(&id).cloned()
    }

    /// Every topic, by name.
    pub(crate) fn all(&self) -> Vec<Arc<Topic>> {
        self.listed().by_name.values().cloned().collect()
    }

    /// Differs whenever the list does.
    pub(crate) fn version(&self) -> u64 {
        self.listed().version
    }

    /// The shortest time any topic lets a record wait to be synced, in milliseconds.
    pub(crate) fn shortest_flush_ms(&self) -> u64 {
        let listed = self.listed();
        let shortest = listed
            .by_name
            .values()
            .map(|topic| topic.settings.log().flush_ms)
            .min();
        shortest.map_or(u64::MAX, i64::unsigned_abs)
    }

    fn listed(&self) -> std::sync::RwLockReadGuard<'_, Listed> {
        self.listed.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn list_topic(&self, topic: Topic) -> Arc<Topic> {
        let topic = Arc::new(topic);
        let mut listed = self.listed.write().unwrap_or_else(PoisonError::into_inner);
        listed.by_name.insert(topic.name.clone(), Arc::clone(&topic));
        listed.by_id.insert(topic.id, Arc::clone(&topic));
        listed.version += 1;
        topic
    }

    /// The folder has the id in its name, so that a topic created anew never meets the files of the deleted one.
    fn topic_folder(&self, name: &str, id: Uuid) -> PathBuf {
        // A file name has at most 255 bytes; the id alone already makes it unique.
        let shown = &name[..name.len().min(200)];
        self.folder.join(format!("{shown}-{}", id.simple()))
    }

    fn open_topic(&self, name: &str, entry: &CatalogTopic) -> io::Result<Topic> {
        let places: Vec<_> = Place::of(name, entry).collect();
        let partitions = self.open_partitions(&places).map_err(|(_, error)| error)?;
        Ok(self.topic(name, entry, partitions))
    }

    fn topic(&self, name: &str, entry: &CatalogTopic, partitions: Vec<Arc<Partition>>) -> Topic {
        let defaults = self.defaults();
        let settings = TopicSettings::new(entry.settings.clone(), &defaults).unwrap_or_else(|error| {
            tracing::warn!(topic = name, %error, "stored settings ignored");
            TopicSettings::defaults(&defaults)
        });
        Topic {
            id: entry.id,
            name: StrBytes::from_string(name.to_owned()),
            partitions,
            settings,
        }
    }

    /// Opens partitions, several at a time where the disk serves several; in their order. An error comes with the folder.
    fn open_partitions(&self, places: &[Place<'_>]) -> Result<Vec<Arc<Partition>>, (PathBuf, io::Error)> {
        let share = places
            .len()
            .div_ceil(self.disk.callers())
            .max(FEWEST_FOR_A_THREAD);
        let open = |part: &[Place<'_>]| -> Result<Vec<_>, _> {
            part.iter()
                .map(|place| match self.open_partition(place) {
                    Ok(partition) => Ok(Arc::new(partition)),
                    Err(error) => Err((self.topic_folder(place.topic, place.id), error)),
                })
                .collect()
        };
        let parts = thread::scope(|scope| {
            let mut parts = places.chunks(share);
            let first = parts.next().unwrap_or_default();
            let others: Vec<_> = parts.map(|part| scope.spawn(move || open(part))).collect();
            let first = open(first);
            let others = others
                .into_iter()
                .map(|other| other.join().unwrap_or_else(|panic| resume_unwind(panic)));
            [first].into_iter().chain(others).collect::<Result<Vec<_>, _>>()
        })?;
        Ok(parts.concat())
    }

    fn open_partition(&self, place: &Place<'_>) -> io::Result<Partition> {
        let folder = self
            .topic_folder(place.topic, place.id)
            .join(place.index.to_string());
        Partition::open(&self.disk, place.topic, place.index, &folder)
    }

    /// Removes the folders of topics that are not in the catalog: created or deleted half-way when the broker died.
    ///
    /// One with records in it that nobody asked to delete stays: the catalog may be an old one that was put back.
    fn remove_strays(&self, catalog: &Catalog) {
        let known: std::collections::HashSet<PathBuf> = catalog
            .topics
            .iter()
            .map(|(name, entry)| self.topic_folder(name, entry.id))
            .collect();
        let Ok(paths) = self.disk.list(&self.folder) else {
            return;
        };
        for path in paths.into_iter().filter(|path| !known.contains(path)) {
            let deleted = path.extension().is_some_and(|suffix| suffix == DELETED_SUFFIX);
            if !deleted && self.has_records(&path) {
                tracing::error!(path = %path.display(), "the list of topics does not have this folder, which holds records; it is left alone");
                continue;
            }
            tracing::info!(path = %path.display(), "removing the folder of a topic that does not exist");
            if let Err(error) = self.disk.remove_folder(&path) {
                tracing::warn!(path = %path.display(), %error, "cannot remove the folder");
            }
        }
    }

    /// Whether any file of a topic's folder holds anything; also when that cannot be told.
    fn has_records(&self, folder: &Path) -> bool {
        let partitions = self.disk.list(folder).unwrap_or_default();
        partitions.iter().any(|partition| {
            let segments = segment::list(&*self.disk, partition).unwrap_or_default();
            segments.iter().any(|(_, path)| {
                let size = self.disk.open(path, Mode::Read).and_then(|file| file.size());
                size.is_ok_and(|size| size > 0)
            })
        })
    }
}

/// A UUID as Kafka writes it: its bytes in URL-safe base64.
fn as_kafka_shows(id: &str) -> String {
    Uuid::parse_str(id).map_or_else(|_| id.to_owned(), |id| URL_SAFE_NO_PAD.encode(id.as_bytes()))
}

#[cfg(test)]
mod tests;
