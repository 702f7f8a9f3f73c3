//! The commands that what exists is made of. All others are past: a log that is written anew leaves them out.

use std::collections::BTreeSet;

use super::Command;
use crate::syntax::ast::{QuerySelection, Statement};
use crate::syntax::format_statement;

/// The commands that matter, in order.
#[derive(Debug, Default)]
pub(crate) struct History {
    entries: Vec<Entry>,
    /// The queries that are paused.
    paused: BTreeSet<String>,
}

#[derive(Debug)]
struct Entry {
    command: Command,
    /// What it makes or changes.
    thing: Thing,
    /// The sources that must be there before.
    reads: Vec<String>,
    query: Option<String>,
    /// Whether the query has ended, and what it filled is still there.
    has_ended: bool,
}

/// Something that commands make and drop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Thing {
    /// A stream or table.
    Source(String),
    /// A query that fills a source which was there before.
    Query(String),
    /// A named type.
    Type(String),
}

/// What a command has done.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// What it has made, or changed.
    pub(crate) makes: Option<Thing>,
    /// The sources that must be there before.
    pub(crate) reads: Vec<String>,
    /// What it has dropped.
    pub(crate) drops: Option<Thing>,
    /// The query that it has started.
    pub(crate) starts: Option<String>,
    /// The queries that it has ended; one that it has started again goes on.
    pub(crate) ends: Vec<String>,
    /// The queries that it has paused.
    pub(crate) pauses: Vec<String>,
    /// The queries that it has let go on.
    pub(crate) resumes: Vec<String>,
}

impl History {
    /// Notes what a command has done.
    pub(crate) fn note(&mut self, command: &Command, effects: Effects) {
        for id in effects
            .ends
            .iter()
            .filter(|id| effects.starts.as_ref() != Some(id))
        {
            self.paused.remove(id);
            self.entries
                .retain(|entry| entry.thing != Thing::Query(id.clone()));
            let filled = self.entries.iter_mut();
            for entry in filled.filter(|entry| entry.query.as_ref() == Some(id)) {
                entry.has_ended = true;
            }
        }
        if let Some(thing) = &effects.drops {
            self.entries.retain(|entry| entry.thing != *thing);
        }
        if let Some(thing) = effects.makes {
            if let Thing::Source(name) = &thing
                && !effects.reads.contains(name)
            {
                self.forget_replaced(name);
            }
            self.entries.push(Entry {
                command: command.clone(),
                thing,
                reads: effects.reads,
                query: effects.starts,
                has_ended: false,
            });
        }
        self.paused.extend(effects.pauses);
        for id in &effects.resumes {
            self.paused.remove(id);
        }
    }

    /// Forgets what a source was before, unless something was made of that.
    fn forget_replaced(&mut self, name: &str) {
        let is_it = |entry: &Entry| entry.thing == Thing::Source(name.to_owned());
        while let Some(last) = self.entries.iter().rposition(is_it) {
            let mut later = self.entries[last..].iter();
            if later.any(|entry| entry.reads.iter().any(|read| read == name)) {
                return;
            }
            self.entries.remove(last);
        }
    }

    /// How many commands make what exists.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() + self.paused.len()
    }

    /// The commands that make what exists.
    pub(crate) fn commands(&self) -> Vec<Command> {
        let made = self.entries.iter().map(|entry| entry.command.clone());
        let ended = self.entries.iter().filter(|entry| entry.has_ended);
        let ended = ended.filter_map(|entry| entry.query.clone());
        let ended = ended.map(|id| {
            (
                "terminate",
                Statement::Terminate(QuerySelection::Id(id.clone())),
                id,
            )
        });
        let paused = self.paused.iter().cloned();
        let paused = paused.map(|id| ("pause", Statement::Pause(QuerySelection::Id(id.clone())), id));
        let state = ended
            .chain(paused)
            .enumerate()
            .map(|(index, (verb, statement, id))| Command {
                statement: format_statement(&statement),
                command_id: format!("{verb}/{id}/execute"),
                // No command that was executed has such a number.
                sequence: -1 - i64::try_from(index).unwrap_or(i64::MAX - 1),
                ..Command::default()
            });
        made.chain(state).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str) -> Option<Thing> {
        Some(Thing::Source(name.to_owned()))
    }

    /// A history, and the numbers of the commands that it keeps.
    struct Told(History, i64);

    impl Told {
        fn new() -> Self {
            Self(History::default(), 0)
        }

        fn tell(&mut self, effects: Effects) {
            let command = Command {
                statement: format!("statement {};", self.1),
                sequence: self.1,
                ..Command::default()
            };
            self.0.note(&command, effects);
            self.1 += 1;
        }

        fn kept(&self) -> Vec<String> {
            let commands = self.0.commands();
            commands.into_iter().map(|command| command.statement).collect()
        }
    }

    fn reads(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let mut told = Told::new();
        for _ in 0..100 {
            told.tell(Effects {
                makes: source("S"),
                ..Effects::default()
            });
            told.tell(Effects {
                makes: source("D"),
                reads: reads(&["S"]),
                starts: Some("Q".to_owned()),
                ..Effects::default()
            });
            told.tell(Effects {
                pauses: reads(&["Q"]),
                ..Effects::default()
            });
            for name in ["D", "S"] {
                told.tell(Effects {
                    drops: source(name),
                    ends: reads(if name == "D" { &["Q"] } else { &[] }),
                    ..Effects::default()
                });
            }
        }
        assert_eq!(told.0.len(), 0);
    }

    #[test]
    fn a_query_that_ended_or_is_paused_stays_so() {
        let mut told = Told::new();
        for (name, query) in [("A", "QA"), ("B", "QB")] {
            told.tell(Effects {
                makes: source(name),
                starts: Some(query.to_owned()),
                ..Effects::default()
            });
        }
        told.tell(Effects {
            pauses: reads(&["QA", "QB"]),
            ..Effects::default()
        });
        told.tell(Effects {
            resumes: reads(&["QB"]),
            ..Effects::default()
        });
        told.tell(Effects {
            ends: reads(&["QB"]),
            ..Effects::default()
        });
        assert_eq!(
            told.kept(),
            ["statement 0;", "statement 1;", "TERMINATE QB;", "PAUSE QA;"]
        );
    }

    #[test]
    fn what_was_replaced_stays_as_long_as_something_was_made_of_it() {
        let mut told = Told::new();
        let made = |read: &[&str]| Effects {
            makes: source("S"),
            reads: reads(read),
            ..Effects::default()
        };
        told.tell(made(&[]));
        told.tell(made(&[]));
        assert_eq!(told.kept(), ["statement 1;"]);
        // It is altered: it has to be there.
        told.tell(made(&["S"]));
        assert_eq!(told.kept(), ["statement 1;", "statement 2;"]);
        told.tell(Effects {
            makes: source("D"),
            reads: reads(&["S"]),
            ..Effects::default()
        });
        told.tell(made(&[]));
        told.tell(made(&[]));
        assert_eq!(
            told.kept(),
            ["statement 1;", "statement 2;", "statement 3;", "statement 5;"]
        );
    }
}
