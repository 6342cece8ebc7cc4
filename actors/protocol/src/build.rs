//! The `config` milestone: what the Builder is asked and what it gives back.

use std::time::Duration;

use oa_runtime::{Message, Wire};
use serde::{Deserialize, Serialize};

use crate::cluster::FleetConfig;
use crate::ids::EtcdToken;
use crate::step::{StepCommand, StepKey};
use crate::unit::Unit;

/// Asks for the deployment repository to be rendered and read; answered by [`crate::step::StepReport`]s.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigCommand {
    /// Which attempt this is.
    pub step: StepKey,
    /// `org/name`, a URL, or a local path, as the client wrote it; the worker checks it again.
    pub deployment_repo: String,
    /// Branch, tag or commit. Default: the remote's `HEAD`.
    #[serde(default)]
    pub deployment_repo_git_ref: Option<String>,
    /// Wins over `source.json`.
    #[serde(default)]
    pub source_repo: Option<String>,
    /// Wins over `source.json`.
    #[serde(default)]
    pub source_repo_git_ref: Option<String>,
    /// Whether a later milestone deploys to a cluster, so that `etcd.json` and units are demanded.
    #[serde(default)]
    pub needs_cluster: bool,
    /// Time the whole step may take. Default: `10m`.
    #[serde(default = "default_config_timeout", with = "humantime_serde")]
    pub timeout: Duration,
}

impl Message for ConfigCommand {
    type Reply = ();
}

impl Wire for ConfigCommand {
    const NAME: &'static str = "builder.config";
    const VERSION: u16 = 1;
}

impl StepCommand for ConfigCommand {
    fn step(&self) -> &StepKey {
        &self.step
    }
}

fn default_config_timeout() -> Duration {
    Duration::from_secs(600)
}

/// What `config` found and rendered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigOutput {
    /// Cluster from `etcd.json`.
    #[serde(default)]
    pub etcd_token: Option<EtcdToken>,
    /// Every `*.service` of the deployment repository, rendered; `<%= dst_port %>` is still in place.
    #[serde(default)]
    pub units: Vec<Unit>,
    /// Content of `fleet.json`.
    #[serde(default)]
    pub fleet_config: FleetConfig,
    /// Commit of the source that was deployed (the original's `source_repo_git_ref` after resolution).
    #[serde(default)]
    pub source_commit: Option<String>,
    /// Repository of that source, after `source.json`.
    #[serde(default)]
    pub source_repo: Option<String>,
    /// Commit of the deployment repository after rendering.
    pub deployment_commit: String,
    /// Whether rendering changed files, so that a commit was pushed.
    #[serde(default)]
    pub pushed: bool,
}
