//! What the records add up to. Every registry that reads the same topic comes to the same.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::record::{Key, Mode, Record, SchemaRecord, Settings};
use crate::schema::{Content, Hash};
use crate::subject::Subject;

/// A version of a subject.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) subject: Subject,
    pub(crate) version: u32,
    pub(crate) id: u32,
    pub(crate) is_deleted: bool,
    /// Shared between all versions that have it.
    pub(crate) content: Arc<Content>,
    pub(crate) hash: Hash,
}

/// The versions of a subject, in their order. Most subjects have few: a list takes a tenth of a tree.
#[derive(Debug, Default)]
pub(crate) struct Versions(Vec<Stored>);

impl Versions {
    fn place(&self, version: u32) -> Result<usize, usize> {
        self.0.binary_search_by_key(&version, |stored| stored.version)
    }

    fn get(&self, version: u32) -> Option<&Stored> {
        self.place(version).ok().map(|place| &self.0[place])
    }

    fn put(&mut self, stored: Stored) {
        match self.place(stored.version) {
            Ok(place) => self.0[place] = stored,
            Err(place) => self.0.insert(place, stored),
        }
    }

    fn remove(&mut self, version: u32) -> Option<Stored> {
        self.place(version).ok().map(|place| self.0.remove(place))
    }

    /// Those of the subject, deleted ones too.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Stored> {
        self.0.iter()
    }
}

/// The ids of one context.
#[derive(Debug, Default)]
struct Ids {
    /// Who has an id, in order; nobody any more for one that was given up.
    holders: HashMap<u32, Vec<(Subject, u32)>>,
    by_hash: HashMap<Hash, u32>,
    /// The largest id that was ever seen.
    last: u32,
}

/// Everything that is known.
#[derive(Debug, Default)]
pub(crate) struct State {
    subjects: BTreeMap<Subject, Versions>,
    ids: HashMap<String, Ids>,
    contexts: BTreeSet<String>,
    settings: HashMap<Option<String>, Settings>,
    modes: HashMap<Option<String>, Mode>,
    /// Who wrote last that it writes from now on.
    writer: Option<String>,
    /// Records that do not hold, and what holds instead of them.
    rejected: BTreeMap<Key, Record>,
}

impl State {
    /// Takes in a record, in the order of the topic.
    ///
    /// A registry that was replaced by another one may still write a record that it had decided on. Whoever reads the
    /// topic sees that by the order of the records, and passes it over.
    pub(crate) fn apply(&mut self, record: Record, writer: Option<&str>) {
        if record == Record::Noop {
            if let Some(writer) = writer {
                self.writer = Some(writer.to_owned());
            }
            return;
        }
        let key = record.key();
        // Before the first registry that is known to have taken over, anybody may have written: compaction keeps the last
        // such record only.
        let is_replaced = matches!((writer, &self.writer), (Some(writer), Some(known)) if known != writer);
        if is_replaced {
            self.reject(key);
            return;
        }
        self.rejected.remove(&key);
        match record {
            Record::Schema(record) => self.put(key, record),
            Record::SchemaGone { subject, version } => self.forget(&Subject::new(&subject), version),
            Record::Config { subject, settings } => set(&mut self.settings, subject, settings),
            Record::Mode { subject, mode } => set(&mut self.modes, subject, mode),
            Record::DeleteSubject { subject, version } => {
                let versions = self.subjects.get_mut(&Subject::new(&subject));
                for stored in versions.into_iter().flat_map(|versions| &mut versions.0) {
                    stored.is_deleted |= stored.version <= version;
                }
            }
            Record::ClearSubject { subject } => {
                let subject = Subject::new(&subject);
                let deleted: Vec<u32> = self
                    .versions(&subject)
                    .filter(|stored| stored.is_deleted)
                    .map(|s| s.version)
                    .collect();
                for version in deleted {
                    self.forget(&subject, version);
                }
            }
            Record::Context { context } => {
                self.contexts.insert(context);
            }
            Record::Noop | Record::Gone(_) => {}
        }
    }

    fn put(&mut self, key: Key, record: SchemaRecord) {
        let subject = Subject::new(&record.subject);
        let content = Content {
            // Records with another type were refused when they were read.
            schema_type: record.schema_type().unwrap_or_default(),
            text: record.schema,
            references: record.references.unwrap_or_default(),
            metadata: record.metadata,
            rule_set: record.rule_set,
        };
        let hash = content.hash();
        let ids = self.ids.entry(subject.context().to_owned()).or_default();
        let place = (subject.clone(), record.version);
        let other = ids
            .holders
            .get(&record.id)
            .and_then(|holders| holders.iter().find(|holder| **holder != place))
            .cloned();
        let other = other.and_then(|(subject, version)| self.get(&subject, version));
        let content = match other {
            Some(other) if other.hash == hash => Arc::clone(&other.content),
            // An id means one thing.
            Some(_) => {
                tracing::warn!(
                    "version {} of `{subject}` has the id {} of another schema, and does not count",
                    record.version,
                    record.id
                );
                self.reject(key);
                return;
            }
            None => Arc::new(content),
        };
        self.forget(&subject, record.version);
        let ids = self.ids.entry(subject.context().to_owned()).or_default();
        ids.last = ids.last.max(record.id);
        let holders = ids.holders.entry(record.id).or_default();
        if let Err(at) = holders.binary_search(&place) {
            holders.insert(at, place);
        }
        // The smallest id is the one that is found, whatever a client imported afterwards.
        let found = ids.by_hash.entry(hash).or_insert(record.id);
        *found = (*found).min(record.id);
        let stored = Stored {
            subject: subject.clone(),
            version: record.version,
            id: record.id,
            is_deleted: record.deleted,
            content,
            hash,
        };
        self.subjects.entry(subject).or_default().put(stored);
    }

