//! Tables, aggregates, windows and joins with tables, record by record.
//!
//! Long because the changes are written out record by record: what was, what is, what a sink then holds.

use osqdemo_ksqldb::task::{Collector, StreamTimes, Task};

use crate::script::{Record, World, input};

const SOURCES: &str = "
    create stream s (k string key, g string, v int) with (kafka_topic='s', value_format='json');
    create table t (id int primary key, g string, v int) with (kafka_topic='t', value_format='json');
    create table u (id int primary key, w string) with (kafka_topic='u', value_format='json');
    create stream p (id int key, a string) with (kafka_topic='p', value_format='json');
    create table a (id int primary key, f int) with (kafka_topic='a', value_format='json');";

fn world(statement: &str) -> World {
    World::of(&format!("{SOURCES}{statement}"))
}

/// A record of the stream with a group and a value; without one where it is empty.
fn s(group: Option<&str>, value: Option<i32>, time: i64) -> Record {
    let json = serde_json::json!({"G": group, "V": value});
    Record::new("s", time, &json.to_string()).keyed("k")
}

/// A change of a table: no value deletes the row.
fn change(topic: &str, id: Option<i32>, value: &str, time: i64) -> Record {
    Record {
        topic: topic.to_owned(),
        key: id.map(|id| id.to_be_bytes().to_vec()),
        value: (!value.is_empty()).then(|| value.as_bytes().to_vec()),
        timestamp: time,
    }
}

/// What the sink has, each record as `key value@time`: a key of four bytes is a number, what follows a text's key are
/// its window's bounds.
fn sink(world: &World) -> Vec<String> {
    let of_sink = world.written.iter().filter(|record| record.topic == "O");
    of_sink
        .map(|record| {
            let key = record
                .key
                .as_deref()
                .map_or("null".to_owned(), |key| match key.len() {
                    4 => i32::from_be_bytes(key.try_into().unwrap()).to_string(),
                    length if length > 8 && (length - 1) % 8 == 0 => {
                        let bounds = key[1..].as_chunks::<8>().0.iter();
                        let bounds = bounds.map(|bound| format!(",{}", i64::from_be_bytes(*bound)));
                        format!("{}{}", char::from(key[0]), bounds.collect::<String>())
                    }
                    _ => String::from_utf8_lossy(key).into_owned(),
                });
            let value = record.value.as_deref().map(String::from_utf8_lossy);
            format!(
                "{key} {}@{}",
                value.as_deref().unwrap_or("null"),
                record.timestamp
            )
        })
        .collect()
}

fn after(statement: &str, records: Vec<Record>) -> Vec<String> {
    let mut world = world(statement);
    records.into_iter().for_each(|record| world.send(record));
    sink(&world)
}

