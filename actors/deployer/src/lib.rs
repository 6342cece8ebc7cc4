//! Brings units to a cluster: the `deploy` milestone.
//!
//! A [`Deployer`] is a worker (`oa_worker_journal::Worker`) with a [`DeployCraft`]. Which instances change is
//! decided by `plan`, without IO; `rollout` carries it out, `watch` waits until an instance is up, `restore` is the way
//! back. While instances are replaced, at most one of those that were healthy is down.

mod blueprint;
mod claim;
mod cluster;
mod config;
mod craft;
mod deployment;
mod error;
mod generation;
mod health;
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

pub use claim::Claim;
pub use config::DeployerConfig;
pub use craft::{DeployCraft, Deployer, deployer, deployer_oa};
pub use error::DeployError;
pub use template::TemplateError;
