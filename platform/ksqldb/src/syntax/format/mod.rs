//! Tree to canonical text, as ksqlDB's `statementText` shows it.
//!
//! Keywords are upper case, names are quoted where they would not read back as themselves, operations
//! stand in parentheses. What [`super::parse`] accepted reads back to the same tree.

mod expression;
mod query;
mod statement;

use std::fmt::{self, Display, Write};

use super::ast::{Expression, Statement};
use super::lexer::{is_word_part, is_word_start};
use super::token::Keyword;
use crate::types::SqlType;

/// The statement's canonical text, with its `;`.
pub fn format_statement(statement: &Statement) -> String {
    format!("{};", Sql(statement))
}

/// The expression's canonical text.
pub fn format_expression(expression: &Expression) -> String {
    Sql(expression).to_string()
}

/// The type's text, with its fields' names quoted.
pub fn format_type(sql_type: &SqlType) -> String {
    Sql(sql_type).to_string()
}

/// The name, quoted where it would not read back as itself.
pub fn format_identifier(name: &str) -> String {
    Name(name).to_string()
}

/// Shows a part of the tree as SQL.
struct Sql<'tree, T>(&'tree T);

/// A name, quoted where needed.
struct Name<'tree>(&'tree str);

/// A text in single quotes.
struct Quoted<'tree>(&'tree str);

/// Things between commas.
struct List<'tree, T>(&'tree [T]);

impl Display for Name<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0;
        let plain = name.starts_with(is_word_start)
            && name
                .chars()
                .all(|character| is_word_part(character) && !character.is_ascii_lowercase())
            && Keyword::of(name).is_none_or(Keyword::may_stand_unquoted);
        if plain {
            out.write_str(name)
        } else {
            write!(out, "`{}`", name.replace('`', "``"))
        }
    }
}

/// A name that keeps its case unquoted, such as a query's id.
fn write_as_written(out: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    let upper = name.to_ascii_uppercase();
    if Name(&upper).to_string() == upper {
        out.write_str(name)
    } else {
        write!(out, "`{}`", name.replace('`', "``"))
    }
}

impl Display for Quoted<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "'{}'", self.0.replace('\'', "''"))
    }
}

impl<'tree, T> Display for List<'tree, T>
where
    Sql<'tree, T>: Display,
{
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_separated(out, self.0, |out, item| Sql(item).fmt(out))
    }
}

fn write_separated<'tree, 'out, T>(
    out: &mut fmt::Formatter<'out>,
    items: &'tree [T],
    mut write: impl FnMut(&mut fmt::Formatter<'out>, &'tree T) -> fmt::Result,
) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.write_str(", ")?;
        }
        write(out, item)?;
    }
    Ok(())
}

impl Display for Sql<'_, SqlType> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            SqlType::Array(element) => write!(out, "ARRAY<{}>", Sql(&**element)),
            SqlType::Map(key, value) => write!(out, "MAP<{}, {}>", Sql(&**key), Sql(&**value)),
            SqlType::Struct(fields) => {
                out.write_str("STRUCT<")?;
                write_separated(out, fields, |out, field| {
                    write!(out, "{} {}", Name(&field.name), Sql(&field.sql_type))
                })?;
                out.write_char('>')
            }
            primitive => primitive.fmt(out),
        }
    }
}