#[test]
fn a_table_of_a_table_changes_with_it() {
    let t = |id: Option<i32>, value: &str, time| change("t", id, value, time);
    let plain = "create table o as select id, v from t;";
    assert_eq!(
        after(plain, vec![t(Some(1), r#"{"V":5}"#, 10), t(Some(1), "", 20)]),
        [r#"1 {"V":5}@10"#, "1 null@20"]
    );
    // The later record wins, whatever its time; one without a key is none.
    let records = vec![
        t(None, r#"{"V":1}"#, 1),
        t(Some(1), r#"{"V":2}"#, 9),
        t(Some(1), r#"{"V":3}"#, 4),
    ];
    assert_eq!(after(plain, records), [r#"1 {"V":2}@9"#, r#"1 {"V":3}@4"#]);
    let filtered = "create table o as select id, v from t where v > 3;";
    let records = [(1, 5), (2, 1), (1, 2), (1, 1), (1, 9)].into_iter().zip(1..);
    let records = records.map(|((id, v), time)| t(Some(id), &format!("{{\"V\":{v}}}"), time));
    assert_eq!(
        after(filtered, records.collect()),
        [r#"1 {"V":5}@1"#, "1 null@3", r#"1 {"V":9}@5"#]
    );
}

#[test]
fn groups_count_and_times_are_the_highest() {
    let records = vec![
        s(Some("x"), Some(1), 10),
        s(Some("y"), Some(1), 5),
        s(Some("x"), Some(2), 7),
        s(None, Some(3), 8),
    ];
    assert_eq!(
        after(
            "create table o as select g, count(*) as n from s group by g;",
            records.clone()
        ),
        [r#"x {"N":1}@10"#, r#"y {"N":1}@5"#, r#"x {"N":2}@10"#]
    );
    let two = "create table o with (key_format='json') as select v, g, count(*) as n from s group by g, v;";
    assert_eq!(
        after(two, records[..1].to_vec()),
        [r#"{"G":"x","V":1} {"N":1}@10"#]
    );
    let having = "create table o as select g, sum(v) as t from s group by g having sum(v) > 5;";
    let records = [3, 4, -5, 0].into_iter().zip(1..);
    let records = records.map(|(v, time)| s(Some("x"), Some(v), time)).collect();
    assert_eq!(after(having, records), [r#"x {"T":7}@2"#, "x null@3"]);
}

#[test]
fn a_row_that_changes_leaves_its_group() {
    let t = |id: i32, value: &str, time| change("t", Some(id), value, time);
    let both = "create table o as select g, sum(v) as t, count(*) as n from t group by g;";
    let records = vec![
        t(1, r#"{"G":"a","V":5}"#, 1),
        t(2, r#"{"G":"a","V":7}"#, 2),
        t(1, r#"{"G":"b","V":5}"#, 3),
        t(2, "", 4),
    ];
    assert_eq!(
        after(both, records),
        [
            r#"a {"T":5,"N":1}@1"#,
            r#"a {"T":12,"N":2}@2"#,
            r#"a {"T":7,"N":1}@3"#,
            r#"b {"T":5,"N":1}@3"#,
            r#"a {"T":0,"N":0}@4"#
        ]
    );
    let records = vec![
        t(1, r#"{"G":null,"V":1}"#, 1),
        t(1, r#"{"G":"a","V":1}"#, 2),
        t(1, r#"{"G":null,"V":1}"#, 3),
    ];
    assert_eq!(
        after(
            "create table o as select g, count(*) as n from t group by g;",
            records
        ),
        [r#"a {"N":1}@2"#, r#"a {"N":0}@3"#]
    );
}

fn at(times: &[i64]) -> Vec<Record> {
    times.iter().map(|time| s(Some("x"), Some(1), *time)).collect()
}

fn windowed(window: &str) -> String {
    format!("create table o as select g, count(*) as n from s window {window} group by g;")
}

#[test]
fn windows_of_time_close_after_their_grace() {
    let tumbling = windowed("tumbling (size 10 milliseconds, grace period 5 milliseconds)");
    assert_eq!(
        after(&tumbling, at(&[3, 9, 10, 7, 15, 8])),
        [
            r#"x,0 {"N":1}@3"#,
            r#"x,0 {"N":2}@9"#,
            r#"x,10 {"N":1}@10"#,
            r#"x,0 {"N":3}@9"#,
            r#"x,10 {"N":2}@15"#
        ]
    );
    let hopping = windowed("hopping (size 10 milliseconds, advance by 5 milliseconds)");
    assert_eq!(
        after(&hopping, at(&[7, 12])),
        [
            r#"x,0 {"N":1}@7"#,
            r#"x,5 {"N":1}@7"#,
            r#"x,5 {"N":2}@12"#,
            r#"x,10 {"N":1}@12"#
        ]
    );
    let bounds = "create table o as select g, windowstart as ws, windowend as we, count(*) as n from s
        window tumbling (size 10 milliseconds) group by g;";
    assert_eq!(after(bounds, at(&[13])), [r#"x,10 {"WS":10,"WE":20,"N":1}@13"#]);
}

/// The loop over a row's windows comes to an end where time does.
#[test]
fn the_last_moment_has_windows() {
    let last = i64::MAX;
    let written = after(
        &windowed("hopping (size 10 milliseconds, advance by 5 milliseconds)"),
        at(&[last]),
    );
    assert_eq!(written.len(), 2, "{written:?}");
    assert!(
        written[0].ends_with(&format!(r#"{{"N":1}}@{last}"#)),
        "{written:?}"
    );
}

#[test]
fn a_row_lies_in_so_many_windows_at_most() {
    let most = windowed("hopping (size 100 seconds, advance by 1 millisecond)");
    world(&most);
    let error = world("").error(&windowed("hopping (size 365 days, advance by 1 millisecond)"));
    assert!(
        error.starts_with("A row would lie in 31536000000 windows")
            && error.contains("more than 100000; hint:"),
        "{error}"
    );
}

#[test]
fn sessions_merge_and_what_they_were_is_gone() {
    assert_eq!(
        after(&windowed("session (10 milliseconds)"), at(&[10, 25, 18])),
        [
            r#"x,10,10 {"N":1}@10"#,
            r#"x,25,25 {"N":1}@25"#,
            "x,10,10 null@10",
            "x,25,25 null@25",
            r#"x,25,10 {"N":3}@25"#
        ]
    );
}

#[test]
fn final_results_come_when_their_window_closes() {
    let last = |window: &str| windowed(window).replace("group by g;", "group by g emit final;");
    let none = "(size 10 milliseconds, grace period 0 milliseconds)";
    assert_eq!(
        after(&last(&format!("tumbling {none}")), at(&[1, 5, 12])),
        [r#"x,0 {"N":2}@5"#]
    );
    // A jump in time loses nothing.
    assert_eq!(
        after(&last(&format!("tumbling {none}")), at(&[1, 500, 1000])),
        [r#"x,0 {"N":1}@1"#, r#"x,500 {"N":1}@500"#]
    );
    let session = last("session (10 milliseconds, grace period 0 milliseconds)");
    assert_eq!(after(&session, at(&[1, 5, 30])), [r#"x,5,1 {"N":2}@5"#]);
}

#[test]
fn a_stream_meets_the_table_as_it_is() {
    let (p, u) = (
        |id, a: &str, time| change("p", id, &format!("{{\"A\":\"{a}\"}}"), time),
        |id, w: &str, time| change("u", Some(id), w, time),
    );
    let inner = "create stream o as select p.id, a, w from p join u on p.id = u.id;";
    let records = vec![
        p(Some(1), "m", 5),
        u(1, r#"{"W":"q"}"#, 3),
        p(Some(1), "n", 4),
        u(1, r#"{"W":"z"}"#, 9),
        p(Some(1), "r", 6),
        u(1, "", 10),
        p(Some(1), "s", 11),
        p(None, "t", 12),
    ];
    assert_eq!(
        after(inner, records),
        [r#"1 {"A":"n","W":"q"}@4"#, r#"1 {"A":"r","W":"z"}@6"#]
    );
    let left = "create stream o as select p.id, a, w from p left join u on p.id = u.id;";
    let records = vec![p(Some(2), "m", 1), u(2, r#"{"W":"q"}"#, 2), p(None, "n", 3)];
    assert_eq!(
        after(left, records),
        [r#"2 {"A":"m","W":null}@1"#, r#"null {"A":"n","W":null}@3"#]
    );
}

#[test]
fn tables_join_by_their_keys() {
    let t = |v: &str, time| change("t", Some(1), v, time);
    let u = |w: &str, time| change("u", Some(1), w, time);
    let join = |kind: &str, key: &str| {
        format!("create table o as select {key}, v, w from t {kind} join u on t.id = u.id;")
    };
    let records = vec![
        t(r#"{"V":5}"#, 1),
        u(r#"{"W":"q"}"#, 4),
        t(r#"{"V":6}"#, 2),
        u("", 5),
        t("", 6),
    ];
    assert_eq!(
        after(&join("", "t.id"), records.clone()),
        [r#"1 {"V":5,"W":"q"}@4"#, r#"1 {"V":6,"W":"q"}@4"#, "1 null@5"]
    );
    assert_eq!(
        after(&join("full outer", "rowkey as k"), records),
        [
            r#"1 {"V":5,"W":null}@1"#,
            r#"1 {"V":5,"W":"q"}@4"#,
            r#"1 {"V":6,"W":"q"}@4"#,
            r#"1 {"V":6,"W":null}@5"#,
            "1 null@6"
        ]
    );
}

#[test]
fn a_column_refers_to_another_table() {
    let a = |id, f: &str, time| change("a", Some(id), f, time);
    let u = |w: &str, time| change("u", Some(1), w, time);
    let records = vec![
        a(10, r#"{"F":1}"#, 1),
        u(r#"{"W":"q"}"#, 2),
        a(11, r#"{"F":1}"#, 3),
        u(r#"{"W":"z"}"#, 4),
        a(10, r#"{"F":2}"#, 5),
        u("", 6),
        a(10, r#"{"F":2}"#, 7),
        a(10, "", 8),
    ];
    assert_eq!(
        after(
            "create table o as select a.id, w from a join u on a.f = u.id;",
            records
        ),
        [
            r#"10 {"W":"q"}@2"#,
            r#"11 {"W":"q"}@3"#,
            r#"10 {"W":"z"}@4"#,
            r#"11 {"W":"z"}@4"#,
            "10 null@5",
            "11 null@6",
            "10 null@8"
        ]
    );
}

#[test]
fn three_tables_and_a_count_over_them() {
    let mut world = world(
        "create table j as select t.id, t.g as g, w, f from t join u on t.id = u.id left join a on t.id = a.id;
         create table o as select g, count(*) as n from j group by g;",
    );
    for record in [
        change("t", Some(1), r#"{"G":"x","V":1}"#, 1),
        change("u", Some(1), r#"{"W":"q"}"#, 2),
        change("a", Some(1), r#"{"F":7}"#, 3),
        change("t", Some(1), r#"{"G":"y","V":1}"#, 4),
        change("u", Some(1), "", 5),
    ] {
        world.send(record);
    }
    assert_eq!(
        world
            .written_to("J")
            .iter()
            .map(|text| text.split_once('|').unwrap().1.to_owned())
            .collect::<Vec<_>>(),
        [
            r#"{"G":"x","W":"q","F":null}@2"#,
            r#"{"G":"x","W":"q","F":7}@3"#,
            r#"{"G":"y","W":"q","F":7}@4"#,
            "null@5"
        ]
    );
    assert_eq!(
        sink(&world),
        [
            r#"x {"N":1}@2"#,
            r#"x {"N":1}@3"#,
            r#"x {"N":0}@4"#,
            r#"y {"N":1}@4"#,
            r#"y {"N":0}@5"#
        ]
    );
}

/// What a later join compares has the key of what is joined before it, but not after a full join.
#[test]
fn a_column_that_a_full_join_leaves_empty_is_no_key() {
    let joined = |first: &str, left: &str| {
        format!(
            "create table o as select {left}, v, w, f from t {first} join u on t.id = u.id join a on {left} = a.id;"
        )
    };
    for left in ["t.id", "u.id"] {
        let error = world("").error(&joined("full outer", left));
        assert!(error.starts_with("Cannot repartition a TABLE source."), "{error}");
    }
    for first in ["left", "right", ""] {
        for left in ["t.id", "u.id"] {
            world(&joined(first, left));
        }
    }
}

/// A session that ended exactly so long ago as its gap is open: it goes on, and its final result comes.
#[test]
fn a_session_is_kept_for_as_long_as_it_is_open() {
    let window = "session (5 milliseconds, grace period 0 milliseconds)";
    let records = [("a", 38), ("c", 33), ("c", 33), ("a", 39)];
    let counted = |statement: &str| {
        let mut world = world(statement);
        for (group, time) in records {
            world.send(s(Some(group), Some(1), time));
        }
        sink(&world)
    };
    let all = counted(&windowed(window));
    assert!(all.contains(&r#"c,33,33 {"N":2}@33"#.to_owned()), "{all:?}");
    let last = counted(&windowed(window).replace("group by g;", "group by g emit final;"));
    assert_eq!(last, [r#"c,33,33 {"N":2}@33"#]);
}

/// What closed a window may have been done before a crash without its results being written: it is done again.
#[test]
fn a_final_result_outlives_a_crash_before_the_commit() {
    let statement = windowed("tumbling (size 10 milliseconds, grace period 0 milliseconds)")
        .replace("group by g;", "group by g emit final;");
    let plan = world(&statement).last_plan.unwrap();
    let mut task = Task::new(&plan);
    let mut collector = Collector::default();
    let (counted, closing) = (s(Some("x"), Some(1), 1), s(Some("x"), Some(1), 50));
    task.process(input(&counted), &mut collector);
    let mut committed = StreamTimes::new();
    task.stream_times(&mut committed);
    assert_eq!(committed, [(0, 1)]);
    task.process(input(&closing), &mut collector);
    assert_eq!(collector.records.len(), 1);
    // The changelog has it all, the position is that before the second record.
    let mut again = Task::new(&plan);
    again.go_on_from(&committed);
    for change in &collector.changes {
        assert!(again.restore_store(
            &change.store,
            &change.key,
            change.value.as_deref(),
            change.timestamp
        ));
    }
    again.restored();
    let mut output = Collector::default();
    again.process(input(&closing), &mut output);
    assert_eq!(output.records, collector.records);
}

#[test]
fn what_cannot_be_grouped_or_joined_is_told() {
    let errors = [
        (
            "create table o as select count(*) as n from s group by g;",
            "The query used to build `O` must include the grouping expression G in its projection (eg, SELECT G...).",
        ),
        (
            "create table o as select g, v, count(*) from s group by g;",
            "Non-aggregate SELECT expression(s) not part of GROUP BY: V\nEither add the column(s) to the GROUP BY or remove them from the SELECT.",
        ),
        (
            "create table o as select g, min(v) from t group by g;",
            "The aggregation function MIN cannot be applied to a table source, only to a stream source.",
        ),
        (
            "create table o as select count(*) from s;",
            "CREATE TABLE AS SELECT statement does not support aggregate function [COUNT(ROWTIME)] without a GROUP BY clause.",
        ),
        (
            "create table o as select g, earliest_by_offset(v, v) from s group by g;",
            "Parameter 2 passed to function EARLIEST_BY_OFFSET must be a literal constant, but was expression: 'V'",
        ),
        (
            "create table o as select g, count(*) from s group by g emit final;",
            "EMIT FINAL is only supported for windowed aggregations.",
        ),
        (
            "create stream o as select * from s window tumbling (size 1 second);",
            "WINDOW clause requires a GROUP BY clause.",
        ),
        (
            "create table o as select g, count(*) from s window tumbling (size 1 hour, retention 2 hours) group by g;",
            "Got size=[3600000], grace=[82800000], retention=[7200000]",
        ),
        (
            "create table o as select v, w from t join u on t.id = u.id;",
            "must include the join expressions T.ID or U.ID in its projection (eg, SELECT T.ID...).",
        ),
        (
            "create stream o as select * from t join p on t.id = p.id;",
            "Invalid join order: table-stream joins are not supported; only stream-table joins. Got T [INNER] JOIN P.",
        ),
        (
            "create table o as select g, sum(count(*)) from s group by g;",
            "Aggregate functions can not be nested: SUM(COUNT())",
        ),
        (
            "create table o as select g, count(*) from s group by g, s.g;",
            "Duplicate GROUP BY expression: S.G",
        ),
        (
            "create table o as select g, count(*) from s group by g having v > 1;",
            "Non-aggregate HAVING expression not part of GROUP BY: V\nConsider switching the HAVING clause to a WHERE clause before the GROUP BY.",
        ),
    ];
    for (statement, expected) in errors {
        let error = world("").error(statement);
        assert!(error.contains(expected), "{statement}: {error}");
    }
}

#[test]
fn a_client_without_groups_has_one() {
    let mut world = world("select count(*) as n from s emit changes limit 2;");
    at(&[1, 2, 3]).into_iter().for_each(|record| world.send(record));
    assert_eq!(world.rows, ["[1]@1", "[2]@2"]);
}

/// A record whose key ends with the start of a window.
fn in_window(topic: &str, key: &str, start: i64, value: &str, time: i64) -> Record {
    let mut bytes = key.as_bytes().to_vec();
    bytes.extend(start.to_be_bytes());
    Record {
        topic: topic.to_owned(),
        key: Some(bytes),
        value: Some(value.as_bytes().to_vec()),
        timestamp: time,
    }
}

#[test]
fn windowed_streams_join_window_by_window() {
    let sources = "
        create stream l (k string key, v int) with (kafka_topic='l', value_format='json', window_type='tumbling', window_size='10 milliseconds');
        create stream r (k string key, w int) with (kafka_topic='r', value_format='json', window_type='tumbling', window_size='10 milliseconds');";
    let mut world = World::of(&format!(
        "{sources}create stream o as select l.k, v, w, l.windowstart as ws from l left join r
            within 1 hour grace period 1 hour on l.k = r.k;
         select * from o emit changes;"
    ));
    for record in [
        in_window("l", "x", 0, r#"{"V":1}"#, 5),
        in_window("r", "x", 10, r#"{"W":2}"#, 12),
        in_window("r", "x", 0, r#"{"W":3}"#, 13),
        in_window("l", "x", 10, r#"{"V":4}"#, 14),
    ] {
        world.send(record);
    }
    assert_eq!(
        sink(&world),
        [
            r#"x,0 {"V":1,"W":3,"WS":0}@13"#,
            r#"x,10 {"V":4,"W":2,"WS":10}@14"#
        ]
    );
    // Who reads the windowed sink sees the bounds after the key.
    assert_eq!(
        world.rows,
        [r#"["x", 0, 10, 1, 3, 0]@13"#, r#"["x", 10, 20, 4, 2, 10]@14"#]
    );
    let error = World::of(sources).error(
        "create stream z (k string key, w int) with (kafka_topic='z', value_format='json', window_type='session');
         create stream o as select l.k, v from l join z within 1 hour on l.k = z.k;",
    );
    assert!(error.starts_with("Incompatible windowed sources."), "{error}");
}

#[test]
fn a_windowed_stream_stays_windowed() {
    let mut world = World::of(
        "create stream w (k string key, n bigint) with (kafka_topic='w', value_format='json', window_type='hopping', window_size='10 milliseconds');
         create stream o as select k, n, windowstart as ws, windowend as we from w where n > 1;",
    );
    world.send(in_window("w", "x", 20, r#"{"N":1}"#, 25));
    world.send(in_window("w", "x", 20, r#"{"N":2}"#, 26));
    assert_eq!(sink(&world), [r#"x,20 {"N":2,"WS":20,"WE":30}@26"#]);
}
