//! Members that lose answers, fall silent, start anew and go, on a broker that is killed and loses its last words:
//! whatever happens, two members that may commit never have the same partition, and in the end all is shared out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::beat::{LEAVES, LEAVES_FOR_A_WHILE};
use super::snapshot::MemberSnapshot;
use super::tests::{TIMING, Topics, joining, name};
use super::*;

const CLIENTS: usize = 4;

/// What a client of Kafka keeps of its membership.
#[derive(Debug, Clone)]
struct Client {
    id: StrBytes,
    instance_id: Option<StrBytes>,
    epoch: i32,
    owned: BTreeSet<Place>,
    /// What it owns is to be said.
    has_changed: bool,
    /// Its last heartbeat was not answered, so that it says everything again.
    is_unsure: bool,
    generation: usize,
}

impl Client {
    fn new(number: usize) -> Self {
        let is_static = number == 0;
        Self {
            id: name(&format!("client {number}.0")),
            instance_id: is_static.then(|| name("static")),
            epoch: JOINS,
            owned: BTreeSet::new(),
            has_changed: false,
            is_unsure: false,
            generation: 0,
        }
    }

    fn start_over(&mut self) {
        self.epoch = JOINS;
        self.owned.clear();
        self.has_changed = false;
        self.is_unsure = false;
    }

    fn heartbeat(&self) -> Heartbeat {
        let first = joining(self.id.as_str());
        let instance_id = self.instance_id.clone();
        if self.epoch == JOINS {
            return Heartbeat { instance_id, ..first };
        }
        let everything = Heartbeat {
            instance_id,
            epoch: self.epoch,
            owned: Some(self.owned.clone()),
            ..first
        };
        if self.is_unsure {
            return everything;
        }
        Heartbeat {
            rebalance_timeout: None,
            topics: None,
            owned: everything.owned.filter(|_| self.has_changed),
            ..everything
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// A heartbeat whose answer arrives, or does not.
    Beat {
        client: usize,
        arrives: bool,
    },
    /// The client's process is killed and another takes its place.
    Restart {
        client: usize,
    },
    Leave {
        client: usize,
        for_a_while: bool,
    },
    Wait {
        seconds: u64,
    },
    Grow,
    /// The power is cut: of the entries of the journal that are not on the disk so many are lost.
    Crash {
        lost: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let client = 0..CLIENTS;
    prop_oneof![
        12 => (client.clone(), prop::bool::weighted(0.8))
            .prop_map(|(client, arrives)| Step::Beat { client, arrives }),
        1 => client.clone().prop_map(|client| Step::Restart { client }),
        1 => (client, any::<bool>()).prop_map(|(client, for_a_while)| Step::Leave { client, for_a_while }),
        2 => (1u64..40).prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Grow),
        1 => (0usize..4).prop_map(|lost| Step::Crash { lost }),
    ]
}

struct Run {
    group: ConsumerGroup,
    topics: Topics,
    now: Instant,
    clients: Vec<Client>,
    journal: Vec<(StrBytes, Option<MemberSnapshot>)>,
    /// So many of its entries are on the disk: those that were there when an answer arrived.
    synced: usize,
}

impl Run {
    fn new() -> Self {
        Self {
            group: ConsumerGroup::new(),
            topics: Topics(vec![("lines", super::tests::LINES, 5)], 1),
            now: Instant::now(),
            clients: (0..CLIENTS).map(Client::new).collect(),
            journal: Vec::new(),
            synced: 0,
        }
    }

    fn beat(&mut self, number: usize, arrives: bool) {
        let client = &mut self.clients[number];
        let answer = self
            .group
            .heartbeat(client.heartbeat(), &self.topics, TIMING, self.now);
        self.journal.extend(self.group.take_news());
        if arrives {
            self.synced = self.journal.len();
        }
        match answer {
            _ if !arrives => client.is_unsure = true,
            Ok(beat) => {
                client.epoch = beat.epoch;
                client.is_unsure = false;
                client.has_changed = false;
                if let Some(assigned) = beat.assigned {
                    client.has_changed = assigned != client.owned;
                    client.owned = assigned;
                }
            }
            Err(refusal) => match refusal.code {
                ResponseError::UnknownMemberId | ResponseError::FencedMemberEpoch => client.start_over(),
                // Its former self is still in the group.
                ResponseError::UnreleasedInstanceId => {}
                code => panic!("client {number}: {code}: {}", refusal.message),
            },
        }
    }

    fn restart(&mut self, number: usize) {
        let client = &mut self.clients[number];
        client.generation += 1;
        client.id = name(&format!("client {number}.{}", client.generation));
        client.start_over();
    }

    fn leave(&mut self, number: usize, for_a_while: bool) {
        let client = &self.clients[number];
        if client.epoch != JOINS {
            let stays = for_a_while && client.instance_id.is_some();
            let said = Heartbeat {
                epoch: if stays { LEAVES_FOR_A_WHILE } else { LEAVES },
                ..client.heartbeat()
            };
            // Whoever is not known any more is gone as well.
            let _ = self.group.heartbeat(said, &self.topics, TIMING, self.now);
            self.journal.extend(self.group.take_news());
        }
        self.restart(number);
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.group.expire(self.now);
        self.journal.extend(self.group.take_news());
    }

    fn crash(&mut self, lost: usize) {
        let kept = self.journal.len().saturating_sub(lost);
        self.journal.truncate(kept.max(self.synced));
        let mut stored = BTreeMap::new();
        for (id, member) in &self.journal {
            match member {
                Some(member) => stored.insert(id.clone(), member.clone()),
                None => stored.remove(id),
            };
        }
        self.group = ConsumerGroup::restored(&stored, TIMING, self.now);
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Beat { client, arrives } => self.beat(client, arrives),
            Step::Restart { client } => self.restart(client),
            Step::Leave { client, for_a_while } => self.leave(client, for_a_while),
            Step::Wait { seconds } => self.wait(seconds),
            Step::Grow => {
                self.topics.0[0].2 += 1;
                self.topics.1 += 1;
            }
            Step::Crash { lost } => self.crash(lost),
        }
        self.check();
    }

    /// Nobody that may commit has what another one has that may.
    fn check(&self) {
        let may_commit = |client: &&Client| self.group.check_epoch(&client.id, client.epoch) == Ok(());
        let mut readers: BTreeMap<Place, &StrBytes> = BTreeMap::new();
        for client in self.clients.iter().filter(may_commit) {
            for place in &client.owned {
                let other = readers.insert(*place, &client.id);
                assert!(other.is_none(), "{place:?} has {other:?} and {}", client.id);
            }
        }
    }

    fn settle(&mut self) {
        // A static member may have to wait until its former self is given up.
        for _ in 0..30 {
            for number in 0..CLIENTS {
                self.beat(number, true);
                self.check();
            }
            self.wait(3);
        }
        assert_eq!(self.group.state(), "Stable");
        let owned: usize = self.clients.iter().map(|client| client.owned.len()).sum();
        assert_eq!(
            owned,
            usize::try_from(self.topics.0[0].2).unwrap(),
            "{:?} {:?}",
            self.clients,
            self.group
        );
        let shares = self.clients.iter().map(|client| client.owned.len());
        let (least, most) = (shares.clone().min(), shares.max());
        assert!(most <= least.map(|least| least + 1), "{least:?} {most:?}");
    }
}

proptest! {
    #[test]
    fn no_partition_has_two_readers_that_may_commit(steps in prop::collection::vec(step(), 0..120)) {
        let mut run = Run::new();
        for step in &steps {
            run.take(step);
        }
        run.settle();
    }
}
