//! The proof: everything is read, compared until nothing is on its way any more, and told.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Ground, Inflicted, LOOK, Run};
use crate::chaos::check::{self, Checked, DEAD_LETTERS, Evidence, Finding, FindingKind, Repeats};
use crate::chaos::fault::{FaultKind, Round};
use crate::chaos::history::{Line, Row};
use crate::chaos::join;
use crate::chaos::model::Stream;
use crate::chaos::report::{ChaosReport, MOST_FINDINGS, Verdict};
use crate::chaos::work::{Told, Work};
use crate::engine::HostExec;
use crate::error::Result;
use crate::events::SCHEMA_VERSION;
use crate::kafka;
use crate::stack::Role;
use crate::waiting::{before_next_try, poll_within};

/// How long what is on its way may take to arrive, once everything is well.
const SETTLED_WITHIN: Duration = Duration::from_secs(90);

/// How long a broker may take to have read the groups that it had before it was killed.
const GROUPS_READ_WITHIN: Duration = Duration::from_secs(30);

/// What the group of a persistent query has in its name.
const PERSISTENT_QUERY: &str = "query_C";

/// The topics that the streams are in.
pub(super) fn sinks() -> Vec<String> {
    Stream::ALL.map(|stream| stream.sink().to_owned()).to_vec()
}

/// The topics that the hosts write to.
pub(super) fn sources<E>(ground: &Ground<'_, E>) -> Vec<String> {
    let topics = ground.topics.iter().cloned();
    topics.chain([DEAD_LETTERS.to_owned()]).collect()
}

