//! `SELECT …`: the output's columns, their names, and which of them are the key.

use super::aggregation::{Aggregation, Group};
use super::inputs::{Input, Inputs, JoinMethod};
use super::qualify::qualified;
use super::source::check_count;
use super::{PlanError, Purpose, Stage};
use crate::expression::{Expr, Typed, base_name, compile, text, untyped_null};
use crate::syntax::ast::{Expression, ExpressionKind, Literal, Query, SelectItem};
use crate::types::{Column, Namespace, SqlType};

/// What ksqlDB says to a key that is projected twice.
const ONCE: &str = "Each key column must only be in the projection once. If you intended to copy the key into the value, then consider using the `AS_VALUE` function to indicate which key reference should be copied.";

/// An item of the projection, `*` already expanded.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// The output column's name.
    pub(super) name: String,
    pub(super) sql_type: SqlType,
    pub(super) expr: Expr,
    /// As it is written, for the processing log.
    pub(super) text: String,
    /// What it is named after.
    pub(super) named: Named,
}

/// What an item is named after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// The statement: `AS name`.
    Alias,
    /// What is computed.
    Expression,
    /// A column of `*`.
    Star,
}

impl Item {
    pub(super) fn value_column(&self) -> Column {
        Column {
            name: self.name.clone(),
            sql_type: self.sql_type.clone(),
            namespace: Namespace::Value,
        }
    }
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
    /// `PARTITION BY NULL`
    pub(super) is_dropped: bool,
    /// Of a foreign-key join: the left table, whose key it is.
    pub(super) of_left: Option<String>,
}

impl RequiredKey {
    /// Whether an item is (a part of) the key.
    pub(super) fn is_of(&self, item: &Item) -> bool {
        self.candidates.iter().any(|candidate| candidate.is(item))
    }
}

/// An expression that can be (a part of) the key.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) expr: Expr,
    pub(super) text: String,
    /// Of an expression that is no column of a declaration: what makes it a column of `*`.
    pub(super) of_star: Option<(Expression, SqlType)>,
}

impl Candidate {
    /// The column that it is among the projection's items.
    pub(super) fn column(&self, items: &[Item]) -> Option<(String, SqlType)> {
        let item = items.iter().find(|item| self.is(item))?;
        Some((item.name.clone(), item.sql_type.clone()))
    }

    fn is(&self, item: &Item) -> bool {
        self.expr.fingerprint() == item.expr.fingerprint()
    }
}

/// The key of the rows, before the projection.
pub(super) fn required_key(
    query: &Query,
    inputs: &Inputs,
    aggregation: Option<&Aggregation>,
) -> Result<RequiredKey, PlanError> {
    let mut required = RequiredKey {
        candidates: Vec::new(),
        all: true,
        what: "key column",
        synthetic: false,
        is_dropped: false,
        of_left: None,
    };
    if let Some(aggregation) = aggregation {
        required.what = "grouping expression";
        let candidate = |group: &Group| Candidate {
            expr: Expr::Column(group.place),
            text: group.text.clone(),
            of_star: None,
        };
        required.candidates = aggregation.groups.iter().map(candidate).collect();
        return Ok(required);
    }
    if !query.partition_by.is_empty() {
        required.what = "partitioning expression";
        let is_null = |by: &Expression| matches!(by.kind, ExpressionKind::Literal(Literal::Null));
        if query.partition_by.len() == 1 && is_null(&query.partition_by[0]) {
            required.is_dropped = true;
            return Ok(required);
        }
        for by in &query.partition_by {
            let typed =
                compile(by, &inputs.scope, "PARTITION BY").map_err(|error| of_partition_by(by, error))?;
            let Some(sql_type) = typed.sql_type else {
                return Err(PlanError::new(
                    "Cannot PARTITION BY multiple columns including NULL",
                ));
            };
            let candidate = Candidate {
                of_star: (!inputs.is_declared(&typed.expr)).then(|| (by.clone(), sql_type)),
                text: match &by.kind {
                    ExpressionKind::Column { .. } => text(by),
                    _ => text(&qualified(by, &inputs.scope)),
                },
                expr: typed.expr,
            };
            let is_same = |other: &Candidate| other.expr.fingerprint() == candidate.expr.fingerprint();
            if required.candidates.iter().any(is_same) {
                return Err(PlanError::in_stage(
                    Stage::Reading,
                    format!("Duplicate PARTITION BY expression: {}", text(by)),
                ));
            }
            required.candidates.push(candidate);
        }
        return Ok(required);
    }
    if let Some(place) = inputs.synthetic_key {
        required.what = "join expression";
        required.synthetic = true;
        required.candidates.push(Candidate {
            expr: Expr::Column(place),
            text: inputs.scope.columns[place].name.clone(),
            of_star: None,
        });
    } else if let Some(join) = inputs.joins.last()
        && join.method == JoinMethod::ForeignKey
    {
        required.of_left = Some(inputs.inputs[0].alias.clone());
        required.candidates = source_key(&inputs.inputs[0]);
    } else if !inputs.joins.is_empty() {
        required.what = "join expression";
        required.all = false;
        let candidates = inputs.join_keys().into_iter();
        required.candidates = candidates
            .map(|(expr, text)| Candidate {
                expr,
                text,
                of_star: None,
            })
            .collect();
    } else {
        required.candidates = source_key(&inputs.inputs[0]);
    }
    Ok(required)
}

