//! Groups that change their protocol with members in them, over restarts of the broker.

use super::super::consumer::Heartbeat;
use super::super::consumer::tests::{TIMING, joining as heartbeat};
use super::super::embedded::Assignment;
use super::super::group::tests::{joining, name};
use super::tests::{claim, commit, coordinator, topics};
use super::*;
use crate::storage::disk::RealDisk;

/// All four partitions, as a leader assigns them.
fn everything(user_data: &[u8]) -> Bytes {
    let places = (0..4).map(|partition| (name("lines"), partition)).collect();
    let mut bytes = Assignment::write(0, &places).to_vec();
    if !user_data.is_empty() {
        bytes.truncate(bytes.len() - 4);
        bytes.extend(u32::try_from(user_data.len()).unwrap().to_be_bytes());
        bytes.extend(user_data);
    }
    bytes.into()
}

/// A stable group of one that reads all of `lines`; the member's id.
fn reader(coordinator: &Coordinator, group_id: &StrBytes, joining: Joining, assignment: Bytes) -> StrBytes {
    let mut answer = coordinator.join(group_id, joining, &topics()).unwrap();
    let joined = answer.try_recv().unwrap().unwrap();
    let id = joined.member_id.clone();
    let assignments = vec![(id.clone(), assignment)];
    coordinator
        .sync(
            group_id,
            claim(&id, joined.generation),
            None,
            assignments,
            &topics(),
        )
        .unwrap();
    id
}

/// Joins and asks what may be read; the generation, and the partitions.
fn rejoin(coordinator: &Coordinator, group_id: &StrBytes, id: &StrBytes) -> (i32, Vec<i32>) {
    let joining = joining(id, &["range"]);
    let mut answer = coordinator.join(group_id, joining, &topics()).unwrap();
    let joined = answer.try_recv().unwrap().unwrap();
    assert!(joined.leader.is_empty());
    let named = (name("consumer"), name("range"));
    let mut assigned = coordinator
        .sync(
            group_id,
            claim(id, joined.generation),
            Some((&named.0, &named.1)),
            Vec::new(),
            &topics(),
        )
        .unwrap();
    let assigned = assigned.try_recv().unwrap().unwrap();
    let places = Assignment::read(&assigned.assignment).unwrap().places;
    (
        joined.generation,
        places.into_iter().map(|(_, partition)| partition).collect(),
    )
}

/// A group goes over with a member in it, and back; what it has committed stays, also over restarts on the way.
#[test]
fn a_group_changes_its_protocol_with_members_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let group_id = name("readers");
    let first = coordinator(folder.path());
    let classic = reader(
        &first,
        &group_id,
        joining(&StrBytes::new(), &["range"]),
        everything(b""),
    );
    commit(&first, &group_id, claim(&classic, 1)).unwrap();

    let (beat, is_safe) = first
        .beat(&group_id, heartbeat("newer"), &topics(), TIMING)
        .unwrap();
    assert_eq!((beat.assigned.unwrap().len(), is_safe), (0, false));
    assert!(!first.is_safe(&group_id));
    first.flush().unwrap();
    assert!(first.is_safe(&group_id));
    assert_eq!(first.list()[0].kind, GroupKind::Consumer);
    assert_eq!(first.describe(&group_id), None);
    // It still reads everything, and may commit that, until it has joined again.
    commit(&first, &group_id, claim(&classic, 1)).unwrap();
    let heard = first.heartbeat(&group_id, claim(&classic, 1));
    assert_eq!(heard, Err(ResponseError::RebalanceInProgress));
    drop(first);

    let second = coordinator(folder.path());
    let (generation, kept) = rejoin(&second, &group_id, &classic);
    assert_eq!(kept.len(), 2);
    assert_eq!(second.heartbeat(&group_id, claim(&classic, generation)), Ok(()));
    let stale = commit(&second, &group_id, claim(&classic, 1));
    assert_eq!(stale, Err(ResponseError::IllegalGeneration));
    commit(&second, &group_id, claim(&classic, generation)).unwrap();
    let said = Heartbeat {
        epoch: beat.epoch,
        ..heartbeat("newer")
    };
    let (beat, _) = second.beat(&group_id, said.clone(), &topics(), TIMING).unwrap();
    let got: Vec<i32> = beat
        .assigned
        .unwrap()
        .into_iter()
        .map(|(_, partition)| partition)
        .collect();
    assert!(got.len() == 2 && got.iter().all(|partition| !kept.contains(partition)));

    let leaving = Heartbeat { epoch: -1, ..said };
    second
        .beat(&group_id, leaving.clone(), &topics(), TIMING)
        .unwrap();
    let description = second.describe(&group_id).unwrap();
    assert_eq!(
        (description.state, description.members.len()),
        ("PreparingRebalance", 1)
    );
    // Who was left behind is told to join again, not that it is lost.
    let heard = second.heartbeat(&group_id, claim(&classic, generation));
    assert_eq!(heard, Err(ResponseError::RebalanceInProgress));
    let gone = second.beat(&group_id, leaving, &topics(), TIMING);
    assert_eq!(gone.unwrap_err().code, ResponseError::UnknownMemberId);
    drop(second);

    let third = coordinator(folder.path());
    assert_eq!(third.list()[0].kind, GroupKind::Classic);
    let heard = third.heartbeat(&group_id, claim(&classic, generation));
    assert_eq!(heard, Err(ResponseError::RebalanceInProgress));
    let again = reader(&third, &group_id, joining(&classic, &["range"]), everything(b""));
    assert_eq!(again, classic);
    assert_eq!(third.committed(&group_id).unwrap().partitions.len(), 1);
}

