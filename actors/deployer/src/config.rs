//! The `[deployer]` table of the configuration file.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the Deployer works.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeployerConfig {
    /// Deployments that run at once; further ones wait, as does a second one of the same units. Default: 10, as in the
    /// original.
    pub parallel: usize,
    /// How long the Manager is asked for ports before a deployment fails. Default: `2m`.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub ports_within: Duration,
}

impl Default for DeployerConfig {
    fn default() -> Self {
        Self { parallel: 10, ports_within: Duration::from_secs(120) }
    }
}
