//! Each partition has its own time, as with Kafka Streams' tasks: that others are ahead makes no row late.

use osqdemo_ksqldb::plan::QueryPlan;
use osqdemo_ksqldb::task::{Collector, InputRecord, StoreChange, StreamTimes, Task};

use crate::script::World;

const SOURCES: &str = "
    create stream s (k string key, g string) with (kafka_topic='s', value_format='json');
    create stream l (k string key, a string) with (kafka_topic='l', value_format='json');
    create stream r (k string key, b string) with (kafka_topic='r', value_format='json');";

const BY_KEY: &str = "create table o as select k, count(*) as n from s
    window tumbling (size 10 milliseconds, retention 10 milliseconds, grace period 0 milliseconds) group by k;";
const BY_COLUMN: &str = "create table o as select g, count(*) as n from s
    window tumbling (size 10 milliseconds, grace period 0 milliseconds) group by g;";

/// A query over two partitions, and what it has given out.
struct Running {
    plan: QueryPlan,
    task: Task,
    written: Vec<String>,
    changes: Vec<StoreChange>,
}

impl Running {
    fn new(statement: &str) -> Self {
        let plan = World::of(&format!("{SOURCES}{statement}")).last_plan.unwrap();
        Self {
            task: Self::task(&plan),
            plan,
            written: Vec::new(),
            changes: Vec::new(),
        }
    }

    fn task(plan: &QueryPlan) -> Task {
        let mut task = Task::new(plan);
        task.spread_over(2);
        task
    }

    /// Takes a record of a partition, its value given by the names of its columns, all of them the same text.
    fn send(&mut self, (topic, partition): (&str, i32), key: &str, column: (&str, &str), timestamp: i64) {
        let value = serde_json::json!({ column.0: column.1 }).to_string();
        let record = InputRecord {
            topic,
            partition,
            offset: 0,
            timestamp,
            key: Some(key.as_bytes()),
            value: Some(value.as_bytes()),
            headers: &[],
        };
        let mut collector = Collector::default();
        self.task.process(record, &mut collector);
        assert_eq!((self.task.failure(), collector.log.len()), (None, 0));
        for record in collector.records {
            let key = record.key.unwrap();
            let key = String::from_utf8_lossy(&key[..1]).into_owned();
            let value = String::from_utf8(record.value.unwrap()).unwrap();
            self.written.push(format!("{key} {value}@{}", record.timestamp));
        }
        self.changes.extend(collector.changes);
        self.changes.extend(collector.expired);
    }

    /// Goes on with a new task, of what was committed and what the changelogs hold.
    fn restart(&mut self) {
        let mut times = StreamTimes::new();
        self.task.stream_times(&mut times);
        self.task = Self::task(&self.plan);
        self.task.go_on_from(&times);
        for change in &self.changes {
            let value = change.value.as_deref();
            let restored = self
                .task
                .restore_store(&change.store, &change.key, value, change.timestamp);
            assert!(restored);
        }
        self.task.restored();
    }
}

#[test]
fn a_partition_that_lags_behind_is_not_late() {
    for restarts in [false, true] {
        let mut query = Running::new(BY_KEY);
        // The two keys lie where their producer put them, wherever Java's partitioner would.
        for (partition, key, time) in [
            (0, "a", 5),
            (1, "b", 5),
            (0, "a", 1_000),
            (1, "b", 6),
            (1, "b", 50),
        ] {
            query.send(("s", partition), key, ("G", "x"), time);
            if restarts {
                query.restart();
            }
        }
        // Late in its own partition.
        query.send(("s", 0), "a", ("G", "x"), 6);
        query.send(("s", 1), "b", ("G", "x"), 7);
        query.send(("s", 1), "b", ("G", "x"), 51);
        let expected = [
            r#"a {"N":1}@5"#,
            r#"b {"N":1}@5"#,
            r#"a {"N":1}@1000"#,
            r#"b {"N":2}@6"#,
            r#"b {"N":1}@50"#,
            r#"b {"N":2}@51"#,
        ];
        assert_eq!(query.written, expected, "restarts: {restarts}");
    }
}

/// As in a repartition topic, into which Java's partitioner puts the groups.
#[test]
fn what_is_grouped_by_a_column_has_the_time_of_where_it_would_lie() {
    let mut query = Running::new(BY_COLUMN);
    for group in ["a", "b", "c", "d", "e", "f"] {
        query.send(("s", 0), "k", ("G", group), 1);
    }
    assert_eq!(query.written.len(), 6);
    // One of them goes ahead: those that lie with it are late afterwards, the others are not.
    query.send(("s", 0), "k", ("G", "a"), 1_000);
    query.written.clear();
    for group in ["a", "b", "c", "d", "e", "f"] {
        query.send(("s", 1), "k", ("G", group), 2);
    }
    let counted: Vec<&str> = query.written.iter().map(|record| &record[..1]).collect();
    assert_eq!(counted, JAVA_PUTS_ELSEWHERE);
}

/// Of the letters from a to f those that Kafka's `Utils.murmur2`, made positive, puts into another of two partitions
/// than "a".
const JAVA_PUTS_ELSEWHERE: [&str; 2] = ["d", "f"];

#[test]
fn streams_are_joined_by_the_time_of_their_partition() {
    let statement = "create stream j as select l.k as k, a, b from l
        join r within 10 milliseconds grace period 0 milliseconds on l.k = r.k;";
    let mut query = Running::new(statement);
    query.send(("l", 0), "x", ("A", "1"), 1_000);
    query.send(("l", 1), "y", ("A", "1"), 5);
    query.send(("r", 1), "y", ("B", "1"), 7);
    query.send(("r", 0), "x", ("B", "1"), 5);
    assert_eq!(query.written, [r#"y {"A":"1","B":"1"}@7"#]);
}
