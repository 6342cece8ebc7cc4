//! The configuration file, with every default.
//!
//! What the command line says wins over the file; what the file leaves out has the default named here. The comment on
//! a field is the explanation that `--print-config` shows.

mod check;
mod load;
mod print;
mod surroundings;
mod unknown;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use oa_builder::BuilderConfig;
use oa_deployer::DeployerConfig;
use oa_fleet_manager::FleetManagerConfig;
use oa_manager::ManagerConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::logging::LogFormat;

pub(crate) use self::load::load;

/// Everything that can be set.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
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
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema,
)]
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

/// The node itself.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NodeConfig {
    /// Name of this node. Default: the host's name.
    pub(crate) name: String,
    /// Exchange that the node stands in. Default: the root, an empty path.
    pub(crate) exchange: String,
    /// Components to host: the assembly. Default: all.
    pub(crate) components: BTreeSet<Component>,
    /// Directory for databases, units, tokens. Default: `/var/lib/openaperture` for root, else `$XDG_DATA_HOME/openaperture`.
    pub(crate) data_dir: PathBuf,
    /// Time that everything has to end in order. Default: `10s`.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub(crate) drain: Duration,
    /// How the log looks: `text` for people or `json` for programs. Default: `text`.
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
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ClusterSection {
    pub(crate) local: LocalClusterSection,
}

/// The embedded cluster.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LocalClusterSection {
    /// Whether units may run as root when the node does: those without `User=`, or with `User=root`. Default: false.
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

impl Config {
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
