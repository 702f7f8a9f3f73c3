//! What is decided about custom types, and about columns that are added.

use std::sync::Arc;

use super::catalog::{Catalog, Change, Circumstances, Decision, capitalised, change, lower, refused};
use super::failure::Refusal;
use crate::plan;
use crate::queries::QueryOrigin;
use crate::syntax::ast::{ColumnDefinition, SourceKind};
use crate::types::SqlType;

impl Catalog {
    /// `CREATE TYPE`
    pub(super) fn decide_create_type(
        &self,
        name: &str,
        if_not_exists: bool,
        sql_type: &SqlType,
    ) -> Result<Decision, Refusal> {
        let command_id = format!("type/{name}/create");
        if let Some(existing) = self.types.get(name) {
            if !if_not_exists {
                return refused(format!(
                    "Cannot register custom type '{name}' since it is already registered with type: {existing}"
                ));
            }
            return Ok(change(Change {
                command_id,
                message: format!("{name} is already registered with type {existing}"),
                ..Change::default()
            }));
        }
        Ok(change(Change {
            command_id,
            message: format!("Registered custom type with name '{name}' and SQL type {sql_type}"),
            put_type: Some((name.to_owned(), sql_type.clone())),
            ..Change::default()
        }))
    }

    /// `DROP TYPE`
    pub(super) fn decide_drop_type(&self, name: &str, if_exists: bool) -> Result<Decision, Refusal> {
        let is_there = self.types.contains_key(name);
        if !is_there && !if_exists {
            return refused(format!("Type {name} does not exist."));
        }
        let message = if is_there {
            format!("Dropped type '{name}'")
        } else {
            format!("Type '{name}' does not exist")
        };
        Ok(change(Change {
            command_id: format!("type/{name}/drop"),
            message,
            remove_type: Some(name.to_owned()),
            ..Change::default()
        }))
    }

    /// `ALTER STREAM|TABLE`. The queries that read the source go on as they are.
    pub(super) fn decide_alter(
        &self,
        kind: SourceKind,
        name: &str,
        columns: &[ColumnDefinition],
        circumstances: Circumstances<'_>,
    ) -> Result<Decision, Refusal> {
        let Some(source) = self.metastore.get(name) else {
            return refused(format!("Source {name} does not exist."));
        };
        if source.kind != kind {
            return refused(format!(
                "Incompatible data source type is {}, but statement was ALTER {}",
                lower(source.kind).to_uppercase(),
                lower(kind).to_uppercase()
            ));
        }
        let is_made = |origin: QueryOrigin| origin == QueryOrigin::CreateAs;
        if self
            .queries
            .values()
            .any(|query| is_made(query.origin) && query.writes(name))
        {
            return refused("ALTER command is not supported for CREATE ... AS statements.".to_owned());
        }
        if source.read_only {
            let kind = lower(kind);
            return refused(format!(
                "Cannot alter {kind} '{name}': ALTER operations are not supported on source {kind}s."
            ));
        }
        let altered = plan::alter_source(source, columns, circumstances.text)?;
        Ok(change(Change {
            command_id: format!("{}/{name}/alter", lower(kind)),
            message: format!("{} {name} altered.", capitalised(kind)),
            put: Some(Arc::new(altered)),
            alters: true,
            ..Change::default()
        }))
    }
}
