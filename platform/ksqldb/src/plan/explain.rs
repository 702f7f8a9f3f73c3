//! A query's steps as `EXPLAIN` prints them: the last step first, what feeds it indented below.

use super::aggregation::Aggregation;
use super::inputs::{Input, Inputs, PSEUDO_COLUMNS};
use super::join_criteria::{JoinCriteria, JoinMethod};
use super::steps::{AGGREGATE_STORE, LAST_STORE, SOURCE_STORE, join_store};
use super::topology::Topology;
use crate::expression::Expr;
use crate::syntax::ast::{JoinKind, SourceKind};
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
    /// It goes on when nobody looks.
    pub(super) is_persistent: bool,
    /// The columns of the projection, those of a sink's key marked so.
    pub(super) output: &'a Schema,
    /// The sink's name and topic.
    pub(super) sink: Option<(&'a str, &'a str)>,
}

/// What is known of a query so far: its last step, the columns behind it, and its last processor.
struct Line {
    step: Step,
    columns: Vec<Column>,
    node: usize,
}

impl Line {
    fn new(step: Step, columns: Vec<Column>, node: usize) -> Self {
        Self { step, columns, node }
    }

    /// A step with the columns that are there now.
    fn then(&mut self, name: &'static str, logger: &str) {
        let next = Step {
            name,
            schema: texts(&self.columns),
            logger: logger.to_owned(),
            sources: Vec::new(),
        };
        let source = std::mem::replace(&mut self.step, next);
        self.step.sources.push(source);
    }
}

/// The steps of a query.
pub(super) fn explain(inputs: &Inputs, tail: Tail<'_>) -> Explanation {
    let mut topology = Topology::default();
    let of_table = inputs.is_table();
    let is_joined = !inputs.joins.is_empty();
    // A client that looks on at a table's changes needs no row that was.
    let keeps_rows = tail.is_persistent || tail.is_filtered || tail.aggregation.is_some();
    let mut line = joined(inputs, inputs.joins.len(), keeps_rows, &mut topology);
    if tail.is_filtered {
        line.then("FILTER", "WhereFilter");
        line.node = match of_table {
            true => topology.filter_table("WhereFilter", line.node),
            false => topology.processor("WhereFilter", &[], &[line.node]),
        };
    }
    if !tail.new_key.is_empty() {
        let key = tail
            .new_key
            .iter()
            .map(|(name, sql_type)| column(name, sql_type, Namespace::Key));
        let values = line.columns.iter();
        let values = values.filter(|column| column.namespace != Namespace::Key);
        line.columns = key.chain(values.cloned()).collect();
        line.then("REKEY", "PartitionBy");
        line.node = topology.processor("PartitionBy-SelectKey", &[], &[line.node]);
    }
    if tail.is_exploded {
        line.then("FLATMAP", "FlatMap");
        line.node = topology.processor("FlatMap", &[], &[line.node]);
    }
    if let Some(aggregation) = tail.aggregation {
        aggregate(inputs, aggregation, &mut line, &mut topology);
    }
    let keys = line.columns.iter();
    let keys = keys.filter(|column| column.namespace == Namespace::Key);
    line.columns = match tail.sink {
        Some(_) => tail.output.columns.clone(),
        // A client sees values alone, and the rows have their key all the same.
        None => keys.cloned().chain(tail.output.columns.iter().cloned()).collect(),
    };
    let (logger, name) = match tail.aggregation {
        Some(_) => ("Aggregate.Project", "Aggregate-Project"),
        None => ("Project", "Project"),
    };
    line.then("PROJECT", logger);
    // A row that a join of tables made is kept, to tell what it was.
    let stores = match (tail.sink, tail.aggregation) {
        (Some(_), None) if of_table && is_joined => vec![LAST_STORE.to_owned()],
        _ => Vec::new(),
    };
    line.node = topology.processor(name, &stores, &[line.node]);
    if of_table || tail.aggregation.is_some() {
        line.node = topology.changes(line.node);
    }
    match tail.sink {
        None => topology.end(line.node),
        Some((name, topic)) => {
            line.then("SINK", name);
            topology.sink(topic, line.node);
        }
    }
    Explanation {
        columns: line.columns,
        topology: topology.text(),
        last: line.step,
    }
}

