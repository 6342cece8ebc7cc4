//! The `[fleet_manager]` table of the configuration file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many questions are answered at once.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FleetManagerConfig {
    /// Questions that are answered at once. Default: 16.
    pub workers: usize,
    /// How many of them may be about one cluster. Default: 8.
    pub per_cluster: usize,
    /// How many of them may wait for log lines; with more, each waits only a moment. Default: 4.
    pub waiting: usize,
}

impl Default for FleetManagerConfig {
    fn default() -> Self {
        Self { workers: 16, per_cluster: 8, waiting: 4 }
    }
}
