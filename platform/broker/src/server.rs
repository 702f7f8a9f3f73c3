//! Sockets, frames, and which request goes where.
//!
//! It knows nothing of what requests mean: that is `api`'s.

mod bounded;
pub(crate) mod complaints;
pub(crate) mod connection;
pub(crate) mod dispatch;
pub(crate) mod listener;
