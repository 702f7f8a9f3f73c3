//! Where rows come from, and where they go.

use super::super::PlanError;
use super::super::demand::Layout;
use super::super::inputs::{Input, Inputs};
use super::super::pipeline::{Destination, Scan, Side, Windows};
use super::super::projection::Item;
use super::super::registered::{decoders, encoders};
use super::super::sink::Sink;
use super::super::timestamps::TimeReading;
use crate::expression::{Descend, Expr};
use crate::metastore::Source;
use crate::serde::{DecoderColumn, Wrapping};
use crate::syntax::ast::SourceKind;
use crate::types::Namespace;

pub(super) fn scan(index: usize, input: &Input, layout: &Layout) -> Result<Scan, PlanError> {
    let source = &input.source;
    let declared = source.schema.columns.len();
    let target = |place: usize| layout.local(index, input.first + place);
    let columns = |namespace: Namespace| -> Vec<DecoderColumn> {
        let places = source.schema.columns.iter().enumerate();
        places
            .filter(|(_, column)| column.namespace == namespace)
            .map(|(place, column)| DecoderColumn {
                name: column.name.clone(),
                sql_type: column.sql_type.clone(),
                target: target(place),
            })
            .collect()
    };
    let header_places =
        (0..declared).filter(|place| source.schema.columns[*place].namespace == Namespace::Headers);
    let headers = header_places
        .zip(&source.headers)
        .filter_map(|(place, header)| Some((target(place)?.0, header.clone())))
        .collect();
    let time = match &source.timestamp {
        None => None,
        Some(column) => source
            .schema
            .position(&column.column)
            .and_then(target)
            .map(|(place, _)| Ok::<_, PlanError>((place, TimeReading::of(column)?)))
            .transpose()?,
    };
    let width = (0..input.width())
        .filter_map(target)
        .map(|(_, demand)| demand.places())
        .sum();
    let pseudo = [0, 1, 2, 3, 4].map(|offset| {
        let place = declared + offset;
        (place < input.width())
            .then(|| target(place).map(|(place, _)| place))
            .flatten()
    });
    let (key, value) = decoders(source, columns);
    Ok(Scan {
        topic: source.topic.clone(),
        is_table: source.kind == SourceKind::Table,
        step: index.saturating_sub(1),
        side: if index == 0 { Side::Left } else { Side::Right },
        window: source.window,
        width,
        key,
        value,
        headers,
        time,
        pseudo,
    })
}

/// A single key column stands by itself, a single value column only where the source says so.
pub(in super::super) fn wrappings(source: &Source) -> (Wrapping, Wrapping) {
    let value = if source.wrap_single_value {
        Wrapping::Wrapped
    } else {
        Wrapping::Unwrapped
    };
    (source.key_format.key_wrapping(), value)
}

pub(super) fn destination(sink: &Sink, windows: Windows) -> Result<Destination, PlanError> {
    let source = &sink.source;
    let (key, value) = encoders(source, &sink.schema);
    let time = match &source.timestamp {
        None => None,
        Some(column) => sink
            .schema
            .position(&column.column)
            .map(|place| Ok::<_, PlanError>((place, TimeReading::of(column)?)))
            .transpose()?,
    };
    Ok(Destination::Records {
        key_columns: sink.schema.key().count(),
        key,
        value,
        time,
        windows,
    })
}

/// Which output columns cannot be computed of a record's key alone, where a query partitions by them.
pub(super) fn value_only(partitions: bool, items: &[Item], order: &[usize], inputs: &Inputs) -> Vec<bool> {
    let items = order.iter().map(|item| &items[*item].expr);
    items
        .map(|expr| partitions && inputs.joins.is_empty() && !names_keys_only(expr, inputs))
        .collect()
}

/// Whether an expression can be computed of a record's key alone.
fn names_keys_only(expr: &Expr, inputs: &Inputs) -> bool {
    let mut only_keys = true;
    expr.clone().walk(&mut |part| {
        if let Expr::Column(place) = part {
            only_keys &= inputs.inputs.iter().any(|input| {
                let column = place.checked_sub(input.first);
                let column = column.and_then(|column| input.source.schema.columns.get(column));
                column.is_some_and(|column| column.namespace == Namespace::Key)
            });
        }
        Descend::Yes
    });
    only_keys
}
