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
    /// Where a program that goes into the background writes its number.
    pub(crate) pid_file: Option<PathBuf>,
    pub(crate) guess_main_pid: bool,
    pub(crate) start_pre: Vec<ExecCommand>,
    pub(crate) start: Vec<ExecCommand>,
    pub(crate) start_post: Vec<ExecCommand>,
    pub(crate) reload: Vec<ExecCommand>,
    pub(crate) stop: Vec<ExecCommand>,
    pub(crate) stop_post: Vec<ExecCommand>,
    pub(crate) environment: Vec<(String, String)>,
    /// Read before each program; what they set wins over [`Plan::environment`], a later one over an earlier one.
    pub(crate) environment_files: Vec<MaybeMissing>,
    /// Whether they are read with the rights of the unit, not those of the host.
    pub(crate) files_as_user: bool,
    pub(crate) working_directory: MaybeMissing,
    /// Whom the programs run as; `None`: as the host itself.
    pub(crate) credentials: Option<Credentials>,
    pub(crate) manners: Manners,
    pub(crate) limits: Vec<Limit>,
    pub(crate) resources: Resources,
    pub(crate) kill: Kill,
    pub(crate) restart: RestartWhen,
    pub(crate) restart_after: Duration,
    /// `None` waits for ever.
    pub(crate) start_timeout: Option<Duration>,
    pub(crate) stop_timeout: Option<Duration>,
    pub(crate) run_timeout: Option<Duration>,
    /// What counts as success beside status 0 and a gentle signal.
    pub(crate) success: Exits,
    pub(crate) prevent_restart: Exits,
    pub(crate) force_restart: Exits,
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

/// A path that may begin with `-` in the unit file: then it does not matter if it is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MaybeMissing {
    pub(crate) path: PathBuf,
    pub(crate) may_be_missing: bool,
}

/// A user, its main group, and every group that it is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Credentials {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
}

/// What a program is given beside its arguments and environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manners {
    pub(crate) umask: u32,
    pub(crate) nice: Option<i32>,
    pub(crate) oom_score_adjust: Option<i32>,
    pub(crate) ignore_sigpipe: bool,
}

/// One of `Limit*=`; `None` is no limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limit {
    /// The option, such as `LimitNOFILE`.
    pub(crate) option: String,
    pub(crate) soft: Option<u64>,
    pub(crate) hard: Option<u64>,
}

/// What all processes of the unit may use together; `None` is no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Resources {
    pub(crate) memory_max_bytes: Option<u64>,
    /// Microseconds of computing in each [`Resources::CPU_PERIOD_US`].
    pub(crate) cpu_quota_us: Option<u64>,
    pub(crate) tasks_max: Option<u64>,
}

impl Resources {
    pub(crate) const CPU_PERIOD_US: u64 = 100_000;
}

/// How a unit is ended: systemd.kill(5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kill {
    pub(crate) mode: KillMode,
    pub(crate) signal: i32,
    pub(crate) and_hangup: bool,
    /// Whether what does not end in time is killed.
    pub(crate) and_kill: bool,
    pub(crate) final_signal: i32,
}

/// `KillMode=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum KillMode {
    /// Every process of the unit.
    ControlGroup,
    /// The signal for the main process, the end for all.
    Mixed,
    /// The main process only.
    Process,
    /// Nothing.
    None,
}

/// `Type=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ServiceKind {
    /// Runs once its program is executed: `simple`, `exec` and `idle`.
    Simple,
    Forking,
    Oneshot,
}

/// `Restart=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RestartWhen {
    No,
    OnSuccess,
    OnFailure,
    OnAbnormal,
    /// Never: nothing here is a watchdog.
    OnWatchdog,
    OnAbort,
    Always,
}

/// Exit codes and signals.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exits {
    pub(crate) codes: Vec<i32>,
    pub(crate) signals: Vec<i32>,
}
