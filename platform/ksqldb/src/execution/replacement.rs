//! Whether `CREATE OR REPLACE` may take a source's place, and what the source is then.

use super::catalog::{lower, refused};
use super::failure::Refusal;
use crate::metastore::{Source, SourceWindow};
use crate::plan::schema_text;
use crate::serde::Format;
use crate::syntax::ast::SourceKind;
use crate::types::{Column, Namespace, Schema};

/// A source with the columns that a query which takes over adds: so ksqlDB looks at it.
pub(super) fn evolved(existing: &Source, new: &Source) -> Source {
    let mut evolved = existing.clone();
    for column in &new.schema.columns {
        if evolved.schema.position(&column.name).is_none() {
            evolved.schema.columns.push(column.clone());
        }
    }
    evolved
}

/// `OR REPLACE` may add columns at the end and change what does not concern the records that are there.
pub(super) fn check_replaceable(existing: &Source, new: &Source) -> Result<(), Refusal> {
    if existing.read_only {
        let kind = lower(existing.kind);
        return refused(format!(
            "Cannot add {kind} '{}': CREATE OR REPLACE is not supported on source {kind}s.",
            existing.name
        ));
    }
    let mut reasons = Vec::new();
    let mut differs = |what: &str, before: String, after: String, hint: &str| {
        reasons.push(format!(
            "DataSource '`{}`' has {what} = {before} which is not upgradeable to {after}{hint}",
            existing.name
        ));
    };
    if existing.kind != new.kind {
        let java = |kind| match kind {
            SourceKind::Stream => "KSTREAM".to_owned(),
            SourceKind::Table => "KTABLE".to_owned(),
        };
        differs("type", java(existing.kind), java(new.kind), "");
    }
    if topic_text(existing) != topic_text(new) {
        differs("topic", topic_text(existing), topic_text(new), "");
    }
    if existing.timestamp != new.timestamp {
        differs(
            "timestampColumn",
            timestamp_text(existing),
            timestamp_text(new),
            "",
        );
    }
    let changed = |namespace: Namespace| {
        let of = |source: &Source| -> Vec<Column> {
            let columns = source.schema.columns.iter();
            columns
                .filter(|column| column.namespace == namespace)
                .cloned()
                .collect()
        };
        let (before, after) = (of(existing), of(new));
        let kept = |place: usize| after.get(place) == before.get(place);
        let columns = (0..before.len())
            .filter(|place| !kept(*place))
            .map(|place| before[place].clone());
        let columns: Vec<_> = columns.collect();
        // A key takes no further column.
        let is_longer = namespace == Namespace::Key && after.len() > before.len();
        (!columns.is_empty() || is_longer).then(|| schema_text(&Schema { columns }))
    };
    let hint = match (changed(Namespace::Key), changed(Namespace::Value)) {
        (Some(columns), _) => Some(format!(
            ". (Key columns must be identical. The following key columns are changed, missing or reordered: [{columns}])"
        )),
        (None, Some(columns)) => Some(format!(
            ". (The following columns are changed, missing or reordered: [{columns}])"
        )),
        (None, None) => None,
    };
    if let Some(hint) = hint {
        differs(
            "schema",
            schema_text(&existing.schema),
            schema_text(&new.schema),
            &hint,
        );
    }
    if reasons.is_empty() {
        return Ok(());
    }
    refused(format!(
        "Cannot upgrade data source: {}",
        reasons.join("\n\tAND ")
    ))
}

/// A topic with its formats, as ksqlDB's errors have it.
fn topic_text(source: &Source) -> String {
    let format = |format: Format| format!("FormatInfo{{format={format}, properties={{}}}}");
    format!(
        "KsqlTopic{{kafkaTopicName='{}', keyFormat=KeyFormat{{format={}, features=[], window={}}}, valueFormat=ValueFormat{{format={}, features=[]}}}}",
        source.topic,
        format(source.key_format),
        window_text(source),
        format(source.value_format)
    )
}

fn window_text(source: &Source) -> String {
    let info = |window: SourceWindow, size: Option<i64>| {
        let size = size.map_or("Optional.empty".to_owned(), |ms| {
            format!("Optional[PT{}S]", ms as f64 / 1000.0)
        });
        format!("Optional[WindowInfo{{type={}, size={size}}}]", window.name())
    };
    match source.window {
        None => "Optional.empty".to_owned(),
        Some(window @ (SourceWindow::Tumbling { size_ms } | SourceWindow::Hopping { size_ms })) => {
            info(window, Some(size_ms))
        }
        Some(window @ SourceWindow::Session) => info(window, None),
    }
}

fn timestamp_text(source: &Source) -> String {
    match &source.timestamp {
        None => "Optional.empty".to_owned(),
        Some(column) => format!("Optional[TimestampColumn{{column=`{}`}}]", column.column),
    }
}
