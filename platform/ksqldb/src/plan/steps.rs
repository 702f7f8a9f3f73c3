//! From a query whose expressions name places of the scope to the steps that a task executes.

use std::sync::Arc;

use super::PlanError;
use super::aggregation::Aggregation;
use super::demand::{Demands, Layout};
use super::inputs::{Input, Inputs, JoinCriteria, JoinMethod};
use super::pipeline::{
    AggregateCall, AggregateStep, Destination, FilterStep, JoinStep, Materialization, OutputStep, Pipeline,
    Projected, RememberStep, Scan, Side, Step, StoreStep, TableJoinStep, TableSide, Windows,
};
use super::projection::Item;
use super::registered::{decoders, encoders};
use super::sink::Sink;
use super::timestamps::TimeReading;
use crate::expression::{Descend, Expr};
use crate::metastore::{Source, SourceWindow};
use crate::serde::{DecoderColumn, Encoder, Format, Wrapping, check_columns};
use crate::syntax::ast::{Duration, SourceKind};
use crate::types::{Column, Namespace, SqlType};

/// A query whose expressions still name places of the scope.
pub(super) struct Steps {
    pub(super) inputs: Inputs,
    pub(super) filter: Option<(Expr, String)>,
    pub(super) aggregation: Option<Aggregation>,
    /// The lists of table functions, whose columns are the scope's last.
    pub(super) tables: Vec<Projected>,
    /// Whether the output's key is the input's, as it came.
    pub(super) keeps_key: bool,
    pub(super) items: Vec<Item>,
    /// The windows of the keys of what comes out.
    pub(super) window: Option<SourceWindow>,
    /// Whether its state outlives the task, and pull queries may read it.
    pub(super) is_persistent: bool,
    /// Of a table: which items are its key.
    pub(super) keys: Option<Vec<bool>>,
}

impl Steps {
    /// Gives everything that is needed its place in the row.
    pub(super) fn lay_out(mut self, sink: Option<&Sink>) -> Result<Pipeline, PlanError> {
        let demands = self.demands();
        let layout = demands.layout(&self.inputs.inputs, |place| self.inputs.spreads(place));
        let described = self.description(&layout);
        let inputs = &self.inputs.inputs;
        let scans = inputs.iter().enumerate();
        let scans = scans.map(|(index, input)| scan(index, input, &layout));
        let scans = scans.collect::<Result<Vec<_>, _>>()?;

        let of_table = self.inputs.is_table();
        let is_joined = !self.inputs.joins.is_empty();
        let mut steps = self.joins(&scans, &layout, sink);
        let mut kept = None;
        if of_table
            && !is_joined
            && (self.is_persistent || self.filter.is_some() || self.aggregation.is_some())
        {
            kept = Some(steps.len());
            steps.push(Step::Remember(Arc::new(self.remember(&layout))));
        }
        let filter = self.filter.take().map(|(mut condition, text)| {
            layout.rewrite(&mut condition, 0);
            Arc::new(FilterStep {
                condition,
                text,
                of_table,
            })
        });
        steps.extend(filter.clone().map(Step::Filter));

        let order: Vec<usize> = match sink {
            Some(sink) => sink.order.clone(),
            None => (0..self.items.len()).collect(),
        };
        let aggregation = self.aggregation.take();
        let mut having = None;
        let mut groups = None;
        let projection: Vec<Projected>;
        match aggregation {
            Some(aggregation) => {
                let places = ResultPlaces::of(&aggregation);
                having = aggregation.having.clone().map(|(mut condition, text)| {
                    places.rewrite(&mut condition);
                    Arc::new(FilterStep {
                        condition,
                        text,
                        of_table: true,
                    })
                });
                projection = self.projection(&order, |expr| places.rewrite(expr));
                let step = Arc::new(self.aggregate(aggregation, &layout, of_table, sink));
                kept = Some(steps.len());
                groups = Some(Arc::clone(&step));
                steps.push(Step::Aggregate(step));
                steps.extend(having.clone().map(Step::Filter));
            }
            None => {
                projection = self.projection(&order, |expr| layout.rewrite(expr, 0));
                if let Some(sink) = sink
                    && of_table
                    && is_joined
                {
                    kept = Some(steps.len());
                    let keys = sink.schema.key().count();
                    steps.push(Step::Remember(Arc::new(RememberStep {
                        key: projection[..keys]
                            .iter()
                            .map(|column| column.expr.clone())
                            .collect(),
                        encoder: key_encoder(sink.source.key_format, sink.schema.key()),
                        store: self.store("Project-Last", Windows::None, None),
                    })));
                }
            }
        }
        let filter = match (&groups, is_joined) {
            (Some(_), _) => having,
            (None, false) => filter,
            // Only what passes is kept.
            (None, true) => None,
        };
        let materialization = kept.filter(|_| self.is_persistent).map(|step| {
            let encoder = match &steps[step] {
                Step::Aggregate(step) => step.encoder.clone(),
                Step::Remember(step) => step.encoder.clone(),
                _ => key_encoder(Format::Json, std::iter::empty()),
            };
            Arc::new(Materialization {
                step,
                groups,
                filter,
                projection: projection.clone(),
                encoder,
            })
        });
        let destination = match sink {
            Some(sink) => destination(sink, windows_of(self.window))?,
            None if self.is_persistent => Destination::Nowhere,
            None => Destination::Rows { keys: self.keys },
        };
        let mut tables = std::mem::take(&mut self.tables);
        for table in &mut tables {
            layout.rewrite(&mut table.expr, 0);
        }
        steps.push(Step::Output(Arc::new(OutputStep {
            tables,
            keeps_key: self.keeps_key,
            projection,
            destination,
        })));
        Ok(Pipeline {
            layout: fingerprint(&described),
            scans,
            steps,
            materialization,
            limit: None,
        })
    }

