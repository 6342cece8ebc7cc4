//! What a refused request is told.
//!
//! Bodies keep the original's shape, an `errors` list whose first element is the message and whose further ones
//! name a field each, and add a stable `code`, a `hint` that says what is allowed, and the request's id.
//! Causes (SQL, paths, dependencies) are logged under that id and never answered.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use oa_api::ErrorBody;
use oa_protocol::{Refusal, RefusalCode};
use oa_store::{StorageError, StorageKind};
use serde_json::{Map, Value};

use crate::request::RequestId;

/// Names the code of an error whose body is plain text.
const ERROR_CODE: HeaderName = HeaderName::from_static("x-error-code");

/// Why a request is refused, and how that is answered.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    shape: Box<Shape>,
    hint: Option<String>,
    retry_after: Option<u32>,
    allow: Option<String>,
}

#[derive(Debug)]
enum Shape {
    /// Plain text, where the original answers that.
    Text(&'static str),
    /// The `errors` list.
    Errors { message: String, problems: Vec<Problem>, fields_on_top: bool },
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The field.
    pub(crate) field: String,
    /// What is wrong, in the original's words if it has some.
    pub(crate) message: String,
    /// What is allowed.
    pub(crate) allowed: Option<String>,
}

impl Problem {
    /// `field` is wrong, says `message`.
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into(), allowed: None }
    }

    /// Adds what is allowed.
    pub(crate) fn allowed(mut self, allowed: impl Into<String>) -> Self {
        self.allowed = Some(allowed.into());
        self
    }
}

