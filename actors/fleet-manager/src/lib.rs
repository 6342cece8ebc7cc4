//! Answers what a cluster runs: machines, units, states, logs; restarts a unit.
//!
//! ```text
//! mailbox fleet_manager ──┬─► worker 0 ─┐
//!   (one consumer each,   ├─► worker 1 ─┼─► engine of the cluster
//!    one question at      …             │
//!    a time)              └─► worker n ─┘
//! ```
//!
//! An actor handles one message after the other, and an engine may be slow or be asked to wait for a log line. So the
//! mailbox is shared by several workers, each with a consumer of its own that takes one question at a time: who waits
//! holds up nobody else. Two limits keep some workers free: one cluster gets only its share of them, and only a few
//! may wait for log lines. Both stand in [`FleetManagerConfig`].
//!
//! Beside them a collector for each cluster brings the records of its units' runs to the Manager.

mod actor;
mod collector;
mod config;
mod refusal;
mod slots;
#[cfg(test)]
mod stories;
mod worker;

pub use actor::{FleetManager, FleetManagerArgs, child_spec};
pub use config::FleetManagerConfig;