/// The key columns of an input, which come first.
fn source_key(input: &Input) -> Vec<Candidate> {
    let columns = (input.first..).zip(input.source.schema.key());
    let candidate = |(place, column): (usize, &Column)| Candidate {
        expr: Expr::Column(place),
        text: column.name.clone(),
        of_star: None,
    };
    columns.map(candidate).collect()
}

/// A column that is not there is told what columns there are to partition by.
fn of_partition_by(by: &Expression, error: PlanError) -> PlanError {
    match (&by.kind, error.position) {
        (ExpressionKind::Column { .. }, Some(_)) if error.message.ends_with("cannot be resolved.") => {
            PlanError {
                message: format!(
                    "{} '{}' must be a column in the source schema since PARTITION BY is applied on the input.",
                    error.message,
                    text(by)
                ),
                ..error
            }
        }
        _ => error,
    }
}

/// Expands and compiles the projection. `evaluated` has its items as they are computed, after the table functions and behind the
/// aggregation.
pub(super) fn items(
    query: &Query,
    evaluated: &[SelectItem],
    inputs: &Inputs,
    key: &RequiredKey,
    purpose: Purpose<'_>,
) -> Result<Vec<Item>, PlanError> {
    let mut items: Vec<Item> = Vec::new();
    let mut names = Names::new(query, inputs);
    for (select, evaluated) in query.select.iter().zip(evaluated) {
        match select {
            SelectItem::All { source, position } => {
                let with_bounds = matches!(purpose, Purpose::Push) || !inputs.joins.is_empty();
                let mut expanded = star(inputs, source.as_deref(), with_bounds);
                if expanded.is_empty() {
                    let source = source.as_deref().unwrap_or("*");
                    let message = format!("'{source}' is not a valid stream/table name or alias.");
                    return Err(PlanError::at(*position, message));
                }
                if !query.partition_by.is_empty() {
                    // The new key first, then the values, then the old key. Stable: all keep their order.
                    let is_old_key = |item: &Item| match item.expr {
                        Expr::Column(place) => inputs.scope.columns[place].is_key,
                        _ => false,
                    };
                    expanded.sort_by_key(|item| (!key.is_of(item), is_old_key(item)));
                    let computed = key.candidates.iter().filter_map(|candidate| {
                        let (expression, sql_type) = candidate.of_star.as_ref()?;
                        Some((candidate, expression, sql_type))
                    });
                    for (candidate, expression, sql_type) in computed {
                        let is_used =
                            |name: &str| items.iter().chain(&expanded).any(|item| item.name == name);
                        let item = Item {
                            name: names.named(expression, is_used),
                            sql_type: sql_type.clone(),
                            expr: candidate.expr.clone(),
                            text: text(expression),
                            named: Named::Star,
                        };
                        items.push(item);
                    }
                }
                items.extend(expanded);
                check_count(items.len())?;
            }
            SelectItem::AllFields { base, .. } => {
                let SelectItem::AllFields { base: evaluated, .. } = evaluated else {
                    continue;
                };
                let Typed { expr, sql_type } = compile(evaluated, &inputs.scope, "SELECT")?;
                let Some(SqlType::Struct(fields)) = sql_type else {
                    let found = base_name(sql_type.as_ref());
                    return Err(PlanError::new(format!("Expected STRUCT type, got: {found}")));
                };
                for (place, field) in fields.iter().enumerate() {
                    let expression = Expression {
                        kind: ExpressionKind::Field {
                            base: Box::new(base.clone()),
                            field: field.name.clone(),
                        },
                        position: base.position,
                    };
                    let item = Item {
                        name: names.of(&expression, &items),
                        sql_type: field.sql_type.clone(),
                        expr: Expr::Field(Box::new(expr.clone()), place),
                        text: text(&expression),
                        named: Named::Expression,
                    };
                    items.push(item);
                }
                check_count(items.len())?;
            }
            SelectItem::Expression { expression, alias } => {
                let SelectItem::Expression {
                    expression: evaluated,
                    ..
                } = evaluated
                else {
                    continue;
                };
                let Typed { expr, sql_type } = compile(evaluated, &inputs.scope, "SELECT")?;
                let Some(sql_type) = sql_type else {
                    return Err(match purpose {
                        // A push query has no sink whose schema would need the type; ksqlDB fails at it later.
                        Purpose::Push => PlanError::internal("a column that is NULL has no type"),
                        _ => untyped_null(),
                    });
                };
                let (name, named) = match alias {
                    Some(alias) => (alias.clone(), Named::Alias),
                    None => (names.of(expression, &items), Named::Expression),
                };
                items.push(Item {
                    name,
                    sql_type,
                    expr,
                    text: text(expression),
                    named,
                });
            }
        }
    }
    Ok(items)
}

