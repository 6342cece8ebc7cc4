//! The configuration file, with every default.
//!
//! What the command line says wins over the file; what the file leaves out has the default named here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use oa_builder::BuilderConfig;
use oa_deployer::DeployerConfig;
use oa_fleet_manager::FleetManagerConfig;
use oa_manager::ManagerConfig;
use serde::Deserialize;

use crate::args::Args;
use crate::error::NodeError;
use crate::logging::LogFormat;

/// Everything that can be set.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) node: NodeConfig,
    pub(crate) manager: ManagerConfig,
    pub(crate) builder: BuilderConfig,
    pub(crate) deployer: DeployerConfig,
    pub(crate) fleet_manager: FleetManagerConfig,
    pub(crate) cluster: ClusterSection,
}

/// A part of the platform that a node can host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Component {
    Manager,
    WorkflowOrchestrator,
    Builder,
    Deployer,
    DeployerOa,
    FleetManager,
    Overseer,
    Notifications,
}

impl Component {
    const ALL: [Self; 8] = [
        Self::Manager,
        Self::WorkflowOrchestrator,
        Self::Builder,
        Self::Deployer,
        Self::DeployerOa,
        Self::FleetManager,
        Self::Overseer,
        Self::Notifications,
    ];
}

/// The `[node]` table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NodeConfig {
    /// Name of this node. Default: the host's name.
    pub(crate) name: String,
    /// Exchange that the node stands in. Default: the root, an empty path.
    pub(crate) exchange: String,
    /// Components to host. Default: all.
    pub(crate) components: BTreeSet<Component>,
    /// Data directory. Default: `/var/lib/openaperture` for root, else `$XDG_DATA_HOME/openaperture`.
    pub(crate) data_dir: PathBuf,
    /// Time that everything has to end in order. Default: `10s`.
    #[serde(with = "humantime_serde")]
    pub(crate) drain: Duration,
    /// `text` or `json`. Default: `text`.
    pub(crate) log_format: LogFormat,
    /// Whether workflows may name repositories on this machine that this node's user owns. Default: true for a node
    /// that hosts every component, since its users are its owner; else false.
    pub(crate) allow_local_repositories: Option<bool>,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            name: host_name(),
            exchange: String::new(),
            components: Component::ALL.into(),
            // Empty without a home directory; `load` refuses that.
            data_dir: oa_api::local::data_dir().unwrap_or_default(),
            drain: Duration::from_secs(10),
            log_format: LogFormat::default(),
            allow_local_repositories: None,
        }
    }
}

/// The `[cluster.*]` tables; only the embedded one so far.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ClusterSection {
    pub(crate) local: LocalClusterSection,
}

/// The `[cluster.local]` table: the embedded cluster.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LocalClusterSection {
    /// Whether units without `User=` may run as root when the node does. Default: false.
    pub(crate) allow_root_units: bool,
    /// Whether an orderly stop of the node stops the units. Default: false.
    pub(crate) stop_units: bool,
    /// Output kept of each unit, in bytes. Default: 1 MiB.
    pub(crate) log_limit_bytes: u64,
    /// The first port that units get; the next ones follow. Default: 45000.
    pub(crate) first_port: u16,
}

impl Default for LocalClusterSection {
    fn default() -> Self {
        Self {
            allow_root_units: false,
            stop_units: false,
            log_limit_bytes: 1 << 20,
            first_port: 45_000,
        }
    }
}

/// Reads the file, if there is one, and lays the command line over it.
pub(crate) fn load(args: &Args) -> Result<Config, NodeError> {
    let mut config = match &args.config {
        Some(path) => read(path)?,
        None => Config::default(),
    };
    if let Some(path) = &args.data_dir {
        config.node.data_dir.clone_from(path);
    }
    if let Some(listen) = args.listen {
        config.manager.listen = listen;
    }
    config.cluster.local.stop_units |= args.stop_units;
    if config.node.data_dir.as_os_str().is_empty() {
        let why = "there is no home directory to put it in; name one, or use --data-dir".into();
        return Err(NodeError::BadSetting { key: "node.data_dir", why });
    }
    config.node.data_dir = std::path::absolute(&config.node.data_dir)
        .map_err(|cause| NodeError::DataDir { path: config.node.data_dir.clone(), cause })?;
    config.spread();
    config.check()?;
    Ok(config)
}

