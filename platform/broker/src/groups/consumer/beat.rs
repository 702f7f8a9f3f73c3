//! One heartbeat: what a member says, what it may say, and what it is told.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;

use super::assignor::Assignor;
use super::member::{Member, Pattern};
use super::{ConsumerGroup, MAX_MEMBERS, Place, Subscribable, Timing};

/// The epoch of a member that joins, or joins again with nothing.
pub(crate) const JOINS: i32 = 0;
/// The epoch of a member that goes.
pub(crate) const LEAVES: i32 = -1;
/// The epoch of a static member that goes and will be back.
pub(crate) const LEAVES_FOR_A_WHILE: i32 = -2;

/// What a member says; what it does not say is as it was.
#[derive(Debug, Clone)]
pub(crate) struct Heartbeat {
    pub(crate) member_id: StrBytes,
    pub(crate) epoch: i32,
    pub(crate) instance_id: Option<StrBytes>,
    pub(crate) rack_id: Option<StrBytes>,
    pub(crate) client_id: StrBytes,
    pub(crate) client_host: StrBytes,
    pub(crate) rebalance_timeout: Option<Duration>,
    pub(crate) topics: Option<BTreeSet<StrBytes>>,
    pub(crate) pattern: Option<StrBytes>,
    pub(crate) assignor: Option<StrBytes>,
    pub(crate) owned: Option<BTreeSet<Place>>,
}

/// What a member is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Beat {
    pub(crate) member_id: StrBytes,
    pub(crate) epoch: i32,
    /// What it may read, where that changed or it cannot know.
    pub(crate) assigned: Option<BTreeSet<Place>>,
}

/// Why a heartbeat is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ResponseError,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(code: ResponseError, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl Heartbeat {
    /// Whether it says everything, as a member does that does not know what the broker knows.
    fn says_everything(&self) -> bool {
        self.rebalance_timeout.is_some()
            && (self.topics.is_some() || self.pattern.is_some())
            && self.owned.is_some()
    }

    /// What is wrong with it whatever the group is like.
    fn check(&self) -> Result<(), Refusal> {
        let wrong = |message| Err(Refusal::new(ResponseError::InvalidRequest, message));
        let is_empty = |text: &Option<StrBytes>| text.as_ref().is_some_and(|text| text.is_empty());
        if self.member_id.is_empty() {
            return wrong("the member id is empty");
        }
        if is_empty(&self.instance_id) {
            return wrong("the instance id is empty");
        }
        if is_empty(&self.rack_id) {
            return wrong("the rack id is empty");
        }
        match self.epoch {
            JOINS => {
                if self.rebalance_timeout.is_none() {
                    return wrong("a member that joins must say its rebalance time-out");
                }
                if self.owned.as_ref().is_none_or(|owned| !owned.is_empty()) {
                    return wrong("a member that joins must own no partition, and say so");
                }
                if self.topics.is_none() && is_none_or_empty(self.pattern.as_ref()) {
                    return wrong("a member that joins must say what it subscribes to");
                }
            }
            LEAVES_FOR_A_WHILE if self.instance_id.is_none() => {
                return wrong("only a static member can leave for a while");
            }
            LEAVES_FOR_A_WHILE | LEAVES | 1.. => {}
            _ => return wrong("there is no such member epoch"),
        }
        Ok(())
    }
}

fn is_none_or_empty(text: Option<&StrBytes>) -> bool {
    text.is_none_or(|text| text.is_empty())
}

impl ConsumerGroup {
    /// A member is heard of.
    pub(crate) fn heartbeat(
        &mut self,
        said: Heartbeat,
        topics: &dyn Subscribable,
        timing: Timing,
        now: Instant,
    ) -> Result<Beat, Refusal> {
        said.check()?;
        if said.epoch < JOINS {
            return self.leave(&said);
        }
        let assignor = said.assignor.as_ref().map(Assignor::of).transpose()?;
        let pattern = said.pattern.as_ref().map(Pattern::new).transpose()?;
        if said.epoch == JOINS {
            self.admit(&said, now)?;
        } else {
            self.recognize(&said)?;
        }
        let Some(member) = self.members.get_mut(&said.member_id) else {
            return Err(unknown(&said));
        };
        let tells_all = said.epoch == JOINS || said.says_everything();
        let before = member.assigned.clone();
        let changed = member.update(&said, assignor, pattern);
        member.deadline = now + timing.session;
        if changed {
            self.news.insert(said.member_id.clone());
            self.begin_epoch();
        }
        self.refresh(topics);
        self.assign();
        self.reconcile(&said.member_id, said.owned.as_ref(), now);
        let member = &self.members[&said.member_id];
        Ok(Beat {
            epoch: member.epoch,
            assigned: (tells_all || member.assigned != before).then(|| member.assigned.clone()),
            member_id: said.member_id,
        })
    }

