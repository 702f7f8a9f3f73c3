//! What a `SELECT` means.

use std::sync::Arc;

use super::aggregation::{self, Aggregation};
use super::explain::{Tail, explain};
use super::inputs::Inputs;
use super::pipeline::Step;
use super::projection::{Item, items};
use super::required_key::{RequiredKey, required_key};
use super::sink::{NewSink, check_names, existing_sink, new_sink};
use super::steps::Steps;
use super::table_functions;
use super::{PlanError, Purpose, QueryPlan, Settings, Stage};
use crate::expression::{Expr, compile_filter, text};
use crate::metastore::{Metastore, SourceWindow};
use crate::syntax::ast::{Expression, ExpressionKind, Position, Query, SourceKind, WindowKind};
use crate::types::{Column, Namespace, Schema};

/// What ksqlDB says of a stream–stream join without `GRACE PERIOD`.
const NO_GRACE_WARNING: &str = "DEPRECATION NOTICE: Stream-stream joins statements without a GRACE PERIOD will not be accepted in a future ksqlDB version.\nPlease use the GRACE PERIOD clause as specified in https://docs.ksqldb.io/en/latest/developer-guide/ksqldb-reference/select-push-query/";

/// What a query means.
pub fn plan_query(
    metastore: &Metastore,
    query: &Query,
    purpose: Purpose<'_>,
) -> Result<QueryPlan, PlanError> {
    plan_query_with(metastore, query, purpose, Settings::default())
}

/// What a query means under these settings.
pub fn plan_query_with(
    metastore: &Metastore,
    query: &Query,
    purpose: Purpose<'_>,
    settings: Settings,
) -> Result<QueryPlan, PlanError> {
    if let Purpose::InsertInto { target, position, .. } = purpose {
        check_target(metastore, target, position)?;
    }
    refuse_unsupported(query, purpose)?;
    aggregation::check_early(query, metastore)?;
    let mut inputs = Inputs::resolve(metastore, query)?;
    let sources: Vec<_> = inputs
        .inputs
        .iter()
        .map(|input| Arc::clone(&input.source))
        .collect();
    let filter = match &query.filter {
        Some(filter) => {
            refuse_bounds(query, filter)?;
            Some((compile_filter(filter, &inputs.scope, "WHERE")?, text(filter)))
        }
        None => None,
    };
    if !query.group_by.is_empty() && table_functions::are_called(&query.select) {
        return Err(of_aggregation());
    }
    let mut aggregation = aggregation::split(query, &mut inputs, purpose, settings)?;
    check_result(query, &inputs, aggregation.as_ref(), purpose)?;
    let key = required_key(query, &inputs, aggregation.as_ref())?;
    let select = aggregation
        .as_mut()
        .map(|aggregation| std::mem::take(&mut aggregation.select));
    let select = select.unwrap_or_else(|| query.select.clone());
    let projected = table_functions::split(&select, &mut inputs.scope)?;
    if !projected.tables.is_empty() {
        refuse_table_functions(&inputs, aggregation.is_some())?;
    }
    let mut items = items(query, &projected.select, &inputs, &key, purpose)?;
    let window = window_of(&inputs, aggregation.as_ref());
    let is_table = aggregation.is_some() || inputs.is_table();
    let sink = match purpose {
        Purpose::Push | Purpose::Materialize => None,
        Purpose::Sink {
            name,
            kind,
            properties,
            statement,
            wrap_single_values,
        } => {
            let windowing = aggregation.as_ref().and_then(|aggregation| aggregation.windowing);
            let sink = NewSink {
                name,
                kind,
                properties,
                statement,
                wrap_single_values,
                window,
                window_retention_ms: windowing.map(|windowing| windowing.retention_ms),
            };
            let sink = new_sink(sink, &sources, &items, &key)?;
            // A table that has no windows of its own is to have those of its source, and an aggregate has none.
            if aggregation.is_some() && windowing.is_none() && inputs.inputs[0].source.window.is_some() {
                return Err(PlanError::new("Can't change windowing"));
            }
            Some(sink)
        }
        Purpose::InsertInto {
            target, properties, ..
        } => Some(existing_sink(metastore, target, properties, &mut items, &key)?),
    };
    let output = match &sink {
        Some(sink) => sink.schema.clone(),
        None => push_schema(&items)?,
    };
    let new_key: Vec<_> = match query.partition_by.is_empty() {
        true => Vec::new(),
        false => key
            .candidates
            .iter()
            .filter_map(|candidate| candidate.column(&items))
            .collect(),
    };
    let explanation = explain(
        &inputs,
        Tail {
            is_filtered: filter.is_some(),
            new_key: &new_key,
            is_exploded: !projected.tables.is_empty(),
            aggregation: aggregation.as_ref(),
            is_persistent: !matches!(purpose, Purpose::Push),
            output: &output,
            sink: sink
                .as_ref()
                .map(|sink| (sink.source.name.as_str(), sink.source.topic.as_str())),
        },
    );
    let keys = is_table.then(|| key_columns(&items, &key, &inputs, aggregation.as_ref()));
    let mut pipeline = Steps {
        keeps_key: query.partition_by.is_empty() && inputs.joins.is_empty() && aggregation.is_none(),
        partitions: !query.partition_by.is_empty(),
        tables: projected.tables,
        inputs,
        filter,
        aggregation,
        items,
        window,
        is_persistent: !matches!(purpose, Purpose::Push),
        keys,
    }
    .lay_out(sink.as_ref())?;
    // Nothing comes of a negative one.
    let limit = query.limit.map(|limit| u64::try_from(limit).unwrap_or(0));
    pipeline.limit = limit;
    let joins = || {
        pipeline.steps.iter().filter_map(|step| match step {
            Step::StreamJoin(join) => Some(join),
            _ => None,
        })
    };
    let has_no_grace = joins().any(|join| join.grace_ms.is_none());
    let retention = joins()
        .map(|join| join.retention_ms())
        .reduce(i64::saturating_add);
    Ok(QueryPlan {
        inputs: sources,
        output,
        limit,
        warnings: if has_no_grace && !matches!(purpose, Purpose::Push) {
            vec![NO_GRACE_WARNING.to_owned()]
        } else {
            Vec::new()
        },
        query_id: sink.as_ref().and_then(|sink| sink.query_id.clone()),
        sink: sink.map(|sink| sink.source),
        explanation,
        retention_ms: retention,
        fixed: match pipeline
            .steps
            .iter()
            .any(|step| matches!(step, Step::Aggregate(_)))
        {
            true => aggregation::fixed(query),
            false => Vec::new(),
        },
        pipeline: Arc::new(pipeline),
    })
}

