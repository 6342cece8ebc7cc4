//! A request, read: who asks, which id it has, and its parameters as one flat map.

mod body;
mod fields;
mod form;
mod json;

pub(crate) use body::{BodyLimit, read_body, read_query};
pub(crate) use fields::{Fields, Given};

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{HeaderMap, HeaderName};
use serde_json::{Map, Value};

use crate::app::App;
use crate::auth::Principal;

/// Parameters by name.
pub(crate) type Params = Map<String, Value>;

/// Carries the id of a request, both ways.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Names a request in answers and logs: the client's own id if it is a decent one, else a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestId(String);

impl RequestId {
    /// The id of the request with these headers.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        match given {
            Some(id) if is_decent(id) => Self(id.to_owned()),
            _ => Self(uuid::Uuid::now_v7().to_string()),
        }
    }

    /// The id as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_decent(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a handler gets.
pub(crate) struct Call {
    /// What all requests share.
    pub(crate) app: Arc<App>,
    /// Who asks; nobody on an open route.
    pub(crate) principal: Option<Principal>,
    /// Values of the path's `:names`, decoded.
    pub(crate) path: Vec<(&'static str, String)>,
    /// Query, body and path in one map; the path wins over the body, the body over the query.
    pub(crate) params: Params,
}

impl Call {
    /// The value of `:name` in the path. A name that the route does not have is empty.
    pub(crate) fn path(&self, name: &str) -> &str {
        self.path.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    /// Reads the parameters as fields of `what`, which errors name.
    pub(crate) fn fields(&self, what: impl Into<String>) -> Fields<'_> {
        Fields::new(&self.params, what)
    }
}

/// How long a long poll of this request may wait.
pub(crate) fn wait_of(milliseconds: Option<i64>, most: Duration) -> Duration {
    let asked = u64::try_from(milliseconds.unwrap_or(0)).unwrap_or(0);
    Duration::from_millis(asked).min(most)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn id_for(value: &str) -> RequestId {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_str(value).expect("a header value"));
        RequestId::of(&headers)
    }

    #[test]
    fn a_decent_id_of_the_client_is_kept_and_another_is_replaced() {
        assert_eq!(id_for("ci-42.a_b").as_str(), "ci-42.a_b");
        for value in ["", "a b", "a;b", &"x".repeat(65)] {
            assert_ne!(id_for(value).as_str(), value);
        }
    }

    #[test]
    fn a_wait_is_bounded_and_never_negative() {
        let most = Duration::from_secs(1);
        assert_eq!(wait_of(None, most), Duration::ZERO);
        assert_eq!(wait_of(Some(-5), most), Duration::ZERO);
        assert_eq!(wait_of(Some(5), most), Duration::from_millis(5));
        assert_eq!(wait_of(Some(i64::MAX), most), most);
    }
}
