//! A "no" that travels: why a component did not do what it was asked.

use serde::{Deserialize, Serialize};

/// What kind of "no" this is; REST turns it into a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RefusalCode {
    /// The thing asked for does not exist.
    NotFound,
    /// The request itself is wrong; the same one will be refused again.
    Invalid,
    /// It contradicts what is there.
    Conflict,
    /// The cluster, site or engine did not answer; the same request may succeed later.
    Unavailable,
    /// A fault of ours.
    Internal,
}

/// Why a component did not do what it was asked; a reply, so it can be encoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The kind.
    pub code: RefusalCode,
    /// What failed and why, for a person.
    pub message: String,
    /// What to do about it, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Refusal {
    /// Refuses with `code` and `message`.
    #[must_use]
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.code == RefusalCode::Unavailable
    }
}
