//! What `CREATE` makes: a source, with the query that keeps it or that it is the sink of.

use std::sync::Arc;

use super::catalog::{Catalog, Change, Circumstances, Decision, capitalised, change, lower, refused};
use super::failure::Refusal;
use super::properties;
use super::replacement::{check_replaceable, evolved};
use super::topics::{check_copartitioned, of_sink, of_source};
use crate::metastore::Source;
use crate::plan::{self, PlanError, Purpose, Stage};
use crate::queries::{PersistentQuery, QueryOrigin};
use crate::syntax::ast::{
    AliasedSource, CreateAsSelect, CreateSource, Emit, OnExisting, Position, Query, SelectItem, SourceKind,
};

impl Catalog {
    pub(super) fn decide_create(
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
        check_switches(declaration, &source, circumstances)?;
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

    pub(super) fn decide_create_as(
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
            let writers = self
                .queries
                .values()
                .filter(|query| query.writes(&declaration.name));
            let writers: Vec<_> = writers.map(|query| query.id.as_str()).collect();
            if writers.len() > 1 {
                return Err(Refusal::of_persistent_query(PlanError::new(format!(
                    "REPLACE for sink `{}` is not supported because there are multiple queries writing into it: [{}]",
                    declaration.name,
                    writers.join(", ")
                ))));
            }
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
                let reason = plan.refusal_to_aggregate_on(&writer.plan).unwrap_or_else(|| {
                    "Query is not upgradeable. Plan step of type StreamAggregate must have matching aggregate functions."
                        .to_owned()
                });
                return refused(reason);
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
}

pub(super) fn creation_id(kind: SourceKind, name: &str) -> String {
    format!("{}/`{name}`/create", lower(kind))
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

/// What a session, or the server, has switched off.
fn check_switches(
    declaration: &CreateSource,
    source: &Source,
    circumstances: Circumstances<'_>,
) -> Result<(), Refusal> {
    let is_off = |name: &str| !properties::is_enabled(circumstances.properties, name, true);
    if !source.headers.is_empty() && is_off("ksql.headers.columns.enabled") {
        return refused(format!(
            "Cannot create {} because schema with headers columns is disabled.",
            capitalised(declaration.kind)
        ));
    }
    let is_materialized = declaration.kind == SourceKind::Table && declaration.read_only;
    if is_materialized && is_off("ksql.source.table.materialization.enabled") {
        return refused(
            "Cannot execute command because source table materialization is disabled.".to_owned(),
        );
    }
    Ok(())
}
