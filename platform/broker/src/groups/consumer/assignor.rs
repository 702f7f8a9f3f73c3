//! Who is to read what: Kafka's two assignors that run at the broker.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::Place;
use super::beat::Refusal;

/// An assignor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Assignor {
    /// As many partitions for each as can be, and as few moved as can be.
    #[default]
    Uniform,
    /// Of each topic a range for each, so that the same partitions of topics that belong together meet.
    Range,
}

/// A member, as an assignor sees it.
#[derive(Debug, Clone)]
pub(super) struct Subscriber {
    /// The topics it reads.
    pub(super) topics: BTreeSet<Uuid>,
    /// What it was to have before.
    pub(super) has: BTreeSet<Place>,
    /// What members are put in order by.
    pub(super) order: StrBytes,
}

type Subscribers = BTreeMap<StrBytes, Subscriber>;
/// Topics and how many partitions they have.
type Topics = BTreeMap<Uuid, i32>;
type Targets = BTreeMap<StrBytes, BTreeSet<Place>>;

impl Assignor {
    const ALL: [Self; 2] = [Self::Uniform, Self::Range];

    /// The assignor of that name.
    pub(crate) fn of(name: &StrBytes) -> Result<Self, Refusal> {
        let found = Self::ALL
            .into_iter()
            .find(|assignor| assignor.name() == name.as_str());
        found.ok_or_else(|| {
            Refusal::new(
                ResponseError::UnsupportedAssignor,
                format!("there is no assignor `{name}` at the broker; there are uniform and range"),
            )
        })
    }

    /// Kafka's name for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    /// What each member is to have.
    pub(super) fn assign(self, topics: &Topics, subscribers: &Subscribers) -> Targets {
        match self {
            Self::Uniform => uniform(topics, subscribers),
            Self::Range => range(topics, subscribers),
        }
    }
}

fn range(topics: &Topics, subscribers: &Subscribers) -> Targets {
    let mut targets = Targets::new();
    let mut ordered: Vec<(&StrBytes, &Subscriber)> = subscribers.iter().collect();
    ordered.sort_by_key(|(id, subscriber)| (&subscriber.order, *id));
    for (topic, count) in topics {
        let readers: Vec<&StrBytes> = ordered
            .iter()
            .filter(|(_, subscriber)| subscriber.topics.contains(topic))
            .map(|(id, _)| *id)
            .collect();
        let mut next = 0;
        for (position, reader) in readers.iter().enumerate() {
            let (position, readers) = (position as i32, readers.len() as i32);
            let share = count / readers + i32::from(position < count % readers);
            let target = targets.entry((*reader).clone()).or_default();
            target.extend((next..next + share).map(|partition| (*topic, partition)));
            next += share;
        }
    }
    targets
}

fn uniform(topics: &Topics, subscribers: &Subscribers) -> Targets {
    let mut readers: BTreeMap<Uuid, Vec<&StrBytes>> = BTreeMap::new();
    let mut targets = Targets::new();
    let mut taken: BTreeSet<Place> = BTreeSet::new();
    for (id, subscriber) in subscribers {
        for topic in &subscriber.topics {
            readers.entry(*topic).or_default().push(id);
        }
        // What it has and may still read it keeps for now.
        let exists = |place: &&Place| {
            let count = topics.get(&place.0).copied().unwrap_or(0);
            subscriber.topics.contains(&place.0) && place.1 < count
        };
        let kept = subscriber.has.iter().filter(exists).copied();
        let kept: BTreeSet<Place> = kept.filter(|place| taken.insert(*place)).collect();
        targets.insert(id.clone(), kept);
    }
    // Topics that few read come first: for the others there is more choice.
    let mut by_readers: Vec<(&Uuid, &Vec<&StrBytes>)> = readers.iter().collect();
    by_readers.sort_by_key(|(topic, readers)| (readers.len(), **topic));
    for (topic, readers) in by_readers {
        for partition in 0..topics.get(topic).copied().unwrap_or(0) {
            let place = (*topic, partition);
            if taken.insert(place)
                && let Some(reader) = least_loaded(readers, &targets)
                && let Some(target) = targets.get_mut(&reader)
            {
                target.insert(place);
            }
        }
    }
    even_out(&readers, &mut targets);
    targets
}

fn least_loaded(readers: &[&StrBytes], targets: &Targets) -> Option<StrBytes> {
    let load = |reader: &StrBytes| targets.get(reader).map_or(0, BTreeSet::len);
    let least = readers.iter().min_by_key(|reader| load(reader));
    least.map(|reader| (*reader).clone())
}

