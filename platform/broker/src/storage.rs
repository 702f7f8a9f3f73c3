//! What the broker keeps on disk, and how it finds it again after a crash.
//!
//! A partition is a [`log::Log`]: a row of segment files holding record batches exactly as producers sent them, only
//! with their offset filled in. Beside each segment lies a sparse index, and beside them all a checkpoint; both are
//! caches that recovery rebuilds when they are missing or wrong. Small state (committed offsets) goes to a
//! [`journal::Journal`], the list of topics to a file that is replaced as a whole.
//!
//! Nothing here knows of sockets, requests or groups; it blocks, and its callers decide on which thread.

pub(crate) mod batch;
pub(crate) mod checkpoint;
pub(crate) mod directory;
pub(crate) mod index;
pub(crate) mod journal;
pub(crate) mod log;
pub(crate) mod read;
pub(crate) mod segment;
