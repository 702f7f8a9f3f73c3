//! Statements and what they do: first on a copy of what exists, then for real.
//!
//! A request's statements are all tried on a copy before the first of them is executed, so that a bad second
//! statement leaves nothing of the first. Knows nothing of HTTP.

mod assertion;
mod bounds;
mod catalog;
mod client_query;
mod commit;
mod connectors;
mod creation;
mod definitions;
mod description;
mod entity;
mod executor;
mod failure;
mod group_positions;
mod inference;
mod injection;
mod insertion;
mod listing;
mod observed_topics;
pub(crate) mod properties;
mod property_defaults;
mod removal;
mod replacement;
mod replay;
mod schemas;
mod session;
mod statuses;
mod subjects;
mod topics;
mod trial;
mod unsupported;

pub(crate) use client_query::ClientQuery;
pub(crate) use entity::FieldInfo;
pub(crate) use executor::{Executor, Request};
pub(crate) use failure::{ErrorCode, Failure};
