//! Types, as they stand in a column's definition or a `CAST`.

use super::super::ast::Position;
use super::super::token::TokenKind;
use super::{MAXIMUM_NESTING, Parser, Result};
use crate::types::{SqlType, StructField};

/// A DECIMAL's digits at most, because a value may take that much memory.
const MOST_DIGITS: u32 = 1000;

/// How many parts (arrays, maps, fields and what is in them) the named types of a statement may have.
const MOST_PARTS: usize = 1_000;

impl Parser<'_> {
    pub(super) fn sql_type(&mut self) -> Result<SqlType> {
        let token = *self.peek();
        let quoted = token.kind == TokenKind::Quoted;
        let name = self.identifier()?;
        let primitive = match name.as_str() {
            _ if quoted => None,
            "BOOLEAN" => Some(SqlType::Boolean),
            "INT" | "INTEGER" => Some(SqlType::Integer),
            "BIGINT" => Some(SqlType::Bigint),
            "DOUBLE" => Some(SqlType::Double),
            "STRING" | "VARCHAR" => Some(SqlType::String),
            "BYTES" => Some(SqlType::Bytes),
            "DATE" => Some(SqlType::Date),
            "TIME" => Some(SqlType::Time),
            "TIMESTAMP" => Some(SqlType::Timestamp),
            _ => None,
        };
        if let Some(primitive) = primitive {
            self.skip_type_parameters()?;
            return Ok(primitive);
        }
        match name.as_str() {
            _ if quoted => {}
            "DECIMAL" | "DEC" => return self.decimal(),
            "ARRAY" => {
                return self.in_angle_brackets(|parser| Ok(SqlType::Array(Box::new(parser.sql_type()?))));
            }
            "MAP" => {
                return self.in_angle_brackets(|parser| {
                    let key = parser.sql_type()?;
                    parser.expect(TokenKind::Comma, "','")?;
                    let value = parser.sql_type()?;
                    Ok(SqlType::Map(Box::new(key), Box::new(value)))
                });
            }
            // The lexer takes the brackets of `STRUCT<>` for an operator.
            "STRUCT" if self.accept(TokenKind::NotEqual) => return Ok(SqlType::Struct(Vec::new())),
            "STRUCT" => {
                return self.in_angle_brackets(|parser| {
                    if parser.at(TokenKind::Greater) {
                        return Ok(SqlType::Struct(Vec::new()));
                    }
                    let fields = parser.comma_separated(Self::struct_field)?;
                    SqlType::structure(fields)
                        .map_err(|twice| parser.meaningless(token.position, twice.to_string()))
                });
            }
            _ => {}
        }
        if let Some(named) = self.types.get(&name) {
            return self.named_type(named, token.position);
        }
        Err(self.meaningless(token.position, format!("Cannot resolve unknown type: {name}")))
    }

    /// What a name stands for, as long as that is not out of all proportion: types of types grow fast.
    fn named_type(&mut self, named: &SqlType, position: Position) -> Result<SqlType> {
        let (parts, depth) = named.extent();
        self.type_parts += parts;
        if self.type_parts > MOST_PARTS || self.nesting + depth > MAXIMUM_NESTING {
            return Err(self.meaningless(
                position,
                format!(
                    "the types of the statement have more than {MOST_PARTS} parts or are nested too deeply"
                ),
            ));
        }
        Ok(named.clone())
    }

    /// `(255)` behind a type that has no such thing: people write lengths out of habit, and ksqlDB skips them.
    fn skip_type_parameters(&mut self) -> Result<()> {
        let at_number = matches!(self.peek_after(1).kind, TokenKind::Integer | TokenKind::String);
        if self.at(TokenKind::LeftParenthesis) && at_number {
            self.advance();
            self.comma_separated(|parser| {
                if parser.accept(TokenKind::String) {
                    return Ok(());
                }
                parser.count().map(|_| ())
            })?;
            self.expect(TokenKind::RightParenthesis, "')'")?;
        }
        Ok(())
    }

    fn in_angle_brackets(&mut self, inner: impl FnOnce(&mut Self) -> Result<SqlType>) -> Result<SqlType> {
        self.enter()?;
        self.expect(TokenKind::Less, "'<'")?;
        let sql_type = inner(self)?;
        self.expect(TokenKind::Greater, "'>'")?;
        self.leave();
        Ok(sql_type)
    }

    fn struct_field(&mut self) -> Result<StructField> {
        Ok(StructField {
            name: self.identifier()?,
            sql_type: self.sql_type()?,
        })
    }

    fn decimal(&mut self) -> Result<SqlType> {
        let position = self.peek().position;
        self.expect(TokenKind::LeftParenthesis, "'('")?;
        let precision = self.count()?;
        self.expect(TokenKind::Comma, "','")?;
        let scale = self.count()?;
        self.expect(TokenKind::RightParenthesis, "')'")?;
        let wrong = |rule: &str| {
            self.meaningless(
                position,
                format!("DECIMAL precision must be >= {rule}: DECIMAL({precision},{scale})"),
            )
        };
        match (u32::try_from(precision), u32::try_from(scale)) {
            (Ok(precision), _) if precision > MOST_DIGITS => Err(self.meaningless(
                position,
                format!("DECIMAL has at most {MOST_DIGITS} digits, not {precision}"),
            )),
            (Ok(0), _) => Err(wrong("1")),
            (Ok(precision), Ok(scale)) if scale <= precision => Ok(SqlType::Decimal { precision, scale }),
            _ => Err(wrong("scale")),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::syntax::{format_type, parse_type};

    #[test]
    fn types_read_and_print() {
        for (text, canonical) in [
            ("int", "INTEGER"),
            ("varchar", "STRING"),
            ("decimal( 10 , 2 )", "DECIMAL(10, 2)"),
            (
                "array<map<string, array<int>>>",
                "ARRAY<MAP<STRING, ARRAY<INTEGER>>>",
            ),
            (
                "struct<host string, `pid` bigint, date date>",
                "STRUCT<HOST STRING, `pid` BIGINT, DATE DATE>",
            ),
            ("struct<f0 int, `f0` int>", "STRUCT<F0 INTEGER, `f0` INTEGER>"),
            ("STRUCT<>", "STRUCT<>"),
            ("STRUCT< >", "STRUCT<>"),
            ("varchar(255)", "STRING"),
            ("array<double(16, 6)>", "ARRAY<DOUBLE>"),
        ] {
            assert_eq!(format_type(&parse_type(text).unwrap()), canonical);
        }
    }

    #[test]
    fn what_is_no_type_is_named() {
        for (text, message) in [
            (
                "strng",
                "Failed to prepare statement: Cannot resolve unknown type: STRNG",
            ),
            (
                "struct<f0 boolean, F0 int>",
                "Failed to prepare statement: Duplicate field names found in STRUCT: '`F0` BOOLEAN' and '`F0` INTEGER'",
            ),
            ("array<int", "line 1:10: Syntax Error\nExpecting '>'"),
            ("array<>", "line 1:6: Syntax Error\nExpecting '<'"),
            ("decimal", "line 1:8: Syntax Error\nExpecting '('"),
            (
                "decimal(2, 3)",
                "Failed to prepare statement: DECIMAL precision must be >= scale: DECIMAL(2,3)",
            ),
        ] {
            assert_eq!(parse_type(text).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn deep_types_are_refused() {
        let nest = |depth: usize| format!("{}INT{}", "ARRAY<".repeat(depth), ">".repeat(depth));
        assert!(parse_type(&nest(170)).is_ok());
        let error = parse_type(&nest(100_000)).unwrap_err();
        assert_eq!(error.message, "the statement is nested too deeply");
    }
}
