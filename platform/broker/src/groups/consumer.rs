//! A group whose partitions the broker assigns: Kafka's newer group protocol (KIP-848).
//!
//! Members say in heartbeats what they subscribe to and what they own; the broker works out a target for each of them
//! and leads them there one by one, each at its own pace: first a member gives up what is not its own any more, then
//! others get it. Some of them may still speak the classic protocol (`classic.rs`). [`ConsumerGroup`] is a state machine that is told the time and which topics there are; nobody waits
//! in it.

pub(crate) mod assignor;
mod beat;
#[cfg(test)]
mod chaos_tests;
mod classic;
#[cfg(test)]
mod classic_tests;
mod conversion;
mod member;
mod reconciliation;
pub(crate) mod snapshot;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use self::assignor::Assignor;
pub(crate) use self::beat::{Beat, Heartbeat, JOINS, Refusal};
pub(crate) use self::classic::Classic;
pub(crate) use self::member::Member;
use super::events::Events;

/// A partition, by its topic's id.
pub(crate) type Place = (Uuid, i32);

/// More members than this are in no group of one machine.
pub(crate) const MAX_MEMBERS: usize = 1_000;

/// The topics there are, as far as groups need to know them.
pub(crate) trait Subscribable {
    /// Differs whenever a topic was made, grown or deleted.
    fn version(&self) -> u64;
    /// The id of a topic, and how many partitions it has.
    fn find(&self, name: &StrBytes) -> Option<(Uuid, i32)>;
    /// The names of all topics.
    fn names(&self) -> Vec<StrBytes>;
}

/// How members are timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timing {
    /// Silence after which a member counts as dead.
    pub(crate) session: Duration,
    /// How often members are to be heard of.
    pub(crate) heartbeat: Duration,
}

/// A group of consumers that do not assign themselves.
#[derive(Debug)]
pub(crate) struct ConsumerGroup {
    /// Counts changes of what is to be assigned.
    epoch: i32,
    /// The epoch that the targets were worked out for.
    assignment_epoch: i32,
    assignor: Assignor,
    members: BTreeMap<StrBytes, Member>,
    /// Member ids by the lasting names of static members.
    instances: HashMap<StrBytes, StrBytes>,
    /// What is subscribed to and exists: id and number of partitions.
    topics: BTreeMap<StrBytes, (Uuid, i32)>,
    /// The version of the list of topics that was looked at last.
    topics_version: Option<u64>,
    /// Since when nobody is in it, as far as that was looked at.
    deserted_at: Option<Instant>,
    /// Members of whom something was decided that is not written down yet.
    news: BTreeSet<StrBytes>,
    /// The journal's last entry that says something of it.
    pub(super) last_entry: u64,
    /// What the log was not told yet.
    events: Events,
}

impl ConsumerGroup {
    /// A group nobody is in.
    pub(crate) fn new() -> Self {
        Self {
            epoch: 0,
            assignment_epoch: 0,
            assignor: Assignor::default(),
            members: BTreeMap::new(),
            instances: HashMap::new(),
            topics: BTreeMap::new(),
            topics_version: None,
            deserted_at: None,
            news: BTreeSet::new(),
            last_entry: 0,
            events: Events::default(),
        }
    }

    /// What happened that the log was not told yet.
    pub(crate) fn take_events(&mut self) -> Events {
        std::mem::take(&mut self.events)
    }

    /// Counts changes of what is to be assigned.
    pub(crate) fn epoch(&self) -> i32 {
        self.epoch
    }

    /// The epoch that the targets were worked out for.
    pub(crate) fn assignment_epoch(&self) -> i32 {
        self.assignment_epoch
    }

    /// Who works out the targets.
    pub(crate) fn assignor(&self) -> Assignor {
        self.assignor
    }

    /// Its members by id.
    pub(crate) fn members(&self) -> &BTreeMap<StrBytes, Member> {
        &self.members
    }

