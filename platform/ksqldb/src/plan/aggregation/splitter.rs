//! What of a query is computed before its aggregation, what by it, and what behind it.

use super::super::inputs::Inputs;
use super::super::pipeline::Windowing;
use super::super::qualify::qualified;
use super::super::source::check_count;
use super::super::windowing::windowing;
use super::super::{PlanError, Settings, Stage};
use super::{
    Aggregation, BOUNDS, Call, Group, MOST_CALLS, is_aggregate, is_aggregate_name, is_call, literal,
    not_final,
};
use crate::aggregates::{self, Unfit};
use crate::expression::{Expr, ScopeColumn, Typed, compile, compile_filter, text, unfit_call, untyped_null};
use crate::serde::Format;
use crate::syntax::ast::{Emit, Expression, ExpressionKind, Query, SelectItem};
use crate::types::SqlType;

/// Takes a query's expressions apart.
pub(super) struct Splitter<'a> {
    pub(super) inputs: &'a mut Inputs,
    of_table: bool,
    groups: Vec<Group>,
    calls: Vec<Call>,
    windowing: Option<Windowing>,
    bounds: [Option<usize>; 2],
    is_final: bool,
    settings: Settings,
}

impl<'a> Splitter<'a> {
    pub(super) fn new(query: &Query, inputs: &'a mut Inputs, settings: Settings) -> Result<Self, PlanError> {
        let of_table = inputs.is_table();
        let is_final = query.emit == Some(Emit::Final);
        let windowing = match query.window {
            _ if is_final && !settings.suppresses => {
                return Err(PlanError::new(
                    "Suppression is currently disabled. You can enable it by setting ksql.suppress.enabled to true",
                ));
            }
            None if is_final => return Err(not_final()),
            None => None,
            Some(_) if of_table => {
                return Err(PlanError::new("Windowing not supported for table aggregations."));
            }
            Some(window) => Some(windowing(window)?),
        };
        Ok(Self {
            inputs,
            of_table,
            groups: Vec::new(),
            calls: Vec::new(),
            windowing,
            bounds: [None; 2],
            is_final,
            settings,
        })
    }

    pub(super) fn split(mut self, query: &Query) -> Result<Aggregation, PlanError> {
        if query.window.is_some() {
            for clause in query.group_by.iter().chain(&query.having) {
                self.refuse_bounds(clause)?;
            }
        }
        for group in &query.group_by {
            self.group(group)?;
        }
        if let Some(input) = self.inputs.inputs.first()
            && input.source.window.is_some()
            && self.inputs.joins.is_empty()
            && self.is_grouped_by_key()
        {
            return Err(PlanError::new("Group by on windowed should always require rekey"));
        }
        if self.windowing.is_some() {
            let alias = match self.inputs.inputs.as_slice() {
                [only] => Some(only.alias.clone()),
                _ => None,
            };
            for (bound, name) in self.bounds.iter_mut().zip(BOUNDS) {
                *bound = Some(self.inputs.scope.columns.len());
                self.inputs.scope.columns.push(ScopeColumn {
                    source: alias.clone(),
                    name: name.to_owned(),
                    sql_type: SqlType::Bigint,
                    is_key: true,
                });
            }
        }
        let select = self.select(query)?;
        let having = match &query.having {
            None => None,
            Some(having) => {
                let mut lonely = Vec::new();
                let mut computed = having.clone();
                self.compute(&mut computed, &mut lonely)?;
                if !lonely.is_empty() {
                    return Err(PlanError::new(format!(
                        "Non-aggregate HAVING expression not part of GROUP BY: {}\nConsider switching the HAVING \
                         clause to a WHERE clause before the GROUP BY.",
                        lonely.join(", ")
                    )));
                }
                let condition = compile_filter(&computed, &self.inputs.scope, "HAVING")
                    .map_err(|error| self.in_words(error, &computed, having))?;
                Some((condition, text(having)))
            }
        };
        self.refuse_what_cannot_undo()?;
        Ok(Aggregation {
            groups: self.groups,
            calls: self.calls,
            windowing: self.windowing,
            is_final: self.is_final,
            select,
            having,
            bounds: self.bounds,
        })
    }

    /// An error about a computed expression, in the words of what it was computed from.
    fn in_words(&self, error: PlanError, computed: &Expression, written: &Expression) -> PlanError {
        PlanError {
            message: error.message.replace(&text(computed), &text(written)),
            ..error
        }
    }

