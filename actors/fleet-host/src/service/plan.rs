//! The plan of a unit: what its keeper does, with every name resolved.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::metering::Labels;

/// What a keeper does. Written to the unit's directory; the keeper knows nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// For messages.
    pub(crate) unit: String,
    /// Hash of the unit file this was made from.
    pub(crate) hash: String,
    /// The launch that this is for.
    pub(crate) launch: u64,
    /// Whom its runs are recorded for.
    #[serde(default)]
    pub(crate) labels: Labels,
    pub(crate) kind: ServiceKind,
    pub(crate) remain_after_exit: bool,
    pub(crate) start_pre: Vec<ExecCommand>,
    pub(crate) start: Vec<ExecCommand>,
    pub(crate) stop: Vec<ExecCommand>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) working_directory: PathBuf,
    /// Whom the programs run as; `None`: as the host itself.
    pub(crate) credentials: Option<Credentials>,
    /// Files that may be open at once: `Some(None)` is no limit, `None` is the host's own.
    #[serde(default)]
    pub(crate) open_files: Option<Option<u64>>,
    pub(crate) restart: RestartWhen,
    pub(crate) restart_after: Duration,
    /// `None` waits for ever.
    pub(crate) stop_timeout: Option<Duration>,
    pub(crate) start_timeout: Option<Duration>,
    pub(crate) stop_signal: StopSignal,
    /// Whether that signal is for the main process only, as with `KillMode=mixed`.
    pub(crate) signal_main_only: bool,
    /// Exit codes beside 0 that count as success.
    pub(crate) success_codes: Vec<i32>,
    /// Starts that are allowed within [`Plan::start_limit_interval`] before the unit counts as failed.
    pub(crate) start_limit_burst: u32,
    pub(crate) start_limit_interval: Duration,
    pub(crate) log_limit_bytes: u64,
}

/// One program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExecCommand {
    pub(crate) argv: Vec<String>,
    /// The prefix `-`: its failure does not count.
    pub(crate) may_fail: bool,
    /// The prefix `:`: variables are left alone.
    pub(crate) verbatim: bool,
    /// The prefix `@`: what the program is told to be called.
    pub(crate) called: Option<String>,
}

/// A user, its main group, and every group that it is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Credentials {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
}

/// `KillSignal=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum StopSignal {
    Hup,
    Int,
    Quit,
    Usr1,
    Usr2,
    Term,
    Kill,
}

/// `Type=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ServiceKind {
    Simple,
    Oneshot,
}

/// `Restart=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RestartWhen {
    No,
    OnSuccess,
    OnFailure,
    OnAbnormal,
    OnAbort,
    Always,
}
