//! A client of the broker: which topics there are, and their records as they arrive.
//!
//! Nothing here joins a group or commits an offset, and only `publisher` produces, to a topic of our own. Must not know
//! what the records mean.

mod access;
mod decoding;
mod error;
mod groups;
mod history;
mod lag;
mod publisher;
mod record;
mod removal;
mod rights;
mod scram_users;
mod tail;
mod topic_details;
mod topics;

use std::path::Path;

use rdkafka::ClientConfig;
use rdkafka::consumer::BaseConsumer;

use crate::client_properties::ClientPropertiesError;
use crate::stack::{Cluster, Properties};

pub use decoding::{Decoder, registry_settings};
pub use error::KafkaError;
pub use groups::{Group, Member, Position, groups};
pub use history::{ends, read_all};
pub use lag::{Committed, GroupLag, lags, positions};
pub use publisher::Publisher;
pub use record::{Record, text_of_bytes};
pub use removal::{Inventory, NotRemoved, inventory, remove};
pub use rights::{Refusal, may_make_topics, unreadable};
pub use scram_users::{forget_scram_user, put_scram_user, scram_users};
pub use tail::{Start, Tail};
pub use topic_details::{RECENT, TopicDetails, detail_topics};
pub use topics::{TopicSummary, list_topics, reach};

/// How long one request to the broker may take.
const REQUEST_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// What all our clients have in common.
fn client_config(cluster: &Cluster) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &cluster.bootstrap_servers)
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
        .set("queued.max.messages.kbytes", "16384")
        .set("fetch.queue.backoff.ms", "5");
    set_properties(&mut config, &cluster.properties);
    config
}

/// Adds what a connection takes.
pub(crate) fn set_properties(config: &mut ClientConfig, properties: &Properties) {
    for (name, value) in &properties.0 {
        config.set(name, value);
    }
}

/// Whether librdkafka takes these properties, of the file at that path.
///
/// # Errors
/// When it does not; nothing of a value that may be secret is told.
pub fn check_properties(path: &Path, properties: &Properties) -> Result<(), ClientPropertiesError> {
    let mut config = ClientConfig::new();
    set_properties(&mut config, properties);
    let Err(error) = config.create::<BaseConsumer>() else {
        return Ok(());
    };
    let (name, reason) = match error {
        rdkafka::error::KafkaError::ClientConfig(_, reason, name, _) => {
            let reason = if is_secret(&name) {
                "librdkafka refuses its value".to_owned()
            } else {
                reason
            };
            (name, reason)
        }
        // What does not go together, such as a file of certificates that is none: a path, never what stands in it.
        error => ("ssl".to_owned(), error.to_string()),
    };
    Err(ClientPropertiesError::Refused {
        path: path.to_owned(),
        name,
        reason,
    })
}

/// Whether a property's name says that its value is for nobody else's eyes.
pub(crate) fn is_secret(name: &str) -> bool {
    SECRETS.iter().any(|part| name.contains(part))
}

/// Parts of the names of properties whose values are secret.
const SECRETS: [&str; 5] = ["password", "secret", "key", "pem", "oauthbearer.config"];
