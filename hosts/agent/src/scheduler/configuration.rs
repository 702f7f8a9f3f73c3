//! Taking over a configuration, at the start and whenever it is refreshed.

use std::collections::HashSet;

use osquery_configuration::{Config, FilePaths, Finding, MachineFacts};

use serde_json::{Value, json};

use super::{Scheduler, lock, unix_time};
use crate::decorations::Decorations;
use crate::schedule::Schedule;
use crate::splay::splay;

impl Scheduler {
    /// Reads the configuration. When it cannot be read the schedule stays as it is, and a shorter refresh is due.
    /// Returns whether it could.
    pub(crate) fn load_config(&mut self) -> bool {
        let loaded = self.read_config();
        let flags = self.flags();
        let refresh = match loaded {
            _ if flags.config_refresh == 0 => 0,
            true => flags.config_refresh,
            false => flags.config_refresh.min(flags.config_accelerated_refresh),
        };
        self.next_refresh = (refresh > 0).then(|| unix_time().saturating_add_unsigned(refresh));
        self.machine.agent.update(|agent| agent.config_valid = loaded);
        loaded
    }

    /// What of the configuration counts for nothing: parts that are wrong, and queries that cannot run.
    ///
    /// ```json
    /// { "findings": [ { "place": "views", "message": "…" } ],
    ///   "not_runnable": [ { "place": "pack_ir_pe", "message": "no such table: process_events" } ] }
    /// ```
    pub(crate) fn check(&self) -> Value {
        let as_json = |place: &str, message: &str| json!({ "place": place, "message": message });
        let findings = self.findings.iter();
        let findings: Vec<Value> = findings
            .map(|finding| as_json(&finding.place, &finding.message))
            .collect();
        let mut not_runnable = Vec::new();
        let database = lock(&self.database);
        for query in self.schedule.queries() {
            if let Err(error) = database.columns(&query.sql) {
                not_runnable.push(as_json(&query.name, &error.to_string()));
            }
        }
        json!({ "findings": findings, "not_runnable": not_runnable })
    }

    fn read_config(&mut self) -> bool {
        let status = self.machine.status.clone();
        let sources = match self.source.sources() {
            Ok(sources) => sources,
            Err(error) => {
                status.warning(&format!("Could not get the configuration: {error}"));
                return false;
            }
        };
        if self.sources.as_ref() == Some(&sources) {
            return true;
        }
        let facts = MachineFacts {
            hostname: self.identity.hostname.clone(),
            default_interval: self.flags().schedule_default_interval,
        };
        match Config::parse(&sources, &facts, &*self.source) {
            Ok(config) => {
                self.apply(config);
                self.sources = Some(sources);
                true
            }
            Err(error) => {
                status.error(&format!("Error parsing the configuration: {error}"));
                false
            }
        }
    }

    fn watch_files(&mut self, file_paths: &FilePaths) {
        let flags = self.flags();
        let is_enabled = flags.enable_file_events && !flags.disable_events;
        // A look at the configuration watches nothing.
        if is_enabled && !flags.config_check && !flags.config_dump {
            self.machine.file_events.watch(file_paths, &self.machine.status);
        } else {
            let none = FilePaths::default();
            self.machine.file_events.watch(&none, &self.machine.status);
        }
        if !is_enabled && !file_paths.watched.is_empty() {
            let finding = Finding::new(
                "file_paths",
                "Files are not watched: `--enable_file_events` is not set, or `--disable_events` is",
            );
            self.machine.status.warning(&finding.to_string());
            self.findings.push(finding);
        }
    }

    fn apply(&mut self, config: Config) {
        let status = self.machine.status.clone();
        self.findings = config.findings;
        self.findings.extend(config.without_effect);
        for finding in &self.findings {
            status.warning(&finding.to_string());
        }
        let options = config
            .options
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()));
        for refused in self.line.apply_options(options) {
            status.warning(&refused.to_string());
        }
        status.set_verbose(self.flags().verbose);
        let percent = self.flags().schedule_splay_percent;
        let store = self.differential.store();
        let splayed = |name: &str, interval: u64| {
            // A splayed interval stays the same over a restart, as long as the interval does.
            let key = format!("interval.{name}");
            let kept = store.setting(&key).ok().flatten().and_then(|kept| {
                let (asked, splayed) = kept.split_once(':')?;
                (asked == interval.to_string()).then(|| splayed.parse().ok())?
            });
            kept.filter(|&splayed: &u64| splayed > 0).unwrap_or_else(|| {
                let splayed = splay(interval, percent);
                if let Err(error) = store.set_setting(&key, &format!("{interval}:{splayed}")) {
                    status.warning(&format!("The interval of query {name} is not kept: {error}"));
                }
                splayed
            })
        };
        self.schedule = Schedule::build(
            &config.packs,
            &self.line.flags.pack_delimiter,
            &self.schedule,
            splayed,
        );
        let scheduled: HashSet<&str> = self.schedule.queries().map(|query| query.name.as_str()).collect();
        self.differential.keep_only(|name| scheduled.contains(name));
        self.deny();
        self.reported.clear();
        self.decorations = if self.flags().disable_decorators {
            Decorations::default()
        } else {
            Decorations::load(config.decorators, &lock(&self.database), &status)
        };
        self.watch_files(&config.file_paths);
        let queries = self.schedule.status();
        status.info(&format!(
            "The configuration has {} queries for this host",
            queries.len()
        ));
        let (packs, flags) = (self.schedule.pack_status(), self.flags().status());
        self.machine.agent.update(|agent| {
            agent.config_hash = config.hash;
            agent.schedule = queries;
            agent.packs = packs;
            agent.flags = flags;
        });
    }
}
