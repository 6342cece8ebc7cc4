//! Pages of other origins: refused unless the configuration lists them.

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

const METHODS: &str = "GET, POST, PUT, PATCH, DELETE, HEAD";
const HEADERS: &str =
    "authorization, content-type, accept, x-csrf-token, x-request-id, x-verbose-error-handling";
const EXPOSED: &str = "location, x-request-id";

/// The origin of `request`, if its pages may call the API.
pub(crate) fn allowed_origin(request: &HttpRequest, allowed: &[String]) -> Option<HeaderValue> {
    let origin = request.headers().get(header::ORIGIN)?;
    let text = origin.to_str().ok()?;
    allowed.iter().any(|one| one == "*" || one.eq_ignore_ascii_case(text)).then(|| origin.clone())
}

/// Whether a browser asks for permission before the real request.
pub(crate) fn is_preflight(request: &HttpRequest) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a preflight of an allowed origin; [`permit`] adds the origin.
pub(crate) fn preflight() -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, METHODS))
        .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, "600"))
        .finish()
}

/// Lets pages of `origin` read an answer.
pub(crate) fn permit(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    headers.append(header::VARY, HeaderValue::from_static("origin"));
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn is_allowed(origin: &str, allowed: &[&str]) -> bool {
        let request =
            TestRequest::default().insert_header((header::ORIGIN, origin)).to_http_request();
        let allowed: Vec<String> = allowed.iter().map(|&one| one.to_owned()).collect();
        allowed_origin(&request, &allowed).is_some()
    }

    #[test]
    fn no_origin_is_allowed_by_default_and_only_whole_origins_match() {
        assert!(!is_allowed("https://evil.example", &[]));
        assert!(!is_allowed("https://console.example.evil.example", &["https://console.example"]));
        assert!(is_allowed("https://console.example", &["https://console.example"]));
        assert!(is_allowed("https://any.example", &["*"]));
    }
}
