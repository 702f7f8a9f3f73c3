//! The aggregate functions: pure functions over a state that is itself a [`Value`].
//!
//! A state can so be kept in any store and come back from a changelog. An aggregate knows nothing of groups,
//! windows or queries: it starts, takes a row's arguments in, takes them out again where that is possible
//! (`undo`, which tables need), joins two states (`merge`, which sessions need), and tells its result.

mod by_offset;
mod distinct;
mod hash_order;
mod lists;
mod numeric;
mod order;
mod resolve;

use crate::types::SqlType;
use crate::value::Value;
pub(crate) use resolve::{Unfit, resolve};

#[cfg(test)]
mod tests;

/// An aggregate with the literals that belong to it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Aggregate {
    /// `COUNT`: of all rows, or of those whose argument is not `NULL`.
    Count,
    CountDistinct,
    /// The type of what is added up.
    Sum(SqlType),
    SumList(SqlType),
    Average(SqlType),
    Minimum,
    Maximum,
    CollectList {
        most: Option<usize>,
    },
    CollectSet {
        most: Option<usize>,
    },
    /// `LATEST_BY_OFFSET` and `EARLIEST_BY_OFFSET`: of one value, or of the `n` last or first.
    ByOffset {
        latest: bool,
        n: Option<usize>,
        ignores_nulls: bool,
    },
    TopK {
        n: usize,
        /// Whether further columns come along, each result a struct.
        is_struct: bool,
    },
    TopKDistinct {
        n: usize,
    },
    Histogram,
    /// `STDDEV_SAMP`, which is the variance, and (`root`) `STDDEV_SAMPLE`.
    Deviation {
        root: bool,
    },
    Correlation,
    Attribute,
}

/// What one row gives to an aggregate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input<'a> {
    /// The arguments that are no literals.
    pub(crate) arguments: &'a [Value],
    /// The row's place in the order of processing.
    pub(crate) sequence: i64,
}

impl Aggregate {
    /// The same, where lists and sets keep so many values at most.
    pub(crate) fn limited(self, list: Option<usize>, set: Option<usize>) -> Self {
        match self {
            Self::CollectList { .. } => Self::CollectList { most: list },
            Self::CollectSet { .. } => Self::CollectSet { most: set },
            other => other,
        }
    }

    /// The state before the first row.
    pub(crate) fn start(&self) -> Value {
        match self {
            Self::Count => Value::Bigint(0),
            Self::CountDistinct => distinct::no_values(),
            Self::Sum(sql_type) | Self::SumList(sql_type) => numeric::zero(sql_type),
            Self::Average(sql_type) => numeric::no_average(sql_type),
            Self::CollectList { .. }
            | Self::CollectSet { .. }
            | Self::TopK { .. }
            | Self::TopKDistinct { .. }
            | Self::Attribute => Value::Array([].into()),
            Self::ByOffset { n: Some(_), .. } => Value::Array([].into()),
            Self::ByOffset { n: None, .. } | Self::Minimum | Self::Maximum => Value::Null,
            Self::Histogram => Value::Map([].into()),
            Self::Deviation { .. } => numeric::no_deviation(),
            Self::Correlation => numeric::no_correlation(),
        }
    }

    /// The state with a row. The error is about the row, and ends the query.
    pub(crate) fn add(&self, state: Value, input: Input<'_>) -> Result<Value, String> {
        let argument = input.arguments.first().unwrap_or(&Value::Null);
        Ok(match self {
            Self::Count if input.arguments.is_empty() || !argument.is_null() => numeric::counted(&state, 1),
            Self::Count => state,
            Self::CountDistinct => distinct::add(state, argument),
            Self::Sum(sql_type) => numeric::plus(&state, argument, sql_type)?,
            Self::SumList(sql_type) => numeric::plus_all(state, argument, sql_type)?,
            Self::Average(sql_type) => numeric::average_with(&state, argument, sql_type, 1)?,
            Self::Minimum => order::lesser(state, argument),
            Self::Maximum => order::greater(state, argument),
            Self::CollectList { most } => lists::append(state, argument, *most),
            Self::CollectSet { most } => lists::append_new(state, argument, *most),
            Self::ByOffset {
                latest,
                n,
                ignores_nulls,
            } => {
                if argument.is_null() && *ignores_nulls {
                    return Ok(state);
                }
                by_offset::add(state, argument, input.sequence, *latest, *n)
            }
            Self::TopK { n, is_struct } => lists::rank(state, input.arguments, *n, *is_struct),
            Self::TopKDistinct { n } => lists::rank_distinct(state, argument, *n),
            Self::Histogram => distinct::count_key(state, argument, 1),
            Self::Deviation { .. } => numeric::deviation_with(&state, argument),
            Self::Correlation => numeric::correlation_with(&state, input.arguments, 1.0),
            Self::Attribute => distinct::count_value(state, argument, 1),
        })
    }

