//! Why a handler, an actor or an `init` did not succeed.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::send_error::AskError;
use crate::transport::{DecodeError, EncodeError, PublishError, TransportError};

/// Why something did not succeed, and whether the same again may.
///
/// Made from a text or, by `?`, from any error. It is not an error type itself, so that `?` can convert every
/// error into it. Cheap to clone. `{}` prints the text, `{:#}` the chain of causes.
#[derive(Clone)]
pub struct Failure {
    text: Arc<str>,
    cause: Option<Arc<dyn Error + Send + Sync>>,
    retryable: bool,
    blameless: bool,
}

impl Failure {
    /// A failure that may be gone when the same is tried again.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into().into(), cause: None, retryable: true, blameless: false }
    }

    /// A failure that will be the same each time: a delivery is parked, not retried.
    pub fn permanent(text: impl Into<String>) -> Self {
        Self::new(text).with_retryable(false)
    }

    /// Whether the same may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }

    /// The same failure with another answer to [`is_retryable`](Failure::is_retryable).
    #[must_use]
    pub fn with_retryable(mut self, retryable: bool) -> Self {
        self.retryable = retryable;
        self
    }

    /// The same failure as none of the message's own, such as a full disk: a delivery is tried again soon and as often
    /// as it takes, and is not parked. Whoever has the disk says so; the tries are not logged.
    #[must_use]
    pub fn blameless(mut self) -> Self {
        self.blameless = true;
        self.retryable = true;
        self
    }

    /// Whether it is none of the message's own.
    pub(crate) fn is_blameless(&self) -> bool {
        self.blameless
    }

    /// The error it was made from.
    #[must_use]
    pub fn cause(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.cause.as_deref()
    }

    /// The text and the causes below it, as `{:#}` prints them.
    #[must_use]
    pub fn chain(&self) -> String {
        format!("{self:#}")
    }

    /// A failure from what a panic carried.
    pub(crate) fn from_panic(payload: &(dyn Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<&'static str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a value that is not text".to_owned());
        Self::new(format!("panicked: {text}"))
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    /// Retryable, unless the error is one of this crate's and says otherwise.
    fn from(error: E) -> Self {
        let retryable = says_retryable(&error).unwrap_or(true);
        Self {
            text: error.to_string().into(),
            cause: Some(Arc::new(error)),
            retryable,
            blameless: false,
        }
    }
}

/// What the errors of this crate know about themselves.
fn says_retryable(error: &dyn Any) -> Option<bool> {
    if let Some(error) = error.downcast_ref::<AskError>() {
        return Some(error.is_retryable());
    }
    if let Some(error) = error.downcast_ref::<PublishError>() {
        return Some(error.is_retryable());
    }
    if let Some(error) = error.downcast_ref::<TransportError>() {
        return Some(error.is_retryable());
    }
    (error.is::<EncodeError>() || error.is::<DecodeError>()).then_some(false)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        if f.alternate() {
            let mut next = self.cause.as_ref().and_then(|cause| cause.source());
            while let Some(cause) = next {
                write!(f, ": {cause}")?;
                next = cause.source();
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.retryable { "retryable" } else { "permanent" };
        write!(f, "Failure({kind}: {self:#})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::io::Error);

    fn fails() -> Result<(), Failure> {
        Err(Outer(std::io::Error::other("inner")))?;
        Ok(())
    }

    #[test]
    fn the_question_mark_converts_any_error() {
        let failure = fails().expect_err("it fails");
        assert_eq!(failure.to_string(), "outer");
        assert_eq!(failure.chain(), "outer: inner");
        assert!(failure.is_retryable());
    }

    #[test]
    fn an_error_of_this_crate_keeps_its_own_answer() {
        let error = AskError::Failed { text: "no such unit".into(), retryable: false };
        assert!(!Failure::from(error).is_retryable());
        assert!(!Failure::permanent("no").is_retryable());
    }
}
