//! What groups of consumers cost the embedded broker: memory for many of them, and the time of a rebalance.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::{PATIENCE, client, create_topic, wire};
use crate::figure::{Figure, Report};
use crate::peers::{Broker, Peer};

/// Groups with one member each.
const GROUPS: u32 = 1_000;
/// Members of the group that is rebalanced.
const MEMBERS: i32 = 20;
/// How often those members ask whether they are to join again: a part of what a rebalance takes.
const HEARTBEAT_MS: &str = "100";

/// Measures the embedded broker alone.
pub(super) fn measure(runs: usize, report: &mut Report) -> Result<()> {
    let (mut memory, mut rebalance) = (Vec::new(), Vec::new());
    for run in 0..runs {
        let broker = Broker::start(Peer::Osqdemo)?;
        let before = broker.resident_mib();
        let members = join_many(&broker).with_context(|| format!("many groups, run {}", run + 1))?;
        memory.push(broker.resident_mib() - before);
        drop(members);
        create_topic(&broker, "shared", MEMBERS)?;
        rebalance.push(last_one_joins(&broker).with_context(|| format!("rebalance, run {}", run + 1))?);
    }
    let name = Peer::Osqdemo.name();
    report.add(Figure::new(format!("{name}: {GROUPS} groups of one member"), "MiB", memory).at_most(20.0));
    report.add(
        Figure::new(
            format!("{name}: rebalance of a group of {MEMBERS}"),
            "s",
            rebalance,
        )
        .at_most(1.0),
    );
    report.note(format!(
        "The rebalance begins when the last of {MEMBERS} consumers subscribes and ends when each has its one partition; they send a heartbeat every {HEARTBEAT_MS} ms."
    ));
    Ok(())
}

/// Members of as many groups, each on a connection of its own.
fn join_many(broker: &Broker) -> Result<Vec<TcpStream>> {
    (0..GROUPS)
        .map(|number| {
            let mut stream = TcpStream::connect(broker.address())?;
            wire::join_alone(&mut stream, &format!("group-{number}"))?;
            Ok(stream)
        })
        .collect()
}

/// Seconds from the subscription of the last member until every one has its partition.
fn last_one_joins(broker: &Broker) -> Result<f64> {
    let member = || -> Result<BaseConsumer> {
        let consumer: BaseConsumer = client(broker)
            .set("group.id", "shared")
            .set("heartbeat.interval.ms", HEARTBEAT_MS)
            .set("partition.assignment.strategy", "range")
            .create()?;
        consumer.subscribe(&["shared"])?;
        Ok(consumer)
    };
    let mut members = (1..MEMBERS).map(|_| member()).collect::<Result<Vec<_>>>()?;
    until_each_reads(&members)?;
    let begun = Instant::now();
    members.push(member()?);
    until_each_reads(&members)?;
    Ok(begun.elapsed().as_secs_f64())
}

/// Polls all members until all partitions are assigned and none of the members is without.
fn until_each_reads(members: &[BaseConsumer]) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut assigned = Vec::new();
        for member in members {
            if let Some(message) = member.poll(Duration::ZERO) {
                message?;
            }
            assigned.push(member.assignment()?.count());
        }
        let all = assigned.iter().sum::<usize>() == usize::try_from(MEMBERS)?;
        if all && assigned.iter().all(|count| *count > 0) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("within {PATIENCE:?} the members were assigned no more than {assigned:?}");
        }
        crate::waiting::leave_alone(Duration::from_millis(1));
    }
}
