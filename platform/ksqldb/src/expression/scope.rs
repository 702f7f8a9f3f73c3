//! The columns an expression may name.

use crate::plan::PlanError;
use crate::syntax::ast::Position;
use crate::types::SqlType;

/// A column that an expression may name. Its index in the scope is its place in the row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ScopeColumn {
    /// The alias of the source it comes from; `None` for a synthetic key.
    pub(crate) source: Option<String>,
    /// Its name.
    pub(crate) name: String,
    /// Its type.
    pub(crate) sql_type: SqlType,
    /// Whether it is (a part of) its source's key.
    pub(crate) is_key: bool,
}

/// The columns an expression may name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    /// In the order of the row.
    pub(crate) columns: Vec<ScopeColumn>,
}

impl Scope {
    /// The columns as ksqlDB's errors of generated code list them: the keys stand at their place and, as columns of
    /// the value, once more at the end. Of several sources the names are qualified.
    pub(crate) fn schema_text(&self) -> String {
        let mut sources: Vec<_> = self.columns.iter().map(|column| &column.source).collect();
        sources.dedup();
        let name = |column: &ScopeColumn| match &column.source {
            Some(source) if sources.len() > 1 => format!("{source}_{}", column.name),
            _ => column.name.clone(),
        };
        let all = self.columns.iter().map(|column| {
            let key = if column.is_key { " KEY" } else { "" };
            format!("`{}` {}{key}", name(column), column.sql_type)
        });
        let keys = self.columns.iter().filter(|column| column.is_key);
        let keys = keys.map(|column| format!("`{}` {}", name(column), column.sql_type));
        all.chain(keys).collect::<Vec<_>>().join(", ")
    }

    /// The place of a column. `clause` is where it is named, such as `SELECT`.
    pub(crate) fn resolve(
        &self,
        clause: &str,
        source: Option<&str>,
        name: &str,
        position: Position,
    ) -> Result<usize, PlanError> {
        let mut matches = self.columns.iter().enumerate().filter(|(_, column)| {
            column.name == name && (source.is_none() || column.source.as_deref() == source)
        });
        let qualified = match source {
            Some(source) => format!("{source}.{name}"),
            None => name.to_owned(),
        };
        let Some((index, first)) = matches.next() else {
            let message = format!("{clause} column '{qualified}' cannot be resolved.");
            return Err(PlanError::at(position, message));
        };
        let others: Vec<_> = matches.map(|(_, column)| column).collect();
        if others.is_empty() {
            return Ok(index);
        }
        let candidates: Vec<String> = std::iter::once(first)
            .chain(others)
            .map(|column| match &column.source {
                Some(source) => format!("{source}.{name}"),
                None => name.to_owned(),
            })
            .collect();
        Err(PlanError::at(
            position,
            format!(
                "Column '{name}' is ambiguous. Could be {}.",
                candidates.join(" or ")
            ),
        ))
    }
}
