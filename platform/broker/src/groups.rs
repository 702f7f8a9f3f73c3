//! Groups of consumers: who is in them, who reads what, and how far each has come.
//!
//! There are two kinds. In Kafka's classic group protocol the broker picks the members and one member assigns the
//! partitions, so eager and cooperative assignors look the same from here: [`group::Group`]. In the newer one the
//! broker assigns them itself: [`consumer::ConsumerGroup`]. A group with members in it goes over from one to the other.
//! Both are state machines that are told the time and never wait; [`Coordinator`] holds the groups, their offsets and the one timer they need.

pub(crate) mod consumer;
#[cfg(test)]
mod conversion_tests;
pub(crate) mod coordinator;
mod embedded;
mod events;
pub(crate) mod group;
pub(crate) mod member;
pub(crate) mod offsets;
pub(crate) mod settings;
mod snapshot;
pub(crate) mod transaction;

pub(crate) use self::coordinator::{Coordinator, GroupSettingError};
