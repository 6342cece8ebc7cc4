//! What a deployment repository says about its cluster: `fleet.json`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The content of `fleet.json`. Unknown keys are kept for other tools and ignored here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FleetConfig {
    /// Instances of each template. Default: one per machine of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_cnt: Option<u32>,
    /// When an instance counts as healthy. Default: systemd's `active`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthCheck>,
    /// How instances are replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deploy: Option<RolloutPolicy>,
}

/// When an instance counts as healthy: it is active, and what is named here succeeds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// Path of an HTTP GET to `dst_port` that must answer 2xx or 3xx, such as `/health`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// Whether `dst_port` must accept a TCP connection. Default: false.
    #[serde(default)]
    pub tcp: bool,
    /// Time for one probe. Default: `1s`.
    #[serde(default = "default_probe_timeout", with = "humantime_serde")]
    pub timeout: Duration,
}

/// How instances are replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolloutPolicy {
    /// How long a new instance must stay healthy before the next old one is stopped. Default: `2s`.
    #[serde(default = "default_settle", with = "humantime_serde")]
    pub settle: Duration,
    /// How long one instance may take to become healthy. Default: `60s`.
    #[serde(default = "default_healthy_within", with = "humantime_serde")]
    pub healthy_within: Duration,
    /// Instances that must be healthy at the end. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<u32>,
}

impl Default for RolloutPolicy {
    fn default() -> Self {
        Self { settle: default_settle(), healthy_within: default_healthy_within(), quorum: None }
    }
}

fn default_probe_timeout() -> Duration {
    Duration::from_secs(1)
}

fn default_settle() -> Duration {
    Duration::from_secs(2)
}

fn default_healthy_within() -> Duration {
    Duration::from_secs(60)
}
