//! Records when units run, so that their use can be summed exactly.
//!
//! ```text
//! keeper ── a record when its main process begins and ends, one a minute between ──┐ append
//! keeper ──────────────────────────────────────────────────────────────────────────┼──► metering/records
//! host   ── "end unknown" for a run whose keeper is gone ──────────────────────────┘        │
//! host   ◄── read from a place on, by whoever collects (`GET /oa/v1/intervals`) ────────────┘
//! ```
//!
//! The keeper records, since it outlives the node. One file takes the records of all units: a record is one write to
//! its end, and says everything that is known of the run at that moment, so any record that is lost or torn costs
//! nothing but the time since the one before it. Durations are read from a clock that nobody can set and that goes on
//! while the machine sleeps.

mod gauges;
mod labels;
mod ledger;
mod meter;
mod records;
#[cfg(test)]
mod story;

pub(crate) use gauges::GroupUse;
pub(crate) use labels::Labels;
pub(crate) use ledger::Ledger;
pub(crate) use meter::Meter;
