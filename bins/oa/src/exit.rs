//! What the exit code says. The numbers are a promise to scripts.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Ok = 0,
    /// It was tried and failed.
    Failed = 1,
    /// The command line is wrong; clap uses the same number.
    Usage = 2,
    /// The node refused.
    Refused = 3,
    /// The thing asked for does not exist.
    NotFound = 4,
    /// It took too long.
    TimedOut = 5,
    /// A person ended it.
    Cancelled = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
