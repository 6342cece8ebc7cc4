//! The `deploy` milestone: what the Deployer is asked and what it gives back.

use std::time::Duration;

use oa_runtime::{Message, Wire};
use serde::{Deserialize, Serialize};

use crate::cluster::FleetConfig;
use crate::ids::{EtcdToken, UnitName};
use crate::step::{StepCommand, StepKey};
use crate::unit::Unit;

/// Asks for units to be brought to a cluster; answered by [`crate::step::StepReport`]s.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployCommand {
    /// Which attempt this is.
    pub step: StepKey,
    /// The cluster.
    pub etcd_token: EtcdToken,
    /// Units and templates from the `config` milestone.
    pub units: Vec<Unit>,
    /// Instances, health and rollout policy.
    #[serde(default)]
    pub fleet_config: FleetConfig,
    /// Written into each unit as `[X-OpenAperture] Generation=`; a lower one never replaces a higher one.
    pub generation: u64,
    /// What the units are billed to, unless they say so themselves: written as `[X-OpenAperture] Product=`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// Time the whole step may take. Default: `30m`.
    #[serde(default = "default_deploy_timeout", with = "humantime_serde")]
    pub timeout: Duration,
}

impl Message for DeployCommand {
    type Reply = ();
}

impl Wire for DeployCommand {
    const NAME: &'static str = "deployer.deploy";
    const VERSION: u16 = 1;
}

impl StepCommand for DeployCommand {
    fn step(&self) -> &StepKey {
        &self.step
    }
}

fn default_deploy_timeout() -> Duration {
    Duration::from_secs(1800)
}

/// What `deploy` brought up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployOutput {
    /// Every instance that is up.
    pub units: Vec<DeployedUnit>,
}

/// One instance that is up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployedUnit {
    /// Its name.
    pub name: UnitName,
    /// The machine it runs on.
    #[serde(default)]
    pub machine_id: Option<String>,
    /// `host:port` where it can be reached, if the unit uses `dst_port`.
    #[serde(default)]
    pub address: Option<String>,
}