    /// What a row that is kept consists of, place by place.
    fn description(&self, layout: &Layout) -> String {
        let columns = self.inputs.scope.columns.iter().enumerate();
        // Of a stream that is aggregated no row is kept.
        let keeps_rows =
            self.aggregation.is_none() || self.inputs.is_table() || !self.inputs.joins.is_empty();
        let needed = columns.filter(|(place, _)| keeps_rows && layout.place(*place).is_some());
        let mut description: String = needed
            .map(|(_, column)| format!("{:?}.{} {};", column.source, column.name, column.sql_type))
            .collect();
        if let Some(aggregation) = &self.aggregation {
            for group in &aggregation.groups {
                description.push_str(&format!("{} {};", group.written, group.sql_type));
            }
            for call in &aggregation.calls {
                description.push_str(&format!("{:?} {};", call.aggregate, call.written));
            }
        }
        description
    }

    /// What is needed of the inputs.
    fn demands(&mut self) -> Demands {
        let mut demands = Demands::none(self.inputs.scope.columns.len());
        for join in &mut self.inputs.joins {
            demands.add(&mut join.left);
            demands.add(&mut join.right);
            for equal in &mut join.equals {
                demands.add(equal);
            }
        }
        if let Some((filter, _)) = &mut self.filter {
            demands.add(filter);
        }
        match &mut self.aggregation {
            Some(aggregation) => {
                for group in &mut aggregation.groups {
                    demands.add(&mut group.expr);
                }
                for argument in aggregation.calls.iter_mut().flat_map(|call| &mut call.arguments) {
                    demands.add(argument);
                }
            }
            None => {
                for item in &mut self.items {
                    demands.add(&mut item.expr);
                }
            }
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
            if input.source.kind == SourceKind::Table {
                // A row is kept by its key.
                for place in (input.first..).take(input.source.schema.key().count()) {
                    demands.add_whole(place);
                }
            }
        }
        demands
    }

    fn joins(&mut self, scans: &[Scan], layout: &Layout, sink: Option<&Sink>) -> Vec<Step> {
        let keeps_join_key = self
            .inputs
            .synthetic_key
            .is_some_and(|place| layout.place(place).is_some());
        let projected = match &self.aggregation {
            Some(aggregation) => aggregation.groups.iter().map(|group| &group.expr).collect(),
            None => self.items.iter().map(|item| &item.expr).collect::<Vec<_>>(),
        };
        let join_key = self.inputs.join_key(projected.into_iter());
        let join_key = join_key.and_then(|place| layout.place(place));
        let joins = std::mem::take(&mut self.inputs.joins);
        let last = joins.len().saturating_sub(1);
        let mut steps = Vec::new();
        let mut left_width = scans[0].width;
        for (index, join) in joins.into_iter().enumerate() {
            let (mut left_key, mut right_key) = (first_of(&join), join.right.clone());
            layout.rewrite(&mut left_key, 0);
            layout.rewrite(&mut right_key, layout.first(index + 1));
            let right_width = scans[index + 1].width;
            let appends_key = keeps_join_key && index == last;
            let key_place = join_key.filter(|_| index == last);
            if let JoinMethod::Streams(within) = join.method {
                steps.push(Step::StreamJoin(Arc::new(JoinStep {
                    kind: join.kind,
                    left_key,
                    right_key,
                    left_width,
                    right_width,
                    appends_key,
                    key_place,
                    is_rekeyed: self.rekeyed(&join, index),
                    encoder: self.repartition_encoder(&join, index),
                    before_ms: within.before.milliseconds(),
                    after_ms: within.after.milliseconds(),
                    grace_ms: within.grace.map(Duration::milliseconds),
                })));
            } else {
                let nested = "L_Join-".repeat(last - index);
                let side = |name: &str, key: Expr, width: usize| TableSide {
                    key,
                    width,
                    store: self.store(&format!("{nested}KafkaTopic_{name}-Reduce"), Windows::None, None),
                };
                let step = Arc::new(TableJoinStep {
                    kind: join.kind,
                    left: side("Left", left_key, left_width),
                    right: side("Right", right_key, right_width),
                    encoder: join_encoder(&join, sink),
                    left_primary: self.primary(0, layout),
                    primary_encoder: {
                        let left = &self.inputs.inputs[0].source;
                        key_encoder(left.key_format, left.schema.key())
                    },
                    appends_key,
                    key_place,
                });
                steps.push(match join.method {
                    JoinMethod::Lookup => Step::Lookup(step),
                    JoinMethod::ForeignKey => Step::ForeignKeyJoin(step),
                    JoinMethod::Tables | JoinMethod::Streams(_) => Step::TableJoin(step),
                });
            }
            left_width += right_width;
        }
        steps
    }