/// The windows of the keys of what comes out.
fn window_of(inputs: &Inputs, aggregation: Option<&Aggregation>) -> Option<SourceWindow> {
    match aggregation {
        Some(aggregation) => aggregation.windowing.map(|windowing| match windowing.kind {
            WindowKind::Tumbling { size: size_ms } => SourceWindow::Tumbling { size_ms },
            WindowKind::Hopping { size: size_ms, .. } => SourceWindow::Hopping { size_ms },
            WindowKind::Session { .. } => SourceWindow::Session,
        }),
        None => inputs.inputs[0].source.window,
    }
}

/// Which columns of a table are its key.
fn key_columns(
    items: &[Item],
    key: &RequiredKey,
    inputs: &Inputs,
    aggregation: Option<&Aggregation>,
) -> Vec<bool> {
    let bounds: Vec<usize> = match aggregation {
        Some(aggregation) => aggregation.bounds.into_iter().flatten().collect(),
        None => inputs
            .inputs
            .iter()
            .filter_map(|input| input.bounds())
            .flat_map(|first| [first, first + 1])
            .collect(),
    };
    let is_key =
        |item: &Item| key.is_of(item) || matches!(item.expr, Expr::Column(place) if bounds.contains(&place));
    items.iter().map(is_key).collect()
}

/// Windows are made after `WHERE`.
fn refuse_bounds(query: &Query, filter: &Expression) -> Result<(), PlanError> {
    fn bound(expression: &Expression) -> Option<&str> {
        match &expression.kind {
            ExpressionKind::Column { name, .. } if name == "WINDOWSTART" || name == "WINDOWEND" => Some(name),
            _ => expression.children().into_iter().find_map(bound),
        }
    }
    match bound(filter) {
        Some(name) if query.window.is_some() => Err(PlanError::new(format!(
            "Error in WHERE expression: Unknown column {name}.\nStatement: {}",
            text(filter)
        ))),
        _ => Ok(()),
    }
}

