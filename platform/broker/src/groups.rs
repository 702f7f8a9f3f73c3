//! Groups of consumers: who is in them, who reads what, and how far each has come.
//!
//! This is Kafka's classic group protocol: the broker picks the members, one member assigns the partitions, so eager
//! and cooperative assignors look the same from here. [`group::Group`] is a state machine that is told the time and
//! never waits; [`Coordinator`] holds the groups, their offsets and the one timer they need.

pub(crate) mod coordinator;
pub(crate) mod group;
pub(crate) mod member;
pub(crate) mod offsets;
pub(crate) mod snapshot;
pub(crate) mod transaction;

pub(crate) use self::coordinator::Coordinator;
