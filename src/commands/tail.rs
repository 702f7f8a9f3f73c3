//! `osqdemo tail`: prints the records of a topic as they arrive.

use crate::cli::TailArgs;
use crate::commands::Context;
use crate::commands::server_watch::ServerWatch;
use crate::engine::loss::Reliance;
use crate::error::Result;
use crate::kafka::{Decoder, Record, Start, Tail, text_of_bytes};
use crate::report::printable::printable;
use crate::stack::Role;

/// Fails when the stack is not running, or the broker does not have the topic.
pub(super) async fn run(context: Context, arguments: TailArgs) -> Result<()> {
    let broker = context.cluster().await?;
    // Without a registry, records are shown as they are.
    let registry = context.registry().await.ok();
    let decoder = registry
        .as_ref()
        .filter(|_| !arguments.raw)
        .and_then(Decoder::new);
    let start = if arguments.from_beginning {
        Start::Beginning
    } else {
        Start::End
    };
    // A signal is how a tail without an end is ended: no error, and the exit code tells of it.
    let cancel = context.shutdown.token();
    let topics = [arguments.topic.as_str()];
    let tail = tokio::select! {
        tail = Tail::open(&broker, &topics, start) => tail?.decoded_by(decoder),
        () = cancel.cancelled() => return Ok(()),
    };
    let watch = ServerWatch::begin(&context, Role::Broker, Reliance::ComesAgain).await?;
    let printing = async {
        let mut left = arguments.records.unwrap_or(u64::MAX);
        while left > 0 {
            let record = tokio::select! {
                record = tail.next() => record?,
                () = cancel.cancelled() => return Ok(()),
            };
            context.reporter.data(&record.as_json(), || line(&record))?;
            left -= 1;
        }
        Ok(())
    };
    watch.over(printing).await
}

/// A record on one line: time, key, value.
fn line(record: &Record) -> String {
    let text = |bytes: &Option<Vec<u8>>| match bytes {
        Some(bytes) => printable(&text_of_bytes(bytes)),
        None => "null".to_owned(),
    };
    format!(
        "{}  {}  {}",
        record.timestamp().unwrap_or_else(|| "-".to_owned()),
        text(&record.key),
        text(&record.value)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_harmless_line() {
        let record = Record {
            topic: "t".to_owned(),
            partition: 0,
            offset: 0,
            timestamp_ms: Some(0),
            key: None,
            value: Some(b"a\nb\x1b[2J\xff".to_vec()),
            headers: Vec::new(),
        };
        insta::assert_snapshot!(line(&record), @r"1970-01-01T00:00:00.000Z  null  a\nb\u{1b}[2J\xff");
    }
}
