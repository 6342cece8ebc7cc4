//! Reads what a node answered: a value, or a refusal in one of the shapes that the API knows.

use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, LOCATION};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::ClientError;
use crate::error_body::ErrorBody;

/// More than any list of a node that is well; beyond it the answer is given up.
const LARGEST_ANSWER: usize = 64 << 20;
/// How much of a text is shown to a person.
const LONGEST_TEXT: usize = 500;

const ERROR_CODE: &str = "x-error-code";
const REQUEST_ID: &str = "x-request-id";

/// A good answer.
#[derive(Debug)]
pub(super) struct Answer {
    request: String,
    location: Option<String>,
    body: Vec<u8>,
}

/// Why an answer was not read.
pub(super) enum ReadError {
    /// The connection broke on the way.
    Broken(reqwest::Error),
    /// It is a refusal, or too long.
    Bad(ClientError),
}

impl Answer {
    /// Reads the answer to `request`, a method and a path.
    pub(super) async fn read(request: String, mut response: Response) -> Result<Self, ReadError> {
        let status = response.status();
        let header =
            |name| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let (location, content_type) = (header(LOCATION.as_str()), header(CONTENT_TYPE.as_str()));
        let in_headers = InHeaders { code: header(ERROR_CODE), request_id: header(REQUEST_ID) };
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(ReadError::Broken)? {
            if LARGEST_ANSWER < body.len() + chunk.len() {
                let why = format!("it is longer than {LARGEST_ANSWER} bytes");
                return Err(ReadError::Bad(ClientError::Unintelligible { request, why }));
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return Ok(Self { request, location, body });
        }
        let is_html = content_type.is_some_and(|t| t.starts_with("text/html"));
        Err(ReadError::Bad(refusal(
            request,
            status.as_u16(),
            if is_html { b"" } else { &body },
            in_headers,
        )))
    }

    /// The value in the body.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_slice(&self.body).map_err(|error| ClientError::Unintelligible {
            request: self.request.clone(),
            why: error.to_string(),
        })
    }

    /// The last part of the path in `Location`: what was made or changed.
    pub(super) fn located_id(&self) -> Result<String, ClientError> {
        let id = self
            .location
            .as_deref()
            .and_then(|path| path.rsplit('/').next())
            .filter(|id| !id.is_empty());
        id.map(str::to_owned).ok_or_else(|| ClientError::Unintelligible {
            request: self.request.clone(),
            why: "it has no `Location` that ends in an id".into(),
        })
    }
}

/// What a refusal says beside its body, for shapes that have no room for it.
struct InHeaders {
    code: Option<String>,
    request_id: Option<String>,
}

/// Understands every shape of refusal: our object, a field each with its problem, a text, nothing at all.
fn refusal(request: String, status: u16, body: &[u8], in_headers: InHeaders) -> ClientError {
    let object = serde_json::from_slice::<ErrorBody>(body).unwrap_or_default();
    let text = if object.errors.is_empty() { plain_text(body) } else { object.message() };
    let message =
        if text.is_empty() { format!("{} ({status})", words(status)) } else { shortened(&text) };
    let code = object.code.or(in_headers.code).unwrap_or_else(|| code(status).into()).into();
    let (hint, request_id) =
        (object.hint.map(Into::into), object.request_id.or(in_headers.request_id).map(Into::into));
    ClientError::Refused { request, status, code, message, hint, request_id }
}

fn plain_text(body: &[u8]) -> String {
    match serde_json::from_slice(body) {
        Ok(Value::String(text)) => text,
        Ok(Value::Object(fields)) => {
            fields.iter().map(|(name, p)| field(name, p)).collect::<Vec<_>>().join("; ")
        }
        _ => String::from_utf8_lossy(body).trim().to_owned(),
    }
}

fn field(name: &str, problem: &Value) -> String {
    match problem {
        Value::String(text) => format!("`{name}` {text}"),
        Value::Array(texts) => {
            texts.iter().map(|text| field(name, text)).collect::<Vec<_>>().join("; ")
        }
        other => format!("`{name}`: {other}"),
    }
}

/// Bounded, and without characters that would move a terminal's cursor.
fn shortened(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_TEXT).collect()
}

fn code(status: u16) -> &'static str {
    match status {
        403 => "forbidden",
        404 => "not_found",
        409 => "conflict",
        429 => "too_many_requests",
        400..=499 => "invalid",
        502..=504 => "unavailable",
        _ => "internal",
    }
}

fn words(status: u16) -> &'static str {
    match status {
        403 => "the token does not allow it",
        404 => "there is no such thing",
        409 => "it contradicts what is there",
        429 => "too many requests",
        400..=499 => "the request is not valid",
        502..=504 => "the node is not ready",
        500..=599 => "the node failed",
        _ => "unexpected answer",
    }
}
