//! `GROUP BY`, `HAVING`, `WINDOW`: what is computed before the aggregation, and what behind it.
//!
//! The calls of aggregate functions, and the grouping expressions that are no columns, become columns that are
//! appended to the scope; what is projected is then an expression over these and over the columns that are grouped.

use super::inputs::Inputs;
use super::pipeline::Windowing;
use super::qualify::qualified;
use super::source::check_count;
use super::windowing::windowing;
use super::{PlanError, Purpose, Settings, Stage};
use crate::aggregates::{self, Aggregate, Unfit};
use crate::expression::{Expr, ScopeColumn, Typed, compile, compile_filter, text, unfit_call, untyped_null};
use crate::functions::catalogue::{Sort, listed};
use crate::metastore::Metastore;
use crate::serde::Format;
use crate::syntax::ast::{
    Emit, Expression, ExpressionKind, Literal, Query, SelectItem, SourceKind, UnaryOperator,
};
use crate::types::SqlType;
use crate::value::Value;

/// How many different aggregate functions a query may call. Each call is compared with every other.
const MOST_CALLS: usize = 1_000;

const BOUNDS: [&str; 2] = ["WINDOWSTART", "WINDOWEND"];

/// An aggregation whose expressions name places of the scope.
#[derive(Debug)]
pub(super) struct Aggregation {
    pub(super) groups: Vec<Group>,
    pub(super) calls: Vec<Call>,
    pub(super) windowing: Option<Windowing>,
    pub(super) is_final: bool,
    /// The projection and the condition as they are computed behind it.
    pub(super) select: Vec<SelectItem>,
    pub(super) having: Option<(Expr, String)>,
    /// The places of `WINDOWSTART` and `WINDOWEND` in the scope.
    pub(super) bounds: [Option<usize>; 2],
}

#[derive(Debug)]
pub(super) struct Group {
    /// Over the inputs.
    pub(super) expr: Expr,
    pub(super) text: String,
    /// The same, whether or not the query says whose its columns are.
    pub(super) written: String,
    pub(super) sql_type: SqlType,
    /// The place in the scope that stands for it behind the aggregation.
    pub(super) place: usize,
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) aggregate: Aggregate,
    /// Over the inputs.
    pub(super) arguments: Vec<Expr>,
    pub(super) text: String,
    /// The same, whether or not the query says whose its columns are.
    pub(super) written: String,
    pub(super) place: usize,
}

/// Whether an expression calls an aggregate function.
pub(super) fn is_aggregate(expression: &Expression) -> bool {
    is_call(expression) || expression.children().into_iter().any(is_aggregate)
}

fn is_call(expression: &Expression) -> bool {
    match &expression.kind {
        ExpressionKind::Call { function, .. } => is_aggregate_name(function),
        _ => false,
    }
}

fn is_aggregate_name(function: &str) -> bool {
    listed(function).is_some_and(|listed| listed.sort == Sort::Aggregate)
}

/// What is wrong about a statement before anything is planned.
pub(super) fn check_early(query: &Query, metastore: &Metastore) -> Result<(), PlanError> {
    let inputs = Inputs::of_names(metastore, query).ok();
    for (place, group) in query.group_by.iter().enumerate() {
        let written = |expression: &Expression| match &inputs {
            Some(inputs) => text(&qualified(expression, &inputs.scope)),
            None => text(expression),
        };
        let group = written(group);
        if query.group_by[..place]
            .iter()
            .any(|other| written(other) == group)
        {
            let message = format!("Duplicate GROUP BY expression: {group}");
            return Err(PlanError::in_stage(Stage::Preparing, message));
        }
    }
    Ok(())
}

