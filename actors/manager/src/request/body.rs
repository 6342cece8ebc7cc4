//! Reads the body of a request within its limits of size and time.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt as _;
use serde_json::Value;

use super::json::{self, JsonError};
use super::{Params, form};
use crate::config::ManagerConfig;
use crate::error::ApiError;

/// Reads the query string as fields.
pub(crate) fn read_query(query: &str) -> Params {
    form::read_urlencoded(query.as_bytes())
}

/// How large a body may be, and how long it may take to arrive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimit {
    bytes: usize,
    time: Duration,
}

impl BodyLimit {
    /// The limits of `config`.
    pub(crate) fn of(config: &ManagerConfig) -> Self {
        Self { bytes: config.body_limit_bytes, time: config.body_timeout }
    }
}

/// Reads the body as fields. No body, a body of another type and JSON that is no object are no fields.
pub(crate) async fn read_body(
    headers: &HeaderMap,
    payload: Payload,
    limit: BodyLimit,
) -> Result<Params, ApiError> {
    refuse_encoded(headers)?;
    let collected = tokio::time::timeout(limit.time, collect(headers, payload, limit.bytes)).await;
    let bytes = collected.map_err(|_| {
        let message = format!("The body did not arrive within {:?}", limit.time);
        ApiError::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", message)
    })??;
    parse(content_type(headers), &bytes)
}

fn refuse_encoded(headers: &HeaderMap) -> Result<(), ApiError> {
    match headers.get(header::CONTENT_ENCODING) {
        Some(encoding) if encoding.as_bytes() != b"identity" => {
            let message = "A body with a Content-Encoding is not read: send it as it is";
            Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "encoded_body", message))
        }
        _ => Ok(()),
    }
}

async fn collect(
    headers: &HeaderMap,
    mut payload: Payload,
    limit: usize,
) -> Result<Bytes, ApiError> {
    let too_large = || {
        let message = format!("The body is larger than the {limit} bytes that are allowed");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
    };
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let mut bytes = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| {
            ApiError::unreadable("broken_body", "The body ended before it was complete")
        })?;
        if bytes.len() + chunk.len() > limit {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn parse(content_type: &str, bytes: &[u8]) -> Result<Params, ApiError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Params::new());
    }
    let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let kind = kind.trim().to_ascii_lowercase();
    match kind.as_str() {
        "application/x-www-form-urlencoded" => parse_form(bytes),
        "multipart/form-data" => {
            let boundary = parameters
                .split(';')
                .find_map(|parameter| parameter.trim().strip_prefix("boundary="));
            let boundary = boundary
                .map(|boundary| boundary.trim_matches('"'))
                .filter(|boundary| !boundary.is_empty());
            boundary.and_then(|boundary| form::read_multipart(bytes, boundary)).ok_or_else(|| {
                ApiError::unreadable("broken_form", "The body is not a complete multipart form")
            })
        }
        "application/json" => parse_json(bytes),
        kind if kind.ends_with("+json") => parse_json(bytes),
        _ => Ok(Params::new()),
    }
}

fn parse_json(bytes: &[u8]) -> Result<Params, ApiError> {
    match json::read(bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Ok(Params::new()),
        Err(error @ JsonError::Broken { .. }) => {
            Err(ApiError::unreadable("broken_json", format!("The body is not valid JSON: {error}")))
        }
        Err(error @ JsonError::TooMuch { .. }) => {
            let message = format!("The body's JSON exceeds a limit: {error}");
            Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "json_limit", message))
        }
    }
}

fn parse_form(bytes: &[u8]) -> Result<Params, ApiError> {
    // `curl -d '{…}'` without a header calls JSON a form; read as one, it would silently be no fields at all.
    if bytes.trim_ascii_start().starts_with(b"{") {
        let message = "The body looks like JSON, but its Content-Type says that it is a form";
        return Err(ApiError::unreadable("wrong_content_type", message)
            .hint("send `Content-Type: application/json`"));
    }
    Ok(form::read_urlencoded(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(content_type: &str, body: &str) -> Value {
        Value::Object(parse(content_type, body.as_bytes()).expect("a readable body"))
    }

    #[test]
    fn nothing_an_array_and_an_unknown_type_are_no_fields() {
        let none = serde_json::json!({});
        assert_eq!(fields("application/json", ""), none);
        assert_eq!(fields("application/json", "  \r\n"), none);
        assert_eq!(fields("application/json", "[1]"), none);
        assert_eq!(fields("application/json", "5"), none);
        assert_eq!(fields("text/plain", "{\"a\":1}"), none);
        assert_eq!(fields("", "{\"a\":1}"), none);
    }

    #[test]
    fn json_and_forms_are_read_by_their_type() {
        let one = serde_json::json!({"a": "1"});
        assert_eq!(fields("application/json; charset=utf-8", "{\"a\":\"1\"}"), one);
        assert_eq!(fields("application/vnd.oa+json", "{\"a\":\"1\"}"), one);
        assert_eq!(fields("application/x-www-form-urlencoded", "a=1"), one);
        let form = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b--";
        assert_eq!(fields("multipart/form-data; boundary=b", form), one);
    }

    #[test]
    fn json_that_is_called_a_form_is_refused_with_what_to_send() {
        let error =
            parse("application/x-www-form-urlencoded", b"{\"a\":1}").expect_err("not a form");
        assert_eq!(error.status(), StatusCode::BAD_REQUEST);
        assert!(error.to_string().contains("looks like JSON"));
    }
}
