//! A query's steps as `EXPLAIN` prints them: the last step first, what feeds it indented below.

use super::aggregation::Aggregation;
use super::inputs::{Input, Inputs, PSEUDO_COLUMNS};
use super::join_criteria::{JoinCriteria, JoinMethod};
use super::topology::Topology;
use crate::expression::Expr;
use crate::syntax::ast::JoinKind;
use crate::types::{Column, Namespace, Schema, SqlType};

/// What `EXPLAIN` tells of a query.
#[derive(Debug, Clone)]
pub(crate) struct Explanation {
    /// The columns of its rows, those of the key first.
    pub(crate) columns: Vec<Column>,
    /// The processors that Kafka Streams would run.
    pub(crate) topology: String,
    last: Step,
}

impl Explanation {
    /// The steps; their loggers are named after the query.
    pub(crate) fn steps(&self, query_id: &str) -> String {
        let mut text = String::new();
        self.last.write(query_id, 0, &mut text);
        text
    }
}

/// A step and what feeds it.
#[derive(Debug, Clone)]
struct Step {
    name: &'static str,
    schema: String,
    logger: String,
    sources: Vec<Step>,
}

impl Step {
    fn write(&self, query_id: &str, depth: usize, text: &mut String) {
        let indent = "\t\t".repeat(depth);
        let Self {
            name, schema, logger, ..
        } = self;
        text.push_str(&format!(
            "{indent} > [ {name} ] | Schema: {schema} | Logger: {query_id}.{logger}\n"
        ));
        for source in &self.sources {
            source.write(query_id, depth + 1, text);
        }
    }
}

/// What happens to the rows behind the sources and joins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tail<'a> {
    pub(super) is_filtered: bool,
    /// The key that `PARTITION BY` makes.
    pub(super) new_key: &'a [(String, SqlType)],
    pub(super) is_exploded: bool,
    pub(super) aggregation: Option<&'a Aggregation>,
    /// The columns of the projection, those of a sink's key marked so.
    pub(super) output: &'a Schema,
    /// The sink's name and topic.
    pub(super) sink: Option<(&'a str, &'a str)>,
}

/// The steps of a query.
pub(super) fn explain(inputs: &Inputs, tail: Tail<'_>) -> Explanation {
    let mut topology = Topology::default();
    let (mut step, mut columns, mut node) = joined(inputs, inputs.joins.len(), &mut topology);
    let mut add = |step: &mut Step, name, schema: String, logger: &str, node_name: &str, node: &mut usize| {
        let source = std::mem::replace(
            step,
            Step {
                name,
                schema,
                logger: logger.to_owned(),
                sources: Vec::new(),
            },
        );
        step.sources.push(source);
        *node = topology.processor(node_name, &[], &[*node]);
    };
    if tail.is_filtered {
        add(
            &mut step,
            "FILTER",
            texts(&columns),
            "WhereFilter",
            "WhereFilter",
            &mut node,
        );
    }
    if !tail.new_key.is_empty() {
        let key = tail
            .new_key
            .iter()
            .map(|(name, sql_type)| column(name, sql_type, Namespace::Key));
        let values = columns.iter().filter(|column| column.namespace != Namespace::Key);
        columns = key.chain(values.cloned()).collect();
        add(
            &mut step,
            "REKEY",
            texts(&columns),
            "PartitionBy",
            "PartitionBy-SelectKey",
            &mut node,
        );
    }
    if tail.is_exploded {
        add(
            &mut step,
            "FLATMAP",
            texts(&columns),
            "FlatMap",
            "FlatMap",
            &mut node,
        );
    }
    if let Some(aggregation) = tail.aggregation {
        add(
            &mut step,
            "GROUP_BY",
            texts(&columns),
            "GroupBy",
            "Aggregate-GroupBy",
            &mut node,
        );
        let groups = aggregation.groups.iter();
        columns = groups
            .map(|group| column(&group.text, &group.sql_type, Namespace::Key))
            .collect();
        add(
            &mut step,
            "AGGREGATE",
            texts(&columns),
            "Aggregate",
            "Aggregate-Aggregate",
            &mut node,
        );
        if aggregation.having.is_some() {
            add(
                &mut step,
                "FILTER",
                texts(&columns),
                "HavingFilter",
                "HavingFilter",
                &mut node,
            );
        }
    }
    let keys = columns.iter().filter(|column| column.namespace == Namespace::Key);
    let output: Vec<Column> = match tail.sink {
        Some(_) => tail.output.columns.clone(),
        // A client sees values alone, and the rows have their key all the same.
        None => keys.cloned().chain(tail.output.columns.iter().cloned()).collect(),
    };
    add(
        &mut step,
        "PROJECT",
        texts(&output),
        "Project",
        "Project",
        &mut node,
    );
    match tail.sink {
        None => topology.end(node),
        Some((name, topic)) => {
            step = Step {
                name: "SINK",
                schema: texts(&output),
                logger: name.to_owned(),
                sources: vec![step],
            };
            topology.sink(topic, node);
        }
    }
    Explanation {
        columns: output,
        topology: topology.text(),
        last: step,
    }
}

