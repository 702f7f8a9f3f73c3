//! What the broker keeps on disk, and how it finds it again after a crash.
//!
//! A partition is a [`log::Log`]: a row of segment files holding record batches as producers sent them, with their
//! offset filled in; they are only written anew where the topic asks for other times or another compression. Beside each segment lies a sparse index, and beside them all a checkpoint; both are
//! caches that recovery rebuilds when they are missing or wrong. Small state (committed offsets) goes to a
//! [`journal::Journal`], the list of topics to a file that is replaced as a whole.
//!
//! Everything reaches the disk through [`disk::Disk`], which a test replaces by one that loses what was not synced.
//!
//! Nothing here knows of sockets, requests or groups; it blocks, and its callers decide on which thread.

pub(crate) mod batch;
pub(crate) mod checkpoint;
pub(crate) mod directory;
pub(crate) mod disk;
pub(crate) mod index;
pub(crate) mod journal;
pub(crate) mod log;
pub(crate) mod read;
pub(crate) mod segment;
pub(crate) mod transactions;
