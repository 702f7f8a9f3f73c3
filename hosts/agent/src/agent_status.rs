//! What the agent knows about itself, for the tables `osquery_…`.
//!
//! The scheduler and the extensions' registrations write it, the tables read it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Shared between the scheduler, the extensions' registrations and the tables; a clone is the same.
#[derive(Debug, Default, Clone)]
pub(crate) struct AgentStatus(Arc<Mutex<AgentState>>);

/// One moment's state.
#[derive(Debug, Default, Clone)]
pub(crate) struct AgentState {
    pub(crate) instance_id: String,
    pub(crate) host_uuid: String,
    pub(crate) start_time: i64,
    pub(crate) config_hash: String,
    pub(crate) config_valid: bool,
    pub(crate) extensions_active: bool,
    pub(crate) extensions_socket: String,
    pub(crate) extensions: Vec<ExtensionStatus>,
    pub(crate) schedule: Vec<QueryStatus>,
    pub(crate) packs: Vec<PackStatus>,
    pub(crate) flags: Vec<FlagStatus>,
}

/// An extension that has registered.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct ExtensionStatus {
    pub(crate) uuid: i64,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) sdk_version: String,
    pub(crate) socket: String,
    /// Registries and the plugins in them.
    pub(crate) plugins: Vec<(String, String)>,
}

/// A pack, and what its discovery queries have said so far.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct PackStatus {
    pub(crate) name: String,
    pub(crate) platform: String,
    pub(crate) version: String,
    pub(crate) shard: u64,
    pub(crate) discovery_cache_hits: u64,
    pub(crate) discovery_executions: u64,
    pub(crate) is_active: bool,
}

/// A flag with its value in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FlagStatus {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) description: &'static str,
    pub(crate) default_value: String,
    pub(crate) value: String,
}

/// The life of one scheduled query so far.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct QueryStatus {
    pub(crate) name: String,
    pub(crate) query: String,
    pub(crate) interval: u64,
    pub(crate) performance: Performance,
}

/// Counters of a scheduled query's runs.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Performance {
    pub(crate) executions: u64,
    pub(crate) last_executed: i64,
    pub(crate) output_size: u64,
    pub(crate) wall_time_ms: u64,
    pub(crate) last_wall_time_ms: u64,
    pub(crate) user_time_ms: u64,
    pub(crate) last_user_time_ms: u64,
    pub(crate) system_time_ms: u64,
    pub(crate) last_system_time_ms: u64,
    /// It took too long once, and is not run again.
    pub(crate) denylisted: bool,
}

impl AgentStatus {
    pub(crate) fn read(&self) -> AgentState {
        self.lock().clone()
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut AgentState)) {
        change(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, AgentState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
