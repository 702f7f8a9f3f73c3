//! Members of the classic protocol in a group that the broker assigns, with a clock the test moves.

use super::tests::{SECOND, Scene, TIMING, going_on, joining, places};
use super::*;
use crate::groups::embedded::Assignment;
use crate::groups::group::Claim;
use crate::groups::group::tests::{joining as join_group, name};
use crate::groups::member::Joining;

/// Of the classic protocol, which goes on reading what it owns until it has joined again.
fn classic(member_id: &str, owned: &[i32]) -> Joining {
    let mut metadata = b"\0\x01\0\0\0\x01\0\x05lines\xff\xff\xff\xff\0\0\0\x01\0\x05lines".to_vec();
    metadata.extend(i32::try_from(owned.len()).unwrap().to_be_bytes());
    owned
        .iter()
        .for_each(|partition| metadata.extend(partition.to_be_bytes()));
    Joining {
        protocols: vec![(name("cooperative-sticky"), metadata.into())],
        ..join_group(&name(member_id), &[])
    }
}

fn claim(member_id: &StrBytes, generation: i32) -> Claim<'_> {
    Claim {
        member_id,
        instance_id: None,
        generation,
    }
}

/// What a member of the classic protocol may read, by a sync.
fn synced(scene: &mut Scene, id: &StrBytes, generation: i32) -> Result<Vec<i32>, ResponseError> {
    let assigned = scene
        .group
        .sync_classic(claim(id, generation), None, &scene.topics, scene.now)?;
    let places = Assignment::read(&assigned.assignment).unwrap().places;
    Ok(places.into_iter().map(|(_, partition)| partition).collect())
}

#[test]
fn a_member_of_the_classic_protocol_gives_up_before_others_get() {
    let mut scene = Scene::new();
    let one = name("one");
    let joined = scene
        .group
        .join_classic(classic("one", &[]), &scene.topics, scene.now)
        .unwrap();
    assert_eq!(synced(&mut scene, &one, joined.generation), Ok(vec![0, 1, 2, 3]));
    let told = scene
        .group
        .heartbeat(joining("two"), &scene.topics, TIMING, scene.now)
        .unwrap();
    assert_eq!(told.assigned, Some(BTreeSet::new()));

    let heard = scene
        .group
        .heartbeat_classic(claim(&one, joined.generation), scene.now);
    assert_eq!(heard, Err(ResponseError::RebalanceInProgress));
    // It says what it still reads, is told what it keeps, and stays where it is until the rest is given up.
    let again = scene
        .group
        .join_classic(classic("one", &[0, 1, 2, 3]), &scene.topics, scene.now)
        .unwrap();
    assert_eq!(again.generation, joined.generation);
    let kept = synced(&mut scene, &one, again.generation).unwrap();
    assert_eq!(kept.len(), 2);
    let waits = scene
        .group
        .heartbeat(
            going_on("two", told.epoch, None),
            &scene.topics,
            TIMING,
            scene.now,
        )
        .unwrap();
    assert_eq!(waits.assigned, None);
    let done = scene
        .group
        .join_classic(classic("one", &kept), &scene.topics, scene.now)
        .unwrap();
    assert_eq!(done.generation, told.epoch);
    assert_eq!(synced(&mut scene, &one, done.generation), Ok(kept.clone()));
    let got = scene
        .group
        .heartbeat(
            going_on("two", told.epoch, None),
            &scene.topics,
            TIMING,
            scene.now,
        )
        .unwrap();
    let rest: Vec<i32> = (0..4).filter(|partition| !kept.contains(partition)).collect();
    assert_eq!(got.assigned, Some(places(&rest)));
    assert_eq!(scene.group.state(), "Stable");
}

/// Others may have what it believes to own.
#[test]
fn a_member_that_was_given_up_is_told_so_before_it_joins_with_what_it_owned() {
    let mut scene = Scene::new();
    let join = |scene: &mut Scene, joining| scene.group.join_classic(joining, &scene.topics, scene.now);
    join(&mut scene, classic("one", &[])).unwrap();
    scene.group.leave_classic(&name("one"), None).unwrap();
    let refusal = join(&mut scene, classic("one", &[0, 1])).unwrap_err();
    assert_eq!(refusal.code, ResponseError::UnknownMemberId);
    assert!(scene.group.members().is_empty());
    // As one that owns nothing it may come back.
    join(&mut scene, classic("one", &[])).unwrap();
}

/// However alive it is.
#[test]
fn a_member_of_the_classic_protocol_that_does_not_join_again_is_removed() {
    let mut scene = Scene::new();
    let one = name("one");
    let joined = scene
        .group
        .join_classic(classic("one", &[]), &scene.topics, scene.now)
        .unwrap();
    synced(&mut scene, &one, joined.generation).unwrap();
    scene
        .group
        .heartbeat(joining("two"), &scene.topics, TIMING, scene.now)
        .unwrap();
    // It has 30 seconds for a rebalance, and a session of 10.
    for _ in 0..5 {
        scene.now += 5 * SECOND;
        let heard = scene
            .group
            .heartbeat_classic(claim(&one, joined.generation), scene.now);
        assert_eq!(heard, Err(ResponseError::RebalanceInProgress));
        scene.group.expire(scene.now);
        assert_eq!(scene.group.members().len(), 2);
    }
    scene.now += 9 * SECOND;
    assert_eq!(
        scene
            .group
            .heartbeat_classic(claim(&one, joined.generation), scene.now),
        Err(ResponseError::RebalanceInProgress)
    );
    scene.now += SECOND;
    scene.group.expire(scene.now);
    assert_eq!(scene.group.members().len(), 1);
    let told = scene
        .group
        .heartbeat(going_on("two", 2, None), &scene.topics, TIMING, scene.now)
        .unwrap();
    assert_eq!(told.assigned, Some(places(&[0, 1, 2, 3])));
}

#[test]
fn a_group_of_both_protocols_takes_whom_its_classic_members_understand() {
    let mut scene = Scene::new();
    scene
        .group
        .heartbeat(joining("two"), &scene.topics, TIMING, scene.now)
        .unwrap();
    scene
        .group
        .join_classic(classic("one", &[]), &scene.topics, scene.now)
        .unwrap();
    let refused = |scene: &mut Scene, joining| {
        let refused = scene.group.join_classic(joining, &scene.topics, scene.now);
        refused.unwrap_err().code
    };
    let other = join_group(&StrBytes::new(), &["range"]);
    assert_eq!(
        refused(&mut scene, other),
        ResponseError::InconsistentGroupProtocol
    );
    let connect = Joining {
        protocol_type: name("connect"),
        ..classic("", &[])
    };
    assert_eq!(
        refused(&mut scene, connect),
        ResponseError::InconsistentGroupProtocol
    );
    // An id of the one protocol is none of the other.
    assert_eq!(
        refused(&mut scene, classic("two", &[])),
        ResponseError::UnknownMemberId
    );
    let stranger = scene
        .group
        .heartbeat(going_on("one", 2, None), &scene.topics, TIMING, scene.now);
    assert_eq!(stranger.unwrap_err().code, ResponseError::UnknownMemberId);
}
