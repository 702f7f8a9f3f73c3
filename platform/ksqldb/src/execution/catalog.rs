//! What exists (sources and persistent queries), and what a statement would change about it.
//!
//! Deciding is pure: it works on the real catalog, on the copy in which a request is tried out first,
//! and on the catalog that a replay builds. It asks no broker and starts no query.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::bounds::{MOST_KEPT_TEXT, MOST_QUERIES, MOST_SOURCES, MOST_TYPES};
use super::creation::creation_id;
use super::failure::Refusal;
use super::topics::{Topics, check_copartitioned};
use crate::kafka::TopicOptions;
use crate::metastore::{Metastore, Source};
use crate::plan::{self, Purpose, QueryPlan};
use crate::queries::{PersistentQuery, QueryOrigin};
use crate::syntax::NamedTypes;
use crate::syntax::ast::{InsertInto, QuerySelection, SourceKind, Statement};
use crate::types::SqlType;

/// What a statement is decided with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances<'a> {
    /// The statement's text.
    pub(crate) text: &'a str,
    /// The properties in force.
    pub(crate) properties: &'a BTreeMap<String, Json>,
    /// The sequence number the command gets; new queries are named after it.
    pub(crate) sequence: i64,
    /// Whether the command was executed before.
    pub(crate) is_replay: bool,
    /// The topics there are, where the statement needs them; `None` in a replay, where they were seen to before.
    pub(crate) topics: Option<&'a Topics>,
}

/// What a statement comes to.
#[derive(Debug, Clone)]
pub(crate) enum Decision {
    /// A command: it is logged and applied.
    Change(Box<Change>),
    /// Nothing is to be done, for this reason.
    Unneeded(String),
}

/// What a command does, in the order of the fields.
#[derive(Debug, Clone, Default)]
pub(crate) struct Change {
    /// `stream/PROC/create`
    pub(crate) command_id: String,
    /// What the client is told.
    pub(crate) message: String,
    /// What the client is warned about.
    pub(crate) warnings: Vec<String>,
    /// Queries that end.
    pub(crate) stop: Vec<String>,
    /// A source that goes.
    pub(crate) remove: Option<String>,
    /// A topic that is made.
    pub(crate) create_topic: Option<(String, TopicOptions)>,
    /// A source that comes, in place of one of the same name.
    pub(crate) put: Option<Arc<Source>>,
    /// Whether that source is one that was there, changed.
    pub(crate) alters: bool,
    /// A type that gets a name.
    pub(crate) put_type: Option<(String, SqlType)>,
    /// The name of a type that goes.
    pub(crate) remove_type: Option<String>,
    /// A query that starts.
    pub(crate) start: Option<PersistentQuery>,
    /// Queries that pause.
    pub(crate) pause: Vec<String>,
    /// Queries that go on.
    pub(crate) resume: Vec<String>,
    /// A topic that goes.
    pub(crate) delete_topic: Option<String>,
}

/// What exists. A clone changes on its own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Catalog {
    /// The sources.
    pub(crate) metastore: Metastore,
    /// The persistent queries, by id.
    pub(crate) queries: BTreeMap<String, Arc<PersistentQuery>>,
    /// What the names of `CREATE TYPE` stand for.
    pub(crate) types: Arc<NamedTypes>,
}

impl Catalog {
    /// What a statement comes to; `None` where it is not one that changes the catalog.
    /// The error is the message for the client.
    pub(crate) fn decide(
        &self,
        statement: &Statement,
        circumstances: Circumstances<'_>,
    ) -> Option<Result<Decision, Refusal>> {
        // What a replay finds was let in once.
        let is_replay = circumstances.is_replay;
        if !is_replay && let Err(message) = self.check_room(statement) {
            return Some(Err(message.into()));
        }
        let decision = self.decide_any(statement, circumstances)?;
        Some(decision.and_then(|decision| {
            match &decision {
                Decision::Change(change) if !is_replay && !change.alters => match &change.put {
                    Some(source) => plan::check_new_timestamp(source)
                        .map(|()| decision)
                        .map_err(Refusal::from),
                    None => Ok(decision),
                },
                _ => Ok(decision),
            }
        }))
    }

