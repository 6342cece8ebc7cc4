//! Names of the mailboxes, as the original's queues were called.

/// Reports of workers and wake-ups for workflows.
pub const WORKFLOW_ORCHESTRATION: &str = "workflow_orchestration";
/// The Builder.
pub const BUILDER: &str = "builder";
/// The Deployer.
pub const DEPLOYER: &str = "deployer";
/// The Deployer that upgrades OpenAperture itself.
pub const DEPLOY_OA: &str = "deploy_oa";
/// Questions about clusters.
pub const FLEET_MANAGER: &str = "fleet_manager";
/// Typed asks of components to the Manager.
pub const MANAGER: &str = "manager";
/// Heartbeats of modules.
pub const SYSTEM_MODULES: &str = "system_modules";
