//! Members of both protocols that come, go, fall silent, lose answers and are started anew with the other protocol, on a
//! broker that is killed and loses its last words: whatever happens, two members that may commit never have the same
//! partition, in the end all is shared out, and the group is of the kind that its members make it.
//!
//! The group's kind is chosen here as the coordinator chooses it. What is written of classic generations counts as safe at
//! once: they are not synced before they are told.
//!
//! Long because it plays both sorts of clients, of either style, beside each other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::{BufMut as _, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::consumer_protocol_subscription::TopicPartition as Owned;
use kafka_protocol::messages::{ConsumerProtocolSubscription, TopicName};
use kafka_protocol::protocol::{Encodable as _, StrBytes};
use proptest::prelude::*;
use tokio::sync::oneshot;

use super::consumer::snapshot::MemberSnapshot;
use super::consumer::tests::{LINES, TIMING, Topics, joining as heartbeat};
use super::consumer::{ConsumerGroup, Heartbeat, JOINS};
use super::embedded::{Assignment, Subscription};
use super::group::tests::{joining, name};
use super::group::{Claim, Group};
use super::member::{FirstJoin, JoinResult, Joined, Joining, SyncResult};
use super::snapshot::GroupSnapshot;

const CLIENTS: usize = 4;
const PARTITIONS: i32 = 5;
/// Epochs of members that go, for ever or for a while.
const LEAVES: i32 = -1;
const LEAVES_FOR_A_WHILE: i32 = -2;

/// How the members of the classic protocol rebalance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// Who joins gives up everything before.
    Eager,
    /// Who joins keeps what he has, says so, and gives up what he is told to.
    Cooperative,
}

/// What a client of Kafka keeps of its membership.
#[derive(Debug)]
struct Client {
    id: StrBytes,
    instance_id: Option<StrBytes>,
    lives: usize,
    owned: BTreeSet<i32>,
    speaks: Speaks,
}

#[derive(Debug)]
enum Speaks {
    Newer {
        epoch: i32,
        has_changed: bool,
        is_unsure: bool,
    },
    Classic {
        generation: i32,
        phase: Phase,
    },
}

#[derive(Debug)]
enum Phase {
    Out,
    Joining(oneshot::Receiver<JoinResult>),
    Joined(Joined),
    Syncing(oneshot::Receiver<SyncResult>),
    Stable,
}

#[derive(Debug)]
enum Kind {
    Classic(Group),
    Consumers(ConsumerGroup),
}

/// An entry of the journal.
enum Written {
    Members(GroupSnapshot),
    Consumer(StrBytes, Option<MemberSnapshot>),
    Converted(BTreeMap<StrBytes, MemberSnapshot>),
}

#[derive(Debug, Clone)]
enum Step {
    /// A client's next request, whose answer arrives, or does not.
    Act {
        client: usize,
        arrives: bool,
    },
    /// The client's process is killed and another takes its place.
    Restart {
        client: usize,
        is_newer: bool,
    },
    Leave {
        client: usize,
        for_a_while: bool,
        is_newer: bool,
    },
    Wait {
        seconds: u64,
    },
    /// The power is cut: of the entries of the journal that are not on the disk so many are lost.
    Crash {
        lost: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let client = 0..CLIENTS;
    prop_oneof![
        16 => (client.clone(), prop::bool::weighted(0.85))
            .prop_map(|(client, arrives)| Step::Act { client, arrives }),
        2 => (client.clone(), any::<bool>())
            .prop_map(|(client, is_newer)| Step::Restart { client, is_newer }),
        2 => (client, any::<bool>(), any::<bool>()).prop_map(|(client, for_a_while, is_newer)| Step::Leave {
            client,
            for_a_while,
            is_newer,
        }),
        2 => (1u64..40).prop_map(|seconds| Step::Wait { seconds }),
        1 => (0usize..4).prop_map(|lost| Step::Crash { lost }),
    ]
}

impl Client {
    fn new(number: usize) -> Self {
        let mut client = Self {
            id: StrBytes::new(),
            instance_id: (number == 0).then(|| name("static")),
            lives: 0,
            owned: BTreeSet::new(),
            speaks: Speaks::Classic {
                generation: -1,
                phase: Phase::Out,
            },
        };
        client.start_anew(number, !number.is_multiple_of(2));
        client
    }

    /// Another process in its place, which knows nothing of it.
    fn start_anew(&mut self, number: usize, is_newer: bool) {
        self.lives += 1;
        self.owned.clear();
        self.speaks = if is_newer {
            self.id = name(&format!("client {number}.{}", self.lives));
            Speaks::newer()
        } else {
            self.id = StrBytes::new();
            Speaks::classic(Phase::Out)
        };
    }