/// Whether what comes out is what the statement makes, and whether it can be made of what goes in.
fn check_result(
    query: &Query,
    inputs: &Inputs,
    aggregation: Option<&Aggregation>,
    purpose: Purpose<'_>,
) -> Result<(), PlanError> {
    let refuse = |message: String| Err(PlanError::new(message));
    let windowed = inputs.inputs.iter().any(|input| input.source.window.is_some());
    if inputs.is_table() && windowed && matches!(purpose, Purpose::Sink { .. } | Purpose::InsertInto { .. }) {
        return refuse("KSQL does not support persistent queries on windowed tables.".to_owned());
    }
    if !query.partition_by.is_empty() && inputs.is_table() {
        let source = &inputs.inputs[0].source;
        let keys: Vec<_> = source.schema.key().map(|column| column.name.as_str()).collect();
        let by: Vec<_> = query.partition_by.iter().map(text).collect();
        return refuse(format!(
            "Cannot repartition a TABLE source. If this is a join, make sure that the criteria uses the TABLE's key column {} instead of [{}]",
            keys.join(", "),
            by.join(", ")
        ));
    }
    if !query.partition_by.is_empty() && windowed {
        return refuse("Implicit repartitioning of windowed sources is not supported. See https://github.com/confluentinc/ksql/issues/4385.".to_owned());
    }
    let is_table = aggregation.is_some() || inputs.is_table();
    let (wanted, statement) = match purpose {
        Purpose::Push | Purpose::Materialize => return Ok(()),
        Purpose::Sink { kind, statement, .. } => (kind, Some(statement)),
        Purpose::InsertInto { .. } => (SourceKind::Stream, None),
    };
    let (found, other) = match (is_table, wanted) {
        (true, SourceKind::Stream) => ("TABLE", "CREATE TABLE AS SELECT"),
        (false, SourceKind::Table) => ("STREAM", "CREATE STREAM AS SELECT"),
        _ => return Ok(()),
    };
    let tail = statement.map_or(String::new(), |statement| format!("\nStatement: {statement}"));
    refuse(format!(
        "Invalid result type. Your SELECT query produces a {found}. Please use {other} statement instead.{tail}"
    ))
}

/// Table functions make rows of a stream's rows.
fn refuse_table_functions(inputs: &Inputs, is_aggregated: bool) -> Result<(), PlanError> {
    if is_aggregated {
        return Err(of_aggregation());
    }
    if inputs.is_table() {
        return Err(PlanError::new(
            "Table source is not supported with table functions",
        ));
    }
    Ok(())
}

fn of_aggregation() -> PlanError {
    PlanError::new("Table functions cannot be used with aggregations.")
}

/// Whether there is a stream to insert into.
fn check_target(metastore: &Metastore, target: &str, position: Position) -> Result<(), PlanError> {
    let message = match metastore.get(target) {
        None => {
            let Position { line, column } = position;
            format!("Line: {line}, Col: {column}: Source `{target}` does not exist.")
        }
        Some(source) if source.kind == SourceKind::Table => {
            format!("INSERT INTO can only be used to insert into a stream. {target} is a table.")
        }
        Some(_) => return Ok(()),
    };
    Err(PlanError::in_stage(Stage::Preparing, message))
}

fn refuse_unsupported(query: &Query, purpose: Purpose<'_>) -> Result<(), PlanError> {
    let refuse = |message: &str| Err(PlanError::new(message));
    let is_push = matches!(purpose, Purpose::Push);
    if !is_push && query.limit.is_some() {
        let statement = match purpose {
            Purpose::Sink {
                kind: SourceKind::Stream,
                ..
            } => "CREATE STREAM AS SELECT",
            Purpose::Sink { .. } => "CREATE TABLE AS SELECT",
            _ => "INSERT INTO SELECT",
        };
        let message = format!("{statement} statements don't support LIMIT clause.");
        return Err(PlanError::in_stage(Stage::Reading, message));
    }
    if is_push && query.emit.is_none() {
        return refuse(
            "Pull queries on streams are disabled. To create a push query on the stream, add EMIT CHANGES to the end. To enable pull queries on streams, set the ksql.query.pull.stream.enabled config to 'true'.",
        );
    }
    Ok(())
}

fn push_schema(items: &[Item]) -> Result<Schema, PlanError> {
    let column = |item: &Item| Column {
        name: item.name.clone(),
        sql_type: item.sql_type.clone(),
        namespace: Namespace::Value,
    };
    let schema = Schema {
        columns: items.iter().map(column).collect(),
    };
    check_names(&schema)?;
    Ok(schema)
}
