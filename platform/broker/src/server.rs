//! Sockets, frames, and which request goes where.
//!
//! It knows nothing of what requests mean: that is `api`'s.

pub(crate) mod authentication;
mod bounded;
pub(crate) mod complaints;
pub(crate) mod connection;
pub(crate) mod dispatch;
pub(crate) mod listener;