/// The input of that index, joined with all before it.
fn joined(inputs: &Inputs, index: usize, topology: &mut Topology) -> (Step, Vec<Column>, usize) {
    let Some(before) = index.checked_sub(1) else {
        let input = &inputs.inputs[0];
        let columns = source_columns(input);
        let node = topology.source(&input.source.topic);
        let step = source(&columns, "KsqlTopic");
        return (step, columns, node);
    };
    let join = &inputs.joins[before];
    let (left_step, left_columns, left_node) = if before == 0 {
        side(&inputs.inputs[0], &join.left, &join.key_type, "Left", topology)
    } else {
        joined(inputs, before, topology)
    };
    let right = &inputs.inputs[index];
    let (right_step, right_columns, right_node) = side(right, &join.right, &join.key_type, "Right", topology);
    let left_rekeyed = before == 0 && !inputs.inputs[0].is_keyed_by([&join.left]);
    let node = match join.method {
        JoinMethod::Streams(within) => topology.join(
            (left_node, left_rekeyed),
            (right_node, !right.is_keyed_by([&join.right])),
            join.kind,
            within.grace.is_some(),
        ),
        JoinMethod::Lookup | JoinMethod::Tables | JoinMethod::ForeignKey => {
            topology.processor("Join", &[], &[left_node, right_node])
        }
    };
    let key = column(
        &key_name(inputs, join, &left_columns),
        &join.key_type,
        Namespace::Key,
    );
    let values = left_columns.iter().chain(&right_columns);
    let values = values.filter(|column| column.namespace != Namespace::Key);
    let columns: Vec<Column> = std::iter::once(key).chain(values.cloned()).collect();
    let step = Step {
        name: "JOIN",
        schema: texts(&columns),
        logger: "Join".to_owned(),
        sources: vec![left_step, right_step],
    };
    (step, columns, node)
}

/// What the rows of a join are called by: the left side's column, unless neither side has the last word.
fn key_name(inputs: &Inputs, join: &JoinCriteria, left: &[Column]) -> String {
    if let Some(place) = inputs.synthetic_key {
        return inputs.scope.columns[place].name.clone();
    }
    let key = left.iter().find(|column| column.namespace == Namespace::Key);
    match (&join.left, key) {
        (Expr::Column(place), _) => {
            let column = &inputs.scope.columns[*place];
            let source = column.source.as_deref().unwrap_or_default();
            format!("{source}_{}", column.name)
        }
        (_, Some(key)) => key.name.clone(),
        _ => "ROWKEY".to_owned(),
    }
}

/// A side of a join: its source, by its key of the join, its columns named after it.
fn side(
    input: &Input,
    key: &Expr,
    key_type: &SqlType,
    which: &str,
    topology: &mut Topology,
) -> (Step, Vec<Column>, usize) {
    let mut columns = source_columns(input);
    let mut node = topology.source(&input.source.topic);
    let mut step = source(&columns, &format!("KafkaTopic_{which}"));
    if !input.is_keyed_by([key]) {
        let name = match key {
            Expr::Column(place) => input.source.schema.columns[place - input.first].name.clone(),
            _ => "KSQL_COL_0".to_owned(),
        };
        let values = columns.iter().filter(|column| column.namespace != Namespace::Key);
        columns = std::iter::once(column(&name, key_type, Namespace::Key))
            .chain(values.cloned())
            .collect();
        step = Step {
            name: "REKEY",
            schema: texts(&columns),
            logger: format!("{which}SourceKeyed"),
            sources: vec![step],
        };
        node = topology.processor(&format!("{which}SourceKeyed-SelectKey"), &[], &[node]);
    }
    for column in &mut columns {
        column.name = format!("{}_{}", input.alias, column.name);
    }
    let step = Step {
        name: "PROJECT",
        schema: texts(&columns),
        logger: format!("PrependAlias{which}"),
        sources: vec![step],
    };
    let node = topology.processor(&format!("PrependAlias{which}"), &[], &[node]);
    (step, columns, node)
}

fn source(columns: &[Column], topic: &str) -> Step {
    Step {
        name: "SOURCE",
        schema: texts(columns),
        logger: format!("{topic}.Source"),
        sources: Vec::new(),
    }
}

/// The columns that the rows of a source have: the declared ones, those that every row has, and the key's once more.
fn source_columns(input: &Input) -> Vec<Column> {
    let schema = &input.source.schema;
    let pseudo = PSEUDO_COLUMNS
        .iter()
        .map(|(name, sql_type)| column(name, sql_type, Namespace::Value));
    let keys = schema
        .key()
        .map(|key| column(&key.name, &key.sql_type, Namespace::Value));
    schema.columns.iter().cloned().chain(pseudo).chain(keys).collect()
}

fn column(name: &str, sql_type: &SqlType, namespace: Namespace) -> Column {
    Column {
        name: name.to_owned(),
        sql_type: sql_type.clone(),
        namespace,
    }
}

fn texts(columns: &[Column]) -> String {
    let text = |column: &Column| {
        let suffix = match column.namespace {
            Namespace::Key => " KEY",
            Namespace::Headers => " HEADERS",
            Namespace::Value => "",
        };
        format!("{} {}{suffix}", column.name, column.sql_type)
    };
    columns.iter().map(text).collect::<Vec<_>>().join(", ")
}

/// Whether a join has rows for what has no partner on that side.
pub(super) fn is_outer(kind: JoinKind, side: JoinKind) -> bool {
    kind == side || kind == JoinKind::Full
}
