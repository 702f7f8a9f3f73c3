//! Pull queries on tables: which rows of a kept table are looked at, and what is told of them.
//!
//! A row here is the table's columns, the key's first, then `ROWTIME`, then the bounds of its window.

use super::PlanError;
use super::condition::{alternatives, is_constant, time_of, written_out};
use super::inputs::BOUNDS;
use super::insert::coerced;
use super::sink::check_names;
use crate::expression::{Expr, Scope, ScopeColumn, compile, compile_filter, text, untyped_null};
use crate::metastore::{Source, SourceWindow};
use crate::syntax::ast::{
    BinaryOperator, Expression, ExpressionKind, Literal, Query, SelectItem, UnaryOperator,
};
use crate::types::{Column, Namespace, Schema, SqlType};
use crate::value::{Row, Value};

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

/// Which rows are looked at.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Access {
    /// Those of these keys, in this order.
    Keys(Vec<Row>),
    /// Those of keys from one to another; each with whether it belongs to them.
    Range(Option<(Value, bool)>, Option<(Value, bool)>),
    /// All.
    Scan,
    /// None: a session table is read by key alone.
    Nothing,
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
    let columns = Columns::of(source, &query.from.alias);
    let (items, projection) = columns.projection(query)?;
    let filter = match &query.filter {
        None => None,
        Some(filter) => {
            refuse_columns(&[filter], "WHERE")?;
            columns.check_keys(filter)?;
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
        limit: query.limit,
        condition,
        projection,
        has_bounds: source.window.is_some(),
    })
}

fn refuse_clauses(query: &Query) -> Result<(), PlanError> {
    let clauses = [
        (!query.joins.is_empty(), "JOIN"),
        (query.window.is_some(), "WINDOW"),
        (!query.group_by.is_empty(), "GROUP BY"),
        (!query.partition_by.is_empty(), "PARTITION BY"),
        (query.having.is_some(), "HAVING"),
    ];
    match clauses.iter().find(|(is_there, _)| *is_there) {
        Some((_, clause)) => Err(PlanError::new(format!(
            "Pull queries don't support {clause} clauses.{HELP}"
        ))),
        None => Ok(()),
    }
}

/// Where a record lies is not known of a kept row.
fn refuse_columns(expressions: &[&Expression], clause: &str) -> Result<(), PlanError> {
    fn named<'a>(expression: &'a Expression, found: &mut Vec<&'a str>) {
        if let ExpressionKind::Column { name, .. } = &expression.kind
            && (name == "ROWPARTITION" || name == "ROWOFFSET")
            && !found.contains(&name.as_str())
        {
            found.push(name);
        }
        for child in expression.children() {
            named(child, found);
        }
    }
    let mut found = Vec::new();
    for expression in expressions {
        named(expression, &mut found);
    }
    if found.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = found.iter().map(|name| format!("`{name}`")).collect();
    Err(PlanError::new(format!(
        "Pull queries don't support the following columns in {clause} clauses: {}\n{HELP}",
        names.join(", ")
    )))
}