    /// Whether a row can be taken out again.
    pub(crate) fn can_undo(&self) -> bool {
        matches!(
            self,
            Self::Count
                | Self::Sum(_)
                | Self::SumList(_)
                | Self::Average(_)
                | Self::CollectList { .. }
                | Self::Histogram
                | Self::Deviation { .. }
                | Self::Correlation
                | Self::Attribute
        )
    }

    /// The state without a row that was added before. Those that cannot stay as they are.
    pub(crate) fn undo(&self, state: Value, input: Input<'_>) -> Result<Value, String> {
        let argument = input.arguments.first().unwrap_or(&Value::Null);
        Ok(match self {
            Self::Count if input.arguments.is_empty() || !argument.is_null() => numeric::counted(&state, -1),
            Self::Sum(sql_type) => numeric::minus(&state, argument, sql_type)?,
            Self::SumList(sql_type) => numeric::minus_all(state, argument, sql_type)?,
            Self::Average(sql_type) => numeric::average_with(&state, argument, sql_type, -1)?,
            Self::CollectList { .. } => lists::without_last(state, argument),
            Self::Histogram => distinct::count_key(state, argument, -1),
            Self::Deviation { .. } => numeric::deviation_without(&state, argument),
            Self::Correlation => numeric::correlation_with(&state, input.arguments, -1.0),
            Self::Attribute => distinct::count_value(state, argument, -1),
            _ => state,
        })
    }

    /// Two states as one; the rows of `left` come before those of `right`.
    pub(crate) fn merge(&self, left: Value, right: Value) -> Result<Value, String> {
        Ok(match self {
            Self::Count => numeric::counted(&left, numeric::whole(&right)),
            Self::CountDistinct => distinct::union(left, right),
            Self::Sum(sql_type) | Self::SumList(sql_type) => numeric::plus(&left, &right, sql_type)?,
            Self::Average(sql_type) => numeric::averages(&left, &right, sql_type)?,
            Self::Minimum => order::lesser(left, &right),
            Self::Maximum => order::greater(left, &right),
            Self::CollectList { most } => {
                lists::each(left, &right, |list, item| lists::append(list, item, *most))
            }
            Self::CollectSet { most } => {
                lists::each(left, &right, |list, item| lists::append_new(list, item, *most))
            }
            Self::ByOffset { latest, n, .. } => by_offset::merge(left, &right, *latest, *n),
            Self::TopK { n, is_struct } => lists::each(left, &right, |list, item| match item {
                Value::Struct(fields) if *is_struct => lists::rank(list, fields, *n, true),
                item => lists::rank(list, std::slice::from_ref(item), *n, false),
            }),
            Self::TopKDistinct { n } => {
                lists::each(left, &right, |list, item| lists::rank_distinct(list, item, *n))
            }
            Self::Histogram => distinct::merge_keys(left, &right),
            Self::Deviation { .. } => numeric::deviations(&left, &right),
            Self::Correlation => numeric::correlations(&left, &right),
            Self::Attribute => distinct::merge_values(left, &right),
        })
    }

    /// What the state amounts to.
    pub(crate) fn result(&self, state: &Value) -> Value {
        match self {
            Self::CountDistinct => distinct::estimate(state),
            Self::Average(_) => numeric::average(state),
            Self::ByOffset { n, .. } => by_offset::result(state, *n),
            Self::Deviation { root } => numeric::deviation(state, *root),
            Self::Correlation => numeric::correlation(state),
            Self::Attribute => distinct::only_value(state),
            _ => state.clone(),
        }
    }

    /// The highest place in the order of processing that the state remembers.
    pub(crate) fn sequence(&self, state: &Value) -> Option<i64> {
        match self {
            Self::ByOffset { .. } => by_offset::sequence(state),
            _ => None,
        }
    }

    /// Whether its state holds what a format of flat values cannot.
    pub(crate) fn has_nested_state(&self) -> bool {
        !matches!(
            self,
            Self::Count | Self::Sum(_) | Self::SumList(_) | Self::Minimum | Self::Maximum
        )
    }
}