    fn forget(&mut self, subject: &Subject, version: u32) {
        let Some(versions) = self.subjects.get_mut(subject) else {
            return;
        };
        let gone = versions.remove(version);
        if versions.0.is_empty() {
            self.subjects.remove(subject);
        }
        let (Some(gone), Some(ids)) = (gone, self.ids.get_mut(subject.context())) else {
            return;
        };
        if let Some(holders) = ids.holders.get_mut(&gone.id) {
            holders.retain(|(holder, held)| (holder, *held) != (subject, version));
            if holders.is_empty() {
                ids.holders.remove(&gone.id);
                if ids.by_hash.get(&gone.hash) == Some(&gone.id) {
                    ids.by_hash.remove(&gone.hash);
                }
            }
        }
    }

    /// Notes that the record of a key does not hold, and what does.
    fn reject(&mut self, key: Key) {
        let holds = match &key {
            Key::Schema { subject, version } => match self.get(&Subject::new(subject), *version) {
                Some(stored) => Record::Schema(stored.record()),
                None => Record::SchemaGone {
                    subject: subject.clone(),
                    version: *version,
                },
            },
            Key::Config { subject } => Record::Config {
                subject: subject.clone(),
                settings: self.settings.get(subject).cloned(),
            },
            Key::Mode { subject } => Record::Mode {
                subject: subject.clone(),
                mode: self.modes.get(subject).copied(),
            },
            Key::Context { context, .. } if self.contexts.contains(context) => Record::Context {
                context: context.clone(),
            },
            key => Record::Gone(key.clone()),
        };
        self.rejected.insert(key, holds);
    }

    /// What has to be written so that records that do not hold are not found by whoever reads the topic later.
    pub(crate) fn repairs(&self) -> Vec<Record> {
        self.rejected.values().cloned().collect()
    }

    /// Who writes.
    pub(crate) fn writer(&self) -> Option<&str> {
        self.writer.as_deref()
    }

    /// A version, deleted or not.
    pub(crate) fn get(&self, subject: &Subject, version: u32) -> Option<&Stored> {
        self.subjects.get(subject)?.get(version)
    }

    /// The versions of a subject, deleted ones too, in their order.
    pub(crate) fn versions(&self, subject: &Subject) -> impl DoubleEndedIterator<Item = &Stored> {
        self.subjects.get(subject).into_iter().flat_map(Versions::iter)
    }

    /// Every version, by subject.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Stored> {
        self.subjects.values().flat_map(Versions::iter)
    }

    /// The subjects, those with deleted versions only too, in their order.
    pub(crate) fn subjects(&self) -> impl Iterator<Item = (&Subject, &Versions)> {
        self.subjects.iter()
    }

    /// The versions that have an id.
    pub(crate) fn with_id(&self, context: &str, id: u32) -> impl Iterator<Item = &Stored> {
        let holders = self.ids.get(context).and_then(|ids| ids.holders.get(&id));
        let holders = holders.into_iter().flatten();
        holders.filter_map(|(subject, version)| self.get(subject, *version))
    }

    /// The id of a content.
    pub(crate) fn id_of(&self, context: &str, hash: &Hash) -> Option<u32> {
        self.ids.get(context)?.by_hash.get(hash).copied()
    }

    /// The contexts and ids of a content.
    pub(crate) fn ids_of(&self, hash: &Hash) -> Vec<(&str, u32)> {
        let found = self.ids.iter();
        let found = found.filter_map(|(context, ids)| Some((context.as_str(), *ids.by_hash.get(hash)?)));
        let mut found: Vec<_> = found.collect();
        found.sort_unstable();
        found
    }

    /// The largest id of a context so far.
    pub(crate) fn last_id(&self, context: &str) -> u32 {
        self.ids.get(context).map_or(0, |ids| ids.last)
    }

    /// The contexts besides the default one.
    pub(crate) fn contexts(&self) -> impl Iterator<Item = &str> {
        self.contexts.iter().map(String::as_str)
    }

    /// The settings of a subject, or of everything, as they were set.
    pub(crate) fn settings(&self, subject: Option<&str>) -> Option<&Settings> {
        self.settings.get(&subject.map(str::to_owned))
    }

    /// The mode of a subject, or of everything, as it was set.
    pub(crate) fn mode(&self, subject: Option<&str>) -> Option<Mode> {
        self.modes.get(&subject.map(str::to_owned)).copied()
    }
}

impl Stored {
    /// Its record.
    pub(crate) fn record(&self) -> SchemaRecord {
        let Content {
            schema_type,
            text,
            references,
            metadata,
            rule_set,
        } = self.content.as_ref();
        SchemaRecord {
            subject: self.subject.as_str().to_owned(),
            version: self.version,
            id: self.id,
            schema_type: (*schema_type != crate::schema::SchemaType::Avro)
                .then(|| schema_type.word().to_owned()),
            references: (!references.is_empty()).then(|| references.clone()),
            metadata: metadata.clone(),
            rule_set: rule_set.clone(),
            schema: text.clone(),
            deleted: self.is_deleted,
        }
    }
}

fn set<T>(map: &mut HashMap<Option<String>, T>, subject: Option<String>, value: Option<T>) {
    match value {
        Some(value) => {
            map.insert(subject, value);
        }
        None => {
            map.remove(&subject);
        }
    }
}

#[cfg(test)]
mod tests;
