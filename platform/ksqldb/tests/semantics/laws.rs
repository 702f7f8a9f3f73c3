//! What holds for every table and aggregate, whatever the records.

use std::collections::BTreeMap;

use osqdemo_ksqldb::task::{Collector, StoreChange, Task};
use proptest::prelude::*;

use crate::script::{Record, World, input};

const SOURCES: &str = "
    create stream s (k string key, g string, v int) with (kafka_topic='s', value_format='json');
    create table t (id string primary key, g string, v int) with (kafka_topic='t', value_format='json');
    create table u (id string primary key, w int) with (kafka_topic='u', value_format='json');";

/// One of each kind of state.
const QUERIES: &[&str] = &[
    "create table o as select id, v from t where v > 1;",
    "create table o as select g, count(*) as n, sum(v) as t, avg(v) as a, collect_list(v) as l, latest_by_offset(v) as e
        from s group by g having count(*) > 1;",
    "create table o as select g, count(*) as n, max(v) as m from s
        window tumbling (size 10 milliseconds, grace period 7 milliseconds) group by g;",
    "create table o as select g, count(*) as n from s
        window hopping (size 10 milliseconds, advance by 4 milliseconds, grace period 3 milliseconds) group by g emit final;",
    "create table o as select g, count(*) as n, latest_by_offset(v) as e, earliest_by_offset(v) as f from s
        window session (5 milliseconds, grace period 9 milliseconds) group by g;",
    "create table o as select g, count(*) as n from s
        window session (5 milliseconds, grace period 0 milliseconds) group by g emit final;",
    "create table o as select g, count(*) as n, sum(v) as t, attr(v) as a from t group by g;",
    "create stream o as select s.g as g, s.v as v, u.w as w from s left join u on s.g = u.id;",
    "create table o as select t.id, v, w from t join u on t.id = u.id;",
    "create table o as select rowkey as k, v, w from t full outer join u on t.id = u.id where w > 0;",
    "create table o as select t.id as id, v, w from t left join u on t.g = u.id;",
    "create table o as select t.id as id, v, w from t join u on t.g = u.id;",
];

fn record() -> impl Strategy<Value = Record> {
    let name = || prop_oneof![Just("a"), Just("b"), Just("c")];
    let group = prop::option::weighted(0.9, name());
    let value = prop::option::weighted(0.8, 0..4_i32);
    (
        0..3_u8,
        name(),
        group,
        value,
        prop::bool::weighted(0.15),
        0..40_i64,
    )
        .prop_map(|(topic, key, group, value, is_gone, time)| {
            let (topic, json) = match topic {
                0 => ("s", serde_json::json!({"G": group, "V": value})),
                1 => ("t", serde_json::json!({"G": group, "V": value})),
                _ => ("u", serde_json::json!({"W": value})),
            };
            let record = Record::new(topic, time, &json.to_string()).keyed(key);
            match is_gone {
                true => Record {
                    value: None,
                    ..record
                },
                false => record,
            }
        })
}

/// What a task gives out for a record: the records, and the changes of its state.
fn step(task: &mut Task, record: &Record) -> (Vec<String>, Vec<StoreChange>) {
    let mut collector = Collector::default();
    task.process(input(record), &mut collector);
    assert_eq!(task.failure(), None);
    let records = collector.records.iter().map(|record| format!("{record:?}"));
    (records.collect(), collector.changes)
}

fn plan_of(query: &str) -> osqdemo_ksqldb::plan::QueryPlan {
    World::of(&format!("{SOURCES}{query}")).last_plan.unwrap()
}

proptest! {
    /// A task that was stopped after any record and filled from the changelogs gives out what it would have without.
    #[test]
    fn a_restart_changes_nothing(records in prop::collection::vec(record(), 1..40), cut in 0..40_usize) {
        for query in QUERIES {
            let plan = plan_of(query);
            let mut through = Task::new(&plan);
            let mut stopped = Task::new(&plan);
            let mut changelog: Vec<StoreChange> = Vec::new();
            for (place, record) in records.iter().enumerate() {
                let (expected, changes) = step(&mut through, record);
                if place == cut {
                    stopped = Task::new(&plan);
                    // A compacted topic: of each key the last change, in any order of the keys.
                    let mut compacted = BTreeMap::new();
                    for change in &changelog {
                        compacted.insert((change.store.clone(), change.key.clone()), change);
                    }
                    for change in compacted.values() {
                        let value = change.value.as_deref();
                        prop_assert!(stopped.restore_store(&change.store, &change.key, value, change.timestamp));
                    }
                    stopped.restored();
                }
                let (found, _) = step(&mut stopped, record);
                prop_assert_eq!(&found, &expected, "{}\nafter {} at {}", query, cut, place);
                changelog.extend(changes);
            }
        }
    }

    /// An aggregate over a table is the aggregate of the table's rows, at every moment.
    #[test]
    fn an_aggregate_of_a_table_is_that_of_its_rows(records in prop::collection::vec(record(), 1..40)) {
        let mut world = World::of(&format!(
            "{SOURCES}create table o as select g, count(*) as n, count(v) as c, sum(v) as t from t group by g;"
        ));
        let mut rows: BTreeMap<Vec<u8>, (Option<String>, Option<i64>)> = BTreeMap::new();
        for record in records {
            if record.topic == "t" {
                let key = record.key.clone().unwrap();
                match &record.value {
                    None => rows.remove(&key),
                    Some(value) => {
                        let value: serde_json::Value = serde_json::from_slice(value).unwrap();
                        rows.insert(key, (value["G"].as_str().map(str::to_owned), value["V"].as_i64()))
                    }
                };
            }
            world.send(record);
            let mut expected: BTreeMap<String, (i64, i64, i64)> = BTreeMap::new();
            for (group, value) in rows.values() {
                let Some(group) = group else { continue };
                let (all, counted, sum) = expected.entry(group.clone()).or_default();
                *all += 1;
                *counted += i64::from(value.is_some());
                *sum += value.unwrap_or(0);
            }
            let mut found = BTreeMap::new();
            for record in world.written.iter().filter(|record| record.topic == "O") {
                let value: serde_json::Value = serde_json::from_slice(record.value.as_ref().unwrap()).unwrap();
                let number = |name: &str| value[name].as_i64().unwrap();
                let group = String::from_utf8(record.key.clone().unwrap()).unwrap();
                found.insert(group, (number("N"), number("C"), number("T")));
            }
            // A group that nobody is in any more stays, with nothing.
            found.retain(|_, counts| *counts != (0, 0, 0));
            prop_assert_eq!(found, expected);
        }
    }
}
