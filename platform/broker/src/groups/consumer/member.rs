//! One member: what it subscribes to, what it has, and what it is to have.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;
use regex::Regex;

use super::Place;
use super::assignor::Assignor;
use super::beat::{Heartbeat, JOINS, Refusal};
use super::classic::Classic;
use crate::groups::member::{CONSUMERS, FirstJoin, Joining, SkipsAssignment};
use crate::pattern;

/// How far a member is on its way to its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// It has what it was to have at its epoch.
    Stable,
    /// It is to give something up.
    Revoking,
    /// It waits for what others have not given up yet.
    Waiting,
}

/// A regular expression that names of topics match as a whole.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    text: StrBytes,
    compiled: Regex,
}

impl Pattern {
    pub(super) fn new(text: &StrBytes) -> Result<Self, Refusal> {
        let compiled = pattern::whole(text).map_err(|reason| {
            Refusal::new(
                ResponseError::InvalidRegularExpression,
                format!("the subscription's regular expression is not valid: {reason}"),
            )
        })?;
        Ok(Self {
            text: StrBytes::from_string(text.to_string()),
            compiled,
        })
    }
}

/// One member of a group.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) instance_id: Option<StrBytes>,
    pub(crate) rack_id: Option<StrBytes>,
    pub(crate) client_id: StrBytes,
    pub(crate) client_host: StrBytes,
    /// The epoch it was told last.
    pub(crate) epoch: i32,
    /// What it may read.
    pub(crate) assigned: BTreeSet<Place>,
    /// What it is to read in the end.
    pub(crate) target: BTreeSet<Place>,
    /// What it has besides where it speaks the classic protocol.
    pub(crate) classic: Option<Classic>,
    pub(super) previous_epoch: i32,
    pub(super) progress: Progress,
    /// What it is to give up and has not said that it did.
    pub(super) revoking: BTreeSet<Place>,
    pub(super) rebalance_timeout: Duration,
    pub(super) topics: BTreeSet<StrBytes>,
    pub(super) pattern: Option<Pattern>,
    pub(super) assignor: Option<Assignor>,
    /// When it counts as dead.
    pub(super) deadline: Instant,
    /// Until when it must have given up what it is to give up.
    pub(super) revoke_by: Option<Instant>,
    /// Topics that match its pattern.
    matching: BTreeSet<StrBytes>,
}

impl Member {
    /// A member that has just arrived; the rest of what it says is taken by [`Self::update`].
    pub(super) fn new(said: &Heartbeat, now: Instant) -> Self {
        Self {
            instance_id: said.instance_id.clone(),
            rack_id: said.rack_id.clone(),
            client_id: said.client_id.clone(),
            client_host: said.client_host.clone(),
            epoch: JOINS,
            classic: None,
            previous_epoch: JOINS,
            progress: Progress::Stable,
            assigned: BTreeSet::new(),
            target: BTreeSet::new(),
            revoking: BTreeSet::new(),
            rebalance_timeout: Duration::ZERO,
            topics: BTreeSet::new(),
            pattern: None,
            assignor: None,
            deadline: now,
            revoke_by: None,
            matching: BTreeSet::new(),
        }
    }

    /// What it subscribes to by its pattern.
    pub(crate) fn pattern(&self) -> Option<&StrBytes> {
        self.pattern.as_ref().map(|pattern| &pattern.text)
    }

    /// What it subscribes to by name.
    pub(crate) fn topics(&self) -> impl Iterator<Item = &StrBytes> {
        self.topics.iter()
    }

    /// Whether it reads a topic.
    pub(super) fn reads(&self, topic: &StrBytes) -> bool {
        self.topics.contains(topic) || self.matching.contains(topic)
    }

    pub(super) fn has_pattern(&self) -> bool {
        self.pattern.is_some()
    }

    /// Looks for the topics that match its pattern among those there are.
    pub(super) fn resolve(&mut self, names: &[StrBytes]) {
        let pattern = self.pattern.as_ref();
        let matching = names
            .iter()
            .filter(|name| pattern.is_some_and(|pattern| pattern.compiled.is_match(name)));
        self.matching = matching.cloned().collect();
    }

    /// What it subscribes to, by name or by its pattern.
    pub(super) fn resolved(&self) -> impl Iterator<Item = &StrBytes> {
        self.topics.union(&self.matching)
    }

    /// Takes what it says; whether what is to be assigned may differ by that.
    pub(super) fn update(
        &mut self,
        said: &Heartbeat,
        assignor: Option<Assignor>,
        pattern: Option<Pattern>,
    ) -> bool {
        self.client_id = said.client_id.clone();
        self.client_host = said.client_host.clone();
        if let Some(rack_id) = &said.rack_id {
            self.rack_id = Some(rack_id.clone());
        }
        if let Some(timeout) = said.rebalance_timeout {
            self.rebalance_timeout = timeout;
        }
        let mut changed = false;
        if let Some(topics) = &said.topics {
            changed |= self.topics != *topics;
            self.topics.clone_from(topics);
        }
        if let Some(pattern) = pattern {
            // An empty one takes it back.
            let pattern = Some(pattern).filter(|pattern| !pattern.text.is_empty());
            changed |= self.pattern() != pattern.as_ref().map(|pattern| &pattern.text);
            self.pattern = pattern;
        }
        if assignor.is_some() {
            changed |= self.assignor != assignor;
            self.assignor = assignor;
        }
        changed
    }

    /// It has nothing of what it had, and joins with that.
    pub(super) fn start_over(&mut self) {
        self.classic = None;
        self.epoch = JOINS;
        self.previous_epoch = JOINS;
        self.progress = Progress::Stable;
        self.assigned.clear();
        self.revoking.clear();
        self.revoke_by = None;
    }

    /// What it has, or may not have given up yet.
    pub(crate) fn held(&self) -> impl Iterator<Item = &Place> {
        self.assigned.union(&self.revoking)
    }

    /// What it would say to a group of the classic protocol, of which it speaks this.
    pub(crate) fn joining(&self, id: &StrBytes, classic: &Classic) -> Joining {
        Joining {
            member_id: id.clone(),
            instance_id: self.instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            session_timeout: classic.session,
            rebalance_timeout: self.rebalance_timeout,
            protocol_type: StrBytes::from_static_str(CONSUMERS),
            protocols: classic.protocols.clone(),
            first_join: FirstJoin::AtOnce,
            skips_assignment: SkipsAssignment::No,
        }
    }

    /// Whether it has a partition, or may not have given it up yet.
    pub(super) fn holds(&self, place: &Place) -> bool {
        self.assigned.contains(place) || self.revoking.contains(place)
    }

    /// Whether it has arrived at the targets of an epoch.
    pub(super) fn is_at(&self, epoch: i32) -> bool {
        self.epoch == epoch && self.progress == Progress::Stable
    }

    /// Why it is to be removed, if it is.
    pub(super) fn is_late(&self, now: Instant) -> Option<&'static str> {
        if self.deadline <= now {
            return Some("its session has expired");
        }
        if self.due_by().is_some_and(|by| by <= now) {
            return Some("it did not join again, or ask for its assignment, in time");
        }
        let keeps = self.revoke_by.is_some_and(|revoke_by| revoke_by <= now);
        keeps.then_some("it did not give up in time what is not its own any more")
    }

    fn due_by(&self) -> Option<Instant> {
        self.classic.as_ref().and_then(Classic::due_by)
    }

    /// When it is removed, unless it is heard of.
    pub(super) fn next_deadline(&self) -> Instant {
        let others = self.revoke_by.into_iter().chain(self.due_by());
        others.fold(self.deadline, Instant::min)
    }
}