    /// Kafka's name for where it stands.
    pub(crate) fn state(&self) -> &'static str {
        if self.members.is_empty() {
            return "Empty";
        }
        if self.epoch > self.assignment_epoch {
            return "Assigning";
        }
        let all_are_there = self
            .members
            .values()
            .all(|member| member.is_at(self.assignment_epoch));
        if all_are_there { "Stable" } else { "Reconciling" }
    }

    /// Whether nobody is in it, nor was for so long.
    pub(crate) fn is_over(&mut self, now: Instant, shown: Duration) -> bool {
        if !self.members.is_empty() {
            self.deserted_at = None;
            return false;
        }
        self.epoch == 0 || now >= *self.deserted_at.get_or_insert(now) + shown
    }

    /// Whether a member reads a topic.
    pub(crate) fn reads(&self, topic: &StrBytes) -> bool {
        self.members.values().any(|member| member.reads(topic))
    }

    /// Whether offsets may be committed or asked for by who claims to be a member at an epoch.
    pub(crate) fn check_epoch(&self, member_id: &StrBytes, epoch: i32) -> Result<(), ResponseError> {
        // An administrator, or a consumer that assigns its own partitions.
        if epoch < 0 && self.members.is_empty() {
            return Ok(());
        }
        let member = self
            .members
            .get(member_id)
            .ok_or(ResponseError::UnknownMemberId)?;
        match &member.classic {
            _ if member.epoch == epoch => Ok(()),
            Some(_) => Err(ResponseError::IllegalGeneration),
            None => Err(ResponseError::StaleMemberEpoch),
        }
    }

    /// Removes members that were silent for too long, or kept for too long what is not their own any more.
    pub(crate) fn expire(&mut self, now: Instant) {
        let late: Vec<(StrBytes, &'static str)> = self
            .members
            .iter()
            .filter_map(|(id, member)| Some((id.clone(), member.is_late(now)?)))
            .collect();
        for (member_id, reason) in late {
            self.events.lose(&member_id, reason);
            self.remove(&member_id);
        }
    }

    /// When [`Self::expire`] has something to do next.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.members.values().map(Member::next_deadline).min()
    }

    /// The members of whom something is to be written down, with what; `None` for those that are gone.
    pub(crate) fn take_news(&mut self) -> Vec<(StrBytes, Option<snapshot::MemberSnapshot>)> {
        std::mem::take(&mut self.news)
            .into_iter()
            .map(|id| {
                let member = self.members.get(&id).map(Member::snapshot);
                (id, member)
            })
            .collect()
    }

    /// What was taken of a member could not be written down.
    pub(crate) fn put_back(&mut self, member_id: StrBytes) {
        self.news.insert(member_id);
    }

    fn remove(&mut self, member_id: &StrBytes) {
        let Some(member) = self.members.remove(member_id) else {
            return;
        };
        if let Some(instance_id) = &member.instance_id
            && self.instances.get(instance_id) == Some(member_id)
        {
            self.instances.remove(instance_id);
        }
        self.news.insert(member_id.clone());
        self.begin_epoch();
        if self.members.is_empty() {
            self.events.agree(self.epoch, 0, StrBytes::new());
        }
    }

    /// Whether nobody but that member has a partition, or may not have given it up yet.
    fn is_free(&self, place: &Place, to: &StrBytes) -> bool {
        let mut others = self.members.iter().filter(|(other, _)| *other != to);
        !others.any(|(_, other)| other.holds(place))
    }

    /// What is to be assigned is not what it was: it is worked out with the next heartbeat.
    fn begin_epoch(&mut self) {
        self.epoch = self.assignment_epoch + 1;
        self.topics_version = None;
    }

    /// Looks up what is subscribed to; a new epoch begins when that is not what it was.
    fn refresh(&mut self, topics: &dyn Subscribable) {
        let version = topics.version();
        if self.topics_version == Some(version) {
            return;
        }
        self.topics_version = Some(version);
        let names = if self.members.values().any(Member::has_pattern) {
            topics.names()
        } else {
            Vec::new()
        };
        let mut found = BTreeMap::new();
        for member in self.members.values_mut() {
            member.resolve(&names);
            for name in member.resolved() {
                if !found.contains_key(name)
                    && let Some(topic) = topics.find(name)
                {
                    found.insert(name.clone(), topic);
                }
            }
        }
        if found != self.topics {
            self.topics = found;
            self.epoch = self.assignment_epoch + 1;
        }
    }

    /// Works out the targets for the present epoch.
    fn assign(&mut self) {
        if self.epoch == self.assignment_epoch {
            return;
        }
        self.assignor = self.preferred_assignor();
        let subscribers = self
            .members
            .iter()
            .map(|(id, member)| {
                let topics = member.resolved().filter_map(|name| self.topics.get(name));
                let subscriber = assignor::Subscriber {
                    topics: topics.map(|(id, _)| *id).collect(),
                    has: member.target.clone(),
                    order: member.instance_id.clone().unwrap_or_else(|| id.clone()),
                };
                (id.clone(), subscriber)
            })
            .collect();
        let topics = self.topics.values().copied().collect();
        let mut targets = self.assignor.assign(&topics, &subscribers);
        for (id, member) in &mut self.members {
            member.target = targets.remove(id).unwrap_or_default();
        }
        self.assignment_epoch = self.epoch;
        let assignor = StrBytes::from_static_str(self.assignor.name());
        self.events.agree(self.epoch, self.members.len(), assignor);
    }

    /// The assignor that most members ask for.
    fn preferred_assignor(&self) -> Assignor {
        let mut votes: BTreeMap<Assignor, usize> = BTreeMap::new();
        for assignor in self.members.values().filter_map(|member| member.assignor) {
            *votes.entry(assignor).or_default() += 1;
        }
        // Of two with as many votes the first one, which is the default.
        let mut chosen = (0, Assignor::default());
        for (assignor, count) in votes {
            if count > chosen.0 {
                chosen = (count, assignor);
            }
        }
        chosen.1
    }
}
