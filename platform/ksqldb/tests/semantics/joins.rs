//! Stream–stream joins: windows, times, outer rows, what is kept.
//!
//! Long because the rows are written out record by record, for each kind of join and each place a record can have
//! in time.

use osqdemo_ksqldb::task::{Collector, Task};
use proptest::prelude::*;

use crate::script::{Record, World, input};

const SOURCES: &str = "
    create stream l (id int key, a varchar) with (kafka_topic='l', format='json');
    create stream r (id int key, b varchar) with (kafka_topic='r', format='json');
";

fn world(join: &str) -> World {
    World::of(&format!(
        "{SOURCES} select l.id, a, b from l {join} on l.id = r.id emit changes;"
    ))
}

fn left(time: i64, key: &str, a: &str) -> Record {
    Record::new("l", time, &format!(r#"{{"A":"{a}"}}"#)).keyed(key)
}

fn right(time: i64, key: &str, b: &str) -> Record {
    Record::new("r", time, &format!(r#"{{"B":"{b}"}}"#)).keyed(key)
}

#[test]
fn windows_are_inclusive_and_may_be_lopsided() {
    // A left row joins right rows from 10 ms before it to 20 ms after it.
    let join = "join r within (10 milliseconds, 20 milliseconds)";
    for (left_at, right_at, joins) in [
        (100, 90, true),
        (100, 89, false),
        (100, 120, true),
        (100, 121, false),
    ] {
        for left_first in [true, false] {
            let mut world = world(join);
            let mut records = [left(left_at, "1", "x"), right(right_at, "1", "y")];
            if !left_first {
                records.reverse();
            }
            records.into_iter().for_each(|record| world.send(record));
            assert_eq!(
                world.rows.len(),
                usize::from(joins),
                "{left_at} {right_at} {left_first}"
            );
        }
    }
}

#[test]
fn the_time_is_the_later_one_and_matches_come_in_order_of_time() {
    let mut world = world("join r within 1 minute");
    world.send(right(30, "1", "third"));
    world.send(right(10, "1", "first"));
    world.send(right(20, "1", "second"));
    world.send(right(10, "1", "first again"));
    world.send(right(10, "2", "another key"));
    world.send(left(15, "1", "x"));
    assert_eq!(
        world.rows,
        [
            r#"[1, "x", "first"]@15"#,
            r#"[1, "x", "first again"]@15"#,
            r#"[1, "x", "second"]@20"#,
            r#"[1, "x", "third"]@30"#,
        ]
    );
}

#[test]
fn null_values_join_nothing_and_null_keys_have_no_partner() {
    let without_key = |record: Record| Record { key: None, ..record };
    let without_value = |record: Record| Record {
        value: None,
        ..record
    };
    for (join, expected) in [
        ("join r", &[][..]),
        ("left join r", &[r#"[null, "x", null]@1"#]),
        ("right join r", &[r#"[null, null, "y"]@2"#]),
    ] {
        let mut world = world(&format!("{join} within 1 minute grace period 1 minute"));
        world.send(without_key(left(1, "1", "x")));
        world.send(without_key(right(2, "1", "y")));
        world.send(without_value(left(3, "1", "x")));
        world.send(without_value(right(4, "1", "y")));
        assert_eq!(world.rows, expected, "{join}");
    }
    let mut full = World::of(&format!(
        "{SOURCES} create stream j as select rowkey, a, b from l full outer join r within 1 minute grace period 1 minute
         on l.id = r.id;"
    ));
    full.send(without_key(left(1, "1", "x")));
    full.send(without_key(right(2, "1", "y")));
    assert_eq!(
        full.written_to("J"),
        [r#"null|{"A":"x","B":null}@1"#, r#"null|{"A":null,"B":"y"}@2"#]
    );
}

#[test]
fn a_right_row_without_a_partner_has_the_join_key() {
    let mut world = World::of(&format!(
        "{SOURCES} create stream j as select l.id, a, b from l right join r within 1 minute on l.id = r.id;"
    ));
    world.send(right(1, "7", "y"));
    world.send(left(2, "7", "x"));
    assert_eq!(
        world.written_to("J"),
        [r#"7|{"A":null,"B":"y"}@1"#, r#"7|{"A":"x","B":"y"}@2"#]
    );
}

#[test]
fn an_out_of_order_row_does_not_wait_for_a_window_that_has_passed() {
    let mut world = world("left join r within 5 seconds grace period 1 hour");
    world.send(right(20_000, "9", "x"));
    world.send(left(5_000, "2", "b"));
    assert_eq!(world.rows, [r#"[2, "b", null]@5000"#]);
    // It is kept all the same.
    world.send(right(6_000, "2", "late"));
    assert_eq!(world.rows[1..], [r#"[2, "b", "late"]@6000"#]);
}

#[test]
fn a_row_as_old_as_before_after_and_grace_is_gone() {
    for (age, joins) in [(24, true), (25, false)] {
        let mut world = world("join r within 10 milliseconds grace period 5 milliseconds");
        world.send(left(100, "1", "x"));
        world.send(left(100 + age, "2", "later"));
        world.send(right(100, "1", "y"));
        assert_eq!(world.rows.len(), usize::from(joins), "{age}");
    }
    let mut nothing = world("join r within 0 milliseconds grace period 0 milliseconds");
    nothing.send(left(100, "1", "x"));
    nothing.send(right(100, "1", "y"));
    assert!(nothing.rows.is_empty());
}

#[test]
fn values_in_kafkas_own_format_are_not_joined() {
    let error = World::of(SOURCES).error(
        "create stream k (id int key, b varchar) with (kafka_topic='k', format='kafka');
         create stream j as select l.id, a, b from l join k within 1 hour on l.id = k.id;",
    );
    assert!(
        error.starts_with(
            "Source(s) K are using the 'KAFKA' value format. This format does not yet support JOIN.\n"
        ),
        "{error}"
    );
}

#[test]
fn without_grace_outer_rows_come_at_once() {
    let mut left_join = world("left join r within 1 minute");
    left_join.send(left(1, "1", "x"));
    left_join.send(right(2, "1", "y"));
    left_join.send(right(3, "2", "z"));
    assert_eq!(left_join.rows, [r#"[1, "x", null]@1"#, r#"[1, "x", "y"]@2"#]);
    let mut right_join = world("right join r within 1 minute");
    right_join.send(left(1, "1", "x"));
    right_join.send(right(2, "2", "z"));
    assert_eq!(right_join.rows, [r#"[2, null, "z"]@2"#]);
    let mut full_join = World::of(&format!(
        "{SOURCES} select rowkey, a, b from l full outer join r within 1 minute on l.id = r.id emit changes;"
    ));
    full_join.send(left(1, "1", "x"));
    full_join.send(right(2, "2", "z"));
    full_join.send(right(3, "1", "y"));
    assert_eq!(
        full_join.rows,
        [r#"[1, "x", null]@1"#, r#"[2, null, "z"]@2"#, r#"[1, "x", "y"]@3"#]
    );
}

#[test]
fn with_grace_outer_rows_come_when_the_window_closes() {
    let mut world = world("left join r within 10 milliseconds grace period 5 milliseconds");
    world.send(left(100, "1", "lonely"));
    world.send(left(101, "2", "paired"));
    world.send(right(105, "2", "y"));
    assert_eq!(world.rows, [r#"[2, "paired", "y"]@105"#]);
    // The window of the row at 100 ends at 110 and closes after 115.
    world.send(left(115, "3", "later"));
    assert_eq!(world.rows.len(), 1);
    world.send(left(116, "3", "later"));
    assert_eq!(world.rows[1..], [r#"[1, "lonely", null]@100"#]);
    // A late partner finds the row no longer waiting, and no second outer row comes.
    world.send(right(110, "3", "z"));
    world.send(left(300, "9", "end"));
    assert_eq!(
        world.rows[2..],
        [r#"[3, "later", "z"]@115"#, r#"[3, "later", "z"]@116"#]
    );
}

#[test]
fn a_row_whose_window_has_closed_comes_out_alone_at_once() {
    let mut world = world("left join r within 10 milliseconds grace period 0 milliseconds");
    world.send(left(100, "1", "x"));
    world.send(left(50, "2", "late"));
    assert_eq!(world.rows, [r#"[2, "late", null]@50"#]);
}

#[test]
fn rows_are_kept_as_long_as_a_partner_may_come() {
    let mut world = world("join r within 10 milliseconds grace period 5 milliseconds");
    for time in 0..1000 {
        world.send(left(time, "1", "x"));
        world.send(right(time, "2", "y"));
    }
    let (stored, waiting) = world.stored();
    // Before, after and grace are 25 ms on either side.
    assert!((50..=52).contains(&stored), "{stored}");
    assert_eq!(waiting, 0);
    // Too late for its own side's store, yet it still meets the other side.
    world.send(left(5000, "3", "much later"));
    let (stored, _) = world.stored();
    world.send(left(985, "2", "late"));
    assert_eq!(world.rows.len(), 21);
    assert_eq!(world.stored().0, stored);
}

#[test]
fn without_grace_rows_are_kept_for_a_day() {
    let mut world = world("join r within 1 second");
    let day = 24 * 60 * 60 * 1000;
    world.send(left(1000, "1", "x"));
    world.send(left(day, "9", "y"));
    world.send(right(1500, "1", "z"));
    assert_eq!(world.rows.len(), 1);
    let plan = world.last_plan.as_ref().expect("there is a plan");
    assert_eq!(plan.retention_ms(), Some(day));
}

#[test]
fn restored_rows_are_state_without_output() {
    let mut world = world("left join r within 1 minute grace period 1 minute");
    world.restore(&left(1, "1", "before"));
    world.restore(&right(2, "2", "before"));
    assert!(world.rows.is_empty());
    assert_eq!(world.stored(), (2, 1));
    world.send(right(3, "1", "after"));
    assert_eq!(world.rows, [r#"[1, "before", "after"]@3"#]);
}

#[test]
fn the_filter_comes_after_the_join() {
    let mut world = World::of(&format!(
        "{SOURCES} select a, b from l left join r within 1 minute on r.id = l.id where b is null emit changes;"
    ));
    world.send(right(1, "1", "y"));
    world.send(left(2, "1", "x"));
    world.send(left(3, "2", "z"));
    assert_eq!(world.rows, [r#"["z", null]@3"#]);
}

#[test]
fn three_streams() {
    let mut world = World::of(&format!(
        "{SOURCES}
         create stream t (id int key, c varchar) with (kafka_topic='t', format='json');
         select l.id, a, b, c from l
           join r within 10 seconds on l.id = r.id
           left join t within 10 seconds on t.id = l.id
         emit changes;"
    ));
    world.send(left(1, "1", "x"));
    world.send(Record::new("t", 2, r#"{"C":"w"}"#).keyed("1"));
    world.send(right(3, "1", "y"));
    world.send(right(20_000, "1", "too late"));
    assert_eq!(world.rows, [r#"[1, "x", "y", "w"]@3"#]);
}

#[test]
fn pseudo_columns_of_either_side() {
    let mut world = World::of(&format!(
        "{SOURCES} select l.rowtime, r.rowtime, r.rowpartition, r.rowoffset from l join r within 1 minute on l.id = r.id emit changes;"
    ));
    world.send(left(5, "1", "x"));
    world.send(right(7, "1", "y"));
    assert_eq!(world.rows, ["[5, 7, 0, 0]@7"]);
    let plan = world.last_plan.expect("there is a plan");
    let names: Vec<_> = plan
        .output()
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    assert_eq!(names, ["L_ROWTIME", "R_ROWTIME", "R_ROWPARTITION", "R_ROWOFFSET"]);
}

#[test]
fn star_takes_all_columns_under_their_sources_names() {
    let mut world = World::of(&format!(
        "{SOURCES} create stream j as select * from l join r within 1 minute on l.id = r.id;"
    ));
    world.send(left(1, "1", "x"));
    world.send(right(2, "1", "y"));
    assert_eq!(world.written_to("J"), [r#"1|{"L_A":"x","R_ID":1,"R_B":"y"}@2"#]);
}

#[test]
fn outer_rows_of_both_sides_come_in_the_order_of_their_times() {
    let mut world = World::of(&format!(
        "{SOURCES} select rowkey, a, b from l full join r within (0 milliseconds, 50 milliseconds) grace period 0 milliseconds
         on l.id = r.id emit changes;"
    ));
    // A left row waits for 50 ms, a right row not at all.
    world.send(left(100, "1", "x"));
    world.send(right(110, "2", "y"));
    world.send(right(111, "3", "z"));
    assert_eq!(world.rows, [r#"[2, null, "y"]@110"#]);
    world.send(left(200, "4", "end"));
    assert_eq!(
        world.rows[1..],
        [r#"[1, "x", null]@100"#, r#"[3, null, "z"]@111"#]
    );
    assert_eq!(world.stored().1, 1);
}

/// A join without a grace period keeps a day of rows for late ones, as long as there is room for them.
#[test]
fn rows_for_late_ones_make_room_and_a_window_that_is_too_large_is_told() {
    let plan = |window: &str| {
        let world = world(&format!("join r within {window}"));
        world.last_plan.expect("there is a plan")
    };
    let fill = |window: &str, step: i64| {
        let mut task = Task::with_state_of(&plan(window), 100_000);
        let mut joined = 0;
        for number in 0..20_000 {
            for record in [
                left(number * step, &number.to_string(), "some text"),
                right(number * step, &number.to_string(), "some text"),
            ] {
                let mut collector = Collector::default();
                task.process(input(&record), &mut collector);
                joined += collector.rows.len();
            }
            if task.failure().is_some() {
                break;
            }
        }
        (task.failure(), task.stored_rows().0, joined)
    };
    let (failure, stored, joined) = fill("1 second", 10);
    assert_eq!((failure, joined), (None, 20_000));
    assert!((400..1_500).contains(&stored), "{stored}");
    let (failure, _, _) = fill("1 hour", 10);
    assert!(failure.is_some_and(|reason| reason.contains("hint: a shorter WITHIN")));
}

proptest! {
    #[test]
    fn joins_are_what_their_definition_says(
        records in proptest::collection::vec((any::<bool>(), 0..3_i64, 0..100_i64), 0..40),
        before in 0..40_i64, after in 0..40_i64, kind in 0..4_usize
    ) {
        let (name, keeps_left, keeps_right) = [
            ("inner", false, false), ("left", true, false), ("right", false, true), ("full", true, true),
        ][kind];
        let mut world = World::of(&format!(
            "{SOURCES} select a, b from l {name} join r within ({before} milliseconds, {after} milliseconds)
             grace period 1 second on l.id = r.id emit changes;"
        ));
        for (number, (is_left, key, time)) in records.iter().enumerate() {
            let (key, label) = (key.to_string(), number.to_string());
            world.send(if *is_left { left(*time, &key, &label) } else { right(*time, &key, &label) });
        }
        // Later than any window of the records; its own window stays open.
        world.send(left(10_000, "9", "end"));

        let mut expected = Vec::new();
        // The time when each record comes: a row whose window has passed by then does not wait.
        let times: Vec<i64> = records
            .iter()
            .scan(i64::MIN, |latest, (_, _, time)| {
                *latest = (*latest).max(*time);
                Some(*latest)
            })
            .collect();
        let numbered = || records.iter().enumerate();
        let meets = |(left_key, left_at): (i64, i64), (right_key, right_at): (i64, i64)| {
            left_key == right_key && (left_at - before..=left_at + after).contains(&right_at)
        };
        for (number, (_, key, time)) in numbered().filter(|(_, record)| record.0) {
            let partners: Vec<_> = numbered()
                .filter(|(_, (is_left, other, other_at))| !is_left && meets((*key, *time), (*other, *other_at)))
                .collect();
            for (partner, (_, _, other_at)) in &partners {
                expected.push(format!(r#"["{number}", "{partner}"]@{}"#, time.max(other_at)));
            }
            let had_none = partners.iter().all(|(partner, _)| *partner > number);
            if keeps_left && (partners.is_empty() || had_none && time + after < times[number]) {
                expected.push(format!(r#"["{number}", null]@{time}"#));
            }
        }
        for (number, (_, key, time)) in numbered().filter(|(_, record)| !record.0) {
            let partners: Vec<usize> = numbered()
                .filter(|(_, (is_left, other, other_at))| *is_left && meets((*other, *other_at), (*key, *time)))
                .map(|(partner, _)| partner)
                .collect();
            let had_none = partners.iter().all(|partner| *partner > number);
            if keeps_right && (partners.is_empty() || had_none && time + before < times[number]) {
                expected.push(format!(r#"[null, "{number}"]@{time}"#));
            }
        }
        expected.sort();
        world.rows.sort();
        prop_assert_eq!(world.rows, expected);
    }
}
