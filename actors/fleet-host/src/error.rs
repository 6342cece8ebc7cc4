//! Why a host does not run.

use std::path::PathBuf;

/// Why a host did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FleetHostError {
    /// Its directory cannot be used.
    #[error("failed to use the directory {}", path.display())]
    Directory {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// Another host works in its directory.
    #[error("another host works in the directory {}", path.display())]
    InUse {
        /// Which one.
        path: PathBuf,
    },
    /// Its socket cannot be bound.
    #[error("failed to listen on the socket {}", path.display())]
    Socket {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
}
