//! The steps of a query as `EXPLAIN` prints them: the last step first, what feeds it indented below.

use super::inputs::Inputs;
use super::sink::{Sink, schema_text};
use crate::syntax::ast::JoinKind;
use crate::types::Schema;

pub(super) fn explain(inputs: &Inputs, filter: Option<&str>, output: &Schema, sink: Option<&Sink>) -> String {
    let mut lines = Lines::default();
    if let Some(sink) = sink {
        lines.step(
            "SINK",
            &format!("Schema: {} | Topic: {}", schema_text(output), sink.source.topic),
        );
    }
    lines.step("PROJECT", &format!("Schema: {}", schema_text(output)));
    if let Some(filter) = filter {
        lines.step("FILTER", &format!("Condition: {filter}"));
    }
    for (index, join) in inputs.joins.iter().enumerate().rev() {
        let kind = match join.kind {
            JoinKind::Inner => "INNER",
            JoinKind::Left => "LEFT",
            JoinKind::Right => "RIGHT",
            JoinKind::Full => "FULL OUTER",
        };
        let within = join.within;
        let grace = match within.grace_ms {
            Some(grace) => format!("{grace} ms"),
            None => "none".to_owned(),
        };
        lines.step(
            "JOIN",
            &format!(
                "Type: {kind} | Before: {} ms | After: {} ms | Grace: {grace}",
                within.before_ms, within.after_ms
            ),
        );
        lines.source(inputs, index + 1);
    }
    lines.source(inputs, 0);
    lines.text
}

#[derive(Default)]
struct Lines {
    text: String,
    depth: usize,
}

impl Lines {
    fn step(&mut self, name: &str, details: &str) {
        self.line(name, details);
        self.depth += 1;
    }

    fn source(&mut self, inputs: &Inputs, index: usize) {
        let input = &inputs.inputs[index];
        let details = format!(
            "Schema: {} | Topic: {}",
            schema_text(&input.source.schema),
            input.source.topic
        );
        self.line("SOURCE", &details);
    }

    fn line(&mut self, name: &str, details: &str) {
        let indent = "\t\t".repeat(self.depth);
        self.text
            .push_str(&format!("{indent} > [ {name} ] | {details}\n"));
    }
}
