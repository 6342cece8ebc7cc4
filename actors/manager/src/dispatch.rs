//! From a request to its answer: route, caller, body, permission, handler.
//!
//! Nothing of a body is read for a caller without a token, and no handler runs without its permission.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::FutureExt as _;
use serde_json::Value;

use crate::app::App;
use crate::auth::{Permission, Principal};
use crate::cors;
use crate::error::ApiError;
use crate::request::{BodyLimit, Call, Params, REQUEST_ID, RequestId, read_body, read_query};
use crate::routes::{self, Match};

/// Headers of every answer: nothing is kept, sniffed, framed or referred.
const ALWAYS: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
];

/// Answers `request`, whatever happens.
pub(crate) async fn dispatch(
    request: HttpRequest,
    payload: Payload,
    app: Data<App>,
) -> HttpResponse {
    let app = app.into_inner();
    let _under_way = app.traffic.enter();
    let started = Instant::now();
    let id = RequestId::of(request.headers());
    let found = routes::at_path(request.uri().path());
    // The path's pattern, never the path: the number of series stays small.
    let pattern = found.first().map_or("none", |found| found.route.path);

    let outcome = AssertUnwindSafe(answer(&app, &request, found, payload)).catch_unwind().await;
    let mut response = match outcome {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            tracing::debug!(request_id = %id, status = error.status().as_u16(), reason = %error, "refused");
            error.answer(Some(&id))
        }
        Err(_) => {
            tracing::error!(request_id = %id, path = request.path(), "a handler panicked");
            app.system_events.record_crash(&id).await;
            ApiError::crashed().answer(Some(&id))
        }
    };

    finish(&app, &request, &id, &mut response);
    observe(&request, pattern, &id, response.status(), started.elapsed());
    response
}

fn finish(app: &App, request: &HttpRequest, id: &RequestId, response: &mut HttpResponse) {
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        headers.insert(REQUEST_ID, value);
    }
    if let Some(origin) = cors::allowed_origin(request, &app.config.cors_origins) {
        cors::permit(headers, origin);
    }
}

fn observe(
    request: &HttpRequest,
    pattern: &'static str,
    id: &RequestId,
    status: StatusCode,
    took: Duration,
) {
    let method = method_label(request.method());
    let labels =
        [("method", method), ("path", pattern.to_owned()), ("status", status.as_str().to_owned())];
    metrics::counter!("oa_http_requests_total", &labels).increment(1);
    metrics::histogram!("oa_http_request_seconds", &labels[..2]).record(took.as_secs_f64());
    tracing::debug!(
        request_id = %id, method = %request.method(), path = request.uri().path(), status = status.as_u16(),
        took_ms = took.as_millis() as u64, "request"
    );
}

fn method_label(method: &Method) -> String {
    let known = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
    ];
    if known.contains(method) { method.to_string() } else { "other".to_owned() }
}

async fn answer(
    app: &Arc<App>,
    request: &HttpRequest,
    found: Vec<Match>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    if cors::is_preflight(request)
        && cors::allowed_origin(request, &app.config.cors_origins).is_some()
    {
        return Ok(cors::preflight());
    }
    if found.is_empty() {
        return Err(ApiError::no_route(None));
    }
    let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
    let principal = authenticate(app, request, method, &found)?;
    check_accept(request, method, &found)?;

    let body = match *method {
        Method::POST | Method::PUT | Method::PATCH | Method::DELETE => {
            let limit = BodyLimit::of(&app.config);
            read_body(request.headers(), payload, limit).await?
        }
        _ => Params::new(),
    };
    let method = overridden(method, &body);
    let Match { route, values } = pick(found, &method)?;
    if route.permission != Permission::Open
        && !principal.as_ref().is_some_and(|who| who.may(route.permission))
    {
        return Err(ApiError::forbidden());
    }

    let params = merge(read_query(request.query_string()), body, &values);
    let call = Call { app: Arc::clone(app), principal, path: values, params };
    let limit = app.config.answer_timeout + LONGEST_WAIT;
    let answer = tokio::time::timeout(limit, (route.handler)(call)).await;
    answer
        .unwrap_or_else(|_| Err(ApiError::timeout(format!("There was no answer within {limit:?}"))))
}

