//! Commits over a restart, a rewrite and the end of a topic.

use super::*;
use crate::storage::disk::RealDisk;

fn name(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn at(offset: i64) -> Committed {
    Committed {
        offset,
        leader_epoch: 0,
        metadata: name("note"),
        committed_at: 7,
    }
}

fn open(folder: &Path) -> OffsetStore {
    OffsetStore::open(&RealDisk::shared(), folder).unwrap()
}

#[test]
fn commits_survive_a_restart_and_a_rewrite() {
    let folder = tempfile::tempdir().unwrap();
    let (group, topic) = (name("readers"), name("lines"));
    let mut store = open(folder.path());
    for offset in 0..20_000 {
        let offsets = vec![((topic.clone(), 0), at(offset)), ((topic.clone(), 1), at(5))];
        store.commit(&group, &name("consumer"), offsets).unwrap();
    }
    let before = store.journal.size();
    let rewrite = store.begin_rewrite().unwrap().unwrap();
    let written = rewrite.run();
    store.end_rewrite(&rewrite, written).unwrap();
    assert!(store.journal.size() < before / 100);
    let store = open(folder.path());
    let found = store.of(&group).unwrap();
    assert_eq!(found.partitions[&(topic.clone(), 0)], at(19_999));
    assert_eq!(found.partitions[&(topic, 1)], at(5));
    assert_eq!(found.protocol_type, name("consumer"));
}

#[test]
fn a_deleted_topic_is_forgotten_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    for group in ["one", "two"] {
        let offsets = vec![((name("lines"), 0), at(3))];
        store.commit(&name(group), &name("consumer"), offsets).unwrap();
    }
    store.forget_topic(&name("lines")).unwrap();
    assert_eq!(store.groups().count(), 0);
    let store = open(folder.path());
    assert_eq!(store.groups().count(), 0);
}

#[test]
fn what_a_transaction_would_commit_does_not_outlive_the_topic_or_the_group() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let id = name("writer");
    let places = |topic: &str| EntryOffset {
        topic: topic.to_owned(),
        partition: 0,
        offset: 3,
        epoch: 0,
        note: String::new(),
    };
    let begin = Change::Init {
        producer_id: 7,
        epoch: 0,
        previous: None,
        previous_id: None,
        timeout_ms: 500,
        outcome: None,
        at: 1,
    };
    store.change_transaction(&id, begin).unwrap();
    for group in ["readers", "others"] {
        let offsets = Change::Offsets {
            group: group.to_owned(),
            at: 2,
            offsets: vec![places("lines"), places("kept")],
        };
        store.change_transaction(&id, offsets).unwrap();
    }
    store.forget_topic(&name("lines")).unwrap();
    store.forget_group(&name("others")).unwrap();
    // The same after a restart, which reads the entries anew.
    for mut store in [store, open(folder.path())] {
        let pending = store.transaction(&id).unwrap().offsets.keys();
        let pending: Vec<_> = pending
            .map(|(group, (topic, _))| (group.as_str(), topic.as_str()))
            .collect();
        assert_eq!(pending, [("readers", "kept")]);
        assert!(!store.has_pending(&name("others")));
        let decide = Change::Decide {
            producer_id: 7,
            outcome: crate::storage::batch::marker::Outcome::Commit,
            epoch: 0,
            previous: None,
            ends: Vec::new(),
            at: 3,
        };
        let entry = Entry::Transaction {
            id: id.to_string(),
            change: decide,
        };
        store.apply(entry);
        let committed = &store.of(&name("readers")).unwrap().partitions;
        assert_eq!(committed.keys().collect::<Vec<_>>(), [&(name("kept"), 0)]);
        assert!(store.of(&name("others")).is_none());
    }
}