/// A comparison of a column with something without columns.
struct Comparison<'a> {
    column: &'a str,
    operator: BinaryOperator,
    value: &'a Expression,
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

    /// A comparison of a column of the key or of a bound with a constant.
    fn comparison<'e>(&self, expression: &'e Expression) -> Option<Comparison<'e>> {
        let ExpressionKind::Binary(left, operator, right) = &expression.kind else {
            return None;
        };
        let flipped = match operator {
            BinaryOperator::Less => BinaryOperator::Greater,
            BinaryOperator::LessOrEqual => BinaryOperator::GreaterOrEqual,
            BinaryOperator::Greater => BinaryOperator::Less,
            BinaryOperator::GreaterOrEqual => BinaryOperator::LessOrEqual,
            BinaryOperator::Equal | BinaryOperator::NotEqual => *operator,
            _ => return None,
        };
        for (column, operator, value) in [(left, *operator, right), (right, flipped, left)] {
            if let ExpressionKind::Column { name, .. } = &column.kind
                && (self.is_key(name) || self.is_bound(name))
                && is_constant(value)
            {
                return Some(Comparison {
                    column: name,
                    operator,
                    value,
                });
            }
        }
        None
    }

    /// A constant as a value of a key column.
    fn key_value(&self, column: &str, value: &Expression) -> Option<Value> {
        let key = self.keys.iter().find(|key| key.name == column)?;
        let typed = compile(value, &Scope::default(), "WHERE").ok()?;
        let computed = typed.expr.value(&[], &mut |_| {});
        coerced(&computed, &typed.sql_type?, &key.sql_type)
    }

    /// Whether the members of lists are values of the key that they are compared with.
    fn check_keys(&self, filter: &Expression) -> Result<(), PlanError> {
        if let ExpressionKind::In { value, list, .. } = &filter.kind
            && let ExpressionKind::Column { name, .. } = &value.kind
            && let Some(key) = self.keys.iter().find(|key| key.name == *name)
        {
            for member in list.iter().filter(|member| is_constant(member)) {
                if matches!(member.kind, ExpressionKind::Literal(Literal::Null)) {
                    return Err(PlanError::new(format!(
                        "Primary key columns can not be NULL: ({name} = null)"
                    )));
                }
                if self.key_value(name, member).is_none() {
                    return Err(PlanError::new(format!(
                        "{} can not be converted to the type of the key column: {} {} KEY",
                        text(member),
                        key.name,
                        key.sql_type
                    )));
                }
            }
        }
        let mut children = filter.children().into_iter();
        children.try_for_each(|child| self.check_keys(child))
    }

    /// What cannot be said of the bounds of windows.
    fn check_bounds(&self, filter: &Expression) -> Result<(), PlanError> {
        for disjunct in alternatives(filter) {
            for bound in BOUNDS {
                let mut seen: Vec<BinaryOperator> = Vec::new();
                for conjunct in &disjunct {
                    let Some(comparison) = self.comparison(conjunct).filter(|found| found.column == bound)
                    else {
                        continue;
                    };
                    let is_lower = |operator| {
                        matches!(operator, BinaryOperator::Greater | BinaryOperator::GreaterOrEqual)
                    };
                    let operator = comparison.operator;
                    if operator == BinaryOperator::NotEqual {
                        return Err(self.unanswerable(&format!("Unsupported `{bound}` bounds: NOT_EQUAL")));
                    }
                    let is_same_side = |other: &BinaryOperator| {
                        *other != BinaryOperator::Equal && is_lower(*other) == is_lower(operator)
                    };
                    if operator != BinaryOperator::Equal && seen.iter().any(is_same_side) {
                        return Err(self.unanswerable(&format!(
                            "Duplicate `{bound}` bounds on: {}",
                            if is_lower(operator) {
                                "GREATER_THAN"
                            } else {
                                "LESS_THAN"
                            }
                        )));
                    }
                    let is_equal = |operator: BinaryOperator| operator == BinaryOperator::Equal;
                    if !seen.is_empty() && (is_equal(operator) || seen.iter().copied().any(is_equal)) {
                        return Err(self.unanswerable(&format!(
                            "`{}` cannot be combined with other `{bound}` bounds",
                            text(conjunct)
                        )));
                    }
                    seen.push(operator);
                }
            }
        }
        Ok(())
    }

    /// Conditions that ksqlDB does not take.
    fn check_supported(&self, filter: &Expression) -> Result<(), PlanError> {
        match &filter.kind {
            ExpressionKind::Binary(left, BinaryOperator::And | BinaryOperator::Or, right) => {
                self.check_supported(left)?;
                self.check_supported(right)
            }
            ExpressionKind::Unary(UnaryOperator::Not, _) | ExpressionKind::IsNull { .. } => Err(self
                .unanswerable(&format!(
                    "Unsupported expression in WHERE clause: {}",
                    text(filter)
                ))),
            _ => Ok(()),
        }
    }

    /// An error with what ksqlDB says about conditions.
    fn unanswerable(&self, message: &str) -> PlanError {
        let bounds = if self.source.window.is_some() {
            "\n - (optionally) limits the time bounds of the windowed table.\n\t Bounds on [`WINDOWSTART`, `WINDOWEND`] are supported\n\t Supported operators are [EQUAL, GREATER_THAN, GREATER_THAN_OR_EQUAL, LESS_THAN, LESS_THAN_OR_EQUAL]"
        } else {
            ""
        };
        PlanError::new(format!(
            "{message}. {HELP}\nPull queries require a WHERE clause that:\n - includes a key equality expression, e.g. `SELECT * FROM X WHERE <key-column> = Y;`.\n - in the case of a multi-column key, is a conjunction of equality expressions that cover all key columns.\n - to support range expressions, e.g.,  SELECT * FROM X WHERE <key-column> < Y;`, range scans need to be enabled by setting ksql.query.pull.range.scan.enabled=true{bounds}\nIf more flexible queries are needed, , table scans can be enabled by setting ksql.query.pull.table.scan.enabled=true."
        ))
    }

    fn access(&self, filter: Option<&Expression>, settings: PullSettings) -> Result<Access, PlanError> {
        let Some(filter) = filter else {
            if !settings.scans {
                return Err(self.unanswerable("Missing WHERE clause"));
            }
            return Ok(self.scan());
        };
        let disjuncts = alternatives(filter);
        let mut keys: Vec<Row> = Vec::new();
        let mut lonely = None;
        for disjunct in &disjuncts {
            match self.key_of(disjunct) {
                Some(key) if !keys.contains(&key) => keys.push(key),
                Some(_) => {}
                None => {
                    lonely.get_or_insert(disjunct);
                }
            }
        }
        let Some(lonely) = lonely else {
            return Ok(Access::Keys(keys));
        };
        if let ([only], true) = (disjuncts.as_slice(), settings.ranges)
            && let Some(range) = self.range_of(only)
        {
            return Ok(range);
        }
        if settings.scans {
            return Ok(self.scan());
        }
        let names_key = lonely.iter().any(|conjunct| {
            self.comparison(conjunct)
                .is_some_and(|comparison| self.is_key(comparison.column))
        });
        if !names_key {
            let texts: Vec<_> = lonely.iter().map(|conjunct| text(conjunct)).collect();
            return Err(self.unanswerable(&format!(
                "WHERE clause missing key column for disjunct: {}",
                texts.join(" AND ")
            )));
        }
        Err(PlanError::new(
            "Query requires table scan to be enabled. Table scans can be enabled by setting ksql.query.pull.table.scan.enabled=true",
        ))
    }

    /// All rows, which of sessions nobody gets.
    fn scan(&self) -> Access {
        match self.source.window {
            Some(SourceWindow::Session) => Access::Nothing,
            _ => Access::Scan,
        }
    }

    /// The key that a conjunction fixes.
    fn key_of(&self, conjuncts: &[&Expression]) -> Option<Row> {
        let value = |key: &&Column| {
            conjuncts.iter().find_map(|conjunct| {
                let comparison = self.comparison(conjunct)?;
                let is_it = comparison.column == key.name && comparison.operator == BinaryOperator::Equal;
                is_it
                    .then(|| self.key_value(&key.name, comparison.value))
                    .flatten()
            })
        };
        self.keys.iter().map(value).collect()
    }

    /// The range of a single key of text or bytes that a conjunction sets.
    fn range_of(&self, conjuncts: &[&Expression]) -> Option<Access> {
        let ([key], None) = (self.keys.as_slice(), self.source.window) else {
            return None;
        };
        if !matches!(key.sql_type, SqlType::String | SqlType::Bytes) {
            return None;
        }
        let (mut lower, mut upper) = (None, None);
        for conjunct in conjuncts {
            let Some(comparison) = self.comparison(conjunct).filter(|found| found.column == key.name) else {
                continue;
            };
            let value = self.key_value(&key.name, comparison.value)?;
            match comparison.operator {
                BinaryOperator::Greater if lower.is_none() => lower = Some((value, false)),
                BinaryOperator::GreaterOrEqual if lower.is_none() => lower = Some((value, true)),
                BinaryOperator::Less if upper.is_none() => upper = Some((value, false)),
                BinaryOperator::LessOrEqual if upper.is_none() => upper = Some((value, true)),
                _ => return None,
            }
        }
        (lower.is_some() || upper.is_some()).then_some(Access::Range(lower, upper))
    }
}
