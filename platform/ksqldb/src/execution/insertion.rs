//! `INSERT INTO … VALUES`, and the rows of a stream of inserts: a record each, written at once.

use std::time::Duration;

use tokio::time::timeout;

use super::catalog::Catalog;
use super::executor::Executor;
use super::failure::{ErrorCode, Failure, Refusal};
use crate::kafka::OutgoingRecord;
use crate::plan;
use crate::syntax::ast::InsertValues;
use crate::task::OutputRecord;

/// How long a record of `INSERT INTO … VALUES` may wait for its acknowledgement.
const INSERT_DEADLINE: Duration = Duration::from_secs(30);

impl Executor {
    pub(super) async fn insert(&self, insertion: &InsertValues) -> Result<(), Failure> {
        let text = without_values(insertion);
        let failed = |refusal: Refusal| refusal.failure(&text);
        let (topic, values) = values_of(&self.catalog(), insertion).map_err(failed)?;
        self.forget_subjects(&values);
        self.prepare_insertion(&values, &insertion.target)
            .await
            .map_err(failed)?;
        let record = values.record().map_err(|error| failed(error.into()))?;
        self.write(&insertion.target, &topic, &record)
            .await
            .map_err(|reason| Failure::of_statement(ErrorCode::ServerError, reason, &text))
    }

    /// The source of that name (quoted where its case matters), if rows can be inserted.
    pub(crate) fn insertable(&self, name: &str) -> Result<String, Failure> {
        let quoted = ['`', '"']
            .into_iter()
            .find_map(|quote| name.strip_prefix(quote)?.strip_suffix(quote));
        let name = quoted.map_or_else(|| name.to_uppercase(), str::to_owned);
        let catalog = self.catalog();
        let source = catalog.metastore.get(&name).ok_or_else(|| {
            let message = format!(
                "Cannot insert values into an unknown stream/table: `{name}`{}",
                catalog.other_case(&name)
            );
            Failure::generic(ErrorCode::BadStatement, message)
        })?;
        plan::check_target(source).map_err(|error| Failure::generic(ErrorCode::BadRequest, error.message))?;
        Ok(name)
    }

    /// Inserts a row of JSON into a source.
    pub(crate) async fn insert_json(&self, target: &str, row: &[u8]) -> Result<(), Failure> {
        let refused = |message| Failure::generic(ErrorCode::BadRequest, message);
        let source = self.catalog().metastore.get(target).cloned();
        let source = source.ok_or_else(|| {
            refused(format!(
                "Cannot insert values into an unknown stream/table: `{target}`"
            ))
        })?;
        let now = osqdemo_clock::unix_ms();
        let values = plan::insert_json(&source, row, now).map_err(|error| refused(error.message))?;
        self.prepare_insertion(&values, target)
            .await
            .map_err(|refusal| refused(refusal.message))?;
        let record = values.record().map_err(|error| refused(error.message))?;
        self.write(target, &source.topic, &record)
            .await
            .map_err(|reason| Failure::generic(ErrorCode::ServerError, reason))
    }

    /// Writes a record of a source, and waits until it is safe.
    pub(super) async fn write(&self, target: &str, topic: &str, record: &OutputRecord) -> Result<(), String> {
        let outgoing = OutgoingRecord {
            topic,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            timestamp: record.timestamp,
            headers: &[],
        };
        let written = timeout(INSERT_DEADLINE, self.runtime.producer().send_and_wait(outgoing)).await;
        let reason = match written {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(reason)) => reason,
            Err(_) => "no acknowledgement in time".to_owned(),
        };
        Err(format!(
            "Failed to insert values into '{target}'. Could not write to topic `{topic}`: {reason}"
        ))
    }
}

/// `INSERT INTO … VALUES` as its errors show it: the values may be anybody's secrets.
pub(super) fn without_values(insertion: &InsertValues) -> String {
    let columns: Vec<_> = insertion.columns.iter().map(|name| format!("`{name}`")).collect();
    let columns = match columns.join(", ") {
        columns if columns.is_empty() => columns,
        columns => format!(" ({columns})"),
    };
    let values = vec!["'[value]'"; insertion.values.len()].join(", ");
    format!("INSERT INTO `{}`{columns} VALUES ({values});", insertion.target)
}

/// The row that `INSERT INTO … VALUES` writes, and its topic.
pub(super) fn values_of(
    catalog: &Catalog,
    insertion: &InsertValues,
) -> Result<(String, plan::Insertion), Refusal> {
    let source = catalog.metastore.get(&insertion.target).ok_or_else(|| {
        let message = format!(
            "Cannot insert values into an unknown stream/table: `{}`{}",
            insertion.target,
            catalog.other_case(&insertion.target)
        );
        Refusal::new(ErrorCode::BadRequest, message)
    })?;
    let now = osqdemo_clock::unix_ms();
    let values = plan::insertion(source, insertion, now)?;
    Ok((source.topic.clone(), values))
}