    fn claim(&self, generation: i32) -> Claim<'_> {
        Claim {
            member_id: &self.id,
            instance_id: self.instance_id.as_ref(),
            generation,
        }
    }

    fn joining(&self, style: Style) -> Joining {
        let owned = Owned::default()
            .with_topic(TopicName(name("lines")))
            .with_partitions(self.owned.iter().copied().collect());
        let subscription = ConsumerProtocolSubscription::default()
            .with_topics(vec![name("lines")])
            .with_owned_partitions(vec![owned]);
        let version = i16::from(style == Style::Cooperative);
        let subscription = match style {
            Style::Eager => subscription.with_owned_partitions(Vec::new()),
            Style::Cooperative => subscription,
        };
        let mut metadata = BytesMut::new();
        metadata.put_i16(version);
        subscription.encode(&mut metadata, version).unwrap();
        Joining {
            instance_id: self.instance_id.clone(),
            protocols: vec![(name("range"), metadata.freeze())],
            first_join: match self.instance_id {
                Some(_) => FirstJoin::AtOnce,
                None => FirstJoin::NeedsId,
            },
            ..joining(&self.id, &[])
        }
    }

    fn heartbeat(&self) -> Heartbeat {
        let Speaks::Newer {
            epoch,
            has_changed,
            is_unsure,
        } = self.speaks
        else {
            panic!("it speaks the other protocol");
        };
        let first = Heartbeat {
            instance_id: self.instance_id.clone(),
            ..heartbeat(self.id.as_str())
        };
        if epoch == JOINS {
            return first;
        }
        let owned = self.owned.iter().map(|partition| (LINES, *partition)).collect();
        Heartbeat {
            epoch,
            rebalance_timeout: first.rebalance_timeout.filter(|_| is_unsure),
            topics: first.topics.clone().filter(|_| is_unsure),
            owned: Some(owned).filter(|_| is_unsure || has_changed),
            ..first
        }
    }

    /// What becomes of a member of the classic protocol that is refused.
    fn take_refusal(&mut self, code: ResponseError, id: StrBytes) {
        match code {
            ResponseError::MemberIdRequired => self.id = id,
            ResponseError::RebalanceInProgress => {}
            // It has lost what it had; who it was is known.
            ResponseError::IllegalGeneration => self.owned.clear(),
            ResponseError::UnknownMemberId | ResponseError::FencedInstanceId => {
                self.id = StrBytes::new();
                self.owned.clear();
            }
            code => panic!("{}: {code}", self.id),
        }
        if let Speaks::Classic { phase, .. } = &mut self.speaks {
            *phase = Phase::Out;
        }
    }
}

impl Speaks {
    fn newer() -> Self {
        Self::Newer {
            epoch: JOINS,
            has_changed: false,
            is_unsure: false,
        }
    }

    fn classic(phase: Phase) -> Self {
        Self::Classic {
            generation: -1,
            phase,
        }
    }
}

struct Run {
    kind: Kind,
    style: Style,
    topics: Topics,
    now: Instant,
    clients: Vec<Client>,
    journal: Vec<Written>,
    /// So many of its entries are on the disk.
    synced: usize,
}

impl Run {
    fn new(style: Style) -> Self {
        Self {
            kind: Kind::Classic(Group::new(Duration::ZERO)),
            style,
            topics: Topics(vec![("lines", LINES, PARTITIONS)], 1),
            now: Instant::now(),
            clients: (0..CLIENTS).map(Client::new).collect(),
            journal: Vec::new(),
            synced: 0,
        }
    }

    fn act(&mut self, number: usize, arrives: bool) {
        match self.clients[number].speaks {
            Speaks::Newer { .. } => self.beat(number, arrives),
            Speaks::Classic { .. } => self.go_on(number, arrives),
        }
        self.write();
    }

    /// Writes down what is new; a group whose last member of the newer protocol is gone is a classic one again.
    fn write(&mut self) {
        match &mut self.kind {
            Kind::Classic(group) => {
                if let Some(snapshot) = group.take_news() {
                    self.journal.push(Written::Members(snapshot));
                    self.synced = self.journal.len();
                }
            }
            Kind::Consumers(group) => {
                let news = group.take_news().into_iter();
                self.journal
                    .extend(news.map(|(id, member)| Written::Consumer(id, member)));
                if group.is_classic_alone() {
                    let mut classic = Group::of_consumers(group, Duration::ZERO, self.now);
                    let snapshot = classic.take_news().expect("it is new");
                    self.journal.push(Written::Members(snapshot));
                    self.kind = Kind::Classic(classic);
                }
            }
        }
    }

