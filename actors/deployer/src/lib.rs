//! Brings units to a cluster: the `deploy` milestone.
//!
//! A [`Deployer`] takes commands from its mailbox, journals them, and runs each as a job. Which instances change is
//! decided by `plan`, without IO; `rollout` carries it out, `watch` waits until an instance is up, `restore` is the way
//! back. While instances are replaced, at most one of those that were healthy is down.

mod actor;
mod blueprint;
mod claim;
mod cluster;
mod config;
mod deployment;
mod error;
mod generation;
mod health;
mod job;
mod plan;
mod ports;
mod restore;
mod rollout;
#[cfg(test)]
mod stories;
mod template;
#[cfg(test)]
mod testing;
mod voice;
mod watch;

pub use actor::{Deployer, DeployerArgs, child_spec};
pub use config::DeployerConfig;
pub use error::DeployError;
pub use template::TemplateError;