#[test]
fn a_group_that_cannot_go_over_stays_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let disabled = GroupTimings {
        migration: crate::config::GroupMigration::Downgrade,
        ..GroupTimings::default()
    };
    let of_connect = Joining {
        protocol_type: name("connect"),
        ..joining(&StrBytes::new(), &["default"])
    };
    let torn = Joining {
        protocols: vec![(name("range"), Bytes::from_static(b"\0\0\0\0\0\x05"))],
        ..joining(&StrBytes::new(), &["range"])
    };
    let usual = joining(&StrBytes::new(), &["range"]);
    for (timings, joining, assignment, reason) in [
        (
            disabled,
            usual.clone(),
            everything(b""),
            "the online upgrade is disabled",
        ),
        (
            GroupTimings::default(),
            of_connect,
            Bytes::from_static(b"own"),
            "the group does not use the consumer embedded protocol",
        ),
        (
            GroupTimings::default(),
            torn,
            everything(b""),
            "the embedded consumer protocol is malformed",
        ),
        (
            GroupTimings::default(),
            usual,
            everything(b"sticky"),
            "an unsupported custom assignor is in use",
        ),
    ] {
        let coordinator = Coordinator::open(&RealDisk::shared(), folder.path(), timings).unwrap();
        let group_id = name(reason);
        let id = reader(&coordinator, &group_id, joining, assignment);
        let refused = coordinator
            .beat(&group_id, heartbeat("newer"), &topics(), TIMING)
            .unwrap_err();
        assert_eq!(refused.code, ResponseError::GroupIdNotFound);
        assert!(refused.message.contains(reason), "{}", refused.message);
        assert_eq!(coordinator.heartbeat(&group_id, claim(&id, 1)), Ok(()));
    }
}

/// A static member is the same whichever protocol it speaks: whoever comes last takes the place.
#[test]
fn a_static_member_changes_its_protocol() {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = coordinator(folder.path());
    let group_id = name("readers");
    let of_classic = Joining {
        instance_id: Some(name("one")),
        ..joining(&StrBytes::new(), &["range"])
    };
    let classic = reader(&coordinator, &group_id, of_classic.clone(), everything(b""));
    let of_newer = Heartbeat {
        instance_id: Some(name("one")),
        ..heartbeat("newer")
    };
    let (beat, _) = coordinator
        .beat(&group_id, of_newer.clone(), &topics(), TIMING)
        .unwrap();
    assert_eq!(beat.assigned.unwrap().len(), 4);
    let fenced = Claim {
        instance_id: of_classic.instance_id.as_ref(),
        ..claim(&classic, 1)
    };
    let heard = coordinator.heartbeat(&group_id, fenced);
    assert_eq!(heard, Err(ResponseError::FencedInstanceId));

    // Back, alone: the group is a classic one before it joins, and it leads.
    let back = reader(&coordinator, &group_id, of_classic, everything(b""));
    assert_eq!(
        coordinator.describe(&group_id).unwrap().members[0].member_id,
        back
    );
    let said = Heartbeat {
        epoch: beat.epoch,
        ..of_newer
    };
    let gone = coordinator.beat(&group_id, said, &topics(), TIMING);
    assert_eq!(gone.unwrap_err().code, ResponseError::GroupIdNotFound);
}
