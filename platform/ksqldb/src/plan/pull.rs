//! Pull queries on tables: which rows of a kept table are looked at, and what is told of them.
//!
//! A row here is the table's columns, the key's first, then `ROWTIME`, then the bounds of its window.

mod access;
mod refusals;

use super::PlanError;
use super::condition::{time_of, written_out};
use super::inputs::BOUNDS;
use super::sink::check_names;
use crate::expression::{Expr, Scope, ScopeColumn, compile, compile_filter, untyped_null};
use crate::metastore::Source;
use crate::syntax::ast::{Expression, ExpressionKind, Literal, Query, SelectItem};
use crate::types::{Column, Namespace, Schema, SqlType};
use crate::value::{Row, Value};
use refusals::{checked_limit, refuse_clauses, refuse_columns};

pub(crate) use access::Access;

/// What follows an error about a pull query that could be a push query.
pub(crate) const HELP: &str =
    " See https://cnfl.io/queries for more info.\nAdd EMIT CHANGES if you intended to issue a push query.";

/// What a client allows a pull query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PullSettings {
    /// `ksql.query.pull.table.scan.enabled`
    pub(crate) scans: bool,
    /// `ksql.query.pull.range.scan.enabled`
    pub(crate) ranges: bool,
}

/// A pull query that can run.
#[derive(Debug)]
pub(crate) struct PullPlan {
    /// The columns of its rows; those of the key and the bounds are marked as such.
    pub(crate) output: Schema,
    pub(crate) access: Access,
    pub(crate) limit: Option<u64>,
    condition: Option<Expr>,
    projection: Vec<Expr>,
    has_bounds: bool,
}

impl PullPlan {
    /// The row that is told of a table's row, where the query wants it.
    pub(crate) fn row(&self, mut row: Row, timestamp: i64, window: Option<(i64, i64)>) -> Option<Row> {
        row.push(Value::Bigint(timestamp));
        if self.has_bounds {
            let (start, end) = window.unwrap_or_default();
            row.extend([Value::Bigint(start), Value::Bigint(end)]);
        }
        let wanted = self
            .condition
            .as_ref()
            .is_none_or(|condition| condition.holds(&row, &mut |_| {}));
        wanted.then(|| {
            let columns = self.projection.iter();
            columns.map(|column| column.value(&row, &mut |_| {})).collect()
        })
    }
}

/// What a pull query on a table means.
pub(crate) fn plan_pull(
    source: &Source,
    query: &Query,
    settings: PullSettings,
) -> Result<PullPlan, PlanError> {
    refuse_clauses(query)?;
    let limit = checked_limit(query)?;
    let columns = Columns::of(source, &query.from.alias);
    let (items, projection) = columns.projection(query)?;
    let filter = match &query.filter {
        None => None,
        Some(filter) => {
            refuse_columns(&[filter], "WHERE")?;
            columns.check_keys(filter)?;
            columns.check_patterns(filter)?;
            Some(columns.with_times(filter)?)
        }
    };
    let condition = match &filter {
        None => None,
        Some(filter) => Some(compile_filter(filter, &columns.scope, "WHERE")?),
    };
    let filter = filter.map(written_out);
    if let Some(filter) = &filter {
        columns.check_bounds(filter)?;
        columns.check_supported(filter)?;
    }
    Ok(PullPlan {
        access: columns.access(filter.as_ref(), settings)?,
        output: Schema { columns: items },
        limit,
        condition,
        projection,
        has_bounds: source.window.is_some(),
    })
}

/// The columns of a table as a pull query sees them.
struct Columns<'a> {
    source: &'a Source,
    scope: Scope,
    keys: Vec<&'a Column>,
}

impl<'a> Columns<'a> {
    fn of(source: &'a Source, alias: &str) -> Self {
        let column = |name: &str, sql_type: &SqlType, is_key| ScopeColumn {
            source: Some(alias.to_owned()),
            name: name.to_owned(),
            sql_type: sql_type.clone(),
            is_key,
        };
        let declared = source.schema.columns.iter();
        let mut columns: Vec<ScopeColumn> = declared
            .map(|declared| {
                let is_key = declared.namespace == Namespace::Key;
                column(&declared.name, &declared.sql_type, is_key)
            })
            .collect();
        columns.push(column("ROWTIME", &SqlType::Bigint, false));
        if source.window.is_some() {
            columns.extend(BOUNDS.map(|name| column(name, &SqlType::Bigint, true)));
        }
        Self {
            scope: Scope { columns },
            keys: source.schema.key().collect(),
            source,
        }
    }

    fn is_bound(&self, name: &str) -> bool {
        self.source.window.is_some() && BOUNDS.contains(&name)
    }