/// Grouped rows, and which groups pass.
fn aggregate(inputs: &Inputs, aggregation: &Aggregation, line: &mut Line, topology: &mut Topology) {
    line.then("PROJECT", "Aggregate.Prepare");
    line.then("GROUP_BY", "Aggregate.GroupBy");
    let groups = aggregation.groups.iter();
    let keys = groups.map(|group| column(&group.text, &group.sql_type, Namespace::Key));
    let results = aggregation.calls.iter().enumerate().map(|(number, call)| {
        let sql_type = &inputs.scope.columns[call.place].sql_type;
        column(&format!("KSQL_AGG_VARIABLE_{number}"), sql_type, Namespace::Value)
    });
    line.columns = keys.chain(results).collect();
    line.then("AGGREGATE", "Aggregate.Aggregate");
    let grouped = || aggregation.groups.iter().map(|group| &group.expr);
    line.node = match inputs.is_table() {
        true => topology.aggregate_table(AGGREGATE_STORE, line.node),
        false => {
            // Behind a join the key is another one each time.
            let is_keyed = inputs.joins.is_empty() && inputs.inputs[0].is_keyed_by(grouped());
            topology.aggregate_stream(AGGREGATE_STORE, !is_keyed, line.node)
        }
    };
    line.node = topology.processor("Aggregate-Aggregate-ToOutputSchema", &[], &[line.node]);
    if aggregation.windowing.is_some() {
        line.node = topology.processor("Aggregate-Aggregate-WindowSelect", &[], &[line.node]);
    }
    if aggregation.having.is_some() {
        line.then("FILTER", "Aggregate.HavingFilter");
        line.node = topology.filter_table("Aggregate-HavingFilter", line.node);
    }
}

/// The input of that index, joined with all before it; `keeps_rows`: a table that is not joined is kept, too.
fn joined(inputs: &Inputs, index: usize, keeps_rows: bool, topology: &mut Topology) -> Line {
    let Some(before) = index.checked_sub(1) else {
        let input = &inputs.inputs[0];
        let columns = source_columns(input);
        let node = match input.source.kind {
            SourceKind::Stream => topology.source(&input.source.topic),
            SourceKind::Table => {
                topology.table(&input.source.topic, keeps_rows.then(|| SOURCE_STORE.to_owned()))
            }
        };
        let step = source(&columns, "KsqlTopic");
        return Line::new(step, columns, node);
    };
    let join = &inputs.joins[before];
    let stores = ["Left", "Right"].map(|side| join_store(side, inputs.joins.len() - index));
    let [left_store, right_store] = &stores;
    let left = if before == 0 {
        let sides = (join, "Left", left_store.as_str());
        side(&inputs.inputs[0], &join.left, sides, topology)
    } else {
        joined(inputs, before, keeps_rows, topology)
    };
    let input = &inputs.inputs[index];
    let right = side(
        input,
        &join.right,
        (join, "Right", right_store.as_str()),
        topology,
    );
    let left_rekeyed = before == 0 && !inputs.inputs[0].is_keyed_by([&join.left]);
    let node = match join.method {
        JoinMethod::Streams(within) => topology.join(
            (left.node, left_rekeyed),
            (right.node, !input.is_keyed_by([&join.right])),
            join.kind,
            within.grace.is_some(),
        ),
        JoinMethod::Lookup => topology.look_up((left.node, left_rekeyed), right_store),
        JoinMethod::Tables => topology.join_tables((left.node, right.node), [left_store, right_store]),
        JoinMethod::ForeignKey => topology.processor("Join", &stores, &[left.node, right.node]),
    };
    let key = column(
        &key_name(inputs, join, &left.columns),
        &join.key_type,
        Namespace::Key,
    );
    let values = left.columns.iter().chain(&right.columns);
    let values = values.filter(|column| column.namespace != Namespace::Key);
    let columns: Vec<Column> = std::iter::once(key).chain(values.cloned()).collect();
    let step = Step {
        name: "JOIN",
        schema: texts(&columns),
        logger: "Join".to_owned(),
        sources: vec![left.step, right.step],
    };
    Line::new(step, columns, node)
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
    (join, which, store): (&JoinCriteria, &str, &str),
    topology: &mut Topology,
) -> Line {
    let mut columns = source_columns(input);
    let is_table = input.source.kind == SourceKind::Table;
    let mut node = match is_table {
        true => topology.table(&input.source.topic, Some(store.to_owned())),
        false => topology.source(&input.source.topic),
    };
    let mut step = source(&columns, &format!("KafkaTopic_{which}"));
    // A table keeps its key: its rows are found by what refers to them.
    if !is_table && !input.is_keyed_by([key]) {
        let name = match key {
            Expr::Column(place) => input.source.schema.columns[place - input.first].name.clone(),
            _ => "KSQL_COL_0".to_owned(),
        };
        let values = columns.iter().filter(|column| column.namespace != Namespace::Key);
        columns = std::iter::once(column(&name, &join.key_type, Namespace::Key))
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
    Line::new(step, columns, node)
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
