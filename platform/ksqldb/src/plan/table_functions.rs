//! Table functions (`EXPLODE`): a call becomes a list, and the projection sees the list's elements as a column.

use super::qualify::qualified;
use super::{PlanError, Projected};
use crate::expression::{Expr, Scope, ScopeColumn, compile, text, unfit_call};
use crate::functions::catalogue::{Sort, listed};
use crate::functions::table::CUBE;
use crate::syntax::ast::{Expression, ExpressionKind, SelectItem};
use crate::types::SqlType;

/// How many table functions a query may call.
const MOST_CALLS: usize = 100;

/// A projection without its table functions.
pub(super) struct Split {
    /// The projection's items, a column in the place of each call.
    pub(super) select: Vec<SelectItem>,
    /// The lists, in the order of their columns, which are the scope's last.
    pub(super) tables: Vec<Projected>,
}

/// Whether a projection calls table functions.
pub(super) fn are_called(select: &[SelectItem]) -> bool {
    select.iter().any(|item| match item {
        SelectItem::Expression { expression, .. } | SelectItem::AllFields { base: expression, .. } => {
            call_within(expression).is_some()
        }
        SelectItem::All { .. } => false,
    })
}

/// Takes the table functions out of a projection. The scope gets a column for each.
pub(super) fn split(select: &[SelectItem], scope: &mut Scope) -> Result<Split, PlanError> {
    let mut calls = Calls {
        scope: &*scope,
        columns: Vec::new(),
        tables: Vec::new(),
    };
    let mut select = select.to_vec();
    for item in &mut select {
        match item {
            SelectItem::Expression { expression, .. } | SelectItem::AllFields { base: expression, .. } => {
                calls.take_out(expression)?
            }
            SelectItem::All { .. } => {}
        }
    }
    let Calls { columns, tables, .. } = calls;
    scope.columns.extend(columns);
    Ok(Split { select, tables })
}

struct Calls<'a> {
    /// The columns that arguments may name.
    scope: &'a Scope,
    columns: Vec<ScopeColumn>,
    tables: Vec<Projected>,
}

impl Calls<'_> {
    fn take_out(&mut self, expression: &mut Expression) -> Result<(), PlanError> {
        match &expression.kind {
            ExpressionKind::Call { function, arguments } if is_table_function(function) => {
                if let Some(inner) = arguments.iter().find_map(call_within) {
                    return Err(PlanError::new(format!(
                        "Table functions cannot be nested: `{function}`(`{inner}`())"
                    )));
                }
                if self.tables.len() == MOST_CALLS {
                    return Err(PlanError::new(format!(
                        "A query calls at most {MOST_CALLS} table functions."
                    )));
                }
                let (expr, sql_type) = self.list(function, arguments)?;
                let name = self.unused_name();
                self.tables.push(Projected {
                    expr,
                    text: text(expression),
                });
                self.columns.push(ScopeColumn {
                    source: None,
                    name: name.clone(),
                    sql_type,
                    is_key: false,
                });
                expression.kind = ExpressionKind::Column { source: None, name };
                Ok(())
            }
            ExpressionKind::Case { .. } if call_within(expression).is_some() => Err(PlanError::new(format!(
                "Table functions cannot be used in CASE: {}",
                text(&qualified(expression, self.scope))
            ))),
            _ => {
                let mut children = expression.children_mut().into_iter();
                children.try_for_each(|child| self.take_out(child))
            }
        }
    }

    /// The list that a call makes, and the type of its elements.
    fn list(&self, function: &str, arguments: &[Expression]) -> Result<(Expr, SqlType), PlanError> {
        let arguments = arguments
            .iter()
            .map(|argument| compile(argument, self.scope, "SELECT"))
            .collect::<Result<Vec<_>, _>>()?;
        let types: Vec<_> = arguments
            .iter()
            .map(|argument| argument.sql_type.clone())
            .collect();
        match (arguments.into_iter().next(), types.as_slice()) {
            (Some(list), [Some(SqlType::Array(element))]) if function == "EXPLODE" => {
                Ok((list.expr, (**element).clone()))
            }
            (Some(list), [Some(combination @ SqlType::Array(_))]) => {
                Ok((Expr::Call(&CUBE, vec![list.expr]), combination.clone()))
            }
            _ => Err(unfit_call(function, &types)),
        }
    }

    fn unused_name(&self) -> String {
        let is_used = |name: &String| {
            let all = self.scope.columns.iter().chain(&self.columns);
            all.into_iter().any(|column| column.name == *name)
        };
        let mut names = (0..).map(|number| format!("KSQL_SYNTH_{number}"));
        names.find(|name| !is_used(name)).unwrap_or_default()
    }
}

fn is_table_function(name: &str) -> bool {
    listed(name).is_some_and(|function| function.sort == Sort::Table)
}

/// The name of the first table function that is called somewhere in an expression.
fn call_within(expression: &Expression) -> Option<&str> {
    match &expression.kind {
        ExpressionKind::Call { function, .. } if is_table_function(function) => Some(function),
        _ => expression.children().into_iter().find_map(call_within),
    }
}