fn read(path: &Path) -> Result<Config, NodeError> {
    let text = std::fs::read_to_string(path)
        .map_err(|cause| NodeError::ReadConfig { path: path.to_path_buf(), cause })?;
    // The message of the parser shows line, column and the key.
    toml::from_str(&text).map_err(|cause| NodeError::BadConfig {
        path: path.to_path_buf(),
        why: cause.to_string().trim().to_owned(),
    })
}

impl Config {
    /// Hands settings of the node on to the components that they concern.
    fn spread(&mut self) {
        let alone = self.node.components.len() == Component::ALL.len();
        if self.node.allow_local_repositories.unwrap_or(alone) {
            self.manager.allow_local_repositories = true;
            self.builder.allow_local_repositories = true;
        }
        if self.builder.work_dir == BuilderConfig::default().work_dir {
            self.builder.work_dir = self.node.data_dir.join("work");
        }
    }

    fn check(&self) -> Result<(), NodeError> {
        let refuse = |key, why: &str| Err(NodeError::BadSetting { key, why: why.into() });
        let name = &self.node.name;
        if name.is_empty()
            || name.len() > 255
            || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        {
            return refuse("node.name", "use 1 to 255 letters, digits, `-`, `_` or `.`");
        }
        if self.node.components.is_empty() {
            return refuse("node.components", "name at least one component");
        }
        let only = |component| self.node.components.contains(&component);
        if only(Component::Manager) != only(Component::WorkflowOrchestrator) {
            return refuse(
                "node.components",
                "manager and workflow_orchestrator share a database: name both or none",
            );
        }
        if !self.manager.listen.ip().is_loopback() {
            return refuse(
                "manager.listen",
                "only loopback addresses are served without TLS; put a proxy with TLS in front of 127.0.0.1",
            );
        }
        if self.cluster.local.first_port < 1024 {
            return refuse("cluster.local.first_port", "use a port from 1024 to 65535");
        }
        if self.cluster.local.log_limit_bytes < 4096 {
            return refuse("cluster.local.log_limit_bytes", "keep at least 4096 bytes");
        }
        Ok(())
    }

    /// One line for a person.
    pub(crate) fn summary(&self) -> String {
        format!(
            "node {} with {} components, data in {}, REST on {}",
            self.node.name,
            self.node.components.len(),
            self.node.data_dir.display(),
            self.manager.listen
        )
    }

    /// Whether this node hosts `component`.
    pub(crate) fn hosts(&self, component: Component) -> bool {
        self.node.components.contains(&component)
    }
}

fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let clean: String =
        name.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect();
    if clean.is_empty() { "node".into() } else { clean }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        let config: Config = toml::from_str(text).map_err(|why| why.to_string())?;
        config.check().map_err(|why| why.to_string())?;
        Ok(config)
    }

    #[test]
    fn an_empty_file_is_the_embedded_default() {
        let config = parse("").expect("defaults are fine");
        assert_eq!(config.node.components.len(), 8);
        assert_eq!(config.manager.listen.to_string(), "127.0.0.1:4000");
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let why = parse("[node]\nnaem = \"x\"\n").expect_err("a typing error");
        assert!(why.contains("line 2") && why.contains("naem"), "{why}");
    }

    #[test]
    fn a_public_address_without_tls_is_refused() {
        let why = parse("[manager]\nlisten = \"0.0.0.0:4000\"\n").expect_err("a public address");
        assert!(why.contains("manager.listen") && why.contains("TLS"), "{why}");
    }

    #[test]
    fn manager_and_orchestrator_come_together() {
        let why = parse("[node]\ncomponents = [\"manager\"]\n").expect_err("half of Management");
        assert!(why.contains("node.components"), "{why}");
    }
}
