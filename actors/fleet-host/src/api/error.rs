//! Errors in Fleet's shape: `{"error": {"code": 404, "message": "…"}}`.

use std::fmt;
use std::io;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};

use crate::storage::HostStorage;

/// An answer that is an error.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    status: u16,
    message: String,
}

impl ApiError {
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// The unit is not known.
    pub(crate) fn no_unit() -> Self {
        Self::new(404, "unit does not exist")
    }

    /// A write that the directory of the host did not take; nothing was changed. 503 if that may pass.
    pub(crate) fn not_stored(what: &str, why: &io::Error, storage: &HostStorage) -> Self {
        match storage.explain(why) {
            Some(trouble) => Self::new(
                503,
                format!("{}: {what}: {}; {}", trouble.code, trouble.message, trouble.hint),
            ),
            None => Self::failed(what, why),
        }
    }

    /// Something failed on this machine; the words go to the log, too.
    pub(crate) fn failed(what: &str, why: &dyn fmt::Display) -> Self {
        tracing::error!("{what}: {why}");
        Self::new(500, format!("{what}: {why}"))
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let body = serde_json::json!({ "error": { "code": self.status, "message": self.message } });
        HttpResponse::build(self.status_code()).json(body)
    }
}