    /// Whether a join needs its sides by another key than they have. A join before it has made the left side's key.
    fn rekeyed(&self, join: &JoinCriteria, index: usize) -> [bool; 2] {
        [
            index > 0 || !self.inputs.inputs[0].is_keyed_by([&join.left]),
            !self.inputs.inputs[index + 1].is_keyed_by([&join.right]),
        ]
    }

    /// Writes what a join of streams compares, as the side has it that keeps its key.
    fn repartition_encoder(&self, join: &JoinCriteria, index: usize) -> Encoder {
        let keeping = match self.rekeyed(join, index) {
            [true, false] => &self.inputs.inputs[index + 1],
            _ => &self.inputs.inputs[0],
        };
        let column = Column {
            name: "KEY".to_owned(),
            sql_type: SqlType::clone(&join.key_type),
            namespace: Namespace::Key,
        };
        key_encoder(keeping.source.key_format, std::iter::once(&column))
    }

    /// The key of an input that is a table, in its own part of the row.
    fn primary(&self, index: usize, layout: &Layout) -> Vec<Expr> {
        let input = &self.inputs.inputs[index];
        if input.source.kind != SourceKind::Table {
            return Vec::new();
        }
        let keys = (input.first..).take(input.source.schema.key().count());
        keys.filter_map(|place| layout.local(index, place))
            .map(|(place, _)| Expr::Column(place))
            .collect()
    }

    fn remember(&self, layout: &Layout) -> RememberStep {
        let source = &self.inputs.inputs[0].source;
        RememberStep {
            key: self.primary(0, layout),
            encoder: key_encoder(source.key_format, source.schema.key()),
            store: self.store("KsqlTopic-Reduce", windows_of(source.window), None),
        }
    }

    fn aggregate(
        &self,
        aggregation: Aggregation,
        layout: &Layout,
        of_table: bool,
        sink: Option<&Sink>,
    ) -> AggregateStep {
        let columns = aggregation
            .groups
            .iter()
            .enumerate()
            .map(|(index, group)| Column {
                name: format!("G{index}"),
                sql_type: group.sql_type.clone(),
                namespace: Namespace::Key,
            });
        let columns: Vec<Column> = columns.collect();
        let is_rekeyed = match self.inputs.inputs.as_slice() {
            [input] => !input.is_keyed_by(aggregation.groups.iter().map(|group| &group.expr)),
            _ => true,
        };
        let encoder = match sink {
            Some(sink) => key_encoder(sink.source.key_format, sink.schema.key()),
            None => key_encoder(Format::Kafka, columns.iter()),
        };
        let groups = aggregation.groups.into_iter().map(|mut group| {
            layout.rewrite(&mut group.expr, 0);
            (group.expr, group.text)
        });
        let calls = aggregation.calls.into_iter().map(|call| AggregateCall {
            aggregate: call.aggregate,
            arguments: call
                .arguments
                .into_iter()
                .map(|mut argument| {
                    layout.rewrite(&mut argument, 0);
                    argument
                })
                .collect(),
            text: call.text,
        });
        let retention = aggregation.windowing.map(|windowing| windowing.retention_ms);
        AggregateStep {
            groups: groups.collect(),
            calls: calls.collect(),
            windowing: aggregation.windowing,
            is_rekeyed,
            is_final: aggregation.is_final,
            passes_old: aggregation.having.is_some(),
            of_table,
            encoder,
            store: self.store(
                "Aggregate-Aggregate-Materialize",
                windows_of(self.window),
                retention,
            ),
        }
    }

