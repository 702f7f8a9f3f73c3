//! Leading a member from what it has to what it is to have.

use std::collections::BTreeSet;
use std::time::Instant;

use kafka_protocol::protocol::StrBytes;

use super::member::Progress;
use super::{ConsumerGroup, Place};

impl ConsumerGroup {
    /// Leads a member as far as it can go: it gives up first, and then gets what nobody else has.
    ///
    /// `owned` is what it says that it has; without it, that is as before.
    pub(super) fn reconcile(&mut self, member_id: &StrBytes, owned: Option<&BTreeSet<Place>>, now: Instant) {
        let epoch = self.assignment_epoch;
        let Some(member) = self.members.get(member_id) else {
            return;
        };
        let still_has = |places: &BTreeSet<Place>| {
            !places.is_empty() && owned.is_none_or(|owned| !owned.is_disjoint(places))
        };
        match member.progress {
            Progress::Stable if member.epoch == epoch => return,
            Progress::Revoking if still_has(&member.revoking) => return,
            Progress::Stable | Progress::Revoking | Progress::Waiting => {}
        }
        let kept: BTreeSet<Place> = member.assigned.intersection(&member.target).copied().collect();
        let given_up: BTreeSet<Place> = member.assigned.difference(&member.target).copied().collect();
        let (free, taken): (BTreeSet<Place>, BTreeSet<Place>) = member
            .target
            .difference(&kept)
            .copied()
            .partition(|place| self.is_free(place, member_id));
        let has_to_revoke = still_has(&given_up);
        let Some(member) = self.members.get_mut(member_id) else {
            return;
        };
        let before = (member.epoch, member.progress, member.assigned.len());
        let unchanged = kept == member.assigned && free.is_empty();
        member.assigned = kept;
        if has_to_revoke {
            member.progress = Progress::Revoking;
            member.revoking = given_up;
            member.revoke_by = Some(now + member.rebalance_timeout);
        } else {
            member.assigned.extend(free);
            member.revoking.clear();
            member.revoke_by = None;
            member.progress = if taken.is_empty() {
                Progress::Stable
            } else {
                Progress::Waiting
            };
            if member.epoch != epoch {
                member.previous_epoch = member.epoch;
                member.epoch = epoch;
            }
        }
        if !unchanged || before != (member.epoch, member.progress, member.assigned.len()) {
            self.news.insert(member_id.clone());
        }
    }
}
