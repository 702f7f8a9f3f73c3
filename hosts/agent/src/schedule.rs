//! The schedule: which queries there are, and which of them are due at a given second.

use std::collections::HashMap;

use osquery_configuration::Pack;

use crate::agent_status::{PackStatus, Performance, QueryStatus};

/// All queries, pack by pack.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    pub(crate) packs: Vec<ScheduledPack>,
}

/// The queries that run while the pack's discovery queries all have rows.
#[derive(Debug)]
pub(crate) struct ScheduledPack {
    /// As `osquery_packs` shows it.
    pub(crate) status: PackStatus,
    pub(crate) discovery: Vec<String>,
    /// When the discovery queries ran last, and whether the pack runs.
    pub(crate) discovered: Option<(i64, bool)>,
    pub(crate) queries: Vec<ScheduledQuery>,
}

/// A query with the name its lines bear.
#[derive(Debug, Clone)]
pub(crate) struct ScheduledQuery {
    pub(crate) name: String,
    pub(crate) sql: String,
    pub(crate) interval: u64,
    pub(crate) splayed_interval: u64,
    pub(crate) snapshot: bool,
    pub(crate) removed: bool,
    pub(crate) performance: Performance,
}

impl Schedule {
    /// Builds the schedule of a configuration. Queries that were scheduled before keep their counters.
    pub(crate) fn build(
        packs: &[Pack],
        delimiter: &str,
        before: &Self,
        splay: impl Fn(&str, u64) -> u64,
    ) -> Self {
        let counters: HashMap<&str, Performance> = before
            .queries()
            .map(|query| (query.name.as_str(), query.performance))
            .collect();
        let packs = packs
            .iter()
            .map(|pack| ScheduledPack {
                status: PackStatus {
                    name: pack.name.clone(),
                    platform: pack.platform.clone(),
                    version: pack.version.clone(),
                    shard: pack.shard,
                    is_active: pack.discovery.is_empty(),
                    ..PackStatus::default()
                },
                discovery: pack.discovery.clone(),
                discovered: None,
                queries: pack
                    .queries
                    .iter()
                    .map(|query| {
                        let name = pack.query_name(&query.name, delimiter);
                        ScheduledQuery {
                            splayed_interval: splay(&name, query.interval),
                            performance: counters.get(name.as_str()).copied().unwrap_or_default(),
                            sql: query.sql.clone(),
                            interval: query.interval,
                            snapshot: query.snapshot,
                            removed: query.removed,
                            name,
                        }
                    })
                    .collect(),
            })
            .collect();
        Self { packs }
    }

    pub(crate) fn queries(&self) -> impl Iterator<Item = &ScheduledQuery> {
        self.packs.iter().flat_map(|pack| &pack.queries)
    }

    /// The packs as `osquery_packs` shows them: the schedule itself is none.
    pub(crate) fn pack_status(&self) -> Vec<PackStatus> {
        let packs = self.packs.iter().map(|pack| &pack.status);
        packs.filter(|pack| pack.name != "main").cloned().collect()
    }

    /// The schedule as `osquery_schedule` shows it.
    pub(crate) fn status(&self) -> Vec<QueryStatus> {
        self.queries()
            .map(|query| QueryStatus {
                name: query.name.clone(),
                query: query.sql.clone(),
                interval: query.interval,
                performance: query.performance,
            })
            .collect()
    }
}

/// Whether something that happens every `interval` seconds is due at second `now`, when `previous` was the last second
/// that was looked at. Multiples of the interval since 1970 count, so a slow run skips seconds without losing turns.
pub(crate) fn is_due(now: i64, previous: i64, interval: u64) -> bool {
    let Ok(interval) = i64::try_from(interval) else {
        return false;
    };
    interval > 0 && (now - previous >= interval || now % interval <= previous % interval)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use osquery_configuration::QueryDefinition;

    #[test]
    fn a_query_keeps_its_counters_over_a_change_of_the_configuration() {
        let pack = |queries: &[&str]| {
            let mut pack = Pack::named("main");
            pack.queries = queries
                .iter()
                .map(|&name| QueryDefinition {
                    name: name.into(),
                    sql: "select 1".into(),
                    interval: 5,
                    snapshot: false,
                    removed: true,
                })
                .collect();
            pack
        };
        let mut schedule = Schedule::build(&[pack(&["a", "b"])], "_", &Schedule::default(), |_, interval| {
            interval + 1
        });
        schedule.packs[0].queries[1].performance.executions = 7;
        let schedule = Schedule::build(&[pack(&["b", "c"])], "_", &schedule, |_, interval| interval);
        let executions: Vec<_> = schedule
            .status()
            .into_iter()
            .map(|query| (query.name, query.performance.executions))
            .collect();
        assert_eq!(executions, [("b".to_owned(), 7), ("c".to_owned(), 0)]);
        assert_eq!(schedule.queries().next().unwrap().splayed_interval, 5);
    }

    proptest! {
        #[test]
        fn looked_at_each_second_it_is_due_once_an_interval(start in 0i64..1_000_000, interval in 1u64..100) {
            let due = (start..start + i64::try_from(interval).unwrap()).filter(|&now| is_due(now, now - 1, interval)).count();
            prop_assert_eq!(due, 1);
        }

        #[test]
        fn no_turn_is_lost_when_seconds_are_skipped(start in 0i64..1_000_000, skipped in 1i64..300, interval in 1u64..100) {
            let each = (start + 1..=start + skipped).any(|now| is_due(now, now - 1, interval));
            prop_assert_eq!(is_due(start + skipped, start, interval), each);
        }
    }
}
