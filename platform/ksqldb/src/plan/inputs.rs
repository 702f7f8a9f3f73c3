//! `FROM … JOIN …`: the sources a query reads, the columns it may name, and what the joins compare.

use std::sync::Arc;

use super::{PlanError, Stage};
use crate::expression::{Expr, Scope, ScopeColumn, compile, text};
use crate::metastore::{Metastore, Source};
use crate::serde::Format;
use crate::syntax::ast::{
    AliasedSource, BinaryOperator, Expression, ExpressionKind, Join, JoinKind, Query, SourceKind, Within,
};
use crate::types::{Namespace, SqlType};

/// The columns that every row has without being declared.
pub(super) const PSEUDO_COLUMNS: [(&str, SqlType); 3] = [
    ("ROWTIME", SqlType::Bigint),
    ("ROWPARTITION", SqlType::Integer),
    ("ROWOFFSET", SqlType::Bigint),
];

/// What ksqlDB says about the values it cannot join or group.
pub(super) const KAFKA_VALUES: &str = "The KAFKA format is primarily intended for use as a key format. It can be used as a value format, but can not be used in any operation that requires a repartition or changelog topic.\nRemoving this limitation requires enhancements to the core of KSQL. This will come in a future release. Until then, avoid using the KAFKA format for values.\nIf you have an existing topic with KAFKA formatted values you can duplicate the data and serialize using Avro or JSON with a statement such as: \n\n'CREATE STREAM <new-stream-name> WITH(VALUE_FORMAT='Avro') AS SELECT * FROM <existing-kafka-formated-stream-name>;'\nFor more info see https://github.com/confluentinc/ksql/issues/3060";

/// A source a query reads.
#[derive(Debug, Clone)]
pub(super) struct Input {
    pub(super) alias: String,
    pub(super) source: Arc<Source>,
    /// The place of its first column in the scope; its declared columns, then the pseudo columns, follow.
    pub(super) first: usize,
}

/// The columns of the windows that a windowed source's keys end with.
pub(super) const BOUNDS: [&str; 2] = ["WINDOWSTART", "WINDOWEND"];

impl Input {
    /// How many places it has in the scope.
    pub(super) fn width(&self) -> usize {
        let bounds = if self.source.window.is_some() {
            BOUNDS.len()
        } else {
            0
        };
        self.source.schema.columns.len() + PSEUDO_COLUMNS.len() + bounds
    }

    /// Whether these expressions are the key that its records have.
    pub(super) fn is_keyed_by<'a>(&self, key: impl IntoIterator<Item = &'a Expr>) -> bool {
        // Key columns come first.
        let places = self.first..self.first + self.source.schema.key().count();
        key.into_iter()
            .map(|expr| match expr {
                Expr::Column(place) => Some(*place),
                _ => None,
            })
            .eq(places.map(Some))
    }

    /// The places of the columns that are declared.
    fn declared(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.source.schema.columns.len()
    }

    /// The place of its first window bound in the scope, where it has any.
    pub(super) fn bounds(&self) -> Option<usize> {
        let first = self.first + self.source.schema.columns.len() + PSEUDO_COLUMNS.len();
        self.source.window.is_some().then_some(first)
    }
}

/// What a join compares; places are the scope's.
#[derive(Debug, Clone)]
pub(super) struct JoinCriteria {
    pub(super) kind: JoinKind,
    pub(super) method: JoinMethod,
    /// Over the inputs so far.
    pub(super) left: Expr,
    /// Over the joined input.
    pub(super) right: Expr,
    pub(super) key_type: SqlType,
    /// The sides that are plain columns, as they are written.
    pub(super) columns: Vec<(Expr, String)>,
    /// What the joins before make equal to its left side, plain columns first: they have the key of what is joined
    /// so far where the left side is of an input that has no row.
    pub(super) equals: Vec<Expr>,
}

/// What is joined with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JoinMethod {
    /// Streams, within a time.
    Streams(Within),
    /// A stream with a table's key.
    Lookup,
    /// The keys of two tables.
    Tables,
    /// A column of a table with the key of another.
    ForeignKey,
}

/// The sources of a query, joined.
#[derive(Debug, Clone)]
pub(super) struct Inputs {
    pub(super) inputs: Vec<Input>,
    pub(super) scope: Scope,
    pub(super) joins: Vec<JoinCriteria>,
    /// The place of the key that the last join makes where neither side's column can be it.
    pub(super) synthetic_key: Option<usize>,
}

