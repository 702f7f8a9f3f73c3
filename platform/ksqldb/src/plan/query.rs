//! What a `SELECT` means.

use std::sync::Arc;

use super::demand::{Demands, Layout};
use super::explain::explain;
use super::inputs::{Input, Inputs};
use super::pipeline::{Destination, JoinStep, Pipeline, Projected, Scan};
use super::projection::{Item, items, required_key};
use super::sink::{Sink, check_names, existing_sink, new_sink};
use super::table_functions;
use super::timestamps::TimeReading;
use super::{PlanError, Purpose, QueryPlan, Stage};
use crate::expression::{compile_filter, text};
use crate::metastore::{Metastore, Source};
use crate::serde::{Decoder, DecoderColumn, Encoder, Wrapping};
use crate::syntax::ast::{Emit, Position, Query, SourceKind};
use crate::types::{Column, Namespace, Schema};

/// What ksqlDB says of a stream–stream join without `GRACE PERIOD`.
const NO_GRACE_WARNING: &str = "DEPRECATION NOTICE: Stream-stream joins statements without a GRACE PERIOD will not be accepted in a future ksqlDB version.\nPlease use the GRACE PERIOD clause as specified in https://docs.ksqldb.io/en/latest/developer-guide/ksqldb-reference/select-push-query/";

