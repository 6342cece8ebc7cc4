//! Typed asks of components to the Manager, and what it answers.

use oa_runtime::{Message, Wire};
use serde::{Deserialize, Serialize};

use crate::ids::{EtcdToken, UnitName, WorkflowId};
use crate::refusal::Refusal;

/// Asks for the record of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetCluster {
    /// Which cluster.
    pub etcd_token: EtcdToken,
}

/// What the Manager knows of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterRecord {
    /// Its id.
    pub etcd_token: EtcdToken,
    /// Its name, for people.
    #[serde(default)]
    pub name: Option<String>,
    /// Whether images may be built there.
    #[serde(default)]
    pub allow_docker_builds: bool,
}

impl Message for GetCluster {
    type Reply = Result<ClusterRecord, Refusal>;
}

impl Wire for GetCluster {
    const NAME: &'static str = "manager.get_cluster";
    const VERSION: u16 = 1;
}

/// Reserves one port of a cluster for each unit: the lowest free one from 45000.
///
/// Asking again for the same workflow and units gives the same ports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservePorts {
    /// The cluster.
    pub etcd_token: EtcdToken,
    /// The workflow that deploys.
    pub workflow_id: WorkflowId,
    /// The instances that need a port.
    pub units: Vec<UnitName>,
}

/// A port and the unit that may use it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservedPort {
    /// The instance.
    pub unit: UnitName,
    /// Its port.
    pub port: u16,
}

impl Message for ReservePorts {
    type Reply = Result<Vec<ReservedPort>, Refusal>;
}

impl Wire for ReservePorts {
    const NAME: &'static str = "manager.reserve_ports";
    const VERSION: u16 = 1;
}

/// Frees the ports of units. Freeing twice is fine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasePorts {
    /// The cluster.
    pub etcd_token: EtcdToken,
    /// Only reservations of this workflow; all if absent.
    #[serde(default)]
    pub workflow_id: Option<WorkflowId>,
    /// The instances whose ports are free again.
    pub units: Vec<UnitName>,
}

impl Message for ReleasePorts {
    type Reply = Result<(), Refusal>;
}

impl Wire for ReleasePorts {
    const NAME: &'static str = "manager.release_ports";
    const VERSION: u16 = 1;
}

/// Records something that an operator should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportSystemEvent {
    /// Kind, such as `unhandled_exception`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `info`, `warning` or `error`.
    pub severity: String,
    /// The text.
    pub message: String,
    /// More, for programs.
    #[serde(default)]
    pub data: serde_json::Value,
}

impl Message for ReportSystemEvent {
    type Reply = Result<(), Refusal>;
}

impl Wire for ReportSystemEvent {
    const NAME: &'static str = "manager.report_system_event";
    const VERSION: u16 = 1;
}