impl Inputs {
    /// Whether an expression is a column that an input declares, and not one that every input has.
    pub(super) fn is_declared(&self, expr: &Expr) -> bool {
        let is_within = |place: &usize| self.inputs.iter().any(|input| input.declared().contains(place));
        matches!(expr, Expr::Column(place) if is_within(place))
    }

    /// Whether each entry that is wanted of the map at a place gets a place of its own: where the format can read it
    /// so, and no row is kept as it was read.
    pub(super) fn spreads(&self, place: usize) -> bool {
        let [Input { source, first, .. }] = self.inputs.as_slice() else {
            return false;
        };
        let column = source.schema.columns.get(place - first);
        source.kind == SourceKind::Stream
            && source.value_format.reads_each()
            && column.is_some_and(|column| column.namespace == Namespace::Value)
    }

    pub(super) fn resolve(metastore: &Metastore, query: &Query) -> Result<Self, PlanError> {
        let mut resolved = Self {
            inputs: Vec::new(),
            scope: Scope::default(),
            joins: Vec::new(),
            synthetic_key: None,
        };
        resolved.add(metastore, &query.from, query.joins.len())?;
        for join in &query.joins {
            resolved.add(metastore, &join.source, query.joins.len())?;
            let criteria = resolved.criteria(join)?;
            resolved.joins.push(criteria);
        }
        if !query.joins.is_empty() {
            resolved.refuse_kafka_values()?;
        }
        if let Some(last) = resolved.joins.last()
            && (last.columns.is_empty() || last.kind == JoinKind::Full)
        {
            resolved.synthetic_key = Some(resolved.scope.columns.len());
            resolved.scope.columns.push(ScopeColumn {
                source: None,
                name: resolved.unused_key_name(),
                sql_type: last.key_type.clone(),
                is_key: false,
            });
        }
        Ok(resolved)
    }

    /// The sources with their columns, whatever they are and whatever joins them.
    pub(super) fn of_names(metastore: &Metastore, query: &Query) -> Result<Self, PlanError> {
        let mut named = Self {
            inputs: Vec::new(),
            scope: Scope::default(),
            joins: Vec::new(),
            synthetic_key: None,
        };
        for from in std::iter::once(&query.from).chain(query.joins.iter().map(|join| &join.source)) {
            let source = metastore.get(&from.name).ok_or_else(|| does_not_exist(from))?;
            named.push(from, source);
        }
        Ok(named)
    }

    /// Kafka's own formats hold a single value, and a join's rows have several.
    fn refuse_kafka_values(&self) -> Result<(), PlanError> {
        let sources = self.inputs.iter().map(|input| &input.source);
        let of_kafka = sources.filter(|source| source.value_format == Format::Kafka);
        let names: Vec<&str> = of_kafka.map(|source| source.name.as_str()).collect();
        if names.is_empty() {
            return Ok(());
        }
        Err(PlanError::new(format!(
            "Source(s) {} are using the 'KAFKA' value format. This format does not yet support JOIN.\n{KAFKA_VALUES}",
            names.join(", ")
        )))
    }

    fn add(&mut self, metastore: &Metastore, from: &AliasedSource, joins: usize) -> Result<(), PlanError> {
        let Some(source) = metastore.get(&from.name) else {
            return Err(does_not_exist(from));
        };
        if let Some(first) = self.inputs.iter().find(|input| input.source.name == source.name) {
            return Err(PlanError::new(if joins > 1 {
                format!(
                    "N-way joins do not support multiple occurrences of the same source. Source: '{}'.",
                    source.name
                )
            } else {
                format!(
                    "Can not join '{}' to '{}': self joins are not yet supported.",
                    source.name, first.source.name
                )
            }));
        }
        if self.inputs.iter().any(|input| input.alias == from.alias) {
            return Err(PlanError::new(format!(
                "The alias '{}' names more than one source.",
                from.alias
            )));
        }
        self.push(from, source);
        Ok(())
    }

    /// Whether what is joined so far is a table.
    pub(super) fn is_table(&self) -> bool {
        self.inputs
            .iter()
            .all(|input| input.source.kind == SourceKind::Table)
    }

