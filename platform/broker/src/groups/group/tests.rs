//! Members that come and go, with a clock the test moves.
//!
//! Long because each test tells one course of events from its beginning, in the same few words.

use super::*;
use crate::groups::member::{FirstJoin, JoinRefusal, JoinResult, Joined, Joining, SkipsAssignment};

const SECOND: Duration = Duration::from_secs(1);

struct Scene {
    group: Group,
    now: Instant,
}

type JoinAnswer = oneshot::Receiver<JoinResult>;
type SyncAnswer = oneshot::Receiver<SyncResult>;

pub(crate) fn name(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(crate) fn joining(member_id: &StrBytes, protocols: &[&str]) -> Joining {
    Joining {
        member_id: member_id.clone(),
        instance_id: None,
        client_id: name("client"),
        client_host: name("/127.0.0.1"),
        session_timeout: 10 * SECOND,
        rebalance_timeout: 30 * SECOND,
        protocol_type: name("consumer"),
        protocols: protocols
            .iter()
            .map(|protocol| {
                (
                    name(protocol),
                    Bytes::from_static(b"\0\0\0\0\0\x01\0\x05lines\xff\xff\xff\xff"),
                )
            })
            .collect(),
        first_join: FirstJoin::AtOnce,
        skips_assignment: SkipsAssignment::No,
    }
}

fn of_instance(instance_id: &str, member_id: &StrBytes) -> Joining {
    Joining {
        instance_id: Some(name(instance_id)),
        ..joining(member_id, &["range"])
    }
}

fn claim<'a>(member_id: &'a StrBytes, generation: i32) -> Claim<'a> {
    Claim {
        member_id,
        instance_id: None,
        generation,
    }
}

impl Scene {
    fn new() -> Self {
        Self {
            group: Group::new(Duration::ZERO),
            now: Instant::now(),
        }
    }

    fn join(&mut self, joining: Joining) -> JoinAnswer {
        let (reply, answer) = oneshot::channel();
        self.group.join(joining, self.now, reply);
        answer
    }

