//! Subscripts, and the constructors of arrays and maps.

use super::super::{Expr, text};
use super::coercion::{adapt, common_type, widen};
use super::{Compiler, Typed, java_class, name_of, processing_error};
use crate::plan::{PlanError, Stage};
use crate::syntax::ast;
use crate::types::SqlType;
use crate::value::Value;

impl Compiler<'_> {
    pub(super) fn subscript(
        &mut self,
        expression: &ast::Expression,
        base: &ast::Expression,
        index: &ast::Expression,
    ) -> Result<Typed, PlanError> {
        let (base, index) = (self.expression(base)?, self.expression(index)?);
        match (&base.sql_type, &index.sql_type) {
            (Some(SqlType::Array(element)), Some(SqlType::Integer | SqlType::Bigint)) => {
                let sql_type = Some((**element).clone());
                Ok(Typed {
                    expr: Expr::Element(Box::new(base.expr), Box::new(index.expr)),
                    sql_type,
                })
            }
            // A key of another type is taken, and found in no map.
            (Some(SqlType::Map(_, value)), _) => {
                let sql_type = Some((**value).clone());
                Ok(Typed {
                    expr: Expr::Entry(Box::new(base.expr), Box::new(index.expr)),
                    sql_type,
                })
            }
            (Some(SqlType::Array(_)), None) => Err(PlanError::internal("an array has no element NULL")),
            (Some(SqlType::Array(_)), index_type) => Err(PlanError::in_stage(
                Stage::Coding,
                format!(
                    "Line 1, Column 160: Cannot cast \"{}\" to \"int\"",
                    java_class(index_type.as_ref())
                ),
            )),
            (other, _) => Err(processing_error(
                expression,
                &format!("Unsupported container type: {}", name_of(other.as_ref())),
            )),
        }
    }

    pub(super) fn array(&mut self, items: &[ast::Expression]) -> Result<Typed, PlanError> {
        if items.is_empty() {
            return Err(PlanError::new(
                "Array constructor cannot be empty. Please supply at least one element (see https://github.com/confluentinc/ksql/issues/4239).",
            ));
        }
        let (items, element) = self.of_one_type(items.iter())?;
        let Some(element) = element else {
            return Err(PlanError::new(
                "Cannot construct an array with all NULL elements (see https://github.com/confluentinc/ksql/issues/4239). As a workaround, you may cast a NULL value to the desired type.",
            ));
        };
        Ok(Typed {
            expr: Expr::Array(items),
            sql_type: Some(SqlType::Array(Box::new(element))),
        })
    }

    pub(super) fn map(&mut self, entries: &[(ast::Expression, ast::Expression)]) -> Result<Typed, PlanError> {
        if entries.is_empty() {
            return Err(PlanError::new(
                "Map constructor cannot be empty. Please supply at least one key value pair (see https://github.com/confluentinc/ksql/issues/4239).",
            ));
        }
        let (keys, key_type) = self.of_one_type(entries.iter().map(|(key, _)| key))?;
        let (values, value_type) = self.of_one_type(entries.iter().map(|(_, value)| value))?;
        let (Some(key_type), Some(value_type)) = (key_type, value_type) else {
            return Err(PlanError::new(
                "Cannot construct a map with all NULL values (see https://github.com/confluentinc/ksql/issues/4239). As a workaround, you may cast a NULL value to the desired type.",
            ));
        };
        if key_type != SqlType::String {
            return Err(PlanError::new(format!(
                "Only MAP types with STRING keys are supported. Got: MAP<{key_type}, {value_type}>"
            )));
        }
        Ok(Typed {
            expr: Expr::Map(keys.into_iter().zip(values).collect()),
            sql_type: Some(SqlType::Map(Box::new(key_type), Box::new(value_type))),
        })
    }

    /// Compiles the values of a list and widens them to one type. Literals become what the first one is.
    pub(super) fn of_one_type<'e>(
        &mut self,
        items: impl Iterator<Item = &'e ast::Expression>,
    ) -> Result<(Vec<Expr>, Option<SqlType>), PlanError> {
        let mut typed_items = Vec::new();
        let mut common = None;
        for item in items {
            let typed = adapt(self.expression(item)?, common.as_ref());
            common = match common_type(common.as_ref(), typed.sql_type.as_ref()) {
                Some(wider) => wider,
                None => {
                    return Err(match (&typed.expr, &typed.sql_type, &common) {
                        (Expr::Constant(Value::String(written)), Some(SqlType::String), Some(wanted)) => {
                            PlanError::new(format!("invalid input syntax for type {wanted}: \"{written}\"."))
                        }
                        _ => PlanError::new(format!(
                            "operator does not exist: {} = {} ({})\n\
                             Hint: You might need to add explicit type casts.",
                            name_of(common.as_ref()),
                            name_of(typed.sql_type.as_ref()),
                            text(item)
                        )),
                    });
                }
            };
            typed_items.push(typed);
        }
        let widened = typed_items.into_iter().map(|item| widen(item, common.as_ref()));
        Ok((widened.collect(), common))
    }
}
