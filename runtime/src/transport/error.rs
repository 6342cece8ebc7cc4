//! Why an envelope was not made, taken, carried or read.

use std::time::Duration;

use super::address::{Address, InvalidAddress};

/// Why a message did not become an envelope.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The address is not one.
    #[error("failed to address `{name}`")]
    Address {
        /// Type name of the message.
        name: String,
        /// What is wrong with the address.
        #[source]
        cause: InvalidAddress,
    },
    /// The message cannot be written as JSON.
    #[error("failed to write `{name}` as JSON")]
    Json {
        /// Type name of the message.
        name: String,
        /// What serde says.
        #[source]
        cause: serde_json::Error,
    },
    /// The body is too long.
    #[error("`{name}` has {size_bytes} bytes, more than {limit_bytes}")]
    TooLarge {
        /// Type name of the message.
        name: String,
        /// Its size.
        size_bytes: usize,
        /// The cap.
        limit_bytes: usize,
    },
}

/// Why an envelope or its body cannot be read. Trying again does not help.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// It is another type of message.
    #[error("expected `{expected}`, got `{found}`")]
    WrongType {
        /// Type name that was asked for.
        expected: String,
        /// Type name of the envelope.
        found: String,
    },
    /// It was written by a newer release.
    #[error("`{name}` has version {found}, newer than {known}")]
    NewerVersion {
        /// Type name.
        name: String,
        /// Version of the envelope.
        found: u16,
        /// Version that this release knows.
        known: u16,
    },
    /// The content type or encoding is unknown.
    #[error("unknown content `{content}`")]
    Content {
        /// What the envelope says.
        content: String,
    },
    /// It is not the JSON that it should be.
    #[error("failed to read `{name}` from JSON")]
    Json {
        /// Type name, or `envelope`.
        name: String,
        /// What serde says.
        #[source]
        cause: serde_json::Error,
    },
    /// The compressed body is damaged.
    #[error("failed to decompress the body")]
    Compression(#[source] std::io::Error),
    /// The body is longer than allowed, perhaps only after decompression.
    #[error("body has more than {limit_bytes} bytes")]
    TooLarge {
        /// The cap.
        limit_bytes: usize,
    },
}

/// Why a transport did not confirm an envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// Nobody declared the mailbox.
    #[error("no mailbox `{address}`")]
    NoRoute {
        /// Where it should have gone.
        address: Address,
    },
    /// The mailbox, or the window of unconfirmed envelopes, has no room.
    #[error("no room for `{address}`")]
    Full {
        /// Where it should have gone.
        address: Address,
    },
    /// The body is too long.
    #[error("body has {size_bytes} bytes, more than {limit_bytes}")]
    TooLarge {
        /// Its size.
        size_bytes: usize,
        /// The cap.
        limit_bytes: usize,
    },
    /// It has been forwarded too often: there is a circle.
    #[error("forwarded {hops} times: there is a circle")]
    TooManyHops {
        /// How often.
        hops: u8,
    },
    /// No confirm came in time. The envelope may have been taken.
    #[error("no confirm within {after:?}")]
    Timeout {
        /// How long was waited.
        after: Duration,
    },
    /// There is no connection. The envelope may have been taken.
    #[error("transport is down: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
    /// The broker, a signature or a policy refused it.
    #[error("refused: {reason}")]
    Refused {
        /// Why.
        reason: String,
    },
}

impl PublishError {
    /// Whether the same envelope may be taken later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::NoRoute { .. }
            | Self::Full { .. }
            | Self::Timeout { .. }
            | Self::Unavailable { .. } => true,
            Self::TooLarge { .. } | Self::TooManyHops { .. } | Self::Refused { .. } => false,
        }
    }
}

/// Why a transport did not do something other than publishing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// Nobody declared the mailbox.
    #[error("no mailbox `{address}`")]
    NoRoute {
        /// Which mailbox.
        address: Address,
    },
    /// Somebody else consumes from a mailbox that allows only one consumer.
    #[error("`{address}` is in use by another consumer")]
    InUse {
        /// Which mailbox.
        address: Address,
    },
    /// There is no connection.
    #[error("transport is down: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
    /// It took too long.
    #[error("{what} took longer than {after:?}")]
    Timeout {
        /// What was done.
        what: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// The broker or a policy refused it.
    #[error("refused: {reason}")]
    Refused {
        /// Why.
        reason: String,
    },
    /// The transport was closed.
    #[error("transport is closed")]
    Closed,
}

impl TransportError {
    /// Whether the same may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::NoRoute { .. }
            | Self::InUse { .. }
            | Self::Unavailable { .. }
            | Self::Timeout { .. } => true,
            Self::Refused { .. } | Self::Closed => false,
        }
    }
}