    fn sync(&mut self, joined: &Joined, assignments: &[(&StrBytes, &'static str)]) -> SyncAnswer {
        let (reply, answer) = oneshot::channel();
        let assignments = assignments
            .iter()
            .map(|(member, assignment)| ((*member).clone(), Bytes::from_static(assignment.as_bytes())))
            .collect();
        let claim = claim(&joined.member_id, joined.generation);
        self.group.sync(claim, None, assignments, self.now, reply);
        answer
    }

    fn heartbeat(&mut self, joined: &Joined) -> Result<(), ResponseError> {
        self.group
            .heartbeat(claim(&joined.member_id, joined.generation), self.now)
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.group.expire(self.now);
    }

    /// A stable group of one.
    fn with_one(&mut self) -> Joined {
        let joined = joined(&mut self.join(joining(&StrBytes::new(), &["range"])));
        let mut synced = self.sync(&joined, &[(&joined.member_id, "everything")]);
        assert_eq!(assignment(&mut synced), "everything");
        joined
    }

    /// A stable group of two, leader first.
    fn with_two(&mut self) -> (Joined, Joined) {
        let first = self.with_one();
        let mut second = self.join(joining(&StrBytes::new(), &["range"]));
        assert_eq!(self.heartbeat(&first), Err(ResponseError::RebalanceInProgress));
        let mut first = self.join(joining(&first.member_id, &["range"]));
        let (first, second) = (joined(&mut first), joined(&mut second));
        assert_eq!((first.members.len(), second.members.len()), (2, 0));
        let mut waiting = self.sync(&second, &[]);
        assert!(waiting.try_recv().is_err());
        let halves = [(&first.member_id, "left"), (&second.member_id, "right")];
        assert_eq!(assignment(&mut self.sync(&first, &halves)), "left");
        assert_eq!(assignment(&mut waiting), "right");
        (first, second)
    }
}

fn joined(answer: &mut JoinAnswer) -> Joined {
    answer.try_recv().unwrap().unwrap()
}

fn refused(answer: &mut JoinAnswer) -> JoinRefusal {
    answer.try_recv().unwrap().unwrap_err()
}

fn assignment(answer: &mut SyncAnswer) -> String {
    let assigned = answer.try_recv().unwrap().unwrap();
    String::from_utf8(assigned.assignment.to_vec()).unwrap()
}

#[test]
fn one_member_has_it_all() {
    let mut scene = Scene::new();
    let joined = scene.with_one();
    assert_eq!((joined.generation, joined.protocol.as_str()), (1, "range"));
    assert_eq!(joined.leader, joined.member_id);
    assert_eq!(scene.heartbeat(&joined), Ok(()));
}

#[test]
fn a_newcomer_makes_the_others_join_again() {
    let mut scene = Scene::new();
    let (first, second) = scene.with_two();
    assert_eq!((first.generation, second.generation), (2, 2));
    assert_eq!(scene.heartbeat(&second), Ok(()));
    let stale = Joined {
        generation: 1,
        ..first
    };
    assert_eq!(scene.heartbeat(&stale), Err(ResponseError::IllegalGeneration));
}

#[test]
fn a_member_without_an_id_is_told_one_first() {
    let mut scene = Scene::new();
    let newcomer = Joining {
        first_join: FirstJoin::NeedsId,
        ..joining(&StrBytes::new(), &["range"])
    };
    let refusal = refused(&mut scene.join(newcomer));
    assert_eq!(refusal.code, ResponseError::MemberIdRequired);
    let joined = joined(&mut scene.join(joining(&refusal.member_id, &["range"])));
    assert_eq!(joined.member_id, refusal.member_id);
}

#[test]
fn a_rebalance_waits_for_members_it_has_told_their_id() {
    let mut scene = Scene::new();
    let newcomer = Joining {
        first_join: FirstJoin::NeedsId,
        ..joining(&StrBytes::new(), &["range"])
    };
    let id = refused(&mut scene.join(newcomer)).member_id;
    let mut waiting = scene.join(joining(&StrBytes::new(), &["range"]));
    assert!(waiting.try_recv().is_err());
    let mut named = scene.join(joining(&id, &["range"]));
    assert_eq!(joined(&mut waiting).generation, joined(&mut named).generation);
}

#[test]
fn a_silent_member_is_thrown_out() {
    let mut scene = Scene::new();
    let (first, second) = scene.with_two();
    scene.pass(6 * SECOND);
    assert_eq!(scene.heartbeat(&first), Ok(()));
    scene.pass(6 * SECOND);
    assert_eq!(scene.heartbeat(&second), Err(ResponseError::UnknownMemberId));
    assert_eq!(scene.heartbeat(&first), Err(ResponseError::RebalanceInProgress));
    let alone = joined(&mut scene.join(joining(&first.member_id, &["range"])));
    assert_eq!(alone.members.len(), 1);
}

#[test]
fn a_member_that_does_not_join_again_is_left_behind() {
    let mut scene = Scene::new();
    let (first, second) = scene.with_two();
    let mut third = scene.join(joining(&StrBytes::new(), &["range"]));
    let mut again = scene.join(joining(&first.member_id, &["range"]));
    for _ in 0..6 {
        scene.pass(5 * SECOND);
        let _ = scene.heartbeat(&second);
    }
    assert_eq!(joined(&mut again).members.len(), 2);
    joined(&mut third);
    assert_eq!(scene.heartbeat(&second), Err(ResponseError::UnknownMemberId));
}

#[test]
fn a_leader_that_never_assigns_is_thrown_out() {
    let mut scene = Scene::new();
    let first = scene.with_one();
    let mut second = scene.join(joining(&StrBytes::new(), &["range"]));
    joined(&mut scene.join(joining(&first.member_id, &["range"])));
    let second = joined(&mut second);
    let mut waiting = scene.sync(&second, &[]);
    scene.pass(11 * SECOND);
    let refusal = waiting.try_recv().unwrap().unwrap_err();
    assert_eq!(refusal, ResponseError::RebalanceInProgress);
    let alone = joined(&mut scene.join(joining(&second.member_id, &["range"])));
    assert_eq!(alone.leader, second.member_id);
}

#[test]
fn a_member_that_never_asks_for_its_assignment_is_thrown_out_however_alive_it_is() {
    let mut scene = Scene::new();
    let first = scene.with_one();
    let mut second = scene.join(joining(&StrBytes::new(), &["range"]));
    let first = joined(&mut scene.join(joining(&first.member_id, &["range"])));
    let second = joined(&mut second);
    let halves = [(&first.member_id, "left"), (&second.member_id, "right")];
    assert_eq!(assignment(&mut scene.sync(&first, &halves)), "left");
    for _ in 0..5 {
        scene.pass(5 * SECOND);
        assert_eq!(
            (scene.heartbeat(&first), scene.heartbeat(&second)),
            (Ok(()), Ok(()))
        );
    }
    assert_eq!(scene.group.next_deadline(), Some(scene.now + 5 * SECOND));
    scene.pass(5 * SECOND);
    assert_eq!(scene.heartbeat(&second), Err(ResponseError::UnknownMemberId));
    assert_eq!(scene.heartbeat(&first), Err(ResponseError::RebalanceInProgress));
    let mut again = scene.join(joining(&first.member_id, &["range"]));
    let alone = joined(&mut again);
    assert_eq!(alone.members.len(), 1);
    scene.sync(&alone, &[(&alone.member_id, "everything")]);
    // Who has asked for it stays.
    for _ in 0..8 {
        scene.pass(5 * SECOND);
        assert_eq!(scene.heartbeat(&alone), Ok(()));
    }
}

#[test]
fn newcomers_that_gave_up_are_not_waited_with_for_ever() {
    let mut scene = Scene::new();
    let patient = Joining {
        rebalance_timeout: 3600 * SECOND,
        ..joining(&StrBytes::new(), &["range"])
    };
    let first = joined(&mut scene.join(patient.clone()));
    scene.sync(&first, &[(&first.member_id, "everything")]);
    // Each start of a program that does not come up for want of an assignment.
    for _ in 0..3 {
        drop(scene.join(patient.clone()));
        scene.pass(SECOND);
    }
    let mut lasting = |seconds| {
        for _ in 0..seconds / 5 {
            scene.pass(5 * SECOND);
            assert_eq!(scene.heartbeat(&first), Err(ResponseError::RebalanceInProgress));
        }
        scene.group.members().len()
    };
    assert_eq!(lasting(295), 4);
    assert_eq!(lasting(10), 1);
    let again = Joining {
        member_id: first.member_id.clone(),
        ..patient
    };
    assert_eq!(joined(&mut scene.join(again)).members.len(), 1);
}

#[test]
fn the_last_to_leave_empties_the_group() {
    let mut scene = Scene::new();
    let (first, second) = scene.with_two();
    assert_eq!(scene.group.leave(&second.member_id, None, scene.now), Ok(()));
    assert_eq!(scene.group.leave(&first.member_id, None, scene.now), Ok(()));
    assert_eq!(scene.group.state(), State::Empty);
    assert!(scene.group.is_deserted());
    let again = scene.group.leave(&first.member_id, None, scene.now);
    assert_eq!(again, Err(ResponseError::UnknownMemberId));
}

#[test]
fn the_protocol_is_one_that_all_know() {
    let mut scene = Scene::new();
    let first = scene.with_one();
    let mut second = scene.join(joining(&StrBytes::new(), &["sticky", "range"]));
    joined(&mut scene.join(joining(&first.member_id, &["range", "sticky"])));
    assert!(["range", "sticky"].contains(&joined(&mut second).protocol.as_str()));
    let stranger = refused(&mut scene.join(joining(&StrBytes::new(), &["mine"])));
    assert_eq!(stranger.code, ResponseError::InconsistentGroupProtocol);
}

#[test]
fn a_static_member_comes_back_without_a_rebalance() {
    let mut scene = Scene::new();
    let first = scene.with_one();
    let mut second = scene.join(of_instance("two", &StrBytes::new()));
    let mut again = scene.join(joining(&first.member_id, &["range"]));
    let (first, second) = (joined(&mut again), joined(&mut second));
    let halves = [(&first.member_id, "left"), (&second.member_id, "right")];
    scene.sync(&first, &halves);

    let back = joined(&mut scene.join(of_instance("two", &StrBytes::new())));
    assert_eq!(back.generation, first.generation);
    assert_ne!(back.member_id, second.member_id);
    assert_eq!(assignment(&mut scene.sync(&back, &[])), "right");
    assert_eq!(scene.heartbeat(&first), Ok(()));
    // The instance it has replaced is told so.
    let two = name("two");
    let fenced = Claim {
        member_id: &second.member_id,
        instance_id: Some(&two),
        generation: second.generation,
    };
    let told = scene.group.heartbeat(fenced, scene.now);
    assert_eq!(told, Err(ResponseError::FencedInstanceId));
}

#[test]
fn a_static_member_that_reads_something_else_causes_a_rebalance() {
    let mut scene = Scene::new();
    let leader = joined(&mut scene.join(of_instance("one", &StrBytes::new())));
    scene.sync(&leader, &[(&leader.member_id, "everything")]);
    let other = Bytes::from_static(b"\0\0\0\0\0\x01\0\x05files\xff\xff\xff\xff");
    let changed = Joining {
        protocols: vec![(name("range"), other)],
        ..of_instance("one", &StrBytes::new())
    };
    assert_eq!(joined(&mut scene.join(changed)).generation, leader.generation + 1);
}

#[test]
fn a_stable_group_is_the_same_after_a_restart() {
    let mut scene = Scene::new();
    let (first, second) = scene.with_two();
    let snapshot = scene.group.take_news().unwrap();
    assert_eq!(scene.group.take_news(), None);
    scene.group = Group::restored(snapshot, scene.now, Duration::ZERO);
    assert_eq!(scene.heartbeat(&first), Ok(()));
    assert_eq!(assignment(&mut scene.sync(&second, &[])), "right");
    // One that is not heard of any more is thrown out as ever.
    scene.pass(6 * SECOND);
    assert_eq!(scene.heartbeat(&first), Ok(()));
    scene.pass(6 * SECOND);
    assert_eq!(scene.heartbeat(&first), Err(ResponseError::RebalanceInProgress));
    assert_eq!(scene.heartbeat(&second), Err(ResponseError::UnknownMemberId));
    scene.group.leave(&first.member_id, None, scene.now).unwrap();
    assert!(scene.group.take_news().unwrap().members.is_empty());
}

#[test]
fn a_static_leader_comes_back_without_a_rebalance() {
    let mut scene = Scene::new();
    let leader = joined(&mut scene.join(of_instance("one", &StrBytes::new())));
    scene.sync(&leader, &[(&leader.member_id, "everything")]);
    let back = joined(&mut scene.join(of_instance("one", &StrBytes::new())));
    // An older client takes itself for a follower and so keeps its assignment.
    assert_eq!(back.leader, leader.member_id);
    assert_eq!(assignment(&mut scene.sync(&back, &[])), "everything");
    let newer = Joining {
        skips_assignment: SkipsAssignment::Yes,
        ..of_instance("one", &StrBytes::new())
    };
    let back = joined(&mut scene.join(newer));
    assert_eq!((back.skip_assignment, back.members.len()), (true, 1));
    assert_eq!(back.leader, back.member_id);
}

#[test]
fn offsets_are_committed_by_members_of_this_generation() {
    let mut scene = Scene::new();
    let nobody = StrBytes::new();
    let anybody = claim(&nobody, -1);
    assert_eq!(scene.group.may_commit(anybody, Commit::Plain, scene.now), Ok(()));
    let joined = scene.with_one();
    let now = scene.now;
    let mut commit = |generation| {
        let claim = claim(&joined.member_id, generation);
        scene.group.may_commit(claim, Commit::Plain, now)
    };
    assert_eq!(commit(1), Ok(()));
    assert_eq!(commit(0), Err(ResponseError::IllegalGeneration));
    let stranger = scene.group.may_commit(anybody, Commit::Plain, now);
    assert_eq!(stranger, Err(ResponseError::UnknownMemberId));
}

#[test]
fn who_has_joined_commits_with_a_transaction_before_it_knows_its_partitions() {
    let mut scene = Scene::new();
    let joined = joined(&mut scene.join(joining(&StrBytes::new(), &["range"])));
    assert_eq!(scene.group.state(), State::Completing);
    let now = scene.now;
    let mut may = |generation, commit| {
        let claim = claim(&joined.member_id, generation);
        scene.group.may_commit(claim, commit, now)
    };
    assert_eq!(may(1, Commit::Plain), Err(ResponseError::RebalanceInProgress));
    assert_eq!(may(1, Commit::InTransaction), Ok(()));
    assert_eq!(
        may(0, Commit::InTransaction),
        Err(ResponseError::IllegalGeneration)
    );
}

#[test]
fn the_first_rebalance_waits_when_it_is_told_to() {
    let mut scene = Scene::new();
    scene.group = Group::new(3 * SECOND);
    let mut first = scene.join(joining(&StrBytes::new(), &["range"]));
    scene.pass(SECOND);
    let mut second = scene.join(joining(&StrBytes::new(), &["range"]));
    assert!(first.try_recv().is_err());
    assert_eq!(scene.group.next_deadline(), Some(scene.now + 2 * SECOND));
    scene.pass(2 * SECOND);
    assert_eq!(joined(&mut first).generation, joined(&mut second).generation);
}
