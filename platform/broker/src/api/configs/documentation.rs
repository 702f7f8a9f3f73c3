//! What a setting does, in a sentence or two, for who asks DescribeConfigs for it: here, which is not always all that it
//! does in Apache Kafka.

use crate::topics::settings::Definition;

/// What the setting of that name does; what stands for all topics does what the topic's own does.
pub(super) fn of(name: &str) -> Option<&'static str> {
    let text = |name: &str| {
        let found = TEXTS.binary_search_by(|(known, _)| (*known).cmp(name));
        found.ok().map(|at| TEXTS[at].1)
    };
    text(name).or_else(|| text(Definition::of_broker(name)?.name))
}

const SHOWN_ONLY: &str = "Kept and shown; there is nothing here that it would steer.";

/// By name.
const TEXTS: &[(&str, &str)] = &[
    (
        "advertised.listeners",
        "The addresses that clients are told to connect to, a listener's name before each.",
    ),
    (
        "auto.create.topics.enable",
        "Whether a client that asks about a topic that does not exist may create it, if it wants to.",
    ),
    ("broker.id", "The id of this broker, which is the only one."),
    (
        "cleanup.policy",
        "What becomes of old records: delete gives up whole segments by age and size, compact keeps the last record of each key; both may be given.",
    ),
    (
        "compression.gzip.level",
        "The level at which batches are compressed with gzip where compression.type says so; -1 is gzip's own default.",
    ),
    ("compression.lz4.level", SHOWN_ONLY),
    (
        "compression.type",
        "What batches are compressed with before they are kept; producer keeps them as their producer has compressed them.",
    ),
    (
        "compression.zstd.level",
        "The level at which batches are compressed with zstd where compression.type says so.",
    ),
    (
        "connections.max.idle.ms",
        "A connection over which nothing was asked for so long is closed.",
    ),
    (
        "consumer.heartbeat.interval.ms",
        "How often members of the group are to be heard of when the broker assigns its partitions.",
    ),
    (
        "consumer.session.timeout.ms",
        "Silence after which a member of the group counts as dead when the broker assigns its partitions.",
    ),
    (
        "default.replication.factor",
        "Replicas of a topic whose creator asks for no number; there is one broker, so one.",
    ),
    (
        "delete.retention.ms",
        "How long a compacted topic keeps the note that a key was deleted, so that slow readers see it.",
    ),
    ("delete.topic.enable", "Whether topics can be deleted."),
    (
        "errors.deadletterqueue.group.enable",
        "Whether share groups may use the topic for what they cannot process; there are no share groups here.",
    ),
    (
        "fetch.max.bytes",
        "The most bytes of records that one answer to a fetch carries, whatever its client allows; one batch is always sent whole.",
    ),
    ("file.delete.delay.ms", SHOWN_ONLY),
    (
        "flush.messages",
        "How many records of a partition may be acknowledged without being synced to the disk.",
    ),
    (
        "flush.ms",
        "How long an acknowledged record may wait to be synced to the disk; the broker's own interval counts where that is shorter.",
    ),
    ("follower.replication.throttled.replicas", SHOWN_ONLY),
    (
        "group.consumer.assignors",
        "The assignors that a group may choose whose partitions the broker assigns; the first is the default.",
    ),
    (
        "group.consumer.heartbeat.interval.ms",
        "How often members are to be heard of where the broker assigns the partitions and the group does not say otherwise.",
    ),
    (
        "group.consumer.max.heartbeat.interval.ms",
        "The largest consumer.heartbeat.interval.ms that a group may have.",
    ),
    (
        "group.consumer.max.session.timeout.ms",
        "The largest consumer.session.timeout.ms that a group may have.",
    ),
    (
        "group.consumer.max.size",
        "The most members of a group whose partitions the broker assigns.",
    ),
    (
        "group.consumer.migration.policy",
        "Whether a group with members in it changes its protocol with them: bidirectional, upgrade (to the newer one), downgrade (back to the classic one) or disabled.",
    ),
    (
        "group.consumer.min.heartbeat.interval.ms",
        "The smallest consumer.heartbeat.interval.ms that a group may have.",
    ),
    (
        "group.consumer.min.session.timeout.ms",
        "The smallest consumer.session.timeout.ms that a group may have.",
    ),
    (
        "group.consumer.session.timeout.ms",
        "Silence after which a member counts as dead where the broker assigns the partitions and the group does not say otherwise.",
    ),
    (
        "group.initial.rebalance.delay.ms",
        "How long the first rebalance of an empty group waits for more members.",
    ),
    (
        "group.max.session.timeout.ms",
        "The longest session time-out that a member of a classic group may ask for.",
    ),
    (
        "group.min.session.timeout.ms",
        "The shortest session time-out that a member of a classic group may ask for.",
    ),
    (
        "index.interval.bytes",
        "Bytes of log between two entries of its index; fewer than 1024 count as so many.",
    ),
    ("leader.replication.throttled.replicas", SHOWN_ONLY),
    (
        "listeners",
        "The addresses that the broker listens at, a listener's name before each.",
    ),
    ("local.retention.bytes", SHOWN_ONLY),
    ("local.retention.ms", SHOWN_ONLY),
    (
        "log.cleaner.backoff.ms",
        "How often the broker looks for something to compact.",
    ),
    (
        "log.cleaner.enable",
        "Whether topics with the policy compact are compacted.",
    ),
    ("log.dir", "The folder of the broker's data."),
    ("log.dirs", "The folder of the broker's data."),
    (
        "log.retention.check.interval.ms",
        "How often the broker looks for records that are too old; for what is too much it also looks whenever a segment is full.",
    ),
    (
        "max.compaction.lag.ms",
        "A record is compacted at the latest after so long, however little there is to compact; a segment that is written to is closed for it.",
    ),
    (
        "max.connections",
        "Connections that may be open at the same time; one more is closed at once.",
    ),
    ("max.message.bytes", "The largest batch that is taken, in bytes."),
    ("message.downconversion.enable", SHOWN_ONLY),
    ("message.format.version", SHOWN_ONLY),
    (
        "message.timestamp.after.max.ms",
        "How far a record's time may lie after the broker's clock; one that lies further is refused.",
    ),
    (
        "message.timestamp.before.max.ms",
        "How far a record's time may lie before the broker's clock; one that lies further is refused.",
    ),
    (
        "message.timestamp.difference.max.ms",
        "How far a record's time may lie from the broker's clock, in either direction.",
    ),
    (
        "message.timestamp.type",
        "Whether a record has the time that its producer gave it (CreateTime) or that at which it was kept (LogAppendTime).",
    ),
    (
        "min.cleanable.dirty.ratio",
        "A log is compacted when this part of it has come since the last time.",
    ),
    (
        "min.compaction.lag.ms",
        "A record is not compacted before it is so old.",
    ),
    (
        "min.insync.replicas",
        "Replicas that must have a record before it is acknowledged; there is one of everything.",
    ),
    ("node.id", "The id of this broker, which is the only one."),
    (
        "num.partitions",
        "Partitions of a topic whose creator asks for no number.",
    ),
    (
        "offsets.retention.minutes",
        "How long the offsets of a group without members are kept.",
    ),
    (
        "preallocate",
        "Whether the file of a segment has its full size from the start, which is not done here.",
    ),
    ("remote.log.copy.disable", SHOWN_ONLY),
    ("remote.log.delete.on.disable", SHOWN_ONLY),
    (
        "remote.storage.enable",
        "Whether old segments are moved to a storage of their own, which there is none of.",
    ),
    (
        "retention.bytes",
        "A partition larger than this gives up its oldest segments, if the topic's policy has delete; -1 is no limit.",
    ),
    (
        "retention.ms",
        "Segments whose records are all older than this are given up, if the topic's policy has delete; -1 keeps them for good.",
    ),
    (
        "sasl.enabled.mechanisms",
        "The ways in which clients may say who they are, of all listeners that ask for it.",
    ),
    (
        "segment.bytes",
        "The size of a segment's file, the unit in which records are given up and compacted.",
    ),
    ("segment.index.bytes", SHOWN_ONLY),
    ("segment.jitter.ms", SHOWN_ONLY),
    (
        "segment.ms",
        "A segment is closed when its first record is so old, however small it is.",
    ),
    (
        "socket.request.max.bytes",
        "The largest request that is taken, in bytes.",
    ),
    (
        "transaction.max.timeout.ms",
        "The longest time that a producer may ask for to finish a transaction.",
    ),
    (
        "transactional.id.expiration.ms",
        "A transactional id that was not used for so long is forgotten.",
    ),
    ("unclean.leader.election.enable", SHOWN_ONLY),
];

#[cfg(test)]
mod tests {
    use super::super::own;
    use super::*;
    use crate::groups::settings;
    use crate::topics::settings::DEFINITIONS;

    #[test]
    fn every_setting_is_explained_and_nothing_else_is() {
        assert!(TEXTS.is_sorted_by(|(one, _), (next, _)| one < next));
        let topics = DEFINITIONS.iter().map(|definition| definition.name);
        let own = own::SETTINGS.iter().map(|own| own.name);
        let mut names: Vec<&str> = topics.chain(own).chain(settings::NAMES).collect();
        names.sort_unstable();
        let explained: Vec<&str> = TEXTS.iter().map(|(name, _)| *name).collect();
        assert_eq!(explained, names);
        assert_eq!(of("log.retention.ms"), of("retention.ms"));
        assert_eq!(of("no.such"), None);
    }
}