/// What a query means.
pub fn plan_query(
    metastore: &Metastore,
    query: &Query,
    purpose: Purpose<'_>,
) -> Result<QueryPlan, PlanError> {
    if let Purpose::InsertInto { target, position, .. } = purpose {
        check_target(metastore, target, position)?;
    }
    refuse_unsupported(query, purpose)?;
    let mut inputs = Inputs::resolve(metastore, query)?;
    let sources: Vec<_> = inputs
        .inputs
        .iter()
        .map(|input| Arc::clone(&input.source))
        .collect();
    let filter = match &query.filter {
        Some(filter) => Some((compile_filter(filter, &inputs.scope, "WHERE")?, text(filter))),
        None => None,
    };
    let key = required_key(query, &inputs)?;
    let projected = table_functions::split(&query.select, &mut inputs.scope)?;
    let mut items = items(query, &projected.select, &inputs, &key, purpose)?;
    let sink = match purpose {
        Purpose::Push => None,
        Purpose::Sink {
            name,
            properties,
            statement,
            wrap_single_values,
            ..
        } => Some(new_sink(
            name,
            properties,
            statement,
            wrap_single_values,
            &sources,
            &items,
            &key,
        )?),
        Purpose::InsertInto {
            target, properties, ..
        } => Some(existing_sink(metastore, target, properties, &mut items, &key)?),
    };
    let output = match &sink {
        Some(sink) => sink.schema.clone(),
        None => push_schema(&items)?,
    };
    let explanation = explain(
        &inputs,
        filter.as_ref().map(|(_, text)| text.as_str()),
        &output,
        sink.as_ref(),
    );
    let mut pipeline = Steps {
        keeps_key: query.partition_by.is_empty() && inputs.joins.is_empty(),
        inputs,
        filter,
        tables: projected.tables,
        items,
    }
    .lay_out(sink.as_ref())?;
    pipeline.limit = query.limit;
    let has_no_grace = pipeline.joins.iter().any(|join| join.grace_ms.is_none());
    let retention = pipeline
        .joins
        .iter()
        .map(JoinStep::retention_ms)
        .reduce(i64::saturating_add);
    Ok(QueryPlan {
        inputs: sources,
        output,
        limit: query.limit,
        warnings: if has_no_grace && !matches!(purpose, Purpose::Push) {
            vec![NO_GRACE_WARNING.to_owned()]
        } else {
            Vec::new()
        },
        query_id: sink.as_ref().and_then(|sink| sink.query_id.clone()),
        sink: sink.map(|sink| sink.source),
        explanation,
        retention_ms: retention,
        pipeline: Arc::new(pipeline),
    })
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
    if query.emit == Some(Emit::Final) {
        return refuse("EMIT FINAL is only supported for windowed aggregations.");
    }
    if query.window.is_some() {
        return refuse("WINDOW is not supported yet by this server: it needs aggregates.");
    }
    if !query.group_by.is_empty() || query.having.is_some() {
        return refuse("GROUP BY and HAVING are not supported yet by this server: it has no aggregates.");
    }
    if let Purpose::Sink {
        kind: SourceKind::Table,
        ..
    } = purpose
    {
        return refuse(
            "Invalid result type. Your SELECT query produces a STREAM. Please use CREATE STREAM AS SELECT statement instead.",
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

/// A query whose expressions still name places of the scope.
struct Steps {
    inputs: Inputs,
    filter: Option<(crate::expression::Expr, String)>,
    tables: Vec<Projected>,
    items: Vec<Item>,
    keeps_key: bool,
}

impl Steps {
    /// Gives everything that is needed its place in the row.
    fn lay_out(mut self, sink: Option<&Sink>) -> Result<Pipeline, PlanError> {
        let mut demands = Demands::none(self.inputs.scope.columns.len());
        for join in &mut self.inputs.joins {
            demands.add(&mut join.left);
            demands.add(&mut join.right);
        }
        if let Some((filter, _)) = &mut self.filter {
            demands.add(filter);
        }
        for item in &mut self.items {
            demands.add(&mut item.expr);
        }
        let first_table = self.inputs.scope.columns.len() - self.tables.len();
        for (place, table) in (first_table..).zip(&mut self.tables) {
            demands.add(&mut table.expr);
            demands.add_whole(place);
        }
        for input in &self.inputs.inputs {
            if let Some(column) = &input.source.timestamp
                && let Some(place) = input.source.schema.position(&column.column)
            {
                demands.add_whole(input.first + place);
            }
        }
        let layout = demands.layout(&self.inputs.inputs);

        let inputs = &self.inputs.inputs;
        let scans = inputs.iter().enumerate();
        let scans = scans.map(|(index, input)| scan(index, input, &layout));
        let scans = scans.collect::<Result<Vec<_>, _>>()?;
        let mut joins = Vec::new();
        let mut left_width = scans[0].width;
        for (index, join) in self.inputs.joins.into_iter().enumerate() {
            let (mut left_key, mut right_key) = (join.left, join.right);
            layout.rewrite(&mut left_key, 0);
            layout.rewrite(&mut right_key, layout.first(index + 1));
            let right_width = scans[index + 1].width;
            joins.push(JoinStep {
                kind: join.kind,
                left_key,
                right_key,
                left_width,
                right_width,
                before_ms: join.within.before_ms,
                after_ms: join.within.after_ms,
                grace_ms: join.within.grace_ms,
            });
            left_width += right_width;
        }
        if let Some((filter, _)) = &mut self.filter {
            layout.rewrite(filter, 0);
        }
        let mut tables = Vec::new();
        for mut table in self.tables {
            layout.rewrite(&mut table.expr, 0);
            tables.push(table);
        }
        let mut projection: Vec<Projected> = Vec::new();
        let all: Vec<usize> = (0..self.items.len()).collect();
        for place in sink.map_or(&all, |sink| &sink.order) {
            let item = &self.items[*place];
            let mut expr = item.expr.clone();
            layout.rewrite(&mut expr, 0);
            projection.push(Projected {
                expr,
                text: item.text.clone(),
            });
        }
        let keeps_join_key = self
            .inputs
            .synthetic_key
            .is_some_and(|place| layout.place(place).is_some());
        debug_assert_eq!(
            left_width + usize::from(keeps_join_key) + tables.len(),
            layout.width()
        );
        Ok(Pipeline {
            keeps_key: self.keeps_key,
            tables,
            scans,
            joins,
            keeps_join_key,
            filter: self.filter,
            projection,
            destination: match sink {
                None => Destination::Rows,
                Some(sink) => destination(sink)?,
            },
            limit: None,
        })
    }
}

fn scan(index: usize, input: &Input, layout: &Layout) -> Result<Scan, PlanError> {
    let source = &input.source;
    let declared = source.schema.columns.len();
    let target = |place: usize| layout.local(index, input.first + place);
    let columns = |namespace: Namespace| -> Vec<DecoderColumn> {
        let places = source.schema.columns.iter().enumerate();
        places
            .filter(|(_, column)| column.namespace == namespace)
            .map(|(place, column)| DecoderColumn {
                name: column.name.clone(),
                sql_type: column.sql_type.clone(),
                target: target(place),
            })
            .collect()
    };
    let header_places =
        (0..declared).filter(|place| source.schema.columns[*place].namespace == Namespace::Headers);
    let headers = header_places
        .zip(&source.headers)
        .filter_map(|(place, header)| Some((target(place)?.0, header.clone())))
        .collect();
    let time = match &source.timestamp {
        None => None,
        Some(column) => source
            .schema
            .position(&column.column)
            .and_then(target)
            .map(|(place, _)| Ok::<_, PlanError>((place, TimeReading::of(column)?)))
            .transpose()?,
    };
    let width = (0..input.width())
        .filter(|place| target(*place).is_some())
        .count();
    let pseudo = [0, 1, 2].map(|offset| target(declared + offset).map(|(place, _)| place));
    let (key_wrapping, value_wrapping) = wrappings(source);
    Ok(Scan {
        topic: source.topic.clone(),
        width,
        key: Decoder::new(source.key_format, key_wrapping, columns(Namespace::Key)),
        value: Decoder::new(source.value_format, value_wrapping, columns(Namespace::Value)),
        headers,
        time,
        pseudo,
    })
}

/// A single key column stands by itself, a single value column only where the source says so.
pub(super) fn wrappings(source: &Source) -> (Wrapping, Wrapping) {
    let value = if source.wrap_single_value {
        Wrapping::Wrapped
    } else {
        Wrapping::Unwrapped
    };
    (Wrapping::Unwrapped, value)
}

fn destination(sink: &Sink) -> Result<Destination, PlanError> {
    let source = &sink.source;
    let (key_wrapping, value_wrapping) = wrappings(source);
    let time = match &source.timestamp {
        None => None,
        Some(column) => sink
            .schema
            .position(&column.column)
            .map(|place| Ok::<_, PlanError>((place, TimeReading::of(column)?)))
            .transpose()?,
    };
    Ok(Destination::Records {
        key_columns: sink.schema.key().count(),
        key: Encoder::new(source.key_format, key_wrapping, sink.schema.key()),
        value: Encoder::new(source.value_format, value_wrapping, sink.schema.value()),
        time,
    })
}