    fn beat(&mut self, number: usize, arrives: bool) {
        let said = self.clients[number].heartbeat();
        if let Kind::Classic(group) = &self.kind {
            if said.epoch != JOINS {
                return self.clients[number].lose_newer(arrives);
            }
            let mut consumers = if group.is_deserted() {
                ConsumerGroup::new()
            } else {
                ConsumerGroup::of_classic(&name("group"), group, &self.topics, self.now)
                    .expect("it goes over")
            };
            let beat = consumers.heartbeat(said, &self.topics, TIMING, self.now);
            self.journal.push(Written::Converted(consumers.take_everybody()));
            let classic = std::mem::replace(&mut self.kind, Kind::Consumers(consumers));
            if let Kind::Classic(classic) = classic {
                classic.dissolve();
            }
            return self.take_beat(number, arrives, beat);
        }
        let Kind::Consumers(group) = &mut self.kind else {
            return;
        };
        let beat = group.heartbeat(said, &self.topics, TIMING, self.now);
        self.write();
        self.take_beat(number, arrives, beat);
    }

    fn take_beat(
        &mut self,
        number: usize,
        arrives: bool,
        beat: Result<super::consumer::Beat, super::consumer::Refusal>,
    ) {
        if arrives {
            self.synced = self.journal.len();
        }
        let client = &mut self.clients[number];
        let Speaks::Newer {
            epoch,
            has_changed,
            is_unsure,
        } = &mut client.speaks
        else {
            return;
        };
        match beat {
            _ if !arrives => *is_unsure = true,
            Ok(beat) => {
                *epoch = beat.epoch;
                *is_unsure = false;
                *has_changed = false;
                if let Some(assigned) = beat.assigned {
                    let assigned = assigned.into_iter().map(|(_, partition)| partition).collect();
                    *has_changed = assigned != client.owned;
                    client.owned = assigned;
                }
            }
            Err(refusal) => match refusal.code {
                ResponseError::UnknownMemberId | ResponseError::FencedMemberEpoch => client.lose_newer(true),
                // Its former self is still in the group.
                ResponseError::UnreleasedInstanceId => {}
                // Somebody else has taken its place: its process ends, and is started anew.
                ResponseError::FencedInstanceId => client.start_anew(number, true),
                code => panic!("client {number}: {code}: {}", refusal.message),
            },
        }
    }

    fn join(&mut self, joining: Joining) -> oneshot::Receiver<JoinResult> {
        let (reply, answer) = oneshot::channel();
        if let Kind::Consumers(group) = &mut self.kind {
            let last = joining
                .instance_id
                .as_ref()
                .filter(|_| joining.member_id.is_empty());
            if let Some(last) = last.and_then(|instance_id| group.last_of_instance(instance_id)) {
                group.give_up(&last);
                self.write();
            }
        }
        if let Kind::Consumers(group) = &self.kind
            && group.members().is_empty()
        {
            self.kind = Kind::Classic(Group::new(Duration::ZERO));
        }
        match &mut self.kind {
            Kind::Classic(group) => group.join(joining, self.now, reply),
            Kind::Consumers(group) => {
                let _ = reply.send(group.join_classic(joining, &self.topics, self.now));
            }
        }
        answer
    }

