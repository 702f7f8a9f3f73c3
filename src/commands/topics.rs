//! `osqdemo topics`: lists the topics of the broker.

use serde_json::json;

use crate::commands::Context;
use crate::error::Result;
use crate::events::SCHEMA_VERSION;
use crate::kafka::list_topics;
use crate::report::table::{output_width, table};

/// Fails when the stack is not running or the broker does not answer.
pub(super) async fn run(context: Context) -> Result<()> {
    let broker = context.cluster().await?;
    let topics = tokio::select! {
        topics = list_topics(&broker) => topics?,
        () = context.shutdown.token().cancelled() => return Err(context.shutdown.interrupted().into()),
    };
    let document = json!({ "schema_version": SCHEMA_VERSION, "topics": topics });
    context.reporter.data(&document, || {
        let rows: Vec<Vec<String>> = topics
            .iter()
            .map(|topic| {
                vec![
                    topic.name.clone(),
                    topic.partitions.to_string(),
                    topic.records.to_string(),
                ]
            })
            .collect();
        table(&["TOPIC", "PARTITIONS", "RECORDS"], &rows, output_width())
    })
}
