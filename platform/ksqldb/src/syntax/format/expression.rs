//! Expressions, with parentheses around every operation.

use std::fmt::{self, Display, Write};

use super::super::ast::{BinaryOperator, Expression, ExpressionKind, Literal, UnaryOperator};
use super::super::token::{Keyword, takes_unit_first};
use super::{List, Name, Quoted, Sql, write_separated};

impl Display for Sql<'_, Expression> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.kind {
            ExpressionKind::Literal(literal) => Sql(literal).fmt(out),
            ExpressionKind::Column { source: None, name } => Name(name).fmt(out),
            ExpressionKind::Column {
                source: Some(source),
                name,
            } => write!(out, "{}.{}", Name(source), Name(name)),
            ExpressionKind::Unary(UnaryOperator::Not, operand) => write!(out, "(NOT {})", Sql(&**operand)),
            ExpressionKind::Unary(UnaryOperator::Minus, operand) => write!(out, "-{}", Primary(operand)),
            ExpressionKind::Unary(UnaryOperator::Plus, operand) => write!(out, "+{}", Primary(operand)),
            ExpressionKind::Binary(left, operator, right) => {
                write!(out, "({} {} {})", Sql(&**left), Sql(operator), Sql(&**right))
            }
            // Parentheses in parentheses could not be read again.
            ExpressionKind::Chain { first, rest } => {
                write!(out, "({}", Sql(&**first))?;
                for (operator, operand) in rest {
                    write!(out, " {} {}", Sql(operator), Sql(operand))?;
                }
                out.write_char(')')
            }
            ExpressionKind::Like {
                value,
                pattern,
                escape,
            } => {
                write!(out, "({} LIKE {}", Sql(&**value), Sql(&**pattern))?;
                if let Some(escape) = escape {
                    write!(out, " ESCAPE {}", Quoted(escape.encode_utf8(&mut [0; 4])))?;
                }
                out.write_char(')')
            }
            ExpressionKind::In { value, list } => write!(out, "({} IN ({}))", Sql(&**value), List(list)),
            ExpressionKind::Between { value, low, high } => {
                let (value, low, high) = (Sql(&**value), Sql(&**low), Sql(&**high));
                write!(out, "({value} BETWEEN {low} AND {high})")
            }
            ExpressionKind::IsNull { value, negated } => {
                let not = if *negated { "NOT " } else { "" };
                write!(out, "({} IS {not}NULL)", Sql(&**value))
            }
            ExpressionKind::Case {
                operand,
                branches,
                otherwise,
            } => {
                out.write_str("(CASE")?;
                if let Some(operand) = operand {
                    write!(out, " {}", Sql(&**operand))?;
                }
                for (condition, result) in branches {
                    write!(out, " WHEN {} THEN {}", Sql(condition), Sql(result))?;
                }
                if let Some(otherwise) = otherwise {
                    write!(out, " ELSE {}", Sql(&**otherwise))?;
                }
                out.write_str(" END)")
            }
            ExpressionKind::Cast { value, target } => {
                write!(out, "CAST({} AS {})", Sql(&**value), Sql(target))
            }
            ExpressionKind::Subscript { base, index } => write!(out, "{}[{}]", Primary(base), Sql(&**index)),
            ExpressionKind::Field { base, field } => write!(out, "{}->{}", Primary(base), Name(field)),
            ExpressionKind::Call { function, arguments } => write_call(out, function, arguments),
            ExpressionKind::Lambda { parameters, body } => {
                out.write_char('(')?;
                write_separated(out, parameters, |out, name| Name(name).fmt(out))?;
                write!(out, ") => {}", Sql(&**body))
            }
            ExpressionKind::Array(elements) => write!(out, "ARRAY[{}]", List(elements)),
            ExpressionKind::Map(entries) => {
                out.write_str("MAP(")?;
                write_separated(out, entries, |out, (key, value)| {
                    write!(out, "{}:={}", Sql(key), Sql(value))
                })?;
                out.write_char(')')
            }
            ExpressionKind::Struct(fields) => {
                out.write_str("STRUCT(")?;
                write_separated(out, fields, |out, (name, value)| {
                    write!(out, "{}:={}", Name(name), Sql(value))
                })?;
                out.write_char(')')
            }
        }
    }
}

fn write_call(out: &mut fmt::Formatter<'_>, function: &str, arguments: &[Expression]) -> fmt::Result {
    write!(out, "{}(", Name(function))?;
    let unit = arguments.first().and_then(|first| match &first.kind {
        ExpressionKind::Literal(Literal::String(unit)) if takes_unit_first(function) => {
            Keyword::of(unit).filter(|keyword| keyword.time_unit().is_some() && keyword.text() == unit)
        }
        _ => None,
    });
    match unit {
        _ if arguments.is_empty() && function == "COUNT" => out.write_char('*')?,
        Some(unit) => {
            out.write_str(unit.text())?;
            for argument in &arguments[1..] {
                write!(out, ", {}", Sql(argument))?;
            }
        }
        None => List(arguments).fmt(out)?,
    }
    out.write_char(')')
}

/// An expression where the grammar asks for one without a bare sign.
struct Primary<'tree>(&'tree Expression);

impl Display for Primary<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = Sql(self.0);
        match &self.0.kind {
            // A sign before a number would become part of it.
            ExpressionKind::Unary(UnaryOperator::Minus | UnaryOperator::Plus, _) => write!(out, "({inner})"),
            ExpressionKind::Literal(
                Literal::Integer(_) | Literal::Bigint(_) | Literal::Decimal(_) | Literal::Double(_),
            ) => write!(out, "({inner})"),
            _ => inner.fmt(out),
        }
    }
}

impl Display for Sql<'_, BinaryOperator> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self.0 {
            BinaryOperator::Or => "OR",
            BinaryOperator::And => "AND",
            BinaryOperator::Equal => "=",
            BinaryOperator::NotEqual => "<>",
            BinaryOperator::Less => "<",
            BinaryOperator::LessOrEqual => "<=",
            BinaryOperator::Greater => ">",
            BinaryOperator::GreaterOrEqual => ">=",
            BinaryOperator::IsDistinctFrom => "IS DISTINCT FROM",
            BinaryOperator::IsNotDistinctFrom => "IS NOT DISTINCT FROM",
            BinaryOperator::Add => "+",
            BinaryOperator::Subtract => "-",
            BinaryOperator::Multiply => "*",
            BinaryOperator::Divide => "/",
            BinaryOperator::Modulo => "%",
        })
    }
}

impl Display for Sql<'_, Literal> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Literal::Null => out.write_str("null"),
            Literal::Boolean(true) => out.write_str("true"),
            Literal::Boolean(false) => out.write_str("false"),
            Literal::Integer(number) => number.fmt(out),
            Literal::Bigint(number) => number.fmt(out),
            // Without a point it would be read as a whole number.
            Literal::Decimal(digits) if !digits.contains('.') => write!(out, "DECIMAL '{digits}'"),
            Literal::Decimal(digits) => out.write_str(digits),
            Literal::Double(number) => write!(out, "{number:E}"),
            Literal::String(text) => Quoted(text).fmt(out),
        }
    }
}