    /// Whether what groups the rows is the source's key.
    fn is_grouped_by_key(&self) -> bool {
        let source = &self.inputs.inputs[0].source;
        let keys = source.schema.key().count();
        keys == 1
            && matches!(
                self.groups.as_slice(),
                [Group {
                    expr: Expr::Column(0),
                    ..
                }]
            )
    }

    fn refuse_bounds(&self, expression: &Expression) -> Result<(), PlanError> {
        if let ExpressionKind::Column { name, .. } = &expression.kind
            && BOUNDS.contains(&name.as_str())
        {
            return Err(PlanError::new(format!(
                "Window bounds column {name} can only be used in the SELECT clause of windowed aggregations and can \
                 not be passed to aggregate functions.\nSee https://github.com/confluentinc/ksql/issues/4397"
            )));
        }
        expression
            .children()
            .into_iter()
            .try_for_each(|child| self.refuse_bounds(child))
    }

    fn group(&mut self, group: &Expression) -> Result<(), PlanError> {
        let Typed { expr, sql_type } = compile(group, &self.inputs.scope, "GROUP BY")?;
        let sql_type = sql_type.ok_or_else(untyped_null)?;
        let place = match expr {
            Expr::Column(place) => place,
            _ => {
                self.inputs.scope.columns.push(ScopeColumn {
                    source: None,
                    name: format!("KSQL_GROUP_{}", self.groups.len()),
                    sql_type: sql_type.clone(),
                    is_key: true,
                });
                self.inputs.scope.columns.len() - 1
            }
        };
        let written = text(&qualified(group, &self.inputs.scope));
        self.groups.push(Group {
            expr,
            text: match &group.kind {
                ExpressionKind::Column { .. } => text(group),
                _ => written.clone(),
            },
            written,
            sql_type,
            place,
        });
        Ok(())
    }

    /// The projection: `*` is all columns, each of which has to be grouped.
    pub(super) fn select(&mut self, query: &Query) -> Result<Vec<SelectItem>, PlanError> {
        let mut lonely = Vec::new();
        let mut select = Vec::new();
        for item in &query.select {
            let computed = match item {
                SelectItem::Expression { expression, alias } => {
                    let mut computed = expression.clone();
                    let mut columns = Vec::new();
                    self.compute(&mut computed, &mut columns)?;
                    if !columns.is_empty() {
                        lonely.push(text(expression));
                    }
                    SelectItem::Expression {
                        expression: computed,
                        alias: alias.clone(),
                    }
                }
                SelectItem::AllFields { base, position } => {
                    let mut computed = base.clone();
                    let mut columns = Vec::new();
                    self.compute(&mut computed, &mut columns)?;
                    lonely.extend(columns);
                    SelectItem::AllFields {
                        base: computed,
                        position: *position,
                    }
                }
                all @ SelectItem::All { .. } => {
                    check_count(lonely.len())?;
                    for column in self.inputs.declared() {
                        if !self.groups.iter().any(|group| group.place == column) {
                            lonely.push(self.inputs.scope.columns[column].name.clone());
                        }
                    }
                    all.clone()
                }
            };
            select.push(computed);
        }
        if lonely.is_empty() {
            return Ok(select);
        }
        Err(PlanError::new(format!(
            "Non-aggregate SELECT expression(s) not part of GROUP BY: {}\nEither add the column(s) to the GROUP BY or \
             remove them from the SELECT.",
            lonely.join(", ")
        )))
    }

    /// An expression with columns for its calls and grouping expressions. The columns it names that are not grouped
    /// are added to `lonely`.
    fn compute(&mut self, expression: &mut Expression, lonely: &mut Vec<String>) -> Result<(), PlanError> {
        if is_call(expression) {
            let place = self.call(expression)?;
            *expression = self.column(place, expression);
            return Ok(());
        }
        let written = text(&qualified(expression, &self.inputs.scope));
        if let Some(index) = self.groups.iter().position(|group| group.written == written) {
            let place = self.groups[index].place;
            if !matches!(expression.kind, ExpressionKind::Column { .. }) {
                *expression = self.column(place, expression);
            }
            return Ok(());
        }
        if let ExpressionKind::Column { source, name } = &expression.kind {
            let is_bound = self.windowing.is_some() && BOUNDS.contains(&name.as_str());
            // What is not there is told so when the expression is compiled.
            let is_there = self
                .inputs
                .scope
                .columns
                .iter()
                .any(|column| column.name == *name && (source.is_none() || column.source == *source));
            if is_there && !is_bound {
                lonely.push(text(expression));
            }
            return Ok(());
        }
        for child in expression.children_mut() {
            self.compute(child, lonely)?;
        }
        Ok(())
    }

