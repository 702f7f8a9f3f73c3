//! `confluent_extension_stats`: what the extension does, as a table of osquery with one row.
//!
//! The numbers count since the extension's start; those of what waits are of now. The books say what each means.

use osquery_protocol::ByteString;

use crate::courier::Courier;

/// The table's name.
pub(crate) const TABLE: &str = "confluent_extension_stats";

/// osquery's types of columns.
const BIGINT: &str = "BIGINT";
const TEXT: &str = "TEXT";

/// The row, as name, type and value.
pub(crate) fn row(courier: &Courier) -> Vec<(&'static str, &'static str, String)> {
    let books = courier.books();
    let spool = courier.spool_status();
    let quantile =
        |latency: &crate::outbox::books::Latency, share| latency.quantile(share).unwrap_or_default();
    let number = |name, value: u64| (name, BIGINT, value.to_string());
    vec![
        number("lines", books.lines.get()),
        number("rows", books.rows.get()),
        number("accepted", books.accepted.get()),
        number("not_accepted", books.not_accepted.get()),
        number("delivered", books.delivered.get()),
        number("delivered_bytes", books.delivered_bytes.get()),
        number("dead_lettered", books.dead_lettered.get()),
        number("dropped", books.dropped.get()),
        number("given_up", books.given_up.get()),
        number("damaged", books.damaged.get()),
        number("lost", books.lost.get()),
        number("unroutable", books.unroutable.get()),
        number("waiting", spool.waiting),
        number("waiting_in_memory", spool.in_memory),
        number("waiting_oldest_s", spool.oldest_s),
        number("spool_bytes", spool.bytes),
        number("spool_max_bytes", spool.max_bytes),
        number("answer_p50_us", quantile(&books.answer, 0.5)),
        number("answer_p99_us", quantile(&books.answer, 0.99)),
        number("delivery_p50_us", quantile(&books.delivery, 0.5)),
        number("delivery_p99_us", quantile(&books.delivery, 0.99)),
        ("spool_dir", TEXT, spool.folder),
    ]
}

/// What osqueryd is told of a column when the table is registered.
pub(crate) fn column_route(name: &str, kind: &str) -> [(ByteString, ByteString); 4] {
    [("id", "column"), ("name", name), ("type", kind), ("op", "0")]
        .map(|(name, value)| (name.into(), value.into()))
}
