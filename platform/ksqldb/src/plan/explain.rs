//! The steps of a query as `EXPLAIN` prints them: the last step first, what feeds it indented below.

use super::aggregation::Aggregation;
use super::inputs::{Inputs, JoinMethod};
use super::sink::{Sink, schema_text};
use crate::syntax::ast::JoinKind;
use crate::types::Schema;

pub(super) fn explain(
    inputs: &Inputs,
    filter: Option<&str>,
    aggregation: Option<&Aggregation>,
    output: &Schema,
    sink: Option<&Sink>,
) -> String {
    let mut steps = Steps {
        inputs,
        text: String::new(),
    };
    let schema = schema_text(output);
    let mut depth = 0;
    if let Some(sink) = sink {
        steps.line(
            depth,
            "SINK",
            &format!("Schema: {schema} | Topic: {}", sink.source.topic),
        );
        depth += 1;
    }
    steps.line(depth, "PROJECT", &format!("Schema: {schema}"));
    depth += 1;
    if let Some(aggregation) = aggregation {
        if let Some((_, having)) = &aggregation.having {
            steps.line(depth, "FILTER", &format!("Condition: {having}"));
            depth += 1;
        }
        let groups: Vec<_> = aggregation
            .groups
            .iter()
            .map(|group| group.text.as_str())
            .collect();
        let calls: Vec<_> = aggregation.calls.iter().map(|call| call.text.as_str()).collect();
        let details = format!(
            "Group by: {} | Functions: {}",
            groups.join(", "),
            calls.join(", ")
        );
        steps.line(depth, "AGGREGATE", &details);
        depth += 1;
    }
    if let Some(filter) = filter {
        steps.line(depth, "FILTER", &format!("Condition: {filter}"));
        depth += 1;
    }
    steps.joined(depth, inputs.joins.len());
    steps.text
}

struct Steps<'a> {
    inputs: &'a Inputs,
    text: String,
}

impl Steps<'_> {
    /// The input of that index, joined with all before it.
    fn joined(&mut self, depth: usize, index: usize) {
        let Some(before) = index.checked_sub(1) else {
            return self.source(depth, index);
        };
        let join = &self.inputs.joins[before];
        let kind = match join.kind {
            JoinKind::Inner => "INNER",
            JoinKind::Left => "LEFT",
            JoinKind::Right => "RIGHT",
            JoinKind::Full => "FULL OUTER",
        };
        let details = match join.method {
            JoinMethod::Streams(within) => {
                let grace = match within.grace_ms {
                    Some(grace) => format!("{grace} ms"),
                    None => "none".to_owned(),
                };
                format!(
                    "Type: {kind} | Before: {} ms | After: {} ms | Grace: {grace}",
                    within.before_ms, within.after_ms
                )
            }
            JoinMethod::Lookup => format!("Type: {kind} | Stream with table"),
            JoinMethod::Tables => format!("Type: {kind} | Table with table"),
            JoinMethod::ForeignKey => format!("Type: {kind} | Table with table, by foreign key"),
        };
        self.line(depth, "JOIN", &details);
        self.joined(depth + 1, before);
        self.source(depth + 1, index);
    }

    fn source(&mut self, depth: usize, index: usize) {
        let source = &self.inputs.inputs[index].source;
        let details = format!(
            "Schema: {} | Topic: {}",
            schema_text(&source.schema),
            source.topic
        );
        self.line(depth, "SOURCE", &details);
    }

    fn line(&mut self, depth: usize, name: &str, details: &str) {
        let indent = "\t\t".repeat(depth);
        self.text
            .push_str(&format!("{indent} > [ {name} ] | {details}\n"));
    }
}
