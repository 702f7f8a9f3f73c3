//! What has to stay as it is of an aggregation, for another query to take over its state, in ksqlDB's words.

use super::{counted, is_call};
use crate::expression::text;
use crate::syntax::ast::{Expression, ExpressionKind, Query, SelectItem};

/// A property of a step of the plan, and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fixed {
    step: &'static str,
    property: &'static str,
    value: String,
}

impl Fixed {
    /// Why a query with other values cannot take over from the one with these, if so.
    pub(crate) fn refusal(before: &[Self], after: &[Self]) -> Option<String> {
        let mut pairs = before.iter().zip(after);
        let (before, after) = pairs.find(|(before, after)| before != after)?;
        Some(format!(
            "Query is not upgradeable. Plan step of type {} must have matching {}. Values differ: {} vs. {}",
            before.step, before.property, before.value, after.value
        ))
    }
}

/// What is fixed of a query that aggregates, in the order in which it is looked at.
pub(in super::super) fn fixed(query: &Query) -> Vec<Fixed> {
    let selected = query.select.iter().filter_map(|item| match item {
        SelectItem::Expression { expression, .. } => Some(expression),
        SelectItem::All { .. } | SelectItem::AllFields { .. } => None,
    });
    let (mut columns, mut calls) = (Vec::new(), Vec::new());
    for expression in selected.chain(&query.group_by).chain(&query.having) {
        collect(expression, &mut columns, &mut calls);
    }
    let groups: Vec<_> = query.group_by.iter().map(|group| text(&bare(group))).collect();
    let of = |step, property, values: &[String]| Fixed {
        step,
        property,
        value: format!("[{}]", values.join(", ")),
    };
    vec![
        of("StreamAggregate", "columns not part of aggregate", &columns),
        of("StreamAggregate", "aggregate functions", &calls),
        of("StreamGroupBy", "group by clause", &groups),
    ]
}

/// The columns that are needed, each once, and the calls of aggregate functions.
fn collect(expression: &Expression, columns: &mut Vec<String>, calls: &mut Vec<String>) {
    let mut need = |name: &str| {
        let column = format!("`{name}`");
        if !columns.contains(&column) {
            columns.push(column);
        }
    };
    if let ExpressionKind::Column { name, .. } = &expression.kind {
        need(name);
    }
    if is_call(expression) {
        if expression.children().is_empty() {
            need("ROWTIME");
        }
        calls.push(counted(&bare(expression)));
    }
    for child in expression.children() {
        collect(child, columns, calls);
    }
}

/// An expression whose columns do not say whose they are.
fn bare(expression: &Expression) -> Expression {
    let mut bare = expression.clone();
    strip(&mut bare);
    bare
}

fn strip(expression: &mut Expression) {
    if let ExpressionKind::Column { source, .. } = &mut expression.kind {
        *source = None;
    }
    expression.children_mut().into_iter().for_each(strip);
}

#[cfg(test)]
mod tests {
    use super::{Fixed, fixed};
    use crate::syntax::ast::{Query, Statement};
    use crate::syntax::parse;

    fn query(select: &str) -> Query {
        let parsed = parse(&format!("SELECT {select} EMIT CHANGES;"))
            .unwrap()
            .remove(0);
        match parsed.statement {
            Statement::Query(query) => query,
            other => panic!("no query: {other:?}"),
        }
    }

    #[test]
    fn the_first_property_that_differs_is_told() {
        let refusal = |before: &str, after: &str| {
            let [before, after] = [before, after].map(|text| fixed(&query(text)));
            Fixed::refusal(&before, &after)
        };
        let told = |rest: &str| Some(format!("Query is not upgradeable. Plan step of type {rest}"));
        let counted = "s.g, COUNT(*) AS n FROM s GROUP BY s.g";
        assert_eq!(refusal(counted, counted), None);
        assert_eq!(
            refusal(
                counted,
                "g, COUNT(*) AS m FROM s WHERE v > 1 GROUP BY g HAVING g = 'x'"
            ),
            None
        );
        assert_eq!(
            refusal(counted, "g, COUNT(*) AS n, SUM(v) FROM s GROUP BY g"),
            told(
                "StreamAggregate must have matching columns not part of aggregate. \
                 Values differ: [`G`, `ROWTIME`] vs. [`G`, `ROWTIME`, `V`]"
            )
        );
        assert_eq!(
            refusal("g, SUM(v) FROM s GROUP BY g", "g, MAX(v) FROM s GROUP BY g"),
            told(
                "StreamAggregate must have matching aggregate functions. Values differ: [SUM(V)] vs. [MAX(V)]"
            )
        );
        assert_eq!(
            refusal("g, MAX(v) FROM s GROUP BY g", "g, MAX(v) FROM s GROUP BY g, v"),
            told("StreamGroupBy must have matching group by clause. Values differ: [G] vs. [G, V]")
        );
    }
}
