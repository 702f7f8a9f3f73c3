//! A statement with its columns qualified and its projection named, as ksqlDB writes it down.

use super::inputs::Inputs;
use super::projection::Names;
use crate::expression::{Scope, compile};
use crate::metastore::Metastore;
use crate::syntax::ast::{Expression, ExpressionKind, Query, SelectItem};
use crate::types::SqlType;

/// The expression with the source before each column that exactly one source has.
pub(super) fn qualified(expression: &Expression, scope: &Scope) -> Expression {
    let mut qualified = expression.clone();
    qualify(&mut qualified, scope, &[]);
    qualified
}

fn qualify(expression: &mut Expression, scope: &Scope, parameters: &[String]) {
    match &mut expression.kind {
        ExpressionKind::Column { source, name } if source.is_none() && !parameters.contains(name) => {
            let mut owners = scope.columns.iter().filter(|column| column.name == *name);
            if let (Some(owner), None) = (owners.next(), owners.next()) {
                source.clone_from(&owner.source);
            }
        }
        ExpressionKind::Lambda {
            parameters: own,
            body,
        } => {
            let all = [parameters, own].concat();
            qualify(body, scope, &all);
        }
        _ => {
            for child in expression.children_mut() {
                qualify(child, scope, parameters);
            }
        }
    }
}

/// The fields that `base->*` stands for; none where it is no struct, which planning tells.
pub(super) fn fields_of(base: &Expression, scope: &Scope) -> Vec<Expression> {
    let fields = match compile(base, scope, "SELECT").map(|typed| typed.sql_type) {
        Ok(Some(SqlType::Struct(fields))) => fields,
        _ => Vec::new(),
    };
    let fields = fields.into_iter().map(|field| Expression {
        kind: ExpressionKind::Field {
            base: Box::new(base.clone()),
            field: field.name,
        },
        position: base.position,
    });
    fields.collect()
}

/// The query with qualified columns and a name for each item of its projection. Where its sources cannot be found it
/// stays as it is: planning says what is wrong.
pub(crate) fn written_out(metastore: &Metastore, query: &Query) -> Query {
    let mut written = query.clone();
    let Ok(inputs) = Inputs::of_names(metastore, query) else {
        return written;
    };
    let mut names = Names::new(query, &inputs);
    let mut used = Vec::new();
    for item in &mut written.select {
        match item {
            SelectItem::Expression { expression, alias } => {
                let name = alias.take().unwrap_or_else(|| {
                    names.named(expression, |name| used.iter().any(|other| other == name))
                });
                used.push(name.clone());
                *alias = Some(name);
                qualify(expression, &inputs.scope, &[]);
            }
            SelectItem::AllFields { base, .. } => {
                for field in fields_of(base, &inputs.scope) {
                    used.push(names.named(&field, |name| used.iter().any(|other| other == name)));
                }
                qualify(base, &inputs.scope, &[]);
            }
            SelectItem::All { .. } => {}
        }
    }
    let clauses = written
        .filter
        .iter_mut()
        .chain(&mut written.group_by)
        .chain(&mut written.partition_by)
        .chain(&mut written.having);
    for clause in clauses {
        qualify(clause, &inputs.scope, &[]);
    }
    for join in &mut written.joins {
        qualify(&mut join.criteria, &inputs.scope, &[]);
    }
    written
}
