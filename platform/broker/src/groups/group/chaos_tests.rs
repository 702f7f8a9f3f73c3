//! Members, static ones among them, that lose answers, fall silent and start anew: whatever happens, two that may commit
//! never have the same partition, and soon after the trouble is over all is shared out.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::tests::{joining, name};
use super::*;
use crate::groups::member::{FirstJoin, JoinResult, Joined, Joining};

const CLIENTS: usize = 4;
/// So many of them are static members.
const STATIC: usize = 2;
const PARTITIONS: usize = 6;
/// How long a group may take for itself again: the longest session, then the longest rebalance, and a little.
const SOON: Duration = Duration::from_secs(10 + 30 + 5);
const HEARTBEAT: Duration = Duration::from_millis(500);

/// What a client of Kafka keeps of its membership.
struct Client {
    id: StrBytes,
    instance_id: Option<StrBytes>,
    phase: Phase,
}

enum Phase {
    Out,
    Joining(oneshot::Receiver<JoinResult>),
    Joined(Joined),
    Syncing(oneshot::Receiver<SyncResult>, i32),
    Stable(i32, BTreeSet<usize>),
}

impl Client {
    fn new(number: usize) -> Self {
        Self {
            id: StrBytes::new(),
            instance_id: (number < STATIC).then(|| name(&format!("static {number}"))),
            phase: Phase::Out,
        }
    }

    /// Another process in its place, which knows nothing of it.
    fn start_over(&mut self) {
        self.id = StrBytes::new();
        self.phase = Phase::Out;
    }

    fn joining(&self) -> Joining {
        Joining {
            instance_id: self.instance_id.clone(),
            first_join: match self.instance_id {
                Some(_) => FirstJoin::AtOnce,
                None => FirstJoin::NeedsId,
            },
            ..joining(&self.id, &["range"])
        }
    }

    fn claim(&self, generation: i32) -> Claim<'_> {
        Claim {
            member_id: &self.id,
            instance_id: self.instance_id.as_ref(),
            generation,
        }
    }

    /// What becomes of it when it is refused.
    fn take_refusal(&mut self, code: ResponseError, id: StrBytes) {
        match code {
            ResponseError::MemberIdRequired => self.id = id,
            ResponseError::RebalanceInProgress => {}
            _ => self.id = StrBytes::new(),
        }
        self.phase = Phase::Out;
    }

    /// Its next request, or a look whether the last one is answered; an answer that does not arrive ends its connection.
    fn act(&mut self, group: &mut Group, now: Instant, arrives: bool) {
        match std::mem::replace(&mut self.phase, Phase::Out) {
            Phase::Out => {
                let (reply, answer) = oneshot::channel();
                group.join(self.joining(), now, reply);
                if arrives {
                    self.phase = Phase::Joining(answer);
                }
            }
            Phase::Joining(mut answer) => match answer.try_recv() {
                _ if !arrives => {}
                Ok(Ok(joined)) => {
                    self.id = joined.member_id.clone();
                    self.phase = Phase::Joined(joined);
                }
                Ok(Err(refusal)) => self.take_refusal(refusal.code, refusal.member_id),
                Err(_) => self.phase = Phase::Joining(answer),
            },
            Phase::Joined(joined) => {
                let (reply, answer) = oneshot::channel();
                let assignments = match joined.leader == self.id {
                    true => assignments(&joined),
                    false => Vec::new(),
                };
                group.sync(self.claim(joined.generation), None, assignments, now, reply);
                if arrives {
                    self.phase = Phase::Syncing(answer, joined.generation);
                }
            }
            Phase::Syncing(mut answer, generation) => match answer.try_recv() {
                _ if !arrives => {}
                Ok(Ok(assigned)) => {
                    let partitions = assigned
                        .assignment
                        .iter()
                        .map(|partition| usize::from(*partition));
                    self.phase = Phase::Stable(generation, partitions.collect());
                }
                Ok(Err(code)) => self.take_refusal(code, StrBytes::new()),
                Err(_) => self.phase = Phase::Syncing(answer, generation),
            },
            Phase::Stable(generation, partitions) => match group.heartbeat(self.claim(generation), now) {
                Err(code) if arrives => self.take_refusal(code, StrBytes::new()),
                _ => self.phase = Phase::Stable(generation, partitions),
            },
        }
    }
}