/// The aggregation of a query, where it has one. Its columns are appended to the scope.
pub(super) fn split(
    query: &Query,
    inputs: &mut Inputs,
    purpose: Purpose<'_>,
    settings: Settings,
) -> Result<Option<Aggregation>, PlanError> {
    let selected = query.select.iter().filter_map(|item| match item {
        SelectItem::Expression { expression, .. } | SelectItem::AllFields { base: expression, .. } => {
            Some(expression)
        }
        SelectItem::All { .. } => None,
    });
    let clauses: Vec<&Expression> = selected.chain(&query.having).collect();
    let first_call = clauses.iter().find_map(|clause| first_call(clause));
    if query.group_by.is_empty() && first_call.is_none() {
        if query.having.is_some() {
            return Err(PlanError::new("HAVING requires GROUP BY or aggregate functions."));
        }
        if query.window.is_some() {
            return Err(PlanError::at(
                query.position,
                "WINDOW clause requires a GROUP BY clause.",
            ));
        }
        if query.emit == Some(Emit::Final) {
            return Err(not_final());
        }
        return Ok(None);
    }
    if let Some(group) = query.group_by.iter().find_map(first_call_of) {
        return Err(PlanError::new(format!(
            "GROUP BY does not support aggregate functions: {} is an aggregate function.",
            function_of(group)
        )));
    }
    let Some(first_call) = first_call else {
        if let Some(unknown) = clauses.iter().find_map(|clause| unknown_call(clause)) {
            return Err(unfit_call(unknown, &[]));
        }
        return Err(PlanError::new(
            "GROUP BY requires aggregate functions in either the SELECT or HAVING clause.",
        ));
    };
    if query.group_by.is_empty() && !matches!(purpose, Purpose::Push) {
        let kind = match purpose {
            Purpose::Sink {
                kind: SourceKind::Stream,
                ..
            } => "CREATE STREAM AS SELECT",
            Purpose::InsertInto { .. } => "INSERT INTO",
            _ => "CREATE TABLE AS SELECT",
        };
        return Err(PlanError::new(format!(
            "{kind} statement does not support aggregate function [{}] without a GROUP BY clause.",
            counted(first_call)
        )));
    }
    refuse_kafka_values(inputs)?;
    Splitter::new(query, inputs, settings)?.split(query).map(Some)
}

fn not_final() -> PlanError {
    PlanError::new("EMIT FINAL is only supported for windowed aggregations.")
}

fn first_call<'a>(expression: &&'a Expression) -> Option<&'a Expression> {
    first_call_of(expression)
}

fn first_call_of(expression: &Expression) -> Option<&Expression> {
    if is_call(expression) {
        return Some(expression);
    }
    expression.children().into_iter().find_map(first_call_of)
}

/// The name of a function that is called and that there is not.
fn unknown_call(expression: &Expression) -> Option<&str> {
    match &expression.kind {
        ExpressionKind::Call { function, .. } if listed(function).is_none() => Some(function),
        _ => expression.children().into_iter().find_map(unknown_call),
    }
}

fn function_of(call: &Expression) -> &str {
    match &call.kind {
        ExpressionKind::Call { function, .. } => function,
        _ => "",
    }
}

/// A call as it is named: what counts rows counts their times.
fn counted(call: &Expression) -> String {
    match &call.kind {
        ExpressionKind::Call { function, arguments } if arguments.is_empty() => {
            format!("{function}(ROWTIME)")
        }
        _ => text(call),
    }
}

fn refuse_kafka_values(inputs: &Inputs) -> Result<(), PlanError> {
    let sources = inputs.inputs.iter().map(|input| &input.source);
    let of_kafka = sources.filter(|source| source.value_format == Format::Kafka);
    let names: Vec<&str> = of_kafka.map(|source| source.name.as_str()).collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(PlanError::new(format!(
        "Source(s) {} are using the 'KAFKA' value format. This format does not yet support GROUP BY.\n{}",
        names.join(", "),
        super::inputs::KAFKA_VALUES
    )))
}

/// Takes a query's expressions apart.
struct Splitter<'a> {
    inputs: &'a mut Inputs,
    of_table: bool,
    groups: Vec<Group>,
    calls: Vec<Call>,
    windowing: Option<Windowing>,
    bounds: [Option<usize>; 2],
    is_final: bool,
    settings: Settings,
}

impl<'a> Splitter<'a> {
    fn new(query: &Query, inputs: &'a mut Inputs, settings: Settings) -> Result<Self, PlanError> {
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

    fn split(mut self, query: &Query) -> Result<Aggregation, PlanError> {
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
    fn select(&mut self, query: &Query) -> Result<Vec<SelectItem>, PlanError> {
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

/// The value of a literal, also with a sign.
fn literal(expression: &Expression) -> Option<Value> {
    match &expression.kind {
        ExpressionKind::Literal(Literal::Integer(number)) => Some(Value::Integer(*number)),
        ExpressionKind::Literal(Literal::Boolean(flag)) => Some(Value::Boolean(*flag)),
        ExpressionKind::Unary(UnaryOperator::Minus, inner) => match literal(inner)? {
            Value::Integer(number) => number.checked_neg().map(Value::Integer),
            _ => None,
        },
        _ => None,
    }
}

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
