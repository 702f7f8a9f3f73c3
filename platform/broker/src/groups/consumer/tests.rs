//! Members that come, go and hand partitions over, with a clock the test moves.

use super::beat::{LEAVES, LEAVES_FOR_A_WHILE};
use super::*;
pub(crate) use crate::groups::group::tests::name;

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const TIMING: Timing = Timing {
    session: Duration::from_secs(45),
    heartbeat: Duration::from_secs(5),
};
pub(crate) const LINES: Uuid = Uuid::from_u128(7);

/// The topics of a test: a count of partitions for each name.
pub(crate) struct Topics(pub(crate) Vec<(&'static str, Uuid, i32)>, pub(crate) u64);

impl Subscribable for Topics {
    fn version(&self) -> u64 {
        self.1
    }

    fn find(&self, wanted: &StrBytes) -> Option<(Uuid, i32)> {
        let found = self.0.iter().find(|(name, _, _)| *name == wanted.as_str());
        found.map(|(_, id, count)| (*id, *count))
    }

    fn names(&self) -> Vec<StrBytes> {
        self.0.iter().map(|(topic, _, _)| name(topic)).collect()
    }
}

pub(super) struct Scene {
    pub(super) group: ConsumerGroup,
    pub(super) topics: Topics,
    pub(super) now: Instant,
}

pub(crate) fn joining(member: &str) -> Heartbeat {
    Heartbeat {
        member_id: name(member),
        epoch: JOINS,
        instance_id: None,
        rack_id: None,
        client_id: name("client"),
        client_host: name("/127.0.0.1"),
        rebalance_timeout: Some(30 * SECOND),
        topics: Some(BTreeSet::from([name("lines")])),
        pattern: None,
        assignor: None,
        owned: Some(BTreeSet::new()),
    }
}

fn of_instance(member: &str, instance: &str) -> Heartbeat {
    Heartbeat {
        instance_id: Some(name(instance)),
        ..joining(member)
    }
}

pub(super) fn going_on(member: &str, epoch: i32, owned: Option<&[i32]>) -> Heartbeat {
    Heartbeat {
        epoch,
        rebalance_timeout: None,
        topics: None,
        owned: owned.map(places),
        ..joining(member)
    }
}

pub(super) fn places(partitions: &[i32]) -> BTreeSet<Place> {
    partitions.iter().map(|partition| (LINES, *partition)).collect()
}

impl Scene {
    pub(super) fn new() -> Self {
        Self {
            group: ConsumerGroup::new(),
            topics: Topics(vec![("lines", LINES, 4)], 1),
            now: Instant::now(),
        }
    }

    fn say(&mut self, said: Heartbeat) -> Result<Beat, ResponseError> {
        let beat = self.group.heartbeat(said, &self.topics, TIMING, self.now);
        beat.map_err(|refusal| refusal.code)
    }

    /// The epoch a member is told, and the partitions if any are.
    fn told(&mut self, said: Heartbeat) -> (i32, Option<Vec<i32>>) {
        let beat = self.say(said).unwrap();
        let partitions = beat
            .assigned
            .map(|places| places.iter().map(|place| place.1).collect());
        (beat.epoch, partitions)
    }

    /// What two members have when one was there alone and gave up what it should.
    fn with_two_members(&mut self) {
        assert_eq!(self.told(joining("a")), (1, Some(vec![0, 1, 2, 3])));
        assert_eq!(self.told(joining("b")), (2, Some(vec![])));
        let (epoch, kept) = self.told(going_on("a", 1, None));
        assert_eq!((epoch, kept.clone()), (1, Some(vec![0, 1])));
        assert_eq!(self.told(going_on("a", 1, kept.as_deref())), (2, None));
        assert_eq!(self.told(going_on("b", 2, None)), (2, Some(vec![2, 3])));
        assert_eq!(self.group.state(), "Stable");
    }
}

#[test]
fn a_partition_has_one_reader_until_that_has_given_it_up() {
    let mut scene = Scene::new();
    assert_eq!(scene.told(joining("a")), (1, Some(vec![0, 1, 2, 3])));
    assert_eq!(scene.group.state(), "Stable");
    assert_eq!(scene.told(joining("b")), (2, Some(vec![])));
    assert_eq!(scene.group.state(), "Reconciling");
    assert_eq!(scene.told(going_on("a", 1, None)), (1, Some(vec![0, 1])));
    // It still reads all of them.
    assert_eq!(scene.told(going_on("a", 1, Some(&[0, 1, 2, 3]))), (1, None));
    assert_eq!(scene.told(going_on("b", 2, None)), (2, None));
    assert_eq!(scene.told(going_on("a", 1, Some(&[0, 1]))), (2, None));
    assert_eq!(scene.told(going_on("b", 2, None)), (2, Some(vec![2, 3])));
    assert_eq!(scene.group.state(), "Stable");
}

#[test]
fn who_keeps_what_it_is_to_give_up_is_thrown_out() {
    let mut scene = Scene::new();
    scene.told(joining("a"));
    scene.told(joining("b"));
    scene.told(going_on("a", 1, None));
    for _ in 0..3 {
        scene.now += 10 * SECOND;
        scene.told(going_on("b", 2, None));
        if scene.group.members().contains_key(&name("a")) {
            let _ = scene.say(going_on("a", 1, Some(&[0, 1, 2, 3])));
        }
        scene.group.expire(scene.now);
    }
    assert_eq!(
        scene.say(going_on("a", 1, None)).unwrap_err(),
        ResponseError::UnknownMemberId
    );
    assert_eq!(scene.told(going_on("b", 2, None)), (3, Some(vec![0, 1, 2, 3])));
}

#[test]
fn who_is_silent_or_leaves_makes_way() {
    let mut scene = Scene::new();
    scene.with_two_members();
    scene.now += 44 * SECOND;
    scene.told(going_on("a", 2, None));
    scene.now += 2 * SECOND;
    scene.group.expire(scene.now);
    assert_eq!(scene.told(going_on("a", 2, None)), (3, Some(vec![0, 1, 2, 3])));
    let left = scene.told(going_on("a", LEAVES, None));
    assert_eq!(left, (LEAVES, None));
    assert_eq!(scene.group.state(), "Empty");
}

#[test]
fn a_lost_answer_is_given_again_and_an_old_member_is_fenced() {
    let mut scene = Scene::new();
    scene.with_two_members();
    // `a` has not heard of epoch 2.
    assert_eq!(scene.told(going_on("a", 1, Some(&[0, 1]))), (2, None));
    let refused =
        |scene: &mut Scene, epoch, owned: Option<&[i32]>| scene.say(going_on("a", epoch, owned)).unwrap_err();
    for (epoch, owned) in [(1, Some(&[0, 1, 2][..])), (1, None), (3, None)] {
        assert_eq!(
            refused(&mut scene, epoch, owned),
            ResponseError::FencedMemberEpoch
        );
    }
    assert_eq!(scene.told(joining("a")), (2, Some(vec![0, 1])));
    assert_eq!(scene.group.check_epoch(&name("a"), 2), Ok(()));
    assert_eq!(
        scene.group.check_epoch(&name("a"), 1),
        Err(ResponseError::StaleMemberEpoch)
    );
    assert_eq!(
        scene.group.check_epoch(&name("c"), 1),
        Err(ResponseError::UnknownMemberId)
    );
}

#[test]
fn a_static_member_comes_back_to_its_partitions() {
    let mut scene = Scene::new();
    scene.told(of_instance("a", "one"));
    assert_eq!(
        scene.say(of_instance("b", "one")).unwrap_err(),
        ResponseError::UnreleasedInstanceId
    );
    let away = Heartbeat {
        epoch: LEAVES_FOR_A_WHILE,
        ..of_instance("a", "one")
    };
    assert_eq!(scene.told(away), (LEAVES_FOR_A_WHILE, None));
    assert_eq!(scene.told(joining("c")).1, Some(vec![]));
    let (_, partitions) = scene.told(of_instance("b", "one"));
    assert_eq!(partitions, Some(vec![0, 1]));
    let old = Heartbeat {
        instance_id: Some(name("one")),
        ..going_on("a", 1, None)
    };
    assert_eq!(scene.say(old).unwrap_err(), ResponseError::FencedInstanceId);
}

#[test]
fn topics_that_come_and_grow_are_assigned() {
    let mut scene = Scene::new();
    let by_pattern = Heartbeat {
        topics: None,
        pattern: Some(name("li.*")),
        ..joining("a")
    };
    assert_eq!(scene.told(by_pattern), (1, Some(vec![0, 1, 2, 3])));
    scene.topics = Topics(vec![("lines", LINES, 5), ("aline", Uuid::from_u128(8), 1)], 2);
    assert_eq!(scene.told(going_on("a", 1, None)), (2, Some(vec![0, 1, 2, 3, 4])));
    scene.topics = Topics(Vec::new(), 3);
    assert_eq!(scene.told(going_on("a", 2, None)), (2, Some(vec![])));
    assert_eq!(scene.told(going_on("a", 2, Some(&[]))), (3, None));
}

#[test]
fn what_nobody_could_mean_is_refused() {
    let mut scene = Scene::new();
    let invalid = [
        Heartbeat {
            member_id: StrBytes::new(),
            ..joining("a")
        },
        Heartbeat {
            owned: Some(places(&[1])),
            ..joining("a")
        },
        Heartbeat {
            topics: None,
            ..joining("a")
        },
        Heartbeat {
            rebalance_timeout: None,
            ..joining("a")
        },
        going_on("a", LEAVES_FOR_A_WHILE, None),
        going_on("a", -3, None),
    ];
    for said in invalid {
        assert_eq!(scene.say(said).unwrap_err(), ResponseError::InvalidRequest);
    }
    let sticky = Heartbeat {
        assignor: Some(name("sticky")),
        ..joining("a")
    };
    assert_eq!(scene.say(sticky).unwrap_err(), ResponseError::UnsupportedAssignor);
    for pattern in ["(", "(((a{100}){100}){100}){100}"] {
        let said = Heartbeat {
            pattern: Some(name(pattern)),
            ..joining("a")
        };
        assert_eq!(
            scene.say(said).unwrap_err(),
            ResponseError::InvalidRegularExpression
        );
    }
    assert_eq!(scene.group.epoch(), 0);
}

#[test]
fn a_group_has_a_bounded_number_of_members() {
    let mut scene = Scene::new();
    for number in 0..MAX_MEMBERS {
        scene.say(joining(&format!("member {number}"))).unwrap();
    }
    assert_eq!(
        scene.say(joining("one more")).unwrap_err(),
        ResponseError::GroupMaxSizeReached
    );
}

#[test]
fn after_a_restart_it_goes_on_as_it_was() {
    let mut scene = Scene::new();
    scene.with_two_members();
    let stored: BTreeMap<_, _> = scene
        .group
        .take_news()
        .into_iter()
        .filter_map(|(id, member)| Some((id, member?)))
        .collect();
    let text = serde_json::to_string(&stored[&name("a")]).unwrap();
    assert_eq!(
        serde_json::from_str::<snapshot::MemberSnapshot>(&text).unwrap(),
        stored[&name("a")]
    );
    scene.group = ConsumerGroup::restored(&stored, TIMING, scene.now);
    assert_eq!(scene.told(going_on("a", 2, None)), (3, None));
    assert_eq!(scene.told(going_on("b", 2, None)), (3, None));
    assert_eq!(scene.group.state(), "Stable");
    assert!(scene.group.take_news().len() == 2);
}