/// Longest wait of a long poll.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Who asks. Only an open route may be asked by nobody.
fn authenticate(
    app: &App,
    request: &HttpRequest,
    method: &Method,
    found: &[Match],
) -> Result<Option<Principal>, ApiError> {
    let is_open =
        |found: &Match| found.route.method == *method && found.route.permission == Permission::Open;
    match app.authenticator.principal(request.headers()) {
        None if !found.iter().any(is_open) => Err(ApiError::unauthorized()),
        principal => Ok(principal),
    }
}

/// A client that accepts no JSON gets 406, except from the probes.
fn check_accept(request: &HttpRequest, method: &Method, found: &[Match]) -> Result<(), ApiError> {
    let takes_any = |found: &Match| {
        found.route.method == *method
            && (found.route.permission == Permission::Open || found.route.path == "/metrics")
    };
    let accepts: Vec<&str> =
        request.headers().get_all(header::ACCEPT).filter_map(|value| value.to_str().ok()).collect();
    if accepts.is_empty()
        || found.iter().any(takes_any)
        || accepts.iter().any(|accept| admits_json(accept))
    {
        return Ok(());
    }
    let message = "The answer is JSON, which the Accept header does not admit";
    Err(ApiError::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", message)
        .hint("send `Accept: application/json`"))
}

fn admits_json(accept: &str) -> bool {
    accept.trim().is_empty()
        || accept.split(',').any(|range| {
            let kind = range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            matches!(kind.as_str(), "*/*" | "application/*" | "application/json")
                || kind.ends_with("+json")
        })
}

/// The method that a form's `_method` asks for.
fn overridden(method: &Method, body: &Params) -> Method {
    let asked = body.get("_method").and_then(Value::as_str).filter(|_| *method == Method::POST);
    match asked.map(str::to_ascii_uppercase).as_deref() {
        Some("PUT") => Method::PUT,
        Some("PATCH") => Method::PATCH,
        Some("DELETE") => Method::DELETE,
        _ => method.clone(),
    }
}

fn pick(found: Vec<Match>, method: &Method) -> Result<Match, ApiError> {
    let allow = routes::methods(&found);
    found
        .into_iter()
        .find(|found| found.route.method == *method)
        .ok_or_else(|| ApiError::no_route(Some(allow)))
}

/// One flat map: the path wins over the body, the body over the query.
fn merge(mut params: Params, body: Params, path: &[(&'static str, String)]) -> Params {
    params.extend(body);
    params.extend(
        path.iter().map(|(name, value)| ((*name).to_owned(), Value::String(value.clone()))),
    );
    params
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_path_wins_over_the_body_and_the_body_over_the_query() {
        let body = json!({"id": "body", "a": "body"}).as_object().expect("an object").clone();
        let merged =
            merge(read_query("id=query&a=query&b=query"), body, &[("id", "path".to_owned())]);
        assert_eq!(Value::Object(merged), json!({"id": "path", "a": "body", "b": "query"}));
    }

    #[test]
    fn json_is_admitted_by_its_name_and_by_ranges_that_include_it() {
        for accept in [
            "application/json",
            "text/html, */*;q=0.8",
            "application/*",
            "application/vnd.oa+json",
            "",
        ] {
            assert!(admits_json(accept), "{accept}");
        }
        for accept in ["text/html", "image/png, text/plain"] {
            assert!(!admits_json(accept), "{accept}");
        }
    }

    #[test]
    fn only_a_post_can_be_overridden() {
        let body = json!({"_method": "delete"}).as_object().expect("an object").clone();
        assert_eq!(overridden(&Method::POST, &body), Method::DELETE);
        assert_eq!(overridden(&Method::PUT, &body), Method::PUT);
    }
}
