//! The one thread that does the work: each second it runs the queries that are due and hands their lines to the loggers.
//!
//! For each row that came or went: log it, have it acknowledged, remember it, in that order, removed rows before added
//! ones.

mod configuration;
mod results;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use osquery_configuration::Findings;
use osquery_protocol::result_log::{EncodedRow, Numerics};
use osquery_resident_set::ResidentSet;

use crate::config_source::ConfigSource;
use crate::cpu_time::CpuTime;
use crate::decorations::Decorations;
use crate::differential::Differential;
use crate::flags::{CommandLine, Flags};
use crate::identity::Identity;
use crate::loggers::Loggers;
use crate::result_store::StoreError;
use crate::row_encoder::{Escaping, RowEncoder};
use crate::schedule::{Schedule, ScheduledQuery, is_due};
use crate::shutdown::Shutdown;
use crate::sql::{Database, QueryError, TextRows};
use crate::tables::Machine;
use crate::underway::{DENIED_FOR, Underway};

/// How often the agent's own lines are handed to the loggers that want them.
const RELAY_STATUS: u64 = 3;
/// How often the agent looks whether it has memory that it does not need: after a query of many rows, say.
const LOOK_AT_MEMORY: u64 = 5;

/// The schedule and everything it needs.
pub(crate) struct Scheduler {
    pub(crate) line: CommandLine,
    pub(crate) machine: Arc<Machine>,
    pub(crate) database: Arc<Mutex<Database>>,
    pub(crate) identity: Identity,
    pub(crate) source: Box<dyn ConfigSource>,
    pub(crate) differential: Differential,
    pub(crate) shutdown: Shutdown,
    underway: Underway,
    schedule: Schedule,
    decorations: Decorations,
    sources: Option<BTreeMap<String, String>>,
    /// What of the configuration counts for nothing.
    findings: Findings,
    next_refresh: Option<i64>,
    /// What has been said once about a query is not said again until the configuration changes.
    reported: HashSet<(String, String)>,
}

/// The parts a scheduler is made of.
pub(crate) struct Parts {
    pub(crate) line: CommandLine,
    pub(crate) machine: Arc<Machine>,
    pub(crate) database: Arc<Mutex<Database>>,
    pub(crate) identity: Identity,
    pub(crate) source: Box<dyn ConfigSource>,
    pub(crate) differential: Differential,
    pub(crate) shutdown: Shutdown,
}

/// Why the schedule has ended by itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SchedulerError {
    #[error("error logging the results of query {query}: {reason}")]
    NotLogged { query: String, reason: String },
    #[error("error adding new results to the database: {source}")]
    Store {
        #[from]
        source: StoreError,
    },
}