    /// A column of that place.
    fn column(&self, place: usize, of: &Expression) -> Expression {
        let column = &self.inputs.scope.columns[place];
        Expression {
            kind: ExpressionKind::Column {
                source: column.source.clone(),
                name: column.name.clone(),
            },
            position: of.position,
        }
    }

    /// The place of a call's result.
    fn call(&mut self, call: &Expression) -> Result<usize, PlanError> {
        let ExpressionKind::Call { function, arguments } = &call.kind else {
            return Err(PlanError::new(format!("No function is called by {}", text(call))));
        };
        if arguments.iter().any(is_aggregate) {
            return Err(PlanError::new(format!(
                "Aggregate functions can not be nested: {}",
                nested(call)
            )));
        }
        if self.windowing.is_some() {
            arguments
                .iter()
                .try_for_each(|argument| self.refuse_bounds(argument))?;
        }
        let written = text(&qualified(call, &self.inputs.scope));
        if let Some(known) = self.calls.iter().find(|known| known.written == written) {
            return Ok(known.place);
        }
        if self.calls.len() == MOST_CALLS {
            return Err(PlanError::new(format!(
                "A query calls at most {MOST_CALLS} different aggregate functions."
            )));
        }
        let mut typed = Vec::new();
        let mut literals = Vec::new();
        for argument in arguments {
            typed.push(compile(argument, &self.inputs.scope, "SELECT")?);
            literals.push(literal(argument));
        }
        let types: Vec<_> = typed.iter().map(|typed| typed.sql_type.clone()).collect();
        let resolved = aggregates::resolve(function, &types, &literals);
        let resolved = resolved.map_err(|reason| match reason {
            Unfit::Types => unfit_call(function, &types),
            Unfit::Literal(number) => PlanError::new(format!(
                "Parameter {number} passed to function {function} must be a literal constant, but was expression: '{}'",
                text(&arguments[number - 1])
            )),
            Unfit::Factory => PlanError::new("Failed to invoke UDAF factory method"),
        })?;
        let of_flat_values =
            |format| matches!(format, Format::Delimited { .. }) && resolved.aggregate.has_nested_state();
        if of_flat_values(self.inputs.inputs[0].source.value_format) {
            return Err(PlanError::in_stage(Stage::Request, NESTED_STATE));
        }
        let place = self.inputs.scope.columns.len();
        self.inputs.scope.columns.push(ScopeColumn {
            source: None,
            name: format!("KSQL_AGG_VARIABLE_{}", self.calls.len()),
            sql_type: resolved.sql_type,
            is_key: false,
        });
        self.calls.push(Call {
            aggregate: resolved
                .aggregate
                .limited(self.settings.collect_list_limit, self.settings.collect_set_limit),
            arguments: typed
                .into_iter()
                .take(resolved.columns)
                .map(|typed| typed.expr)
                .collect(),
            text: text(call),
            written,
            place,
        });
        Ok(place)
    }

    /// A row of a table that changes leaves its group: the functions have to allow that.
    fn refuse_what_cannot_undo(&self) -> Result<(), PlanError> {
        if !self.of_table {
            return Ok(());
        }
        let mut names: Vec<&str> = Vec::new();
        for call in self.calls.iter().filter(|call| !call.aggregate.can_undo()) {
            let name = call.text.split('(').next().unwrap_or_default();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let (plural, names) = match names.as_slice() {
            [] => return Ok(()),
            [only] => ("", (*only).to_owned()),
            [init @ .., last] => ("s", format!("{} and {last}", init.join(", "))),
        };
        Err(PlanError::new(format!(
            "The aggregation function{plural} {names} cannot be applied to a table source, only to a stream source."
        )))
    }
}

const NESTED_STATE: &str = "One of the functions used in the statement has an intermediate type that the value format can not handle. Please remove the function or change the format.\nConsider up-voting https://github.com/confluentinc/ksql/issues/3950, which will resolve this limitation\nCaused by: The 'DELIMITED' format does not support type 'STRUCT', column:\n\t`KSQL_AGG_VARIABLE_0`";

/// A call in a call: of the inner ones only the names.
fn nested(call: &Expression) -> String {
    let mut call = call.clone();
    for argument in call.children_mut() {
        if let ExpressionKind::Call { function, arguments } = &mut argument.kind
            && is_aggregate_name(function)
        {
            arguments.clear();
        }
    }
    text(&call).replace("COUNT(*)", "COUNT()")
}