impl<E: HostExec> Run<'_, E> {
    /// Positions only grow, and those of persistent queries stay. A broker that does not answer just now is asked again
    /// after the next fault. Says whether it answered.
    pub(super) async fn compare_positions(&self, inflicted: &mut Inflicted) -> bool {
        let known: Vec<_> = inflicted
            .positions
            .keys()
            .filter(|(group, ..)| group.contains(PERSISTENT_QUERY))
            .cloned()
            .collect();
        let cluster = &self.ground.endpoints.kafka;
        let look = || async {
            let positions = kafka::positions(cluster).await.ok()?;
            let is_there = |(group, topic, partition): &(String, String, i32)| {
                positions.iter().any(|position| {
                    (&position.group, &position.topic, position.partition) == (group, topic, *partition)
                })
            };
            known.iter().all(is_there).then_some(positions)
        };
        // A broker that has just begun reads its groups from its log, and Apache Kafka lists none until it has.
        let positions = match poll_within(GROUPS_READ_WITHIN, LOOK / 4, look).await {
            Some(positions) => positions,
            None => match kafka::positions(cluster).await {
                Ok(positions) => positions,
                Err(_) => return false,
            },
        };
        let round = inflicted.rounds.last().map(|round| round.number);
        let mut found = |what| {
            inflicted.findings.push(Finding {
                kind: FindingKind::PositionWentBack,
                what,
                time_ms: Timestamp::now().as_millisecond(),
                round,
            });
        };
        let mut gone = std::mem::take(&mut inflicted.positions);
        for position in positions {
            let key = (position.group, position.topic, position.partition);
            inflicted.positions_compared += 1;
            if let Some(before) = gone.remove(&key).filter(|before| *before > position.offset) {
                found(format!(
                    "group `{}` had committed {before} of `{}`, and then {}",
                    key.0, key.1, position.offset
                ));
            }
            inflicted.positions.insert(key, position.offset);
        }
        for ((group, topic, _), before) in gone {
            // Other groups go with who read in them.
            if group.contains(PERSISTENT_QUERY) {
                found(format!(
                    "group `{group}` had committed {before} of `{topic}`, and then nothing"
                ));
            }
        }
        true
    }

    /// What these faults explain that is there more than once.
    pub(super) fn repeats(&self, rounds: &[Round]) -> Repeats {
        let mut repeats = Repeats::default();
        for round in rounds {
            if round.kind == FaultKind::Supervisor {
                // All services were killed.
                (repeats.lines, repeats.rows) = (true, true);
                let workers = self.ground.workers.iter();
                repeats
                    .hosts
                    .extend(workers.map(|worker| worker.identifier.clone()));
            }
            let service = &round.target.service;
            match self
                .ground
                .stack
                .service(service.as_str())
                .map(|service| service.role)
            {
                Some(Role::Broker) => (repeats.lines, repeats.rows) = (true, true),
                Some(Role::Ksqldb) => repeats.rows = true,
                Some(Role::Host) => {
                    let workers = self.ground.workers.iter();
                    let worker = workers.filter(|worker| worker.service == *service);
                    repeats
                        .hosts
                        .extend(worker.map(|worker| worker.identifier.clone()));
                }
                _ => {}
            }
        }
        repeats
    }

    /// Reads everything and compares it, until nothing is on its way any more.
    pub(super) async fn settled(&self, mut evidence: Evidence) -> Result<Checked> {
        let deadline = Instant::now() + SETTLED_WITHIN;
        loop {
            self.read(&mut evidence).await?;
            if evidence.due.is_empty() {
                evidence.require_all();
            }
            let checked = check::check(&evidence);
            let is_waiting = checked.findings.iter().any(|finding| finding.kind.may_pass());
            if !is_waiting || Instant::now() >= deadline || self.is_interrupted() {
                return Ok(checked);
            }
            before_next_try(LOOK).await;
        }
    }

    async fn read(&self, evidence: &mut Evidence) -> Result<()> {
        let servers = &self.ground.endpoints.kafka;
        evidence.lines.clear();
        evidence.rows.clear();
        // Rows first: whatever made them is in the lines that are read after them.
        let sinks = sinks();
        let rows = kafka::read_all(servers, &sinks, |record| {
            let stream = Stream::ALL
                .into_iter()
                .find(|stream| stream.sink() == record.topic);
            stream.map(|stream| (stream, Row::read(record, stream.columns())))
        });
        for (stream, row) in rows.await?.into_iter().flatten() {
            evidence.rows.entry(stream).or_default().push(row);
        }
        let joined = [self.query.topic().to_owned()];
        evidence.joined =
            kafka::read_all(servers, &joined, |record| Row::read(record, &join::COLUMNS)).await?;
        let sources = sources(self.ground);
        for line in kafka::read_all(servers, &sources, Line::read).await? {
            let topic = line.place.topic.clone();
            evidence.lines.entry(topic).or_default().push(line);
        }
        Ok(())
    }

    pub(super) fn report(&self, inflicted: Inflicted, mut work: Vec<Work>, checked: Checked) -> ChaosReport {
        let mut findings = inflicted.findings;
        for host in &mut work {
            findings.append(&mut host.findings);
        }
        findings.extend(checked.findings);
        findings.sort_by_key(|finding| (finding.time_ms, finding.kind));
        let findings_in_all = u64::try_from(findings.len()).unwrap_or(u64::MAX);
        findings.truncate(MOST_FINDINGS);
        for finding in &mut findings {
            let before = inflicted.times.partition_point(|time| *time <= finding.time_ms);
            let round = before.checked_sub(1).and_then(|at| inflicted.rounds.get(at));
            finding.round = finding.round.or(round.map(|round| round.number));
        }
        ChaosReport {
            schema_version: SCHEMA_VERSION,
            verdict: if self.is_interrupted() {
                Verdict::Interrupted
            } else if findings.is_empty() {
                Verdict::Passed
            } else {
                Verdict::Failed
            },
            seed: self.course.seed,
            faults: self.course.kinds.clone(),
            rounds: inflicted.rounds,
            elapsed_ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            work,
            hosts: checked.hosts,
            streams: checked.streams,
            recoveries: inflicted.stopwatch.recoveries(),
            positions_compared: inflicted.positions_compared,
            findings,
            findings_in_all,
            smallest_prefix: None,
        }
    }
}

impl Evidence {
    /// Everything up to these lines must be there. A finding when they have no names.
    pub(super) fn require(&mut self, told: &Told) -> Option<Finding> {
        for line in [&told.file, &told.process] {
            let Some(stamp) = &line.print.stamp else {
                return Some(Finding {
                    kind: FindingKind::LineLost,
                    what: format!(
                        "the lines of {} carry no `osqdemo-spool` and `osqdemo-seq`, so that a lost one cannot be told",
                        line.host.as_deref().unwrap_or("?")
                    ),
                    time_ms: line.time_ms,
                    round: None,
                });
            };
            let last = self.last.entry(stamp.spool.clone()).or_insert(stamp.seq);
            *last = stamp.seq.max(*last);
        }
        None
    }
}