    /// The next request of a member of the classic protocol, or a look whether its last one is answered.
    fn go_on(&mut self, number: usize, arrives: bool) {
        let (style, now) = (self.style, self.now);
        let client = &mut self.clients[number];
        let Speaks::Classic { generation, phase } = &mut client.speaks else {
            return;
        };
        let known = *generation;
        match std::mem::replace(phase, Phase::Out) {
            Phase::Out => {
                if style == Style::Eager {
                    client.owned.clear();
                }
                let joining = client.joining(style);
                let answer = self.join(joining);
                if arrives {
                    self.clients[number].set(known, Phase::Joining(answer));
                }
            }
            Phase::Joining(mut answer) => match answer.try_recv() {
                _ if !arrives => {}
                Ok(Ok(joined)) => {
                    client.id = joined.member_id.clone();
                    client.set(joined.generation, Phase::Joined(joined));
                }
                Ok(Err(refusal)) => client.take_refusal(refusal.code, refusal.member_id),
                Err(_) => *phase = Phase::Joining(answer),
            },
            Phase::Joined(joined) => {
                let (reply, answer) = oneshot::channel();
                let assignments = match joined.leader == client.id {
                    true => assignments(&joined, style),
                    false => Vec::new(),
                };
                let claim = self.clients[number].claim(known);
                match &mut self.kind {
                    Kind::Classic(group) => group.sync(claim, None, assignments, now, reply),
                    Kind::Consumers(group) => {
                        let _ = reply.send(group.sync_classic(claim, None, &self.topics, now));
                        self.write();
                        // It is told when that is safe.
                        self.synced = self.journal.len();
                    }
                }
                if arrives {
                    self.clients[number].set(known, Phase::Syncing(answer));
                }
            }
            Phase::Syncing(mut answer) => match answer.try_recv() {
                _ if !arrives => {}
                Ok(Ok(assigned)) => {
                    let assigned = Assignment::read(&assigned.assignment).unwrap().places;
                    let assigned: BTreeSet<i32> =
                        assigned.into_iter().map(|(_, partition)| partition).collect();
                    // What it gives up it tells by joining again.
                    let goes_on = client.owned.is_subset(&assigned) || style == Style::Eager;
                    client.owned = assigned;
                    client.set(known, if goes_on { Phase::Stable } else { Phase::Out });
                }
                Ok(Err(code)) => client.take_refusal(code, StrBytes::new()),
                Err(_) => *phase = Phase::Syncing(answer),
            },
            Phase::Stable => {
                let claim = self.clients[number].claim(known);
                let heard = match &mut self.kind {
                    Kind::Classic(group) => group.heartbeat(claim, now),
                    Kind::Consumers(group) => group.heartbeat_classic(claim, now),
                };
                match heard {
                    Err(code) if arrives => self.clients[number].take_refusal(code, StrBytes::new()),
                    _ => self.clients[number].set(known, Phase::Stable),
                }
            }
        }
    }

    fn leave(&mut self, number: usize, for_a_while: bool) {
        let client = &self.clients[number];
        match (&client.speaks, &mut self.kind) {
            (Speaks::Newer { epoch, .. }, Kind::Consumers(group)) if *epoch != JOINS => {
                let stays = for_a_while && client.instance_id.is_some();
                let said = Heartbeat {
                    epoch: if stays { LEAVES_FOR_A_WHILE } else { LEAVES },
                    ..client.heartbeat()
                };
                // Whoever is not known any more is gone as well.
                let _ = group.heartbeat(said, &self.topics, TIMING, self.now);
            }
            // A static member of the classic protocol does not say that it goes.
            (Speaks::Classic { .. }, kind) if client.instance_id.is_none() => {
                let _ = match kind {
                    Kind::Classic(group) => group.leave(&client.id, None, self.now),
                    Kind::Consumers(group) => group.leave_classic(&client.id, None),
                };
            }
            _ => {}
        }
        self.write();
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        match &mut self.kind {
            Kind::Classic(group) => group.expire(self.now),
            Kind::Consumers(group) => group.expire(self.now),
        }
        self.write();
    }

    fn crash(&mut self, lost: usize) {
        let kept = self.journal.len().saturating_sub(lost);
        self.journal.truncate(kept.max(self.synced));
        let mut classic = None;
        let mut consumers = BTreeMap::new();
        for entry in &self.journal {
            match entry {
                Written::Members(snapshot) if snapshot.members.is_empty() => classic = None,
                Written::Members(snapshot) => {
                    consumers.clear();
                    classic = Some(snapshot.clone());
                }
                Written::Consumer(id, Some(member)) => {
                    consumers.insert(id.clone(), member.clone());
                }
                Written::Consumer(id, None) => {
                    consumers.remove(id);
                }
                Written::Converted(members) => {
                    classic = None;
                    consumers.clone_from(members);
                }
            }
        }
        assert!(classic.is_none() || consumers.is_empty(), "it is of both kinds");
        self.kind = match classic {
            Some(snapshot) => Kind::Classic(Group::restored(snapshot, self.now, Duration::ZERO)),
            None if consumers.is_empty() => Kind::Classic(Group::new(Duration::ZERO)),
            None => Kind::Consumers(ConsumerGroup::restored(&consumers, TIMING, self.now)),
        };
        // Whoever waits for an answer has lost the connection.
        for client in &mut self.clients {
            if let Speaks::Classic { phase, .. } = &mut client.speaks
                && matches!(phase, Phase::Joining(_) | Phase::Syncing(_))
            {
                *phase = Phase::Out;
            }
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Act { client, arrives } => self.act(client, arrives),
            Step::Restart { client, is_newer } => self.clients[client].start_anew(client, is_newer),
            Step::Leave {
                client,
                for_a_while,
                is_newer,
            } => {
                self.leave(client, for_a_while);
                self.clients[client].start_anew(client, is_newer);
            }
            Step::Wait { seconds } => self.wait(seconds),
            Step::Crash { lost } => self.crash(lost),
        }
        self.check();
    }

