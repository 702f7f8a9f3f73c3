//! From a run's rows to acknowledged lines, and only then to what is remembered.

use osquery_protocol::result_log::{Action, DecorationPlace, EncodedRow, Numerics, QueryRun};

use super::{Scheduler, SchedulerError, unix_time};
use crate::differential::{Acknowledged, Beginning, Difference, RunIdentity};
use crate::loggers::{Delivery, Loggers, ResultLine};
use crate::row_encoder::as_text;
use crate::schedule::ScheduledQuery;

/// How many rows of one run are logged before they are remembered: what an agent that is killed logs twice at most.
const REMEMBERED_AT_ONCE: usize = 256;

impl Scheduler {
    pub(super) fn log_snapshot(
        &self,
        query: &ScheduledQuery,
        rows: &[EncodedRow],
        loggers: &Loggers,
    ) -> Result<(), SchedulerError> {
        let run = self.query_run(&query.name, 0);
        if !self.flags().logger_snapshot_event_type {
            let line = ResultLine::Snapshot(run.encoded_snapshot_line(rows));
            return self.deliver(query, &line, loggers).map(drop);
        }
        for row in rows {
            let line = ResultLine::Snapshot(run.encoded_event_line(row, Action::Snapshot));
            if !self.deliver(query, &line, loggers)? {
                break;
            }
        }
        Ok(())
    }

    /// Rows of events are new each time, and each is logged once: nothing is compared and nothing is ever removed.
    pub(super) fn log_events(
        &mut self,
        query: &ScheduledQuery,
        rows: Vec<EncodedRow>,
        last: u64,
        loggers: &Loggers,
    ) -> Result<(), SchedulerError> {
        if rows.is_empty() {
            return Ok(());
        }
        let identity = self.run_identity(query);
        let all = self.differential.events(identity, rows)?;
        let run = self.query_run(&query.name, all.counter);
        let (acknowledged, outcome) = self.log_part(query, &run, &all, loggers);
        if acknowledged == all.whole() {
            self.machine.file_events.acknowledge(&query.name, last);
        }
        if acknowledged != Acknowledged::default() {
            // Only the counter: the rows are never compared with any.
            self.differential
                .commit(identity, &all, Acknowledged::default())?;
        }
        outcome
    }

    pub(super) fn log_difference(
        &mut self,
        query: &ScheduledQuery,
        rows: Vec<EncodedRow>,
        loggers: &Loggers,
    ) -> Result<(), SchedulerError> {
        let identity = self.run_identity(query);
        let difference = self.differential.compare(identity, rows)?;
        if let Some(beginning) = difference.beginning {
            let name = &query.name;
            self.machine.status.info(&match beginning {
                Beginning::New => format!("Storing initial results for new scheduled query: {name}"),
                Beginning::Epoch => format!("New Epoch {} for scheduled query {name}", identity.epoch),
                Beginning::Sql => format!("Scheduled query has been updated: {name}"),
            });
        }
        let run = self.query_run(&query.name, difference.counter);
        let parts = if self.flags().logger_event_type {
            difference.into_parts(REMEMBERED_AT_ONCE)
        } else {
            vec![difference]
        };
        for part in parts {
            let (acknowledged, outcome) = self.log_part(query, &run, &part, loggers);
            // What no logger has acknowledged is left to be found again.
            if acknowledged == part.whole() || acknowledged != Acknowledged::default() {
                self.differential.commit(identity, &part, acknowledged)?;
            }
            outcome?;
            if acknowledged != part.whole() {
                break;
            }
        }
        Ok(())
    }

    /// Logs a part of a run, removed rows first; says how far it came.
    fn log_part(
        &self,
        query: &ScheduledQuery,
        run: &QueryRun,
        part: &Difference,
        loggers: &Loggers,
    ) -> (Acknowledged, Result<(), SchedulerError>) {
        let removed: &[EncodedRow] = if query.removed { &part.removed } else { &[] };
        let is_batch = !self.flags().logger_event_type;
        // As in osquery, the first run of a batch is told also when it is empty.
        let is_first = matches!(part.beginning, Some(Beginning::New | Beginning::Epoch));
        if removed.is_empty() && part.added.is_empty() && !(is_batch && is_first) {
            return (part.whole(), Ok(()));
        }
        let logged = |row: &EncodedRow| match self.numerics() {
            Numerics::AsNumbers => row.clone(),
            Numerics::AsText => as_text(row),
        };
        if is_batch {
            let rows = |rows: &[EncodedRow]| rows.iter().map(logged).collect::<Vec<_>>();
            let line = ResultLine::Event(run.encoded_batch_line(&rows(removed), &rows(&part.added)));
            return match self.deliver(query, &line, loggers) {
                Ok(true) => (part.whole(), Ok(())),
                Ok(false) => (Acknowledged::default(), Ok(())),
                Err(error) => (Acknowledged::default(), Err(error)),
            };
        }
        // Rows that are gone and that nobody wants to hear of need no acknowledgement.
        let mut acknowledged = Acknowledged {
            removed: part.removed.len() - removed.len(),
            added: 0,
        };
        let lines = removed
            .iter()
            .map(|row| (row, Action::Removed))
            .chain(part.added.iter().map(|row| (row, Action::Added)));
        for (row, action) in lines {
            let line = ResultLine::Event(run.encoded_event_line(&logged(row), action));
            match self.deliver(query, &line, loggers) {
                Ok(true) if action == Action::Removed => acknowledged.removed += 1,
                Ok(true) => acknowledged.added += 1,
                Ok(false) => return (acknowledged, Ok(())),
                Err(error) => return (acknowledged, Err(error)),
            }
        }
        (acknowledged, Ok(()))
    }

    /// Returns whether the line was acknowledged; it was not if the agent is to end.
    fn deliver(
        &self,
        query: &ScheduledQuery,
        line: &ResultLine,
        loggers: &Loggers,
    ) -> Result<bool, SchedulerError> {
        match loggers.deliver(line) {
            Delivery::Acknowledged => Ok(true),
            Delivery::CutShort => Ok(false),
            Delivery::GivenUp { reason } => Err(SchedulerError::NotLogged {
                query: query.name.clone(),
                reason,
            }),
        }
    }

    fn run_identity<'query>(&self, query: &'query ScheduledQuery) -> RunIdentity<'query> {
        RunIdentity {
            name: &query.name,
            sql: &query.sql,
            epoch: self.flags().schedule_epoch,
        }
    }

    fn query_run(&self, name: &str, counter: u64) -> QueryRun {
        let flags = self.flags();
        QueryRun {
            name: name.into(),
            host_identifier: self.host_identifier().into(),
            unix_time: unix_time(),
            epoch: flags.schedule_epoch,
            counter,
            numerics: self.numerics(),
            decorations: self.decorations.values().clone(),
            decoration_place: if flags.decorations_top_level {
                DecorationPlace::TopLevel
            } else {
                DecorationPlace::Nested
            },
        }
    }
}
