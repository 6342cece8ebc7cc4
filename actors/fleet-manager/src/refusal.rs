//! Turns what went wrong into a "no" that travels.

use std::error::Error;
use std::time::Duration;

use oa_fleet::{EngineError, Engines};
use oa_protocol::{EtcdToken, Refusal, RefusalCode};

/// A cluster that this node was not told of.
pub(crate) fn unknown_cluster(token: &EtcdToken, engines: &Engines) -> Refusal {
    let known: Vec<String> = engines.tokens().map(ToString::to_string).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Refusal::new(
        RefusalCode::NotFound,
        format!("cluster `{token}` is not known here; known are {known}"),
    )
    .hint("correct the token, or configure the cluster")
}

/// A cluster whose share of the workers is used up.
pub(crate) fn busy(token: &EtcdToken) -> Refusal {
    Refusal::new(
        RefusalCode::Unavailable,
        format!("cluster `{token}` has too many questions to answer already"),
    )
    .hint("ask again later")
}

/// A cluster that does not answer.
pub(crate) fn silent(token: &EtcdToken, waited: Duration) -> Refusal {
    Refusal::new(
        RefusalCode::Unavailable,
        format!("cluster `{token}` did not answer within {waited:?}"),
    )
}

/// What an engine said, with its causes.
pub(crate) fn from_engine(error: &EngineError) -> Refusal {
    let code = match error {
        EngineError::UnknownUnit { .. } | EngineError::Refused { status: 404, .. } => {
            RefusalCode::NotFound
        }
        EngineError::Refused { status: 409, .. } => RefusalCode::Conflict,
        EngineError::Refused { status: 400..=499, .. } if !error.is_retryable() => {
            RefusalCode::Invalid
        }
        _ => RefusalCode::Unavailable,
    };
    let mut message = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        message = format!("{message}: {cause}");
        next = cause.source();
    }
    Refusal::new(code, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_told_from_what_does_not_answer() {
        let unknown = EngineError::UnknownUnit { unit: "a.service".into() };
        assert_eq!(from_engine(&unknown).code, RefusalCode::NotFound);
        let silent =
            EngineError::Timeout { endpoint: "unix:/x".into(), waited: Duration::from_secs(1) };
        assert_eq!(from_engine(&silent).code, RefusalCode::Unavailable);
        let refused =
            |status| EngineError::Refused { action: "put".into(), status, message: "no".into() };
        assert_eq!(from_engine(&refused(400)).code, RefusalCode::Invalid);
        assert_eq!(from_engine(&refused(429)).code, RefusalCode::Unavailable);
        assert_eq!(from_engine(&refused(503)).code, RefusalCode::Unavailable);
    }

    #[test]
    fn an_unknown_cluster_is_told_which_ones_there_are() {
        let token = EtcdToken::new("nowhere").expect("a valid token");
        let refusal = unknown_cluster(&token, &Engines::default());
        assert_eq!(refusal.code, RefusalCode::NotFound);
        assert!(refusal.message.contains("`nowhere`") && refusal.message.contains("none"));
    }
}
