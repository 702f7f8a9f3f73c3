//! `SELECT …`: the output's columns, their names, and which of them are the key.

use super::PlanError;
use super::inputs::Inputs;
use crate::expression::{Expr, Typed, compile, text, untyped_null};
use crate::syntax::ast::{Expression, ExpressionKind, Literal, Query, SelectItem};
use crate::types::SqlType;

/// An item of the projection, `*` already expanded.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// The output column's name.
    pub(super) name: String,
    pub(super) sql_type: SqlType,
    pub(super) expr: Expr,
    /// As it is written, for the processing log.
    pub(super) text: String,
}

/// What the key of a query's rows is made of.
#[derive(Debug, Clone)]
pub(super) struct RequiredKey {
    /// What a persistent query must project.
    pub(super) candidates: Vec<Candidate>,
    /// Whether it must project all candidates, or one of them.
    pub(super) all: bool,
    /// What ksqlDB calls a candidate.
    pub(super) what: &'static str,
    pub(super) synthetic: bool,
}

/// An expression that can be (a part of) the key.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) expr: Expr,
    pub(super) text: String,
}

impl Candidate {
    fn is(&self, item: &Item) -> bool {
        self.expr.fingerprint() == item.expr.fingerprint()
    }
}

/// The key of the rows, before the projection.
pub(super) fn required_key(query: &Query, inputs: &Inputs) -> Result<RequiredKey, PlanError> {
    let mut required = RequiredKey {
        candidates: Vec::new(),
        all: true,
        what: "key column",
        synthetic: false,
    };
    if !query.partition_by.is_empty() {
        required.what = "partitioning expression";
        let is_null = |by: &Expression| matches!(by.kind, ExpressionKind::Literal(Literal::Null));
        if query.partition_by.len() == 1 && is_null(&query.partition_by[0]) {
            return Ok(required);
        }
        for by in &query.partition_by {
            let typed = compile(by, &inputs.scope, "PARTITION BY")?;
            if typed.sql_type.is_none() {
                return Err(PlanError::new(
                    "Cannot PARTITION BY multiple columns including NULL",
                ));
            }
            required.candidates.push(Candidate {
                expr: typed.expr,
                text: text(by),
            });
        }
        return Ok(required);
    }
    if let Some(place) = inputs.synthetic_key {
        required.what = "join expression";
        required.synthetic = true;
        required.candidates.push(Candidate {
            expr: Expr::Column(place),
            text: inputs.scope.columns[place].name.clone(),
        });
    } else if let Some(join) = inputs.joins.last() {
        required.what = "join expression";
        required.all = false;
        required.candidates = join
            .columns
            .iter()
            .map(|(expr, text)| Candidate {
                expr: expr.clone(),
                text: text.clone(),
            })
            .collect();
    } else {
        let source = &inputs.inputs[0].source;
        for (place, column) in source.schema.key().enumerate() {
            // Key columns come first.
            required.candidates.push(Candidate {
                expr: Expr::Column(place),
                text: column.name.clone(),
            });
        }
    }
    Ok(required)
}

/// Expands and compiles the projection.
pub(super) fn items(query: &Query, inputs: &Inputs, key: &RequiredKey) -> Result<Vec<Item>, PlanError> {
    let mut items: Vec<Item> = Vec::new();
    let mut names = Names::new(query, inputs);
    for select in &query.select {
        match select {
            SelectItem::All { source, position } => {
                let mut expanded = star(inputs, source.as_deref());
                if expanded.is_empty() {
                    let source = source.as_deref().unwrap_or("*");
                    let message = format!("'{source}' is not a valid stream/table name or alias.");
                    return Err(PlanError::at(*position, message));
                }
                if !query.partition_by.is_empty() {
                    // Stable: the rest keeps its order behind the key.
                    expanded.sort_by_key(|item| !key.candidates.iter().any(|key| key.is(item)));
                }
                items.extend(expanded);
            }
            SelectItem::Expression { expression, alias } => {
                let Typed { expr, sql_type } = compile(expression, &inputs.scope, "SELECT")?;
                let Some(sql_type) = sql_type else {
                    return Err(untyped_null());
                };
                let name = match alias {
                    Some(alias) => alias.clone(),
                    None => names.of(expression, &items),
                };
                items.push(Item {
                    name,
                    sql_type,
                    expr,
                    text: text(expression),
                });
            }
        }
    }
    Ok(items)
}

