//! The metrics as Prometheus reads them: its text format, version 0.0.4.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use kafka_protocol::messages::ApiKey;

use crate::groups::coordinator::GroupKind;
use crate::node::Node;
use crate::server::dispatch::SUPPORTED;

/// States that Kafka counts groups by.
const GROUP_STATES: [&str; 5] = [
    "Stable",
    "Empty",
    "PreparingRebalance",
    "CompletingRebalance",
    "Dead",
];

/// In which `/proc` counts processor time, on every machine that Linux runs on today.
const TICKS_A_SECOND: f64 = 100.0;

/// All there is to tell now; takes each partition's lock for a moment.
pub(super) fn metrics(node: &Node) -> String {
    let mut page = Page::default();
    traffic(node, &mut page);
    partitions(node, &mut page);
    page.family(
        "kafka_network_requestmetrics_requests_total",
        "counter",
        "Requests that were answered",
    );
    for supported in SUPPORTED {
        let request = format!("{:?}", supported.key);
        let count = node.requests.of(supported.key);
        page.sample(&[("request", &request)], count);
    }
    let open = node
        .config
        .limits
        .connections
        .saturating_sub(node.connections.available_permits());
    page.family(
        "kafka_server_socketservermetrics_connection_count",
        "gauge",
        "Connections that are open",
    );
    page.sample(&[], open);
    groups(node, &mut page);
    process(&mut page);
    page.text
}

/// Per topic, and over all of them without a label, as Kafka has it.
fn traffic(node: &Node, page: &mut Page) {
    let topics: Vec<(String, [u64; 3])> = node
        .topics
        .all()
        .iter()
        .map(|topic| {
            let mut sum = [0; 3];
            for partition in &topic.partitions {
                for (sum, one) in sum.iter_mut().zip(partition.traffic.so_far()) {
                    *sum += one;
                }
            }
            (topic.name.to_string(), sum)
        })
        .collect();
    let families = [
        ("messagesin", "Records that were written"),
        ("bytesin", "Bytes of batches that were written"),
        ("bytesout", "Bytes of batches that consumers were sent"),
    ];
    for (which, (name, help)) in families.into_iter().enumerate() {
        page.family(
            &format!("kafka_server_brokertopicmetrics_{name}_total"),
            "counter",
            help,
        );
        page.sample(&[], topics.iter().map(|(_, sum)| sum[which]).sum::<u64>());
        for (topic, sum) in &topics {
            page.sample(&[("topic", topic)], sum[which]);
        }
    }
    for (name, key) in [
        ("totalproducerequests", ApiKey::Produce),
        ("totalfetchrequests", ApiKey::Fetch),
    ] {
        let name = format!("kafka_server_brokertopicmetrics_{name}_total");
        page.family(&name, "counter", "Requests that were answered");
        page.sample(&[], node.requests.of(key));
    }
}

