//! What can go wrong in a journal.

use oa_durable::{MigrateError, OpenError, StorageError, WriteError};
use oa_protocol::AttemptId;
use oa_runtime::{EncodeError, Failure};
use sea_orm::DbErr;

/// Why a journal did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file could not be opened.
    #[error("failed to open the journal")]
    Open(#[from] OpenError),
    /// Its schema could not be brought up to date.
    #[error("failed to bring the journal up to date")]
    Migrate(#[from] MigrateError),
    /// It could not be read.
    #[error("failed to read the journal")]
    Read(#[from] DbErr),
    /// It could not be written.
    #[error("failed to write the journal")]
    Write(#[source] WriteError),
    /// The report cannot be put into an envelope.
    #[error("failed to write a report of attempt {attempt_id}")]
    Report {
        /// The attempt.
        attempt_id: AttemptId,
        /// Why.
        #[source]
        cause: EncodeError,
    },
    /// A row holds what this release cannot read.
    #[error("task `{attempt_id}` of the journal cannot be read: {why}")]
    Damaged {
        /// The row's key.
        attempt_id: String,
        /// What is wrong with it.
        why: String,
    },
    /// The news given to `finish` are not the end of an attempt.
    #[error("attempt {attempt_id} cannot finish with news that are not its end")]
    NotAnEnd {
        /// The attempt.
        attempt_id: AttemptId,
    },
}

impl JournalError {
    /// Whether the same may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Write(cause) => cause.is_retryable(),
            Self::Read(cause) => {
                WriteError::<std::convert::Infallible>::from_database(cause.clone()).is_retryable()
            }
            Self::Open(OpenError::InUse { .. }) => true,
            Self::Open(_) | Self::Migrate(_) => false,
            Self::Report { .. } | Self::Damaged { .. } | Self::NotAnEnd { .. } => false,
        }
    }
}

impl JournalError {
    /// What is wrong with the place where the journal lies, if that is the reason.
    pub fn storage(&self) -> Option<StorageError> {
        match self {
            Self::Read(cause) => oa_durable::storage_error(cause),
            Self::Write(cause) => cause.storage().cloned(),
            _ => None,
        }
    }

    /// As the failure of a message: a journal that cannot be written takes nothing, and the message comes again until
    /// it can.
    pub fn into_failure(self) -> Failure {
        let (retryable, is_storage) = (self.is_retryable(), self.storage().is_some());
        let failure = Failure::from(self).with_retryable(retryable);
        if is_storage { failure.blameless() } else { failure }
    }
}

/// A closure's own reason comes back as what it was.
impl From<WriteError<JournalError>> for JournalError {
    fn from(error: WriteError<JournalError>) -> Self {
        error.into_refusal().unwrap_or_else(Self::Write)
    }
}

impl From<JournalError> for WriteError<JournalError> {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Read(cause) => Self::from_database(cause),
            reason => Self::Refused(reason),
        }
    }
}
