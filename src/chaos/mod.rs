//! `osqdemo chaos`: the pipeline under faults, and the proof that nothing is lost.
//!
//! Faults are drawn from a seed ([`fault`]) and done to the project's own processes ([`processes`]) while the hosts do
//! known work ([`work`]). Afterwards everything is read from the broker once more ([`history`]), what must be there is
//! computed from what the hosts did and from the topics that they write to ([`model`]), and the two are compared
//! ([`check`]). [`run`] holds it together; [`report`] is what came of it, as data, which also runs it again.
//!
//! Must not know how the platform's services work inside: it goes by the public protocols, the statements in `ksql/`
//! and the stamps that the extension gives each line (`osqdemo-spool`, `osqdemo-seq`).

pub mod check;
pub mod clocks;
pub mod error;
pub mod fault;
pub mod history;
pub mod join;
pub mod ledger;
pub mod model;
pub mod processes;
pub mod recovery;
pub mod report;
pub mod run;
pub mod work;