fn partitions(node: &Node, page: &mut Page) {
    struct Seen {
        topic: String,
        partition: String,
        values: [u64; 4],
    }
    let (mut seen, mut failed, mut topics) = (Vec::new(), 0_u64, 0_u64);
    for topic in node.topics.all() {
        topics += 1;
        for (partition, index) in topic.partitions.iter().zip(0_u32..) {
            let log = partition.log();
            failed += u64::from(log.has_failed());
            let segments = log.segment_count() as u64;
            let size = log.size();
            drop(log);
            let bounds = partition.bounds();
            let offset = |offset: i64| u64::try_from(offset).unwrap_or(0);
            seen.push(Seen {
                topic: topic.name.to_string(),
                partition: index.to_string(),
                values: [size, segments, offset(bounds.start), offset(bounds.end)],
            });
        }
    }
    let families = [
        ("size", "Bytes of a partition"),
        ("numlogsegments", "Segments of a partition"),
        ("logstartoffset", "The first offset that can be read"),
        ("logendoffset", "The offset of the next record"),
    ];
    for (which, (name, help)) in families.into_iter().enumerate() {
        page.family(&format!("kafka_log_log_{name}"), "gauge", help);
        for one in &seen {
            let labels = [("topic", one.topic.as_str()), ("partition", &one.partition)];
            page.sample(&labels, one.values[which]);
        }
    }
    let count = seen.len() as u64;
    for (name, value, help) in [
        ("kafka_server_replicamanager_partitioncount", count, "Partitions"),
        (
            "kafka_server_replicamanager_leadercount",
            count - failed,
            "Partitions that can be written",
        ),
        (
            "kafka_server_replicamanager_underreplicatedpartitions",
            0,
            "None: there are no replicas",
        ),
        (
            "kafka_server_replicamanager_offlinereplicacount",
            failed,
            "Partitions whose disk has failed",
        ),
        (
            "kafka_controller_kafkacontroller_activecontrollercount",
            1,
            "This one",
        ),
        (
            "kafka_controller_kafkacontroller_offlinepartitionscount",
            failed,
            "Partitions whose disk has failed",
        ),
        (
            "kafka_controller_kafkacontroller_globaltopiccount",
            topics,
            "Topics",
        ),
        (
            "kafka_controller_kafkacontroller_globalpartitioncount",
            count,
            "Partitions",
        ),
    ] {
        page.family(name, "gauge", help);
        page.sample(&[], value);
    }
}

fn groups(node: &Node, page: &mut Page) {
    let listed = node.groups.list();
    let mut states: BTreeMap<&str, u64> = BTreeMap::new();
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    for group in &listed {
        *states.entry(group.state).or_default() += 1;
        *kinds.entry(group.kind.name()).or_default() += 1;
    }
    let name = "kafka_coordinator_group_groupmetadatamanager_numgroups";
    page.family(name, "gauge", "Groups of consumers");
    page.sample(&[], listed.len());
    for state in GROUP_STATES {
        let name = format!("{name}{}", state.to_ascii_lowercase());
        page.family(&name, "gauge", "Groups of consumers in this state");
        page.sample(&[], states.get(state).copied().unwrap_or(0));
    }
    let name = "kafka_server_group_coordinator_metrics_group_count";
    page.family(name, "gauge", "Groups of consumers, by their protocol");
    for kind in [GroupKind::Classic, GroupKind::Consumer].map(GroupKind::name) {
        page.sample(&[("protocol", kind)], kinds.get(kind).copied().unwrap_or(0));
    }
}

/// What the exporter tells of any process, from `/proc`; nothing of what cannot be read there.
fn process(page: &mut Page) {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
    let status = read("status");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = resident.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    if let Some(kibibytes) = resident {
        page.family("process_resident_memory_bytes", "gauge", "Memory that is in use");
        page.sample(&[], kibibytes * 1024);
    }
    // Behind the name, which may hold anything.
    let stat = read("stat");
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: Option<Vec<u64>> = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse().ok())
        .collect();
    if let Some([user, system]) = ticks.as_deref() {
        page.family("process_cpu_seconds_total", "counter", "Processor time");
        let seconds = (user + system) as f64 / TICKS_A_SECOND;
        page.sample(&[], seconds);
    }
}

#[derive(Default)]
struct Page {
    text: String,
    family: String,
}

impl Page {
    /// Begins a family: the samples that follow are its.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a text cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        name.clone_into(&mut self.family);
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(&self.family);
        for (position, (name, label)) in labels.iter().enumerate() {
            let opens = if position == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{opens}{name}=\"{}\"", escaped(label));
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

fn escaped(label: &str) -> String {
    label
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_stays_on_its_line_and_in_its_quotes() {
        let mut page = Page::default();
        page.family("up", "gauge", "Whether it is");
        page.sample(&[("topic", "a\"b\\c\nd"), ("partition", "0")], 1);
        page.sample(&[], 0.5);
        let lines: Vec<&str> = page.text.lines().collect();
        assert_eq!(
            lines[2..],
            [r#"up{topic="a\"b\\c\nd",partition="0"} 1"#, "up 0.5"]
        );
    }
}
