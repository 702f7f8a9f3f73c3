//! The file that lists the topics: replaced as a whole, synced before a change is acknowledged.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::Error;
use crate::storage::directory::{Durability, Replaced, replace_file};
use crate::storage::disk::{Disk, read_all};

/// Its name in the data folder.
pub(crate) const FILE: &str = "catalog.json";
const FORMAT: u32 = 1;

/// What the file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Catalog {
    format: u32,
    /// The cluster's id.
    pub(crate) cluster_id: String,
    /// No producer id from here on has been handed out.
    pub(crate) next_producer_id: i64,
    /// What was altered of what stands for topics that do not say so themselves, by the topics' names for it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) defaults: BTreeMap<String, String>,
    /// The topics, by name.
    pub(crate) topics: BTreeMap<String, CatalogTopic>,
}

/// One topic in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CatalogTopic {
    /// Its id, as text.
    #[serde(with = "id_as_text")]
    pub(crate) id: Uuid,
    /// How many partitions it has.
    pub(crate) partitions: i32,
    /// The settings it overrides, by Kafka's names.
    pub(crate) settings: BTreeMap<String, String>,
}

impl Catalog {
    /// A catalog without topics.
    pub(crate) fn new(cluster_id: String) -> Self {
        Self {
            format: FORMAT,
            cluster_id,
            next_producer_id: 0,
            defaults: BTreeMap::new(),
            topics: BTreeMap::new(),
        }
    }

    /// Reads the file; `None` when there is none yet.
    pub(crate) fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Self>, Error> {
        let text = match read_all(disk, path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(Error::Storage {
                    action: "read",
                    path: path.to_owned(),
                    source,
                });
            }
        };
        let damaged = |reason| Error::Damaged {
            path: path.to_owned(),
            reason,
        };
        let catalog: Self = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        if catalog.format != FORMAT {
            return Err(damaged(format!(
                "format {} is not one this broker knows; a newer osqdemo wrote it: use that one",
                catalog.format
            )));
        }
        Ok(Some(catalog))
    }

    /// Replaces the file.
    pub(crate) fn write(&self, disk: &dyn Disk, path: &Path) -> io::Result<Replaced> {
        replace_file(disk, path, &serde_json::to_vec_pretty(self)?, Durability::Disk)
    }
}

mod id_as_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use uuid::Uuid;

    pub(super) fn serialize<S: Serializer>(id: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
        let text = String::deserialize(deserializer)?;
        Uuid::parse_str(&text).map_err(D::Error::custom)
    }
}
