//! Why a message was not taken, and why a question was not answered.
//!
//! The same types for an actor here and a mailbox elsewhere, so that no code comes to depend on where a
//! reference leads.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::transport::Address;

/// Why a message was not taken. Each gives the message back.
#[non_exhaustive]
pub enum TellError<M> {
    /// The mailbox, or the window of messages on their way to it, has no room.
    Full(M),
    /// The actor has ended and will not come back.
    Stopped(M),
    /// Nobody declared the mailbox.
    NoRoute {
        /// Where it should have gone.
        address: Address,
        /// The message.
        message: M,
    },
    /// The transport did not take it.
    Transport {
        /// Why.
        reason: String,
        /// Whether it may later.
        retryable: bool,
        /// The message.
        message: M,
    },
}

impl<M> TellError<M> {
    /// The message that was not taken.
    pub fn into_message(self) -> M {
        match self {
            Self::Full(message)
            | Self::Stopped(message)
            | Self::NoRoute { message, .. }
            | Self::Transport { message, .. } => message,
        }
    }

    /// Whether the same message may be taken later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Full(_) | Self::NoRoute { .. } => true,
            Self::Stopped(_) => false,
            Self::Transport { retryable, .. } => *retryable,
        }
    }
}

impl<M> fmt::Display for TellError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("mailbox is full"),
            Self::Stopped(_) => f.write_str("actor has stopped"),
            Self::NoRoute { address, .. } => write!(f, "no mailbox `{address}`"),
            Self::Transport { reason, .. } => {
                write!(f, "transport did not take the message: {reason}")
            }
        }
    }
}

impl<M> fmt::Debug for TellError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TellError({self})")
    }
}

impl<M> Error for TellError<M> {}

/// Why a question was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The deadline passed. The question may still be handled.
    #[error("no answer within {after:?}")]
    Timeout {
        /// The deadline.
        after: Duration,
    },
    /// The actor ended before it answered.
    #[error("actor has stopped")]
    Stopped,
    /// The mailbox, or the window of messages on their way to it, has no room.
    #[error("mailbox is full")]
    Full,
    /// The handler failed or the actor crashed with this message in hand.
    #[error("{text}")]
    Failed {
        /// What the handler said.
        text: String,
        /// Whether the same question may succeed later.
        retryable: bool,
    },
    /// Nobody declared the mailbox.
    #[error("no mailbox `{address}`")]
    NoRoute {
        /// Where the question should have gone.
        address: Address,
    },
    /// The transport did not take the question.
    #[error("transport did not take the question: {reason}")]
    Transport {
        /// Why.
        reason: String,
        /// Whether it may later.
        retryable: bool,
    },
    /// The question could not be written, or the answer not be read.
    #[error("failed to read or write the message: {reason}")]
    Decode {
        /// Why.
        reason: String,
    },
}

impl AskError {
    /// Whether the same question may be answered later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::Full | Self::NoRoute { .. } => true,
            Self::Stopped | Self::Decode { .. } => false,
            Self::Failed { retryable, .. } | Self::Transport { retryable, .. } => *retryable,
        }
    }
}

impl<M> From<TellError<M>> for AskError {
    fn from(error: TellError<M>) -> Self {
        match error {
            TellError::Full(_) => Self::Full,
            TellError::Stopped(_) => Self::Stopped,
            TellError::NoRoute { address, .. } => Self::NoRoute { address },
            TellError::Transport { reason, retryable, .. } => Self::Transport { reason, retryable },
        }
    }
}
