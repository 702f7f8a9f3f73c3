//! The original demo's statements, word for word, over osquery's own lines.

use crate::script::{Record, World};

const SOURCES: &str = "
    create stream processes (hostIdentifier varchar, columns map<varchar, varchar>)
      with (kafka_topic='processes', value_format='json');
    create stream open_files (hostIdentifier varchar, columns map<varchar, varchar>)
      with (kafka_topic='open_files', value_format='json');
";

const STREAMS: &str = "
create stream proc as select hostIdentifier as host, COLUMNS['name'] as name, COLUMNS['pid'] as pid, COLUMNS['path'] as path from processes where COLUMNS ['name'] not like '%osqueryd%' and COLUMNS ['name'] <> 'python' and COLUMNS ['name'] <> 'bash';
create stream files as select hostIdentifier as host, COLUMNS ['pid'] as pid, COLUMNS ['path'] as path from OPEN_FILES where COLUMNS['path'] not like '%osquery%' and COLUMNS['path'] not like '/proc/%' and COLUMNS['path'] not like '/dev/%' and len(COLUMNS['path']) <> 0;
";

const JOIN: &str = "
select p.host as host, p.path as proc, f.path as file from proc as p join files as f within 1 minute on (f.pid=p.pid) emit changes;
";

fn process(host: &str, pid: &str, name: &str, path: &str) -> String {
    format!(
        r#"{{"name":"processes","hostIdentifier":"{host}","calendarTime":"Tue Nov 24 05:49:50 2020 UTC","unixTime":1606196990,"epoch":0,"counter":0,"numerics":false,"columns":{{"cmdline":"{name} -c 1G","name":"{name}","path":"{path}","pid":"{pid}","uid":"0"}},"action":"added"}}"#
    )
}

fn file(host: &str, pid: &str, path: &str) -> String {
    format!(
        r#"{{"name":"open_files","hostIdentifier":"{host}","unixTime":1606196990,"columns":{{"fd":"1","path":"{path}","pid":{pid}}},"action":"added"}}"#
    )
}

fn world() -> World {
    World::of(&format!("{SOURCES}{STREAMS}{JOIN}"))
}

#[test]
fn a_process_and_its_file_meet() {
    let mut world = world();
    world.send(
        Record::new(
            "processes",
            1000,
            &process("host2", "42", "head", "/usr/bin/head"),
        )
        .keyed("host2"),
    );
    world.send(Record::new("open_files", 5000, &file("host2", "42", "/home/jay/myfile")).keyed("host2"));
    assert_eq!(
        world.written_to("PROC"),
        [r#"null|{"HOST":"host2","NAME":"head","PID":"42","PATH":"/usr/bin/head"}@1000"#]
    );
    assert_eq!(
        world.written_to("FILES"),
        [r#"null|{"HOST":"host2","PID":"42","PATH":"/home/jay/myfile"}@5000"#]
    );
    assert_eq!(
        world.rows,
        [r#"["host2", "/usr/bin/head", "/home/jay/myfile"]@5000"#]
    );
    assert!(world.log.is_empty(), "{:?}", world.log);
}

#[test]
fn the_filters_drop_what_they_name() {
    let mut world = world();
    for name in ["osqueryd", "/opt/osqueryd-4", "python", "bash"] {
        world.send(Record::new("processes", 0, &process("h", "1", name, "/x")));
    }
    for path in ["/proc/1/fd", "/dev/null", "/var/log/osquery/x", ""] {
        world.send(Record::new("open_files", 0, &file("h", "1", path)));
    }
    assert!(world.written.is_empty(), "{:?}", world.written);
    assert!(world.log.is_empty());
}

#[test]
fn a_line_without_the_column_is_dropped_and_noted() {
    let mut world = world();
    world.send(Record::new(
        "processes",
        0,
        r#"{"hostIdentifier":"h","columns":{"pid":"1"}}"#,
    ));
    world.send(Record::new("processes", 0, r#"{"hostIdentifier":"h"}"#));
    world.send(Record::new("processes", 0, "not JSON"));
    world.send(Record::new("processes", 0, r#"{"columns":["name"]}"#));
    assert!(world.written.is_empty());
    assert_eq!(world.log.len(), 4, "{:?}", world.log);
    assert!(
        world.log[0].contains("LIKE of a value that is null"),
        "{}",
        world.log[0]
    );
    assert!(
        world.log[3]
            .contains("Can't convert type. sourceType: ArrayNode, requiredType: MAP, path: $.COLUMNS"),
        "{}",
        world.log[3]
    );
}

#[test]
fn the_window_is_a_minute_either_way() {
    for (process_at, file_at, joined) in [
        (100_000, 160_000, Some(160_000)),
        (100_000, 160_001, None),
        (160_000, 100_000, Some(160_000)),
        (160_001, 100_000, None),
    ] {
        let mut world = world();
        world.send(Record::new(
            "processes",
            process_at,
            &process("h", "1", "head", "/bin/head"),
        ));
        world.send(Record::new("open_files", file_at, &file("h", "1", "/f")));
        let expected: Vec<String> = joined
            .map(|time| format!(r#"["h", "/bin/head", "/f"]@{time}"#))
            .into_iter()
            .collect();
        assert_eq!(world.rows, expected, "{process_at} {file_at}");
    }
}

#[test]
fn pids_of_two_hosts_collide_as_they_did() {
    let mut world = world();
    world.send(Record::new(
        "processes",
        0,
        &process("host1", "7", "vi", "/bin/vi"),
    ));
    world.send(Record::new(
        "processes",
        1,
        &process("host2", "7", "head", "/bin/head"),
    ));
    world.send(Record::new("open_files", 2, &file("host2", "7", "/f")));
    assert_eq!(
        world.rows,
        [
            r#"["host1", "/bin/vi", "/f"]@2"#,
            r#"["host2", "/bin/head", "/f"]@2"#
        ]
    );
}

#[test]
fn the_precise_join_tells_the_hosts_apart() {
    let mut world = World::of(&format!(
        "{SOURCES}{STREAMS}
         select p.host as host, p.path as proc, f.path as file
         from proc p join files f within 1 minute grace period 1 minute
         on (p.host + '/' + p.pid) = (f.host + '/' + f.pid) emit changes;"
    ));
    world.send(Record::new(
        "processes",
        0,
        &process("host1", "7", "vi", "/bin/vi"),
    ));
    world.send(Record::new(
        "processes",
        1,
        &process("host2", "7", "head", "/bin/head"),
    ));
    world.send(Record::new("open_files", 2, &file("host2", "7", "/f")));
    assert_eq!(world.rows, [r#"["host2", "/bin/head", "/f"]@2"#]);
}
