//! From a run's rows to acknowledged lines, and only then to what is remembered.

use osquery_protocol::result_log::{Action, DecorationPlace, EncodedRow, QueryRun};

use super::{Scheduler, SchedulerError, unix_time};
use crate::differential::{Acknowledged, Beginning, RunIdentity};
use crate::loggers::{Delivery, Loggers, ResultLine};
use crate::schedule::ScheduledQuery;

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

    pub(super) fn log_difference(
        &mut self,
        query: &ScheduledQuery,
        rows: Vec<EncodedRow>,
        loggers: &Loggers,
    ) -> Result<(), SchedulerError> {
        let numerics = self.flags().logger_numerics;
        let identity = RunIdentity {
            name: &query.name,
            sql: &query.sql,
            numerics,
            epoch: self.flags().schedule_epoch,
        };
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
        let removed: &[EncodedRow] = if query.removed { &difference.removed } else { &[] };
        let all = Acknowledged {
            removed: difference.removed.len(),
            added: difference.added.len(),
        };
        if removed.is_empty() && difference.added.is_empty() {
            self.differential.commit(identity, &difference, all)?;
            return Ok(());
        }
        let (acknowledged, outcome) = if self.flags().logger_event_type {
            self.log_events(query, &run, removed, &difference.added, loggers, all)
        } else {
            let line = ResultLine::Event(run.encoded_batch_line(removed, &difference.added));
            match self.deliver(query, &line, loggers) {
                Ok(true) => (all, Ok(())),
                Ok(false) => (Acknowledged { removed: 0, added: 0 }, Ok(())),
                Err(error) => (Acknowledged { removed: 0, added: 0 }, Err(error)),
            }
        };
        // What no logger has acknowledged is left to be found again.
        if acknowledged != (Acknowledged { removed: 0, added: 0 }) {
            self.differential.commit(identity, &difference, acknowledged)?;
        }
        outcome
    }

    /// One line a row, removed rows first; says how far it came.
    fn log_events(
        &self,
        query: &ScheduledQuery,
        run: &QueryRun,
        removed: &[EncodedRow],
        added: &[EncodedRow],
        loggers: &Loggers,
        all: Acknowledged,
    ) -> (Acknowledged, Result<(), SchedulerError>) {
        let lines = removed
            .iter()
            .map(|row| (row, Action::Removed))
            .chain(added.iter().map(|row| (row, Action::Added)));
        // Rows that are gone and not to be logged count as acknowledged once the others are under way.
        let mut acknowledged = Acknowledged {
            removed: all.removed - removed.len(),
            added: 0,
        };
        for (row, action) in lines {
            let line = ResultLine::Event(run.encoded_event_line(row, action));
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
