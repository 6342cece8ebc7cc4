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
    /// When it came to that phase, in milliseconds since 1970.
    #[serde(default)]
    pub(crate) since_ms: i64,
    /// What became of the last start, so far.
    #[serde(default)]
    pub(crate) result: UnitResult,
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
    /// What a person should know of it, such as why a program did not start.
    #[serde(default)]
    pub(crate) note: Option<String>,
}

/// What became of a start: systemd's word for it, which `$SERVICE_RESULT` is too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum UnitResult {
    #[default]
    Success,
    /// Something needed was missing: it could not even be tried.
    Resources,
    /// It did not say where its main process is.
    Protocol,
    Timeout,
    ExitCode,
    Signal,
    CoreDump,
    StartLimitHit,
    OomKill,
    /// Said by the host: a unit that it requires is not there.
    Dependency,
    /// One that a later release added.
    #[serde(other)]
    Unknown,
}

impl UnitResult {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Resources => "resources",
            Self::Protocol => "protocol",
            Self::Timeout => "timeout",
            Self::ExitCode => "exit-code",
            Self::Signal => "signal",
            Self::CoreDump => "core-dump",
            Self::StartLimitHit => "start-limit-hit",
            Self::OomKill => "oom-kill",
            Self::Dependency => "dependency",
            Self::Unknown => "unknown",
        }
    }
}

/// Where the unit stands; in systemd's words by [`Phase::systemd`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    /// `ExecStartPre=` is running.
    Preparing,
    /// `ExecStart=` is running, of a type that is not up before it ends.
    Starting,
    /// `ExecStartPost=` is running.
    PostStarting,
    Running,
    /// Its processes are gone, and `RemainAfterExit=` holds.
    Exited,
    /// `ExecReload=` is running.
    Reloading,
    /// Waits for `RestartSec=`.
    AutoRestart,
    /// `ExecStop=` is running.
    StopCommands,
    /// Told to end.
    Stopping,
    /// Made to end.
    Killing,
    /// `ExecStopPost=` is running.
    StopPost,
    /// What is left is told to end.
    FinalStopping,
    /// What is left is made to end.
    FinalKilling,
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
            Self::PostStarting => ("activating", "start-post"),
            Self::Running => ("active", "running"),
            Self::Exited => ("active", "exited"),
            Self::Reloading => ("reloading", "reload"),
            Self::AutoRestart => ("activating", "auto-restart"),
            Self::StopCommands => ("deactivating", "stop"),
            Self::Stopping => ("deactivating", "stop-sigterm"),
            Self::Killing => ("deactivating", "stop-sigkill"),
            Self::StopPost => ("deactivating", "stop-post"),
            Self::FinalStopping => ("deactivating", "final-sigterm"),
            Self::FinalKilling => ("deactivating", "final-sigkill"),
            Self::Dead => ("inactive", "dead"),
            Self::Failed => ("failed", "failed"),
            Self::Unknown => ("active", "unknown"),
        }
    }

    /// Whether the keeper ends after it said so.
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::Dead | Self::Failed)
    }

    /// Whether the unit is up, so that what is ordered after it may begin.
    pub(crate) fn is_up(self) -> bool {
        matches!(self, Self::Running | Self::Exited | Self::Reloading)
    }
}
