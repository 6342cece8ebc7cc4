//! What a host is told.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// What a [`crate::FleetHost`] is told.
#[derive(Debug, Clone)]
pub struct FleetHostConfig {
    /// Directory for definitions, records of keepers and output; made with mode 0700.
    pub data_dir: PathBuf,
    /// Unix socket of the Fleet API; made with mode 0600.
    pub socket: PathBuf,
    /// The program that keeps a unit.
    pub keeper: KeeperProgram,
    /// Whether units without `User=` may run as root when the host does.
    pub allow_root_units: bool,
    /// Address on which units can be reached, shown as the machine's `primaryIP`.
    pub primary_ip: String,
    /// Output kept of each unit, in bytes.
    pub log_limit_bytes: u64,
    /// How long a keeper may take to answer before it counts as stuck; [`KEEPER_PATIENCE`] unless there is a reason.
    pub keeper_patience: Duration,
}

/// What a keeper needs on a machine that is busy: it answers at once, so it is stuck after this time.
pub const KEEPER_PATIENCE: Duration = Duration::from_secs(10);

/// The program that keeps a unit: it is run with `arguments` and the directory of the unit.
#[derive(Debug, Clone)]
pub struct KeeperProgram {
    /// Absolute path.
    pub program: PathBuf,
    /// What comes before the directory, such as `unit-keeper`.
    pub arguments: Vec<OsString>,
}

/// What becomes of the units when the host stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopUnits {
    /// They go on running; the next host adopts them.
    Leave,
    /// They are stopped first.
    Stop,
}