/// The columns of `*` or `alias.*`: all that are declared.
fn star(inputs: &Inputs, wanted: Option<&str>) -> Vec<Item> {
    let is_join = !inputs.joins.is_empty();
    let mut items = Vec::new();
    if let (Some(place), None) = (inputs.synthetic_key, wanted) {
        let column = &inputs.scope.columns[place];
        items.push(Item {
            name: column.name.clone(),
            sql_type: column.sql_type.clone(),
            expr: Expr::Column(place),
            text: column.name.clone(),
        });
    }
    for input in &inputs.inputs {
        if wanted.is_some_and(|wanted| wanted != input.alias) {
            continue;
        }
        for (index, column) in input.source.schema.columns.iter().enumerate() {
            items.push(Item {
                name: if is_join {
                    format!("{}_{}", input.alias, column.name)
                } else {
                    column.name.clone()
                },
                sql_type: column.sql_type.clone(),
                expr: Expr::Column(input.first + index),
                text: column.name.clone(),
            });
        }
    }
    items
}

/// Names for what has no alias.
struct Names<'a> {
    inputs: &'a Inputs,
    /// Names that a generated one must not be.
    taken: Vec<&'a str>,
    next_number: usize,
}

impl<'a> Names<'a> {
    fn new(query: &'a Query, inputs: &'a Inputs) -> Self {
        let aliases = query.select.iter().filter_map(|item| match item {
            SelectItem::Expression { alias, .. } => alias.as_deref(),
            SelectItem::All { .. } => None,
        });
        let columns = inputs.scope.columns.iter();
        Self {
            inputs,
            taken: aliases
                .chain(columns.map(|column| column.name.as_str()))
                .collect(),
            next_number: 0,
        }
    }

    fn of(&mut self, expression: &Expression, items: &[Item]) -> String {
        match &expression.kind {
            ExpressionKind::Column { source, name } => match source {
                Some(source) if self.is_ambiguous(name) => format!("{source}_{name}"),
                _ => name.clone(),
            },
            ExpressionKind::Field { field, .. } => {
                let is_used = |name: &str| items.iter().any(|item| item.name == name);
                if !is_used(field) {
                    return field.clone();
                }
                let mut number = 1;
                loop {
                    let name = format!("{field}_{number}");
                    if !is_used(&name) && !self.taken.contains(&name.as_str()) {
                        return name;
                    }
                    number += 1;
                }
            }
            _ => loop {
                let name = format!("KSQL_COL_{}", self.next_number);
                self.next_number += 1;
                if !self.taken.contains(&name.as_str()) {
                    return name;
                }
            },
        }
    }

    fn is_ambiguous(&self, name: &str) -> bool {
        let same = self
            .inputs
            .scope
            .columns
            .iter()
            .filter(|column| column.name == name);
        same.count() > 1
    }
}

/// For a persistent query: the places in `items` of the key columns, in the key's order.
pub(super) fn key_items(sink: &str, items: &[Item], key: &RequiredKey) -> Result<Vec<usize>, PlanError> {
    let mut places = Vec::new();
    for candidate in &key.candidates {
        let matching: Vec<usize> = (0..items.len())
            .filter(|place| candidate.is(&items[*place]))
            .collect();
        match matching.as_slice() {
            [] if key.all => return Err(missing(sink, key)),
            [] => {}
            [place] => places.push(*place),
            several => {
                let mut names: Vec<_> = several.iter().map(|place| items[*place].name.as_str()).collect();
                names.sort_unstable();
                return Err(PlanError::new(format!(
                    "The projection contains a key column (`{}`) more than once, aliased as: {}.\n\
                     Each key column must only be in the projection once. If you intended to copy the key into the value, then consider using the AS_VALUE function to indicate which key reference should be copied.",
                    candidate.text,
                    join_words(&names, "and")
                )));
            }
        }
        if !key.all && !places.is_empty() {
            return Ok(places);
        }
    }
    if !key.all && places.is_empty() {
        return Err(missing(sink, key));
    }
    Ok(places)
}

fn missing(sink: &str, key: &RequiredKey) -> PlanError {
    let texts: Vec<_> = key
        .candidates
        .iter()
        .map(|candidate| candidate.text.as_str())
        .collect();
    let plural = if texts.len() == 1 { "" } else { "s" };
    let (keys, example) = if key.all {
        (plural, texts.join(", "))
    } else {
        ("", texts[0].to_owned())
    };
    let link = if key.synthetic {
        "See https://cnfl.io/2LV7ouS."
    } else {
        ""
    };
    let mut message = format!(
        "Key{keys} missing from projection (ie, SELECT). {link}\n\
         The query used to build `{sink}` must include the {}{plural} {} in its projection (eg, SELECT {example}...).",
        key.what,
        join_words(&texts, if key.all { "and" } else { "or" })
    );
    if key.synthetic {
        message.push_str(&format!(
            "\n{} was added as a synthetic key column because the join criteria did not match any source column. This expression must be included in the projection and may be aliased.",
            texts[0]
        ));
    }
    PlanError::new(message)
}

/// `A`, `A and B`, `A, B and C`.
fn join_words(words: &[&str], last: &str) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [init @ .., end] => format!("{} {last} {end}", init.join(", ")),
    }
}
