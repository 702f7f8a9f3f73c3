//! What the shipped statements mean, on the real broker and the real ksqlDB server: which pairs of a process
//! and a file the original's join finds, which the precise one, and why they differ.

#[path = "scenario/stack.rs"]
mod stack;

use std::collections::BTreeSet;
use std::time::Duration;

use osqdemo::ksqldb::rows::Item;
use osqdemo::ksqldb::session::Session;
use osqdemo::ksqldb::statement::Statement;
use osqdemo::ksqldb::{Client, shipped};
use osqdemo::scenario::observation::JoinedRow;
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::{Value, json};
use stack::TestStack;
use tokio::time;

const DEADLINE: Duration = Duration::from_secs(30);
/// Some time; all times below are relative to it, in seconds.
const NOW: i64 = 1_795_495_590_000;
const MINUTE: i64 = 60;
/// The file that every test ends with: when its row is there, so is everything before it.
const LAST: &str = "/home/jay/last";

struct Hosts {
    stack: TestStack,
    producer: FutureProducer,
}

impl Hosts {
    async fn start() -> Self {
        let stack = TestStack::start().await;
        let producer = ClientConfig::new()
            .set("bootstrap.servers", stack.endpoints().kafka.bootstrap_servers)
            .create()
            .expect("a producer");
        Self { stack, producer }
    }

    async fn line(&self, query: &str, host: &str, seconds: i64, action: &str, columns: Value) {
        let line = json!({
            "name": query, "hostIdentifier": host, "calendarTime": "", "unixTime": NOW / 1000 + seconds,
            "epoch": 0, "counter": 1, "numerics": false, "columns": columns, "action": action
        })
        .to_string();
        let record = FutureRecord::to(query)
            .key(host)
            .payload(&line)
            .timestamp(NOW + seconds * 1000);
        self.producer
            .send(record, DEADLINE)
            .await
            .expect("the broker takes it");
    }

    async fn process(&self, host: &str, seconds: i64, pid: &str, name: &str) {
        let columns = json!({"pid": pid, "name": name, "path": format!("/usr/bin/{name}")});
        self.line("processes", host, seconds, "added", columns).await;
    }

    async fn file(&self, host: &str, seconds: i64, pid: &str, path: &str) {
        let columns = json!({"pid": pid, "fd": "1", "path": path});
        self.line("open_files", host, seconds, "added", columns).await;
    }

    /// The rows of both joins, without repetitions, as `host process file`.
    async fn rows(self) -> (BTreeSet<String>, BTreeSet<String>) {
        self.process("host9", 0, "999", "last").await;
        self.file("host9", 0, "999", LAST).await;
        let original = self.rows_of(&shipped::original_query()).await;
        let precise = self.rows_of(&shipped::precise_query()).await;
        self.stack.stop().await;
        (original, precise)
    }

    async fn rows_of(&self, query: &Statement) -> BTreeSet<String> {
        let client = Client::of(&self.stack.endpoints().ksqldb).expect("a URL");
        let mut stream = client
            .query(query, &Session::from_earliest())
            .await
            .expect("the query is accepted");
        let mut rows = BTreeSet::new();
        let reading = async {
            loop {
                match stream.next().await.expect("rows") {
                    Some(Item::Row(row)) => {
                        let row = JoinedRow::read(&row).expect("host, process and file");
                        if row.file == LAST {
                            return;
                        }
                        rows.insert(format!("{} {} {}", row.host, row.proc, row.file));
                    }
                    Some(_) => {}
                    None => panic!("the query ended"),
                }
            }
        };
        time::timeout(DEADLINE, reading)
            .await
            .expect("the last row comes");
        rows
    }
}

