use std::process::Command;

use super::*;
use crate::sql::Constraint;
use crate::tables::fixture::TestDatabase;

#[test]
fn a_child_is_seen_with_its_path_arguments_and_parent() {
    let mut child = Command::new("sleep")
        .arg("30")
        .current_dir("/tmp")
        .spawn()
        .unwrap();
    let database = TestDatabase::open();
    let rows = database.rows_once(
        &format!("select * from processes where pid = {}", child.id()),
        |rows| rows.iter().any(|row| row["cmdline"].starts_with("sleep")),
    );
    child.kill().unwrap();
    child.wait().unwrap();
    let [row] = rows.as_slice() else {
        panic!("one row, not {rows:?}")
    };
    assert_eq!(row["name"], "sleep");
    assert!(
        row["path"].ends_with("/sleep") || row["path"].ends_with("coreutils"),
        "{row:?}"
    );
    assert_eq!(row["cmdline"], "sleep 30");
    assert_eq!(row["cwd"], "/tmp");
    assert_eq!(row["root"], "/");
    assert_eq!(row["parent"], std::process::id().to_string());
    assert_eq!(row["on_disk"], "1");
    assert_eq!(row["threads"], "1");
    assert_eq!(row["uid"], rustix::process::getuid().as_raw().to_string());
    assert_eq!(row["egid"], rustix::process::getegid().as_raw().to_string());
    assert!(row["resident_size"].parse::<i64>().unwrap() % 1024 == 0);
    let now = jiff::Timestamp::now().as_second();
    assert!(
        (now - row["start_time"].parse::<i64>().unwrap()).abs() < 60,
        "{row:?}"
    );
}

#[test]
fn who_asks_for_a_parent_has_no_other_process_read() {
    let mut children: Vec<_> = (0..2)
        .map(|_| Command::new("sleep").arg("30").spawn().unwrap())
        .collect();
    let own = i64::from(std::process::id());
    let database = TestDatabase::open();
    let count = |condition: &str| {
        let sql = format!("select path from processes where {condition} and name = 'sleep'");
        // A child takes a moment to become the other program.
        database.rows_once(&sql, |rows| rows.len() == 2).len()
    };
    for condition in [
        format!("parent = {own}"),
        format!("parent = '{own}'"),
        format!("parent = '{own}.0'"),
        format!("parent in ({own}, -7)"),
        format!("parent = {own} and uid = (select uid from processes where pid = {own})"),
    ] {
        assert_eq!(count(&condition), 2, "{condition}");
    }
    assert!(
        database
            .rows(&format!("select pid from processes where parent = {own}.5"))
            .is_empty()
    );
    let joined = database.rows(&format!(
            "select c.pid from processes p join processes c on c.parent = p.pid where p.pid = {own} and c.name = 'sleep'"
        ));
    assert_eq!(joined.len(), 2);
    // What the table itself gives, before SQLite looks at it.
    let table = Processes(Arc::clone(database.shared_machine()));
    let given = |constraints: Vec<Constraint>| -> Vec<i64> {
        let mut rows = RowBuffer::new(COLUMNS.len());
        table.rows(&Scan::new(u64::MAX, constraints), &mut rows).unwrap();
        let parent = |row| match rows.value(row, PARENT) {
            CellValue::Integer(parent) => parent,
            other => panic!("{other:?}"),
        };
        (0..rows.rows()).map(parent).collect()
    };
    let of_parent = |value: &str| Constraint {
        column: PARENT,
        operator: Operator::Equals,
        value: value.as_bytes().to_vec(),
    };
    assert!(given(Vec::new()).iter().any(|parent| *parent != own));
    let narrowed = given(vec![of_parent(&own.to_string())]);
    assert!(narrowed.len() >= 2 && narrowed.iter().all(|parent| *parent == own));
    // And what it is told.
    let told = |condition: &str| {
        let plan = format!("explain query plan select path from processes where {condition}");
        database.rows(&plan)[0]["detail"].contains(&format!("={PARENT},"))
    };
    assert!(told("parent = 1") && !told("parent in (1, 2)") && !told("parent > 1"));
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn a_name_may_hold_parentheses_and_spaces() {
    let mut rows = RowBuffer::new(COLUMNS.len());
    rows.start_row();
    let stat = b"7 (a) (b c) S 1 2 3 0 -1 0 0 0 0 0 250 40 0 0 20 -5 9 0 12345 0 0";
    from_stat(stat, Some(1_000_000), &mut rows).unwrap();
    let value = |column| match rows.value(0, column) {
        crate::sql::CellValue::Integer(value) => value,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (value(PARENT), value(PGROUP), value(USER_TIME), value(SYSTEM_TIME)),
        (1, 2, 2500, 400)
    );
    assert_eq!(
        (value(NICE), value(THREADS), value(START_TIME)),
        (-5, 9, 1_000_123)
    );
    assert!(from_stat(b"7 (cut off", None, &mut rows).is_none());
    assert!(from_stat(b"7 (cut) S 1 2", None, &mut rows).is_none());
}

#[test]
fn a_removed_program_loses_the_kernels_suffix() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("napper");
    std::fs::copy("/bin/sleep", &program).unwrap();
    let mut child = Command::new(&program).arg("30").spawn().unwrap();
    std::fs::remove_file(&program).unwrap();
    let rows = TestDatabase::open().rows(&format!(
        "select path, on_disk from processes where pid = {}",
        child.id()
    ));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(rows[0]["path"], program.to_str().unwrap());
    assert_eq!(rows[0]["on_disk"], "0");
}

#[test]
fn control_group_paths_may_hold_colons() {
    assert_eq!(cgroup_path(b"0::/user.slice/a:b\n"), b"/user.slice/a:b");
    assert_eq!(cgroup_path(b"5:cpu,cpuacct:/x\n4:memory:/y\n"), b"/x");
    assert_eq!(cgroup_path(b""), b"");
}