impl ApiError {
    /// An error with the `errors` list.
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let shape =
            Shape::Errors { message: message.into(), problems: Vec::new(), fields_on_top: false };
        Self { status, code, shape: Box::new(shape), hint: None, retry_after: None, allow: None }
    }

    fn text(status: StatusCode, code: &'static str, text: &'static str) -> Self {
        Self {
            status,
            code,
            shape: Box::new(Shape::Text(text)),
            hint: None,
            retry_after: None,
            allow: None,
        }
    }

    /// 401: no token, or one that is not ours.
    pub(crate) fn unauthorized() -> Self {
        Self::text(StatusCode::UNAUTHORIZED, "unauthorized", "Unauthorized")
    }

    /// 403: a known caller who may not do this.
    pub(crate) fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "This token does not permit the request")
    }

    /// 404: no such path, or not with this method.
    pub(crate) fn no_route(allow: Option<String>) -> Self {
        Self { allow, ..Self::text(StatusCode::NOT_FOUND, "no_such_route", "Page not found - 404") }
    }

    /// 405: known, but switched off with this method.
    pub(crate) fn method_off(allow: &str, message: impl Into<String>) -> Self {
        Self {
            allow: Some(allow.to_owned()),
            ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
        }
    }

    /// 404: `what` is not there.
    pub(crate) fn not_found(what: impl fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("{what} was not found"))
    }

    /// 409: `what` is there already.
    pub(crate) fn exists(what: impl fmt::Display) -> Self {
        let message = format!("A {what} already exists with that identifier");
        Self::new(StatusCode::CONFLICT, "already_exists", message)
    }

    /// 409: it contradicts what is there.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", message)
    }

    /// 409 with exactly `text`, which clients of the original print.
    pub(crate) fn conflict_text(code: &'static str, text: &'static str) -> Self {
        Self::text(StatusCode::CONFLICT, code, text)
    }

    /// 400: fields of `what` are wrong.
    pub(crate) fn invalid_fields(what: impl fmt::Display, problems: Vec<Problem>) -> Self {
        let hints: Vec<String> = problems
            .iter()
            .filter_map(|p| p.allowed.as_ref().map(|allowed| format!("{}: {allowed}", p.field)))
            .collect();
        let message = format!("One or more fields for {what} were invalid");
        let mut error = Self::new(StatusCode::BAD_REQUEST, "invalid", message);
        if !hints.is_empty() {
            error.hint = Some(hints.join("; "));
        }
        if let Shape::Errors { problems: into, .. } = &mut *error.shape {
            *into = problems;
        }
        error
    }

    /// Repeats the fields at the top of the body, as the original's workflow routes answer.
    pub(crate) fn fields_on_top(mut self) -> Self {
        if let Shape::Errors { fields_on_top, .. } = &mut *self.shape {
            *fields_on_top = true;
        }
        self
    }

    /// 400: the request cannot be read.
    pub(crate) fn unreadable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 500: a fault of ours around `what`. The cause belongs in the log.
    pub(crate) fn internal(what: impl fmt::Display) -> Self {
        // The spelling is the wire's.
        let message = format!("An unexpected error occured with {what}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// 500 of a handler that panicked.
    pub(crate) fn crashed() -> Self {
        Self::text(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Server internal error - 500")
    }

    /// 503: something that is needed does not answer; the same request may succeed later.
    pub(crate) fn unavailable(code: &'static str, message: impl Into<String>) -> Self {
        Self { retry_after: Some(1), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message) }
    }

    /// 503: the place where the database lies takes no writes at the moment.
    pub(crate) fn storage(error: &StorageError) -> Self {
        let seconds = if error.kind() == StorageKind::Locked { 1 } else { 5 };
        Self {
            retry_after: Some(seconds),
            ..Self::unavailable(error.kind().code(), format!("Nothing was changed: {error}"))
        }
        .hint(error.hint())
    }

    /// 504: something that is needed did not answer in time.
    pub(crate) fn timeout(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "timeout", message)
    }

    /// A component said no; `what` is what the request is about.
    pub(crate) fn refused(what: impl fmt::Display, refusal: Refusal) -> Self {
        let Refusal { code, message, hint } = refusal;
        let (status, name) = match code {
            RefusalCode::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            RefusalCode::Invalid => (StatusCode::BAD_REQUEST, "invalid"),
            RefusalCode::Conflict => (StatusCode::CONFLICT, "conflict"),
            RefusalCode::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            _ => {
                tracing::error!(%what, reason = %message, "a component failed");
                return Self { hint, ..Self::internal(what) };
            }
        };
        let retry_after = (code == RefusalCode::Unavailable).then_some(1);
        Self { hint, retry_after, ..Self::new(status, name, message) }
    }

    /// Adds what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the names that `typed` may have meant, if some are near.
    pub(crate) fn did_you_mean<'a>(
        mut self,
        typed: &str,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        self.hint = oa_api::did_you_mean(typed, names).or(self.hint);
        self
    }

    /// The word for programs.
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// The status that it is answered with.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The answer to the request `id`.
    pub(crate) fn answer(&self, id: Option<&RequestId>) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if let Some(seconds) = self.retry_after {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if let Some(allow) =
            self.allow.as_deref().and_then(|allow| HeaderValue::from_str(allow).ok())
        {
            response.insert_header((header::ALLOW, allow));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        match &*self.shape {
            Shape::Text(text) => response
                .insert_header((ERROR_CODE, self.code))
                .content_type("text/plain; charset=utf-8")
                .body(*text),
            Shape::Errors { message, problems, fields_on_top } => {
                let on_top = if *fields_on_top { problems.as_slice() } else { &[] };
                let body = self.body(message, problems, on_top, id);
                response
                    .content_type("application/json; charset=utf-8")
                    .body(Value::Object(body).to_string())
            }
        }
    }

    fn body(
        &self,
        message: &str,
        problems: &[Problem],
        on_top: &[Problem],
        id: Option<&RequestId>,
    ) -> Map<String, Value> {
        let mut body = ErrorBody::new(self.code, message);
        for problem in problems {
            body = body.field(&problem.field, &problem.message);
        }
        body.hint.clone_from(&self.hint);
        body.request_id = id.map(ToString::to_string);
        let Ok(Value::Object(mut object)) = serde_json::to_value(&body) else { return Map::new() };
        for problem in on_top {
            let text = Value::String(problem.message.clone());
            match object.get_mut(&problem.field) {
                None => {
                    object.insert(problem.field.clone(), text);
                }
                Some(Value::Array(texts)) => texts.push(text),
                Some(first) => *first = Value::Array(vec![first.take(), text]),
            }
        }
        object
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.shape {
            Shape::Text(text) => f.write_str(text),
            Shape::Errors { message, .. } => f.write_str(message),
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        self.answer(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(error: &ApiError) -> Value {
        let Shape::Errors { message, problems, fields_on_top } = &*error.shape else {
            panic!("not a list")
        };
        let on_top = if *fields_on_top { problems.as_slice() } else { &[] };
        Value::Object(error.body(message, problems, on_top, None))
    }

    #[test]
    fn field_errors_follow_the_message_one_object_each() {
        let problems = vec![
            Problem::new("name", "can't be blank"),
            Problem::new("type", "is invalid").allowed("a text of 1 to 255 characters"),
        ];
        assert_eq!(
            json(&ApiError::invalid_fields("EtcdCluster", problems)),
            serde_json::json!({
                "errors": [
                    {"message": "One or more fields for EtcdCluster were invalid"},
                    {"name": "can't be blank"},
                    {"type": "is invalid"}
                ],
                "code": "invalid",
                "hint": "type: a text of 1 to 255 characters"
            })
        );
    }

    #[test]
    fn workflow_errors_repeat_the_fields_on_top_and_gather_two_of_one_field() {
        let problems = vec![
            Problem::new("milestones", "a"),
            Problem::new("milestones", "b"),
            Problem::new("id", "c"),
        ];
        let body = json(&ApiError::invalid_fields("Workflow", problems).fields_on_top());
        assert_eq!(body["milestones"], serde_json::json!(["a", "b"]));
        assert_eq!(body["id"], "c");
    }

    #[test]
    fn a_fault_of_a_component_does_not_leak_its_reason() {
        let refusal = Refusal::new(RefusalCode::Internal, "SELECT * FROM secrets failed");
        let error = ApiError::refused("EtcdCluster", refusal);
        assert_eq!(error.to_string(), "An unexpected error occured with EtcdCluster");
    }
}
