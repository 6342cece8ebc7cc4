//! The `[manager]` table of the configuration file.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the Manager serves. Every key has a default, so an absent table is a complete one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ManagerConfig {
    /// Address and port of the REST API; port 0 takes any free one. Default: `127.0.0.1:4000`.
    pub listen: SocketAddr,
    /// Threads that answer requests. Default: 2.
    pub workers: usize,
    /// Connections that each of them holds at a time; further ones wait. Default: 1024.
    pub max_connections: usize,
    /// Largest request body. Default: 1 MiB.
    pub body_limit_bytes: usize,
    /// Time in which the head of a request must arrive. Default: `5s`.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub head_timeout: Duration,
    /// Time in which the body of a request must arrive. Default: `30s`.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub body_timeout: Duration,
    /// How long an idle connection is kept. Default: `30s`.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub keep_alive: Duration,
    /// Time for an answer, beyond what a long poll asks for. Default: `30s`.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub answer_timeout: Duration,
    /// How long a cluster may take to answer a question. Default: `10s`.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub cluster_timeout: Duration,
    /// How long an orderly stop waits for requests under way. Default: `5s`.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub drain: Duration,
    /// Requests that may wait in a long poll at a time; further ones are answered at once. Default: 256.
    pub max_long_polls: usize,
    /// Origins whose pages may call the API, such as `https://console.example`; `*` is any. Default: none.
    pub cors_origins: Vec<String>,
    /// Whether workflows may name repositories on this machine: absolute paths and `file://`. The node decides; it is no
    /// setting of its own. Default: false.
    #[serde(skip)]
    pub allow_local_repositories: bool,
    /// Habits of the original that are off unless asked for.
    pub compat: CompatConfig,
}

/// Habits of the original that are off unless asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CompatConfig {
    /// Whether a `GET` of `…/units/:unit_name/restart` restarts the unit; a `POST` always does. Default: false.
    pub get_restart: bool,
}

impl Default for ManagerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 4000)),
            workers: 2,
            max_connections: 1024,
            body_limit_bytes: 1024 * 1024,
            head_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(30),
            cluster_timeout: Duration::from_secs(10),
            drain: Duration::from_secs(5),
            max_long_polls: 256,
            cors_origins: Vec::new(),
            allow_local_repositories: false,
            compat: CompatConfig::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_table_is_the_default() {
        let config: ManagerConfig = serde_json::from_str("{}").expect("an empty table");
        assert_eq!(config, ManagerConfig::default());
    }

    #[test]
    fn a_misspelt_key_is_refused_by_name() {
        let refusal = serde_json::from_str::<ManagerConfig>(r#"{"lissten":"127.0.0.1:0"}"#)
            .expect_err("a typo");
        assert!(refusal.to_string().contains("lissten"), "{refusal}");
    }
}
