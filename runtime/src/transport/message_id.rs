//! Names of messages: the epoch of the process and a counter.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// Names one message for ever: a random 64-bit epoch of the process that made it, and a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MessageId {
    epoch: u64,
    count: u64,
}

impl MessageId {
    /// A new id of this process.
    #[must_use]
    pub fn next() -> Self {
        static SOURCE: OnceLock<IdSource> = OnceLock::new();
        SOURCE.get_or_init(IdSource::new).next_id()
    }

    /// The epoch of the process that made it.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
}

/// Makes message ids of one epoch.
#[derive(Debug)]
pub struct IdSource {
    epoch: u64,
    count: AtomicU64,
}

impl IdSource {
    /// A source with a random epoch.
    #[must_use]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self::with_epoch(rand::random())
    }

    /// A source with a given epoch, for tests that want the same ids each time.
    #[must_use]
    pub fn with_epoch(epoch: u64) -> Self {
        Self { epoch, count: AtomicU64::new(0) }
    }

    /// The next id.
    pub fn next_id(&self) -> MessageId {
        MessageId { epoch: self.epoch, count: self.count.fetch_add(1, Ordering::Relaxed) }
    }
}

/// Why a text is not a message id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a message id: it must be `<16 hex digits>-<hex digits>`")]
pub struct InvalidMessageId(String);

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:x}", self.epoch, self.count)
    }
}

impl FromStr for MessageId {
    type Err = InvalidMessageId;

    fn from_str(text: &str) -> Result<Self, InvalidMessageId> {
        let refuse =
            || InvalidMessageId(text.chars().take(80).flat_map(char::escape_default).collect());
        let (epoch, count) =
            text.split_once('-').filter(|(epoch, _)| epoch.len() == 16).ok_or_else(refuse)?;
        let epoch = u64::from_str_radix(epoch, 16).map_err(|_| refuse())?;
        let count = u64::from_str_radix(count, 16).map_err(|_| refuse())?;
        Ok(Self { epoch, count })
    }
}

impl TryFrom<String> for MessageId {
    type Error = InvalidMessageId;

    fn try_from(text: String) -> Result<Self, InvalidMessageId> {
        text.parse()
    }
}

impl From<MessageId> for String {
    fn from(id: MessageId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_are_read_back() {
        let (a, b) = (MessageId::next(), MessageId::next());
        assert_ne!(a, b);
        assert_eq!(a.epoch(), b.epoch());
        assert_eq!(a.to_string().parse(), Ok(a));
        assert!("12-34".parse::<MessageId>().is_err());
    }
}
