//! `FROM … JOIN …`: the sources a query reads, and the columns it may name.

use std::sync::Arc;

use super::join_criteria::JoinCriteria;
use super::{PlanError, Stage};
use crate::expression::{Expr, Scope, ScopeColumn};
use crate::metastore::{Metastore, Source};
use crate::serde::Format;
use crate::syntax::ast::{AliasedSource, JoinKind, Query, SourceKind};
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

    pub(super) fn push(&mut self, from: &AliasedSource, source: &Arc<Source>) {
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