fn set(rows: &[&str]) -> BTreeSet<String> {
    rows.iter().map(|row| (*row).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_logged_long_before_its_file_is_found_by_the_precise_join_only() {
    let hosts = Hosts::start().await;
    hosts.process("host2", -61 * MINUTE, "3", "ancient").await;
    hosts.process("host2", -30 * MINUTE, "7", "postgres").await;
    hosts.file("host2", -10, "3", "/home/jay/ancient").await;
    hosts.file("host2", 0, "7", "/home/jay/table").await;
    // The two schedules are independent: the file may be logged first.
    hosts.file("host2", -40, "8", "/home/jay/fresh").await;
    hosts.process("host2", -5, "8", "head").await;
    let (original, precise) = hosts.rows().await;
    let fresh = "host2 /usr/bin/head /home/jay/fresh";
    assert_eq!(original, set(&[fresh]));
    assert_eq!(precise, set(&[fresh, "host2 /usr/bin/postgres /home/jay/table"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pid_of_another_host_misleads_the_original_only() {
    let hosts = Hosts::start().await;
    hosts.process("host1", -2, "7", "sshd").await;
    hosts.process("host2", -2, "7", "head").await;
    hosts.file("host2", -1, "7", "/home/jay/myfile").await;
    let (original, precise) = hosts.rows().await;
    let right = "host2 /usr/bin/head /home/jay/myfile";
    assert_eq!(original, set(&["host1 /usr/bin/sshd /home/jay/myfile", right]));
    assert_eq!(precise, set(&[right]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ended_is_not_blamed_by_the_precise_join() {
    let hosts = Hosts::start().await;
    let ended = json!({"pid": "7", "name": "cat", "path": "/usr/bin/cat"});
    hosts.line("processes", "host2", -3, "removed", ended).await;
    hosts.process("host2", -2, "7", "head").await;
    hosts.file("host2", -1, "7", "/home/jay/myfile").await;
    let (original, precise) = hosts.rows().await;
    let right = "host2 /usr/bin/head /home/jay/myfile";
    assert_eq!(original, set(&["host2 /usr/bin/cat /home/jay/myfile", right]));
    assert_eq!(precise, set(&[right]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_out_is_osquery_itself_and_what_is_no_file() {
    let hosts = Hosts::start().await;
    for (pid, name) in [("1", "osqueryd"), ("2", "python"), ("3", "bash"), ("4", "head")] {
        hosts.process("host2", -2, pid, name).await;
    }
    // Those of this pipeline, under the names that they have in a container and as processes: the original does not know
    // them.
    let own = [
        ("5", "osqdemo-agent"),
        ("6", "confluent.ext"),
        ("7", "confluent-ext"),
        ("8", "osqdemo"),
    ];
    for (pid, name) in own {
        hosts.process("host2", -2, pid, name).await;
        hosts.file("host2", -1, pid, &format!("/home/jay/{pid}")).await;
    }
    hosts.file("host2", -1, "1", "/var/lib/database").await;
    hosts.file("host2", -1, "2", "/home/jay/notebook").await;
    hosts.file("host2", -1, "3", "/home/jay/script").await;
    hosts.file("host2", -1, "4", "/home/jay/osquery.txt").await;
    hosts.file("host2", -1, "4", "/dev/urandom").await;
    hosts.file("host2", -1, "4", "/proc/meminfo").await;
    hosts.file("host2", -1, "4", "").await;
    // Lines without the columns, and without columns at all.
    hosts
        .line("open_files", "host2", -1, "added", json!({"pid": "4"}))
        .await;
    hosts.line("open_files", "host2", -1, "added", Value::Null).await;
    hosts
        .line("processes", "host2", -1, "added", json!({"pid": "4"}))
        .await;
    let (original, precise) = hosts.rows().await;
    let of_own = own.map(|(pid, name)| format!("host2 /usr/bin/{name} /home/jay/{pid}"));
    assert_eq!(original, set(&of_own.each_ref().map(String::as_str)));
    assert_eq!(
        precise,
        set(&[
            "host2 /usr/bin/bash /home/jay/script",
            "host2 /usr/bin/head /home/jay/osquery.txt",
            "host2 /usr/bin/python /home/jay/notebook",
        ])
    );
}
