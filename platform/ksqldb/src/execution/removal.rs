//! What `DROP` takes away, and what stands in its way.

use super::catalog::{Catalog, Change, Circumstances, Decision, capitalised, change, lower, refused};
use super::failure::{ErrorCode, Refusal};
use crate::queries::PersistentQuery;
use crate::syntax::ast::SourceKind;

impl Catalog {
    pub(super) fn decide_drop(
        &self,
        kind: SourceKind,
        name: &str,
        if_exists: bool,
        delete_topic: bool,
        circumstances: Circumstances<'_>,
    ) -> Result<Decision, Refusal> {
        let command_id = format!("{}/{name}/drop", lower(kind));
        let Some(source) = self.metastore.get(name) else {
            if if_exists {
                return Ok(change(Change {
                    command_id,
                    message: format!("Source `{name}` does not exist."),
                    ..Change::default()
                }));
            }
            if delete_topic {
                let message = format!(
                    "Could not find source to delete topic for: {}",
                    circumstances.text
                );
                return Err(Refusal::new(ErrorCode::BadRequest, message));
            }
            return refused(format!("{} {name} does not exist.", capitalised(kind)));
        };
        if source.kind != kind {
            return refused(format!(
                "Incompatible data source type is {}, but statement was DROP {}",
                lower(source.kind),
                lower(kind)
            ));
        }
        if delete_topic && source.read_only {
            let message = format!("Cannot delete topic for read-only source: {name}");
            return Err(Refusal::new(ErrorCode::BadRequest, message));
        }
        let sharing: Vec<&str> = self
            .metastore
            .iter()
            .filter(|other| other.topic == source.topic && other.name != name)
            .map(|other| other.name.as_str())
            .collect();
        if delete_topic && !sharing.is_empty() {
            return refused(format!(
                "Refusing to delete topic. Found other data sources ({}) using topic {}",
                sharing.join(", "),
                source.topic
            ));
        }
        let derived: Vec<&str> = self
            .metastore
            .derived_from(name)
            .map(|source| source.name.as_str())
            .collect();
        if !derived.is_empty() {
            return refused(format!(
                "Cannot drop {name}.\nThe following streams and/or tables read from this source: [{}].\n\
                 You need to drop them before dropping {name}.",
                derived.join(", ")
            ));
        }
        let ids = |select: &dyn Fn(&PersistentQuery) -> bool| -> Vec<String> {
            let selected = self.queries.values().filter(|query| select(query));
            selected.map(|query| query.id.clone()).collect()
        };
        let owner = |query: &PersistentQuery| query.keeps(name);
        let readers = ids(&|query| query.reads(name) && !owner(query));
        let writers = ids(&|query| query.writes(name) && !owner(query));
        if !readers.is_empty() || !writers.is_empty() {
            return refused(format!(
                "Cannot drop {name}.\nThe following queries read from this source: [{}].\n\
                 The following queries write into this source: [{}].\n\
                 You need to terminate them before dropping {name}.",
                readers.join(", "),
                writers.join(", ")
            ));
        }
        Ok(change(Change {
            command_id,
            message: format!("Source `{name}` (topic: {}) was dropped.", source.topic),
            stop: ids(&owner),
            remove: Some(name.to_owned()),
            delete_topic: delete_topic.then(|| source.topic.clone()),
            ..Change::default()
        }))
    }
}
