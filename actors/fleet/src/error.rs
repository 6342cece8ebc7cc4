//! Why an engine did not do what it was asked.

use std::time::Duration;

use crate::unit_file::InvalidOption;

/// Why an engine did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// It could not be reached.
    #[error("the engine at {endpoint} cannot be reached")]
    Unreachable {
        /// Where it should be.
        endpoint: String,
        /// Why.
        #[source]
        cause: reqwest::Error,
    },
    /// It did not answer in time.
    #[error("the engine at {endpoint} did not answer within {waited:?}")]
    Timeout {
        /// Where it is.
        endpoint: String,
        /// How long it had.
        waited: Duration,
    },
    /// It said no.
    #[error("the engine refused to {action}: {message} (status {status})")]
    Refused {
        /// What it was asked for, such as "put the unit app@0.service".
        action: String,
        /// HTTP status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// It does not know the unit.
    #[error("the cluster does not know the unit {unit}")]
    UnknownUnit {
        /// Which unit.
        unit: String,
    },
    /// Its answer is not what the Fleet API says.
    #[error("the engine at {endpoint} answered something else than the Fleet API: {why}")]
    Unreadable {
        /// Where it is.
        endpoint: String,
        /// What is wrong.
        why: String,
    },
    /// A unit that cannot be written down was not sent.
    #[error("the unit {unit} is not a valid unit")]
    InvalidUnit {
        /// Which unit.
        unit: String,
        /// What is wrong with it.
        #[source]
        cause: InvalidOption,
    },
    /// It has no way to do this.
    #[error("the engine at {endpoint} has no way to {action}")]
    Unsupported {
        /// Where it is.
        endpoint: String,
        /// What it was asked for, such as "read the output of app@0.service".
        action: String,
    },
    /// The client could not be made.
    #[error("failed to make a client for the engine at {endpoint}")]
    Client {
        /// Where it is.
        endpoint: String,
        /// Why.
        #[source]
        cause: reqwest::Error,
    },
}

impl EngineError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } => true,
            Self::Refused { status, .. } => *status >= 500 || *status == 429,
            Self::UnknownUnit { .. }
            | Self::Unreadable { .. }
            | Self::InvalidUnit { .. }
            | Self::Unsupported { .. }
            | Self::Client { .. } => false,
        }
    }
}
