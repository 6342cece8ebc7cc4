//! How a transport does.

use serde::{Deserialize, Serialize};

/// How a transport does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Health {
    /// It carries messages.
    Up,
    /// It consumes, but the broker takes nothing at the moment.
    Blocked {
        /// What the broker says.
        reason: String,
    },
    /// It carries nothing and tries to connect.
    Down {
        /// Why.
        reason: String,
    },
    /// It was closed and will not come back.
    Closed,
}

impl Health {
    /// Whether messages can be published.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self, Self::Up)
    }
}