    fn column_type(&self, name: &str) -> Option<&SqlType> {
        let mut columns = self.scope.columns.iter();
        let column = columns.find(|column| column.name == name);
        column.map(|column| &column.sql_type)
    }

    fn is_key(&self, name: &str) -> bool {
        self.keys.iter().any(|key| key.name == name)
    }

    /// The output's columns, and what computes them.
    fn projection(&self, query: &Query) -> Result<(Vec<Column>, Vec<Expr>), PlanError> {
        let is_star = |item: &SelectItem| matches!(item, SelectItem::All { .. });
        if query.select.len() > 1 && query.select.iter().any(is_star) {
            return Err(PlanError::new(
                "Pull queries only support wildcards in the projects if they are the only expression",
            ));
        }
        let mut items = Vec::new();
        let mut projection = Vec::new();
        let mut add = |name: String, sql_type: SqlType, expr: Expr| {
            let is_key = matches!(expr, Expr::Column(place) if self.scope.columns[place].is_key);
            items.push(Column {
                name,
                sql_type,
                namespace: if is_key { Namespace::Key } else { Namespace::Value },
            });
            projection.push(expr);
        };
        let aliases = query.select.iter().filter_map(|item| match item {
            SelectItem::Expression { alias, .. } => alias.as_deref(),
            SelectItem::All { .. } | SelectItem::AllFields { .. } => None,
        });
        let columns = self.scope.columns.iter().map(|column| column.name.as_str());
        let taken: Vec<&str> = aliases.chain(columns).collect();
        let mut generated = (0..)
            .map(|number| format!("KSQL_COL_{number}"))
            .filter(|name| !taken.contains(&name.as_str()));
        for item in &query.select {
            match item {
                SelectItem::All { .. } => {
                    let declared = self.source.schema.columns.len();
                    let keys = self.keys.len();
                    let bounds = declared + 1..self.scope.columns.len();
                    for place in (0..keys).chain(bounds).chain(keys..declared) {
                        let column = &self.scope.columns[place];
                        add(column.name.clone(), column.sql_type.clone(), Expr::Column(place));
                    }
                }
                SelectItem::AllFields { base, .. } => {
                    refuse_columns(&[base], "SELECT")?;
                    let typed = compile(base, &self.scope, "SELECT")?;
                    let Some(SqlType::Struct(fields)) = typed.sql_type else {
                        return Err(PlanError::new("Expected STRUCT type before ->*"));
                    };
                    for (place, field) in fields.into_iter().enumerate() {
                        let expr = Expr::Field(Box::new(typed.expr.clone()), place);
                        add(field.name, field.sql_type, expr);
                    }
                }
                SelectItem::Expression { expression, alias } => {
                    refuse_columns(&[expression], "SELECT")?;
                    let typed = compile(expression, &self.scope, "SELECT")?;
                    let sql_type = typed.sql_type.ok_or_else(untyped_null)?;
                    let name = match (&expression.kind, alias) {
                        (_, Some(alias)) => alias.clone(),
                        (ExpressionKind::Column { name, .. }, None) => name.clone(),
                        (ExpressionKind::Field { field, .. }, None) => field.clone(),
                        _ => generated.next().unwrap_or_default(),
                    };
                    add(name, sql_type, typed.expr);
                }
            }
        }
        check_names(&Schema {
            columns: items.clone(),
        })?;
        Ok((items, projection))
    }

    /// A condition in which texts that bound windows are times.
    fn with_times(&self, filter: &Expression) -> Result<Expression, PlanError> {
        let mut filter = filter.clone();
        self.read_times(&mut filter)?;
        Ok(filter)
    }

    fn read_times(&self, expression: &mut Expression) -> Result<(), PlanError> {
        if let ExpressionKind::Binary(left, _, right) = &mut expression.kind {
            let is_bound = |side: &Expression| matches!(&side.kind, ExpressionKind::Column { name, .. } if self.is_bound(name));
            let sides = if is_bound(left) {
                Some(right)
            } else if is_bound(right) {
                Some(left)
            } else {
                None
            };
            if let Some(side) = sides {
                match &side.kind {
                    ExpressionKind::Literal(Literal::String(time)) => {
                        side.kind = ExpressionKind::Literal(Literal::Bigint(time_of(time)?));
                    }
                    ExpressionKind::Literal(
                        Literal::Decimal(_) | Literal::Double(_) | Literal::Boolean(_),
                    ) => {
                        return Err(PlanError::new(
                            "Window bounds must resolve to an INT, BIGINT, or STRING containing a datetime.",
                        ));
                    }
                    _ => {}
                }
            }
        }
        let mut children = expression.children_mut().into_iter();
        children.try_for_each(|child| self.read_times(child))
    }
}