    /// Nobody that may commit has what another one has that may.
    fn check(&self) {
        let mut readers: BTreeMap<i32, usize> = BTreeMap::new();
        for (number, client) in self.clients.iter().enumerate() {
            let may_commit = match (&client.speaks, &self.kind) {
                (Speaks::Newer { epoch, .. }, Kind::Consumers(group)) => {
                    *epoch > JOINS && group.check_epoch(&client.id, *epoch).is_ok()
                }
                (Speaks::Newer { .. }, Kind::Classic(_)) => false,
                (Speaks::Classic { generation, .. }, Kind::Consumers(group)) => {
                    *generation >= 0 && group.check_epoch(&client.id, *generation).is_ok()
                }
                (Speaks::Classic { generation, phase }, Kind::Classic(group)) => {
                    let claim = client.claim(*generation);
                    matches!(phase, Phase::Stable) && group.check_generation(claim).is_ok()
                }
            };
            for partition in client.owned.iter().filter(|_| may_commit) {
                let other = readers.insert(*partition, number);
                assert!(
                    other.is_none(),
                    "{partition} has {other:?} and {number}: {:?}, {:?}",
                    self.clients,
                    self.kind
                );
            }
        }
    }

    fn settle(&mut self) {
        // A static member may have to wait until its former self is given up.
        for _ in 0..40 {
            for _ in 0..4 {
                for number in 0..CLIENTS {
                    self.act(number, true);
                    self.check();
                }
            }
            self.wait(2);
        }
        let speak_newer = |client: &&Client| matches!(client.speaks, Speaks::Newer { .. });
        let (state, is_newer) = match &self.kind {
            Kind::Classic(group) => (group.state().name(), false),
            Kind::Consumers(group) => (group.state(), true),
        };
        assert_eq!(state, "Stable", "{:?} {:?}", self.clients, self.kind);
        assert_eq!(is_newer, self.clients.iter().filter(speak_newer).count() > 0);
        let owned: Vec<i32> = self
            .clients
            .iter()
            .flat_map(|client| client.owned.iter().copied())
            .collect();
        assert_eq!(
            (owned.len(), owned.into_iter().collect::<BTreeSet<i32>>()),
            (PARTITIONS as usize, (0..PARTITIONS).collect()),
            "{:?} {:?}",
            self.clients,
            self.kind
        );
    }
}

impl Client {
    fn set(&mut self, generation: i32, phase: Phase) {
        self.speaks = Speaks::Classic { generation, phase };
    }

    /// It is no member any more, once it hears of it.
    fn lose_newer(&mut self, arrives: bool) {
        if arrives {
            self.owned.clear();
            self.speaks = Speaks::newer();
        } else if let Speaks::Newer { is_unsure, .. } = &mut self.speaks {
            *is_unsure = true;
        }
    }
}

/// All partitions in turn to each member, as its leader assigns; what another one owns nobody gets before that has given
/// it up.
fn assignments(joined: &Joined, style: Style) -> Vec<(StrBytes, Bytes)> {
    let members: Vec<(StrBytes, Subscription)> = joined
        .members
        .iter()
        .map(|member| {
            let subscription = Subscription::read(&member.metadata).unwrap();
            (member.member_id.clone(), subscription)
        })
        .collect();
    let mut assigned: BTreeMap<StrBytes, BTreeSet<(StrBytes, i32)>> = BTreeMap::new();
    for partition in 0..PARTITIONS {
        let place = (name("lines"), partition);
        let (to, _) = &members[partition as usize % members.len()];
        let mut others = members.iter().filter(|(id, _)| id != to);
        let is_taken = others.any(|(_, subscription)| subscription.owned.contains(&place));
        if style == Style::Eager || !is_taken {
            assigned.entry(to.clone()).or_default().insert(place);
        }
    }
    members
        .into_iter()
        .map(|(id, _)| {
            let places = assigned.remove(&id).unwrap_or_default();
            (id, Assignment::write(1, &places))
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_group_that_changes_its_protocol_never_gives_a_partition_twice(
        steps in prop::collection::vec(step(), 0..120),
        style in prop_oneof![Just(Style::Eager), Just(Style::Cooperative)],
    ) {
        let mut run = Run::new(style);
        for step in &steps {
            run.take(step);
        }
        run.settle();
    }
}