    fn decide_any(
        &self,
        statement: &Statement,
        circumstances: Circumstances<'_>,
    ) -> Option<Result<Decision, Refusal>> {
        Some(match statement {
            Statement::CreateSource(declaration) => self.decide_create(declaration, circumstances),
            Statement::CreateAsSelect(declaration) => self.decide_create_as(declaration, circumstances),
            Statement::InsertInto(insertion) => self.decide_insert(insertion, circumstances),
            Statement::DropSource {
                kind,
                name,
                if_exists,
                delete_topic,
            } => self.decide_drop(*kind, name, *if_exists, *delete_topic, circumstances),
            Statement::AlterSource { kind, name, columns } => {
                self.decide_alter(*kind, name, columns, circumstances)
            }
            Statement::CreateType {
                name,
                if_not_exists,
                sql_type,
            } => self.decide_create_type(name, *if_not_exists, sql_type),
            Statement::DropType { name, if_exists } => self.decide_drop_type(name, *if_exists),
            Statement::Terminate(selection) => self.select(selection, "terminate").map(|ids| {
                change(Change {
                    command_id: format!("terminate/{}/execute", selected(selection)),
                    message: "Query terminated.".to_owned(),
                    stop: ids,
                    ..Change::default()
                })
            }),
            Statement::Pause(selection) => self.select(selection, "pause").map(|ids| {
                change(Change {
                    command_id: format!("pause/{}/execute", selected(selection)),
                    message: "Query paused.".to_owned(),
                    pause: ids,
                    ..Change::default()
                })
            }),
            Statement::Resume(selection) => self.select(selection, "resume").map(|ids| {
                change(Change {
                    command_id: format!("resume/{}/execute", selected(selection)),
                    message: "Query resumed.".to_owned(),
                    resume: ids,
                    ..Change::default()
                })
            }),
            _ => return None,
        })
    }

    /// What to add to an error about an unknown source: the name in the case that a source has.
    pub(crate) fn other_case(&self, name: &str) -> String {
        let other = self
            .metastore
            .iter()
            .find(|source| source.name != name && source.name.eq_ignore_ascii_case(name));
        match other {
            None => String::new(),
            Some(source) if source.name == source.name.to_uppercase() => format!(
                "\nDid you mean {}? Hint: try removing double quotes from the source name.",
                source.name
            ),
            Some(source) => format!(
                "\nDid you mean \"{}\"? Hint: wrap the source name in double quotes to make it case-sensitive.",
                source.name
            ),
        }
    }

    /// Makes a change to what exists. Topics and running queries are the caller's.
    pub(crate) fn apply(&mut self, change: &Change) {
        for id in &change.stop {
            self.queries.remove(id);
        }
        if let Some(name) = &change.remove {
            self.metastore.remove(name);
        }
        if let Some(source) = &change.put {
            self.metastore.insert(Arc::clone(source));
        }
        if let Some((name, sql_type)) = &change.put_type {
            Arc::make_mut(&mut self.types).insert(name.clone(), sql_type.clone());
        }
        if let Some(name) = &change.remove_type {
            Arc::make_mut(&mut self.types).remove(name);
        }
        if let Some(query) = &change.start {
            self.queries.insert(query.id.clone(), Arc::new(query.clone()));
        }
        for (ids, paused) in [(&change.pause, true), (&change.resume, false)] {
            for id in ids {
                if let Some(query) = self.queries.get_mut(id) {
                    Arc::make_mut(query).paused = paused;
                }
            }
        }
    }

    /// Whether there is room for what a statement makes.
    fn check_room(&self, statement: &Statement) -> Result<(), String> {
        let makes_query = matches!(statement, Statement::CreateAsSelect(_) | Statement::InsertInto(_));
        let makes_source = matches!(
            statement,
            Statement::CreateAsSelect(_) | Statement::CreateSource(_)
        );
        if makes_query && self.queries.len() >= MOST_QUERIES {
            return Err(format!(
                "Not executing statement as it would cause the number of active, non-terminated queries to exceed \
                 the limit. Use the TERMINATE command to terminate existing queries before starting new ones. Total \
                 persistent queries currently active: {}. Query limit: {MOST_QUERIES}.",
                self.queries.len()
            ));
        }
        if makes_source && self.metastore.len() >= MOST_SOURCES {
            return Err(format!(
                "There are {MOST_SOURCES} streams and tables already, which is the most allowed. DROP those that are \
                 not needed."
            ));
        }
        if matches!(statement, Statement::CreateType { .. }) && self.types.len() >= MOST_TYPES {
            return Err(format!(
                "There are {MOST_TYPES} custom types already, which is the most allowed. DROP those that are not needed."
            ));
        }
        let sources = self.metastore.iter().map(|source| source.statement.len());
        let queries = self.queries.values().map(|query| query.statement.len());
        if (makes_source || makes_query) && sources.chain(queries).sum::<usize>() >= MOST_KEPT_TEXT {
            return Err(format!(
                "The statements of the streams, tables and queries that exist have more than {MOST_KEPT_TEXT} bytes, \
                 which is the most allowed. DROP those that are not needed."
            ));
        }
        Ok(())
    }