/// The columns of `*` or `alias.*`: all that are declared, and the bounds of windows after the keys.
fn star(inputs: &Inputs, wanted: Option<&str>, with_bounds: bool) -> Vec<Item> {
    let is_join = !inputs.joins.is_empty();
    let mut items = Vec::new();
    if let (Some(place), None) = (inputs.synthetic_key, wanted) {
        let column = &inputs.scope.columns[place];
        items.push(Item {
            name: column.name.clone(),
            sql_type: column.sql_type.clone(),
            expr: Expr::Column(place),
            text: column.name.clone(),
            named: Named::Star,
        });
    }
    for input in &inputs.inputs {
        if wanted.is_some_and(|wanted| wanted != input.alias) {
            continue;
        }
        let keys = input.source.schema.key().count();
        let mut places: Vec<usize> = (input.first..).take(input.source.schema.columns.len()).collect();
        if let Some(bounds) = input.bounds().filter(|_| with_bounds) {
            places.splice(keys..keys, [bounds, bounds + 1]);
        }
        for place in places {
            let column = &inputs.scope.columns[place];
            items.push(Item {
                name: if is_join {
                    format!("{}_{}", input.alias, column.name)
                } else {
                    column.name.clone()
                },
                sql_type: column.sql_type.clone(),
                expr: Expr::Column(place),
                text: column.name.clone(),
                named: Named::Star,
            });
        }
    }
    items
}

/// Names for what has no alias.
pub(super) struct Names<'a> {
    inputs: &'a Inputs,
    /// Names that a generated one must not be.
    taken: Vec<&'a str>,
    next_number: usize,
}

impl<'a> Names<'a> {
    pub(super) fn new(query: &'a Query, inputs: &'a Inputs) -> Self {
        let aliases = query.select.iter().filter_map(|item| match item {
            SelectItem::Expression { alias, .. } => alias.as_deref(),
            SelectItem::All { .. } | SelectItem::AllFields { .. } => None,
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
        self.named(expression, |name| items.iter().any(|item| item.name == name))
    }

    /// The name of an expression; `is_used` tells what is taken by the items before it.
    pub(super) fn named(&mut self, expression: &Expression, is_used: impl Fn(&str) -> bool) -> String {
        match &expression.kind {
            ExpressionKind::Column { source, name } => match source {
                Some(source) if self.is_ambiguous(name) => format!("{source}_{name}"),
                _ => name.clone(),
            },
            ExpressionKind::Field { field, .. } => {
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
            [] if key.all => return Err(missing(sink, key, items)),
            [] => {}
            [place] => places.push(*place),
            several => {
                let mut names: Vec<_> = several.iter().map(|place| items[*place].name.as_str()).collect();
                names.sort_unstable();
                if matches!(key.what, "partitioning expression" | "grouping expression") {
                    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
                    return Err(PlanError::new(format!(
                        "The projection contains a key column more than once: {}.\n{ONCE}",
                        names.join(" and ")
                    )));
                }
                return Err(PlanError::new(format!(
                    "The projection contains a key column (`{}`) more than once, aliased as: {}.\n{ONCE}",
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
        return Err(missing(sink, key, items));
    }
    Ok(places)
}

fn missing(sink: &str, key: &RequiredKey, items: &[Item]) -> PlanError {
    if let Some(left) = &key.of_left {
        let absent = key
            .candidates
            .iter()
            .filter(|candidate| !items.iter().any(|item| candidate.is(item)));
        let absent: Vec<_> = absent.map(|candidate| format!("`{}`", candidate.text)).collect();
        let plural = if absent.len() == 1 { "" } else { "s" };
        return PlanError::new(format!(
            "Primary key column{plural} missing in projection. For foreign-key table-table joins, the projection must include all primary key columns from the left input table (`{left}`). Missing column{plural}: {}.",
            absent.join(", ")
        ));
    }
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
            "\n{} was added as a synthetic key column because the join criteria did not match any source column. This expression must be included in the projection and may be aliased. ",
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
