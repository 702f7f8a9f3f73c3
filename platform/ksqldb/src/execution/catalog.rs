//! What exists (sources and persistent queries), and what a statement would change about it.
//!
//! Deciding is pure: it works on the real catalog, on the copy in which a request is tried out first,
//! and on the catalog that a replay builds. It asks no broker and starts no query.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::bounds::{MOST_KEPT_TEXT, MOST_QUERIES, MOST_SOURCES, MOST_TYPES};
use super::failure::{ErrorCode, Refusal};
use super::properties;
use super::topics::{Topics, check_copartitioned, of_sink, of_source};
use crate::kafka::TopicOptions;
use crate::metastore::{Metastore, Source, SourceWindow};
use crate::plan::{self, PlanError, Purpose, QueryPlan, Stage, schema_text};
use crate::queries::{PersistentQuery, QueryOrigin};
use crate::serde::Format;
use crate::syntax::NamedTypes;
use crate::syntax::ast::{
    AliasedSource, CreateAsSelect, CreateSource, Emit, InsertInto, OnExisting, Position, Query,
    QuerySelection, SelectItem, SourceKind, Statement,
};
use crate::types::{Column, Namespace, Schema, SqlType};

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

    fn decide_create(
        &self,
        declaration: &CreateSource,
        circumstances: Circumstances<'_>,
    ) -> Result<Decision, Refusal> {
        let existing = self.metastore.get(&declaration.name);
        let planned = plan::plan_source(declaration, circumstances.text);
        // What is wrong with the text is told first.
        if let Err(error) = &planned
            && error.stage == Stage::Reading
        {
            return Err(error.clone().into());
        }
        if let Some(decision) = meet_existing(
            declaration.kind,
            &declaration.name,
            declaration.on_existing,
            existing,
        )? {
            return Ok(decision);
        }
        let source = planned?;
        if let Some(existing) = existing {
            check_replaceable(existing, &source)?;
        }
        let create_topic = match circumstances.topics {
            Some(topics) => of_source(&source, declaration, topics).map_err(Refusal::early)?,
            None => None,
        };
        let source = Arc::new(source);
        let start = match (declaration.kind, declaration.read_only) {
            (SourceKind::Table, true) => Some(self.materialization(&source, circumstances)?),
            _ => None,
        };
        Ok(change(Change {
            command_id: creation_id(declaration.kind, &declaration.name),
            message: format!("{} created", capitalised(declaration.kind)),
            create_topic,
            put: Some(source),
            start,
            ..Change::default()
        }))
    }

    /// The query that keeps the rows of a source table.
    fn materialization(
        &self,
        source: &Arc<Source>,
        circumstances: Circumstances<'_>,
    ) -> Result<PersistentQuery, Refusal> {
        let mut metastore = self.metastore.clone();
        metastore.insert(Arc::clone(source));
        let plan = plan::plan_query(&metastore, &everything_of(&source.name), Purpose::Materialize)?;
        let id = format!("CST_{}_{}", source.name, circumstances.sequence);
        Ok(self.new_query(id, plan, QueryOrigin::SourceTable, circumstances))
    }

    fn decide_create_as(
        &self,
        declaration: &CreateAsSelect,
        circumstances: Circumstances<'_>,
    ) -> Result<Decision, Refusal> {
        let existing = self.metastore.get(&declaration.name);
        let met = meet_existing(
            declaration.kind,
            &declaration.name,
            declaration.on_existing,
            existing,
        );
        if let Ok(Some(decision)) = met {
            return Ok(decision);
        }
        let purpose = Purpose::Sink {
            name: &declaration.name,
            kind: declaration.kind,
            properties: &declaration.properties,
            statement: circumstances.text,
            wrap_single_values: properties::wrap_single_values(circumstances.properties),
        };
        let settings = properties::of_plan(circumstances.properties);
        let plan = plan::plan_query_with(&self.metastore, &declaration.query, purpose, settings)
            .map_err(Refusal::of_persistent_query)?;
        if let Some(topics) = circumstances.topics {
            check_copartitioned(&declaration.query, &plan, topics).map_err(Refusal::of_persistent_query)?;
        }
        // What is wrong with the query is told first.
        met.map_err(|refusal| Refusal::of_persistent_query(PlanError::new(refusal.message)))?;
        let sink = plan
            .sink()
            .cloned()
            .ok_or_else(|| format!("The query has no sink: {}", declaration.name))?;
        let mut id = None;
        let mut stop = Vec::new();
        if let Some(existing) = existing {
            check_replaceable(&evolved(existing, &sink), &sink)?;
            let writer = self
                .queries
                .values()
                .find(|query| query.origin == QueryOrigin::CreateAs && query.writes(&declaration.name))
                .ok_or_else(|| {
                    format!(
                        "Cannot add {} '{}': the existing {0} is not the result of a query",
                        lower(declaration.kind),
                        declaration.name
                    )
                })?;
            if let Some(step) = plan.not_upgradeable().or(writer.plan.not_upgradeable()) {
                return refused(format!("Upgrades not yet supported for {step}"));
            }
            if plan.is_aggregated() && plan.layout() != writer.plan.layout() {
                return refused(
                    "Query is not upgradeable. Plan step of type StreamAggregate must have matching aggregate functions."
                        .to_owned(),
                );
            }
            // The query that takes over goes on where the old one stopped, under the same id.
            id = Some(writer.id.clone());
            stop.push(writer.id.clone());
        }
        let prefix = match declaration.kind {
            SourceKind::Stream => "CSAS",
            SourceKind::Table => "CTAS",
        };
        let id = match id {
            Some(id) => id,
            None => self.new_id(
                &plan,
                &format!("{prefix}_{}_{}", declaration.name, circumstances.sequence),
            )?,
        };
        let create_topic = match circumstances.topics {
            Some(topics) => of_sink(&sink, topics).map_err(Refusal::early)?,
            None => None,
        };
        Ok(change(Change {
            command_id: creation_id(declaration.kind, &declaration.name),
            message: format!("Created query with ID {id}"),
            warnings: plan.warnings().to_vec(),
            stop,
            create_topic,
            put: Some(sink),
            start: Some(self.new_query(id, plan, QueryOrigin::CreateAs, circumstances)),
            ..Change::default()
        }))
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

    fn decide_drop(
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

    fn new_id(&self, plan: &QueryPlan, generated: &str) -> Result<String, Refusal> {
        let id = plan
            .query_id()
            .map_or_else(|| generated.to_owned(), str::to_uppercase);
        if self.queries.contains_key(&id) {
            return refused(format!("Query ID '{id}' already exists."));
        }
        Ok(id)
    }

    fn new_query(
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

fn creation_id(kind: SourceKind, name: &str) -> String {
    format!("{}/`{name}`/create", lower(kind))
}

fn selected(selection: &QuerySelection) -> &str {
    match selection {
        QuerySelection::All => "ALL",
        QuerySelection::Id(id) => id,
    }
}

/// `SELECT *` from a source.
fn everything_of(source: &str) -> Query {
    let position = Position::default();
    Query {
        select: vec![SelectItem::All {
            source: None,
            position,
        }],
        from: AliasedSource {
            name: source.to_owned(),
            alias: source.to_owned(),
            position,
        },
        joins: Vec::new(),
        window: None,
        filter: None,
        group_by: Vec::new(),
        partition_by: Vec::new(),
        having: None,
        emit: Some(Emit::Changes),
        limit: None,
        position,
    }
}

/// What happens where a source of that name exists: `None` lets the statement go on.
fn meet_existing(
    kind: SourceKind,
    name: &str,
    on_existing: OnExisting,
    existing: Option<&Arc<Source>>,
) -> Result<Option<Decision>, Refusal> {
    let Some(existing) = existing else {
        return Ok(None);
    };
    let (adding, there) = (lower(kind), lower(existing.kind));
    match on_existing {
        OnExisting::Keep => Ok(Some(Decision::Unneeded(format!(
            "Cannot add {adding} `{name}`: A {there} with the same name already exists."
        )))),
        OnExisting::Replace => Ok(None),
        OnExisting::Fail => refused(format!(
            "Cannot add {adding} '{name}': A {there} with the same name already exists"
        )),
    }
}

/// A source with the columns that a query which takes over adds: so ksqlDB looks at it.
fn evolved(existing: &Source, new: &Source) -> Source {
    let mut evolved = existing.clone();
    for column in &new.schema.columns {
        if evolved.schema.position(&column.name).is_none() {
            evolved.schema.columns.push(column.clone());
        }
    }
    evolved
}

/// `OR REPLACE` may add columns at the end and change what does not concern the records that are there.
fn check_replaceable(existing: &Source, new: &Source) -> Result<(), Refusal> {
    if existing.read_only {
        let kind = lower(existing.kind);
        return refused(format!(
            "Cannot add {kind} '{}': CREATE OR REPLACE is not supported on source {kind}s.",
            existing.name
        ));
    }
    let mut reasons = Vec::new();
    let mut differs = |what: &str, before: String, after: String, hint: &str| {
        reasons.push(format!(
            "DataSource '`{}`' has {what} = {before} which is not upgradeable to {after}{hint}",
            existing.name
        ));
    };
    if existing.kind != new.kind {
        let java = |kind| match kind {
            SourceKind::Stream => "KSTREAM".to_owned(),
            SourceKind::Table => "KTABLE".to_owned(),
        };
        differs("type", java(existing.kind), java(new.kind), "");
    }
    if topic_text(existing) != topic_text(new) {
        differs("topic", topic_text(existing), topic_text(new), "");
    }
    if existing.timestamp != new.timestamp {
        differs(
            "timestampColumn",
            timestamp_text(existing),
            timestamp_text(new),
            "",
        );
    }
    let changed = |namespace: Namespace| {
        let of = |source: &Source| -> Vec<Column> {
            let columns = source.schema.columns.iter();
            columns
                .filter(|column| column.namespace == namespace)
                .cloned()
                .collect()
        };
        let (before, after) = (of(existing), of(new));
        let kept = |place: usize| after.get(place) == before.get(place);
        let columns = (0..before.len())
            .filter(|place| !kept(*place))
            .map(|place| before[place].clone());
        let columns: Vec<_> = columns.collect();
        // A key takes no further column.
        let is_longer = namespace == Namespace::Key && after.len() > before.len();
        (!columns.is_empty() || is_longer).then(|| schema_text(&Schema { columns }))
    };
    let hint = match (changed(Namespace::Key), changed(Namespace::Value)) {
        (Some(columns), _) => Some(format!(
            ". (Key columns must be identical. The following key columns are changed, missing or reordered: [{columns}])"
        )),
        (None, Some(columns)) => Some(format!(
            ". (The following columns are changed, missing or reordered: [{columns}])"
        )),
        (None, None) => None,
    };
    if let Some(hint) = hint {
        differs(
            "schema",
            schema_text(&existing.schema),
            schema_text(&new.schema),
            &hint,
        );
    }
    if reasons.is_empty() {
        return Ok(());
    }
    refused(format!(
        "Cannot upgrade data source: {}",
        reasons.join("\n\tAND ")
    ))
}

/// A topic with its formats, as ksqlDB's errors have it.
fn topic_text(source: &Source) -> String {
    let format = |format: Format| format!("FormatInfo{{format={format}, properties={{}}}}");
    format!(
        "KsqlTopic{{kafkaTopicName='{}', keyFormat=KeyFormat{{format={}, features=[], window={}}}, valueFormat=ValueFormat{{format={}, features=[]}}}}",
        source.topic,
        format(source.key_format),
        window_text(source),
        format(source.value_format)
    )
}

fn window_text(source: &Source) -> String {
    let info = |window: SourceWindow, size: Option<i64>| {
        let size = size.map_or("Optional.empty".to_owned(), |ms| {
            format!("Optional[PT{}S]", ms as f64 / 1000.0)
        });
        format!("Optional[WindowInfo{{type={}, size={size}}}]", window.name())
    };
    match source.window {
        None => "Optional.empty".to_owned(),
        Some(window @ (SourceWindow::Tumbling { size_ms } | SourceWindow::Hopping { size_ms })) => {
            info(window, Some(size_ms))
        }
        Some(window @ SourceWindow::Session) => info(window, None),
    }
}

fn timestamp_text(source: &Source) -> String {
    match &source.timestamp {
        None => "Optional.empty".to_owned(),
        Some(column) => format!("Optional[TimestampColumn{{column=`{}`}}]", column.column),
    }
}
