//! What a keeper says about its unit.

use serde::{Deserialize, Serialize};

use super::process::ProcessId;

/// The state of a unit, as its keeper knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    /// Hash of the unit file that is kept.
    pub(crate) hash: String,
    /// The launch that this belongs to.
    pub(crate) launch: u64,
    /// The boot of the machine that this belongs to.
    #[serde(default)]
    pub(crate) boot: String,
    pub(crate) phase: Phase,
    /// Whether the host wanted the end; otherwise the unit came to it by itself.
    #[serde(default)]
    pub(crate) was_stopped: bool,
    /// The unit's main process, while there is one.
    #[serde(default)]
    pub(crate) process: Option<ProcessId>,
    /// Starts so far, restarts included.
    #[serde(default)]
    pub(crate) starts: u32,
    /// How the last main process ended.
    #[serde(default)]
    pub(crate) last_exit: Option<String>,
}

/// Where the unit stands; in systemd's words by [`Phase::systemd`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    /// `ExecStartPre=` is running.
    Preparing,
    /// A oneshot's `ExecStart=` is running.
    Starting,
    Running,
    /// A oneshot with `RemainAfterExit=` that succeeded.
    Exited,
    /// Waits for `RestartSec=`.
    AutoRestart,
    Stopping,
    /// Ended well, or was stopped.
    Dead,
    Failed,
    /// One that a later release added: its keeper is at work.
    #[serde(other)]
    Unknown,
}

impl Phase {
    /// Active and sub state.
    pub(crate) fn systemd(self) -> (&'static str, &'static str) {
        match self {
            Self::Preparing => ("activating", "start-pre"),
            Self::Starting => ("activating", "start"),
            Self::Running => ("active", "running"),
            Self::Exited => ("active", "exited"),
            Self::AutoRestart => ("activating", "auto-restart"),
            Self::Stopping => ("deactivating", "stop-sigterm"),
            Self::Dead => ("inactive", "dead"),
            Self::Failed => ("failed", "failed"),
            Self::Unknown => ("active", "unknown"),
        }
    }

    /// Whether the keeper ends after it said so.
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::Dead | Self::Failed)
    }
}