impl Scheduler {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts {
            line,
            machine,
            database,
            identity,
            source,
            differential,
            shutdown,
        } = parts;
        Self {
            line,
            machine,
            database,
            identity,
            source,
            differential,
            shutdown,
            underway: Underway::default(),
            schedule: Schedule::default(),
            decorations: Decorations::default(),
            sources: None,
            findings: Findings::new(),
            next_refresh: None,
            reported: HashSet::new(),
        }
    }

    pub(crate) fn flags(&self) -> &Flags {
        &self.line.flags
    }

    /// The sources the schedule was built from.
    pub(crate) fn sources(&self) -> Option<&BTreeMap<String, String>> {
        self.sources.as_ref()
    }

    pub(crate) fn host_identifier(&self) -> String {
        self.identity.host_identifier(self.flags())
    }

    /// Keeps in the folder of the state which query is under way. One that was when the agent before was killed is not run
    /// for a day.
    pub(crate) fn watch_for_kills(&mut self, folder: &std::path::Path) {
        let (underway, killed) = Underway::open(folder);
        self.underway = underway;
        let store = self.differential.store();
        if let Some(name) = killed {
            self.underway.end();
            self.machine.status.warning(&format!(
                "Scheduled query may have failed: {name}; it is not run for a day, because the agent was killed under it"
            ));
            let until = unix_time() + DENIED_FOR;
            if let Err(error) = store.set_setting(&denied_key(&name), &until.to_string()) {
                self.machine.status.warning(&error.to_string());
            }
        }
        self.deny();
    }

    /// Marks the queries that are not to be run.
    fn deny(&mut self) {
        let now = unix_time();
        for pack in &mut self.schedule.packs {
            for query in &mut pack.queries {
                let kept = self.differential.store().setting(&denied_key(&query.name));
                let until = kept.ok().flatten().and_then(|until| until.parse::<i64>().ok());
                query.performance.denylisted |= until.is_some_and(|until| until > now);
            }
        }
        let status = self.schedule.status();
        self.machine.agent.update(|agent| agent.schedule = status);
    }

    /// Runs the schedule until the agent is to end.
    pub(crate) fn run(
        &mut self,
        loggers: &Loggers,
        resident_set: &mut ResidentSet,
    ) -> Result<(), SchedulerError> {
        let started = Instant::now();
        let mut now = unix_time();
        let mut previous = now - 1;
        while !self.shutdown.is_requested() {
            self.run_due(now, previous, loggers)?;
            self.machine.file_events.collect(&self.machine.status);
            let database = Arc::clone(&self.database);
            self.decorations
                .at(now, previous, &lock(&database), &self.machine.status);
            if is_due(now, previous, RELAY_STATUS) {
                loggers.relay_status(&self.host_identifier());
            }
            if self.next_refresh.is_some_and(|refresh| now >= refresh) {
                self.load_config();
            }
            if is_due(now, previous, LOOK_AT_MEMORY) {
                resident_set.tend(true);
            }
            let timeout = self.flags().schedule_timeout;
            if timeout > 0 && started.elapsed() >= Duration::from_secs(timeout) {
                break;
            }
            previous = now;
            now = self.next_second(now);
            // A clock that was set back must not silence the schedule until it has caught up.
            if now < previous {
                previous = now - 1;
            }
        }
        loggers.relay_status(&self.host_identifier());
        Ok(())
    }

    /// Waits for the second after `now`, unless it has passed already.
    fn next_second(&self, now: i64) -> i64 {
        let clock = osqdemo_clock::timestamp();
        if clock.as_second() == now {
            let rest =
                1_000_000_000_u64.saturating_sub(u64::try_from(clock.subsec_nanosecond()).unwrap_or(0));
            self.shutdown.wait(Duration::from_nanos(rest));
            // A timer may fire a moment early by the wall clock.
            return unix_time().max(now + 1);
        }
        clock.as_second()
    }

    fn run_due(&mut self, now: i64, previous: i64, loggers: &Loggers) -> Result<(), SchedulerError> {
        for pack in 0..self.schedule.packs.len() {
            if !self.is_discovered(pack, now) {
                continue;
            }
            for query in 0..self.schedule.packs[pack].queries.len() {
                let scheduled = &self.schedule.packs[pack].queries[query];
                if scheduled.performance.denylisted || !is_due(now, previous, scheduled.splayed_interval) {
                    continue;
                }
                if self.shutdown.is_requested() {
                    return Ok(());
                }
                let mut scheduled = scheduled.clone();
                self.launch(&mut scheduled, loggers)?;
                self.schedule.packs[pack].queries[query].performance = scheduled.performance;
                self.machine.agent.update(|agent| {
                    if let Some(status) = agent
                        .schedule
                        .iter_mut()
                        .find(|status| status.name == scheduled.name)
                    {
                        status.performance = scheduled.performance;
                    }
                });
            }
        }
        Ok(())
    }

    /// Whether all of a pack's discovery queries have rows; the answer holds for `--pack_refresh_interval`.
    fn is_discovered(&mut self, pack: usize, now: i64) -> bool {
        let refresh = i64::try_from(self.flags().pack_refresh_interval).unwrap_or(i64::MAX);
        let pack = &mut self.schedule.packs[pack];
        if pack.discovery.is_empty() {
            return true;
        }
        if let Some((at, active)) = pack.discovered
            && (0..refresh).contains(&(now - at))
        {
            pack.status.discovery_cache_hits += 1;
            return active;
        }
        let database = lock(&self.database);
        let status = &self.machine.status;
        let active = pack.discovery.iter().all(|query| {
            let mut rows = TextRows::default();
            match database.query(query, &mut rows) {
                Ok(()) => !rows.into_rows().is_empty(),
                Err(error) => {
                    status.warning(&format!("Discovery query failed ({query}): {error}"));
                    false
                }
            }
        });
        pack.discovered = Some((now, active));
        pack.status.discovery_executions += 1;
        pack.status.is_active = active;
        let packs = self.schedule.pack_status();
        self.machine.agent.update(|agent| agent.packs = packs);
        active
    }

    fn launch(&mut self, query: &mut ScheduledQuery, loggers: &Loggers) -> Result<(), SchedulerError> {
        let status = self.machine.status.clone();
        status.verbose(&|| format!("Executing scheduled query {}: {}", query.name, query.sql));
        if !self.flags().disable_decorators {
            self.decorations.before_query(&lock(&self.database), &status);
        }
        let outcome = self.execute(query);
        let events = self.machine.file_events.end();
        let rows = match outcome {
            Ok(rows) => rows,
            Err(error) => {
                // One that ran out of time would take all other queries' time again and again.
                query.performance.denylisted = matches!(error, QueryError::TooLong { .. });
                self.report(&query.name, &error);
                return Ok(());
            }
        };
        if query.snapshot {
            return self.log_snapshot(query, &rows, loggers);
        }
        if let Some(last) = events {
            return self.log_events(query, rows, last, loggers);
        }
        self.log_difference(query, rows, loggers)
    }

    /// Runs a query and measures it.
    fn execute(&self, query: &mut ScheduledQuery) -> Result<Vec<EncodedRow>, QueryError> {
        // Rows that are compared hold numbers as numbers, however they are logged: a changed `--logger_numerics` changes
        // no row.
        let mut encoder = if query.snapshot {
            RowEncoder::new(self.numerics(), Escaping::Raw)
        } else {
            RowEncoder::new(Numerics::AsNumbers, Escaping::Escaped)
        };
        let (started, before) = (Instant::now(), CpuTime::of_this_thread(&self.machine.proc));
        self.underway.begin(&query.name);
        self.machine.file_events.begin(&query.name);
        let outcome = lock(&self.database).query(&query.sql, &mut encoder);
        self.underway.end();
        outcome?;
        let cpu = CpuTime::of_this_thread(&self.machine.proc).since(before);
        let wall = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let size: usize = encoder.rows.iter().map(|row| row.as_bytes().len()).sum();
        let performance = &mut query.performance;
        performance.executions += 1;
        performance.last_executed = unix_time();
        performance.output_size += u64::try_from(size).unwrap_or(0);
        performance.wall_time_ms += wall;
        performance.last_wall_time_ms = wall;
        performance.user_time_ms += cpu.user_ms;
        performance.last_user_time_ms = cpu.user_ms;
        performance.system_time_ms += cpu.system_ms;
        performance.last_system_time_ms = cpu.system_ms;
        Ok(encoder.rows)
    }

    fn numerics(&self) -> Numerics {
        if self.flags().logger_numerics {
            Numerics::AsNumbers
        } else {
            Numerics::AsText
        }
    }

    /// A query that cannot run is an error once, in osqueryd's words, and the schedule goes on.
    fn report(&mut self, query: &str, error: &QueryError) {
        let message = error.to_string();
        if self.reported.insert((query.to_owned(), message.clone())) {
            self.machine
                .status
                .error(&format!("Error executing scheduled query {query}: {message}"));
        }
    }
}

/// Under which a denied query is kept, with the second from which it may run again.
fn denied_key(query: &str) -> String {
    format!("denied.{query}")
}

fn lock(database: &Mutex<Database>) -> MutexGuard<'_, Database> {
    database.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unix_time() -> i64 {
    osqdemo_clock::timestamp().as_second()
}
