//! What happens to a group that the log tells: who was lost, and what was agreed on.

use kafka_protocol::protocol::StrBytes;

use crate::told::beginning;

/// What has happened since it was told last.
#[derive(Debug, Default)]
pub(crate) struct Events {
    lost: Vec<(StrBytes, &'static str)>,
    agreed: Option<Agreed>,
}

#[derive(Debug)]
struct Agreed {
    generation: i32,
    members: usize,
    assignor: StrBytes,
}

impl Events {
    /// A member is gone that has not said so, for that reason.
    pub(super) fn lose(&mut self, member_id: &StrBytes, reason: &'static str) {
        self.lost.push((member_id.clone(), reason));
    }

    /// Everybody knows what is whose, or nobody is in it any more.
    pub(super) fn agree(&mut self, generation: i32, members: usize, assignor: StrBytes) {
        self.agreed = Some(Agreed {
            generation,
            members,
            assignor,
        });
    }

    /// Tells the log.
    pub(super) fn tell(self, group_id: &str) {
        let group = beginning(group_id);
        for (member, reason) in self.lost {
            tracing::info!(?group, member = ?beginning(&member), reason, "a group has lost a member");
        }
        match self.agreed {
            Some(Agreed {
                generation,
                members: 0,
                ..
            }) => {
                tracing::info!(?group, generation, "nobody is in a group any more");
            }
            Some(Agreed {
                generation,
                members,
                assignor,
            }) => {
                let assignor = beginning(&assignor);
                tracing::info!(?group, generation, members, ?assignor, "a group was rebalanced");
            }
            None => {}
        }
    }
}
