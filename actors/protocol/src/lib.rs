//! Messages and ids that cross mailboxes.
//!
//! A file per topic. Every wire type keeps a golden file under `golden/`: fields are only added, each with a
//! default, so that processes of two releases understand one another during an upgrade.
//!
//! | mailbox | module | what it takes |
//! |---|---|---|
//! | `workflow_orchestration` | [`step`], [`workflow`] | reports of workers, wake-ups |
//! | `builder` | [`build`] | `config` (and later `build`) commands |
//! | `deployer`, `deploy_oa` | [`deploy`] | `deploy` commands |
//! | `fleet_manager` | [`fleet_manager`] | questions about a cluster |
//! | `manager` | [`manager`], [`metering`] | typed asks of components |
//! | `system_modules` | [`module`] | heartbeats |

pub mod build;
pub mod cluster;
pub mod deploy;
mod failure_code;
pub mod fleet_manager;
pub mod ids;
pub mod mailbox;
pub mod manager;
pub mod metering;
pub mod module;
pub mod refusal;
mod registration;
pub mod step;
pub mod unit;
pub mod workflow;

#[cfg(test)]
mod golden;

pub use failure_code::FailureCode;
pub use ids::{AttemptId, EtcdToken, IntervalId, InvalidName, UnitName, WorkflowId};
pub use refusal::{Refusal, RefusalCode};
pub use registration::{Registration, Workload};