    fn decide_insert(
        &self,
        insertion: &InsertInto,
        circumstances: Circumstances<'_>,
    ) -> Result<Decision, Refusal> {
        let purpose = Purpose::InsertInto {
            target: &insertion.target,
            position: insertion.position,
            properties: &insertion.properties,
        };
        let plan = plan::plan_query(&self.metastore, &insertion.query, purpose)
            .map_err(|error| Refusal::from(error).early())?;
        if let Some(topics) = circumstances.topics {
            check_copartitioned(&insertion.query, &plan, topics)?;
        }
        let kind = plan.sink().map_or(SourceKind::Stream, |sink| sink.kind);
        let id = self.new_id(&plan, &format!("INSERTQUERY_{}", circumstances.sequence))?;
        Ok(change(Change {
            command_id: creation_id(kind, &insertion.target),
            message: format!("Created query with ID {id}"),
            warnings: plan.warnings().to_vec(),
            start: Some(self.new_query(id, plan, QueryOrigin::InsertInto, circumstances)),
            ..Change::default()
        }))
    }

    /// The queries that a statement is about. Those of source tables are theirs alone.
    fn select(&self, selection: &QuerySelection, action: &str) -> Result<Vec<String>, Refusal> {
        let is_own = |query: &PersistentQuery| query.origin != QueryOrigin::SourceTable;
        match selection {
            QuerySelection::All => {
                let own = self.queries.values().filter(|query| is_own(query));
                Ok(own.map(|query| query.id.clone()).collect())
            }
            QuerySelection::Id(id) => {
                // Ids are upper case in every listing, so the case they are typed in does not matter.
                let known = [id.clone(), id.to_uppercase()];
                let found = known.iter().find_map(|id| self.queries.get(id));
                match found {
                    None => refused(format!("Unknown queryId: {}", id.to_uppercase())),
                    Some(query) if !is_own(query) => refused(format!(
                        "Cannot {action} query '{}' because it is linked to a source table.",
                        query.id
                    )),
                    Some(query) => Ok(vec![query.id.clone()]),
                }
            }
        }
    }

    pub(super) fn new_id(&self, plan: &QueryPlan, generated: &str) -> Result<String, Refusal> {
        let id = match plan.query_id() {
            None => generated.to_owned(),
            Some(chosen) => chosen_id(chosen)?,
        };
        if self.queries.contains_key(&id) {
            return refused(format!("Query ID '{id}' already exists."));
        }
        Ok(id)
    }

    pub(super) fn new_query(
        &self,
        id: String,
        plan: QueryPlan,
        origin: QueryOrigin,
        circumstances: Circumstances<'_>,
    ) -> PersistentQuery {
        PersistentQuery {
            id,
            statement: circumstances.text.to_owned(),
            plan: Arc::new(plan),
            origin,
            properties: circumstances.properties.clone(),
            starting_offsets: BTreeMap::new(),
            paused: false,
        }
    }
}

/// A query's id that its statement sets.
fn chosen_id(chosen: &str) -> Result<String, Refusal> {
    const RESERVED: [&str; 4] = ["INSERTQUERY_", "CTAS_", "CSAS_", "CST_"];
    let id = chosen.to_uppercase();
    let is_plain = |character: char| character.is_ascii_alphanumeric() || character == '_';
    if id.is_empty() || !id.chars().all(is_plain) {
        return refused(format!(
            "Query IDs may contain only alphanumeric characters and '_'. Got: '{id}'"
        ));
    }
    if RESERVED.iter().any(|prefix| id.starts_with(prefix)) {
        return refused(format!(
            "Query IDs must not start with a reserved query ID prefix ({}). Got '{id}'.",
            RESERVED.join(", ")
        ));
    }
    Ok(id)
}

/// `STREAM` or `TABLE`.
pub(crate) fn upper(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Stream => "STREAM",
        SourceKind::Table => "TABLE",
    }
}

pub(super) fn lower(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Stream => "stream",
        SourceKind::Table => "table",
    }
}

pub(super) fn capitalised(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Stream => "Stream",
        SourceKind::Table => "Table",
    }
}

pub(super) fn refused<T>(message: String) -> Result<T, Refusal> {
    Err(Refusal::from(message))
}

pub(super) fn change(change: Change) -> Decision {
    Decision::Change(Box::new(change))
}

pub(super) fn selected(selection: &QuerySelection) -> &str {
    match selection {
        QuerySelection::All => "ALL",
        QuerySelection::Id(id) => id,
    }
}