    /// A member joins, joins again, or takes the place of the static one it was before it was started anew.
    fn admit(&mut self, said: &Heartbeat, now: Instant) -> Result<(), Refusal> {
        if let Some(member) = self.members.get_mut(&said.member_id) {
            // It owns nothing, so nothing has to be taken from it.
            member.start_over();
            self.news.insert(said.member_id.clone());
            return Ok(());
        }
        if let Some(instance_id) = &said.instance_id
            && let Some(former_id) = self.instances.get(instance_id).cloned()
        {
            let is_away = self
                .members
                .get(&former_id)
                .is_some_and(|former| former.epoch == LEAVES_FOR_A_WHILE || former.classic.is_some());
            if !is_away {
                return Err(Refusal::new(
                    ResponseError::UnreleasedInstanceId,
                    format!("the instance id `{instance_id}` is member `{former_id}`'s, who has not left"),
                ));
            }
            self.take_place(former_id, said.member_id.clone(), instance_id.clone());
            return Ok(());
        }
        if self.members.len() >= MAX_MEMBERS {
            return Err(Refusal::new(
                ResponseError::GroupMaxSizeReached,
                format!("the group has {MAX_MEMBERS} members, and may have no more"),
            ));
        }
        if let Some(instance_id) = &said.instance_id {
            self.instances.insert(instance_id.clone(), said.member_id.clone());
        }
        self.members
            .insert(said.member_id.clone(), Member::new(said, now));
        self.news.insert(said.member_id.clone());
        self.begin_epoch();
        Ok(())
    }

    /// A static member comes back under another id.
    pub(super) fn take_place(&mut self, former_id: StrBytes, id: StrBytes, instance_id: StrBytes) {
        if let Some(mut member) = self.members.remove(&former_id) {
            member.start_over();
            self.members.insert(id.clone(), member);
        }
        self.instances.insert(instance_id, id.clone());
        self.news.extend([former_id, id]);
    }

    /// A member goes on, at the epoch it was told last or the one before, when the answer was lost.
    fn recognize(&self, said: &Heartbeat) -> Result<(), Refusal> {
        if let Some(instance_id) = &said.instance_id
            && let Some(current) = self.instances.get(instance_id)
            && *current != said.member_id
        {
            return Err(Refusal::new(
                ResponseError::FencedInstanceId,
                format!("the instance id `{instance_id}` is member `{current}`'s now"),
            ));
        }
        let member = self.members.get(&said.member_id);
        let member = member
            .filter(|member| member.classic.is_none())
            .ok_or_else(|| unknown(said))?;
        let answer_was_lost = said.epoch == member.previous_epoch
            && said
                .owned
                .as_ref()
                .is_some_and(|owned| owned.is_subset(&member.assigned));
        if said.epoch == member.epoch || answer_was_lost {
            return Ok(());
        }
        Err(Refusal::new(
            ResponseError::FencedMemberEpoch,
            format!(
                "the member is at epoch {}, not at {}; it must give up its partitions and join again",
                member.epoch, said.epoch
            ),
        ))
    }

    fn leave(&mut self, said: &Heartbeat) -> Result<Beat, Refusal> {
        let member_id = match &said.instance_id {
            Some(instance_id) => {
                let current = self.instances.get(instance_id).ok_or_else(|| unknown(said))?;
                if *current != said.member_id {
                    return Err(Refusal::new(
                        ResponseError::FencedInstanceId,
                        format!("the instance id `{instance_id}` is member `{current}`'s now"),
                    ));
                }
                current.clone()
            }
            None => said.member_id.clone(),
        };
        let member = self.members.get_mut(&member_id);
        let member = member
            .filter(|member| member.classic.is_none())
            .ok_or_else(|| unknown(said))?;
        if said.epoch == LEAVES_FOR_A_WHILE {
            member.epoch = LEAVES_FOR_A_WHILE;
            member.revoke_by = None;
            self.news.insert(member_id);
        } else {
            self.remove(&member_id);
        }
        Ok(Beat {
            member_id: said.member_id.clone(),
            epoch: said.epoch,
            assigned: None,
        })
    }
}

fn unknown(said: &Heartbeat) -> Refusal {
    Refusal::new(
        ResponseError::UnknownMemberId,
        format!("`{}` is no member of the group", said.member_id),
    )
}
