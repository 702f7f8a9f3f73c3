//! Decorators: queries whose first row is added to each line of results.

use std::collections::BTreeMap;

use osquery_protocol::ByteString;

use crate::schedule::is_due;
use crate::sql::{Database, TextRows};
use crate::status_log::StatusLog;
use osquery_configuration::Decorators;

/// When interval decorators are looked at, as osqueryd has it.
const LOOK: u64 = 60;

/// The decorators of the configuration, and what they have given so far.
#[derive(Debug, Default)]
pub(crate) struct Decorations {
    decorators: Decorators,
    values: BTreeMap<ByteString, ByteString>,
}

impl Decorations {
    /// Takes over the decorators of a new configuration, and runs those for this occasion.
    pub(crate) fn load(decorators: Decorators, database: &Database, status: &StatusLog) -> Self {
        let mut decorations = Self {
            decorators,
            values: BTreeMap::new(),
        };
        let load = decorations.decorators.load.clone();
        decorations.run(&load, database, status);
        // Without this the first lines would lack what interval decorators give until the next full minute.
        let interval: Vec<String> = decorations
            .decorators
            .interval
            .values()
            .flatten()
            .cloned()
            .collect();
        decorations.run(&interval, database, status);
        decorations
    }

    /// Before each scheduled query.
    pub(crate) fn before_query(&mut self, database: &Database, status: &StatusLog) {
        if !self.decorators.always.is_empty() {
            let always = self.decorators.always.clone();
            self.run(&always, database, status);
        }
    }

    /// At each second of the schedule.
    pub(crate) fn at(&mut self, now: i64, previous: i64, database: &Database, status: &StatusLog) {
        if self.decorators.interval.is_empty() || !is_due(now, previous, LOOK) {
            return;
        }
        let due = self
            .decorators
            .interval
            .iter()
            .filter(|&(&interval, _)| is_due(now, previous, interval));
        let queries: Vec<String> = due.flat_map(|(_, queries)| queries.clone()).collect();
        self.run(&queries, database, status);
    }

    pub(crate) fn values(&self) -> &BTreeMap<ByteString, ByteString> {
        &self.values
    }

    fn run(&mut self, queries: &[String], database: &Database, status: &StatusLog) {
        for query in queries {
            let mut rows = TextRows::default();
            if let Err(error) = database.query(query, &mut rows) {
                status.error(&format!("Error executing decorator query {query}: {error}"));
                continue;
            }
            let mut rows = rows.into_rows().into_iter();
            for (name, value) in rows.next().into_iter().flatten() {
                self.values.insert(name.into(), value.into());
            }
            if rows.next().is_some() {
                status.warning(&format!("Multiple rows returned for decorator query: {query}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_runs_at_its_time() {
        let status = StatusLog::default();
        let database = Database::open([], &status).unwrap();
        let decorators = Decorators {
            load: vec![
                "select 'l' as load, 1 as number".into(),
                "select none_such".into(),
            ],
            always: vec!["select 'a' as always union select 'b'".into()],
            interval: BTreeMap::from([(120, vec!["select 'i' as interval".into()])]),
        };
        let mut decorations = Decorations::load(decorators, &database, &status);
        let names = |decorations: &Decorations| -> Vec<String> {
            decorations
                .values()
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect()
        };
        assert_eq!(names(&decorations), ["interval=i", "load=l", "number=1"]);
        decorations.before_query(&database, &status);
        assert_eq!(
            names(&decorations),
            ["always=a", "interval=i", "load=l", "number=1"]
        );
        decorations.values.clear();
        decorations.at(180, 179, &database, &status);
        assert!(names(&decorations).is_empty());
        decorations.at(240, 239, &database, &status);
        assert_eq!(names(&decorations), ["interval=i"]);
        let messages: Vec<String> = status.drain().into_iter().map(|line| line.message).collect();
        assert_eq!(
            messages,
            [
                "Error executing decorator query select none_such: no such column: none_such",
                "Multiple rows returned for decorator query: select 'a' as always union select 'b'"
            ]
        );
    }
}
