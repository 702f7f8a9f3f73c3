//! `osqdemo topics`: lists the topics of the broker; with `--details` also how large they are and what comes in.

use serde_json::json;

use crate::cli::TopicsArgs;
use crate::commands::Context;
use crate::error::Result;
use crate::events::SCHEMA_VERSION;
use crate::kafka::{RECENT, TopicDetails, detail_topics, list_topics};
use crate::report::output_size::output_width;
use crate::report::table::table;
use crate::scenario::error::bytes;

/// Fails when the stack is not running or the broker does not answer.
pub(super) async fn run(context: Context, arguments: &TopicsArgs) -> Result<()> {
    if arguments.details {
        return details(context).await;
    }
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
        table(&["TOPIC", "PARTITIONS", "RECORDS KEPT"], &rows, output_width())
    })
}

async fn details(context: Context) -> Result<()> {
    let broker = context.cluster().await?;
    let topics = tokio::select! {
        topics = detail_topics(&broker) => topics?,
        () = context.shutdown.token().cancelled() => return Err(context.shutdown.interrupted().into()),
    };
    let document = json!({ "schema_version": SCHEMA_VERSION, "topics": topics });
    context.reporter.data(&document, || {
        let rows: Vec<Vec<String>> = topics.iter().map(row).collect();
        let headers = ["TOPIC", "PARTITIONS", "RECORDS KEPT", "SIZE", "RECORDS/S"];
        table(&headers, &rows, output_width())
    })
}

fn row(topic: &TopicDetails) -> Vec<String> {
    let rate = topic.records_of_last_minute as f64 / RECENT.as_secs_f64();
    vec![
        topic.summary.name.clone(),
        topic.summary.partitions.to_string(),
        topic.summary.records.to_string(),
        bytes(topic.size_bytes),
        format!("{rate:.1}"),
    ]
}
