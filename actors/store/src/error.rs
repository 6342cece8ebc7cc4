//! What can go wrong in the store, whatever was asked.

use std::error::Error;

use oa_durable::{MigrateError, OpenError, StorageError, WriteError};
use oa_runtime::Failure;
use sea_orm::DbErr;

/// Why the store did not do something, apart from reasons of the question itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The schema could not be brought up to date.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// A question was not answered.
    #[error("the database did not answer")]
    Read(#[from] DbErr),
    /// A change was not written.
    #[error("the change was not written")]
    Write(#[source] WriteError),
    /// A row holds what this release cannot read.
    #[error("{what} {id} cannot be read: {why}")]
    Corrupt {
        /// What kind of row.
        what: &'static str,
        /// Its id.
        id: String,
        /// What is wrong with it.
        why: String,
    },
}

impl StoreError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Read(cause) => {
                WriteError::<std::convert::Infallible>::from_database(cause.clone()).is_retryable()
            }
            Self::Write(cause) => cause.is_retryable(),
            Self::Open(_) | Self::Migrate(_) | Self::Corrupt { .. } => false,
        }
    }

    /// What is wrong with the place where the database lies, if that is the reason.
    #[must_use]
    pub fn storage(&self) -> Option<StorageError> {
        match self {
            Self::Read(cause) => oa_durable::storage_error(cause),
            Self::Write(cause) => cause.storage().cloned(),
            Self::Open(_) | Self::Migrate(_) | Self::Corrupt { .. } => None,
        }
    }

    /// As the failure of a message: what is wrong with the disk is no fault of the message.
    #[must_use]
    pub fn into_failure(self) -> Failure {
        let (retryable, is_storage) = (self.is_retryable(), self.storage().is_some());
        let failure = Failure::from(self).with_retryable(retryable);
        if is_storage { failure.blameless() } else { failure }
    }

    pub(crate) fn corrupt(what: &'static str, id: impl ToString, why: impl ToString) -> Self {
        Self::Corrupt { what, id: id.to_string(), why: why.to_string() }
    }
}

/// The caller's own reason if there is one, else the store's.
pub(crate) fn settle<E: Error + From<StoreError> + 'static>(failure: WriteError<E>) -> E {
    match failure {
        WriteError::Refused(reason) => reason,
        other => {
            StoreError::Write(other.map_refused(|_| unreachable!("a refusal is told apart above")))
                .into()
        }
    }
}

/// Inside a write: the caller's reason as the write's outcome.
pub(crate) fn refuse<T, E: Error + 'static>(reason: E) -> Result<T, WriteError<E>> {
    Err(WriteError::Refused(reason))
}