/// Moves partitions from who has more to who has fewer, until no move makes it more even.
///
/// Each move makes the sum of the squares of what members have smaller, so it comes to an end. In a round each gives one
/// at most: nobody gives more than its share, and gets others for it.
fn even_out(readers: &BTreeMap<Uuid, Vec<&StrBytes>>, targets: &mut Targets) {
    loop {
        let mut from: Vec<(usize, StrBytes)> = targets
            .iter()
            .map(|(id, target)| (target.len(), id.clone()))
            .collect();
        from.sort_by(|one, other| other.cmp(one));
        let mut has_moved = false;
        for (_, giver) in from {
            // The last ones first: a member keeps the beginning of what it has.
            let places: Vec<Place> = targets[&giver].iter().rev().copied().collect();
            let mut tried: BTreeSet<Uuid> = BTreeSet::new();
            for place in places {
                if tried.contains(&place.0) {
                    continue;
                }
                let taker = readers
                    .get(&place.0)
                    .and_then(|readers| least_loaded(readers, targets));
                let gains = taker.filter(|taker| targets[taker].len() + 1 < targets[&giver].len());
                let Some(taker) = gains else {
                    // Nobody who reads this topic has so much less.
                    tried.insert(place.0);
                    continue;
                };
                if let Some(target) = targets.get_mut(&giver) {
                    target.remove(&place);
                }
                if let Some(target) = targets.get_mut(&taker) {
                    target.insert(place);
                }
                has_moved = true;
                break;
            }
        }
        if !has_moved {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> StrBytes {
        StrBytes::from_string(text.to_owned())
    }

    fn topic(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    fn subscribers(topics: &[&[u128]]) -> Subscribers {
        let members = topics.iter().enumerate();
        members
            .map(|(number, topics)| {
                let id = name(&format!("member {number}"));
                let subscriber = Subscriber {
                    topics: topics.iter().copied().map(topic).collect(),
                    has: BTreeSet::new(),
                    order: id.clone(),
                };
                (id, subscriber)
            })
            .collect()
    }

    fn sizes(targets: &Targets) -> Vec<usize> {
        targets.values().map(BTreeSet::len).collect()
    }

    #[test]
    fn a_range_is_the_same_of_each_topic() {
        let topics = Topics::from([(topic(1), 5), (topic(2), 5)]);
        let targets = Assignor::Range.assign(&topics, &subscribers(&[&[1, 2], &[1, 2]]));
        let first: Vec<i32> = targets[&name("member 0")].iter().map(|place| place.1).collect();
        assert_eq!(first, [0, 1, 2, 0, 1, 2]);
        assert_eq!(sizes(&targets), [6, 4]);
    }

    #[test]
    fn who_reads_less_gets_more_of_that() {
        let topics = Topics::from([(topic(1), 4), (topic(2), 4)]);
        let targets = Assignor::Uniform.assign(&topics, &subscribers(&[&[1, 2], &[2]]));
        assert_eq!(sizes(&targets), [4, 4]);
        assert!(targets[&name("member 1")].iter().all(|place| place.0 == topic(2)));
    }

    #[test]
    fn one_more_member_moves_no_more_than_its_share() {
        let topics = Topics::from([(topic(1), 12)]);
        let mut members = subscribers(&[&[1], &[1], &[1]]);
        let before = Assignor::Uniform.assign(&topics, &members);
        for (id, target) in &before {
            members.get_mut(id).unwrap().has.clone_from(target);
        }
        members.extend(subscribers(&[&[], &[], &[], &[1]]).split_off(&name("member 3")));
        let after = Assignor::Uniform.assign(&topics, &members);
        assert_eq!(sizes(&after), [3; 4]);
        for (id, target) in &before {
            assert!(after[id].is_subset(target));
        }
    }

    proptest! {
        #[test]
        fn each_partition_has_one_reader_who_subscribes_to_it(
            counts in proptest::collection::vec(1i32..8, 1..5),
            members in proptest::collection::vec(proptest::collection::btree_set(0u128..5, 0..5), 1..6),
            had in proptest::collection::vec((0usize..6, 0u128..6, 0i32..9), 0..10),
        ) {
            let topics: Topics = (0u128..).map(topic).zip(counts).collect();
            let subscribed: Vec<Vec<u128>> = members.into_iter().map(|set| set.into_iter().collect()).collect();
            let subscribed: Vec<&[u128]> = subscribed.iter().map(Vec::as_slice).collect();
            let mut members = subscribers(&subscribed);
            for (member, number, partition) in had {
                if let Some(member) = members.get_mut(&name(&format!("member {member}"))) {
                    member.has.insert((topic(number), partition));
                }
            }
            for assignor in Assignor::ALL {
                let targets = assignor.assign(&topics, &members);
                let mut seen = BTreeSet::new();
                for (id, target) in &targets {
                    for place in target {
                        prop_assert!(members[id].topics.contains(&place.0));
                        prop_assert!(place.1 < topics[&place.0]);
                        prop_assert!(seen.insert(*place));
                    }
                }
                let read = topics.iter().filter(|(id, _)| members.values().any(|member| member.topics.contains(id)));
                prop_assert_eq!(seen.len() as i32, read.map(|(_, count)| *count).sum::<i32>());
            }
        }
    }
}
