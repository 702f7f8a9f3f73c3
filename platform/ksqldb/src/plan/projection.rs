//! `SELECT …`: the output's columns, their names, and which of them are the key.

use super::inputs::Inputs;
use super::required_key::RequiredKey;
use super::source::check_count;
use super::{PlanError, Purpose};
use crate::expression::{Expr, Typed, base_name, compile, text, untyped_null};
use crate::syntax::ast::{Expression, ExpressionKind, Query, SelectItem};
use crate::types::{Column, Namespace, SqlType};

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
    pub(super) inputs: &'a Inputs,
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
