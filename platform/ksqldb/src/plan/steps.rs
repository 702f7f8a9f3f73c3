//! From a query whose expressions name places of the scope to the steps that a task executes.

mod ends;
mod joins;

use std::sync::Arc;

use super::PlanError;
use super::aggregation::Aggregation;
use super::demand::{Demands, Layout};
use super::inputs::Inputs;
use super::pipeline::{
    AggregateCall, AggregateStep, Destination, FilterStep, Materialization, OutputStep, Pipeline, Projected,
    RememberStep, Step, StoreStep, Windows,
};
use super::projection::Item;
use super::sink::Sink;
use crate::expression::{Descend, Expr};
use crate::metastore::SourceWindow;
use crate::serde::{Encoder, Format, Wrapping, check_columns};
use crate::syntax::ast::SourceKind;
use crate::types::{Column, Namespace};
use ends::{destination, scan, value_only};

pub(super) use ends::wrappings;

/// The rows of a table that is not joined.
pub(super) const SOURCE_STORE: &str = "KsqlTopic-Reduce";
/// The states of an aggregation's groups.
pub(super) const AGGREGATE_STORE: &str = "Aggregate-Aggregate-Materialize";
/// The rows that a join of tables made last.
pub(super) const LAST_STORE: &str = "Project-Last";

/// The rows of a side of a join with tables; `later` joins come behind it.
pub(super) fn join_store(side: &str, later: usize) -> String {
    format!("{}KafkaTopic_{side}-Reduce", "L_Join-".repeat(later))
}

/// A query whose expressions still name places of the scope.
pub(super) struct Steps {
    pub(super) inputs: Inputs,
    pub(super) filter: Option<(Expr, String)>,
    pub(super) aggregation: Option<Aggregation>,
    /// The lists of table functions, whose columns are the scope's last.
    pub(super) tables: Vec<Projected>,
    /// Whether the output's key is the input's, as it came.
    pub(super) keeps_key: bool,
    /// Whether it is partitioned by something.
    pub(super) partitions: bool,
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

        let all = || (0..self.items.len()).collect();
        let order: Vec<usize> = sink.map_or_else(all, |sink| sink.order.clone());
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
                        store: self.store(LAST_STORE, Windows::None, None),
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
            value_only: value_only(self.partitions, &self.items, &order, &self.inputs),
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
            store: self.store(SOURCE_STORE, windows_of(source.window), None),
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
            store: self.store(AGGREGATE_STORE, windows_of(self.window), retention),
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
