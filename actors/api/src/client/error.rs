//! What can go wrong between a client and a node.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a request to a node had no good end.
///
/// The text says what failed and why, [`ClientError::hint`] what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nothing says where a node is.
    #[error("no node is known here: OA_URL is not set and {} does not exist", .node_file.display())]
    NoNode {
        /// The file that a node would have written.
        node_file: PathBuf,
    },
    /// `OA_DATA_DIR` and `HOME` are both unset.
    #[error("no node is known here: none of OA_URL, OA_DATA_DIR and HOME is set")]
    NoDataDir,
    /// The address of the node is none.
    #[error("`{text}` is not the URL of a node: {why}")]
    BadUrl {
        /// The address.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// A file that a node wrote cannot be used.
    #[error("failed to read {}", .path.display())]
    LocalFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The token holds characters that no header may carry.
    #[error("the token holds characters that a token never has, such as a line break")]
    BadToken,
    /// The HTTP client cannot be set up, for instance without any certificate of an authority.
    #[error("failed to set up an HTTP client for {url}: {}", root_cause(.cause))]
    Setup {
        /// The node.
        url: String,
        /// Why.
        cause: reqwest::Error,
    },
    /// There was no connection, or it broke.
    #[error("{url} cannot be reached: {}", root_cause(.cause))]
    Unreachable {
        /// The node.
        url: String,
        /// Why.
        cause: reqwest::Error,
    },
    /// The node took the request and did not answer in time.
    #[error("{url} did not answer `{request}` within {after:?}")]
    Timeout {
        /// The node.
        url: String,
        /// Method and path.
        request: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// The token is missing, unknown or expired.
    #[error("{url} does not accept {}", if *.had_token { "the token" } else { "requests without a token" })]
    Unauthorized {
        /// The node.
        url: String,
        /// Whether a token was sent.
        had_token: bool,
    },
    /// The node answered, and the answer is no.
    #[error("{message}")]
    Refused {
        /// Method and path.
        request: String,
        /// HTTP status.
        status: u16,
        /// A word for programs, such as `not_found`.
        code: Box<str>,
        /// Why, in the server's words.
        message: String,
        /// What to do about it, in the server's words.
        hint: Option<Box<str>>,
        /// Names the request in the server's log.
        request_id: Option<Box<str>>,
    },
    /// The node said yes in a way that this client does not understand.
    #[error("the answer to `{request}` is not understood: {why}")]
    Unintelligible {
        /// Method and path.
        request: String,
        /// What was expected or found.
        why: String,
    },
}

impl ClientError {
    /// Whether the same request may succeed later. One that changes something may have been carried out already.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } => true,
            Self::Refused { status, .. } => matches!(status, 429 | 502..=504),
            _ => false,
        }
    }

    /// Whether the thing asked for does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoNode { .. } | Self::NoDataDir => {
                Some("start a node with `oa-node`, or set OA_URL and OA_TOKEN to those of a running one".into())
            }
            Self::BadUrl { text, .. } if !text.is_empty() && !text.contains("://") && !text.contains('@') => {
                Some(format!("set OA_URL to http://{text}, if that is the node's address"))
            }
            Self::BadUrl { .. } => Some("set OA_URL to something like http://127.0.0.1:4000".into()),
            Self::LocalFile { cause, path } if cause.kind() == io::ErrorKind::PermissionDenied => Some(format!(
                "run as the user who owns {}, or set OA_URL and OA_TOKEN",
                path.display()
            )),
            Self::LocalFile { .. } => Some("start the node again: it writes the file when it is ready".into()),
            Self::BadToken => Some("set OA_TOKEN to the token alone".into()),
            Self::Setup { .. } => Some("install the certificates of authorities (package `ca-certificates`)".into()),
            Self::Unreachable { url, cause } => Some(unreachable_hint(url, &root_cause(cause))),
            Self::Timeout { .. } => Some("see in the node's log what it is busy with, then try again".into()),
            Self::Unauthorized { .. } => {
                Some("set OA_TOKEN to a valid token; a node on this machine keeps one in <data dir>/admin-token".into())
            }
            Self::Refused { hint, .. } => hint.as_deref().map(str::to_owned),
            Self::Unintelligible { .. } => Some("use an `oa` of the same release as the node".into()),
        }
    }

    /// Names the request in the server's log.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Refused { request_id, .. } => request_id.as_deref(),
            _ => None,
        }
    }
}

/// What to do about a connection that was not made, or broke.
fn unreachable_hint(url: &str, cause: &str) -> String {
    match url.split_once("://") {
        // What came back is no TLS.
        Some(("https", rest)) if cause.contains("corrupt message") => {
            format!("whoever is there does not speak TLS: set OA_URL to http://{rest}")
        }
        // What came back is no HTTP: perhaps TLS, which was not spoken to it.
        Some(("http", rest))
            if ["HTTP", "closed", "reset"].iter().any(|word| cause.contains(word)) =>
        {
            format!(
                "whoever is there may speak TLS: try OA_URL=https://{rest}, or see that it is a node"
            )
        }
        _ => "see that the node runs (`oa-node`) and that OA_URL names it".to_owned(),
    }
}

/// The innermost cause: the outer ones only repeat that a request failed.
fn root_cause(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wrong_scheme_is_told_from_a_node_that_is_down() {
        let hint = |url, cause| unreachable_hint(url, cause);
        let corrupt = "received corrupt message of type InvalidContentType";
        assert!(hint("https://n:4000/", corrupt).ends_with("http://n:4000/"));
        assert!(hint("http://n:4000/", "invalid HTTP version parsed").contains("https://n:4000/"));
        assert!(hint("http://n:4000/", "Connection refused (os error 111)").contains("oa-node"));
    }

    #[test]
    fn an_address_without_a_scheme_gets_one() {
        let error = ClientError::BadUrl { text: "127.0.0.1:4000".into(), why: "no scheme".into() };
        assert!(error.hint().is_some_and(|hint| hint.contains("http://127.0.0.1:4000")));
    }
}
