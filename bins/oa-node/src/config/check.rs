//! What a configuration must fulfil beyond its types.

use super::{Component, Config};
use crate::error::NodeError;

impl Config {
    pub(super) fn check(&self) -> Result<(), NodeError> {
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
}