    fn projection(&self, order: &[usize], rewrite: impl Fn(&mut Expr)) -> Vec<Projected> {
        let items = order.iter().map(|place| {
            let item = &self.items[*place];
            let mut expr = item.expr.clone();
            rewrite(&mut expr);
            Projected {
                expr,
                text: item.text.clone(),
            }
        });
        items.collect()
    }

    fn store(&self, name: &str, windows: Windows, retention_ms: Option<i64>) -> StoreStep {
        StoreStep {
            name: name.into(),
            windows,
            has_changelog: self.is_persistent,
            retention_ms,
        }
    }
}

/// The left side of a join's condition, or, where that is `NULL`, the first of what is equal to it.
fn first_of(join: &JoinCriteria) -> Expr {
    let sides = std::iter::once(&join.left).chain(&join.equals).cloned();
    let first = sides.rev().reduce(|otherwise, side| {
        let is_there = Expr::Not(Box::new(Expr::IsNull(Box::new(side.clone()))));
        Expr::Case(vec![(is_there, side)], Box::new(otherwise))
    });
    first.unwrap_or_else(|| join.left.clone())
}

/// A number that is the same for the same text, whichever version of the server asks (FNV-1a).
fn fingerprint(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

/// Where behind an aggregation each place of the scope is.
struct ResultPlaces {
    places: Vec<(usize, usize)>,
}

impl ResultPlaces {
    fn of(aggregation: &Aggregation) -> Self {
        let groups = aggregation.groups.iter().map(|group| group.place);
        let calls = aggregation.calls.iter().map(|call| call.place);
        let bounds = aggregation.bounds.into_iter().flatten();
        Self {
            places: groups.chain(calls).chain(bounds).zip(0..).collect(),
        }
    }

    fn rewrite(&self, expression: &mut Expr) {
        expression.walk(&mut |expr| {
            if let Expr::Column(place) = expr
                && let Some((_, behind)) = self.places.iter().find(|(scope, _)| scope == place)
            {
                *place = *behind;
            }
            Descend::Yes
        });
    }
}

/// What follows the keys of windows of a kind.
pub(super) fn windows_of(window: Option<SourceWindow>) -> Windows {
    match window {
        None => Windows::None,
        Some(SourceWindow::Tumbling { .. } | SourceWindow::Hopping { .. }) => Windows::Time,
        Some(SourceWindow::Session) => Windows::Session,
    }
}

/// Writes a key in its format, or, where that cannot have such columns or needs a registry, as JSON: stores are read
/// and written without one.
fn key_encoder<'a>(format: Format, columns: impl Iterator<Item = &'a Column>) -> Encoder {
    let columns: Vec<&Column> = columns.collect();
    let format = match check_columns(format, &columns) {
        Ok(()) if format.schema_type().is_none() && !matches!(format, Format::ProtobufNoSr { .. }) => format,
        _ => Format::Json,
    };
    Encoder::new(format, Wrapping::Unwrapped, columns.into_iter())
}

/// Writes what a join compares: as the result's key, where that is it.
fn join_encoder(join: &JoinCriteria, sink: Option<&Sink>) -> Encoder {
    let column = Column {
        name: "KEY".to_owned(),
        sql_type: SqlType::clone(&join.key_type),
        namespace: Namespace::Key,
    };
    let format = match (join.method, sink) {
        (JoinMethod::Tables, Some(sink)) => sink.source.key_format,
        _ => Format::Kafka,
    };
    key_encoder(format, std::iter::once(&column))
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
        .filter_map(target)
        .map(|(_, demand)| demand.places())
        .sum();
    let pseudo = [0, 1, 2, 3, 4].map(|offset| {
        let place = declared + offset;
        (place < input.width())
            .then(|| target(place).map(|(place, _)| place))
            .flatten()
    });
    let (key, value) = decoders(source, columns);
    Ok(Scan {
        topic: source.topic.clone(),
        is_table: source.kind == SourceKind::Table,
        step: index.saturating_sub(1),
        side: if index == 0 { Side::Left } else { Side::Right },
        window: source.window,
        width,
        key,
        value,
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
    (source.key_format.key_wrapping(), value)
}

fn destination(sink: &Sink, windows: Windows) -> Result<Destination, PlanError> {
    let source = &sink.source;
    let (key, value) = encoders(source, &sink.schema);
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
        key,
        value,
        time,
        windows,
    })
}
