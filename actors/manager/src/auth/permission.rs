//! What a route needs and a principal has.

use std::fmt;

/// What a route needs of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Permission {
    /// Nothing: anybody may call it.
    Open,
    /// See clusters, their units and logs.
    ReadClusters,
    /// Register and delete clusters.
    EditClusters,
    /// Restart units.
    OperateClusters,
    /// See workflows and their events.
    ReadWorkflows,
    /// Create, change and delete workflows.
    EditWorkflows,
    /// Execute and cancel workflows.
    RunWorkflows,
    /// See system events.
    ReadSystemEvents,
    /// Record, assign and dismiss system events.
    EditSystemEvents,
    /// See what ran for how long.
    ReadUsage,
    /// See the node itself: its actors and metrics.
    ReadNode,
}

/// Who a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
    name: &'static str,
    user_id: i64,
}

impl Principal {
    /// The holder of the admin token, who is the user `user_id`.
    pub(crate) fn admin(user_id: i64) -> Self {
        Self { name: "admin", user_id }
    }

    /// Whether `permission` is given. The admin has them all.
    pub(crate) fn may(&self, _permission: Permission) -> bool {
        true
    }

    /// The user that changes are attributed to.
    pub(crate) fn user_id(&self) -> i64 {
        self.user_id
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
