//! A client of the broker: which topics there are, and their records as they arrive.
//!
//! Nothing here joins a group or commits an offset, and only `publisher` produces, to a topic of our own. Must not know
//! what the records mean.

mod decoding;
mod error;
mod groups;
mod history;
mod lag;
mod publisher;
mod record;
mod tail;
mod topic_details;
mod topics;

use rdkafka::ClientConfig;

pub use decoding::Decoder;
pub use error::KafkaError;
pub use groups::{Group, Member, Position, groups};
pub use history::{ends, read_all};
pub use lag::{Committed, GroupLag, lags, positions};
pub use publisher::Publisher;
pub use record::{Record, text_of_bytes};
pub use tail::{Start, Tail};
pub use topic_details::{RECENT, TopicDetails, detail_topics};
pub use topics::{TopicSummary, list_topics, reach};

/// How long one request to the broker may take.
const REQUEST_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// What all our clients have in common.
fn client_config(bootstrap_servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap_servers)
        .set("client.id", "osqdemo")
        // librdkafka asks for a group even where partitions are assigned by hand; it is never joined.
        .set("group.id", "osqdemo-reader")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("allow.auto.create.topics", "false")
        // Should the broker have lost the end of a topic, go on with what is there.
        .set("auto.offset.reset", "earliest")
        // A restarted broker is found again quickly, and a record is handed over the moment it arrives.
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "500")
        .set("fetch.error.backoff.ms", "50")
        .set("fetch.wait.max.ms", "100")
        // Far more than the demo's topics hold in flight, far less than the default of 64 MB a partition.
        .set("queued.max.messages.kbytes", "16384");
    config
}