/// All partitions, in turn to each member; a byte for each.
fn assignments(joined: &Joined) -> Vec<(StrBytes, Bytes)> {
    let count = joined.members.len();
    let members = joined.members.iter().enumerate();
    members
        .map(|(number, member)| {
            let own = (0..PARTITIONS).filter(|partition| partition % count == number);
            let own: Vec<u8> = own.map(|partition| partition as u8).collect();
            (member.member_id.clone(), Bytes::from(own))
        })
        .collect()
}

#[derive(Debug, Clone)]
enum Step {
    Act { client: usize, arrives: bool },
    Restart { client: usize },
    Leave { client: usize },
    Wait { ms: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let client = 0..CLIENTS;
    prop_oneof![
        12 => (client.clone(), prop::bool::weighted(0.85))
            .prop_map(|(client, arrives)| Step::Act { client, arrives }),
        1 => client.clone().prop_map(|client| Step::Restart { client }),
        1 => client.prop_map(|client| Step::Leave { client }),
        2 => (1u64..12_000).prop_map(|ms| Step::Wait { ms }),
    ]
}

/// Who would be let commit has no partition that another one has who would be, too.
fn check(group: &Group, clients: &[Client]) {
    let mut held = BTreeMap::new();
    for (number, client) in clients.iter().enumerate() {
        let Phase::Stable(generation, partitions) = &client.phase else {
            continue;
        };
        // What a commit is checked with; a look must not count as being alive.
        if group.check_generation(client.claim(*generation)).is_ok() {
            for partition in partitions {
                let other = held.insert(*partition, number);
                assert_eq!(other, None, "partition {partition} is {number}'s as well");
            }
        }
    }
}

/// Whether all are in the same generation, and have every partition.
fn is_shared_out(clients: &[Client]) -> bool {
    let mut generations = BTreeSet::new();
    let mut held = Vec::new();
    for client in clients {
        let Phase::Stable(generation, partitions) = &client.phase else {
            return false;
        };
        generations.insert(*generation);
        held.extend(partitions.iter().copied());
    }
    held.sort_unstable();
    generations.len() == 1 && held == (0..PARTITIONS).collect::<Vec<_>>()
}

fn run(steps: &[Step]) {
    let mut group = Group::new(Duration::ZERO);
    let mut clients: Vec<Client> = (0..CLIENTS).map(Client::new).collect();
    let mut now = Instant::now();
    for step in steps {
        match *step {
            Step::Act { client, arrives } => clients[client].act(&mut group, now, arrives),
            Step::Restart { client } => clients[client].start_over(),
            Step::Leave { client } => {
                // A static member does not say that it goes.
                if clients[client].instance_id.is_none() {
                    let _ = group.leave(&clients[client].id, None, now);
                }
                clients[client].start_over();
            }
            Step::Wait { ms } => {
                now += Duration::from_millis(ms);
                group.expire(now);
            }
        }
        check(&group, &clients);
    }
    let end = now + SOON;
    while !is_shared_out(&clients) {
        assert!(
            now < end,
            "{:?}, leader {:?}: not shared out among {:?}",
            group.state,
            group.leader,
            group.members.keys().collect::<Vec<_>>()
        );
        // Whatever a client has to say it says at once; then it is time for the next heartbeats.
        for _ in 0..4 {
            for client in &mut clients {
                client.act(&mut group, now, true);
            }
        }
        check(&group, &clients);
        now += HEARTBEAT;
        group.expire(now);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn partitions_are_never_with_two_and_soon_with_all(steps in prop::collection::vec(step(), 1..80)) {
        run(&steps);
    }
}
