//! Which aggregate a call is, by its name, its types and its literals.

use super::{Aggregate, order};
use crate::types::{SqlType, StructField};
use crate::value::Value;

/// Why a call of an aggregate function has no meaning.
#[derive(Debug)]
pub(crate) enum Unfit {
    /// No form of it takes such arguments.
    Types,
    /// An argument has to be a literal: its number, from 1.
    Literal(usize),
    /// A literal is none of those it may be.
    Factory,
}

/// An aggregate with how many of its arguments are columns, and its result's type.
#[derive(Debug, Clone)]
pub(crate) struct Resolved {
    pub(crate) aggregate: Aggregate,
    pub(crate) columns: usize,
    pub(crate) sql_type: SqlType,
}

/// The function of that name over arguments of these types; `literals` has the values of those that are literals.
pub(crate) fn resolve(
    name: &str,
    types: &[Option<SqlType>],
    literals: &[Option<Value>],
) -> Result<Resolved, Unfit> {
    let first = types.first().cloned().flatten();
    let is_number =
        |sql_type: &SqlType| matches!(sql_type, SqlType::Integer | SqlType::Bigint | SqlType::Double);
    let resolved = |aggregate, columns, sql_type| {
        Ok(Resolved {
            aggregate,
            columns,
            sql_type,
        })
    };
    match (name, first, types.len()) {
        ("COUNT", _, 0 | 1) => resolved(Aggregate::Count, types.len(), SqlType::Bigint),
        ("COUNT_DISTINCT", Some(_), 1) => resolved(Aggregate::CountDistinct, 1, SqlType::Bigint),
        ("SUM", Some(sql_type), 1) if is_number(&sql_type) || matches!(sql_type, SqlType::Decimal { .. }) => {
            resolved(Aggregate::Sum(sql_type.clone()), 1, sql_type)
        }
        ("SUM_LIST", Some(SqlType::Array(element)), 1) if is_number(&element) => {
            resolved(Aggregate::SumList((*element).clone()), 1, *element)
        }
        ("AVG", Some(sql_type), 1) if is_number(&sql_type) => {
            resolved(Aggregate::Average(sql_type), 1, SqlType::Double)
        }
        ("MIN" | "MAX", Some(sql_type), 1)
            if order::is_ordered(&sql_type) && sql_type != SqlType::Boolean =>
        {
            let aggregate = if name == "MIN" {
                Aggregate::Minimum
            } else {
                Aggregate::Maximum
            };
            resolved(aggregate, 1, sql_type)
        }
        ("COLLECT_LIST", Some(sql_type), 1) => resolved(
            Aggregate::CollectList { most: None },
            1,
            SqlType::Array(Box::new(sql_type)),
        ),
        ("COLLECT_SET", Some(sql_type), 1) => resolved(
            Aggregate::CollectSet { most: None },
            1,
            SqlType::Array(Box::new(sql_type)),
        ),
        ("LATEST_BY_OFFSET" | "EARLIEST_BY_OFFSET", Some(sql_type), 1..=3) => {
            let latest = name == "LATEST_BY_OFFSET";
            by_offset(latest, sql_type, &types[1..], &literals[1..])
        }
        ("TOPK", Some(sql_type), 2..) if order::is_ordered(&sql_type) && sql_type != SqlType::Boolean => {
            topk(sql_type, types, literals)
        }
        ("TOPKDISTINCT", Some(sql_type), 2)
            if order::is_ordered(&sql_type) && sql_type != SqlType::Boolean =>
        {
            let n = count(types, literals, 1)?;
            let list = SqlType::Array(Box::new(sql_type));
            resolved(Aggregate::TopKDistinct { n }, 1, list)
        }
        ("HISTOGRAM", Some(SqlType::String), 1) => resolved(
            Aggregate::Histogram,
            1,
            SqlType::Map(Box::new(SqlType::String), Box::new(SqlType::Bigint)),
        ),
        ("STDDEV_SAMP" | "STDDEV_SAMPLE", Some(sql_type), 1) if is_number(&sql_type) => resolved(
            Aggregate::Deviation {
                root: name == "STDDEV_SAMPLE",
            },
            1,
            SqlType::Double,
        ),
        ("CORRELATION", Some(sql_type), 2)
            if is_number(&sql_type) && types[1].as_ref() == Some(&sql_type) =>
        {
            resolved(Aggregate::Correlation, 2, SqlType::Double)
        }
        ("ATTR", Some(sql_type), 1) => resolved(Aggregate::Attribute, 1, sql_type),
        _ => Err(Unfit::Types),
    }
}

/// `…_BY_OFFSET(x [, n] [, ignoreNulls])`
pub(super) fn by_offset(
    latest: bool,
    sql_type: SqlType,
    types: &[Option<SqlType>],
    literals: &[Option<Value>],
) -> Result<Resolved, Unfit> {
    let (mut n, mut ignores_nulls) = (None, true);
    for (place, (sql_type, literal)) in types.iter().zip(literals).enumerate() {
        match (place, sql_type, literal) {
            (_, Some(SqlType::Integer | SqlType::Boolean), None) => return Err(Unfit::Literal(place + 2)),
            (0, _, Some(Value::Integer(number))) => {
                n = Some(
                    usize::try_from(*number)
                        .ok()
                        .filter(|n| *n > 0)
                        .ok_or(Unfit::Factory)?,
                );
            }
            (_, _, Some(Value::Boolean(flag))) if place + 1 == types.len() => ignores_nulls = *flag,
            _ => return Err(Unfit::Types),
        }
    }
    Ok(Resolved {
        aggregate: Aggregate::ByOffset {
            latest,
            n,
            ignores_nulls,
        },
        columns: 1,
        sql_type: match n {
            Some(_) => SqlType::Array(Box::new(sql_type)),
            None => sql_type,
        },
    })
}

/// `TOPK(x, n)` or `TOPK(x, column, …, n)`
fn topk(sql_type: SqlType, types: &[Option<SqlType>], literals: &[Option<Value>]) -> Result<Resolved, Unfit> {
    let columns = types.len() - 1;
    let n = count(types, literals, columns)?;
    let is_struct = columns > 1;
    let element = if is_struct {
        let mut fields = vec![StructField {
            name: "sort_col".to_owned(),
            sql_type,
        }];
        for (place, other) in types[1..columns].iter().enumerate() {
            fields.push(StructField {
                name: format!("col{place}"),
                sql_type: other.clone().ok_or(Unfit::Types)?,
            });
        }
        SqlType::Struct(fields)
    } else {
        sql_type
    };
    Ok(Resolved {
        aggregate: Aggregate::TopK { n, is_struct },
        columns,
        sql_type: SqlType::Array(Box::new(element)),
    })
}

/// The literal at a place, a number above 0.
fn count(types: &[Option<SqlType>], literals: &[Option<Value>], place: usize) -> Result<usize, Unfit> {
    match (&types[place], &literals[place]) {
        (_, Some(Value::Integer(number))) => usize::try_from(*number)
            .ok()
            .filter(|n| *n > 0)
            .ok_or(Unfit::Factory),
        (Some(SqlType::Integer), None) => Err(Unfit::Literal(place + 1)),
        _ => Err(Unfit::Types),
    }
}