    /// The places of all declared columns.
    pub(super) fn declared(&self) -> Vec<usize> {
        let inputs = self.inputs.iter();
        inputs.flat_map(Input::declared).collect()
    }

    /// The columns that the key of the last join may be named after, with their texts: those that it compares, and
    /// what an earlier join made equal to one of them.
    pub(super) fn join_keys(&self) -> Vec<(Expr, String)> {
        let mut joins = self.joins.iter().rev();
        let mut keys = joins.next().map_or_else(Vec::new, |last| last.columns.clone());
        for earlier in joins {
            let is_known = |(expr, _): &&(Expr, String)| {
                let fingerprint = expr.fingerprint();
                keys.iter().any(|(key, _)| key.fingerprint() == fingerprint)
            };
            if earlier.kind != JoinKind::Full && earlier.columns.iter().any(|column| is_known(&column)) {
                let new: Vec<_> = earlier
                    .columns
                    .iter()
                    .filter(|column| !is_known(column))
                    .cloned()
                    .collect();
                keys.extend(new);
            }
        }
        keys
    }

    /// The column that stands for the key of the last join: the first that may, of those that are projected, or else
    /// of all.
    pub(super) fn join_key<'a>(&self, mut projected: impl Iterator<Item = &'a Expr>) -> Option<usize> {
        let last = self.joins.last()?;
        if last.kind == JoinKind::Full || last.method == JoinMethod::ForeignKey {
            return None;
        }
        let keys = self.join_keys();
        let place = |key: &(Expr, String)| match key.0 {
            Expr::Column(place) => Some(place),
            _ => None,
        };
        let keys: Vec<usize> = keys.iter().filter_map(place).collect();
        let is_projected: Vec<usize> = projected
            .by_ref()
            .filter_map(|expr| match expr {
                Expr::Column(place) => Some(*place),
                _ => None,
            })
            .collect();
        let chosen = keys.iter().find(|key| is_projected.contains(key));
        chosen.or(keys.first()).copied()
    }

    fn push(&mut self, from: &AliasedSource, source: &Arc<Source>) {
        let first = self.scope.columns.len();
        let declared = source.schema.columns.iter();
        let declared = declared.map(|column| {
            let is_key = column.namespace == Namespace::Key;
            (column.name.clone(), column.sql_type.clone(), is_key)
        });
        let pseudo = PSEUDO_COLUMNS.into_iter();
        let pseudo = pseudo.map(|(name, sql_type)| (name.to_owned(), sql_type, false));
        let alias = &from.alias;
        let bounds = BOUNDS.into_iter().filter(|_| source.window.is_some());
        let bounds = bounds.map(|name| (name.to_owned(), SqlType::Bigint, false));
        let columns = declared.chain(pseudo).chain(bounds);
        self.scope
            .columns
            .extend(columns.map(|(name, sql_type, is_key)| ScopeColumn {
                source: Some(alias.clone()),
                name,
                sql_type,
                is_key,
            }));
        self.inputs.push(Input {
            alias: from.alias.clone(),
            source: Arc::clone(source),
            first,
        });
    }

    /// Checks the join of the input that was added last with those before it.
    fn criteria(&self, join: &Join) -> Result<JoinCriteria, PlanError> {
        let of_streams = self
            .inputs
            .iter()
            .all(|input| input.source.kind == SourceKind::Stream);
        if of_streams && join.within.is_none() {
            return Err(PlanError::new(
                "Stream-Stream joins must have a WITHIN clause specified. None was provided. To learn about how to specify a WITHIN clause with a stream-stream join, please visit: https://docs.confluent.io/current/ksql/docs/syntax-reference.html#create-stream-as-select",
            ));
        }
        let (left, right) = match &join.criteria.kind {
            ExpressionKind::Binary(left, BinaryOperator::Equal, right) => (left, right),
            ExpressionKind::Binary(left, BinaryOperator::And, right)
                if is_equality(left) && is_equality(right) =>
            {
                return Err(PlanError::new(format!(
                    "Invalid join condition: joins on multiple conditions are not yet supported. Got {}.",
                    text(&join.criteria)
                )));
            }
            ExpressionKind::Binary(_, operator, _) if is_comparison(*operator) => {
                return Err(PlanError::new("Only equality join criteria is supported."));
            }
            _ => {
                return Err(PlanError::new(format!(
                    "Unsupported join expression: {}",
                    text(&join.criteria)
                )));
            }
        };
        let left_input = self.only_input(left, &join.criteria)?;
        let right_input = self.only_input(right, &join.criteria)?;
        let joined = self.inputs.len() - 1;
        let (left, right) = match (left_input == joined, right_input == joined) {
            (false, true) => (left, right),
            (true, false) => (right, left),
            _ => {
                return Err(PlanError::new(format!(
                    "Each side of the join must reference exactly one source and not the same source. Left side references `{}` and right references `{}`",
                    self.inputs[left_input].alias, self.inputs[right_input].alias
                )));
            }
        };
        let left_side = compile(left, &self.scope, "JOIN ON")?;
        let right_side = compile(right, &self.scope, "JOIN ON")?;
        let method = self.method(join, (left, &left_side.expr), (right, &right_side.expr))?;
        let key_type = match (&left_side.sql_type, &right_side.sql_type) {
            (Some(left_type), Some(right_type)) if left_type == right_type => left_type.clone(),
            (left_type, right_type) => {
                let name = |sql_type: &Option<SqlType>| {
                    sql_type.as_ref().map_or("NULL".to_owned(), ToString::to_string)
                };
                if matches!(method, JoinMethod::Tables | JoinMethod::ForeignKey) {
                    let (first, second) = if left_input == joined {
                        ((right, right_type), (left, left_type))
                    } else {
                        ((left, left_type), (right, right_type))
                    };
                    return Err(PlanError::new(format!(
                        "Invalid join condition: types don't match. Got {}{{{}}} = {}{{{}}}.",
                        text(first.0),
                        name(first.1),
                        text(second.0),
                        name(second.1)
                    )));
                }
                return Err(PlanError::new(format!(
                    "Invalid join. Key types differ: {} vs {}",
                    name(left_type),
                    name(right_type)
                )));
            }
        };
        let sides = [(&left_side.expr, left), (&right_side.expr, right)];
        let columns = sides
            .into_iter()
            .filter(|(expr, _)| matches!(expr, Expr::Column(_)))
            .map(|(expr, side)| (expr.clone(), text(side)))
            .collect();
        Ok(JoinCriteria {
            equals: self.equal_to(&left_side.expr),
            kind: join.kind,
            method,
            key_type,
            columns,
            left: left_side.expr,
            right: right_side.expr,
        })
    }

    /// The one input an expression is about.
    fn only_input(&self, side: &Expression, criteria: &Expression) -> Result<usize, PlanError> {
        let mut compiled = compile(side, &self.scope, "JOIN ON")?.expr;
        let mut places = Vec::new();
        compiled.walk(&mut |expr| {
            if let Expr::Column(place) = expr {
                places.push(*place);
            }
            crate::expression::Descend::Yes
        });
        let owner = |place: &usize| self.inputs.iter().rposition(|input| input.first <= *place);
        let owners: Vec<_> = places.iter().filter_map(owner).collect();
        match owners.split_first() {
            Some((first, rest)) if rest.iter().all(|other| other == first) => Ok(*first),
            _ => Err(PlanError::new(format!(
                "Invalid comparison expression '{}' in join '{}'. Each side of the join comparision must contain references from exactly one source.",
                text(side),
                text(criteria)
            ))),
        }
    }

    pub(super) fn unused_key_name(&self) -> String {
        let is_used = |name: &str| self.scope.columns.iter().any(|column| column.name == name);
        if !is_used("ROWKEY") {
            return "ROWKEY".to_owned();
        }
        let mut number = 1;
        loop {
            let name = format!("ROWKEY_{number}");
            if !is_used(&name) {
                return name;
            }
            number += 1;
        }
    }
}

fn does_not_exist(from: &AliasedSource) -> PlanError {
    PlanError::in_stage(Stage::Preparing, format!("{} does not exist.", from.name))
}

fn is_comparison(operator: BinaryOperator) -> bool {
    !matches!(operator, BinaryOperator::And | BinaryOperator::Or)
        && !matches!(
            operator,
            BinaryOperator::Add
                | BinaryOperator::Subtract
                | BinaryOperator::Multiply
                | BinaryOperator::Divide
                | BinaryOperator::Modulo
        )
}

fn is_equality(expression: &Expression) -> bool {
    matches!(
        expression.kind,
        ExpressionKind::Binary(_, BinaryOperator::Equal, _)
    )
}
