//! Why the node does not run.

use std::error::Error;
use std::path::PathBuf;

use crate::access;

/// Why the node did not start, or had to end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum NodeError {
    #[error("failed to read the configuration file {}", path.display())]
    ReadConfig {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error("the configuration file {} is wrong: {why}", path.display())]
    BadConfig { path: PathBuf, why: String, suggestion: Option<String> },
    #[error("the setting `{key}` is wrong: {why}")]
    BadSetting { key: &'static str, why: String },
    #[error("failed to prepare the data directory {} ({})", path.display(), access::situation(path))]
    DataDir {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error("another node uses the data directory {}{}", path.display(), holder.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    DataDirInUse { path: PathBuf, holder: Option<u32> },
    #[error("failed to start the threads of the node")]
    Threads {
        #[source]
        cause: std::io::Error,
    },
    #[error("failed to start logging: {why}")]
    Logging { why: String },
    #[error("failed to start the {part}")]
    Part {
        part: &'static str,
        #[source]
        cause: Box<dyn Error + Send + Sync>,
    },
    #[error("the disk failed to flush a commit of {}, so nobody knows what it holds", path.display())]
    StorageLost { path: PathBuf },
    #[error("the supervisors gave up: {why}")]
    GaveUp { why: String },
}

impl NodeError {
    /// Wraps the failure of one part.
    pub(crate) fn part(part: &'static str, cause: impl Error + Send + Sync + 'static) -> Self {
        Self::Part { part, cause: Box::new(cause) }
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::ReadConfig { .. } => {
                Some("check the path, or start without --config for embedded defaults".into())
            }
            Self::BadConfig { suggestion: Some(suggestion), .. } => Some(suggestion.clone()),
            Self::BadConfig { .. } | Self::BadSetting { .. } => {
                Some("oa-node --print-config shows every setting with its explanation".into())
            }
            Self::DataDir { path, cause } => Some(access::hint(path, cause)),
            Self::Part { cause, .. } => oa_durable::hint_of(&**cause),
            Self::StorageLost { .. } => Some(
                "look for errors of the disk in the kernel's log (dmesg); the next start reads what is there and goes on".into(),
            ),
            Self::DataDirInUse { holder, .. } => Some(match holder {
                Some(pid) => {
                    format!("stop it (kill {pid}), or name another directory with --data-dir")
                }
                None => "stop it, or name another directory with --data-dir".into(),
            }),
            Self::GaveUp { .. } => Some("read the log above; the first error is the cause".into()),
            _ => None,
        }
    }

    /// 78 for what the operator must change (sysexits' EX_CONFIG), 70 when the supervisors gave up, 74 (EX_IOERR) when
    /// a flush failed, else 1.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::ReadConfig { .. } | Self::BadConfig { .. } | Self::BadSetting { .. } => 78,
            Self::GaveUp { .. } => 70,
            Self::StorageLost { .. } => 74,
            _ => 1,
        }
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
