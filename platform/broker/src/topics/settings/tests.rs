//! Which settings are taken, and what follows from them.

use super::*;

fn settings(overrides: &[(&str, &str)]) -> Result<TopicSettings, InvalidSetting> {
    let overrides = overrides
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    TopicSettings::new(overrides, &Defaults::default())
}

#[test]
fn overrides_win_over_defaults() {
    let found = settings(&[("retention.ms", "5"), ("retention.bytes", "-1")]).unwrap();
    assert_eq!(found.log().retention_ms, Some(5));
    assert_eq!(found.log().retention_bytes, None);
    assert_eq!(found.log().segment_bytes, 1024 * 1024 * 1024);
}

#[test]
fn a_compacted_topic_is_not_cut_by_age() {
    let found = settings(&[("cleanup.policy", "compact"), ("retention.ms", "5")]).unwrap();
    assert_eq!(found.log().retention_ms, None);
    assert!(found.log().compaction.is_some());
}

#[test]
fn nonsense_is_refused() {
    assert_eq!(
        settings(&[("retention", "5")]),
        Err(InvalidSetting::Unknown("retention".to_owned()))
    );
    assert!(settings(&[("retention.ms", "soon")]).is_err());
    assert!(settings(&[("cleanup.policy", "burn")]).is_err());
    assert!(settings(&[("min.cleanable.dirty.ratio", "1.5")]).is_err());
}

#[test]
fn the_defaults_are_kafkas() {
    let found = settings(&[]).unwrap();
    let week = 7 * 24 * 60 * 60 * 1000;
    assert_eq!(
        (found.log().retention_bytes, found.log().retention_ms),
        (None, Some(week))
    );
    assert_eq!(found.log().segment_bytes, 1 << 30);
}

#[test]
fn what_cannot_be_kept_is_refused_by_name() {
    for (name, value) in [
        ("min.insync.replicas", "2"),
        ("preallocate", "true"),
        ("remote.storage.enable", "true"),
        ("errors.deadletterqueue.group.enable", "true"),
    ] {
        let refused = settings(&[(name, value)]).unwrap_err().to_string();
        assert!(
            refused.starts_with(&format!("{name} cannot be {value} here: ")),
            "{refused}"
        );
    }
}

#[test]
fn what_is_taken_has_its_effect() {
    let found = settings(&[
        ("flush.messages", "1"),
        ("flush.ms", "10"),
        ("compression.type", "zstd"),
        ("compression.zstd.level", "7"),
        ("message.timestamp.type", "LogAppendTime"),
        ("index.interval.bytes", "8192"),
    ])
    .unwrap();
    let log = found.log();
    assert_eq!((log.flush_messages, log.flush_ms), (1, 10));
    assert_eq!(log.index_interval_bytes, 8192);
    assert_eq!(log.acceptance.time, RecordTime::Append);
    let zstd = Target::of(Compression::Zstd, Some(7));
    assert_eq!(log.acceptance.compression, Some(zstd));
    let found = settings(&[
        ("cleanup.policy", "compact"),
        ("delete.retention.ms", "3"),
        ("max.compaction.lag.ms", "5"),
        ("min.cleanable.dirty.ratio", "0.25"),
        ("min.compaction.lag.ms", "4"),
        ("message.timestamp.before.max.ms", "6"),
        ("message.timestamp.after.max.ms", "7"),
    ])
    .unwrap();
    assert_eq!(found.log().segment_ms, 5);
    let compaction = CompactionSettings {
        min_dirty_ratio: 0.25,
        min_lag_ms: 4,
        max_lag_ms: 5,
        tombstone_ms: 3,
    };
    assert_eq!(found.log().compaction, Some(compaction));
    let time = RecordTime::Create {
        max_before_ms: 6,
        max_after_ms: 7,
    };
    assert_eq!(found.log().acceptance.time, time);
    assert!(found.log().acceptance.keys_required);
}

#[test]
fn every_default_is_acceptable() {
    let defaults = Defaults::default();
    for definition in DEFINITIONS {
        let value = definition.default_value(&defaults);
        assert!(definition.kind.accepts(&value), "{}", definition.name);
    }
}

/// Tools that copy topics, MirrorMaker 2 among them, hand over all settings at once; one that is refused is all of them.
#[test]
fn all_settings_of_kafka_are_taken_together() {
    // As `kafka-configs --describe --all` of 3.9 and of 4.2 has them.
    let all = [
        ("cleanup.policy", "delete"),
        ("compression.gzip.level", "-1"),
        ("compression.lz4.level", "9"),
        ("compression.type", "producer"),
        ("compression.zstd.level", "3"),
        ("delete.retention.ms", "86400000"),
        ("errors.deadletterqueue.group.enable", "false"),
        ("file.delete.delay.ms", "60000"),
        ("flush.messages", "9223372036854775807"),
        ("flush.ms", "9223372036854775807"),
        ("follower.replication.throttled.replicas", ""),
        ("index.interval.bytes", "4096"),
        ("leader.replication.throttled.replicas", ""),
        ("local.retention.bytes", "-2"),
        ("local.retention.ms", "-2"),
        ("max.compaction.lag.ms", "9223372036854775807"),
        ("max.message.bytes", "1048588"),
        ("message.downconversion.enable", "true"),
        ("message.format.version", "3.0-IV1"),
        ("message.timestamp.after.max.ms", "9223372036854775807"),
        ("message.timestamp.before.max.ms", "9223372036854775807"),
        ("message.timestamp.difference.max.ms", "9223372036854775807"),
        ("message.timestamp.type", "CreateTime"),
        ("min.cleanable.dirty.ratio", "0.5"),
        ("min.compaction.lag.ms", "0"),
        ("min.insync.replicas", "1"),
        ("preallocate", "false"),
        ("remote.log.copy.disable", "false"),
        ("remote.log.delete.on.disable", "false"),
        ("remote.storage.enable", "false"),
        ("retention.bytes", "-1"),
        ("retention.ms", "604800000"),
        ("segment.bytes", "1073741824"),
        ("segment.index.bytes", "10485760"),
        ("segment.jitter.ms", "0"),
        ("segment.ms", "604800000"),
        ("unclean.leader.election.enable", "false"),
    ];
    let taken = settings(&all).unwrap();
    assert_eq!(taken.overrides().len(), all.len());
}
