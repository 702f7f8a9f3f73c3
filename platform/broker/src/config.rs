//! What a broker is told before it starts: where it keeps its data, where it listens, how long it keeps records.
//!
//! Plain data with sensible defaults for one machine; only `file`, which reads it from a configuration file, touches the
//! disk.

mod file;
mod listener;
mod security;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub use self::file::{ConfigFile, ConfigFileError};
pub use self::listener::{ClientCertificates, HostPort, Listener, Mechanism, Tls};
pub use self::security::{Secret, Security, TokenKeys, Tokens, User, WithoutAcl};

/// Everything a broker needs to know before it starts.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder that holds topics, committed offsets and the lock; created when missing.
    pub data_dir: PathBuf,
    /// The sockets to serve; each advertises its own address to the clients that came through it.
    pub listeners: Vec<Listener>,
    /// Whether a metadata request may create the topic it names.
    pub auto_create_topics: bool,
    /// Partitions of a topic whose creator asked for no particular number.
    pub default_partitions: i32,
    /// How long records are kept where the topic does not say so itself.
    pub retention: RetentionDefaults,
    /// When acknowledged records are forced to the disk.
    pub flush: FlushPolicy,
    /// The largest request frame accepted, in bytes.
    pub max_request_bytes: usize,
    /// What clients may take of the broker, all of them together and each for itself.
    pub limits: Limits,
    /// How groups of consumers are timed.
    pub groups: GroupTimings,
    /// Who may come in where a listener asks for it, and what they may do.
    pub security: Security,
    /// Where Prometheus may ask for the metrics, when it may: `/metrics` over HTTP, for anybody who reaches the address.
    pub metrics: Option<SocketAddr>,
    /// Names under which it may ask, besides loopback's and `broker`.
    pub metrics_hosts: Vec<String>,
}

impl Config {
    /// One listener on `127.0.0.1:9092`, topics created on demand with one partition.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            listeners: vec![Listener::plaintext(
                "host",
                SocketAddr::from((Ipv4Addr::LOCALHOST, 9092)),
            )],
            auto_create_topics: true,
            default_partitions: 1,
            retention: RetentionDefaults::default(),
            flush: FlushPolicy::default(),
            max_request_bytes: 100 * 1024 * 1024,
            limits: Limits::default(),
            groups: GroupTimings::default(),
            security: Security::default(),
            metrics: None,
            metrics_hosts: Vec::new(),
        }
    }
}

/// What clients may take of the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections at the same time; one more is closed at once.
    pub connections: usize,
    /// Clients that are being let in at the same time, by TLS or SASL; the next one waits.
    pub handshakes: usize,
    /// How long a client has for that, from its connection on.
    pub handshake: Duration,
    /// A connection without a request for so long is closed.
    pub idle: Duration,
    /// A connection is closed whose client takes nothing of its answer, or sends nothing of its request, for so long.
    pub stalled: Duration,
    /// The same, while other clients wait for the memory that its answer takes.
    pub stalled_in_need: Duration,
    /// The longest a fetch waits, whatever its client allows.
    pub max_wait: Duration,
    /// Records in all answers that are being made or written, in bytes.
    pub answer_bytes: usize,
    /// Requests above 64 KiB that are being read or worked on, in bytes.
    pub request_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 8192,
            handshakes: 256,
            handshake: Duration::from_secs(10),
            idle: Duration::from_secs(10 * 60),
            stalled: Duration::from_secs(30),
            stalled_in_need: Duration::from_secs(2),
            max_wait: Duration::from_secs(5 * 60),
            answer_bytes: 64 * 1024 * 1024,
            request_bytes: 256 * 1024 * 1024,
        }
    }
}

/// The topic settings that apply where a topic does not override them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionDefaults {
    /// `retention.ms`: records older than this may be deleted; `None` keeps them for good.
    pub time: Option<Duration>,
    /// `retention.bytes`: a partition larger than this loses its oldest segments; `None` is no limit.
    pub bytes: Option<u64>,
    /// `segment.bytes`: the size at which a partition starts a new segment file.
    pub segment_bytes: u64,
    /// How often the broker looks for something to delete by its age; by its size also whenever a segment is full.
    pub check_interval: Duration,
    /// How often the broker looks for something to compact.
    pub compaction_interval: Duration,
}

impl Default for RetentionDefaults {
    /// Kafka's own: a week, however much it is, because stream processors rely on it for what they keep in topics.
    fn default() -> Self {
        Self {
            time: Some(Duration::from_secs(7 * 24 * 60 * 60)),
            bytes: None,
            segment_bytes: 1024 * 1024 * 1024,
            check_interval: Duration::from_secs(5 * 60),
            compaction_interval: Duration::from_secs(15),
        }
    }
}

/// When acknowledged records reach the disk itself.
///
/// Whatever the policy, a record is in the kernel's hands before it is acknowledged, so killing the broker loses
/// nothing. The policy decides what a power cut or a kernel crash may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlushPolicy {
    /// Synced before the acknowledgement: a power cut costs nothing, each produce waits for the disk.
    EveryBatch,
    /// Synced in the background at most this long after the write: a power cut costs at most that much.
    Every(Duration),
}

impl Default for FlushPolicy {
    fn default() -> Self {
        Self::Every(Duration::from_secs(1))
    }
}

/// Time limits of consumer groups, and which of them change their protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupTimings {
    /// The shortest session timeout a member may ask for.
    pub min_session_timeout: Duration,
    /// The longest session timeout a member may ask for.
    pub max_session_timeout: Duration,
    /// Silence after which a member counts as dead in a group that the broker assigns.
    pub consumer_session_timeout: Duration,
    /// How often members of such a group are to be heard of.
    pub consumer_heartbeat_interval: Duration,
    /// How long the first rebalance of an empty group waits for more members.
    pub initial_rebalance_delay: Duration,
    /// How long the offsets of a group without members are kept.
    pub offsets_retention: Duration,
    /// Which groups with members in them go over to the other protocol.
    pub migration: GroupMigration,
}

/// Whether a group with members in it changes its protocol with them (`group.consumer.migration.policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupMigration {
    /// To the newer one when somebody joins who speaks it, and back when the last of those is gone.
    #[default]
    Bidirectional,
    /// Only to the newer one.
    Upgrade,
    /// Only back to the classic one.
    Downgrade,
    /// Not at all.
    Disabled,
}

impl GroupMigration {
    /// Kafka's word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bidirectional => "bidirectional",
            Self::Upgrade => "upgrade",
            Self::Downgrade => "downgrade",
            Self::Disabled => "disabled",
        }
    }

    pub(crate) fn upgrades(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Upgrade)
    }

    pub(crate) fn downgrades(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Downgrade)
    }
}

impl Default for GroupTimings {
    fn default() -> Self {
        Self {
            min_session_timeout: Duration::from_secs(6),
            max_session_timeout: Duration::from_secs(30 * 60),
            consumer_session_timeout: Duration::from_secs(45),
            consumer_heartbeat_interval: Duration::from_secs(5),
            initial_rebalance_delay: Duration::ZERO,
            offsets_retention: Duration::from_secs(7 * 24 * 60 * 60),
            migration: GroupMigration::default(),
        }
    }
}
